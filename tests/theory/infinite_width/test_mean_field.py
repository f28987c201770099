"""The recursion against checked numbers, plain loops and wide simulated networks.

Fully connected layers first, then convolutions and blocks.
"""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import PASS_OF, Measure, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.steps import Activate, Padding, Readout, Weights, matrices
from heinit_sim.experiment.sweep_config import Condition, Loss, Lsuv, SweepConfig
from heinit_sim.theory.infinite_width.cross_entropy import output_loss
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.infinite_width.mean_field import mean_field, wide_field
from heinit_sim.theory.infinite_width.quadrature import about, layer_moments
from tests.conditions import (
    Blocks,
    Images,
    condition,
    layer_specs,
    unpredicted,
    with_layers,
)
from tests.rows import slow_but

Array = np.ndarray


def theory_of(of: Condition) -> dict[Measure, Array]:
    return mean_field(of)


# ----- fully connected layers


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("mean", [0.0, 0.5])
@pytest.mark.parametrize("name", ["linear", "tanh", "gelu", "silu", "sigmoid", "relu", "sin"])
def test_the_recursion_is_the_plain_loop(name: str, mean: float, *, independent: bool) -> None:
    widths, v, b, y = (7, 40, 30, 20, 3), 0.05, 0.09, 0.4
    biases: dict[str, Any] = {"bias_variances": (b,) * 4, "bias_means": (mean,) * 4}
    activation = make_activation(name, {})
    of = condition(widths, v, name, target=y, **biases)
    theory = mean_field(of, independent=independent)
    shifted = about(activation, mean)
    q, h = [], [1.0]
    for k in range(4):
        q.append(widths[k] * v * h[-1] + b)
        h.append(float(layer_moments(shifted, np.array(q[-1])).second))
    # per unit: E[(f − E f) δ] and E[δ²] of δ = ∂ℓ/∂f; of the first the weights have their share
    e, gradient = (0.0 if independent else 2 * q[-1]), [4 * (q[-1] + (mean - y) ** 2)]
    to_units = []
    for k in range(3, -1, -1):
        n, share = widths[k + 1], 1 - b / q[k]
        c, u = n * share * e / (widths[k] * h[k]), v * n * gradient[-1]
        to_units.append(c**2 * h[k] + u)
        if k:
            weights, f, a, slope = on_a_grid(name, mean, q[k - 1])
            e = c * float(weights @ (f * a * slope))
            gradient.append(float(weights @ (((c * a) ** 2 + u) * slope**2)))
    expected: dict[Quantity, Array | list[float]] = {
        "preactivation": np.array(q) + mean**2,
        "activation": h[:-1],
        "grad_preactivation": gradient[::-1],
        "grad_activation": to_units[::-1],
        "grad_weight": np.array(gradient[::-1]) * h[:-1],
    }
    assert expected.keys() == PASS_OF.keys()
    atol = 3e-4 if activation.kinks and math.isinf(activation.period) else 1e-7
    for quantity, values in expected.items():
        log10 = theory[quantity, "second_moment"]
        # the midpoint rule is exact for smooth functions; a jump inside a cell is half of it off
        np.testing.assert_allclose(log10, np.log10(values), rtol=0, atol=atol)
    variances = theory["preactivation", "variance"][:-1]
    np.testing.assert_allclose(variances, np.log10(q[:-1]), rtol=0, atol=1e-13)


def on_a_grid(name: str, mean: float, q: float) -> tuple[Array, Array, Array, Array]:
    """Weights of the midpoint rule, f about its mean, a and a'."""
    f = np.arange(-10, 10, 0.001) + 0.0005
    weights = np.exp(-(f**2) / 2) * 0.001 / math.sqrt(2 * math.pi)
    f *= math.sqrt(q)
    activation = make_activation(name, {})
    a = activation.value(f + mean, np.empty_like(f))
    return weights, f, a, np.asarray(activation.derivative(f + mean), float)


