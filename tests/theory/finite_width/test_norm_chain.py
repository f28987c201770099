"""The chain against exact means, and against networks whose every weight is drawn.

Bounds are Bonferroni's over all that a test looks at, one false alarm in 10,000.
"""

import math
from dataclasses import replace
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import INPUT_0, PASS_OF, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.theory.finite_width.moments import exact
from heinit_sim.theory.finite_width.norm_chain import predicted_quantiles, sample_norms
from heinit_sim.theory.infinite_width.mean_field import mean_field
from tests import conditions
from tests.conditions import unpredicted
from tests.passes import simulated_passes
from tests.rows import slow_but

Array = np.ndarray
Norms = dict[Quantity, Array]
LEVEL = 1e-4
N_NETWORKS, N_SIMULATED = 200_000, 10_000
SHAPE = ((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4))
SLOPES = [0.0, 0.2, -0.5, 1.0, -1.0, (0.0, 1.0, -0.5)]


def condition(
    alpha: Slope, widths: tuple[int, ...] = SHAPE[0], variances: tuple[float, ...] = SHAPE[1]
) -> Condition:
    plain: dict[Slope, str] = {0.0: "relu", 1.0: "linear"}
    name = plain.get(alpha, "prelu")
    options = {} if name != "prelu" else {"negative_slope": alpha}
    return conditions.condition(widths, variances, name, options=options)


def sample(of: Condition, alpha: Slope, n: int = N_NETWORKS, seed: int = 1) -> Norms:
    return sample_norms(of, alpha, n, np.random.default_rng(seed))


def largest_z(norms: Norms, expected: dict[Measure, Array]) -> float:
    """Largest |z| of the means over networks, over the bound it is held against."""
    zs = []
    for quantity, log10 in norms.items():
        moments = 10**log10
        error = moments.std(axis=0) / math.sqrt(len(moments))
        zs += list((moments.mean(axis=0) - 10 ** expected[quantity, "second_moment"]) / error)
    assert len(zs) == 5 * 4
    return float(np.abs(zs).max()) / NormalDist().inv_cdf(1 - LEVEL / 2 / len(zs))


@pytest.mark.parametrize("alpha", slow_but(SLOPES, SLOPES[-1]))
def test_means_over_networks_are_the_exact_ones(alpha: Slope) -> None:
    norms = sample(condition(alpha), alpha)
    assert largest_z(norms, exact(condition(alpha), alpha)) < 1


@pytest.mark.parametrize("alpha", slow_but(SLOPES, SLOPES[-1]))
@pytest.mark.parametrize("layer", slow_but([0, 2], 0))
def test_twin_with_a_weight_variance_five_percent_off_is_found(alpha: Slope, layer: int) -> None:
    variances = list(SHAPE[1])
    variances[layer] *= 1.05
    wrong = condition(alpha, variances=tuple(variances))
    assert largest_z(sample(wrong, alpha), exact(condition(alpha), alpha)) > 1


@pytest.mark.slow
def test_gradients_are_not_those_of_a_textbook_that_takes_them_for_independent() -> None:
    of = condition(0.2)
    norms, textbook = sample(of, 0.2), mean_field(of)
    right = exact(of, 0.2)
    forward = {
        m: right[m] if PASS_OF[m[0]] == "backward" else log10 for m, log10 in textbook.items()
    }
    backward = {
        m: right[m] if PASS_OF[m[0]] == "forward" else log10 for m, log10 in textbook.items()
    }
    assert largest_z(norms, forward) < 1
    assert largest_z(norms, backward) > 1


def simulated(of: Condition) -> dict[Measure, Array]:
    return dict(unpredicted(SweepConfig("x", (of,), {}, N_SIMULATED, 5)).conditions[0].networks)


def distance(x: Array, y: Array) -> float:
    """Kolmogorov and Smirnov's largest distance between two distribution functions."""
    values = np.concatenate([x, y])
    below = [np.searchsorted(np.sort(z), values, side="right") / len(z) for z in (x, y)]
    return float(np.abs(below[0] - below[1]).max())


def largest_distance(norms: Norms, networks: dict[Measure, Array]) -> float:
    """Over the bound: P(D > d) ≤ 2 exp(−2 d² n m/(n + m)) for large samples (Smirnov 1939).

    Of 20 distances: five quantities, four layers.
    """
    distances = [
        distance(norms[q][:, k], networks[q, INPUT_0][:, k]) for q in norms for k in range(4)
    ]
    n, m = len(norms["activation"]), len(networks["activation", INPUT_0])
    return max(distances) / math.sqrt(math.log(2 * len(distances) / LEVEL) * (n + m) / (2 * n * m))


