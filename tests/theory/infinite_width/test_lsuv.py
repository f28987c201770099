"""The variances at which LSUV ends, against unit variance written out."""

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.experiment.sweep_config import Condition, Lsuv
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from tests.conditions import layer_specs

WIDTHS, N_INPUTS = (9, 20, 30, 25), 3
BIAS_VARIANCES = (0.1, 0.3, 0.2, 0.4)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("bias_variances", [BIAS_VARIANCES, (0.0,) * 4])
def test_linear_layers_with_biases_have_unit_variance_over_units_and_inputs(
    outputs: int, bias_variances: tuple[float, ...]
) -> None:
    layers = layer_specs((1.0,) * 4, bias_variances=bias_variances)
    condition = Condition(
        0, {}, (*WIDTHS, outputs), "linear", {}, layers, N_INPUTS, 0.0, lsuv=Lsuv()
    )
    *hidden, last = lsuv_variances(condition, make_activation("linear", {}))
    second, across = 1.0, 0.0  # E[h²] of one input, E[h h'] of two independent ones
    for variance, fan_in, b in zip(hidden, WIDTHS[:-1], bias_variances[:-1], strict=True):
        second, across = fan_in * variance * second + b, fan_in * variance * across + b
        np.testing.assert_allclose(second, 1.0, rtol=1e-12, atol=0)  # wide layers are centred
    second, across = (WIDTHS[-1] * last * z + bias_variances[-1] for z in (second, across))
    # Var f_K = E[f²] − E[(average over units and inputs)²]; units have nothing in common
    squared_mean = (second + (N_INPUTS - 1) * across) / (N_INPUTS * outputs)
    np.testing.assert_allclose(second - squared_mean, 1.0, rtol=1e-9, atol=0)  # quadrature: 1e-10