def test_gradients_along_the_activations_are_those_of_checked_networks() -> None:
    def log10(widths: tuple[int, ...], v: float, name: str, *, independent: bool = False) -> Array:
        theory = mean_field(condition(widths, v, name), independent=independent)
        return theory["grad_activation", "second_moment"]

    tanh = (200,) * 52, 1 / 200, "tanh"
    assert log10(*tanh)[[0, 25, 50]].round(2).tolist() == [-2.00, -0.50, -1.09]
    assert log10(*tanh, independent=True)[0].round(2) == -3.23
    relu = (100,) * 51 + (1,), 2 / 100, "relu"
    assert (10 ** log10(*relu))[[0, 25, 50]].round(2).tolist() == [0.32, 0.24, 0.16]
    assert (10 ** log10(*relu, independent=True)).round(2).tolist() == [0.16] * 51


@pytest.mark.parametrize("y", [0.0, 0.7, 5.0])
def test_the_loss_enters_by_two_numbers_alone(y: float) -> None:
    # e_K = 2 q_K and s_K = 4 (q_K + y²), or any others: a gradient ~ N(0, 1) has 0 and 1
    of = condition((60,) * 4 + (40,), 1 / 60, "tanh", target=y)
    theory = theory_of(of)
    output = 10 ** theory["preactivation", "second_moment"][-1]
    s = 10 ** theory["grad_preactivation", "second_moment"][-1]
    np.testing.assert_allclose(s, 4 * (output + y**2), rtol=1e-13, atol=0)
    dh = 10 ** theory["grad_activation", "second_moment"][-1]
    h = 10 ** theory["activation", "second_moment"][-1]
    c = 40 / 60 * 2 * output / h
    np.testing.assert_allclose(dh, c**2 * h + 40 / 60 * s, rtol=1e-12, atol=0)


def test_a_probe_enters_by_0_and_1() -> None:
    of = condition((60,) * 4 + (40,), 1 / 60, "tanh", loss=Loss("probe"))
    theory, textbook = theory_of(of), mean_field(of, independent=True)
    for measure, log10 in theory.items():
        np.testing.assert_allclose(log10, textbook[measure], rtol=0, atol=1e-13)
    dh = 10 ** theory["grad_activation", "second_moment"][-1]
    np.testing.assert_allclose(dh, 40 / 60, rtol=1e-13, atol=0)
    assert math.isnan(wide_field(of).log10_loss)


def test_cross_entropy_enters_by_its_gradient_and_what_follows_the_output() -> None:
    of = condition((60,) * 4 + (40,), 1 / 20, "tanh", loss=Loss("cross_entropy"))
    theory = theory_of(of)
    ln_q = math.log(10) * theory["preactivation", "second_moment"][-1]
    known = output_loss(ln_q, 40)
    s = math.exp(known.ln_second)
    dh = 10 ** theory["grad_activation", "second_moment"][-1]
    h = 10 ** theory["activation", "second_moment"][-1]
    e = known.share * math.exp(ln_q / 2) * math.sqrt(s)
    c = 40 / 20 * e / math.exp(ln_q)
    np.testing.assert_allclose(dh, c**2 * h + 40 / 20 * s, rtol=1e-12, atol=0)
    assert math.isclose(wide_field(of).log10_loss, known.ln_loss / math.log(10))


def test_the_mean_of_least_squares_is_that_of_the_outputs() -> None:
    of = condition((60,) * 3 + (4,), 1 / 60, "tanh", target=0.7, bias_means=(0.2,) * 3)
    variance = 10 ** theory_of(of)["preactivation", "second_moment"][-1] - 0.2**2
    expected = 4 * (variance + 0.5**2)
    assert math.isclose(10 ** wide_field(of).log10_loss, expected, rel_tol=1e-12)


def test_cross_entropy_of_what_is_not_normal_is_not_known() -> None:
    of = condition((60,) * 3 + (4,), 1 / 60, "tanh", loss=Loss("cross_entropy"))
    row = (*of.layers[-1], Activate("tanh"))
    field = wide_field(replace(of, layers=(*of.layers[:-1], row)))
    assert math.isnan(field.log10_loss)
    assert np.isnan(field.moments["grad_activation", "second_moment"]).all()


