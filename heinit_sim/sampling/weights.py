"""Weights of variance 1 in each of the distributions that schemes name."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from heinit_sim.experiment.initializers import CUT, Distribution, truncated_std, zeros_in_column
from heinit_sim.numerics import FloatArray


def _normal(out: FloatArray, rng: Generator) -> None:
    rng.standard_normal(out=out)


def _uniform(out: FloatArray, rng: Generator) -> None:
    """Uniform between ±√3."""
    rng.random(out=out)
    out -= 0.5
    out *= np.sqrt(12.0)


def _truncated_normal(out: FloatArray, rng: Generator, cut: float = CUT) -> None:
    """A normal number that is drawn again beyond the cut, then widened."""
    rng.standard_normal(out=out)
    while (beyond := np.abs(out) > cut).any():
        out[beyond] = rng.standard_normal(np.count_nonzero(beyond))
    out /= truncated_std(cut)


def _orthogonal(out: FloatArray, rng: Generator) -> None:
    """Haar measure: rows or columns, whichever are fewer, are orthogonal and of equal norm.

    A convolution has a row for each of its outputs, (c_out, taps · c_in).

    Source: Mezzadri 2007, How to generate random matrices from the classical compact groups.
    """
    shape = len(out), out[0].size
    fewer, more = sorted(shape)
    q, r = np.linalg.qr(rng.standard_normal((more, fewer)))
    q *= np.copysign(np.sqrt(more), np.diagonal(r))  # else the law of q leans on how QR is done
    out[...] = (q if shape == q.shape else q.T).reshape(out.shape)


def _delta_orthogonal(out: FloatArray, rng: Generator) -> None:
    """Zero but for the centre of every kernel: there an orthogonal matrix (c_out, c_in).

    Source: Xiao et al. 2018, Dynamical isometry and a mean field theory of CNNs.
    """
    if out.ndim == 2:  # fully connected: one tap, the centre
        _orthogonal(out, rng)
        return
    taps = out.shape[1]
    centre = np.empty((out.shape[0], out.shape[2]))
    _orthogonal(centre, rng)
    out[...] = 0.0
    out[:, taps // 2] = np.sqrt(taps) * centre  # mean square 1 over all taps


def _sparse(out: FloatArray, rng: Generator, sparsity: float = 0.5) -> None:
    """Normal but for zeros, as many in each column, in random rows.

    Source: torch.nn.init.sparse_, after Martens 2010, Deep learning via Hessian-free optimization.
    """
    rng.standard_normal(out=out)
    rows = len(out)
    zeros = zeros_in_column(sparsity, rows)
    if zeros == 0:
        return
    order = rng.random(out.shape)  # the zeros are where its smallest numbers are
    out[order <= np.partition(order, zeros - 1, axis=0)[zeros - 1]] = 0.0
    if zeros < rows:
        out /= np.sqrt(1 - zeros / rows)


def _identity(out: FloatArray, rng: Generator) -> None:
    """Ones on the diagonal, of a convolution in the centre of every kernel; none is random.

    Source: torch.nn.init.eye_ and dirac_.
    """
    out[...] = 0.0
    matrix = out if out.ndim == 2 else out[:, out.shape[1] // 2]
    np.fill_diagonal(matrix, np.sqrt(out.size / min(matrix.shape)))


WeightLaw = Callable[[FloatArray, Generator], None]
WEIGHT_LAWS: dict[Distribution, Callable[..., None]] = {
    "normal": _normal,
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
    "truncated_normal_uncorrected": _truncated_normal,
    "orthogonal": _orthogonal,
    "delta_orthogonal": _delta_orthogonal,
    "sparse": _sparse,
    "identity": _identity,
}
"""Distribution -> what fills Ω_k/σ_k with numbers of mean square 1, random ones of mean 0.

(fan_out, fan_in) of a fully connected layer, (c_out, taps, c_in) of a convolution.
"""


def weight_law(distribution: Distribution, option: float | None = None) -> WeightLaw:
    """The law of that distribution with its option, the cut or the sparsity, if there is one."""
    law = WEIGHT_LAWS[distribution]
    return law if option is None else lambda out, rng: law(out, rng, option)
