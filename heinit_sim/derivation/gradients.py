"""Gradients of biases and weights: exact identities of any network, and one over networks.

The exact ones hold for the gradients of ℓ = Σ (f_K − 1)² that the package's backward pass gives
against derivatives that need no backward pass: a complex step through a plain forward pass.
"""

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from heinit_sim.derivation.identity import EPSILON, Identity, Sampler, Sides, identity
from heinit_sim.derivation.probes import Networks, mean_square, n_draws, sample_networks
from heinit_sim.experiment.initializers import weight_variance
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.network.losses import least_squares
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import scaled

TARGET = 1.0
SQUARE = (100,) * 5
"""Widths of the networks whose first and last weights are compared. Narrower or deeper ones spread
too far: the relative variance of their gradients is about exp(5 Σ 1/D_h)."""
# Every weight of a layer is moved on its own.
_LARGEST_WIDTH = 16
# Imaginary parts stay linear in the step, whatever its size: signs are those of the real parts.
_STEP = 2.0**-60
_GROUP = "Gradients of biases and weights"
_EXACT = _GROUP, "Prince 2023, ch. 7.4, eq. 7.13"


def derivatives(networks: Networks, k: int, directions: FloatArray) -> FloatArray:
    """∂ℓ/∂f_k along directions, ℓ = Σ (f_{L−1} − TARGET)², with no backward pass.

    A plain forward pass from f_k moved by i times a tiny step gives each as the imaginary part of ℓ
    over that step.

    Args:
        networks: The networks whose loss is differentiated.
        k: Which layer's pre-activations move: by their bias, or by their weights.
        directions: (n_networks, D_{k+1}, n_directions).

    Returns:
        (n_networks, n_directions).

    Source: Squire & Trapp 1998.
    """
    h = networks.x[..., np.newaxis]
    f = networks.stds[0] * (networks.weights[0] @ h)
    for std, omega in zip(networks.stds[1 : k + 1], networks.weights[1 : k + 1], strict=True):
        f = std * (omega @ np.where(f > 0, f, networks.slope * f))
    moved = f + 1j * _STEP * directions
    for std, omega in zip(networks.stds[k + 1 :], networks.weights[k + 1 :], strict=True):
        moved = std * (omega @ np.where(moved.real > 0, moved, networks.slope * moved))
    loss = np.sum((moved - TARGET) ** 2, axis=1)
    derivative: FloatArray = loss.imag / _STEP
    return derivative


class _Gradients(NamedTuple):
    """Activations and gradients of the layers, each (n_networks, units)."""

    h: list[FloatArray]
    dl_df: list[FloatArray]
    h_size: list[FloatArray]
    """Sums of the sizes of the products that h sums: what rounding is relative to."""
    dl_df_size: list[FloatArray]


def _backpropagated(networks: Networks) -> _Gradients:
    """Gradients by the package's loss and backward pass, and the sizes of the terms they sum."""
    h, f = networks.forward()
    output = scaled(f[-1][..., np.newaxis])
    start = least_squares(output, TARGET).gradient
    dl_df = np.ldexp(start.mantissa[..., 0], start.exponent[..., np.newaxis])
    _, gradients = networks.backward(f, dl_df)

    steepest = max(1.0, abs(networks.slope))
    sizes = [std * np.abs(w) for std, w in zip(networks.stds, networks.weights, strict=True)]
    h_size = [np.abs(networks.x)]
    for size in sizes:
        h_size.append(steepest * np.einsum("nij,nj->ni", size, h_size[-1]))
    size_back = [2 * (h_size.pop() + TARGET)]
    for size in sizes[:0:-1]:
        size_back.append(steepest * np.einsum("nij,ni->nj", size, size_back[-1]))
    return _Gradients(h, gradients, h_size, size_back[::-1])