def test_tanh_settles_at_the_fixed_point_of_poole_et_al() -> None:
    for sigma_w, q_star, chi1 in ((1.3, 0.607, 0.940), (2.5, 4.079, 1.585), (4.0, 12.604, 2.367)):
        deep = condition((1000,) * 200 + (1,), sigma_w**2 / 1000, "tanh")
        deep = with_layers(deep, bias_variances=(0.09,) * 200)
        found = mean_field(deep)
        assert round(10 ** float(found["preactivation", "second_moment"][150]), 3) == q_star
        gradients = found["grad_activation", "second_moment"]
        assert round(10 ** float(gradients[100] - gradients[101]), 3) == chi1


def test_variances_are_second_moments_less_the_squared_mean() -> None:
    found = mean_field(
        condition((50, 60, 70, 2), 0.02, "softplus", bias_variances=(0.1,) * 3),
        independent=True,
    )
    q = 10 ** found["preactivation", "second_moment"]
    moments = layer_moments(make_activation("softplus", {}), q[:-1])
    variance = 10 ** found["activation", "variance"]
    np.testing.assert_allclose(variance[1:], moments.second - moments.mean**2, rtol=1e-12, atol=0)
    centred: tuple[Quantity, ...] = ("preactivation", "grad_preactivation", "grad_weight")
    for quantity in centred:
        log10 = found[quantity, "variance"]
        assert np.array_equal(log10[:-1], found[quantity, "second_moment"][:-1])
        assert math.isnan(log10[-1])  # the output layer is not wide


def test_relu_variance_is_the_lectures_share_of_the_second_moment() -> None:
    found = mean_field(condition((100,) * 4 + (1,), 0.02))
    gap = found["activation", "variance"] - found["activation", "second_moment"]
    np.testing.assert_allclose(gap[1:], math.log10(1 - 1 / math.pi), rtol=1e-13, atol=0)


def test_no_number_is_given_where_a_float_could_not_hold_it() -> None:
    found = mean_field(condition((100,) * 300 + (1,), 100.0, "gelu"))
    log10 = found["activation", "second_moment"]
    assert np.isfinite(log10[:50]).all()
    assert np.isnan(log10[-50:]).all()
    tanh = condition((100,) * 300 + (1,), 100.0, "tanh")
    bounded = mean_field(tanh)
    assert np.isfinite(bounded["grad_activation", "second_moment"]).all()


CONFIG = """
name: wide
network: {{depth: 4, width: 200, input_dim: 200, activation: {name}}}
init: {{variance: 0.01, {biases}}}
inputs: {{count: 2}}
trials: 60
seed: 3
"""
SHIFTED = "bias_variance: 0.3, bias: -0.7"


@cache
def wide(name: str, biases: str) -> ConditionResult:
    return unpredicted(parse_config(CONFIG.format(name=name, biases=biases))).conditions[0]


def largest_score(name: str, biases: str, **twin: Any) -> float:
    """Forward second moments of wide networks against the recursion; `twin` is changed in it."""
    result = wide(name, biases)
    theory = theory_of(with_layers(result.condition, **twin))
    scores = []
    quantities: tuple[Quantity, ...] = ("preactivation", "activation")
    for quantity in quantities:
        measure: Measure = (quantity, "second_moment")
        ratio = 10 ** (result.networks[measure] - theory[measure])
        error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
        scores.append(((ratio.mean(axis=0) - 1) / error)[:-1])  # one output unit is not wide
    return float(np.abs(scores).max())


