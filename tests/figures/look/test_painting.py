import itertools
from collections.abc import Sequence
from functools import cache

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_hex, to_rgb
from matplotlib.typing import ColorType

from heinit_sim.config import parse_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.look.contrast import LINE, TEXT
from heinit_sim.figures.look.painting import DASHES, HUES, Colors, Paint, painted, palette_of
from heinit_sim.figures.words.condition_names import named
from heinit_sim.numerics import FloatArray
from tests.rows import slow_but

GROUNDS = ("white", "#16181d")
MAPS = ("plasma", "viridis", "cividis", "gray", "Greys", "Blues", "coolwarm", "tab10", "hsv", "jet")


def config(sweep: str) -> SweepConfig:
    return parse_config(f"""
name: x
network: {{depth: 4, width: 8, input_dim: 8}}
init: {{scheme: he_normal}}
inputs: {{distribution: pair, count: 2}}
sweep: {{{sweep}}}
""")


@cache
def widths(count: int) -> SweepConfig:
    return config(f"network.width: [{', '.join(str(5 + n) for n in range(count))}]")


def linear(color: ColorType) -> FloatArray:
    """sRGB without its gamma (IEC 61966-2-1)."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(color: ColorType, ground: ColorType) -> float:
    """WCAG 2, of the colours as eight bits have them."""
    y = [linear(to_hex(c)) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (color, ground)]
    return float(max(y) / min(y))


def colors_of(paints: Sequence[Paint]) -> list[str]:
    return [to_hex(tuple(paint.color)) for paint in paints]


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("colors", slow_but([None, *MAPS], None))
def test_lines_and_texts_stand_out_from_their_ground(colors: Colors | None, ground: str) -> None:
    for count in range(1, 20):
        for paint in painted(widths(count), colors=colors, ground=ground):
            assert contrast(tuple(paint.color), ground) >= LINE
            assert contrast(tuple(paint.ink), ground) >= TEXT


@pytest.mark.parametrize("ground", ["0.5", "#fdf6e3", "navy", "red"])
@pytest.mark.parametrize("colors", [None, "coolwarm"])
def test_other_grounds_will_do(colors: Colors | None, ground: str) -> None:
    for paint in painted(widths(7), colors=colors, ground=ground):
        assert contrast(tuple(paint.color), ground) >= LINE
        assert contrast(tuple(paint.ink), ground) >= TEXT


def test_colours_of_figure_7_4_are_those_of_the_book_but_for_one_that_was_too_light() -> None:
    paints = painted(widths(5))
    assert colors_of(paints)[:4] == ["#41049d", "#8808a6", "#c13b82", "#e87059"]
    plasma = matplotlib.colormaps["plasma"]
    assert contrast(plasma(0.82), "white") < 2
    last = tuple(paints[4].color)
    assert contrast(last, "white") < 1.04 * LINE  # no darker than needed
    assert abs(rgb_to_hsv(last[:3])[0] - rgb_to_hsv(plasma(0.82)[:3])[0]) < 0.03
    assert {(paint.dashes, paint.marker, paint.weight) for paint in paints} == {(None, None, 1.0)}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("colors", [None, "viridis", "gray"], ids=str)
def test_no_two_conditions_have_one_colour(colors: str | None, ground: str) -> None:
    for count in (2, 3, 5, 8, 12, 19):
        assert len(set(colors_of(painted(widths(count), colors=colors, ground=ground)))) == count


def test_colours_given_are_taken_where_they_stand_out() -> None:
    assert colors_of(painted(widths(2), colors=["#000080", "#800000"])) == ["#000080", "#800000"]
    (pale,) = painted(widths(1), colors=["yellow"])
    assert LINE <= contrast(tuple(pale.color), "white") < 1.04 * LINE
    assert colors_of(painted(widths(2), colors="tab10", ground="black")) == ["#1f77b4", "#ff7f0e"]


GRID = "network.activation: [relu, tanh], loss.target: [1, 2]"


@pytest.mark.parametrize(
    ("colors", "keys"),
    [
        (["navy", "navy", "purple", "purple"], ["network.activation", "loss.target"]),
        (["navy", "purple", "navy", "purple"], ["loss.target"]),
    ],
)
def test_colours_given_for_a_grid_leave_its_dashes(colors: list[str], keys: list[str]) -> None:
    palette = palette_of(config(GRID), colors=colors)
    assert colors_of(palette.paints) == [to_hex(color) for color in colors]
    assert [paint.dashes for paint in palette.paints] == [*DASHES[:2]] * 2
    assert list(palette.swatches) == keys


def test_a_line_along_an_axis_has_the_colour_of_its_first_condition() -> None:
    paints = painted(config(GRID), colors=["red", "navy", "purple", "k"], along="loss.target")
    assert colors_of(paints) == [to_hex(c) for c in ("red", "red", "purple", "purple")]


@pytest.mark.slow
@pytest.mark.parametrize("ground", GROUNDS)
def test_any_colormap_stands_out_and_keeps_apart_what_is_told_apart(ground: str) -> None:
    for name in matplotlib.colormaps:
        if name.endswith("_r"):  # the same colours in the other order
            continue
        for count in (1, 5, 19):
            paints = painted(widths(count), colors=name, ground=ground)
            assert min(contrast(tuple(paint.color), ground) for paint in paints) >= LINE, name
            assert min(contrast(tuple(paint.ink), ground) for paint in paints) >= TEXT, name


ACTIVATIONS = ("relu", "tanh", "selu", "gelu", "silu")


def test_in_a_grid_hue_is_for_words_and_dashes_for_the_other_key() -> None:
    grid = config(
        f"init.variance: [0.1, 0.2], network.activation: [{', '.join(ACTIVATIONS)}]".replace(
            "init.variance", "loss.target"
        )
    )
    palette = palette_of(grid)
    hues = dict(zip(ACTIVATIONS, HUES[False], strict=False))
    dashes = {0.1: DASHES[0], 0.2: DASHES[1]}
    for condition, paint in zip(grid.conditions, palette.paints, strict=True):
        assert to_hex(tuple(paint.color)) == hues[str(condition.swept["network.activation"])]
        assert paint.dashes == dashes[float(str(condition.swept["loss.target"]))]
    assert list(palette.swatches) == ["network.activation", "loss.target"]
    shown = palette.swatches["network.activation"]
    assert [(s.value, to_hex(tuple(s.paint.color))) for s in shown] == list(hues.items())
    assert [s.paint.dashes for s in palette.swatches["loss.target"]] == list(dashes.values())
    greys = {to_hex(tuple(s.paint.color)) for s in palette.swatches["loss.target"]}
    assert len(greys) == 1


@pytest.mark.parametrize(
    ("sweep", "order"),
    [
        ("network.width: [5, 6], loss.target: [1, 2]", ["network.width", "loss.target"]),
        ("network.depth: [5, 6], loss.target: [1, 2]", ["loss.target", "network.depth"]),
        (
            "loss.target: [1, 2, 3, 4, 5, 6], network.activation: [relu, tanh]",
            ["loss.target", "network.activation"],
        ),
        (
            "network.depth: [3, 4], loss.target: [1, 2], network.activation: [relu, tanh]",
            ["network.activation", "loss.target", "network.depth"],
        ),
        ("network.depth: [3], loss.target: [1, 2], network.activation: [relu]", []),
        (f"loss.target: {list(range(6))}, network.width: {list(range(2, 8))}", []),
    ],
)
def test_hue_dashes_and_marker_go_by_meaning(sweep: str, order: list[str]) -> None:
    run = config(sweep)
    palette = palette_of(run)
    assert list(palette.swatches) == order
    looks = {(to_hex(tuple(p.color)), p.dashes, p.marker) for p in palette.paints}
    assert len(looks) == len(run.conditions)


def test_a_key_along_the_axis_needs_no_paint() -> None:
    run = config("network.width: [5, 6, 7], network.activation: [relu, tanh]")
    paints = painted(run, along="network.width")
    assert colors_of(paints) == colors_of(painted(config("network.activation: [relu, tanh]"))) * 3


# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0; on linear RGB.
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]


def seen(color: ColorType, eye: Sequence[Sequence[float]]) -> FloatArray:
    """CIELAB (CIE 15:2004, D65) of a colour as an eye sees it."""
    xyz = np.array(XYZ) @ np.clip(np.array(eye) @ linear(color), 0, 1) / np.sum(XYZ, axis=1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def apart(colors: Sequence[ColorType]) -> float:
    """The least distance of two colours, ΔE*ab, for any of the three eyes."""
    eyes = (np.eye(3).tolist(), PROTANOPIA, DEUTERANOPIA)
    return min(
        float(np.linalg.norm(seen(first, eye) - seen(second, eye)))
        for eye in eyes
        for first, second in itertools.combinations(colors, 2)
    )


@pytest.mark.parametrize("dark", [False, True])
def test_hues_of_words_are_told_apart_by_colour_blind_eyes(dark: bool) -> None:
    hues = HUES[dark]
    for hue in hues:  # are taken as they are
        assert contrast(hue, GROUNDS[dark]) >= LINE
    # 2.3 is just noticeable (Mahy et al. 1994): ten times that, side by side or not.
    assert apart(hues) > 23
    assert apart(["#d62728", "#2ca02c"]) < 23  # red and green of matplotlib's own cycle: not so


def test_names_and_paints_are_of_one_order() -> None:
    run = config("network.activation: [relu, tanh], loss.target: [1, 2]")
    assert len(named(run.conditions).full) == len(painted(run)) == 4
