from collections.abc import Sequence

import numpy as np
import pytest

from heinit_sim.figures.axes.curves import QUANTITIES, curves_of
from heinit_sim.figures.axes.lines import Line, band_styles
from heinit_sim.figures.look.painting import Paint
from tests.figures.helpers import SHEET, figure_7_4

GREY = Paint(np.full(4, 0.5), np.full(4, 0.5))


def bands(
    ranges: Sequence[tuple[float, float]], *, n_layers: int = 11, depths: Sequence[int] = ()
) -> list[Line]:
    lines = []
    for n, (low, high) in enumerate(ranges):
        x = np.arange(depths[n] if depths else n_layers, dtype=float)
        middle = np.full_like(x, (low + high) / 2)
        edges = np.full_like(x, low), np.full_like(x, high)
        lines.append(Line(n, "", "", GREY, x, middle, *edges, np.full_like(x, np.nan)))
    return lines


def ladder(n: int, height: float) -> list[tuple[float, float]]:
    return [(float(i), i + height) for i in range(n)]


@pytest.mark.parametrize(
    ("ranges", "styles"),
    [
        ([(0, 1)] * 4, ["filled"] * 4),
        ([(0, 1)] * 5, ["outline"] * 5),
        (ladder(9, 3.5), ["filled"] * 9),  # four lie on each other
        (ladder(8, 4.5), ["outline"] * 8),  # five do
        (ladder(9, 4.5), ["outline", *["none"] * 7, "outline"]),
        ([(0, 1)] * 5 + [(2, 3)], [*["outline"] * 5, "filled"]),
        ([(-np.inf, 1)] * 5, ["outline"] * 5),
        ([(np.nan, np.nan)] * 5, ["filled"] * 5),
        ([], []),
    ],
)
def test_more_than_four_bands_on_each_other_give_way(
    ranges: list[tuple[float, float]], styles: list[str]
) -> None:
    assert band_styles(bands(ranges)) == styles


@pytest.mark.parametrize("layers", [4, 8])
def test_bands_that_meet_on_few_layers_stay_areas(layers: int) -> None:
    lines = bands(ladder(5, 0.5))
    for line in lines:
        line.low[:layers], line.high[:layers] = 0.0, 1.0
    assert band_styles(lines) == ["filled" if layers < 6 else "outline"] * 5


def test_lines_of_other_depths_are_compared_where_both_are() -> None:
    assert band_styles(bands([(0, 1)] * 5, depths=[3, 5, 21, 21, 21])) == [
        *["outline"] * 2,
        *["filled"] * 3,
    ]


def test_the_bands_of_figure_7_4_stay_areas() -> None:
    for direction in QUANTITIES:
        assert band_styles(curves_of(figure_7_4(), direction, SHEET)) == ["filled"] * 5