# Eight means of 60 networks; finite width shifts them by 1/200 at most, against errors of
# 1 % and more. Two-sided 1e-4 in all, Student's t of 59 degrees of freedom: 5.1.
FORWARD_BOUND = 5.1
WIDE = [
    *((name, "bias_variance: 0.09") for name in ("tanh", "gelu", "silu", "sigmoid", "relu")),
    *((name, "bias: 0.4") for name in ("relu", "tanh", "gelu", "sin")),
    *((name, SHIFTED) for name in ("relu", "tanh", "gelu", "sin")),
]


@pytest.mark.parametrize(("name", "biases"), slow_but(WIDE, ("relu", SHIFTED)))
def test_wide_networks_with_biases_agree_with_the_recursion(name: str, biases: str) -> None:
    assert largest_score(name, biases) < FORWARD_BOUND


WIDE_TWINS = [
    ("gelu", "bias_variance: 0.09", {"activation": "silu"}),
    ("gelu", "bias_variance: 0.09", {"weight_variances": (0.009,) * 5}),
    ("relu", SHIFTED, {"bias_means": (-0.35,) * 5}),
]


@pytest.mark.parametrize(("name", "biases", "twin"), slow_but(WIDE_TWINS, WIDE_TWINS[-1]))
def test_twins_of_wide_networks_are_found(name: str, biases: str, twin: dict[str, Any]) -> None:
    assert largest_score(name, biases, **twin) > FORWARD_BOUND


def test_layers_at_the_same_variance_keep_slopes_of_their_own() -> None:
    options = {"negative_slope": (1.0, 0.0)}
    of = condition((4, 4, 4, 1), 0.25, "prelu", options=options)
    found = mean_field(of)["activation", "second_moment"]
    np.testing.assert_allclose(10**found, [1.0, 1.0, 0.5], rtol=1e-14, atol=0)


# ----- convolutions and blocks


# Conditions have He's variances; a large target makes ∂ℓ/∂f_K all but independent of f_K.


def dense(
    blocks: Blocks | None = None, name: str = "relu", n_blocks: int = 3, **laws: Any
) -> Condition:
    options = {"negative_slope": 0.3} if name == "leaky_relu" else {}
    widths = (200,) * (n_blocks + 2) + (4,)
    return condition(widths, 2 / 200, name, 1, 20.0, options=options, blocks=blocks, **laws)


def images(
    padding: Padding = "circular",
    readout: Readout = "flatten",
    *,
    image: tuple[int, ...] = (6,),
    kernel: int = 3,
    channels: tuple[int, ...] = (100,) * 4,
    outputs: int = 4,
    **changes: Any,
) -> Condition:
    shape = Images(image, kernel, channels, padding, readout)
    name = changes.pop("activation", "relu")
    options = {"negative_slope": 0.3} if name == "leaky_relu" else {}
    kinds: dict[str, Any] = {k: changes.pop(k) for k in ("blocks", "inputs") if k in changes}
    widths = shape.widths(outputs)
    given: dict[str, Any] = {"options": options, "images": shape, **kinds}
    fans = condition(widths, 1.0, name, 1, 20.0, **given).fans
    he = tuple(2 / fan_in for fan_in, _ in fans)
    laws = {"weight_variances": he} | changes
    n_inputs = laws.pop("n_inputs", 1)
    return condition(widths, layer_specs(**laws), name, n_inputs, 20.0, **given)


BIASES: dict[str, Any] = {
    "bias_variances": (0.1, 0.2, 0.3, 0.15, 0.2),
    "bias_means": (0.3, -0.2, 0.4, 0.1, 0.2),
}
SOME_BIASES: dict[str, Any] = {name: values[:4] for name, values in BIASES.items()}
LEAKY = "leaky_relu"
OFF_CENTRE = Inputs(distribution="normal", mean=0.7, std=0.5)

