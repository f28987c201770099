"""What must not change the numbers, and the two ways to the same numbers."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, MEASURES, Measure, Quantity
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.steps import Padding, Readout
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling import streams
from heinit_sim.simulation import executors, plan, tasks
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.plan import plan_passes
from heinit_sim.simulation.sweep import collect, iter_sweep, run_sweep, theory_beside
from heinit_sim.simulation.tasks import Task
from heinit_sim.theory import assumptions
from heinit_sim.theory.assumptions import homogeneous_slope
from tests.conditions import Blocks, Images, with_layers
from tests.conditions import condition as network
from tests.rows import slow_but

VARIANCES = (0.001, 0.02, 0.1, 1.0)


def condition(
    index: int = 0,
    variance: float = 0.1,
    *,
    widths: tuple[int, ...] = (7, 20, 20, 15, 2),
    target: float = 0.0,
    n_inputs: int = 5,
) -> Condition:
    swept = {"init.variance": variance}
    return network(widths, variance, n_inputs=n_inputs, target=target, index=index, swept=swept)


def config(*conditions: Condition, trials: int = 7, **changes: object) -> SweepConfig:
    conditions = conditions or tuple(condition(i, v) for i, v in enumerate(VARIANCES))
    values = {"init.variance": tuple(c.swept["init.variance"] for c in conditions)}
    return replace(SweepConfig("test", conditions, values, trials, seed=3), **changes)  # type: ignore[arg-type]  # the fields of a dataclass


def same_bits(a: SweepResult, b: SweepResult) -> bool:
    return all(
        np.array_equal(one.networks[measure], other.networks[measure], equal_nan=True)
        for one, other in zip(a.conditions, b.conditions, strict=True)
        for measure in MEASURES
    )


both_engines = pytest.mark.parametrize("engine", ["weights", "conditional"])


@both_engines
@pytest.mark.parametrize("drawn", ["common", "independent"])
def test_any_number_of_threads_gives_equal_bits(
    drawn: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_BLOCK_BYTES", 2**11)  # one or two networks a block
    monkeypatch.setattr(tasks, "_SHORTEST", 0.0)  # and a block a task
    many = config(trials=13, draws=drawn, engine=engine)
    assert len(tasks.task_list(many)) > 4
    alone = run_sweep(many, jobs=1)
    assert same_bits(alone, run_sweep(many, jobs=2))
    assert same_bits(alone, run_sweep(many, jobs=5))


@both_engines
def test_blocks_of_another_size_give_the_same_bits(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run_sweep(config(engine=engine))
    monkeypatch.setattr(plan, "_BLOCK_BYTES", 1)
    assert same_bits(expected, run_sweep(config(engine=engine)))


@both_engines
@pytest.mark.parametrize("target", [0.0, 0.7])
def test_numbers_drawn_again_on_the_way_back_are_equal(
    engine: str, target: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a target there are several passes, which have them in common."""
    every = [condition(i, v, target=target) for i, v in enumerate(VARIANCES[:2])]
    expected = run_sweep(config(*every, engine=engine))
    monkeypatch.setattr(streams, "_KEPT_BYTES", 0)
    assert same_bits(expected, run_sweep(config(*every, engine=engine)))


@both_engines
@pytest.mark.parametrize("drawn", ["common", "independent"])
@pytest.mark.parametrize("target", [0.0, 0.7])
def test_other_swept_values_change_no_bit_of_a_condition(
    drawn: str, target: float, engine: str
) -> None:
    every = [condition(i, v, target=target) for i, v in enumerate(VARIANCES)]
    full = run_sweep(config(*every, draws=drawn, engine=engine))
    kept = [replace(every[2], index=0), replace(every[0], index=1)]  # fewer, in another order
    fewer = run_sweep(config(*kept, draws=drawn, engine=engine))
    for one, other in (
        (full.conditions[2], fewer.conditions[0]),
        (full.conditions[0], fewer.conditions[1]),
    ):
        for measure in MEASURES:
            assert np.array_equal(one.networks[measure], other.networks[measure])


@both_engines
def test_more_trials_begin_with_the_fewer(engine: str) -> None:
    few, many = (run_sweep(config(trials=trials, engine=engine)) for trials in (3, 8))
    for one, other in zip(few.conditions, many.conditions, strict=True):
        for measure in MEASURES:
            assert np.array_equal(one.networks[measure], other.networks[measure][:3])


def test_a_deeper_network_begins_with_the_layers_of_the_shallower() -> None:
    shallow, deep = (
        run_sweep(config(condition(widths=(7, *(20,) * depth, 20)))) for depth in (3, 6)
    )
    measures: list[Measure] = [("activation", "variance"), ("preactivation", "second_moment")]
    for measure in measures:
        ours, theirs = (r.conditions[0].networks[measure] for r in (shallow, deep))
        assert np.array_equal(ours, theirs[:, :4])


