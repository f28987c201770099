"""Padded images cut into blocks, with which the matrix products of a convolution are taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise, product
from math import prod
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import Window
from heinit_sim.numerics import FloatArray

BLOCK = 2**18
"""Numbers in a block, 2 MiB: as much as the cache bears, for long calls."""

# Memory that no call uses. Mapping it anew takes as long as the products of a small layer.
_SPARE: list[FloatArray] = []


class Plane(NamedTuple):
    """Image and kernel in two dimensions."""

    height: int
    width: int
    kernel_height: int
    kernel_width: int
    circular: bool
    stride: int = 1
    turned: bool = False
    """Whether kernels are turned by 180°, which moves the centre of even ones."""

    @property
    def shape_out(self) -> tuple[int, int]:
        """Height and width of what leaves."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def centre(self) -> tuple[int, int]:
        """The tap that sees the position itself, down and across."""
        down, across = self.kernel_height - 1, self.kernel_width - 1
        return ((down + self.turned) // 2, (across + self.turned) // 2)


def plane_of(window: Window, *, upright: bool = False) -> Plane:
    """Images of one dimension are one line high, or one column wide if `upright`."""
    circular, kernel, stride = window.padding == "circular", window.kernel, window.stride
    if len(window.image) == 2:
        return Plane(*window.image, kernel, kernel, circular, stride)
    (length,) = window.image
    if upright:
        return Plane(length, 1, kernel, 1, circular, stride)
    return Plane(1, length, 1, kernel, circular, stride)


def pad(out: FloatArray, images: FloatArray, plane: Plane, line: int = 0, column: int = 0) -> None:
    """Copy images, (count, height, width, ...), from a line and column of the padded ones on."""
    above, beside = plane.centre
    lines = _runs(line - above, out.shape[1], plane.height)
    columns = _runs(column - beside, out.shape[2], plane.width)
    for (down, y, over_top), (right, x, over_side) in product(lines, columns):
        outside = (over_top or over_side) and not plane.circular
        out[:, down, right] = 0.0 if outside else images[:, y, x]


def share(size: int, most: int) -> int:
    """Length of equal parts of a size: at most so much, but 1 at least."""
    parts = -(-size // max(most, 1))
    return -(-size // parts)


def parts(size: int, length: int) -> list[slice]:
    """A size in parts of that length; the last may be shorter."""
    return [slice(start, min(start + length, size)) for start in range(0, size, length)]


@contextmanager
def borrowed(*shapes: tuple[int, ...]) -> Iterator[list[FloatArray]]:
    """Lend arrays of these shapes, which hold anything, until the end of the `with` block."""
    ends = list(accumulate(map(prod, shapes)))
    try:
        memory = _SPARE.pop()
    except IndexError:
        memory = np.empty(0)
    if memory.size < ends[-1]:
        memory = np.empty(ends[-1])
    try:
        starts = [0, *ends]
        yield [memory[i:j].reshape(s) for (i, j), s in zip(pairwise(starts), shapes, strict=True)]
    finally:
        _SPARE.append(memory)


def _runs(start: int, count: int, size: int) -> list[tuple[slice, slice, bool]]:
    """Cut `count` places from `start` on at the multiples of `size`, of which 0 and it are edges.

    Each piece has its slice of them, its slice modulo the size, and whether it is beyond an edge.
    """
    first = start - start % size + size
    cuts = [start, *range(first, start + count, size), start + count]
    pieces = []
    for low, high in pairwise(cuts):
        inside = low % size
        place, source = slice(low - start, high - start), slice(inside, inside + high - low)
        pieces.append((place, source, low != inside))
    return pieces
