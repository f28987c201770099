"""Scale law: how every moment follows a factor of the weights' variances, without simulating."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.steps import Row, Step, WeightSpec, changed, with_spec
from heinit_sim.experiment.sweep_config import Condition, Loss
from heinit_sim.numerics import FloatArray

LEAST_SQUARES = Loss()


def unit_layers(condition: Condition) -> tuple[Row, ...]:
    """The layers at σ²_k = 1, from whose moments `scale_law` leads to those of the condition."""
    return changed(condition.layers, _unit_step)


def _unit_step(step: Step) -> Step:
    return with_spec(step, _unit_spec)


def _unit_spec(spec: WeightSpec) -> WeightSpec:
    return spec._replace(weight_variance=1.0)


def scale_law(
    weight_variances: Sequence[float], loss: Loss = LEAST_SQUARES
) -> dict[Quantity, FloatArray]:
    """log10 of the factor by which σ²_k instead of 1 multiplies each second moment and variance.

    Exact for a positively homogeneous activation, zero biases, and y = 0 or a probe: then
    f_K ∝ Π_j σ_j, h_k ∝ Π_{j<k} σ_j and ∂f_K/∂h_k ∝ Π_{j≥k} σ_j, while ∂ℓ/∂f_K = 2 f_K, or none
    of theirs.

    Args:
        weight_variances: σ²_k of the layers 0 … K.
        loss: What the outputs are judged by.

    Returns:
        Quantity -> (K+1,), to be added to log10 of the unit-variance network's moments.
    """
    steps = np.log10(np.array(weight_variances))
    through = np.cumsum(steps, dtype=np.longdouble)  # sums of 10,000 terms keep their digits
    total = through[-1]
    at_output = total if loss.name == "least_squares" else np.longdouble(0.0)
    shifts: dict[Quantity, NDArray[np.longdouble]] = {
        "preactivation": through,
        "activation": through - steps,
        "grad_preactivation": at_output + total - through,
        "grad_activation": at_output + total - through + steps,
        "grad_weight": at_output + total - steps.astype(np.longdouble),
    }
    shifts |= {
        "grad_weight_batch": shifts["grad_weight"],
        "grad_bias_batch": shifts["grad_preactivation"],
    }
    return {quantity: shift.astype(np.float64) for quantity, shift in shifts.items()}
