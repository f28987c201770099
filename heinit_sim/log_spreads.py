"""How far networks spread, layer by layer: Var ln of both passes. Never prints, never saves."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from heinit_sim.chain import sample_norms
from heinit_sim.curves import MAX_LAYERS, QUANTITIES, SYMBOLS, WORDS, label_of
from heinit_sim.draws import prediction_rng
from heinit_sim.frames import Panel, write_caption
from heinit_sim.log_law import log_law
from heinit_sim.panes import draw_panes
from heinit_sim.predictions import BESIDE_A_RUN, homogeneous_slope, n_sampled
from heinit_sim.records import (
    ConditionResult,
    Pass,
    Prediction,
    Statistic,
    SweepPrediction,
    SweepResult,
)
from heinit_sim.scales import fitted_limits, layer_scale, plain_scale
from heinit_sim.spread import LN10
from heinit_sim.strokes import Line, Paint, paints

Array = NDArray[np.float64]

ERRORS = 2  # standard errors that a band reaches to either side
ENOUGH = 1000  # networks sampled for a theory: its standard error is about 5 %
LEAST = 0.01  # the shortest axis


def draw_log_spreads(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the variance over networks of ln of a statistic of h_k and ∂ℓ/∂h_k against the layer.

    Theory is that of the second moment for one standard-normal input; of a prediction it is all
    there is.

    Source: Hanin & Rolnick 2018: it grows with the sum of 1/width.
    """
    config = result.config
    depth = max(condition.depth for condition in config.conditions)
    colors = paints(len(result.conditions))
    lines, panels = {}, {}
    for direction in QUANTITIES:
        lines[direction] = [
            _line(one, paint, direction, config.figure.quantity)
            for one, paint in zip(result.conditions, colors, strict=True)
        ]
        drawn = [values for line in lines[direction] for values in line.drawn]
        y = plain_scale(fitted_limits([np.zeros(1), *drawn], LEAST))
        y_label = f"Var [ ln {WORDS[config.figure.quantity].lower()} of {SYMBOLS[direction]} ]"
        panels[direction] = Panel(layer_scale(depth, direction), y, "Layer, $k$", y_label)
    figure = draw_panes(panels, lines)
    write_caption(figure, _caption(result, lines["forward"]))
    return figure


def variance_of_ln(log10_values: Array) -> tuple[Array, Array]:
    """Unbiased variance over networks of ln s, and its standard error.

    Args:
        log10_values: log10 s, (n_networks, K+1); networks with s = 0 are left out.

    Returns:
        Two arrays (K+1,); NaN where fewer than two networks are left.

    Source: Var S² = (μ₄ − σ⁴ (n−3)/(n−1))/n for n independent values of any law.
    """
    alive = np.isfinite(log10_values)
    n = alive.sum(axis=0).astype(float)
    n[n < 2] = np.nan
    ln = np.where(alive, log10_values, 0.0) * LN10
    deviation = np.where(alive, ln - ln.sum(axis=0) / n, 0.0)
    variance = (deviation**2).sum(axis=0) / (n - 1)
    fourth = (deviation**4).sum(axis=0) / n
    return variance, np.sqrt((fourth - variance**2 * (n - 3) / (n - 1)) / n)


def predicted_variance_of_ln(prediction: Prediction, direction: Pass) -> Array:
    """Variance over networks of ln ‖h_k‖² or ln ‖∂ℓ/∂h_k‖² for one input, (K+1,).

    Forward exact for ReLU and linear networks, where ln ‖x‖² has a closed form; else, and backward,
    that of sampled networks. NaN where it is not known.
    """
    condition, slope = prediction.condition, homogeneous_slope(prediction.condition)
    unknown = np.full(condition.depth + 1, np.nan)
    if slope is None or prediction.log_norm_spread is None:
        return unknown
    if direction == "forward":
        exact = log_law(condition, slope)[1]
        if np.isfinite(exact).all():
            return exact
    n_networks = n_sampled(condition, BESIDE_A_RUN)
    if n_networks < ENOUGH or (direction == "backward" and condition.target != 0.0):
        return unknown
    norms = sample_norms(condition, slope, n_networks, prediction_rng())
    return variance_of_ln(norms[QUANTITIES[direction]])[0]


def _line(one: Prediction, paint: Paint, direction: Pass, shown: str) -> Line:
    condition = one.condition
    factor = 0.25 if shown == "std" else 1.0  # ln of a root is half of ln
    theory = factor * predicted_variance_of_ln(one, direction)
    middle, error = theory, np.full_like(theory, np.nan)
    if isinstance(one, ConditionResult):
        statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
        log10 = one.networks[QUANTITIES[direction], statistic]
        middle, error = (factor * values for values in variance_of_ln(log10))
    low, high = middle - ERRORS * error, middle + ERRORS * error
    at = np.linspace(0, condition.depth, min(condition.depth, MAX_LAYERS) + 1).round().astype(int)
    seen = (middle[at], low[at], high[at], theory[at])
    return Line(condition.index, label_of(condition), paint, at.astype(float), *seen)


def _caption(result: SweepResult | SweepPrediction, lines: list[Line]) -> str:
    theory = "theory of the second moment, one input (exact, or of sampled networks)."
    if isinstance(result, SweepPrediction):
        return f"Thick: {theory}"
    known = any(np.isfinite(line.theory).any() for line in lines)
    thin = f" Thin: {theory}" if known else ""
    return f"Thick: over {result.config.trials} networks; band: ± {ERRORS} standard errors.{thin}"
