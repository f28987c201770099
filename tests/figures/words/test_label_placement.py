import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from heinit_sim.figures.words.label_placement import (
    Pixels,
    Spot,
    around,
    beside,
    pixels_along,
    slanted,
    write_labels,
)


@pytest.fixture
def ax() -> Axes:
    panel = Figure(figsize=(5, 4)).add_axes((0.1, 0.1, 0.8, 0.8))
    panel.set_xlim(0, 10)
    panel.set_ylim(0, 10)
    return panel


def far_away() -> Pixels:
    return np.array([-1e6 + 0j])


def notes(ax: Axes) -> list[Annotation]:
    return [text for text in ax.texts if isinstance(text, Annotation)]


def test_a_line_is_covered_every_few_pixels_from_end_to_end(ax: Axes) -> None:
    corners = np.array([(1.0, 1.0), (4.0, 5.0), (4.0, 9.0)])
    pixels = pixels_along(ax, corners)
    assert abs(np.diff(pixels)).max() <= 3 + 1e-9
    ends = ax.transData.transform(corners[[0, -1]]) @ [1, 1j]
    np.testing.assert_allclose(pixels[[0, -1]], ends, rtol=1e-12, atol=0)


def test_labels_stand_above_their_circle_where_nothing_is_in_the_way(ax: Axes) -> None:
    assert write_labels(ax, [("here", "k", around((5.0, 5.0)))], far_away()) is not None
    (note,) = notes(ax)
    assert note.get_window_extent().y0 > ax.transData.transform((5.0, 5.0))[1]


def test_labels_shun_what_is_taken(ax: Axes) -> None:
    ceiling = pixels_along(ax, np.array([(0.0, 5.5), (10.0, 5.5)]))
    assert write_labels(ax, [("here", "k", around((5.0, 5.0)))], ceiling) is not None
    (note,) = notes(ax)
    assert note.get_horizontalalignment() == "left"
    box = note.get_window_extent()
    assert box.y1 < ceiling.imag.min()


def test_labels_shun_each_other_or_none_is_written(ax: Axes) -> None:
    spot = [Spot((5.0, 5.0), (0, 9), "center", "bottom")]
    assert write_labels(ax, [("one", "k", spot), ("two", "k", spot)], far_away()) is None
    assert not ax.texts


@pytest.mark.parametrize("point", [(0.1, 5.0), (9.9, 5.0), (5.0, 9.5)])
def test_labels_stay_inside_the_panel(ax: Axes, point: tuple[float, float]) -> None:
    assert write_labels(ax, [("a long label", "k", around(point))], far_away()) is not None
    box, panel = notes(ax)[0].get_window_extent(), ax.get_window_extent()
    assert panel.x0 < box.x0 < box.x1 < panel.x1
    assert panel.y0 < box.y0 < box.y1 < panel.y1


@pytest.mark.parametrize("x", [1.0, 9.0])
def test_slanted_labels_cover_the_pixels_that_are_drawn(ax: Axes, x: float) -> None:
    covered = write_labels(ax, [("a long label", "k", slanted((x, 5.0)))], far_away())
    assert covered is not None
    (note,) = notes(ax)
    assert note.get_rotation() == (35.0 if x < 5 else 325.0)
    drawn, pixels = note.get_window_extent(), covered[1:]
    # matplotlib's box of a turned text is the upright one around it; it rounds to pixels.
    found = (pixels.real.min(), pixels.real.max(), pixels.imag.min(), pixels.imag.max())
    for ours, theirs in zip(found, (drawn.x0, drawn.x1, drawn.y0, drawn.y1), strict=True):
        assert math.isclose(ours, theirs, abs_tol=2.0)


def test_names_stand_beside_their_line(ax: Axes) -> None:
    points = np.array([(2.0, 0.0), (4.0, 10.0)])
    line = pixels_along(ax, points)
    assert write_labels(ax, [("name", "k", beside(points))], line) is not None
    box = notes(ax)[0].get_window_extent()
    assert box.x0 > np.interp((box.y0 + box.y1) / 2, line.imag, line.real)
