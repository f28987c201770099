"""Scale law: how every moment follows a factor of the weights' variances, without simulating."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.numerics import FloatArray


def scale_law(weight_variances: Sequence[float]) -> dict[Quantity, FloatArray]:
    """log10 of the factor by which σ²_k instead of 1 multiplies each second moment and variance.

    Exact for a positively homogeneous activation, zero biases and y = 0: then
    f_K ∝ Π_j σ_j, h_k ∝ Π_{j<k} σ_j and ∂f_K/∂h_k ∝ Π_{j≥k} σ_j, while ∂ℓ/∂f_K = 2 f_K.

    Args:
        weight_variances: σ²_k of the layers 0 … K.

    Returns:
        Quantity -> (K+1,), to be added to log10 of the unit-variance network's moments.
    """
    own = np.log10(np.array(weight_variances))
    through = np.cumsum(own, dtype=np.longdouble)  # a running sum of 10,000 terms keeps its digits
    total = through[-1]
    shifts: dict[Quantity, NDArray[np.longdouble]] = {
        "preactivation": through,
        "activation": through - own,
        "grad_preactivation": 2 * total - through,
        "grad_activation": 2 * total - through + own,
        "grad_weight": 2 * total - own.astype(np.longdouble),
    }
    return {quantity: shift.astype(np.float64) for quantity, shift in shifts.items()}
