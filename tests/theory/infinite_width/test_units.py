"""Units that are off in wide layers against closed forms, samples and wide networks."""

import math
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, flat_slope, make_activation, own_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.records import RatioMeasure
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.simulation import run_sweep
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.units import (
    Intervals,
    flat_intervals,
    off_probability,
    unit_ratios,
)
from tests.rows import slow_but

Array = np.ndarray
BELOW: Intervals = ((-math.inf, 0.0),)
BOTH: Intervals = ((-math.inf, -0.7), (1.2, math.inf))
# Standard errors: some 60 numbers are looked at, so one false alarm in 200 runs, were they normal.
ERRORS = 4.0
OFF: RatioMeasure = ("activation", "off_share")
SATURATED: RatioMeasure = ("activation", "saturated_share")
H_PARTICIPATION: RatioMeasure = ("activation", "participation_ratio")
F_PARTICIPATION: RatioMeasure = ("preactivation", "participation_ratio")


@pytest.mark.parametrize("gap", [2.0, 1.9, 1.3, 1.0, 0.5, 0.1, 1e-3, 1e-6, 1e-10, 0.0])
def test_two_numbers_are_below_zero_as_their_angle_says(gap: float) -> None:
    # Sheppard 1899; a root of the gap is what 1 − gap leaves of it
    expected = 0.5 - math.asin(math.sqrt(gap / 2)) / math.pi
    assert abs(off_probability(BELOW, gap, 2) - expected) < 1e-12


@pytest.mark.parametrize("gap", [1.0, 0.8, 0.3, 0.01, 1e-5])
def test_three_numbers_are_below_zero_as_their_angles_say(gap: float) -> None:
    angle = 2 * math.asin(math.sqrt(gap / 2))
    assert abs(off_probability(BELOW, gap, 3) - (0.5 - 3 * angle / (4 * math.pi))) < 1e-12


@pytest.mark.parametrize("n", [2, 9, 100, 10_000])
def test_numbers_of_correlation_one_half_are_below_zero_once_in_n_plus_one(n: int) -> None:
    # z_i < 0 where u_i < −t of n + 1 numbers of one law: −t is the largest of them
    assert abs(off_probability(BELOW, 0.5, n) * (n + 1) - 1) < 1e-10


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("intervals", [BELOW, BOTH])
def test_independent_numbers_and_equal_ones_are_the_ends(intervals: Intervals, n: int) -> None:
    alone = off_probability(intervals, 0.0, 2)
    expected = sum(
        (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
        for low, high in intervals
    )
    assert abs(alone - expected) < 1e-14
    assert abs(off_probability(intervals, 1.0, n + 1) - expected ** (n + 1)) < 1e-14


SAMPLED = [(0.3, 4), (0.02, 20), (0.9, 3), (1.6, 2)]


@pytest.mark.parametrize(("gap", "n"), slow_but(SAMPLED, (0.3, 4)))
def test_samples_are_inside_as_often_and_with_another_correlation_are_not(
    gap: float, n: int
) -> None:
    rng = np.random.default_rng(11)
    count = 400_000
    common, own = rng.standard_normal((count, 1)), rng.standard_normal((count, n))
    z = math.sqrt(abs(1 - gap)) * common + math.sqrt(min(gap, 1.0)) * own
    if gap > 1:
        second = (1 - gap) * own[:, :1] + math.sqrt(gap * (2 - gap)) * common
        z = np.hstack([own[:, :1], second])
    inside = (((z < -0.7) | (z > 1.2)).all(axis=1)).mean()
    error = math.sqrt(inside * (1 - inside) / count)
    assert abs(off_probability(BOTH, gap, n) - inside) < ERRORS * error
    assert abs(off_probability(BOTH, 0.9 * gap, n) - inside) > ERRORS * error


def test_more_than_two_numbers_have_no_common_negative_correlation() -> None:
    assert math.isnan(off_probability(BELOW, 1.1, 3))


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"sin", "prelu", "leaky_relu"}))
def test_flat_intervals_are_where_the_slope_is_small(name: str) -> None:
    activation = make_activation(name, {})
    intervals = flat_intervals(activation)
    assert intervals is not None
    z = np.random.default_rng(3).uniform(-12, 12, 20_000)
    inside = np.zeros(len(z), bool)
    for low, high in intervals:
        inside |= (low < z) & (z < high)
    small = np.abs(np.asarray(activation.derivative(z), float)) < flat_slope(activation)
    np.testing.assert_array_equal(inside, small)


