import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgba

from heinit_sim.figures.look.contrast import contrast, is_dark, legible, luminance


def test_contrast_is_that_of_wcag() -> None:
    assert abs(contrast("white", "black") - 21) < 21e-12
    assert abs(contrast("#777777", "white") - 4.48) < 0.005  # WebAIM's example, as printed
    assert abs(contrast("#767676", "white") - 4.54) < 0.005
    assert contrast("#ff0000", "white") == contrast("white", "#ff0000")
    assert abs(luminance("#ff0000") - 0.2126) < 1e-12


def test_colours_that_stand_out_stay_as_they_are() -> None:
    np.testing.assert_array_equal(legible("navy", "white", 4.5), to_rgba("navy"))
    assert legible((1.0, 1.0, 0.0, 0.25), "white", 3.0)[3] == 0.25


@pytest.mark.parametrize("ground", ["white", "#16181d", "0.5", "#ffeedd", "red"])
@pytest.mark.parametrize("color", ["#fdae32", "yellow", "0.5", "blue", "#10c070", "white", "black"])
def test_others_change_in_lightness_no_further_than_needed(color: str, ground: str) -> None:
    found = tuple(legible(color, ground, 4.5))
    assert contrast(found, ground) >= 4.5
    if contrast(color, ground) < 4.5:
        assert contrast(found, ground) < 4.5 * 1.04  # a step of lightness
        assert is_dark(ground) == (luminance(found) > luminance(color))


@pytest.mark.parametrize("color", ["#fdae32", "#10c070", "#d050d0"])
def test_the_hue_stays(color: str) -> None:
    hue, found = (
        rgb_to_hsv(np.array(to_rgba(c))[:3])[0]
        for c in (color, tuple(legible(color, "white", 4.5)))
    )
    assert abs(hue - found) < 0.03  # OKLab's hue and HSV's go apart a little
