"""Closed forms against checked numbers, special cases and each other; see also test_agreement."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.experiment.quantities import PASS_OF, Measure
from heinit_sim.experiment.sweep_config import Loss
from heinit_sim.theory.finite_width.moments import exact, log_norm_spread, slope_moments
from heinit_sim.theory.infinite_width.mean_field import mean_field
from tests.conditions import condition
from tests.passes import simulated_passes

FIGURE_7_4 = condition((100,) * 51 + (1,), 0.02, n_inputs=100)


def test_gradients_of_the_he_network_of_figure_7_4_are_the_checked_numbers() -> None:
    found = 10 ** exact(FIGURE_7_4, 0.0)["grad_activation", "second_moment"]
    expected = [0.1632, 0.2658, 0.4330, 0.7053, 1.1489, 1.8715]
    assert [round(float(found[k]), 4) for k in (50, 40, 30, 20, 10, 0)] == expected
    field = mean_field(FIGURE_7_4, independent=True)
    textbook = 10 ** field["grad_activation", "second_moment"]
    np.testing.assert_allclose(textbook, 0.16, rtol=1e-13, atol=0)
    assert round(float(found[0] / textbook[0]), 1) == 11.7


def test_he_keeps_the_forward_second_moment_and_its_hidden_weight_gradients_the_layer() -> None:
    moments = exact(FIGURE_7_4, 0.0)
    np.testing.assert_allclose(moments["activation", "second_moment"], 0.0, atol=1e-13)
    field = mean_field(FIGURE_7_4, independent=True)["grad_weight", "second_moment"]
    np.testing.assert_allclose(field[:-1], field[0], rtol=1e-13, atol=0)


def test_relu_variance_of_one_input_is_the_lectures_formula() -> None:
    n, v = 50, 0.03
    moments = exact(condition((n,) * 4 + (1,), v), 0.0)
    norm2 = n * 10 ** moments["activation", "second_moment"][:-1]
    expected = v * norm2 * (1 - 1 / n) * (1 / 2 - 1 / (2 * np.pi))
    found = 10 ** moments["activation", "variance"][1:]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


def test_wide_networks_reach_the_infinite_width_limit() -> None:
    wide = condition((10**7,) * 4 + (1,), 2e-7, target=0.5)
    finite, limit = exact(wide, 0.0), mean_field(wide)
    for measure, expected in limit.items():
        known = ~np.isnan(expected)
        assert np.count_nonzero(known) >= 3
        # Corrections are of order depth/width; the output layer's one unit has no variance.
        np.testing.assert_allclose(finite[measure][known], expected[known], rtol=0, atol=1e-5)


def test_a_linear_network_is_a_product_of_gaussian_matrices() -> None:
    widths, v = (3, 4, 5, 2), (0.1, 0.2, 0.3)
    moments = exact(condition(widths, v, n_inputs=6), 1.0)
    growth = np.cumprod([1, *(n * v_k for n, v_k in zip(widths, v, strict=False))])
    second = 10 ** moments["activation", "second_moment"]
    np.testing.assert_allclose(second, growth[:-1], rtol=1e-13, atol=0)
    pooled = second * (1 - 1 / (np.array(widths[:-1]) * 6))
    np.testing.assert_allclose(10 ** moments["activation", "variance"], pooled, rtol=1e-13, atol=0)


def test_variances_without_a_closed_form_are_empty() -> None:
    moments = exact(condition((4, 5, 5, 1), 0.3, n_inputs=2), 0.0)
    known = {quantity: np.isfinite(moments[quantity, "variance"]).tolist() for quantity in PASS_OF}
    first_only = [True, False, False]
    assert known["preactivation"] == known["activation"] == first_only
    assert not any(any(known[q]) for q in PASS_OF if PASS_OF[q] == "backward")


@pytest.mark.slow
def test_deep_theory_stays_finite() -> None:
    deep = condition((10,) * 10_001 + (1,), 1.0)
    for moments in (exact(deep, 0.0), mean_field(deep)):
        assert max(map(np.nanmax, moments.values())) > 10_000
        assert not any(np.isnan(values[:-1]).any() for values in moments.values())
        # f_K is one number: no variance over units, hence log10 0
        minus_infinite = {m for m, values in moments.items() if np.isneginf(values).any()}
        assert minus_infinite <= {("preactivation", "variance"), ("grad_preactivation", "variance")}


@pytest.mark.parametrize(("alpha", "cumulant"), [(0.0, 5.0), (1.0, 2.0)])
def test_spread_of_log_norms_is_that_of_chi_squared_ratios(alpha: float, cumulant: float) -> None:
    found = log_norm_spread(condition((7, 100, 50, 3), 0.1), alpha)
    assert math.isclose(found, cumulant * (1 / 100 + 1 / 50), rel_tol=1e-15)


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.2, 1.0])
def test_moments_of_the_slope_are_those_of_a_midpoint_sum(alpha: float) -> None:
    width = 1e-4
    z = np.arange(width / 2, 12, width)  # the density beyond 12 is below 1e-31
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * width
    found = slope_moments(np.array(alpha))

    def mean(above: np.ndarray, below: np.ndarray) -> float:
        return float(weight @ (above + below))

    # The midpoint rule is off by width² / 24 of the derivative at 0: 4e-10 at most.
    assert abs(found.a - mean(z, -alpha * z)) < 1e-9
    assert abs(found.p2 - mean(z**2, alpha**2 * z**2)) < 1e-9
    assert abs(found.a3 - mean(z**3, -(alpha**3) * z**3)) < 1e-9
    assert abs(3 * found.p4 - mean(z**4, alpha**4 * z**4)) < 1e-9
    assert abs(found.p4 - mean(z**0, alpha**4 * z**0)) < 1e-9
    assert abs(found.sa - mean(z, -(alpha**2) * z)) < 1e-9


def test_with_a_probe_the_textbook_is_exact_where_a_square_brings_11_7_times_as_much() -> None:
    probe = replace(FIGURE_7_4, loss=Loss("probe"))
    found = 10 ** exact(probe, 0.0)["grad_activation", "second_moment"]
    np.testing.assert_allclose(found, 0.02, rtol=1e-12, atol=0)
    field = mean_field(probe, independent=True)["grad_activation", "second_moment"]
    np.testing.assert_allclose(10**field, found, rtol=1e-12, atol=0)
    square = 10 ** exact(FIGURE_7_4, 0.0)["grad_activation", "second_moment"]
    # of gradients that begin alike at h_K, where a square's is 0.1632
    assert round(float(square[0] / found[0] / (0.16 / 0.02)), 1) == 11.7


WIDTHS, VARIANCES = (7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4)


def probe_scores(n_networks: int, wrong: float = 1.0) -> np.ndarray:
    """Distances of simulated gradients from theory in standard errors over networks."""
    of = condition(
        WIDTHS,
        VARIANCES,
        "leaky_relu",
        options={"negative_slope": 0.2},
        loss=Loss("probe"),
    )
    theory, found = exact(of, 0.2), dict[Measure, list[np.ndarray]]()
    for start in range(0, n_networks, 5000):
        passes = simulated_passes(of, min(5000, n_networks - start), start)
        for measure, log10 in passes.items():
            found.setdefault(measure, []).append(10**log10)
    scores = []
    for (quantity, statistic), parts in found.items():
        if PASS_OF[quantity] == "backward" and (quantity, statistic) in theory:
            values = np.concatenate(parts, axis=1)
            error = values.std(axis=1, ddof=1) / math.sqrt(n_networks)
            mean = wrong * 10 ** theory[quantity, statistic]
            scores.append((values.mean(axis=1) - mean) / error)
    distances: np.ndarray = np.abs(np.concatenate(scores))
    return distances


def test_gradients_of_a_probe_are_the_closed_forms() -> None:
    assert probe_scores(20_000).max() < 4.5  # of 24 numbers


def test_closed_forms_that_are_wrong_by_a_tenth_are_found() -> None:
    assert probe_scores(20_000, wrong=1.1).max() > 6


@pytest.mark.slow
def test_gradients_of_a_probe_are_the_closed_forms_to_a_part_in_a_thousand() -> None:
    assert probe_scores(400_000).max() < 4
