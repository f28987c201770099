from pathlib import Path

import pytest

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.gallery import gallery, gallery_text

ROOT = Path(__file__).parent.parent


def test_gallery_is_what_the_repository_shows() -> None:
    assert list(gallery()) == sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    listed = (ROOT / "configs" / "README.md").read_text("utf-8")
    assert all(f"[`{name}.yaml`]({name}.yaml)" in listed for name in gallery())


def test_every_config_is_named_as_its_file() -> None:
    for name in gallery():
        assert parse_config(gallery_text(name)).name == name


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match="no config 'figure_7_5' in the gallery; it has figure_7_4"
    ):
        gallery_text("figure_7_5")
