"""The variances at which LSUV ends, against unit variance written out."""

import math

import numpy as np
import pytest

from heinit_sim.experiment.sweep_config import Lsuv
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.infinite_width.mean_field import mean_field
from tests.conditions import condition, layer_specs

WIDTHS, N_INPUTS = (9, 20, 30, 25), 5
BIAS_VARIANCES = (0.1, 0.3, 0.2, 0.4)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("bias_variances", [BIAS_VARIANCES, (0.0,) * 4])
def test_linear_layers_with_biases_have_unit_variance_over_units_and_inputs(
    outputs: int, bias_variances: tuple[float, ...]
) -> None:
    layers = layer_specs((1.0,) * 4, bias_variances=bias_variances)
    of = condition((*WIDTHS, outputs), layers, "linear", N_INPUTS, lsuv=Lsuv())
    *hidden, last = lsuv_variances(of)
    second, across = 1.0, 0.0  # E[h²] of one input, E[h h'] of two independent ones
    for variance, fan_in, b in zip(hidden, WIDTHS[:-1], bias_variances[:-1], strict=True):
        second, across = fan_in * variance * second + b, fan_in * variance * across + b
        np.testing.assert_allclose(second, 1.0, rtol=1e-12, atol=0)  # wide layers are centred
    second, across = (WIDTHS[-1] * last * z + bias_variances[-1] for z in (second, across))
    # Var f_K = E[f²] − E[(average over units and inputs)²]; units have nothing in common
    squared_mean = (second + (N_INPUTS - 1) * across) / (N_INPUTS * outputs)
    np.testing.assert_allclose(second - squared_mean, 1.0, rtol=1e-9, atol=0)  # quadrature: 1e-10


@pytest.mark.parametrize(
    ("outputs", "n_inputs", "known"),
    [(1, 1, True), (1, 2, False), (2, 1, False), (3, 1, False), (1, 3, False), (2, 2, True)],
)
def test_few_numbers_have_no_mean_over_their_own_variance(
    outputs: int, n_inputs: int, *, known: bool
) -> None:
    of = condition((*WIDTHS, outputs), 1.0, "tanh", n_inputs, lsuv=Lsuv())
    *hidden, last = lsuv_variances(of)
    assert np.isfinite(hidden).all()
    assert math.isfinite(last) == known
    second = mean_field(of)["preactivation", "second_moment"]
    assert np.isfinite(second).tolist() == [True] * 3 + [known]


@pytest.mark.slow
def test_means_of_networks_grow_with_their_number_where_there_is_none() -> None:
    # f² / Var f of n normal numbers: its average over networks settles from n = 4 on
    rng = np.random.default_rng(1)
    growth = {}
    for n in (2, 3, 4, 6):
        f = rng.standard_normal((10, 2**18, n))
        ratios = (f**2).mean(axis=2) / f.var(axis=2)
        few, all_of_them = ratios[:, : 2**8].mean(axis=1), ratios.mean(axis=1)
        growth[n] = float(np.median(all_of_them) / np.median(few))
    assert growth[2] > 50
    assert growth[3] > 1.5
    assert growth[6] < 1.1
