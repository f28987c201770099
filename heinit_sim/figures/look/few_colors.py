"""The colours of a picture, replaced by few of them that are close to all."""

import numpy as np
from numpy.typing import NDArray

MOST = 256
"""As many colours as a byte can number."""
ERROR = 12
"""The furthest that a channel may move, of 255."""
_EXACT = 1 / 5000  # of all pixels: colours of so many, as of lines and areas, stay as they are
_ERRORS = (*range(0, ERROR, 3), ERROR)  # the first that will do

_Colors = NDArray[np.uint8]


def few_colors(pixels: _Colors) -> tuple[_Colors, NDArray[np.uint8]] | None:
    """Find at most `MOST` colours of a picture that are within `ERROR` of all its colours.

    Args:
        pixels: RGBA, (rows, columns, 4).

    Returns:
        The colours, (n, 4), and the number of one for each pixel, (rows, columns); None where so
        few are not enough.
    """
    flat = np.ascontiguousarray(pixels).view(np.uint32).ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))  # of equal pixels
    lengths = np.diff(starts, append=flat.size)
    found, number = np.unique(flat[starts], return_inverse=True)
    counts = np.bincount(number, lengths)
    order = np.argsort(-counts, kind="stable")  # the commonest first
    n_exact = int((counts >= _EXACT * flat.size).sum())
    colors = np.ascontiguousarray(found[order]).view(np.uint8).reshape(-1, 4).T
    colors = np.ascontiguousarray(colors)
    for error in _ERRORS:
        chosen = _covering(colors, error, n_exact)
        if chosen is not None:
            break
    else:
        return None
    numbers = np.empty(len(found), np.uint8)
    numbers[order] = _nearest(colors, colors[:, chosen])
    indices = np.repeat(numbers[number], lengths).reshape(pixels.shape[:2])
    return np.ascontiguousarray(colors[:, chosen].T), indices


def _covering(colors: _Colors, error: int, n_exact: int) -> list[int] | None:
    """Choose colours, (4, n), so that all are within an error of one; None if that takes too many.

    The first `n_exact` are chosen, then always the first that is left.
    """
    chosen: list[int] = []
    left = np.ones(colors.shape[1], bool)
    while left.any():
        if len(chosen) == MOST:
            return None
        next_one = int(left.argmax())
        chosen.append(next_one)
        within = error if next_one >= n_exact else 0
        left &= _distance(colors, colors[:, next_one : next_one + 1]) > within
    return chosen


def _nearest(colors: _Colors, chosen: _Colors) -> NDArray[np.uint8]:
    """Return for each colour, (4, n), the number of the chosen one that is nearest, (n,)."""
    best = _distance(colors, chosen[:, :1])
    numbers = np.zeros(colors.shape[1], np.uint8)
    for n in range(1, chosen.shape[1]):
        apart = _distance(colors, chosen[:, n : n + 1])
        nearer = apart < best
        numbers[nearer] = n
        np.minimum(best, apart, out=best)
    return numbers


def _distance(colors: _Colors, other: _Colors) -> _Colors:
    """Return how far the channel moves that moves furthest, (n,)."""
    moved: _Colors = (np.maximum(colors, other) - np.minimum(colors, other)).max(axis=0)
    return moved
