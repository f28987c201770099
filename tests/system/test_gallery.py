import struct
from pathlib import Path

import pytest

from heinit_sim.cli.config import gallery, gallery_text, to_gallery_table
from heinit_sim.config import parse_config
from tests.commands import printed

ROOT = Path(__file__).parents[2]


def test_gallery_is_what_the_repository_shows() -> None:
    assert list(gallery()) == sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    listed = (ROOT / "configs" / "README.md").read_text("utf-8")
    assert all(f"[`{name}.yaml`]({name}.yaml)" in listed for name in gallery())


def test_every_config_has_a_thumbnail_that_the_readme_shows() -> None:
    folder = ROOT / "configs" / "thumbnails"
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in gallery()}
    listed = (ROOT / "configs" / "README.md").read_text("utf-8")
    for name in gallery():
        assert f'<img src="thumbnails/{name}.png"' in listed
        data = (folder / f"{name}.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", data[16:24])
        assert 400 <= width <= 500
        assert height < width
        assert len(data) < 40_000


def test_every_config_is_named_as_its_file() -> None:
    for name in gallery():
        assert parse_config(gallery_text(name)).name == name


@pytest.mark.parametrize("width", [80, 200])
def test_the_list_begins_each_line_with_a_name_and_says_what_it_shows(width: int) -> None:
    lines = printed(to_gallery_table(), width)
    assert all(len(line) <= 80 for line in lines) or width == 200
    entries = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in entries] == list(gallery())
    assert entries == lines or width == 80
    said = " ".join(" ".join(lines).split())
    for name in gallery():
        first, _ = gallery_text(name).split("\n", 1)
        assert first.startswith("# ")
        assert first.endswith(".")
        if width == 200:
            assert f"{name} {first[2:]}" in said
