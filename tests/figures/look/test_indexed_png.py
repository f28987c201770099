"""PNG files have a palette where that shifts no colour visibly, else they have true colour."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from heinit_sim.config import parse_config, with_figure
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures import draw, draw_phase_diagram
from heinit_sim.figures.look.few_colors import ERROR
from heinit_sim.figures.look.indexed_png import BACKEND, indexed
from heinit_sim.simulation import run_sweep
from tests.figures.helpers import drawn_7_4, figure_7_4, near_equal
from tests.rows import slow_but

THEMES = ("light", "dark", "transparent-light", "transparent-dark")
CONFIG = """
name: x
network: {depth: 6, width: 8, input_dim: 8}
init: {variance: 0.25}
inputs: {count: 3}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {network.width: [5, 10, 20]}
trials: 10
"""
KINDS = (*FIGURE_KINDS, "phase diagram")
SHORT = FigureConfig(colors="hsv", size=(6, 3))


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return run_sweep(parse_config(CONFIG))


def of_kind(result: SweepResult, kind: str, theme: str) -> Figure:
    if kind == "phase diagram":
        swept = parse_config(CONFIG.replace("network.width: [5, 10", "init.variance: [0.1, 0.2"))
        return draw_phase_diagram(with_figure(swept, {"theme": theme}, "draw"))
    return draw(result, kind=kind, theme=theme, dpi=60)


def saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    return buffer.getvalue()


def picture(figure: Figure, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(saved(figure, **options)))


def true_pixels(figure: Figure) -> NDArray[np.uint8]:
    return np.asarray(picture(figure, backend="agg").convert("RGBA"))


def moved(image: Image.Image, true: NDArray[np.uint8]) -> int:
    """The furthest that a channel is from where matplotlib alone has it."""
    return int(np.abs(np.asarray(image.convert("RGBA")).astype(int) - true).max())


@pytest.mark.parametrize(
    ("kind", "theme"),
    slow_but(
        [(kind, theme) for kind in KINDS for theme in THEMES],
        ("ridges", "light"),
        ("layers", "transparent-dark"),
    ),
)
def test_no_channel_of_any_kind_of_figure_moves_visibly(
    kind: str, theme: str, result: SweepResult
) -> None:
    figure = of_kind(result, kind, theme)
    image = picture(figure)
    assert moved(image, true_pixels(figure)) <= (ERROR if image.mode == "P" else 0)


def test_the_default_figure_takes_less_than_120_kibibytes() -> None:
    figure = drawn_7_4()
    png = saved(figure)
    assert len(png) <= 120 * 1024
    image = Image.open(io.BytesIO(png))
    assert image.mode == "P"
    assert image.size == (2400, 1080)
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.01)
    true = true_pixels(figure)
    assert 0 < moved(image, true) <= ERROR
    palette_of_pillow = Image.fromarray(true).convert("RGB").quantize(256)
    assert moved(palette_of_pillow, true) > ERROR  # which the bound is there to refuse


@pytest.mark.parametrize(
    "look",
    slow_but([SHORT, replace(SHORT, theme="transparent-light")], SHORT),
    ids=["colour map", "transparent"],
)
def test_a_figure_of_more_colours_than_a_palette_is_near_to_has_true_colour(
    look: FigureConfig,
) -> None:
    result = near_equal(20)
    figure = draw(replace(result, config=replace(result.config, figure=look)))
    image = picture(figure)
    assert (image.mode, moved(image, true_pixels(figure))) == ("RGBA", 0)
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.01)


def test_alpha_survives_in_a_palette() -> None:
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[1:3] = (200, 40, 30, 128)
    pixels[3] = (200, 40, 30, 255)
    image = indexed(pixels)
    assert image is not None
    buffer = io.BytesIO()
    image.save(buffer, format="png")
    np.testing.assert_array_equal(np.asarray(Image.open(buffer).convert("RGBA")), pixels)


@pytest.mark.parametrize("backend", [BACKEND, "agg"])
def test_texts_in_the_file_are_those_of_matplotlib(backend: str) -> None:
    figure = draw(figure_7_4(FigureConfig(dpi=30)))
    assert "Software" not in picture(figure, backend=backend).info
    image = picture(figure, backend=backend, metadata={"Title": "five", "Author": None})
    assert image.info["Title"] == "five"
    assert image.info["Software"].startswith("Matplotlib version")
    assert "Author" not in image.info


def test_options_of_pillow_are_heeded_in_true_colour() -> None:
    figure = draw(figure_7_4(FigureConfig(dpi=30)))
    png = saved(figure, pil_kwargs={"compress_level": 0})
    image = Image.open(io.BytesIO(png))
    assert image.mode == "RGBA"
    assert len(png) > 4 * image.width * image.height


def test_a_canvas_of_ones_own_stays_that_of_the_figure() -> None:
    figure = draw(figure_7_4(FigureConfig(dpi=30)))
    canvas = FigureCanvasAgg(figure)
    picture(figure)
    assert figure.canvas is canvas
