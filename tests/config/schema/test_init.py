"""Lines carried over from PyTorch, Keras and JAX, and what is said of those that cannot be."""

import math

import numpy as np
import pytest

from heinit_sim.config import parse_config, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Condition
from tests.configs import unplaced_problems
from tests.rows import cases

NETWORK = "name: a\nnetwork: {depth: 1, width: 10, input_dim: 30, activation: ACTIVATION}\n"


def condition(init: str, activation: str = "relu") -> Condition:
    text = NETWORK.replace("ACTIVATION", activation) + f"init: {init}\n"
    (found,) = parse_config(text).conditions
    return found


def message(init: str, activation: str = "relu", more: str = "") -> str:
    text = NETWORK.replace("ACTIVATION", activation) + f"init: {init}\n{more}"
    (problem,) = unplaced_problems(text)
    return problem


# The layer 30 -> 10: what PyTorch, Keras and JAX document for the line on the left.
CARRIED = {
    # kaiming_normal_(w), kaiming_uniform_(w, a=…), kaiming_normal_(w, nonlinearity=…)
    "{scheme: kaiming_uniform, a: 2.23606797749979}": (1 / (3 * 30), "uniform"),  # as nn.Linear
    "{scheme: kaiming_normal, a: 0.5}": (2 / 1.25 / 30, "normal"),
    "{scheme: kaiming_normal, nonlinearity: leaky_relu}": (2 / 30, "normal"),  # a=0 there too
    "{scheme: kaiming_normal, nonlinearity: leaky_relu, a: 0.5}": (2 / 1.25 / 30, "normal"),
    "{scheme: kaiming_normal, nonlinearity: relu}": (2 / 30, "normal"),
    "{scheme: kaiming_normal, nonlinearity: linear}": (1 / 30, "normal"),
    "{scheme: kaiming_normal, nonlinearity: sigmoid}": (1 / 30, "normal"),
    "{scheme: he_uniform, nonlinearity: tanh}": ((5 / 3) ** 2 / 30, "uniform"),
    "{scheme: kaiming_normal, nonlinearity: selu, mode: fan_out}": (9 / 16 / 10, "normal"),
    # xavier_uniform_(w, gain=…), orthogonal_(w, gain=…)
    "{scheme: xavier_uniform, gain: 3}": (9 / 20, "uniform"),
    "{scheme: orthogonal, gain: 3}": (9 / 30, "orthogonal"),
    # VarianceScaling(…) of Keras, variance_scaling(…) of JAX
    "{scheme: variance_scaling, scale: 2}": (2 / 30, "truncated_normal"),
    "{scheme: variance_scaling, scale: 2, mode: fan_out, distribution: uniform}": (0.2, "uniform"),
    "{scheme: variance_scaling, scale: 2, mode: fan_avg, distribution: untruncated_normal}": (
        2 / 20,
        "normal",
    ),
    "{scheme: variance_scaling, mode: fan_geo_avg}": (1 / math.sqrt(300), "truncated_normal"),
    "{scheme: variance_scaling, gain: 3}": (9 / 30, "truncated_normal"),
}


@pytest.mark.parametrize("init", CARRIED)
def test_a_line_of_a_framework_carries_over(init: str) -> None:
    variance, distribution = CARRIED[init]
    found = condition(init)
    assert math.isclose(found.weight_variances[0], variance, rel_tol=1e-15)
    assert found.specs[0].weight_distribution == distribution


@pytest.mark.parametrize(
    ("gain", "activation", "square"),
    [
        ("std", "relu", 1 / (1 / 2 - 1 / (2 * math.pi))),
        ("pytorch", "tanh", 25 / 9),
        ("pytorch", "{name: leaky_relu, negative_slope: 0.5}", 2 / 1.25),
        ("second_moment", "{name: leaky_relu, negative_slope: 0.5}", 2 / 1.25),
    ],
)
def test_a_gain_may_be_the_activations_own(gain: str, activation: str, square: float) -> None:
    found = condition(f"{{scheme: lecun_normal, gain: {gain}}}", activation)
    assert math.isclose(found.weight_variances[0], square / 30, rel_tol=1e-15)


