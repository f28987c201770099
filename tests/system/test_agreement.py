"""Simulation against exact theory, with an error bar over networks; and twins that must fail.

The largest |z| over all quantities, statistics and layers of one network shape is held against
the Bonferroni bound of one false alarm in 10,000. The numbers of neighbouring layers are
correlated, which makes the bound conservative.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory.finite_width.moments import InputNorms, exact
from tests import conditions
from tests.conditions import with_layers
from tests.passes import simulated_passes
from tests.rows import slow_but

Array = np.ndarray
N_NETWORKS = 40_000
LEVEL = 1e-4

SHAPES: dict[str, tuple[tuple[int, ...], tuple[float, ...], Slope, int, float]] = {
    "unequal widths": ((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4), 0.2, 1, 0.0),
    "target": ((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4), 0.2, 1, 0.7),
    "relu": ((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4), 0.0, 3, 0.0),
    "relu, target, dead networks": ((4, 2, 2, 1), (0.3, 0.4, 0.5), 0.0, 1, 10.0),
    "negative slope": ((4, 6, 5, 2), (0.3, 0.5, 0.2), -0.5, 1, 1.3),
    "linear": ((4, 6, 5, 2), (0.3, 0.5, 0.2), 1.0, 4, 0.5),
    "relu, one unit, then three": ((4, 1, 3, 2, 1), (0.3, 0.5, 0.4, 0.5), 0.0, 1, 3.0),
    "folded, two units": ((3, 2, 2, 1), (0.3, 0.4, 0.5), -1.0, 1, 0.0),
    "a slope for each layer": ((4, 6, 5, 3, 2), (0.3, 0.5, 0.4, 0.2), (1.0, 0.0, -0.5), 2, 0.7),
}


def largest_z(measured: dict[Measure, Array], expected: dict[Measure, Array]) -> float:
    """Largest |z| over all that theory knows, and the bound it is held against."""
    zs = []
    for key, log10 in measured.items():
        moments = 10**log10
        mean, error = moments.mean(axis=-1), moments.std(axis=-1) / np.sqrt(moments.shape[-1])
        predicted = expected.get(
            key, expected[key[0], "second_moment"]
        )  # input 0 is like the others
        for k in np.flatnonzero(~np.isnan(predicted)):
            if np.isneginf(predicted[k]):
                assert mean[k] == 0.0
            else:
                zs.append(abs(mean[k] - 10 ** predicted[k]) / error[k])
    assert len(zs) >= 18
    return float(max(zs)) / NormalDist().inv_cdf(1 - LEVEL / 2 / len(zs))


def shape_condition(name: str) -> tuple[Condition, Slope]:
    widths, variances, alpha, n_inputs, target = SHAPES[name]
    plain: dict[Slope, str] = {0.0: "relu", 1.0: "linear"}  # whose derivatives are booleans
    options = {} if alpha in plain else {"negative_slope": alpha}
    activation = plain.get(alpha, "prelu")
    given: dict[str, Any] = {"options": options}
    return conditions.condition(widths, variances, activation, n_inputs, target, **given), alpha


def measure(
    condition: Condition, n_networks: int = N_NETWORKS, **wrong: Any
) -> dict[Measure, Array]:
    return simulated_passes(condition, n_networks, 20_260, **wrong)


@pytest.mark.parametrize("name", slow_but(SHAPES, "relu"))
def test_means_over_networks_are_the_exact_ones(name: str) -> None:
    condition, alpha = shape_condition(name)
    assert largest_z(measure(condition), exact(condition, alpha)) < 1


@pytest.mark.slow
def test_means_of_two_relu_units_are_the_exact_ones_over_ten_times_as_many_networks() -> None:
    # what two units of a layer have in common is a small part of their gradients' mean
    condition = conditions.condition((3, 2, 1), (0.3, 0.4))
    measured = measure(condition, n_networks=10 * N_NETWORKS)
    assert largest_z(measured, exact(condition, 0.0)) < 1
    wrong = with_layers(condition, weight_variances=(0.3, 0.416))
    assert largest_z(measured, exact(wrong, 0.0)) > 1


@pytest.mark.parametrize("name", slow_but(SHAPES, "relu"))
@pytest.mark.parametrize("layer", slow_but([0, 2], 0))
def test_twin_with_a_weight_variance_twenty_percent_off_is_found(name: str, layer: int) -> None:
    condition, alpha = shape_condition(name)
    variances = list(condition.weight_variances)
    variances[layer] *= 1.2  # behind a layer of one unit, 10 % is 3.6 standard errors
    wrong = with_layers(condition, weight_variances=tuple(variances))
    assert largest_z(measure(wrong), exact(condition, alpha)) > 1


@pytest.mark.slow
def test_twin_with_slopes_of_other_layers_is_found() -> None:
    condition, alpha = shape_condition("a slope for each layer")
    assert isinstance(alpha, tuple)
    reversed_slopes = with_layers(condition, options={"negative_slope": alpha[::-1]})
    assert largest_z(measure(reversed_slopes), exact(condition, alpha)) > 1


@pytest.mark.slow
def test_twin_without_the_mask_is_found() -> None:
    condition, alpha = shape_condition("relu")
    measured = measure(condition, mask=np.ones_like)
    assert largest_z(measured, exact(condition, alpha)) > 1


@pytest.mark.slow
def test_twin_with_transposed_weights_is_found() -> None:
    condition = conditions.condition((6, 6, 6, 6, 1), 0.3)
    assert largest_z(measure(condition), exact(condition, 0.0)) < 1
    assert largest_z(measure(condition, transposed=True), exact(condition, 0.0)) > 1


@pytest.mark.slow
def test_twin_with_the_wrong_fan_is_found() -> None:
    condition, alpha = shape_condition("relu")
    laws = zip(condition.weight_variances, condition.fans, strict=True)
    swapped = tuple(variance * into / out for variance, (into, out) in laws)
    wrong = with_layers(condition, weight_variances=swapped)
    assert largest_z(measure(wrong), exact(condition, alpha)) > 1


def test_second_moments_hold_for_any_inputs_by_the_moments_of_their_norm() -> None:
    condition, alpha = shape_condition("unequal widths")
    x = np.array([3.0, 0.0, 0.0, -1.0, 0.5, 0.0, 0.0])
    norms = InputNorms(float(x @ x), float(x @ x) ** 2)
    measured = measure(condition, fixed_input=x)
    # h_0 itself is one number: it has no error bar, and must be the number given.
    inputs = {key: log10 for key, log10 in measured.items() if key[0] == "activation"}
    for key, log10 in inputs.items():
        measured[key] = log10[1:]
    expected = exact(condition, alpha, norms)
    h_0 = 10 ** expected["activation", "second_moment"][0]
    assert abs(h_0 - norms.second / len(x)) < 1e-14
    behind = {k: v[1:] if k[0] == "activation" else v for k, v in expected.items()}
    assert largest_z(measured, behind) < 1
    wrong = exact(condition, alpha, InputNorms(norms.second, 1.5 * norms.fourth))
    behind = {k: v[1:] if k[0] == "activation" else v for k, v in wrong.items()}
    assert largest_z(measured, behind) > 1
