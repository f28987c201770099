import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim.figures.look.few_colors import ERROR, MOST, few_colors
from tests.rows import slow_but

Pixels = NDArray[np.uint8]


def ramps(n_lines: int, ground: tuple[int, ...], wide: int = 200) -> Pixels:
    """Colours on a wide ground, each with all of its mixtures once, as edges have them."""
    rng = np.random.default_rng(n_lines)
    colors = rng.integers(0, 256, (n_lines, 4))
    colors[:, 3] = 255
    share = np.linspace(0, 1, 256)[None, :, None]
    mixed = (1 - share) * colors[:, None] + share * np.array(ground)
    return np.concatenate([np.round(mixed), np.tile(ground, (wide, 256, 1))]).astype(np.uint8)


def noise(size: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (size, size, 4), dtype=np.uint8)


def restored(pixels: Pixels) -> Pixels:
    reduced = few_colors(pixels)
    assert reduced is not None
    palette, indices = reduced
    assert len(palette) <= MOST
    return palette[indices]


@pytest.mark.parametrize("ground", [(255, 255, 255, 255), (22, 24, 29, 255), (0, 0, 0, 0)])
@pytest.mark.parametrize("n_lines", slow_but([1, 4, 8], 4))
def test_no_channel_moves_further_than_the_error(n_lines: int, ground: tuple[int, ...]) -> None:
    pixels = ramps(n_lines, ground)
    moved = np.abs(restored(pixels).astype(int) - pixels)
    assert (0 < moved.max() <= ERROR) if n_lines > 1 else (moved.max() == 0)


def test_as_many_colours_as_there_is_room_for_are_kept_as_they_are() -> None:
    grey = np.arange(MOST, dtype=np.uint8)
    pixels = np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=1)[None]
    np.testing.assert_array_equal(restored(pixels), pixels)


def test_colours_of_lines_and_areas_stay_though_they_are_near_each_other() -> None:
    pixels = ramps(4, (255, 255, 255, 255))
    near = np.array([[200, 40, 30, 255], [203, 43, 33, 255]], np.uint8)
    pixels[-2:] = near[:, None]
    np.testing.assert_array_equal(restored(pixels)[-2:], pixels[-2:])
    assert (restored(pixels) != pixels).any()


def test_more_colours_than_a_palette_is_near_to_are_refused() -> None:
    assert few_colors(noise(100)) is None


@pytest.mark.slow
def test_each_pixel_takes_the_nearest_colour_of_the_palette() -> None:
    pixels = ramps(4, (255, 255, 255, 255))
    reduced = few_colors(pixels)
    assert reduced is not None
    palette, indices = reduced
    apart = np.abs(pixels[:, :, None].astype(int) - palette.astype(int)).max(-1)
    taken = np.take_along_axis(apart, indices[..., None].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(taken, apart.min(-1))
