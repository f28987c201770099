"""Cross entropy and its gradient at wide outputs: logits f_o ~ N(0, q), V classes, any as likely.

With G the noise of Gumbel, −ln of an exponential number, max_o (f_o + G_o) is ln Σ exp f_o + G in
law, and its place o has probability p_o = softmax(f)_o. Of one class let F be the distribution of
f + G, F' its density. Then

    E[ℓ] = E[ln Σ_o exp f_o] = ∫ y V F^{V−1} F' dy − γ
    E[p²] = ∫ F₂ F^{V−1} dy          F₂ the density of f − ln X, X ~ Γ(2), for two noises agree
    E[δ²] = 1/V − 2/V² + E[p²]       δ = ∂ℓ/∂f_o = p_o − [o = t]
    E[f δ] = q (1/V − E[p²])         which is E[f p] as well, by Stein's lemma
    E[δ δ'] = E[p p'] − 1/V²         of two inputs, whose classes are independent

E[p p'] is the probability that two noises on logits of correlation c agree: given what both have in
common, a g with a² = |c| q, each is as above with q − a² in place of q.

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
_WIDEST_PAIR_LN = math.log(30.0)
_SMALL_COMMON = 0.01
_DIGITS = 13  # of ln q and c in which two pairs are the same
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


def likeness(ln_q: float, correlation: float, n_classes: int) -> float:
    """E[δ δ']/E[δ²] of two inputs.

    Args:
        ln_q: As in `output_loss`; NaN comes of logits beyond a standard deviation of 30.
        correlation: c, that of an output for the two, about its mean.
        n_classes: V.
    """
    if not ln_q / 2 < _WIDEST_PAIR_LN or math.isnan(correlation):
        return math.nan
    return _likeness(
        round(ln_q, _DIGITS), round(max(min(correlation, 1.0), -1.0), _DIGITS), n_classes
    )


@lru_cache(1024)
def _likeness(ln_q: float, correlation: float, n_classes: int) -> float:
    known, n = output_loss(ln_q, n_classes), n_classes
    second = math.exp(known.ln_second)
    std = math.exp(max(ln_q / 2, _NARROWEST_LN))
    common, rest = (std * math.sqrt(share) for share in (abs(correlation), 1 - abs(correlation)))
    if common < _SMALL_COMMON:  # to first order in c
        along = known.share * std * math.sqrt(second)  # E[f p]
        return correlation * along**2 / std**2 * n / (n - 1) / second
    low, high = -9 * std - 4, 9 * std + math.log(n) + 40
    n_y = max(_Y_STEPS, math.ceil((high - low) / 0.5))
    step = (high - low) / (n_y - 1)
    # g goes in such steps that all y − a g lie on one grid
    parts = math.ceil(step / (0.25 * min(common, max(rest, 1.0))))
    n_g = math.ceil(9 * common / step * parts)
    grid: FloatArray = low + step / parts * np.arange(-n_g, (n_y - 1) * parts + n_g + 1.0)
    above, density, _, _ = _averages(grid, rest)
    g = step / parts / common * np.arange(-n_g, n_g + 1)
    shares = np.exp(-(g**2) / 2) / np.exp(-(g**2) / 2).sum()
    places = (parts * np.arange(n_y))[:, np.newaxis] + np.arange(2 * n_g, -1, -1)
    others = places if correlation > 0 else places[:, ::-1]
    above_both, density_both = ((z[places] * shares) @ z[others].T for z in (above, density))
    either = np.add.outer(above[places] @ shares, above[others] @ shares) - above_both
    with np.errstate(divide="ignore"):  # F = 0
        rest_below = np.exp((n - 1) * np.log1p(-np.minimum(either, 1.0)))
    together = step**2 * float((density_both * rest_below).sum())
    return (together - 1 / n**2) / second


def _averages(y: FloatArray, std: float) -> tuple[FloatArray, ...]:
    """1 − F, F', F₂ at each y, and the average of f where f + G = y, if f is wide, times F'."""
    y = y[:, np.newaxis]
    if std <= 1:
        v = std * _NORMAL - y  # exp(v) is the mean of an exponential number over which f + G < y
        terms = (-np.expm1(-np.exp(v)), np.exp(v - np.exp(v)), np.exp(2 * v - np.exp(v)))
        return *(term @ _NORMAL_SHARES for term in terms), np.zeros(0)
    below, bell = cumulative_and_density(-(y + _LN_X) / std)
    weights = (1.0, np.exp(_LN_X), _LN_X)
    density, twice, ln_x = (bell @ (_LN_X_SHARES * weight) / std for weight in weights)
    return below @ _LN_X_SHARES, density, twice, ln_x + y[:, 0] * density


@lru_cache(4096)
def _output_loss(ln_std: float, n_classes: int) -> OutputLoss:
    std, n = math.exp(ln_std), n_classes
    y = np.linspace(-9 * std - 4, 9 * std + math.log(n) + 40, _Y_STEPS)
    above, density, twice, f_times = _averages(y, std)
    with np.errstate(divide="ignore"):  # F = 0
        others = np.exp((n - 1) * np.log1p(-np.minimum(above, 1.0)))
    step = float(y[1] - y[0])
    loss = step * n * float((y * density) @ others) - _EULER
    squared = step * float(twice @ others)
    second = 1 / n - 2 / n**2 + squared
    along = step * float(f_times @ others) if std > 1 else std**2 * (1 / n - squared)
    return OutputLoss(math.log(loss), math.log(second), along / std / math.sqrt(second))