@pytest.mark.slow
@pytest.mark.parametrize("alpha", SLOPES)
def test_every_layer_has_the_distribution_of_networks_simulated_in_full(alpha: Slope) -> None:
    of = condition(alpha)
    networks = simulated(of)
    assert largest_distance(sample(of, alpha, N_SIMULATED), networks) < 1
    wrong = tuple(slope + 0.15 for slope in np.broadcast_to(alpha, 3).tolist())
    assert largest_distance(sample(of, wrong, N_SIMULATED), networks) > 1
    wider = condition(alpha, (7, 8, 7, 5, 3))
    assert largest_distance(sample(wider, alpha, N_SIMULATED), networks) > 1


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.3, -1.0, 20.0])
def test_so_it_has_in_layers_of_one_and_two_units(alpha: float) -> None:
    of = condition(alpha, (1, 2, 1, 2, 1))
    networks = simulated(of)
    assert largest_distance(sample(of, alpha, N_SIMULATED), networks) < 1
    wider = condition(alpha, (1, 2, 1, 3, 1))
    assert largest_distance(sample(wider, alpha, N_SIMULATED), networks) > 1


@pytest.mark.parametrize("alpha", [*SLOPES, 100.0])
def test_no_gradient_is_smaller_than_eulers_identity_allows(alpha: Slope) -> None:
    of = condition(alpha)
    norms = sample(of, alpha, 20_000)
    fan_in, fan_out = np.log10(of.widths[:-1]), np.log10(of.widths[1:])
    with np.errstate(invalid="ignore"):  # −inf + ∞ of dead networks
        loss = norms["preactivation"][:, -1:] + fan_out[-1]  # ℓ = ‖f_K‖²
        for gradient, value, units in (
            ("grad_activation", "activation", fan_in),
            ("grad_preactivation", "preactivation", fan_out),
        ):
            product = norms[gradient] + norms[value] + 2 * units  # type: ignore[index]  # names
            gap = product - 2 * (math.log10(2) + loss)
            alive = np.isfinite(gap)
            assert alive.mean() > 0.9
            assert (gap[alive] > -1e-12).all()
            # one output: ∂ℓ/∂f_K = 2 f_K is parallel to f_K
        np.testing.assert_allclose(gap[:, -1][alive[:, -1]], 0, rtol=0, atol=1e-12)


def test_dead_relu_networks_are_zero_behind_and_in_every_gradient() -> None:
    n = 40_000
    norms = sample(condition(0.0, (3, 2, 2, 2, 1), (0.5,) * 4), 0.0, n)
    dead = np.isneginf(norms["activation"])
    assert not dead[:, 0].any()
    assert (dead[:, 1:] >= dead[:, :-1]).all()
    assert np.array_equal(np.isneginf(norms["preactivation"]), dead)
    whole = np.repeat(dead[:, -1:], 4, axis=1)
    for quantity, of in PASS_OF.items():
        if of == "backward":
            assert np.array_equal(np.isneginf(norms[quantity]), whole)
    for k in range(4):
        share = 1 - 0.75**k  # each layer of two units is off with probability ¼
        error = math.sqrt(share * (1 - share) / n)
        assert abs(dead[:, k].mean() - share) <= 4.2 * error  # 3 · P(|z| > 4.2) < 1e-4
    assert not any(np.isnan(log10).any() for log10 in norms.values())


@pytest.mark.parametrize(
    ("alpha", "variance"), slow_but([(0.2, 1e-300), (1.0, 1e300), (0.2, 0.385)], (0.2, 1e-300))
)
def test_two_thousand_narrow_layers_stay_finite(alpha: float, variance: float) -> None:
    norms = sample(condition(alpha, (5,) * 2001 + (1,), (variance,) * 2001), alpha, 50)
    assert all(np.isfinite(log10).all() for log10 in norms.values())
    if variance in (1e-300, 1e300):
        assert np.abs(norms["grad_activation"][:, 0]).min() > 1e6


@cache
def figure_7_4() -> Norms:
    return sample(condition(0.0, (100,) * 51 + (1,), (0.02,) * 51), 0.0, 20_000, seed=3)


