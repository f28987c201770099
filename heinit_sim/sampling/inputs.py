"""Inputs drawn by their law or from their data set, and what is known of them beforehand.

Components of drawn inputs are mean + std · u, u of mean 0 and variance 1 (constant: u = 0), and
u itself if they are normalised: by the mean and standard deviation of their law.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from heinit_sim.experiment.inputs import InputDistribution, Inputs
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.weights import WEIGHT_LAWS

# Components at a time where norms are sampled.
_BLOCK = 2**20


class InputLaw(NamedTuple):
    """The law of u."""

    fill: Callable[[FloatArray, Generator, Inputs], None]
    """Fills (n_inputs, D_0), row by row: more inputs begin with the fewer."""
    second: float
    """E[u²]."""
    fourth: Callable[[Inputs], float]
    """E[u⁴]; u is symmetric."""


def _sparse(out: FloatArray, rng: Generator, inputs: Inputs) -> None:
    """N(0, 1/ρ) with probability ρ, else 0."""
    for row in out:
        rng.standard_normal(out=row)
        row[rng.random(len(row)) >= inputs.density] = 0.0
    out /= math.sqrt(inputs.density)


def _pair(out: FloatArray, rng: Generator, inputs: Inputs) -> None:
    """Rows x₁ ~ N(0, I) and x₂ = c x₁ + √(1−c²) ‖x₁‖ w, w uniform on the sphere across x₁.

    ‖x₂‖ = ‖x₁‖ and its direction is uniform, so x₂ ~ N(0, I) as well.
    """
    rng.standard_normal(out=out)
    first, second = out[0::2], out[1::2]
    norm = np.linalg.norm(first, axis=1, keepdims=True)
    along = first / norm
    for _ in range(2):  # again for what rounding left, as much as ever if D_0 = 2
        second -= np.vecdot(second, along)[:, np.newaxis] * along
        second /= np.linalg.norm(second, axis=1, keepdims=True)
    second *= math.sqrt((1 - inputs.cosine) * (1 + inputs.cosine)) * norm
    second += inputs.cosine * first


_NORMAL = InputLaw(lambda out, rng, _: WEIGHT_LAWS["normal"](out, rng), 1.0, lambda _: 3.0)
INPUT_LAWS: dict[InputDistribution, InputLaw] = {
    "standard_normal": _NORMAL,
    "normal": _NORMAL,
    "uniform": InputLaw(lambda out, rng, _: WEIGHT_LAWS["uniform"](out, rng), 1.0, lambda _: 9 / 5),
    "constant": InputLaw(lambda out, rng, _: out.fill(0.0), 0.0, lambda _: 0.0),
    "sparse": InputLaw(_sparse, 1.0, lambda inputs: 3 / inputs.density),
    "pair": InputLaw(_pair, 1.0, lambda _: 3.0),
}


def fill_inputs(out: FloatArray, rng: Generator, inputs: Inputs) -> None:
    """Fill (n_inputs, D_0) with the inputs of one trial, example by example."""
    if data_sets.is_data_set(inputs):
        data_sets.fill_examples(out, rng, inputs)
        return
    INPUT_LAWS[inputs.distribution].fill(out, rng, inputs)
    shift, factor = _affine(inputs)
    if (shift, factor) != (0.0, 1.0):
        out *= factor
        out += shift


def is_standard(inputs: Inputs) -> bool:
    """Whether the inputs of a batch are independent and x ~ N(0, I)."""
    normal = inputs.distribution in ("standard_normal", "normal")
    return normal and _affine(inputs) == (0.0, 1.0)


def norm_moments(inputs: Inputs, dim: int) -> tuple[float, float]:
    """E‖x‖² and E‖x‖⁴ of inputs of D_0 = `dim` components.

    With x = m + s u: E x² = m² + s² E[u²], and as u is symmetric
    Var x² = 4 m² s² E[u²] + s⁴ Var u²; components are independent. Inputs from a data set have the
    means over its examples, each of which is as likely.
    """
    if data_sets.is_data_set(inputs):
        squared = np.exp(data_sets.log_norms(inputs))
        return float(squared.mean()), float((squared**2).mean())
    law, (shift, factor) = INPUT_LAWS[inputs.distribution], _affine(inputs)
    second = dim * (shift**2 + factor**2 * law.second)
    spread = law.fourth(inputs) - law.second**2
    variance = dim * (4 * (shift * factor) ** 2 * law.second + factor**4 * spread)
    return second, second**2 + variance


def zero_probability(inputs: Inputs, dim: int) -> float:
    """P(x = 0) of inputs of D_0 = `dim` components."""
    if data_sets.is_data_set(inputs):
        return float(np.isneginf(data_sets.log_norms(inputs)).mean())
    if inputs.distribution == "sparse":
        return float((1 - inputs.density) ** dim)
    return float(inputs.distribution == "constant" and _affine(inputs)[0] == 0.0)


def component_variance(inputs: Inputs) -> float:
    """Variance of x_j about the mean of all components, over components and inputs."""
    if data_sets.is_data_set(inputs):
        return float(data_sets.normalised_rows(inputs).var())
    return _affine(inputs)[1] ** 2 * INPUT_LAWS[inputs.distribution].second


def sample_log_norms(inputs: Inputs, dim: int, count: int, rng: Generator) -> FloatArray:
    """Draw ln ‖x‖² of `count` inputs, each of another network, from D_0 = `dim` components."""
    if data_sets.is_data_set(inputs):
        return rng.choice(data_sets.log_norms(inputs), count)
    if is_standard(inputs) or inputs.distribution == "pair":
        return np.log(2 * rng.standard_gamma(np.full(count, dim / 2)))
    size = max(_BLOCK // dim, 1)
    squares = []
    for start in range(0, count, size):
        x = np.empty((min(size, count - start), dim))
        fill_inputs(x, rng, inputs)
        squares.append(np.vecdot(x, x))
    with np.errstate(divide="ignore"):  # an input that is all zero
        ln: FloatArray = np.log(np.concatenate(squares))
    return ln


def _affine(inputs: Inputs) -> tuple[float, float]:
    """Shift and factor of x = shift + factor · u."""
    return (inputs.mean, inputs.std) if inputs.normalisation == "none" else (0.0, 1.0)
