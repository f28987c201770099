import gc
import tracemalloc
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from heinit_sim.cli.config import gallery
from heinit_sim.config import Override, load_config, parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.passes import iter_forward
from heinit_sim.sampling import streams
from heinit_sim.simulation import cost as simulation_cost
from heinit_sim.simulation import plan as plan_module
from heinit_sim.simulation.cost import Cost, estimate
from heinit_sim.simulation.plan import block_size, distinct_passes, families
from heinit_sim.simulation.tasks import simulate_block
from tests.configs import SMALL


def cost(jobs: int = 1, **changes: str) -> Cost:
    overrides = [Override("--set", key.replace("__", "."), text) for key, text in changes.items()]
    return estimate(load_config(gallery()["figure_7_4"], overrides), jobs)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing costs time but what a test sets a price for."""
    monkeypatch.setattr(simulation_cost, "_probe", lambda: (0.0, 0.0))
    monkeypatch.setattr(simulation_cost, "_weight_seconds", lambda _: 0.0)
    monkeypatch.setattr(simulation_cost, "_activation_seconds", lambda *_: 0.0)
    monkeypatch.setattr(simulation_cost, "_stream_seconds", lambda: 0.0)
    return monkeypatch


def test_a_sweep_over_the_variance_is_planned_as_one_pass_per_trial() -> None:
    assert cost().passes == 100
    assert cost(loss__target="1").passes == 500
    assert cost(draws="independent").passes == 500


def test_memory_of_weights_that_do_not_fit_is_that_of_one_layer() -> None:
    # 200 layers of 1000² weights are 1.5 GiB; drawn again in the backward pass, they are not kept
    large = cost(network__depth="200", network__width="1000", network__input_dim="1000")
    assert large.peak_bytes < 300 * 2**20
    assert cost().peak_bytes < 300 * 2**20


def test_time_grows_with_the_work_and_shrinks_with_threads() -> None:
    # by more than a probe on a busy machine can be off
    assert cost(trials="10000").seconds > 10 * cost().seconds
    assert cost(jobs=8, trials="10000").seconds < 0.5 * cost(trials="10000").seconds


def test_weights_that_are_not_kept_cost_a_second_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation_cost, "_probe", lambda: (0.0, 0.0))
    monkeypatch.setattr(simulation_cost, "_weight_seconds", lambda _: 1.0)
    kept = cost().seconds
    monkeypatch.setattr(streams, "_KEPT_BYTES", 0)
    n_weights = 50 * 100**2 + 100  # of 51 layers, D = 100 and one output
    np.testing.assert_allclose(cost().seconds - kept, 100 * n_weights, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("sweep", "layers"),
    [
        ("{network.width: [10]}", 51),
        ("{network.width: [10, 20, 30]}", 3 * 51),
        ("{network.width: [10], init.variance: [0.1, 0.2]}", 51),  # one law at two scales
        ("{network.depth: [2, 20]}", 3 + 21),
        ("{network.activation: [tanh]}", 0),
    ],
)
def test_every_shape_with_a_law_costs_the_layers_of_its_sampled_networks(
    sweep: str, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation_cost, "_probe", lambda: (0.0, 0.0))
    monkeypatch.setattr(simulation_cost, "_weight_seconds", lambda _: 0.0)
    monkeypatch.setattr(simulation_cost, "_SECONDS_PER_SAMPLE", 0.0)
    without = cost(sweep=sweep).seconds
    monkeypatch.setattr(simulation_cost, "_SECONDS_PER_SAMPLE", 1.0)
    sampled = cost(sweep=sweep).seconds - without
    np.testing.assert_allclose(sampled, 4000 * layers, rtol=1e-9, atol=0)


@pytest.mark.parametrize("bins", ["decades", "std"])
def test_every_number_counted_costs_its_time(bins: str, free: pytest.MonkeyPatch) -> None:
    # a pass of its own for each condition anyway
    fixed: dict[str, Any] = {"loss__target": "1", "trials": "10"}
    free.setattr(simulation_cost, "_count_seconds", lambda _: 1.0)
    counted = cost(record__histograms=bins, **fixed).seconds - cost(**fixed).seconds
    units = 3 * 100 * (100 + 50 * 100 + 1)  # inputs, hidden layers, output of 100 inputs
    np.testing.assert_allclose(counted, 10 * 5 * units, rtol=1e-6, atol=0)


def test_cosines_cost_a_few_steps_a_number(free: pytest.MonkeyPatch) -> None:
    free.setattr(simulation_cost, "_probe", lambda: (0.0, 1.0))
    fixed: dict[str, Any] = {"trials": "10"}
    plain, more = cost(**fixed).seconds, cost(record__cosine="true", **fixed).seconds
    assert 1.1 < more / plain < 1.5


@pytest.mark.parametrize("record", simulation_cost._CALLS_OF_RECORDS)
def test_records_cost_calls_of_python_for_each_layer(record: str, free: pytest.MonkeyPatch) -> None:
    free.setattr(simulation_cost, "_probe", lambda: (0.0, 0.0))
    free.setattr(simulation_cost, "_count_seconds", lambda _: 0.0)
    free.setattr(simulation_cost, "_SECONDS_PER_CALLS", 1.0)
    value = {"histograms": "std", "update": "{learning_rate: 1}"}.get(record, "true")
    # a pass of its own for each condition anyway, as many as it has with a record
    fixed: dict[str, Any] = {"loss__target": "1", "trials": "1"}
    plain = cost(**fixed).seconds
    more = cost(**fixed | {f"record__{record}": value}).seconds
    share = simulation_cost._CALLS_OF_RECORDS[record]
    np.testing.assert_allclose(more / plain, 1 + share, rtol=1e-3, atol=0)


def test_histograms_of_deep_networks_are_counted_as_memory() -> None:
    deep: dict[str, Any] = {"network__depth": "10000", "network__width": "4"}
    deep["sweep"] = "{init.variance: [0.1]}"
    more = cost(record__histograms="decades", **deep).peak_bytes - cost(**deep).peak_bytes
    assert more > 2 * 3 * 10_000 * 800 * 8


def test_networks_are_sampled_once_for_each_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    # all else is nothing beside it
    monkeypatch.setattr(simulation_cost, "_SECONDS_PER_SAMPLE", 1e6)
    leaky: dict[str, Any] = {"network__activation": "leaky_relu"}
    swept = leaky | {"network__activation__negative_slope": "0.1,0.2,0.3"}
    one = cost(**leaky).seconds
    np.testing.assert_allclose(cost(**swept).seconds, 3 * one, rtol=1e-6)
    np.testing.assert_allclose(cost(init__variance="0.1,0.2,0.3").seconds, one, rtol=1e-6)


NETWORK = """
name: a
network: {{depth: 50, width: 100, input_dim: 100, activation: tanh{more}}}
init: {{scheme: {scheme}}}
inputs: {{count: 100}}
"""


def test_lsuv_costs_one_more_pass_forward(free: pytest.MonkeyPatch) -> None:
    free.setattr(simulation_cost, "_probe", lambda: (1.0, 0.0))  # products alone
    usual, lsuv = (
        estimate(parse_config(NETWORK.format(scheme=scheme, more="")), 1).seconds
        for scheme in ("orthogonal", "lsuv")
    )
    np.testing.assert_allclose(lsuv / usual, 3 / 2, rtol=1e-6, atol=0)


DENSE = """
name: a
network: {depth: 6, width: 256, input_dim: 256, block: [BLOCK]}
init: {scheme: he_normal}
inputs: {count: 60, INPUTS}
trials: 2
"""
IMAGES = DENSE.replace(
    "width: 256, input_dim: 256", "kind: cnn, image: [8, 8], kernel: 3, channels: 8"
)
BATCH = "{norm: {kind: batch}}"
WIDER = "norm, {weights: {expand: 4}}, activation, weights, add"
# Text, block, and what of the forward pass its steps keep, in bytes of a unit that it ends with.
KEPT: dict[str, tuple[str, str, dict[str, float]]] = {
    "plain": (DENSE, "weights, activation", {"activation": 1}),
    "tanh": (DENSE, "weights, {activation: tanh}", {"activation": 8}),
    "add": (DENSE, "activation, weights, add", {"activation": 1}),
    "expand": (DENSE, WIDER, {"norm": 8, "activation": 4}),
    "rms": (DENSE, "weights, {norm: {kind: rms}}, activation", {"norm": 8, "activation": 1}),
    "norm at the end": (DENSE, f"activation, weights, add, {BATCH}", {"activation": 1, "norm": 16}),
    "dropout": (DENSE, "{dropout: {rate: 0.5}}, weights, add", {"dropout": 1}),
    "gate": (DENSE, "{gate: {activation: silu, expand: 3}}, weights, add", {"gate": 48}),
    "gate of slopes 0 and 1": (DENSE, "{gate: {activation: relu}}, weights", {"gate": 16}),
    "attention": (
        DENSE,
        "{attention: {heads: 4}}, weights, add",
        {"attention": 24 + 8 * 4 * 20 / 256},
    ),
    "convolution": (IMAGES, "weights, activation", {"weights": 16, "activation": 1}),
    "inner convolution": (IMAGES, "activation, weights, add", {"activation": 1, "weights": 8}),
    "batch norm of images": (IMAGES, f"{BATCH}, weights, activation", {"norm": 8, "activation": 1}),
    "gate of images": (IMAGES, "{gate: {activation: silu}}", {"gate": 16 + 16}),
}


@pytest.mark.parametrize("name", KEPT)
def test_steps_keep_what_is_said_of_them(name: str) -> None:
    text, block, expected = KEPT[name]
    inputs = "tokens: 20" if "attention" in block else "distribution: normal"
    two = [text.replace("BLOCK", block).replace("INPUTS", inputs)]
    two.append(two[0].replace("depth: 6", "depth: 5"))
    (said, traced, size), (said_less, traced_less, _) = map(kept_bytes, map(parse_config, two))
    n_inputs = 60 * (20 if "attention" in block else 1)
    block_units = n_inputs * (256 if text is DENSE else 512) * size
    found = {word: (n - said_less.get(word, 0)) / block_units for word, n in said.items()}
    assert {word: n for word, n in found.items() if n} == expected
    # Beside it are objects and some numbers of each input; a step forgotten is a boolean at least.
    beside = traced - traced_less - sum(expected.values()) * block_units
    assert 0 <= beside < block_units


def kept_bytes(config: SweepConfig) -> tuple[Mapping[str, int], int, int]:
    """What steps keep as it is said and as it is traced, and the networks side by side."""
    (network_pass,) = distinct_passes(config)
    size = min(block_size((network_pass,)), config.trials)
    given = 0, network_pass.draws, range(size)
    x, weights = streams.sample_inputs(*given), streams.sample_weights(*given, [])
    layers = make_layers(network_pass.layers, weights, None, streams.DrawnMasks(*given))
    traces: list[Trace] = []
    deque(iter_forward(layers, x, []), maxlen=0)  # what is kept for other passes too is there
    tracemalloc.start()
    deque(iter_forward(layers, x, traces), maxlen=0)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return estimate(config, 1).kept, traced, size


def test_thousands_of_tiny_networks_cost_their_random_streams(free: pytest.MonkeyPatch) -> None:
    before = cost(network__depth="2", network__width="3", trials="5000").seconds
    free.setattr(simulation_cost, "_stream_seconds", lambda: 1.0)
    after = cost(network__depth="2", network__width="3", trials="5000").seconds
    # three layers of weights and the inputs
    np.testing.assert_allclose(after - before, 4 * 5000, rtol=1e-6, atol=0)


def test_passes_are_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config, calls = parse_config(SMALL), []
    wanted, plan = estimate(config, 2).peak_bytes, plan_module.plan_passes

    def counted(of: SweepConfig) -> list[plan_module.NetworkPass]:
        calls.append(of)
        return plan(of)

    monkeypatch.setattr(plan_module, "plan_passes", counted)
    assert estimate(config, 2).peak_bytes == wanted
    assert calls == [config]


def test_a_run_beyond_the_memory_that_is_left_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config(SMALL.replace("count: 4", "count: 100000"))
    needed = estimate(config, 1).peak_bytes
    for left in (needed, None):
        monkeypatch.setattr(simulation_cost, "available_bytes", lambda left=left: left)
        simulation_cost.require_memory(config, 1)
    monkeypatch.setattr(simulation_cost, "available_bytes", lambda: needed - 1)
    for jobs, end in ((1, "or trials, or give --force"), (2, "or trials, or -j, or give --force")):
        with pytest.raises(
            ConfigError, match=r"GiB, and 0\.\d GiB are left; lower inputs"
        ) as found:
            simulation_cost.require_memory(config, jobs)
        assert str(found.value).endswith(end)


WITHOUT = """
name: a
network: {depth: 20, width: 400, input_dim: 400, activation: tanh}
init: {scheme: lecun_normal}
inputs: {count: 5}
trials: 3
"""


@pytest.mark.parametrize("more", ["", "sweep: {loss.target: [0.1, 0.2]}\n"])
def test_memory_without_weights_is_what_it_takes(more: str) -> None:
    """Numbers that are kept, a few layers, and little beside them."""
    config = parse_config(WITHOUT + more + "engine: conditional\n")
    (family,) = families(config)
    size = min(block_size(family), config.trials)
    simulate_block(0, family, range(size), spare=[])  # what is kept for other runs too is there
    tracemalloc.start()
    simulate_block(0, family, range(size), spare=[])
    _, traced = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    said = simulation_cost._block_bytes(family, size)
    assert 0.8 * traced < said < 1.3 * traced


def test_memory_without_weights_ends_at_what_is_kept_of_numbers() -> None:
    wide = WITHOUT.replace("400", "1000000").replace("count: 5", "count: 1")
    needed = estimate(parse_config(wide + "engine: conditional\n"), 1)
    assert needed.peak_bytes < 600 * 2**20
    assert needed.kept == {}


def test_what_is_gained_without_weights_grows_with_the_width(free: pytest.MonkeyPatch) -> None:
    free.setattr(simulation_cost, "_probe", lambda: (1e-6, 0.0))
    free.setattr(simulation_cost, "_SECONDS_PER_CALLS", 0.0)
    free.setattr(simulation_cost, "_SECONDS_PER_COLUMN", 0.0)
    gains = [
        simulation_cost.gain_without_weights(parse_config(WITHOUT.replace("400", width)), 1)
        for width in ("400", "800")
    ]
    # 2 D² N of 20 layers against 8 D N² of 21 thin products, each of which takes the time of four,
    # and 32 N³ of roots.
    np.testing.assert_allclose(
        np.array(gains, float), [400 / (16 * 5), 800 / (16 * 5)], rtol=0.1, atol=0
    )


def test_a_gain_is_that_of_one_engine_over_the_other_and_none_where_one_cannot(
    free: pytest.MonkeyPatch,
) -> None:
    free.setattr(simulation_cost, "_probe", lambda: (1e-6, 0.0))
    text = WITHOUT.replace("scheme: lecun_normal", "variance: 0.1")
    gains = [
        simulation_cost.gain_without_weights(parse_config(text + given), 1)
        for given in ("", "engine: conditional", "sweep: {init.distribution: [normal, uniform]}")
    ]
    assert gains[2] is None
    np.testing.assert_allclose(
        np.array(gains[0], float), np.array(gains[1], float), rtol=0.1, atol=0
    )


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_memory_of_a_step_of_training_is_what_it_takes(optimiser: str) -> None:
    """Both passes layer by layer, and no change of the weights as a whole."""
    text = "name: a\nnetwork: {depth: 30, width: 300, input_dim: 300}\ninit: {scheme: he_normal}\n"
    step = f"{{learning_rate: 1, optimiser: {optimiser}}}"
    text += f"inputs: {{count: 40}}\nrecord: {{update: {step}}}\n"
    (family,) = families(parse_config(text))
    simulate_block(0, family, range(1), spare=[])  # what is kept for other runs too is there
    tracemalloc.start()
    simulate_block(0, family, range(1), spare=[])
    _, traced = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    said = simulation_cost._block_bytes(family, 1)
    assert 0.6 * said < traced < 1.2 * said


def test_no_engine_is_offered_that_cannot_take_a_step() -> None:
    config = parse_config(WITHOUT)
    assert simulation_cost.gain_without_weights(config, 1) is not None
    config = parse_config(WITHOUT + "record: {update: {learning_rate: 1}}\n")
    assert simulation_cost.gain_without_weights(config, 1) is None