def test_trials_layers_inputs_and_seeds_draw_different_numbers() -> None:
    def h_and_f(seed: int) -> np.ndarray:
        square = config(condition(widths=(6, 6, 6, 6)), seed=seed, trials=3)
        networks = run_sweep(square).conditions[0].networks
        return np.concatenate(
            [
                networks["activation", "variance"].ravel(),
                networks["preactivation", "variance"].ravel(),
            ]
        )

    values = np.concatenate([h_and_f(0), h_and_f(1)])
    assert len(np.unique(values)) == len(values)


def test_common_draws_of_a_variance_sweep_cost_one_pass() -> None:
    assert len(set(plan_passes(config()))) == 1
    assert len(set(plan_passes(config(draws="independent")))) == len(VARIANCES)
    with_target = [condition(i, v, target=1.0) for i, v in enumerate(VARIANCES)]
    assert len(set(plan_passes(config(*with_target)))) == len(VARIANCES)


def loss(result: ConditionResult, measure: Measure) -> np.ndarray | float:
    """By what a rounding of numbers is larger, relative to what is left between inputs."""
    if measure[1] != BETWEEN_INPUTS:
        return 1.0
    second = result.networks[measure[0], "second_moment"]
    return np.asarray(10 ** ((second - result.networks[measure]) / 2))


