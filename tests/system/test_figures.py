"""What a user gets who asks for other figures of a run."""

from pathlib import Path

import pytest

from tests.commands import files, heinit_sim
from tests.configs import SMALL
from tests.tools.slides import commands, pictures, source


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run without a figure, of small.yaml in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    assert heinit_sim("run", "small.yaml", "-q", "--no-plots").returncode == 0
    return tmp_path / "outputs" / "small"


def test_run_draws_another_figure_without_simulating(run: Path) -> None:
    tables = files(run)
    asked = ("run", "small.yaml", "--set", "figure.formats=svg")
    planned = heinit_sim(*asked, "--dry-run").stdout.splitlines()
    written = "forward_backward.svg, config.yaml, manifest.json"
    assert planned[-2:] == [
        "outputs/small is up to date, but for its figure",
        f"would write outputs/small: {written}",
    ]
    assert f": {written}\n" in heinit_sim(*asked).stderr
    drawn = files(run)
    assert drawn.keys() == {*tables, "forward_backward.svg"}
    again = heinit_sim(*asked)
    assert "up to date; give --force" in again.stderr
    without = heinit_sim("run", "small.yaml", "--no-plots")
    assert "up to date; give --force" in without.stderr
    assert files(run) == drawn


@pytest.mark.slow
def test_plot_writes_the_formats_that_it_is_asked_for(run: Path, tmp_path: Path) -> None:
    done = heinit_sim("plot", run, "--format", "svg")
    assert done.stderr == f"Wrote forward_backward.svg, config.yaml, manifest.json in {run}\n"
    assert heinit_sim("plot", run).stderr == f"Wrote forward_backward.svg, manifest.json in {run}\n"
    before = files(run)
    (tmp_path / "other").mkdir()
    for path, content in before.items():
        (tmp_path / "other" / path).write_bytes(content)
    done = heinit_sim(
        "plot", run, "other", "--format", "svg", "--set", "figure.dpi=30", "--out", "x"
    )
    assert done.returncode == 0
    assert {path.relative_to("x").as_posix() for path in Path("x").rglob("*.*")} == {
        f"{name}/forward_backward.svg" for name in ("small", "other")
    }
    assert files(run) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "gif"), "--format figure.formats=gif: error: figure.formats: unknown value"),
        (("--builds", "--format", "tex"), "--builds: error: no steps in LaTeX (tex), must be png"),
        (("--set", "figure.theme=dark"), "--set: error: another figure than the run's own needs"),
        (
            ("--out", "x", "outputs/../outputs/small"),
            "several runs are called small; give one each",
        ),
    ],
)
def test_what_plot_cannot_do_is_one_line(run: Path, options: tuple[str, ...], message: str) -> None:
    before = files(run)
    done = heinit_sim("plot", run, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(run) == before


@pytest.mark.slow
def test_every_command_of_the_page_on_slides_works(run: Path, tmp_path: Path) -> None:
    sweep = "init.variance=0.001,0.01,0.02,0.1,1"
    of_page = ("run", "small.yaml", "--set", sweep, "--set", "init.scheme=null", "--out", "RUN")
    assert heinit_sim(*of_page, "-q", "--no-plots").returncode == 0
    asked = commands()
    assert len(asked) > 5
    for command in asked:
        assert heinit_sim(*command).returncode == 0
    for picture in set(pictures()) - {"page.png"}:  # of which a browser takes the picture
        assert source(tmp_path, picture).is_file()
    assert (tmp_path / "page.html").is_file()