def test_own_gains_can_be_swept_beside_the_activations() -> None:
    sweep = "sweep: {network.activation: [relu, tanh], init.gain: [second_moment, 1.5]}\n"
    text = NETWORK.replace("ACTIVATION", "relu") + "init: {scheme: lecun_normal}\n" + sweep
    found = [c.weight_variances[0] * 30 for c in parse_config(text).conditions]
    for one, expected in zip(found, [2, 2.25, 1 / 0.3942944903978412, 2.25], strict=True):
        assert math.isclose(one, expected, rel_tol=1e-15)


SIREN = """
name: a
network: {depth: 2, width: 200, input_dim: 3, activation: {name: sin, frequency: 30}}
init: {scheme: siren}
"""


def test_siren_is_that_of_the_paper() -> None:
    """U(±1/fan_in) of layer 0, U(±√(6/fan_in)/ω) of the others: a third of the squared end."""
    (found,) = parse_config(SIREN).conditions
    ends = [1 / 3, math.sqrt(6 / 200) / 30, math.sqrt(6 / 200) / 30]
    for spec, end in zip(found.specs, ends, strict=True):
        assert math.isclose(spec.weight_variance, end**2 / 3, rel_tol=1e-15)
        assert spec.weight_distribution == "uniform"
    listed = parse_config(SIREN, "c", {"init": [{"scheme": "siren"}] * 3}).conditions[0]
    assert listed.layers == found.layers
    swept = parse_config(SIREN, "c", ["network.activation.frequency=1,30"])
    steps = [c.layers[0][1] for c in swept.conditions]
    assert steps == [Activate("sin", (("frequency", frequency),)) for frequency in (1, 30)]
    assert math.isclose(swept.conditions[0].weight_variances[1], 2 / 200, rel_tol=1e-15)
    assert parse_config(to_yaml(swept.document)).conditions == swept.conditions
    plain = parse_config(SIREN, "c", {"network.activation": "sin"})
    assert plain.document["network"]["activation"] == "sin"  # type: ignore[index]  # a mapping
    assert plain.conditions[0].weight_variances == swept.conditions[0].weight_variances


def test_a_sines_own_gain_is_that_of_its_frequency() -> None:
    found = condition("{scheme: lecun_normal, gain: second_moment}", "{name: sin, frequency: 0.3}")
    expected = 2 / -math.expm1(-2 * 0.09)  # 1/E[sin² 0.3 z]
    assert math.isclose(found.weight_variances[0], expected / 30, rel_tol=1e-15)


def test_frequencies_are_of_sines() -> None:
    said = "network.activation.frequency: tanh has no such option (3.0), must be left out"
    assert message("{variance: 1}", "{name: tanh, frequency: 3}") == said


DEFAULT = "{scheme: torch_linear_default, bias_scheme: torch}"


def test_pytorchs_default_is_one_line() -> None:
    """Weights and biases U(±1/√fan_in) (torch.nn.Linear.reset_parameters)."""
    (found,) = parse_config(SIREN, "c", [f"init={DEFAULT}"]).conditions
    for spec, fan_in in zip(found.specs, (3, 200, 200), strict=True):
        assert (spec.weight_distribution, spec.bias_distribution) == ("uniform", "uniform")
        for variance in (spec.weight_variance, spec.bias_variance):
            assert math.isclose(variance, 1 / (3 * fan_in), rel_tol=1e-15)
    last = "init={variance: 1, bias_variance: 2, last: {bias_scheme: torch, bias_variance: 0}}"
    (found,) = parse_config(SIREN, "c", [last]).conditions
    assert [spec.bias_distribution for spec in found.specs] == ["normal", "normal", "uniform"]


def test_a_cut_is_that_of_a_truncated_normal() -> None:
    corrected, uncorrected = (
        condition(f"{{variance: 0.01, distribution: truncated_normal{law}, cut: 3}}").specs[0]
        for law in ("", "_uncorrected")
    )
    assert corrected.weight_variance == 0.01
    kept = 1 - 6 * math.exp(-4.5) / math.sqrt(2 * math.pi) / math.erf(3 / math.sqrt(2))
    assert math.isclose(uncorrected.weight_variance, 0.01 * kept, rel_tol=1e-14)
    assert corrected.weight_option == uncorrected.weight_option == 3
    scheme = condition("{scheme: variance_scaling, scale: 2, cut: 3}").specs[0]
    assert math.isclose(scheme.weight_variance, 2 / 30, rel_tol=1e-15)
    usual = condition("{variance: 1, distribution: truncated_normal, cut: 2}")
    assert usual.layers == condition("{variance: 1, distribution: truncated_normal}").layers


