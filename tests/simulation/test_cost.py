from typing import Any

import numpy as np
import pytest

from heinit_sim.cli.config import gallery
from heinit_sim.config import Override, load_config, parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.quantities import MEASURES
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.sampling import streams
from heinit_sim.simulation import cost as simulation_cost
from heinit_sim.simulation.cost import Cost, estimate
from heinit_sim.simulation.plan import block_size, distinct_passes
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


def side_by_side(config: SweepConfig) -> int:
    (network_pass,) = distinct_passes(config)
    return block_size(network_pass.draws)


def test_blocks_keep_a_float_of_every_unit_beside_a_boolean() -> None:
    plain, residual = (
        parse_config(NETWORK.format(scheme="he_normal", more=more))
        for more in ("", ", residual: {scale: 1}")
    )
    units = 100 * (100 + 50 * 100 + 1)  # inputs, hidden layers, output of 100 inputs
    more_bytes = estimate(residual, 1).peak_bytes - estimate(plain, 1).peak_bytes
    assert more_bytes == side_by_side(plain) * 8 * units
    deeper = parse_config(
        NETWORK.format(scheme="he_normal", more=", residual: {scale: 1}").replace("50", "51")
    )
    results = 2 * 8 * len(MEASURES) * deeper.trials + simulation_cost._BYTES_PER_ROWS
    weights = 8 * 100**2 * side_by_side(deeper)
    layer = estimate(deeper, 1).peak_bytes - estimate(residual, 1).peak_bytes - results - weights
    assert layer == side_by_side(deeper) * 9 * 100 * 100


def test_thousands_of_tiny_networks_cost_their_random_streams(free: pytest.MonkeyPatch) -> None:
    before = cost(network__depth="2", network__width="3", trials="5000").seconds
    free.setattr(simulation_cost, "_stream_seconds", lambda: 1.0)
    after = cost(network__depth="2", network__width="3", trials="5000").seconds
    # three layers of weights and the inputs
    np.testing.assert_allclose(after - before, 4 * 5000, rtol=1e-6, atol=0)


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
