"""Cross entropy and its gradient at wide outputs: logits f_o ~ N(0, q), V classes, any as likely.

With G the noise of Gumbel, −ln of an exponential number, max_o (f_o + G_o) is ln Σ exp f_o + G in
law, and its place o has probability p_o = softmax(f)_o. Of one class let F be the distribution of
f + G, F' its density. Then

    E[ℓ] = E[ln Σ_o exp f_o] = ∫ y V F^{V−1} F' dy − γ
    E[p²] = ∫ F₂ F^{V−1} dy          F₂ the density of f − ln X, X ~ Γ(2), for two noises agree
    E[δ²] = 1/V − 2/V² + E[p²]       δ = ∂ℓ/∂f_o = p_o − [o = t]
    E[f δ] = q (1/V − E[p²])         which is E[f p] as well, by Stein's lemma

F is an average over f where that is narrow, and over G where it is wide; all integrals are sums at
even steps, which are right to more digits than are asked for since all is smooth and ends.

Source: Gumbel 1954 for the maximum; Stein 1981.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebfit, chebpts2, chebval

from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.special_functions import cumulative_and_density

_EULER = 0.5772156649015329
_Y_STEPS = 400
_STRETCH, _NODES = 2.0, 12  # of ln q, and where in each stretch it is worked out
_WIDEST_LN = math.log(1e8)  # √q from which all is that of the largest logit alone
_NARROWEST_LN = math.log(1e-12)
_NORMAL = np.linspace(-9.0, 9.0, 73)
_NORMAL_SHARES = np.exp(-(_NORMAL**2) / 2) / np.exp(-(_NORMAL**2) / 2).sum()
_LN_X = np.linspace(-40.0, 4.0, 177)  # of an exponential number X
_LN_X_SHARES = np.exp(_LN_X - np.exp(_LN_X)) * (_LN_X[1] - _LN_X[0])


class OutputLoss(NamedTuple):
    """Means over networks, inputs and classes."""

    ln_loss: float
    """ln E[ℓ]."""
    ln_second: float
    """ln E[δ²] of one output."""
    share: float
    """E[f δ]/√(E[f²] E[δ²])."""


def output_loss(ln_q: float, n_classes: int) -> OutputLoss:
    """Cross entropy at wide outputs.

    Args:
        ln_q: ln of the variance of an output about the mean that all have.
        n_classes: V.
    """
    ln_std = ln_q / 2
    if math.isnan(ln_std):
        return OutputLoss(math.nan, math.nan, math.nan)
    known = _output_loss(max(min(ln_std, _WIDEST_LN), _NARROWEST_LN), n_classes)
    return known._replace(ln_loss=known.ln_loss + max(ln_std - _WIDEST_LN, 0.0))


def second_moments(ln_q: FloatArray, n_classes: int) -> FloatArray:
    """E[δ²] of one output, for each ln q: interpolated in stretches, to eight digits or more."""
    inside = np.clip(ln_q, 2 * _NARROWEST_LN, 2 * _WIDEST_LN)
    stretches = np.floor(inside / _STRETCH)
    moments = np.empty_like(inside)
    for stretch in np.unique(stretches).tolist():
        here = stretches == stretch
        places = 2 * (inside[here] / _STRETCH - stretch) - 1
        moments[here] = np.exp(chebval(places, _ln_seconds(stretch, n_classes)))
    return moments


@lru_cache(1024)
def _ln_seconds(stretch: float, n_classes: int) -> FloatArray:
    """Chebyshev coefficients of ln E[δ²] in a stretch of ln q."""
    nodes = chebpts2(_NODES)
    ln_qs = _STRETCH * (stretch + (nodes + 1) / 2)
    values = [output_loss(ln, n_classes).ln_second for ln in ln_qs.tolist()]
    return np.array(chebfit(nodes, values, _NODES - 1), float)


def largest_ln_q(loss: float, n_classes: int) -> float:
    """The largest ln q of the outputs at which E[ℓ] is not above that loss, by bisection."""
    low, high = 2 * _NARROWEST_LN, 2 * _WIDEST_LN
    while high - low > 1e-4:
        middle = (low + high) / 2
        below = math.exp(output_loss(middle, n_classes).ln_loss) < loss
        low, high = (middle, high) if below else (low, middle)
    return low


@lru_cache(4096)
def _output_loss(ln_std: float, n_classes: int) -> OutputLoss:
    std, n = math.exp(ln_std), n_classes
    y = np.linspace(-9 * std - 4, 9 * std + math.log(n) + 40, _Y_STEPS)[:, np.newaxis]
    if std <= 1:
        v = std * _NORMAL - y  # exp(v) is the mean of an exponential number over which f + G < y
        terms = (-np.expm1(-np.exp(v)), np.exp(v - np.exp(v)), np.exp(2 * v - np.exp(v)))
        above, density, twice = (term @ _NORMAL_SHARES for term in terms)
    else:
        below, bell = cumulative_and_density(-(y + _LN_X) / std)
        above = below @ _LN_X_SHARES
        density, twice, f_times = (
            bell @ (_LN_X_SHARES * weight) / std for weight in (1.0, np.exp(_LN_X), _LN_X)
        )
        f_times += y[:, 0] * density
    with np.errstate(divide="ignore"):  # F = 0
        others = np.exp((n - 1) * np.log1p(-np.minimum(above, 1.0)))
    step = float(y[1, 0] - y[0, 0])
    loss = step * n * float((y[:, 0] * density) @ others) - _EULER
    squared = step * float(twice @ others)
    second = 1 / n - 2 / n**2 + squared
    along = step * float(f_times @ others) if std > 1 else std**2 * (1 / n - squared)
    return OutputLoss(math.log(loss), math.log(second), along / std / math.sqrt(second))