@pytest.mark.slow
def test_figure_7_4_has_the_published_spread() -> None:
    norms = figure_7_4()
    for quantity, k, mean, std in (
        ("activation", -1, -1.281, 1.618),
        ("grad_activation", 0, None, 3.92),
    ):
        ln = norms[quantity][:, k] * math.log(10)  # type: ignore[index]  # names of quantities
        deviation = ln - ln.mean()
        error = deviation.std() / math.sqrt(len(ln))
        # the delta method for √ of the mean of squares; half a unit of the last digit beside it
        error_std = (deviation**2).std() / (2 * ln.std()) / math.sqrt(len(ln))
        if mean is not None:
            assert abs(ln.mean() - mean) < 4 * error + 5e-4
        assert abs(ln.std() - std) < 4 * error_std + 5e-3


def test_the_mean_gradient_of_figure_7_4_is_carried_by_rare_networks() -> None:
    at_input = 10 ** figure_7_4()["grad_activation"][:, 0]
    assert (at_input < 1.8715).mean() > 0.9  # the exact mean


def test_the_same_random_numbers_give_the_same_networks() -> None:
    of = condition(0.2)
    one, same, other = sample(of, 0.2, 5000), sample(of, 0.2, 5000), sample(of, 0.2, 5000, seed=2)
    for quantity, log10 in one.items():
        assert log10.shape == (5000, 4)
        assert np.array_equal(log10, same[quantity])
        assert not np.array_equal(log10, other[quantity])


def test_predicted_quantiles_are_those_of_the_sample() -> None:
    of = replace(condition(0.2), n_inputs=7, loss=Loss(target=1.0))  # neither of which enters
    quantiles = predicted_quantiles(of, 0.2, 1000, np.random.default_rng(4))
    norms = sample(of, 0.2, 1000, seed=4)
    for quantity, log10 in norms.items():
        expected = np.quantile(log10, [0.05, 0.5, 0.95], axis=0)
        np.testing.assert_allclose(quantiles[quantity], expected, rtol=0, atol=1e-12)


PROBE_WIDTHS = (7, 8, 6, 5, 3)


def probed(variances: float | tuple[float, ...] = (0.3, 0.2, 0.5, 0.4)) -> Condition:
    leaky = {"negative_slope": 0.2}
    loss = Loss("probe")
    return conditions.condition(PROBE_WIDTHS, variances, "leaky_relu", options=leaky, loss=loss)


def test_gradients_of_a_probe_have_the_exact_means() -> None:
    norms, theory = sample(probed(), 0.2, 100_000), exact(probed(), 0.2)
    for quantity, log10 in norms.items():
        values = 10**log10
        error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
        distance = np.abs(values.mean(axis=0) - 10 ** theory[quantity, "second_moment"]) / error
        assert distance.max() < 4.5  # of 20 numbers


def test_gradients_of_a_probe_have_the_quantiles_of_simulated_networks() -> None:
    n = 20_000
    norms, passes = sample(probed(), 0.2, n), simulated_passes(probed(), n, 5)
    for quantity, log10 in norms.items():
        found = passes[quantity, "second_moment"].T
        for share in (0.1, 0.5, 0.9):
            cut = np.quantile(log10, share, axis=0)
            below = (found < cut).mean(axis=0)
            # both samples have an error of √(share (1 − share)/n)
            assert np.abs(below - share).max() < 4.5 * math.sqrt(2 * share * (1 - share) / n)


def test_a_probe_that_follows_the_output_would_be_found() -> None:
    n = 20_000
    square = replace(probed(), loss=Loss())
    norms, passes = sample(square, 0.2, n), simulated_passes(probed(), n, 5)
    cut = np.quantile(norms["grad_activation"][:, 0], 0.5)
    below = (passes["grad_activation", "second_moment"][0] < cut).mean()
    assert abs(below - 0.5) > 0.1


def test_dead_networks_keep_the_gradient_of_a_probe_in_the_last_layer_alone() -> None:
    of = conditions.condition((2, 1, 1, 4, 3), 1.0, "relu", loss=Loss("probe"))
    norms = sample(of, 0.0, 4000)
    dead = np.isneginf(norms["preactivation"][:, -1])
    assert 0.6 < dead.mean() < 0.9  # 1 − (1/2)²(1 − 2^−4) = 0.766
    for quantity in ("grad_activation", "grad_preactivation"):
        assert np.isfinite(norms[quantity][dead, -1]).all()
        assert np.isneginf(norms[quantity][dead, :-1]).all()
    mean = (10 ** norms["grad_activation"][dead, -1]).mean()
    assert abs(mean - 3.0) < 0.4  # σ² D_o; of 3000 networks