def test_flat_intervals_end_where_formulas_say() -> None:
    assert flat_intervals(make_activation("relu", {})) == BELOW
    assert flat_intervals(make_activation("relu6", {})) == ((-math.inf, 0.0), (6.0, math.inf))
    assert flat_intervals(make_activation("leaky_relu", {"negative_slope": 0.005})) == BELOW
    assert flat_intervals(make_activation("leaky_relu", {"negative_slope": 0.01})) == ()
    (_, low), (high, _) = flat_intervals(make_activation("tanh", {})) or ()
    assert abs(high - math.acosh(10)) < 1e-12
    assert abs(low + math.acosh(10)) < 1e-12
    assert flat_intervals(make_activation("sin", {})) is None
    squared = own_activation(lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0), [0.0])
    ((_, end),) = flat_intervals(squared) or ()
    assert abs(end - 0.1) < 1e-12  # 1 % of its slope 20 at 10


def wide(activation: str, engine: str, more: str = "", width: int = 1000) -> ConditionResult:
    (of,) = run_sweep(
        parse_config(f"""
name: wide
network: {{depth: 3, width: {width}, input_dim: {width}, activation: {activation}}}
init: {{variance: 3/{width}, bias_variance: 0.4, bias: -0.3}}
inputs: {{count: 4}}
trials: 30
engine: {engine}
record: {{units: true}}
{more}""")
    ).conditions
    return of


def far(of: ConditionResult, measure: RatioMeasure, theory: Array) -> Array:
    """Errors of the mean over networks beyond 2/D, which infinite width leaves out."""
    seen = of.ratios[measure][:, 1:]
    error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
    off = np.abs(seen.mean(axis=0) - theory[1:]) - 2 / of.condition.widths[1]
    return np.where(off > 0, off / error, 0.0)


@pytest.mark.parametrize(
    ("activation", "engine"),
    [
        ("relu", "conditional"),
        *(pytest.param(name, "conditional", marks=pytest.mark.slow) for name in ("tanh", "gelu")),
        *(pytest.param(name, "weights", marks=pytest.mark.slow) for name in ("relu", "relu6")),
        pytest.param("hard_tanh", "weights", marks=pytest.mark.slow),
    ],
)
def test_wide_networks_have_the_shares_of_theory(activation: str, engine: str) -> None:
    of = wide(activation, engine)
    for measure in (OFF, SATURATED):
        assert (far(of, measure, of.theory_ratios[measure]) < ERRORS).all()
    if activation == "relu":  # a theory of independent inputs, or without biases, is seen to fail
        saturated = of.theory_ratios[SATURATED]
        assert (far(of, OFF, saturated**4) > ERRORS).any()
        assert (far(of, SATURATED, np.full(4, 0.5)) > ERRORS).all()


def test_activations_inside_blocks_have_their_shares() -> None:
    block = "network.block: [[norm, weights, activation, weights, add]]"
    of = wide("relu", "weights", f"sweep: {{{block}}}", width=300)
    assert np.isnan(of.ratios[OFF][:, :2]).all()  # the stem has no activation
    for measure in (OFF, SATURATED):
        theory = of.theory_ratios[measure]
        assert np.isfinite(theory[2:]).all()
        assert (far(of, measure, theory)[1:] < ERRORS).all()


def theory_of(text: str) -> dict[RatioMeasure, Array]:
    of: Condition = parse_config(f"name: x\n{text}").conditions[0]
    return unit_ratios(of, mean_field(of))