def _rounding(networks: Networks) -> float:
    """Largest rounding error of a gradient, relative to the sum of the sizes of its terms.

    Two computations, each of sums of at most fan + 4 roundings (twice that in complex numbers)
    on the way forward and back.

    Source: Higham 2002, sec. 3.1.
    """
    steps = sum(sum(omega.shape[1:]) + 8 for omega in networks.weights)
    return 2 * 2 * steps * EPSILON


def _sample_narrow(condition: Condition, rng: Generator, n: int) -> Networks:
    widths = [min(width, _LARGEST_WIDTH) for width in condition.widths]
    return sample_networks(rng, n, widths, condition.weight_variances, condition)


def _sample_square(condition: Condition, rng: Generator, n: int) -> Networks:
    layers = list(pairwise(SQUARE))
    networks = sample_networks(rng, n, SQUARE, [1.0] * len(layers), condition)
    critical = [weight_variance(1 / networks.p2, "fan_in", *fans) for fans in layers]
    return replace(networks, variances=tuple(critical))


_NARROW = Sampler(_sample_narrow)
_SQUARE = Sampler(_sample_square, lambda _condition: n_draws(SQUARE))


@identity("bias gradients", "∂ℓ/∂β_k", "∂ℓ/∂f_k", _EXACT, _NARROW)
def _bias_gradients(networks: Networks) -> Sides:
    """f = β + Ω h. Left: complex step of every bias; right: backward pass; all k."""  # noqa: D403  # f is a symbol
    passes = _backpropagated(networks)
    directions = [np.eye(dl_df.shape[1]) for dl_df in passes.dl_df]
    left = [derivatives(networks, k, units) for k, units in enumerate(directions)]
    rounding = _rounding(networks) * np.concatenate(passes.dl_df_size, axis=1)
    return Sides(np.concatenate(left, axis=1), np.concatenate(passes.dl_df, axis=1), rounding)


@identity("weight gradients", "E[(∂ℓ/∂Ω)²]", "E[(∂ℓ/∂f)²] E[h²]", _EXACT, _NARROW)
def _weight_gradients(networks: Networks) -> Sides:
    """∂ℓ/∂Ω = ∂ℓ/∂f hᵀ, for one input. Left: complex step of every weight; all k."""
    passes, off = _backpropagated(networks), _rounding(networks)
    left, right, largest = [], [], []
    for k, (h, dl_df) in enumerate(zip(passes.h, passes.dl_df, strict=True)):
        # Weight (i, j) moves f_i by h_j: one direction for each of them.
        moves = np.eye(dl_df.shape[1])[:, :, np.newaxis] * h[:, np.newaxis, np.newaxis, :]
        gradients = derivatives(networks, k, moves.reshape(*moves.shape[:2], -1))
        left.append(mean_square(gradients))
        right.append(mean_square(dl_df) * mean_square(h))
        sizes = np.abs(dl_df) + off * passes.dl_df_size[k], np.abs(h) + off * passes.h_size[k]
        largest.append(mean_square(sizes[0]) * mean_square(sizes[1]))
    sides = np.stack(left, axis=1), np.stack(right, axis=1)
    return Sides(*sides, 2 * (np.stack(largest, axis=1) - sides[1]))  # either may be off


@identity(
    "weight gradients by layer",
    "E[(∂ℓ/∂Ω_first)²]",
    "E[(∂ℓ/∂Ω_last)²]",
    (_GROUP, "Glorot & Bengio 2010, sec. 4.2.1"),
    _SQUARE,
)
def _first_and_last(networks: Networks) -> Sides:
    """At He's σ²_Ω = {he_in} no layer differs; on four square layers of 100."""
    h, f = networks.forward()
    _, dl_df = networks.backward(f, networks.dl_df)
    first, last = (mean_square(dl_df[k]) * mean_square(h[k]) for k in (0, -1))
    return Sides(first, last)


GRADIENTS: tuple[Identity[Networks], ...] = (_bias_gradients, _weight_gradients, _first_and_last)
