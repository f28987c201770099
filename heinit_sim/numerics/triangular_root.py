"""H = Q R, R upper-triangular, of tall matrices whose columns may be dependent: all but Q itself.

Only HᵀH is factored, which takes little time and no array of H's size, where that is good enough.
Where columns are nearly dependent, the part along the first of them is taken off before: rounding
of what is left is relative to itself then, and no longer to what all columns have in common.
"""

from typing import NamedTuple

import numpy as np

from heinit_sim.numerics import FloatArray

# A column lies in the span of those before it if it leaves a combination of columns whose squared
# norm is less than this share of what it is added up from: some thousand times its rounding.
_DEPENDENT = 2.0**-40
# From this share of its squared norm down, what a column leaves has lost digits that count.
_CANCELS = 2.0**-20
# Squared norms beyond these may have lost what their squares hold.
_SMALLEST, _LARGEST = 2.0**-800, 2.0**1000


class TriangularRoot(NamedTuple):
    """The factors of H = Q R; Q is `span(H)` times `inverse`."""

    root: FloatArray
    """R, (..., columns, columns); 0 are the rows of columns in the span of those before them."""
    inverse: FloatArray
    """(..., columns, columns); where R has a row of zeros it has a column of them, as Q then."""
    taken: FloatArray | None
    """What H is multiplied by before `inverse`; None: nothing."""

    def span(self, h: FloatArray) -> FloatArray:
        """Return a matrix whose columns span what those of H do, H itself where that serves."""
        return h if self.taken is None else h @ self.taken


def triangular_root(h: FloatArray) -> TriangularRoot:
    """The factors of each matrix of a stack, (..., rows, columns); NaN of those that hold NaN.

    No matrix has a part in the result of another one.
    """
    identity = np.eye(h.shape[-1])
    gram, taken, shift = _gram(h), None, None
    squares = _diagonal(gram)
    if not ((squares > _SMALLEST) & (squares < _LARGEST)).all():
        size = np.abs(h).max(axis=-2)
        shift = np.where(np.isnan(size), 0, np.frexp(size)[1])[..., np.newaxis, :]
        taken = np.ldexp(identity, -shift)
        gram = _gram(h @ taken)
        squares = _diagonal(gram)
    root, inverse = _factors(gram)
    cancels = (_diagonal(root) ** 2 < _CANCELS * squares).any(axis=-1)
    if cancels.any():
        first = np.where(cancels & (squares[..., 0] > 0), squares[..., 0], np.inf)
        along = gram[..., :1, :] / first[..., np.newaxis, np.newaxis]
        along[..., 0] = 0.0
        off = np.broadcast_to(identity, gram.shape).copy()
        off[..., :1, :] -= along
        taken = off if taken is None else taken @ off
        root, inverse = _factors(_gram(h @ taken))
        root[..., :1, :] += root[..., :1, :1] * along
    if shift is not None:
        root = np.ldexp(root, shift)
    return TriangularRoot(root, inverse, taken)


def _gram(h: FloatArray) -> FloatArray:
    gram: FloatArray = h.swapaxes(-1, -2) @ h
    return gram


def _diagonal(matrix: FloatArray) -> FloatArray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _factors(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """R of RᵀR = G, a row of zeros for each column that depends on others, and its inverse."""
    lengths = np.sqrt(_diagonal(gram))
    rest, root, inverse = gram.copy(), np.zeros_like(gram), np.zeros_like(gram)
    for i in range(gram.shape[-1]):
        combination = (inverse[..., :i] @ -root[..., :i, i, np.newaxis])[..., 0]
        combination[..., i] = 1.0  # the pivot is the squared norm of this combination of columns
        pivot, parts = rest[..., i, i], np.vecdot(np.abs(combination), lengths)
        dependent = pivot <= _DEPENDENT * parts**2  # NaN is not, and goes on
        length = np.sqrt(np.where(dependent, np.inf, pivot))[..., np.newaxis]
        row = rest[..., i, i:] / length
        root[..., i, i:] = row
        inverse[..., i] = combination / length
        rest[..., i:, i:] -= row[..., :, np.newaxis] * row[..., np.newaxis, :]
    return root, inverse
