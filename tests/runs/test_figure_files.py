from pathlib import Path
from typing import Any

import pytest

from heinit_sim.figures import draw
from heinit_sim.figures.layout import lay_out
from heinit_sim.runs.figure_files import write_figure
from tests.figures.helpers import figure_7_4


def test_a_figure_is_laid_out_once_for_all_its_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts = []

    def counted(*args: Any) -> Any:
        layouts.append(lay_out(*args))
        return layouts[-1]

    monkeypatch.setattr("heinit_sim.figures.frame.lay_out", counted)
    result = figure_7_4()
    written = write_figure(draw(result), tmp_path, result.config.figure)
    assert len(written) == 3
    assert len(layouts) == 1


@pytest.mark.slow
def test_a_figure_is_written_as_the_same_bytes_again(tmp_path: Path) -> None:
    result = figure_7_4()
    figure = draw(result)
    for name in "ab":
        (tmp_path / name).mkdir()
        write_figure(figure, tmp_path / name, result.config.figure)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