@pytest.mark.parametrize("drawn", slow_but(["common", "independent"], "common"))
def test_one_pass_for_all_variances_is_one_each(
    drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = (7, *(20,) * 50, 2)
    many = config(*(condition(i, v, widths=widths) for i, v in enumerate(VARIANCES)), draws=drawn)
    shared = run_sweep(many)
    monkeypatch.setattr(assumptions, "obeys_scale_law", lambda _: False)
    assert len(set(plan_passes(many))) == len(VARIANCES)
    direct = run_sweep(many)
    for one, other in zip(shared.conditions, direct.conditions, strict=True):
        for measure in MEASURES:
            difference = np.abs(one.networks[measure] - other.networks[measure])
            # relative 1e-12 of the moment itself, at logarithms of up to ±180
            assert (difference < 1e-12 * 180 / np.log(10) * loss(one, measure)).all()
            assert np.isfinite(one.networks[measure]).all()


@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("readout", ["flatten", "mean"])
def test_convolutions_share_a_pass_and_blocks_do_not(
    padding: Padding, readout: Readout, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images((3, 4), 3, (2, 5, 5, 5), padding, readout)
    widths = (24, 60, 60, 60, 3)
    plain = [
        with_layers(condition(i, v, widths=widths), images=images) for i, v in enumerate(VARIANCES)
    ]
    blocks = [with_layers(c, blocks=Blocks(0.5)) for c in plain]
    assert len(set(plan_passes(config(*plain)))) == 1
    assert len(set(plan_passes(config(*blocks)))) == len(VARIANCES)
    shared = run_sweep(config(*plain))
    monkeypatch.setattr(assumptions, "obeys_scale_law", lambda _: False)
    direct = run_sweep(config(*plain))
    for one, other in zip(shared.conditions, direct.conditions, strict=True):
        for measure in MEASURES:
            difference = np.abs(one.networks[measure] - other.networks[measure])
            assert (difference < 1e-12 * 20 / np.log(10) * loss(one, measure)).all()
    with_blocks = run_sweep(config(*blocks))
    apart = with_blocks.conditions[0].networks["activation", "second_moment"]
    assert not np.array_equal(apart, direct.conditions[0].networks["activation", "second_moment"])


def test_independent_draws_differ_between_conditions_and_common_ones_do_not() -> None:
    measure: Measure = ("activation", "variance")
    for drawn, ratio_is_constant in (("common", True), ("independent", False)):
        first, second = run_sweep(config(draws=drawn)).conditions[:2]
        ratio = first.networks[measure][:, 1] - second.networks[measure][:, 1]
        assert (np.ptp(ratio) < 1e-12) == ratio_is_constant


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variance", "target", "depth"),
    [(0.001, 0.7, 10_000), (0.001, 0.0, 2000), (1.0, 0.7, 2000), (1.0, 0.0, 2000)],
)
def test_thousands_of_layers_stay_finite_and_right(
    variance: float, target: float, depth: int
) -> None:
    width = 10
    deep = condition(
        variance=variance, widths=(width,) * (depth + 1) + (1,), target=target, n_inputs=2
    )
    linear = with_layers(deep, activation="linear")
    found = run_sweep(config(linear, trials=2)).conditions[0]
    for measure in MEASURES:
        values = found.networks[measure]
        assert np.isfinite(values).all()
        # ln ‖h‖² of a linear network drifts by ψ(n/2) − ln(n/2) ≈ −1/n per layer; its spread over
        # networks is √(2K/n) = 45 nats, so six standard deviations are 117 decades of thousands.
    drift = (np.log10(width * variance) - 1 / width / np.log(10)) * depth
    forward = found.networks["activation", "second_moment"][:, -1]
    assert (np.abs(forward - drift) < 6 * np.sqrt(2 * depth / width) / np.log(10)).all()
    if target == 0.7 and variance < 0.01:  # f_K has vanished beside y: ∂ℓ/∂f_K = −2 y
        last = found.networks["grad_preactivation", "second_moment"][:, -1]
        # a square, its mean and the logarithm: a few roundings of order 1
        np.testing.assert_allclose(last, 2 * np.log10(2 * 0.7), rtol=0, atol=8 * 2.0**-52)


def test_a_dead_network_is_minus_infinity_and_nothing_else() -> None:
    narrow = config(condition(widths=(2,) * 41, n_inputs=1), trials=20)
    networks = run_sweep(narrow).conditions[0].networks
    dead = np.isneginf(networks["activation", "second_moment"])
    assert dead[:, -1].any()
    assert not any(np.isnan(x).any() for (_, s), x in networks.items() if s != BETWEEN_INPUTS)
    assert np.isneginf(networks["grad_weight", "second_moment"][dead[:, -1]]).all()


def test_iter_sweep_yields_every_task_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_BLOCK_BYTES", 2**13)
    monkeypatch.setattr(tasks, "_SHORTEST", 0.0)
    done = list(iter_sweep(config(trials=11), jobs=2))
    assert sorted(trial for task, _ in done for trial in task.trials) == list(range(11))
    assert sorted(task.number for task, _ in done) == list(range(len(done)))


def test_a_sweep_uses_its_threads_alone_and_stops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated: list[Task] = []
    simulate = tasks.simulate

    def noted(task: Task) -> tuple[PassResult, ...]:
        simulated.append(task)
        return simulate(task)

    monkeypatch.setattr(plan, "_BLOCK_BYTES", 2**13)
    monkeypatch.setattr(tasks, "_SHORTEST", 0.0)
    monkeypatch.setattr(executors, "simulate", noted)
    alone = threading.active_count()
    with threadpool_limits(limits=2, user_api="blas"):
        done = iter_sweep(config(trials=2000), jobs=2)
        next(done)
        assert threading.active_count() == alone + 2
        assert blas_threads() == {1}
        done.close()
        assert blas_threads() == {2}
    assert threading.active_count() == alone
    assert len(simulated) < 20


def blas_threads() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def extreme(activation: str, variances: tuple[float, ...]) -> SweepResult:
    """Layers of 4 units, without a scale law."""
    one = condition(widths=(4,) * len(variances) + (1,))
    one = with_layers(one, activation=activation, weight_variances=variances)
    return run_sweep(config(one, trials=20), 1)


def test_gradients_through_slopes_near_zero_are_kept_at_every_layer() -> None:
    # slopes down to e^-1000: four layers of them leave a float's range, and so do squares of one
    networks = extreme("sigmoid", (1e5,) * 13).conditions[0].networks
    for quantity in ("grad_preactivation", "grad_activation", "grad_weight"):
        assert np.isfinite(networks[quantity, "second_moment"]).all(), quantity


def test_products_of_large_activations_and_large_gradients_are_kept() -> None:
    # squares of h_1 are about 1e296, those of f_1 and ∂ℓ/∂f_1 about 1e72: too much together
    networks = extreme("gelu", (1e296, 1e-224)).conditions[0].networks
    for quantity in ("activation", "grad_preactivation", "grad_weight"):
        assert np.isfinite(networks[quantity, "second_moment"]).all(), quantity


SQUARE = """
name: orthogonal
network: {{depth: 12, width: 20, input_dim: 20, output_dim: 20, activation: {activation}}}
init: {{scheme: {scheme}}}
inputs: {{count: 3}}
trials: 4
"""


def test_square_orthogonal_linear_networks_keep_every_norm_in_both_passes() -> None:
    text = SQUARE.format(activation="linear", scheme="orthogonal")
    networks = run_sweep(parse_config(text)).conditions[0].networks
    quantities: tuple[Quantity, ...] = ("activation", "grad_activation")
    for quantity in quantities:
        log10 = networks[quantity, "second_moment"]
        assert np.abs(log10 - log10[:, :1]).max() < 1e-12  # 13 products of rounding 20 · 2^-53
    twin = run_sweep(parse_config(SQUARE.format(activation="linear", scheme="lecun_normal")))
    log10 = twin.conditions[0].networks["activation", "second_moment"]
    assert np.abs(log10 - log10[:, :1]).max() > 0.01


@pytest.mark.parametrize(
    "scheme", slow_but(["he_uniform", "torch_linear_default", "jax_default"], "jax_default")
)
def test_symmetric_weights_keep_the_mean_that_the_recursion_predicts(scheme: str) -> None:
    text = SQUARE.format(activation="relu", scheme=scheme).replace("trials: 4", "trials: 2000")
    one = run_sweep(parse_config(text.replace("depth: 12", "depth: 2"))).conditions[0]
    assert dict(one.exact_layers) == {}
    assert (one.quantiles, one.log_norm_spread) == ({}, None)
    ratio = 10 ** (
        one.networks["activation", "second_moment"] - one.theory["activation", "second_moment"]
    )
    error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
    # f is symmetric about 0 given h, so the forward second moment is exact at any width; three
    # layers, five errors. A variance 10 % off is found.
    assert (np.abs(ratio.mean(axis=0) - 1) < 5 * error).all()
    assert (np.abs(1.1 * ratio.mean(axis=0) - 1) > 5 * error).all()


@pytest.mark.parametrize(("init", "drawn"), [("", 0), ("bias: 1, ", 0), ("bias_variance: 1, ", 1)])
def test_biases_are_drawn_only_where_they_are_random(
    init: str, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[range] = []

    def counted(seed: int, draws: streams.Draws, trials: range) -> list[FloatArray]:
        calls.append(trials)
        return streams.sample_biases(seed, draws, trials)

    monkeypatch.setattr(tasks, "sample_biases", counted)
    network = "{depth: 2, width: 3, input_dim: 3}"
    run_sweep(
        parse_config(f"name: x\nnetwork: {network}\ninit: {{{init}variance: 1}}\ntrials: 1\n")
    )
    assert len(calls) == drawn


CONSTANT = "name: a\nnetwork: {depth: 2, width: 4, input_dim: 3, activation: tanh}\n"


def test_constant_biases_are_added_to_every_unit() -> None:
    both = [
        parse_config(CONSTANT + f"trials: 3\ninit: {{variance: 1e-30, {bias}}}\n")
        for bias in ("bias: 0.5", "bias: 0.5, bias_variance: 1e-20")
    ]
    h = math.tanh(0.5)
    for config in both:
        (one,) = run_sweep(config).conditions
        expected = np.log10([0.25, 0.25, 0.25])
        for found in one.networks["preactivation", "second_moment"]:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
        for found in one.networks["activation", "second_moment"]:
            np.testing.assert_allclose(found[1:], np.log10([h**2] * 2), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "block", ["[weights, activation]", "[activation, weights, activation, weights, add]"]
)
@pytest.mark.parametrize("readout", ["flatten", "mean"])
def test_constant_biases_are_added_at_all_positions(readout: str, block: str) -> None:
    text = (
        f"name: a\ntrials: 3\nnetwork: {{kind: cnn, depth: 3, image: [3, 2], kernel: 3, "
        f"channels: 4, readout: {readout}, block: {block}, output_dim: 2}}\n"
        "init: {scheme: he_normal, bias: 0.5, bias_variance: %s}\ninputs: {count: 2}\n"
    )
    constant, all_but = (run_sweep(parse_config(text % b)).conditions[0] for b in (0, 1e-30))
    for measure, log10 in constant.networks.items():
        # Biases that stray by 1e-15 from 0.5 move nothing by more than rounding does.
        np.testing.assert_allclose(log10, all_but.networks[measure], rtol=0, atol=1e-9)


def test_biases_may_differ_by_layer_and_be_swept() -> None:
    layers = "[{variance: 1, bias: 2}, {variance: 1}, {variance: 1, bias_variance: 3}]"
    (layered,) = parse_config(CONSTANT + f"init: {layers}\n").conditions
    assert (layered.bias_means, layered.bias_variances) == ((2.0, 0.0, 0.0), (0.0, 0.0, 3.0))
    swept = parse_config(CONSTANT + "init: {variance: 1}\nsweep: {init.bias: [0, -1]}\n")
    assert [c.bias_means for c in swept.conditions] == [(0.0,) * 3, (-1.0,) * 3]
    assert [homogeneous_slope(with_layers(c, activation="relu")) for c in swept.conditions] == [
        0,
        None,
    ]
    one, other = run_sweep(replace(swept, trials=2)).conditions
    measure: Measure = ("preactivation", "second_moment")
    assert not np.array_equal(one.networks[measure], other.networks[measure])


def test_theory_that_was_begun_before_is_the_same() -> None:
    sweep = config(condition())
    done = list(iter_sweep(sweep, 1))
    (mine,) = collect(sweep, done).conditions
    (theirs,) = collect(sweep, done, theory=lambda: theory_beside(sweep)).conditions
    assert mine.sampled == theirs.sampled > 0
    assert mine.theory.keys() == theirs.theory.keys()
    for quantity, expected in mine.quantiles.items():
        np.testing.assert_array_equal(theirs.quantiles[quantity], expected)