KAIMING = "must be left out; only PyTorch's kaiming_* takes it, give init.gain"
OWN = "must be left out; it has its own; give scheme: variance_scaling, or init.gain for its root"
BESIDE = "must be left out; init.variance already is the variance, no fan or gain enters it"
REFUSED = cases(
    """
{mode: fan_in}
> init: no variance is given, must have either variance or scheme
{variance: 1, scheme: he_normal}
> init.scheme: given beside init.variance (he_normal), must be the one or the other; null takes one
> back
{scheme: he_normal, gain: 1e-170}
> init.gain: too small (1e-170), must leave a variance above 0
{scheme: orthogonal, mode: fan_out}
> init.mode: not for scheme: orthogonal (fan_out), must be left out
{scheme: he_normal, mode: fan_out, distribution: orthogonal}
> init.distribution: takes no init.mode (orthogonal), must be left out
{scheme: he_normal, scale: 3}
> init.scale: not for scheme: he_normal (3.0), $OWN
{scheme: orthogonal, scale: 3}
> init.scale: not for scheme: orthogonal (3.0), must be left out; JAX's scale multiplies the
> weights, give init.gain
{scheme: variance_scaling, scale: 3, gain: 2}
> init.gain: given beside init.scale (2.0), must be the one or the other; a gain is the root of the
> scale
{scheme: variance_scaling, distribution: normal}
> init.distribution: ambiguous (normal), must be truncated_normal or untruncated_normal; Keras
> truncates it, JAX does not
{scheme: variance_scaling, scale: 1e-323}
> init.scale: too small (1e-323), must leave a variance above 0
{scheme: xavier_uniform, nonlinearity: tanh}
> init.nonlinearity: not for scheme: xavier_uniform (tanh), $KAIMING: 1.6666666666666667
{scheme: orthogonal, nonlinearity: leaky_relu}
> init.nonlinearity: not for scheme: orthogonal (leaky_relu), $KAIMING: 1.4141428569978354
{scheme: lecun_normal, a: 1}
> init.a: not for scheme: lecun_normal (1.0), $KAIMING: 1.0
{scheme: variance_scaling, nonlinearity: relu}
> init.nonlinearity: not for scheme: variance_scaling (relu), $KAIMING: 1.4142135623730951
{scheme: he_normal, nonlinearity: tanh, gain: 2}
> init.nonlinearity: given beside init.gain (tanh), must be the one or the other; it stands for a
> gain
{scheme: he_normal, nonlinearity: tanh, a: 2}
> init.nonlinearity: takes no init.a (tanh), must be leaky_relu; its slope is all that a is
{scheme: he_normal, nonlinearity: gelu}
> init.nonlinearity: unknown value ('gelu'), must be one of relu, leaky_relu, linear, tanh, sigmoid,
> selu, which PyTorch knows; for any other activation give gain: second_moment
{scheme: he_normal, gain: half}
> init.gain: unknown value ('half'), must be a number above 0 and at most 1000000, or one of
> second_moment, std, pytorch
{scheme: he_normal, gain: 1_000}
> init.gain: not a number ('1_000'), must be a number above 0 and at most 1000000, or one of
> second_moment, std, pytorch; a number has no underscores
{scheme: torch_linear_default, mode: fan_out}
> init.mode: not for scheme: torch_linear_default (fan_out), must be left out; with options it is
> scheme: kaiming_uniform
{scheme: keras_default, gain: 2}
> init.gain: not for scheme: keras_default (2.0), must be left out; with options it is scheme:
> glorot_uniform
{scheme: jax_default, distribution: uniform}
> init.distribution: not for scheme: jax_default (uniform), must be left out; with options it is
> scheme: variance_scaling
{scheme: siren}
> init.scheme: not for relu (siren), must be another scheme; or give network.activation: {name: sin,
> frequency: 30}
{scheme: siren, gain: 2}
> init.gain: not for scheme: siren (2.0), must be left out; the frequency of the activation says
> the rest
{variance: 1, bias: 2, bias_scheme: torch}
> init.bias_scheme: given beside init.bias (2.0), must be the one or the other; null takes one back,
> or 0 in first and last
{variance: 1, bias_variance: 2, bias_scheme: torch}
> init.bias_scheme: given beside init.bias_variance (2.0), must be the one or the other; null takes
> one back, or 0 in first and last
{variance: 1, cut: 3}
> init.cut: not for distribution: normal (3.0), must be left out; or give distribution:
> truncated_normal
{scheme: jax_default, cut: 3}
> init.cut: not for scheme: jax_default (3.0), must be left out; with options it is scheme:
> variance_scaling
{variance: 1, distribution: truncated_normal, cut: 0.1}
> init.cut: too small (0.1), must be a number from 0.5 to 1000
{variance: 1, mode: fan_in}
> init.mode: given beside init.variance (fan_in), $BESIDE
{variance: 1, gain: 2}
> init.gain: given beside init.variance (2.0), $BESIDE
{variance: 1, scale: 2}
> init.scale: given beside init.variance (2.0), $BESIDE
{variance: 1, a: 2}
> init.a: given beside init.variance (2.0), $BESIDE
{variance: 1, nonlinearity: relu}
> init.nonlinearity: given beside init.variance (relu), $BESIDE
""",
    globals(),
)


