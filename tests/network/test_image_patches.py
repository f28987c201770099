"""Padding, parts and memory of the blocks that convolutions are taken in."""

import numpy as np
import pytest

from heinit_sim.experiment.steps import Window
from heinit_sim.network.image_patches import Plane, borrowed, pad, parts, plane_of, share


@pytest.mark.parametrize("circular", [True, False])
@pytest.mark.parametrize(("size", "kernel"), [((4, 3), (3, 5)), ((1, 5), (1, 9)), ((4, 1), (7, 1))])
def test_any_window_of_the_padded_images_is_that_of_numpy_pad(
    size: tuple[int, int], kernel: tuple[int, int], circular: bool
) -> None:
    images = np.random.default_rng(0).standard_normal((2, *size, 3))
    plane = Plane(*size, *kernel, circular)
    edges = [(k // 2, k // 2) for k in kernel]
    padded = np.pad(images, [(0, 0), *edges, (0, 0)], mode="wrap" if circular else "constant")
    height, width = padded.shape[1:3]
    for line in range(height):
        for column in range(width):
            into = np.full((2, height - line, width - column, 3), np.nan)
            pad(into, images, plane, line, column)
            assert np.array_equal(into, padded[:, line:, column:])
    into = np.full((2, 1, 1, 3), np.nan)
    pad(into, images, plane)
    assert np.array_equal(into, padded[:, :1, :1])


def test_an_image_of_one_dimension_is_a_line_or_a_column() -> None:
    line = Window((7,), 3, "zero")
    assert plane_of(line) == Plane(1, 7, 1, 3, circular=False)
    assert plane_of(line, upright=True) == Plane(7, 1, 3, 1, circular=False)
    square = Window((7, 5), 3)
    assert plane_of(square) == plane_of(square, upright=True) == Plane(7, 5, 3, 3, circular=True)


@pytest.mark.parametrize("size", [1, 7, 16])
@pytest.mark.parametrize("most", [-3, 0, 1, 5, 15, 99])
def test_parts_are_nearly_equal_and_no_longer_than_they_may_be(size: int, most: int) -> None:
    length = share(size, most)
    lengths = [part.stop - part.start for part in parts(size, length)]
    assert sum(lengths) == size
    assert max(lengths) == length <= max(most, 1)
    assert len(lengths) == -(-size // max(min(most, size), 1))


def test_arrays_that_are_lent_at_the_same_time_share_no_memory() -> None:
    with borrowed((2, 3), (4,)) as (a, b):
        with borrowed((2, 3)) as (c,):
            a[...], b[...], c[...] = 1.0, 2.0, 3.0
        assert (a == 1.0).all()
        assert (b == 2.0).all()
    with borrowed((5, 5)) as (larger,):
        assert larger.shape == (5, 5)
