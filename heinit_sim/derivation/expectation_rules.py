"""The rules of expectation and of variance, each sampled in independent samples of many draws.

The two sides of the rules 2 to 4 have draws of their own: from the same draws the rules 2 and 3
would be algebra. Below, f(x) = x², g(x) = |x|, and x, y, z ~ N(0, 1).
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from heinit_sim.derivation.identity import EPSILON, Identity, Sampler, Sides, identity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray

KAPPA = 3.0
N_DRAWS = 1000
"""Draws in each sample."""
_CONSTANTS = Sampler(lambda _condition, _rng, n: np.full((n, N_DRAWS), KAPPA))
_RULES = "Rules of expectation", "Prince 2023, app. C"
_VARIANCE = "Variance", "Prince 2023, app. C"
_PRODUCT = "Variance", "Fleuret, EE-559, lecture 5.5"


def _normals(count: int) -> Sampler[tuple[FloatArray, ...]]:
    """Draw that many arrays of standard-normal numbers, each (n, N_DRAWS)."""

    def sample(_condition: Condition, rng: Generator, n: int) -> tuple[FloatArray, ...]:
        return tuple(rng.standard_normal((count, n, N_DRAWS)))

    return Sampler(sample, lambda _condition: count * N_DRAWS)


def _with_mean(_condition: Condition, rng: Generator, n: int) -> tuple[FloatArray, FloatArray]:
    x = 1.0 + rng.standard_normal((n, N_DRAWS))
    return x, x.mean(axis=1, keepdims=True)


def _sample_factors(_condition: Condition, rng: Generator, n: int) -> tuple[FloatArray, FloatArray]:
    """Draw independent A = ½ + z and B = |z|: neither has mean 0."""
    a, b = rng.standard_normal((2, n, N_DRAWS))
    return 0.5 + a, np.abs(b)


_FACTORS = Sampler(_sample_factors, lambda _condition: 2 * N_DRAWS)


@identity("rule 1", "E[κ]", "κ", _RULES, _CONSTANTS)
def _rule_1(constants: FloatArray) -> Sides:
    """The expectation of a constant is the constant."""
    left = constants.mean(axis=1)
    # A sum of m terms of size κ is off by at most m ε times their sum.
    return Sides(left, np.full_like(left, KAPPA), np.full_like(left, N_DRAWS * EPSILON * KAPPA))


@identity("rule 2", "E[κ f(x)]", "κ E[f(x)]", _RULES, _normals(2))
def _rule_2(x: tuple[FloatArray, ...]) -> Sides:
    """A constant factor moves out; κ = 3, f(x) = x²."""
    return Sides((KAPPA * x[0] ** 2).mean(axis=1), KAPPA * (x[1] ** 2).mean(axis=1))


@identity("rule 3", "E[f(x) + g(x)]", "E[f(x)] + E[g(x)]", _RULES, _normals(3))
def _rule_3(x: tuple[FloatArray, ...]) -> Sides:
    """A sum splits, also where its terms depend on each other; g(x) = |x|."""
    left = (x[0] ** 2 + np.abs(x[0])).mean(axis=1)
    return Sides(left, (x[1] ** 2).mean(axis=1) + np.abs(x[2]).mean(axis=1))


@identity("rule 4", "E[f(x) g(y)]", "E[f(x)] E[g(y)]", _RULES, _normals(4))
def _rule_4(xy: tuple[FloatArray, ...]) -> Sides:
    """A product splits if x and y are independent, and not otherwise."""
    x, y, other_x, other_y = xy
    left = (x**2 * np.abs(y)).mean(axis=1)
    # Independent means: their product has no bias.
    return Sides(left, (other_x**2).mean(axis=1) * np.abs(other_y).mean(axis=1))


@identity("variance and moments", "E[(x−μ)²]", "E[x²] − E[x]²", _VARIANCE, Sampler(_with_mean))
def _moments(ingredients: tuple[FloatArray, FloatArray]) -> Sides:
    """Variance is second moment minus squared mean: equal only where μ = 0."""
    x, mean = ingredients
    square = (x**2).mean(axis=1)
    # Either side sums m numbers whose sizes sum to at most m E[x²], the right one also squares a
    # sum: (m+4) ε/2 of it on the left, 3 (m+4) ε/2 on the right.
    rounding = 2 * (N_DRAWS + 4) * EPSILON * square
    return Sides(((x - mean) ** 2).mean(axis=1), square - x.mean(axis=1) ** 2, rounding)


@identity("variance of a product", "V(AB)", "V(A)V(B) + V(A)E(B)² + V(B)E(A)²", _PRODUCT, _FACTORS)
def _variance_of_product(factors: tuple[FloatArray, FloatArray]) -> Sides:
    """For independent A and B; here A = ½ + z, B = |z′|."""
    a, b = factors
    v_a, v_b, left = (z.var(axis=1, ddof=1) for z in (a, b, a * b))
    # m̄² − V/m has the expectation E², and what is multiplied is independent: no bias anywhere.
    square_a, square_b = a.mean(axis=1) ** 2 - v_a / N_DRAWS, b.mean(axis=1) ** 2 - v_b / N_DRAWS
    return Sides(left, v_a * v_b + v_a * square_b + v_b * square_a)


@identity(
    "variance of a product by second moment", "V(AB)", "V(A)E(B²) + V(B)E(A)²", _PRODUCT, _FACTORS
)
def _variance_of_product_by_second_moment(factors: tuple[FloatArray, FloatArray]) -> Sides:
    """The same; a weight A has E(A) = 0, which leaves V(A)E(B²)."""
    a, b = factors
    v_a, v_b, left = (z.var(axis=1, ddof=1) for z in (a, b, a * b))
    square_a = a.mean(axis=1) ** 2 - v_a / N_DRAWS
    return Sides(left, v_a * (b**2).mean(axis=1) + v_b * square_a)


RULES: tuple[Identity[Any], ...] = (
    *(_rule_1, _rule_2, _rule_3, _rule_4),
    *(_moments, _variance_of_product, _variance_of_product_by_second_moment),
)
