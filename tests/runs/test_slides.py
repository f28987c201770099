"""A figure in motion and as slides, as files."""

import io
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from pptx import Presentation

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures import Picture, build_steps, draw
from heinit_sim.runs.figure_files import write_gif
from heinit_sim.runs.slides import require_slides, write_slides
from heinit_sim.simulation.sweep import run_sweep
from tests.configs import SMALL
from tests.rows import slow_but


@cache
def measured() -> SweepResult:
    return run_sweep(parse_config(SMALL + "sweep: {init.variance: [0.2, 0.3]}\n"))


def looking(**look: Any) -> SweepResult:
    result = measured()
    figure = replace(result.config.figure, dpi=30, **look)
    return replace(result, config=replace(result.config, figure=figure))


def slides_of(result: SweepResult, directory: Path, *, whole: bool = False) -> Any:
    figure = draw(result)
    steps = build_steps(figure, result)
    shown = steps[-1:] if whole else steps
    (name,) = write_slides(figure, shown, directory, command="heinit-sim plot 'a b'")
    assert name == ("forward_backward.pptx" if whole else "forward_backward-builds.pptx")
    return Presentation(str(directory / name))


def picture_of(slide: Any) -> Any:
    (picture,) = slide.shapes
    return picture


def test_each_step_is_a_slide_with_a_text_and_notes(tmp_path: Path) -> None:
    result = looking(size="slide")
    slides = slides_of(result, tmp_path)
    assert slides.slide_width * 9 == slides.slide_height * 16
    assert len(slides.slides) == 5  # axes, two conditions, theory, bands
    names = ["axes", "init.variance = 0.2", "init.variance = 0.3", "theory", "bands"]
    pictures = []
    for number, (slide, name) in enumerate(zip(slides.slides, names, strict=True)):
        picture = picture_of(slide)
        box = picture.left, picture.top, picture.width, picture.height
        assert box == (0, 0, slides.slide_width, slides.slide_height)
        said = picture._element.nvPicPr.cNvPr.get("descr")
        assert said.startswith(
            f"a) Forward pass, b) Backward pass. Step {number} of 4: {name}. "
            "Thick: median of 4 networks. Band: "
        )
        assert slide.notes_slide.notes_text_frame.text == f"{said}\nheinit-sim plot 'a b'"
        image = Image.open(io.BytesIO(picture.image.blob))
        assert image.size == (400, 225)  # 13.33 × 7.5 in at 30 dots per inch
        pictures.append(picture.image.blob)
    assert len(set(pictures)) == 5


@pytest.mark.parametrize("theme", slow_but(["light", "dark", "transparent-dark"], "dark"))
def test_another_shape_stands_in_the_middle_on_its_ground(theme: str, tmp_path: Path) -> None:
    slides = slides_of(looking(size=(4.0, 4.0), theme=theme), tmp_path, whole=True)
    (slide,) = slides.slides
    picture = picture_of(slide)
    assert picture.width == picture.height == slides.slide_height
    assert abs(2 * picture.left + picture.width - slides.slide_width) <= 1
    if theme == "transparent-dark":
        assert slide.follow_master_background
    else:
        ground = {"light": "FFFFFF", "dark": "16181D"}[theme]
        assert str(slide.background.fill.fore_color.rgb) == ground


@pytest.mark.slow
def test_slides_are_the_same_bytes_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for year in (2001, 2020):
        monkeypatch.setattr("zipfile.time.localtime", lambda _, y=year: (y, 1, 1, 1, 1, 1, 0, 1, 0))
        slides = slides_of(looking(), tmp_path, whole=True)
        contents.append((tmp_path / "forward_backward.pptx").read_bytes())
        assert slides.core_properties.modified.year == 1980
    assert contents[0] == contents[1]


def test_without_the_library_one_line_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    require_slides()
    monkeypatch.setitem(sys.modules, "pptx", None)
    with pytest.raises(ConfigError, match=r"pptx needs python-pptx.*heinit-sim\[slides\]"):
        require_slides()


def test_a_gif_shows_each_picture_for_its_time_and_begins_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ground = np.full((20, 30, 3), (22, 24, 29), np.uint8)
    pictures = [Picture(ground.copy(), 600)]
    for n in range(4):
        pixels = pictures[-1].pixels.copy()
        pixels[5 + n : 9 + n, 10:20] = rng.choice([0, 90, 255], (4, 10, 1))
        pictures.append(Picture(pixels, 50 * (n + 1)))
    assert write_gif(pictures, tmp_path) == ("forward_backward.gif",)
    content = (tmp_path / "forward_backward.gif").read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert image.info["loop"] == 0
        frames = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
    assert [duration for _, duration in frames] == [picture.duration for picture in pictures]
    last, _ = frames[-1]
    np.testing.assert_array_equal(last, pictures[-1].pixels)  # fewer colours than a GIF has
    for (shown, _), picture in zip(frames, pictures, strict=True):
        kept = (picture.pixels == ground).all(2)
        np.testing.assert_array_equal((shown == ground).all(2), kept)
    write_gif(pictures, tmp_path)
    assert (tmp_path / "forward_backward.gif").read_bytes() == content
