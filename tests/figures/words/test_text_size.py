import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from heinit_sim.figures.words.text_size import extents, text_width


@pytest.mark.parametrize("family", ["DejaVu Sans", "DejaVu Serif", "STIXGeneral"])
@pytest.mark.parametrize(
    "text", ["0.25", "A", "gQ@&±−…", r"$\sigma^2_\Omega$ = 0.02", "5–95 % of networks, ∂ℓ/∂h"]
)
def test_the_box_of_an_outline_is_the_one_matplotlib_finds(text: str, family: str) -> None:
    outline = TextPath((0, 0), text, size=1, prop=FontProperties(family=[family]))
    assert np.array_equal(extents(outline).get_points(), outline.get_extents().get_points())


@pytest.mark.parametrize("control", [[(1, 3)], [(2, 3), (-1, -2)]], ids=["second", "third"])
def test_a_curve_beyond_its_ends_is_seen(control: list[tuple[float, float]]) -> None:
    points = [(0.0, 0.0), *control, (1.0, 0.0), (0.0, 0.5), (0.0, 0.0)]
    curve = [Path.CURVE3, Path.CURVE4][len(control) - 1]
    codes = [Path.MOVETO, *[curve] * (len(control) + 1), Path.LINETO, Path.CLOSEPOLY]
    outline = Path(points, np.array(codes))
    box, ends = extents(outline), Path(points[-3:-1]).get_extents()
    assert np.array_equal(box.get_points(), outline.get_extents().get_points())
    assert box.y1 > ends.y1


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_what_has_no_outline_has_no_width(text: str) -> None:
    assert text_width(text) == 0