CONDITIONS = {
    "circular": images(),
    "circular, averaged": images("circular", "mean"),
    "circular, averaged, tanh with biases": images(
        "circular", "mean", activation="tanh", **SOME_BIASES
    ),
    "circular, averaged, two dimensions": images(
        "circular", "mean", image=(3, 3), inputs=OFF_CENTRE, activation=LEAKY
    ),
    "zeros": images("zero"),
    "zeros, tanh with biases": images("zero", activation="tanh", **SOME_BIASES),
    "zeros, two dimensions": images("zero", image=(3, 4), activation=LEAKY),
    "zeros, wide kernel": images("zero", image=(4,), kernel=5),
    "zeros, delta-orthogonal": images(
        "zero", image=(3, 4), weight_distributions=("normal", *("delta_orthogonal",) * 2, "normal")
    ),
    "one layer": dense(Blocks(0.7)),
    "one layer, tanh with biases": dense(Blocks(0.7), "tanh", **BIASES),
    "one layer, norm": dense(Blocks(0.7, norm="before")),
    # at He's variance a layer more would not be seen
    "two layers": dense(Blocks(0.7, 2), weight_variances=(2.6 / 200,) * 5),
    "two layers, norm before": dense(Blocks(0.7, 2, "before"), **BIASES),
    "two layers, norm inside": dense(Blocks(-0.7, 2, "inside"), **BIASES),
    "two layers, norm inside, tanh": dense(Blocks(0.7, 2, "inside"), "tanh", **BIASES),
    "two layers, the last of zeros": dense(Blocks(1.0, 2, "none", zero_last=True)),
    "circular blocks": images(blocks=Blocks(0.7, 2, "inside")),
    "circular blocks, averaged": images("circular", "mean", blocks=Blocks(0.7, 2)),
    "circular blocks, averaged, norm": images(
        "circular", "mean", blocks=Blocks(0.7, norm="before"), activation="tanh", **SOME_BIASES
    ),
    "zeros and blocks, norm before": images("zero", blocks=Blocks(0.7, 2, "before"), **SOME_BIASES),
    "zeros and blocks, norm inside": images("zero", blocks=Blocks(0.7, 2, "inside"), **SOME_BIASES),
}
# 22 conditions of 10 measures and at most 5 layers: two-sided 1e-4 in all is 6.1 of Student's t
# with 79 degrees of freedom. Finite width shifts means by 1/100 at most, less than an error.
BOUND = 6.1


TWINS: list[tuple[str, Condition]] = [
    ("circular", images(kernel=1, weight_variances=(*(2 / 300,) * 3, 2 / 600))),
    ("circular", images("zero")),
    ("zeros", images()),
    ("zeros, two dimensions", images("zero", image=(2, 6), activation=LEAKY)),
    ("zeros, delta-orthogonal", images("zero", image=(3, 4))),
    ("circular, averaged", images(weight_variances=(*(2 / 300,) * 3, 2 / 100))),
    (
        "circular, averaged, two dimensions",
        images("circular", "mean", image=(3, 3), activation=LEAKY),
    ),
    ("one layer", dense(Blocks(0.8))),
    ("one layer, norm", dense(Blocks(0.7))),
    (
        "one layer, tanh with biases",
        dense(Blocks(0.7), "tanh", **BIASES | {"bias_means": (0.0,) * 5}),
    ),
    ("two layers", dense(Blocks(0.7), weight_variances=(2.6 / 200,) * 5)),
    ("two layers, norm inside", dense(Blocks(-0.7, 2), **BIASES)),
    ("two layers, norm before", dense(Blocks(0.7, 2, "inside"), **BIASES)),
    ("two layers, the last of zeros", dense(Blocks(1.0, 2))),
    ("circular blocks, averaged", images("circular", "mean", blocks=Blocks(0.7))),
]


@cache
def simulated(name: str) -> dict[Measure, Array]:
    """log10 of 80 networks, whose layers `tests/network/test_layers.py` holds to slow ones."""
    config = SweepConfig("x", (CONDITIONS[name],), {}, 80, 1)
    return dict(unpredicted(config).conditions[0].networks)


