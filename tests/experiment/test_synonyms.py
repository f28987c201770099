"""A thing of two names is one thing wherever names are compared."""

import pytest

from heinit_sim import compare, parse_config, run_sweep
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import ALIASES
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.experiment.synonyms import first_names

CONFIG = """
name: small
network: {depth: 2, width: 4, input_dim: 4, activation: ACTIVATION}
init: {scheme: SCHEME}
trials: 3
"""


def config_of(activation: str, scheme: str, more: str = "") -> SweepConfig:
    return parse_config(
        CONFIG.replace("ACTIVATION", activation).replace("SCHEME", scheme) + more, "c.yaml"
    )


def test_second_names_of_schemes_are_the_same_schemes() -> None:
    first = {name: first_names(name, "init.scheme") for name in SCHEMES}
    assert sum(name != other for name, other in first.items()) == 4
    assert all(SCHEMES[name][:3] == SCHEMES[str(other)][:3] for name, other in first.items())
    assert {name: first_names(name, "network.activation") for name in ALIASES} == ALIASES


def test_only_names_of_the_setting_are_replaced() -> None:
    assert first_names("swish", "inputs.path") == "swish"
    assert first_names({"scheme": "glorot_uniform", "gain": 2}, "init") == {
        "scheme": "xavier_uniform",
        "gain": 2,
    }
    swept = {"network.activation": {"name": "swish"}, "init": ({"scheme": "kaiming_normal"},)}
    assert first_names(swept) == {
        "network.activation": {"name": "silu"},
        "init": [{"scheme": "he_normal"}],
    }


@pytest.mark.parametrize(
    "sweep",
    [
        "network.activation: [swish, silu]",
        "network.activation: [silu, {name: swish}]",
        "init.scheme: [he_normal, kaiming_normal]",
        "init: [{scheme: xavier_normal}, {scheme: glorot_normal}]",
        "init.distribution: [untruncated_normal, normal]",
        "init.nonlinearity: [relu, relu]",
    ],
)
def test_both_names_in_one_grid_are_a_duplicate(sweep: str) -> None:
    with pytest.raises(ConfigError, match="the same as value 1, must be distinct"):
        config_of("tanh", "he_normal", f"sweep: {{{sweep}}}\n")


@pytest.mark.parametrize("when", ["network.activation: silu", "init.scheme: kaiming_uniform"])
def test_an_expectation_selects_by_either_name(when: str) -> None:
    expect = f"expect: {{forward: stable, when: {{{when}}}}}\n"
    assert config_of("swish", "he_uniform", expect).expect[0].conditions == (0,)
    with pytest.raises(ConfigError, match="matches no condition"):
        config_of("mish", "lecun_normal", expect)


@pytest.mark.parametrize("draws", ["common", "independent"])
def test_runs_under_either_name_are_one_run(draws: str) -> None:
    sweep = "sweep: {network.activation: [tanh, NAME], init.scheme: [glorot_normal]}\n"
    sweep += f"draws: {draws}\n"
    first = run_sweep(config_of("relu", "he_normal", sweep.replace("NAME", "swish")))
    other = sweep.replace("NAME", "silu").replace("glorot", "xavier")
    second = run_sweep(config_of("relu", "kaiming_normal", other))
    found = compare(first, second)
    assert (found.exact, found.held, found.n_conditions, found.left_out) == (True, True, 2, ())
    third = run_sweep(config_of("relu", "he_normal", sweep.replace("NAME", "mish")))
    assert not compare(first, third).exact