PLAIN = "network: {depth: 3, width: 50, input_dim: 20}\ninit: {scheme: he_normal}\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN + "inputs: {distribution: pair, cosine: 0.2, count: 4}",
        PLAIN.replace("input_dim", "block: [weights, {norm: {kind: batch}}, activation], input_dim")
        + "inputs: {count: 8}",
        PLAIN.replace("input_dim", "activation: sin, input_dim") + "inputs: {count: 8}",
    ],
)
def test_where_inputs_are_not_exchangeable_nothing_is_said_of_units(text: str) -> None:
    assert np.isnan(theory_of(text)[OFF]).all()


def test_a_pair_and_a_single_input_are_known() -> None:
    pair = theory_of(PLAIN + "inputs: {distribution: pair, cosine: -1, count: 2}")
    np.testing.assert_allclose(pair[OFF][1:3], [0.0, 0.25], rtol=0, atol=1e-12)
    one = theory_of(PLAIN + "inputs: {count: 1}")
    np.testing.assert_allclose(one[OFF][1:], 0.5, rtol=0, atol=1e-15)
    assert np.isnan(one[H_PARTICIPATION]).all()


def participation(widths: list[int], n: int, activation: str = "linear") -> dict[Any, Array]:
    text = f"""
network: {{depth: {len(widths) - 1}, width: {widths[1:]}, input_dim: {widths[0]}, output_dim: 7,
          activation: {activation}}}
init: {{scheme: lecun_normal, bias_variance: 0.3, bias: 1}}
inputs: {{count: {n}, distribution: normal, mean: 3, std: 2}}
"""
    return theory_of(text)


def test_each_linear_layer_adds_the_inverse_of_its_width() -> None:
    widths, n = [30_000, 20_000, 50_000, 10_000], 6
    found = participation(widths, n)
    expected = 1 / (1 / (n - 1) + np.cumsum(1 / np.array(widths)))
    np.testing.assert_allclose(found[H_PARTICIPATION], expected, rtol=2e-4, atol=0)
    np.testing.assert_array_equal(found[F_PARTICIPATION][:-1], found[H_PARTICIPATION][1:])
    bent = participation(widths, n, "relu")
    np.testing.assert_array_equal(np.isnan(bent[H_PARTICIPATION]), [False, True, True, True])
    np.testing.assert_array_equal(np.isnan(bent[F_PARTICIPATION]), [False, True, True, True])


def test_moments_of_gram_matrices_are_those_of_samples() -> None:
    widths, n, count = [6, 4, 5], 5, 200_000
    rng = np.random.default_rng(4)
    z = rng.standard_normal((count, widths[0], n))
    found = participation(widths, n)[H_PARTICIPATION]
    for k, width in enumerate(widths):
        if k:
            z = rng.standard_normal((count, width, widths[k - 1])) @ z
        about_mean = z - z.mean(axis=-1, keepdims=True)
        gram = about_mean.swapaxes(-1, -2) @ about_mean
        squares, traces = (gram**2).sum(axis=(-1, -2)), np.trace(gram, axis1=-2, axis2=-1) ** 2
        ratio = squares.mean() / traces.mean()
        error = (squares - ratio * traces).std() / math.sqrt(count) / traces.mean()
        assert abs(1 / found[k] - ratio) < ERRORS * error
        # with N − 1 in place of N, as if the mean of the inputs were known
        wrong = participation(widths, n + 1)[H_PARTICIPATION][k]
        assert abs(1 / wrong - ratio) > ERRORS * error


def test_linear_networks_keep_the_directions_of_theory() -> None:
    (of,) = run_sweep(
        parse_config("""
name: x
network: {depth: 5, width: 200, input_dim: 200, activation: linear}
init: {scheme: lecun_normal}
inputs: {count: 20}
trials: 60
record: {units: true}
""")
    ).conditions
    for measure in (H_PARTICIPATION, F_PARTICIPATION):
        seen = 1 / of.ratios[measure][:, :5]
        error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
        theory = 1 / of.theory_ratios[measure][:5]
        # networks of large traces count more: what that makes is of order r/D
        assert (np.abs(seen.mean(axis=0) - theory) < ERRORS * error + 2 * theory / 200).all()
        assert (np.abs(seen.mean(axis=0) - 1 / 19) > ERRORS * error + 2 * theory / 200)[1:].all()