def largest(networks: dict[Measure, Array], theory: dict[Measure, Array]) -> float:
    """Largest deviation of the means over networks in standard errors; 0 where theory is NaN."""
    worst = 0.0
    for measure, log10 in theory.items():
        values, expected = 10 ** networks[measure], 10**log10
        mean = values.mean(axis=0)
        error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
        rounding = 1e-9 * mean  # what does not vary has no other error
        z = np.abs(mean - expected) / np.maximum(np.hypot(error, rounding), 1e-300)
        worst = max(worst, float(np.nan_to_num(z, posinf=np.inf).max()))
    return worst


# one of every kind of layer, block and padding
QUICK = ["circular, averaged", "zeros", "one layer, tanh with biases"]


@pytest.mark.parametrize("name", slow_but(CONDITIONS, *QUICK))
def test_simulated_networks_agree_with_the_recursion(name: str) -> None:
    theory = theory_of(CONDITIONS[name])
    assert np.isfinite(theory["grad_activation", "variance"]).all()
    assert largest(simulated(name), theory) < BOUND


@pytest.mark.parametrize(("name", "twin"), slow_but(TWINS, *(t for t in TWINS if t[0] in QUICK)))
def test_twins_of_another_kind_are_found(name: str, twin: Condition) -> None:
    assert largest(simulated(name), theory_of(twin)) > BOUND


# ----- many outputs, whose gradients follow the activations


