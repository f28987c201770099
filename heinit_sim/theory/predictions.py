"""Predictions of a condition, made before anything is simulated."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import (
    BATCH_MEASURES,
    EVERY_PASS_OF,
    INPUT_0,
    PASS_OF,
    Measure,
    Pass,
    Quantity,
)
from heinit_sim.experiment.records import NOTHING, Output, RatioMeasure, Records, output_sizes
from heinit_sim.experiment.results import Prediction, SweepPrediction
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.sampling.inputs import is_standard, norm_moments, zero_probability
from heinit_sim.sampling.streams import prediction_rng
from heinit_sim.theory.assumptions import (
    chain_slope,
    exact_layers,
    has_centred_weights,
    has_exact_gradients,
    has_free_spectrum,
    has_known_loss,
    has_scaled_gradients,
    is_known_at_infinite_width,
    may_misfit,
)
from heinit_sim.theory.finite_width.log_norms import log_law
from heinit_sim.theory.finite_width.moments import InputNorms, exact, log_norm_spread
from heinit_sim.theory.finite_width.norm_chain import predicted_quantiles, sample_norms
from heinit_sim.theory.finite_width.scale_law import scale_law, unit_layers
from heinit_sim.theory.infinite_width.batch_gradients import batch_gradients
from heinit_sim.theory.infinite_width.correlation_map import (
    layer_cosines,
    variances_between_inputs,
)
from heinit_sim.theory.infinite_width.finite_layers import relative_biases
from heinit_sim.theory.infinite_width.mean_field import (
    log10_jacobian_second_moment,
    wide_field,
)
from heinit_sim.theory.infinite_width.number_range import range_ratios
from heinit_sim.theory.infinite_width.spectrum import log10_singular_values
from heinit_sim.theory.infinite_width.units import unit_ratios

Quantiles = dict[Quantity, FloatArray]

BESIDE_A_RUN = 4000
"""Networks sampled for quantiles that are drawn beside measured ones: the 5 % one within 0.4 % of
probability."""
ALONE = 40_000
"""Where the prediction is all that is asked for."""
LARGEST_BIAS = 0.25
"""Relative bias of the second moment of a layer, to first order in 1/width, beyond which the
infinite-width recursion is not shown."""
_DEEP = 50  # deeper networks get fewer samples, in proportion, but never fewer than these:
_FEWEST = 50
_ENOUGH = 1000  # for a variance over networks: its standard error is about 5 %


def predict(
    conditions: Iterable[Condition], n_networks: int = BESIDE_A_RUN, record: Records = NOTHING
) -> list[Prediction]:
    """Exact means where they are known, else infinite-width ones; quantiles over networks.

    Args:
        conditions: What is predicted; the prediction of one never depends on the others.
        n_networks: Networks to sample for the quantiles, fewer where they are deep; 0 for none.
        record: What is kept beside the moments; the ratios of it are predicted too.
    """
    laws: dict[tuple[tuple[int, ...], Slope, Inputs, bool], Quantiles] = {}
    predictions = []
    for condition in conditions:
        slope = chain_slope(condition)
        unknown = np.full(condition.depth + 1, np.nan)
        wide: dict[Measure, FloatArray] = {m: unknown for m in record.measures if m[1] != INPUT_0}
        between: dict[Measure, FloatArray] = {}
        misfit, log10_loss = None, math.nan
        if has_centred_weights(condition):
            # beside the exact law, the recursion is what textbooks have
            textbook = slope is not None and has_exact_gradients(condition)
            field = wide_field(condition, independent=textbook)
            if record.batch_gradient:
                field.moments.update(batch_gradients(condition, independent=textbook))
            wide = {
                measure: log10 if is_known_at_infinite_width(condition, measure) else unknown
                for measure, log10 in field.moments.items()
            }
            if has_known_loss(condition):
                log10_loss = field.log10_loss
            if may_misfit(condition):
                wide, misfit = _where_it_fits(condition, wide)
                log10_loss = math.nan if misfit is not None else log10_loss
            between = variances_between_inputs(condition, wide)
        if slope is None:
            known = exact_layers(condition)
            theory = _without_variances(wide, known) | between
            prediction = Prediction(condition, known, theory, wide | between, {}, 0, None)
        else:
            quantiles, sampled = {}, n_sampled(condition, n_networks)
            if sampled:
                probes = condition.loss.name == "probe"
                shape = (condition.widths, slope, condition.inputs, probes)
                if shape not in laws:
                    unit = replace(condition, layers=unit_layers(condition))
                    laws[shape] = predicted_quantiles(unit, slope, sampled, prediction_rng())
                quantiles = _scaled(laws[shape], condition)
            inputs, dim = condition.inputs, condition.widths[0]
            norms = None  # of independent inputs x ~ N(0, I)
            if not is_standard(inputs):
                norms = InputNorms(*norm_moments(inputs, dim), zero_probability(inputs, dim))
            of_all = has_exact_gradients(condition)
            quantities = [q for q, d in PASS_OF.items() if of_all or d == "forward"]
            finite = wide | between
            finite |= {
                m: z for m, z in exact(condition, slope, norms).items() if m[0] in quantities
            }
            if record.batch_gradient:
                finite |= _batch_beside(finite, wide)
            spread = log_norm_spread(condition, slope)
            known = dict.fromkeys(quantities, condition.depth + 1)
            prediction = Prediction(
                condition, known, finite, wide | between, quantiles, sampled, spread
            )
        ratios = dict[RatioMeasure, FloatArray]()
        if record.cosine:
            cosines = layer_cosines(condition, wide)
            ratios |= {(quantity, "cosine"): cosine for quantity, cosine in cosines.items()}
        if record.units:
            ratios |= unit_ratios(condition, wide)
        if record.range:
            ratios |= range_ratios(condition, wide)
        outputs: dict[Output, FloatArray] = {"log10_loss": np.array([log10_loss])}
        if record.jacobian:
            outputs |= _jacobian(condition, record, known=misfit is None)
        prediction = replace(prediction, theory_ratios=ratios, theory_outputs=outputs)
        predictions.append(replace(prediction, misfit=misfit))
    return predictions


def predict_sweep(config: SweepConfig) -> SweepPrediction:
    """Predict every condition of a sweep, without simulating any."""
    return SweepPrediction(config, tuple(predict(config.conditions, ALONE, config.record)))


def n_sampled(condition: Condition, n_networks: int) -> int:
    """Networks that are sampled for the quantiles of a condition, if its law is known."""
    fewer = n_networks * _DEEP // max(condition.depth, _DEEP)
    return max(fewer, _FEWEST) if n_networks else 0


def predicted_variance_of_ln(prediction: Prediction, direction: Pass) -> FloatArray:
    """Variance over networks of ln ‖h_k‖² or ln ‖∂ℓ/∂h_k‖² for one input, (K+1,).

    Forward exact for ReLU and linear networks, where ln ‖x‖² has a closed form; else, and backward,
    that of sampled networks. NaN where it is not known.
    """
    condition, slope = prediction.condition, chain_slope(prediction.condition)
    unknown = np.full(condition.depth + 1, np.nan)
    if slope is None:
        return unknown
    if direction == "forward":
        known = log_law(condition, slope)[1]
        if np.isfinite(known).all():
            return known
    n_networks = n_sampled(condition, BESIDE_A_RUN)
    if n_networks < _ENOUGH or (direction == "backward" and not has_scaled_gradients(condition)):
        return unknown
    norms = sample_norms(condition, slope, n_networks, prediction_rng())
    return variance_of_ln(norms["activation" if direction == "forward" else "grad_activation"])[0]


def _jacobian(condition: Condition, record: Records, *, known: bool) -> dict[Output, FloatArray]:
    """Mean square and singular values of ∂f_K/∂x; known where layers are wide enough for it."""
    sizes = output_sizes(record, condition.widths)
    predicted: dict[Output, FloatArray] = {
        "log10_jacobian_second_moment": np.array([np.nan]),
        "log10_singular_values": np.full(sizes.get("log10_singular_values", 0), np.nan),
    }
    known = known and has_centred_weights(condition)
    if known and is_known_at_infinite_width(condition, ("grad_activation", "second_moment")):
        second = log10_jacobian_second_moment(condition)
        predicted["log10_jacobian_second_moment"] = np.array([second])
    if "log10_singular_values" in sizes and has_free_spectrum(condition):
        specs = [weights.spec for weights in condition.weights]
        steps = (step for row in condition.layers for step in row if isinstance(step, Activate))
        slopes = [activation_of(step).common_slope or 0.0 for step in steps]
        predicted["log10_singular_values"] = log10_singular_values(
            condition.widths[0],
            [spec.weight_variance for spec in specs],
            slopes,
            sum("orthogonal" in spec.weight_distribution for spec in specs),
        )
    return {name: predicted[name] for name in predicted if name in sizes}


def _where_it_fits(
    condition: Condition, wide: dict[Measure, FloatArray]
) -> tuple[dict[Measure, FloatArray], int | None]:
    """The recursion without the layers that are too narrow for it, and the first of them if any.

    Gradients have come through all layers: none of theirs is left.
    """
    ln_q = math.log(10) * wide["preactivation", "variance"][:-1]
    biases = relative_biases(condition, ln_q)
    unknown = np.append(~np.isfinite(ln_q), False)  # beyond float range, or all zero
    misfits = np.flatnonzero(~(np.abs(biases) <= LARGEST_BIAS) & ~unknown)
    if not misfits.size:
        return wide, None
    kept = {measure: log10.copy() for measure, log10 in wide.items()}
    for (quantity, _), log10 in kept.items():
        log10[misfits[0] if EVERY_PASS_OF[quantity] == "forward" else 0 :] = np.nan
    return kept, int(misfits[0])


def _batch_beside(
    finite: Mapping[Measure, FloatArray], wide: Mapping[Measure, FloatArray]
) -> dict[Measure, FloatArray]:
    """The batch's gradient: of what one input has at finite width, the share of wide layers."""
    levels: tuple[Quantity, ...] = ("grad_weight", "grad_preactivation")
    return {
        measure: finite[level, "second_moment"] + wide[measure] - wide[level, "second_moment"]
        for measure, level in zip(BATCH_MEASURES, levels, strict=True)
    }


def _without_variances(
    wide: Mapping[Measure, FloatArray], known: Mapping[Quantity, int]
) -> dict[Measure, FloatArray]:
    """The recursion, but for variances of what else it gives exactly."""
    theory = dict(wide)
    for quantity, n_layers in known.items():
        variance = theory[quantity, "variance"] = wide[quantity, "variance"].copy()
        variance[:n_layers] = np.nan
    return theory


def _scaled(quantiles: Quantiles, condition: Condition) -> Quantiles:
    """Quantiles at the condition's variances; those of gradients where their law is known."""
    shifts = scale_law(condition.weight_variances, condition.loss)
    return {
        quantity: log10 + shifts[quantity]
        for quantity, log10 in quantiles.items()
        if has_scaled_gradients(condition) or PASS_OF[quantity] == "forward"
    }
