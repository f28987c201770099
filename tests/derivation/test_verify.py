"""Every identity holds; with an error planted, exactly its row does not."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.derivation.identity import Identity, Sampler, largest_z
from heinit_sim.derivation.probes import Networks
from heinit_sim.derivation.verify import IDENTITIES, _count, probe_condition, verify
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.sweep_config import Condition
from tests.conditions import with_layers
from tests.rows import slow_but

BY_NAME = {identity.name: identity for identity in IDENTITIES}
LEAKY = "{name: leaky_relu, negative_slope: 0.2}"


def condition(width: object = 100, activation: str = "relu", depth: int = 5) -> Condition:
    text = f"""
name: probe
network: {{depth: {depth}, width: {width}, input_dim: 70, output_dim: 3, activation: {activation}}}
init: {{variance: 0.03}}
"""
    return parse_config(text).conditions[0]


# The step through the middle layer is 60 → 100 → 140: another fan is another number.
RECTANGULAR = condition([90, 60, 100, 140, 80])


@pytest.mark.parametrize("activation", slow_but(["relu", LEAKY, "linear"], LEAKY))
@pytest.mark.parametrize("n_seeds", slow_but([1, 7], 1))
def test_every_identity_holds_for_many_seeds_and_error_bars_are_right(
    activation: str, n_seeds: int
) -> None:
    # Seven seeds at level 1e-3 for each of three activations: a correct program fails with
    # probability 2 % at most, once, when the seeds are chosen; they stay.
    rectangular = condition([90, 60, 100, 140, 80], activation)
    pages = [verify(rectangular, seed, n_networks=100) for seed in range(n_seeds)]
    rows = [row for page in pages for row in page.rows]
    assert [row.name for row in rows if not row.held] == []
    z = np.array([row.z for row in rows if row.z is not None])
    # For a linear activation two sides are equal number by number, and z is 0.
    z = z[z != 0.0]
    assert len(z) >= n_seeds * 18
    # Mean square of n normal numbers: 1, standard error √(2/n); of Student's t with ν = 99 a
    # little more: ν/(ν−2) = 1.02.
    assert abs(np.mean(z**2) - 1.02) < 4 * np.sqrt(2 / len(z))


@pytest.mark.slow
def test_the_steps_through_a_layer_hold_for_narrow_and_shallow_networks_too() -> None:
    steps = [identity for identity in IDENTITIES if identity.group.endswith("pass")]
    assert len(steps) == 9
    for width, depth in ((1, 1), (8, 3)):
        narrow = condition(width, "relu", depth)
        # Products of three χ² of one degree of freedom are skewed by 24, their mean by 24/√30000.
        assert all(row.held for row in verify(narrow, 1, 30_000, identities=steps).rows)


def last_fan(networks: Networks, power: int) -> Networks:
    """The last variance times fan_in/fan_out, or its inverse."""
    *variances, last = networks.variances
    fan_out, fan_in = networks.weights[-1].shape[1:]
    return replace(networks, variances=(*variances, last * (fan_in / fan_out) ** power))


def scaled(networks: Networks, factor: float) -> Networks:
    return replace(networks, weights=[factor * weights for weights in networks.weights])


SLOPE = make_activation("leaky_relu", {"negative_slope": 0.3})
# What goes wrong, from the ingredients: planted where the samples are made.
ERRORS: dict[str, Callable[[Any], Any]] = {
    "noisy": lambda constants: constants * np.linspace(0.9, 1.2, constants.shape[1]),
    "last 5 percent wider": lambda x: (*x[:-1], x[-1] * 1.05),
    "dependent": lambda xy: (xy[0], xy[0], *xy[2:]),
    "wrong mean": lambda x_mean: (x_mean[0], 1.001 * x_mean[1]),
    "dependent factors": lambda ab: (ab[0], ab[1] + 0.1 * ab[0]),
    "shifted weights": lambda net: replace(net, weights=[weights + 0.1 for weights in net.weights]),
    "variance 5 percent off": lambda net: scaled(net, np.sqrt(1.05)),
    "another activation": lambda net: replace(net, activation=SLOPE),
    "no mask": lambda net: replace(
        net, activation=replace(net.activation, derivative=np.ones_like)
    ),
    "other fan": lambda net: last_fan(net, 1),
    "other fan backward": lambda net: last_fan(net, -1),
    "first layer twice as wide": lambda net: replace(
        net, variances=(2 * net.variances[0], *net.variances[1:])
    ),
}
PLANTED = {
    "rule 1": ("noisy",),
    "rule 2": ("last 5 percent wider",),
    "rule 3": ("last 5 percent wider",),
    "rule 4": ("dependent",),
    "variance and moments": ("wrong mean",),
    "variance of a product": ("dependent factors",),
    "variance of a product by second moment": ("dependent factors",),
    "mean of f′": ("shifted weights",),
    "variance of f′": ("variance 5 percent off", "shifted weights"),
    "activation": ("another activation",),
    "forward step": ("variance 5 percent off", "another activation"),
    "He forward": ("other fan", "variance 5 percent off"),
    "through the weights": ("variance 5 percent off",),
    "through the activation": ("no mask",),
    "backward step": ("variance 5 percent off", "no mask"),
    "He backward": ("other fan backward", "variance 5 percent off"),
    "Xavier forward": ("other fan",),
    "Xavier backward": ("other fan backward",),
    "compromise forward": ("variance 5 percent off",),
    "compromise backward": ("variance 5 percent off",),
    "compromise both": ("variance 5 percent off",),
    "bias gradients": ("no mask",),
    "weight gradients": ("no mask",),
    "weight gradients by layer": ("no mask", "first layer twice as wide"),
}


def planted(identity: Identity[Any], error: Callable[[Any], Any]) -> Identity[Any]:
    sampler = identity.sampler
    wrong = replace(sampler, sample=lambda *where: error(sampler.sample(*where)))
    return replace(identity, sampler=wrong)


@pytest.mark.parametrize(
    ("name", "error"),
    slow_but(
        [(name, error) for name, errors in PLANTED.items() for error in errors],
        *[(name, errors[0]) for name, errors in PLANTED.items()][::3],
    ),
)
def test_a_planted_error_fails_its_row(name: str, error: str) -> None:
    n_networks = min(_count(BY_NAME[name], RECTANGULAR, None), 1000)
    wrong = [planted(BY_NAME[name], ERRORS[error])]
    (row,) = verify(RECTANGULAR, 0, n_networks, identities=wrong).rows
    if row.z is not None:
        # the bound of a whole page, whose rows have 200 networks at least, is wider
        assert abs(row.z) > largest_z(len(IDENTITIES), 200)
    assert not row.held


def test_every_identity_has_an_error_planted_in_it() -> None:
    assert PLANTED.keys() == BY_NAME.keys()


@pytest.mark.slow
def test_the_row_of_a_planted_error_is_the_only_red_one() -> None:
    name = "through the activation"
    errors = [planted(i, ERRORS["no mask"]) if i.name == name else i for i in IDENTITIES]
    found = verify(RECTANGULAR, 0, 500, identities=errors)
    assert [row.name for row in found.rows if not row.held] == [name]
    # Each has draws of its own: the others do not change by a bit.
    others = [row for row in verify(RECTANGULAR, 0, 500).rows if row.name != name]
    assert [row for row in found.rows if row.name != name] == others


def test_a_large_network_is_cut_and_its_middle_layers_stay_what_they_are() -> None:
    wide = condition(1000, depth=50)
    probe = probe_condition(wide)
    assert probe.widths == (70, 300, 300, 300, 300, 300, 3)
    assert probe.weight_variances == (0.03,) * 6
    assert probe_condition(RECTANGULAR) == RECTANGULAR


def test_variances_that_leave_float_range_are_refused() -> None:
    for variance in (1e-30, 1e30):
        with pytest.raises(ConfigError, match=r"^init: σ²_Ω = 1e.30 is out of range, "):
            verify(with_layers(RECTANGULAR, weight_variances=(0.1, variance) + (0.1,) * 4), 0)
    # σ²_Ω times the smallest fan, 3, is 0.9e-20; times the largest, 140, it is 1.1e20.
    for variance in (3e-21, 8e17):
        with pytest.raises(ConfigError, match="is out of range, "):
            verify(with_layers(RECTANGULAR, weight_variances=(variance,) * 6), 0)


@pytest.mark.parametrize("variance", slow_but([9e-21, 5e17], 9e-21))
def test_variances_at_the_ends_of_the_range_are_verified(variance: float) -> None:
    extreme = with_layers(RECTANGULAR, weight_variances=(variance,) * 6)
    found = verify(extreme, 0, n_networks=100)
    assert all(row.held for row in found.rows)
    assert all(math.isfinite(row.left_value) and row.error > 0 for row in found.rows)


def test_an_activation_without_a_slope_below_zero_is_refused() -> None:
    expected = "activation tanh: identities are derived for relu, linear, leaky_relu"
    with pytest.raises(ConfigError, match=f"^{expected}"):
        verify(condition(activation="tanh"), 0)


def test_inputs_that_are_not_standard_normal_are_refused() -> None:
    expected = r"^inputs: identities are held for standard-normal ones only \(uniform\); "
    with pytest.raises(ConfigError, match=expected):
        verify(replace(RECTANGULAR, inputs=Inputs("uniform")), 0)
    normal = replace(RECTANGULAR, inputs=Inputs("normal"))
    assert verify(normal, 0, identities=IDENTITIES[:1]).rows[0].held


def test_names_are_unique_and_every_explanation_is_one_line() -> None:
    assert len(BY_NAME) == len(IDENTITIES) == 24
    for activation in ("relu", LEAKY, "linear"):
        for row in verify(condition(5, activation), 0, n_networks=100).rows:
            assert len(row.explanation) <= 75, row.explanation
            assert len(f"{row.left} = {row.right}") <= 40, row.left
            assert "{" not in row.left + row.right + row.explanation
            assert row.source


@pytest.mark.parametrize("n_networks", [123, 700])
def test_networks_are_as_many_as_asked_for(n_networks: int) -> None:
    # 700 networks of the step through the middle layer, 20,260 numbers each, take 7 blocks
    step = BY_NAME["forward step"]
    (row,) = verify(RECTANGULAR, 0, n_networks, identities=[step]).rows
    assert row.networks == n_networks


@pytest.mark.parametrize(
    ("width", "cost", "networks"), [(5, 60, 100_000), (12, 312, 48_076), (300, 180_600, 200)]
)
def test_an_eighth_of_a_second_draws_the_networks(width: int, cost: int, networks: int) -> None:
    step = BY_NAME["forward step"]
    square = condition(width)
    assert step.sampler.cost is not None
    assert step.sampler.cost(square) == cost
    assert _count(step, square, None) == networks


def test_the_bound_is_that_of_the_row_of_fewest_networks() -> None:
    identity = BY_NAME["through the activation"]
    sample = identity.sampler.sample
    costly = replace(identity, sampler=Sampler(sample, lambda _: 10**9))
    cheap = replace(identity, sampler=Sampler(sample, lambda _: 10**4))
    found = verify(condition(8, depth=1), 0, identities=[costly, cheap])
    assert [row.networks for row in found.rows] == [200, 1500]
    assert found.bound == largest_z(2, 200) > largest_z(2, 1500)


def test_exact_rows_are_given_no_bound() -> None:
    found = verify(RECTANGULAR, 0, identities=[BY_NAME["rule 1"]])
    assert (found.bound, found.rows[0].z) == (0.0, None)