def followed(name: str) -> Condition:
    """As many outputs as half of a layer, and no target beside them."""
    return with_outputs(CONDITIONS[name], CONDITIONS[name].widths[1] // 2)


def with_outputs(of: Condition, outputs: int) -> Condition:
    """As many outputs, of the same law, and no target."""
    last = tuple(
        step._replace(outputs=outputs) if isinstance(step, Weights) else step
        for step in of.layers[-1]
    )
    return replace(of, layers=(*of.layers[:-1], last), loss=Loss())


def excess(of: Condition, *, independent: bool) -> Array:
    """How far gradients of 40 networks are off, beyond what errors and their width explain.

    Norms of layers of n units vary by 5/n (ReLU), and their products over layers as much, layer by
    layer; six standard errors are two-sided 5e-7 a number of Student's t with 39 degrees of
    freedom, of some 10 a condition.
    """
    networks = unpredicted(SweepConfig("x", (of,), {}, 40, 1)).conditions[0].networks
    theory = mean_field(of, independent=independent)
    units = of.weights[1].channels[1]
    layers = sum(len(matrices(row)) for row in of.layers[:-1])
    beyond = []
    quantities: tuple[Quantity, ...] = ("grad_activation", "grad_preactivation")
    for quantity in quantities:
        measure: Measure = (quantity, "second_moment")
        ratio = 10 ** (networks[measure] - theory[measure])
        error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
        beyond.append(np.abs(ratio.mean(axis=0) - 1) - 6 * error - 5 * layers / units)
    return np.array(beyond)


# An average over positions leaves the part that follows the activations out.
FOLLOWED = [name for name in CONDITIONS if "averaged" not in name]


@pytest.mark.parametrize("name", slow_but(FOLLOWED, "one layer, tanh with biases"))
def test_gradients_of_many_outputs_follow_the_activations(name: str) -> None:
    of = followed(name)
    assert (excess(of, independent=False) < 0).all()
    assert (excess(of, independent=True) > 0).any()


ORTHOGONAL: dict[str, Condition] = {
    "dense": dense(None, "tanh", weight_distributions=("orthogonal",) * 5),
    "narrower and wider": condition(
        *((200, 300, 100, 300, 300, 4), (1 / 300,) * 5, "tanh"),
        weight_distributions=("orthogonal",) * 5,
    ),
    "kernels": images(weight_distributions=("orthogonal",) * 4),
    "centres of kernels": images(weight_distributions=(*("delta_orthogonal",) * 3, "normal")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ORTHOGONAL)
def test_orthogonal_weights_keep_the_length_of_gradients(name: str) -> None:
    of = with_outputs(ORTHOGONAL[name], 100)
    assert (excess(of, independent=False) < 0).all()
    if name != "narrower and wider":
        laws: list[Distribution] = ["normal"] * len(of.layers)
        normal = with_layers(of, weight_distributions=laws)
        assert not np.allclose(
            theory_of(of)["grad_activation", "second_moment"],
            theory_of(normal)["grad_activation", "second_moment"],
            rtol=0,
            atol=0.01,
        )


@pytest.mark.parametrize(
    ("depth", "width", "outputs", "n_networks"),
    [
        (12, 60, 60, 60),
        *(
            pytest.param(50, 200, *n, marks=pytest.mark.slow)
            for n in ((1, 100), (10, 60), (200, 30))
        ),
    ],
)
def test_deep_tanh_networks_are_within_a_tenth_of_a_decade(
    depth: int, width: int, outputs: int, n_networks: int
) -> None:
    of = condition((width,) * (depth + 1) + (outputs,), 1 / width, "tanh")
    networks = unpredicted(SweepConfig("x", (of,), {}, n_networks, 1)).conditions[0].networks

    def largest_gap(*, independent: bool) -> float:
        theory = mean_field(of, independent=independent)

        def gap(quantity: Quantity) -> Array:
            mean = np.log10((10 ** networks[quantity, "second_moment"]).mean(axis=0))
            return np.asarray(mean - theory[quantity, "second_moment"])

        # what the width takes of E[f_K²] comes back with ∂ℓ/∂f_K = 2 f_K
        return float(np.abs(gap("grad_activation") - gap("preactivation")[-1]).max())

    assert largest_gap(independent=False) < 0.1
    if outputs > 1:
        assert largest_gap(independent=True) > 0.1


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh"])
def test_one_position_is_a_fully_connected_layer(name: str) -> None:
    plain = dense(None, name)
    readouts: tuple[Readout, ...] = ("flatten", "mean")
    for readout in readouts:
        laws: dict[str, Any] = {"activation": name, "weight_variances": (2 / 200,) * 5}
        of = images("circular", readout, image=(1,), kernel=1, channels=(200,) * 5, **laws)
        for measure, log10 in theory_of(of).items():
            np.testing.assert_allclose(log10, theory_of(plain)[measure], rtol=0, atol=1e-12)


# ----- laws


def second(of: Condition, quantity: Quantity) -> Array:
    """Of gradients without the part along the activations, which has closed forms."""
    return 10 ** mean_field(of, independent=True)[quantity, "second_moment"]


def test_he_blocks_double_both_ways() -> None:
    of = dense(Blocks(1.0))
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    np.testing.assert_allclose(forward[1:] / forward[1], [1, 2, 4, 8], rtol=1e-13, atol=0)
    np.testing.assert_allclose(backward[1:] / backward[-1], [8, 4, 2, 1], rtol=1e-13, atol=0)


def deep(blocks: Blocks, n_blocks: int, scale: float = 2.0) -> Condition:
    widths = (100,) * (n_blocks + 2) + (1,)
    return condition(widths, scale / 100, "relu", 1, 20.0, blocks=blocks)


@pytest.mark.parametrize("n_blocks", [1, 4, 50])
def test_he_blocks_of_scale_one_over_root_l_grow_by_e_at_most(n_blocks: int) -> None:
    of = deep(Blocks(1 / math.sqrt(n_blocks)), n_blocks)
    growth = (1 + 1 / n_blocks) ** n_blocks
    assert growth < math.e
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    np.testing.assert_allclose(forward[-1] / forward[1], growth, rtol=1e-12, atol=0)
    np.testing.assert_allclose(backward[1] / backward[-1], growth, rtol=1e-12, atol=0)


def test_normalised_blocks_grow_linearly_and_their_gradients_telescope() -> None:
    of = deep(Blocks(0.5, norm="before"), 40)
    q1, blocks_before = 2.0, np.arange(41)
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    # each adds s² fan_in σ² E[relu(z)²] = 0.25 and multiplies by 1 + s² fan_out σ² E[relu'²]/q_k
    np.testing.assert_allclose(forward[1:], q1 + 0.25 * blocks_before, rtol=1e-12, atol=0)
    product = forward[-1] / forward[1:]  # Π (q_k + 1/4)/q_k = q_K/q_k
    np.testing.assert_allclose(backward[1:] / backward[-1], product, rtol=1e-12, atol=0)


def test_blocks_whose_last_weights_are_zero_hand_everything_on() -> None:
    of = dense(Blocks(1.0, 2, zero_last=True))
    f, h, dh = (second(of, q) for q in ("preactivation", "activation", "grad_activation"))
    assert f[1:-1].tolist() == [0.0] * 3
    assert len(set(h[1:].tolist())) == len(set(dh[1:].tolist())) == 1
    np.testing.assert_allclose(second(of, "grad_preactivation")[1:-1], dh[1], rtol=1e-13, atol=0)
    assert (second(of, "grad_weight") > 0).all()  # the last weights learn, the first do not yet


def test_with_zero_padding_and_an_average_over_positions_only_the_forward_pass_is_known() -> None:
    theory = theory_of(images("zero", "mean"))
    assert np.isfinite(theory["activation", "second_moment"]).all()
    assert np.isfinite(theory["preactivation", "second_moment"]).tolist() == [True] * 3 + [False]
    assert np.isnan(theory["grad_activation", "second_moment"]).all()


def test_at_an_edge_of_zeros_an_average_of_normal_numbers_is_taken_as_one_of_any_others() -> None:
    of = images("zero", "mean")
    linear = replace(of, layers=(*of.layers[:-2], of.layers[-2][:1], of.layers[-1]))
    theory = theory_of(linear)
    assert np.isfinite(theory["activation", "second_moment"]).all()
    assert np.isnan(theory["grad_activation", "second_moment"]).all()


def test_lsuv_of_images_is_that_of_layers_of_their_fans() -> None:
    of = images(activation="tanh", n_inputs=8)
    found = lsuv_variances(of)
    fans = [fan_in for fan_in, _ in of.fans]
    assert found == lsuv_variances(condition((*fans, 4), 1.0, "tanh", 8))
    unknown: list[tuple[Padding, Readout]] = [("zero", "flatten"), ("circular", "mean")]
    for other in (dense(Blocks()), *(images(*one) for one in unknown)):
        assert np.isnan(lsuv_variances(other)).all()
        theory = theory_of(replace(other, lsuv=Lsuv()))
        assert np.isnan(theory["grad_activation", "second_moment"]).all()


def test_a_target_beyond_the_root_of_the_float_range_is_known() -> None:
    for of in (dense(Blocks()), images()):
        last = theory_of(replace(of, loss=Loss(target=1e300)))[
            "grad_preactivation", "second_moment"
        ][-1]
        np.testing.assert_allclose(last, 600 + math.log10(4.0), rtol=1e-14, atol=0)


def test_no_number_leaves_the_range_of_a_float_where_the_activation_is_homogeneous() -> None:
    wide = images("zero", channels=(9,) * 650)
    wide = with_layers(wide, weight_variances=tuple(40 * v for v in wide.weight_variances))
    for of in (deep(Blocks(3.0), 500, 80.0), wide):
        log10 = theory_of(of)
        assert all(np.isfinite(values[:-1]).all() for values in log10.values())
        assert log10["activation", "second_moment"][-1] > 1000


def test_identity_blocks_hand_everything_on_whatever_their_activation() -> None:
    # of sines as fast as these the correlation of two positions is not known
    blocks = Blocks(1.0, 1, zero_last=True)
    relu = images(readout="mean", blocks=blocks, weight_variances=(1e3,) * 4)
    sines = with_layers(relu, activation="sin")
    wanted: list[tuple[Quantity, int]] = [("preactivation", 3), ("grad_weight", 0)]
    for quantity, k in wanted:
        found, expected = second(sines, quantity)[k], second(relu, quantity)[k]
        assert math.isclose(found, expected, rel_tol=1e-12), quantity
