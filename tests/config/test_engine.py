"""Which networks are simulated without their weights, and how wide they may be."""

import pytest

from heinit_sim.simulation.plan import plan_passes
from tests import configs
from tests.configs import CNN, DENSE, parsed
from tests.configs import unplaced_problems as problems

GIVEN = "engine=conditional"
PLAIN = "layers other than [weights, activation] and [weights]"
REFUSED = {
    ("network.block=[norm, weights, activation]",): PLAIN,
    ("network.block=[weights, activation, {dropout: {rate: 0.1}}]",): PLAIN,
    ("network.block=[activation, weights, add]",): PLAIN,
    ("network.head=[norm, weights]",): PLAIN,
    ("network.block=[weights, activation, activation]",): PLAIN,
    ("init={scheme: lsuv}",): "weights fitted to the batch, scheme: lsuv",
    ("init={scheme: he_uniform}",): "weights that are uniform",
    ("init={scheme: jax_default}",): "weights that are truncated_normal",
    ("init={variance: 0.1, distribution: orthogonal}",): "weights that are orthogonal",
    ("init={variance: 0.1, last: {distribution: uniform}}",): "weights that are uniform",
    ("init={scheme: sparse, sparsity: 0.5}",): "weights that are sparse",
    ("init={variance: 0.1, mean: 0.2}",): "weights of a mean",
}
TAKEN = [
    "network.head=[weights, activation]",
    "network.block=[weights]",
    "network.activation=[tanh, relu, gelu]",
    "network.width=[4, 70000, 10000000]",
    "init={scheme: he_normal, bias_scheme: torch}",
    "init={variance: 0.1, bias_variance: 0.2, bias: 0.1}",
    "inputs={distribution: pair, count: 4, cosine: 1}",
    "record={histograms: std, cosine: true, batch_gradient: true}",
]


@pytest.mark.parametrize(("given", "why"), REFUSED.items(), ids=str)
def test_networks_that_need_their_weights_are_refused(given: tuple[str, ...], why: str) -> None:
    assert parsed(DENSE, *given).engine == "weights"
    (problem,) = problems(DENSE, GIVEN, *given)
    assert problem == (
        f"engine: not for {why} (conditional), must be weights; "
        "or give dense layers of normal weights"
    )


def test_convolutions_are_refused() -> None:
    (problem,) = problems(CNN, GIVEN)
    assert problem.startswith("engine: not for convolutions (conditional), must be weights")


def test_swept_networks_are_refused_where_one_is() -> None:
    (problem,) = problems(DENSE, GIVEN, "init.distribution=normal,uniform")
    assert problem.startswith("engine: not for weights that are uniform")


@pytest.mark.parametrize("given", TAKEN)
def test_all_other_networks_are_taken(given: str) -> None:
    config = parsed(DENSE, GIVEN, given)
    assert config.document["engine"] == "conditional"
    assert {one.engine for one in plan_passes(config)} == {"conditional"}


def test_weights_are_the_default_which_no_document_names() -> None:
    config = parsed(DENSE, "engine=weights")
    assert "engine" not in config.document
    assert config == parsed(DENSE)


@pytest.mark.parametrize("key", ["width", "input_dim", "output_dim"])
def test_the_limit_of_weights_says_which_engine_goes_further(key: str) -> None:
    parsed(DENSE, f"network.{key}=65536")
    (problem,) = problems(DENSE, f"network.{key}=65537")
    assert problem == (
        f"network.{key}: too large (65537) for engine: weights, must be at most 65536; "
        "engine: conditional goes to 10000000"
    )
    parsed(DENSE, f"network.{key}=10000000", GIVEN)
    (problem,) = problems(DENSE, f"network.{key}=10000001", GIVEN)
    assert problem.startswith(
        f"network.{key}: too large (10000001), must be an integer from 1 to 10000000, above 65536 "
        "by engine: conditional"
    )


def test_one_width_of_a_list_or_of_a_sweep_is_named() -> None:
    (problem,) = problems(DENSE, "network.width=[4, 70000, 4]")
    assert problem.startswith("network.width[1]: too large (70000) for engine: weights")
    (problem,) = configs.problems(DENSE + "sweep: {network.width: [4, 70000]}")
    assert problem.startswith("c.yaml:8:28: error: network.width: too large (70000) for engine:")
