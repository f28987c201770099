"""Identities that hold for every network, whatever its shape: Hypothesis picks the networks."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from heinit_sim.experiment.quantities import BETWEEN_INPUTS, MEASURES, PASS_OF, Quantity, Statistic
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.numerics.spread import spread
from heinit_sim.simulation import plan
from heinit_sim.simulation.measure import Measured
from heinit_sim.simulation.plan import NetworkPass
from heinit_sim.simulation.sweep import collect
from heinit_sim.simulation.tasks import Simulated, simulate, simulate_block, task_list
from heinit_sim.theory.finite_width.moments import exact
from heinit_sim.theory.infinite_width.mean_field import mean_field
from tests.conditions import condition as network
from tests.conditions import unpredicted, with_layers

# Reproducible, and without a clock: a busy machine must not fail a law.
laws = settings(derandomize=True, deadline=None, database=None, max_examples=25)
# log10 of moments here stays within ±100, where its own rounding is 1e-14; a chain of 7 layers of
# 9 units rounds to about 1e-14 relative. A wrong factor would be at least 1e-3.
TOLERANCE = 1e-12
ZERO = st.just(0.0)
FORWARD: tuple[Quantity, ...] = ("preactivation", "activation")


@st.composite
def conditions(draw: st.DrawFn, target: st.SearchStrategy[float] = ZERO) -> Condition:
    widths = draw(st.lists(st.integers(1, 9), min_size=3, max_size=8))
    variances = [draw(st.floats(1e-6, 1e6)) for _ in widths[1:]]
    slope = draw(st.sampled_from([-0.5, 0.01, 0.2, 1.0]))  # not 0: a dead network has no logarithm
    n_inputs, y = draw(st.integers(1, 4)), draw(target)
    options = {"negative_slope": slope}
    return network(widths, variances, "leaky_relu", n_inputs, y, options=options)


def config(condition: Condition, trials: int = 3) -> SweepConfig:
    return SweepConfig("law", (condition,), {}, trials, seed=1)


def networks(condition: Condition) -> Measured:
    return unpredicted(config(condition)).conditions[0].networks


def differ(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two arrays of logarithms; equal infinities do not differ."""
    finite = np.isfinite(a) | np.isfinite(b)
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0))


@laws
@given(conditions())
def test_the_scale_law_holds_for_a_variance_of_its_own_in_every_layer(condition: Condition) -> None:
    passes = plan.plan_passes(config(condition))
    assert {spec.weight_variance for spec in passes[0].specs} == {1.0}
    direct = NetworkPass(
        passes[0].draws,
        condition.layers,
        Loss(),
    )
    shifted = networks(condition)
    (result,) = simulate_block(1, [direct], range(3), spare=[])
    for measure in MEASURES:
        # Units that inputs differ in by a small part of their size lose as many digits more.
        alike = 0.0
        if measure[1] == BETWEEN_INPUTS and condition.n_inputs > 1:
            alike = float(np.max(shifted[measure[0], "second_moment"] - shifted[measure])) / 2
        assert differ(shifted[measure], result.networks[measure]) < TOLERANCE * 10**alike


@laws
@given(conditions(target=st.sampled_from([0.0, 0.7, -30.0])))
def test_variance_never_exceeds_the_second_moment(condition: Condition) -> None:
    found = networks(condition)
    for quantity in PASS_OF:
        excess = found[quantity, "variance"] - found[quantity, "second_moment"]
        assert (excess <= TOLERANCE).all()


@laws
@given(conditions(target=st.sampled_from([0.0, 0.7])))
def test_variance_between_inputs_never_exceeds_the_variance(condition: Condition) -> None:
    found = networks(condition)
    for quantity in FORWARD:
        between, variance = found[quantity, BETWEEN_INPUTS], found[quantity, "variance"]
        assert np.isnan(between).all() == (condition.n_inputs == 1)
        if condition.n_inputs > 1:
            # where a unit's inputs are alike to rounding, so is the variance of a lone unit
            floor = found[quantity, "second_moment"] - 26
            assert ((between <= variance + TOLERANCE) | (between < floor)).all()


@laws
@given(conditions())
def test_the_loss_gradient_is_twice_the_output(condition: Condition) -> None:
    found = networks(condition)
    statistics: tuple[Statistic, ...] = ("second_moment", "variance")
    for statistic in statistics:
        output = found["preactivation", statistic][:, -1]
        gradient = found["grad_preactivation", statistic][:, -1]
        assert differ(gradient, output + np.log10(4)) < TOLERANCE


@laws
@given(conditions(target=st.sampled_from([0.0, 0.7])))
def test_weight_gradients_of_one_input_are_products_of_norms(condition: Condition) -> None:
    alone = replace(condition, n_inputs=1)
    found = networks(alone)
    product = found["grad_preactivation", "second_moment"] + found["activation", "second_moment"]
    assert differ(found["grad_weight", "second_moment"], product) < TOLERANCE


@laws
@given(conditions(target=st.sampled_from([0.0, 0.7])))
def test_quantiles_and_the_mean_lie_within_the_networks(condition: Condition) -> None:
    for (_, statistic), values in networks(condition).items():
        if statistic == BETWEEN_INPUTS and condition.n_inputs == 1:
            assert np.isnan(values).all()
            continue
        found = spread(values)
        assert (found.p05 <= found.median).all()
        assert (found.median <= found.p95).all()
        low, high = values.min(axis=0) - TOLERANCE, values.max(axis=0) + TOLERANCE
        assert ((low <= found.mean) & (found.mean <= high)).all()


@laws
@given(conditions(), st.floats(1e-3, 1e3))
def test_theory_obeys_the_scale_law(condition: Condition, r: float) -> None:
    slope = dict(condition.activates[0].options)["negative_slope"]
    scaled = with_layers(condition, weight_variances=[r * v for v in condition.weight_variances])
    k, depth = np.arange(condition.depth + 1), condition.depth
    powers = {
        "preactivation": k + 1,
        "activation": k,
        "grad_preactivation": 2 * depth + 1 - k,
        "grad_activation": 2 * depth + 2 - k,
        "grad_weight": 2 * depth + 1 + 0 * k,
    }
    predictions = (
        (exact(condition, slope), exact(scaled, slope)),
        (mean_field(condition), mean_field(scaled)),
    )
    for before, after in predictions:
        for measure in before:
            expected = before[measure] + powers[measure[0]] * np.log10(r)
            assert differ(after[measure], expected) < TOLERANCE


@laws
@given(conditions(target=st.sampled_from([0.0, 0.7])), st.integers(1, 3))
def test_tasks_may_be_cut_anywhere_and_done_in_any_order(condition: Condition, size: int) -> None:
    whole = config(condition, trials=5)
    (task,) = task_list(whole)
    cuts = [range(start, min(start + size, 5)) for start in range(0, 5, size)]
    parts = [task._replace(trials=trials) for trials in reversed(cuts)]
    done = [Simulated(part, simulate(part)) for part in parts]
    (cut,) = collect(whole, done, quantiles=False).conditions
    (uncut,) = unpredicted(whole).conditions
    assert all(np.array_equal(cut.networks[m], uncut.networks[m], equal_nan=True) for m in MEASURES)