@pytest.mark.parametrize(("init", "expected"), REFUSED)
def test_what_would_mean_something_else_there_is_refused(init: str, expected: str) -> None:
    assert message(init) == expected


def test_a_gain_that_pytorch_lacks_is_refused_where_it_stands() -> None:
    said = "init.gain: unknown for gelu (pytorch), must be second_moment or a number"
    assert message("{scheme: he_normal, gain: pytorch}", "gelu") == said
    sweep = "sweep: {init.gain: [2, pytorch]}\n"
    assert message("{scheme: he_normal}", "gelu", sweep) == said


def test_slopes_that_differ_by_layer_have_no_own_gain() -> None:
    slopes = "{name: prelu, negative_slope: [0.1]}"
    said = "init.gain: unknown for prelu (std), must be a number; its slopes differ by layer"
    assert message("{scheme: he_normal, gain: std}", slopes) == said


SILU = "name: a\nnetwork: {depth: 3, width: 50, input_dim: 20, activation: silu}\n"


@pytest.mark.parametrize(
    ("init", "variances", "biases"),
    [
        ("{scheme: he_normal, first: {gain: 1}}", [1 / 20, 0.04, 0.04, 0.04], [0, 0, 0, 0]),
        (
            "{scheme: he_normal, bias_variance: 9, first: {scheme: glorot_normal}, last: {a: 1}}",
            [2 / 70, 0.04, 0.04, 0.02],
            [9, 9, 9, 9],
        ),
        ("{variance: 1, last: {bias_variance: 2, bias: 1}}", [1.0, 1.0, 1.0, 1.0], [0, 0, 0, 2]),
        (
            "{variance: 1, first: {distribution: truncated_normal_uncorrected}}",
            [0.7737413, 1.0, 1.0, 1.0],
            [0, 0, 0, 0],
        ),
        ("{scheme: he_normal, mode: fan_out, last: {mode: fan_in}}", [0.04] * 4, [0] * 4),
    ],
)
def test_the_first_and_the_last_layer_may_differ(
    init: str, variances: list[float], biases: list[float]
) -> None:
    config = parse_config(f"{SILU}init: {init}")
    for given in (config, parse_config(to_yaml(config.document))):  # as a run's config.yaml has it
        (of,) = given.conditions
        np.testing.assert_allclose(of.weight_variances, variances, rtol=1e-7, atol=0)
        assert list(of.bias_variances) == biases


def test_the_first_layer_is_swept_alone() -> None:
    swept = "init: {scheme: he_normal, first: {}}\nsweep: {init.first.gain: [1, 2]}"
    conditions = parse_config(f"{SILU}{swept}").conditions
    assert [round(c.weight_variances[0] * 20, 12) for c in conditions] == [1, 4]
    assert {c.weight_variances[1:] for c in conditions} == {(0.04, 0.04, 0.04)}


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("{variance: 1, first: {gain: 2}}", "init.first.gain: given beside init.variance"),
        ("{scheme: he_normal, last: {tolerance: 0.1}}", "init.last.tolerance: not for scheme"),
        ("{scheme: he_normal, last: {scheme: lsuv}}", "init.last: of one layer only, must be"),
        ("{first: {variance: 1}}", "init: no variance is given, must have either"),
        ("[{variance: 1, first: {variance: 1}}]", r"init\[0\].first: unknown key"),
        ("{scheme: he_normal, first: {first: {gain: 1}}}", "init.first.first: unknown key"),
    ],
)
def test_what_does_not_go_together_at_an_end_is_refused_there(init: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(f"{SILU}init: {init}")
