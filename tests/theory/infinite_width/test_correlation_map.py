"""The correlation map against closed forms, plain quadrature and wide networks without weights."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.inputs import norm_moments
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.correlation_map import (
    layer_cosines,
    variances_between_inputs,
)
from heinit_sim.theory.infinite_width.gaps import activated_gap, input_gap
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.signals import Signal
from heinit_sim.theory.infinite_width.steps import activation
from tests import conditions
from tests.conditions import Blocks, Images, with_layers
from tests.rows import slow_but

Array = np.ndarray
TANH = "{depth: 6, width: 100, input_dim: 100, activation: tanh}"
RELU = "{depth: 50, width: 100, input_dim: 100}"
HALF = "{distribution: pair, cosine: 0.5, count: 2}"
# Standard errors that a mean over networks may be off: some 60 numbers are looked at, and with 60
# networks a false alarm in any is one in 500 if numbers are normal.
ERRORS = 4.5
EPS = np.finfo(float).eps


def condition(network: str, init: str, inputs: str = "{count: 5}") -> Condition:
    text = f"name: x\nnetwork: {network}\ninit: {init}\ninputs: {inputs}\n"
    return parse_config(text).conditions[0]


def predicted(of: Condition) -> dict[Quantity, Array]:
    return layer_cosines(of, mean_field(of))


def plain_recursion(
    of: Condition,
    c: float,
    second: Callable[[float, float], float],
    product: Callable[[float, float, float], float],
) -> tuple[list[float], list[float]]:
    """Cosines of f_0 … f_{K−1} and of h_0 … h_K from E[a²](q, mean) and E[a a'](q, c, mean)."""
    f, h = [], [c]
    h2 = norm_moments(of.inputs, of.widths[0])[0] / of.widths[0]
    for k in range(of.depth):
        w2 = of.widths[k] * of.weight_variances[k]
        b2 = of.bias_variances[k]
        mean = of.bias_means[k]
        q, covariance = w2 * h2 + b2, w2 * h2 * c + b2
        f.append((covariance + mean**2) / (q + mean**2))
        h2 = second(q, mean)
        c = product(q, covariance / q, mean) / h2
        h.append(c)
    return f, h


def gauss_hermite(a: Callable[[Array], Array], mean: float, q: float, c: float) -> float:
    """E[a(mean + u₁) a(mean + u₂)] on a plain grid of 100 × 100 nodes."""
    z, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()
    u1 = mean + math.sqrt(q) * z[:, np.newaxis]
    u2 = mean + math.sqrt(q) * (c * z[:, np.newaxis] + math.sqrt(1 - c * c) * z)
    return float(weights @ (a(u1) * a(u2)) @ weights)


def assert_close(found: dict[Quantity, Array], f: list[float], h: list[float]) -> None:
    np.testing.assert_allclose(found["preactivation"][:-1], f, rtol=1e-10, atol=0)
    np.testing.assert_allclose(found["activation"], h, rtol=1e-10, atol=0)
    assert math.isnan(found["preactivation"][-1])


def test_relu_networks_take_independent_inputs_to_the_published_cosines() -> None:
    found = predicted(condition(RELU, "{scheme: he_normal}"))
    h = found["activation"]
    assert [round(float(h[k]), 4) for k in (1, 2, 10, 20, 50)] == [
        *(0.3183, 0.4937),
        *(0.8715, 0.9484, 0.9879),
    ]
    assert abs(h[0]) < 4 * EPS  # drawn with mean 0; what is carried is 1 − cosine
    np.testing.assert_allclose(found["preactivation"][:-1], h[:-1], rtol=0, atol=4 * EPS)


@pytest.mark.slow
def test_ten_thousand_relu_layers_keep_the_digits_of_what_is_left() -> None:
    found = predicted(condition(RELU.replace("50", "10000"), "{scheme: he_normal}"))
    # c(k) = (sin θ + (π − θ) cos θ)/π with cos θ = c(k−1); carried is 1 − c = 2 sin²(θ/2)
    left = 1.0
    for _ in range(10_000):
        theta = 2 * math.asin(math.sqrt(left / 2))
        # sin θ − θ cos θ = θ³/3 − θ⁵/30 + θ⁷/840 − …, which cancels for small angles
        third = theta**3 * (1 / 3 - theta**2 / 30 + theta**4 / 840)
        left -= (third if theta < 0.01 else math.sin(theta) - theta * math.cos(theta)) / math.pi
    np.testing.assert_allclose(1 - found["activation"][-1], left, rtol=1e-8, atol=0)
    # 9π²/(2k²), whose next term is of order ln k/k.
    np.testing.assert_allclose(left, 9 * math.pi**2 / 2 / 1e8, rtol=math.log(1e4) / 1e3, atol=0)


def test_slopes_of_each_layer_bend_the_map_each_in_its_own_way() -> None:
    slopes = (0.3, 1.0, -0.5, 0.0)
    network = f"{{name: prelu, negative_slope: {list(slopes)}}}"
    of = condition(
        f"{{depth: 4, width: 50, input_dim: 50, activation: {network}}}", "{variance: 0.03}", HALF
    )
    c, h = 0.5, [0.5]
    for alpha in slopes:  # a(z) = (1+α)/2 z + (1−α)/2 |z|
        absolute = 2 / math.pi * (math.sqrt(1 - c * c) + c * math.asin(c))
        both = ((1 + alpha) / 2) ** 2 * c + ((1 - alpha) / 2) ** 2 * absolute
        c = both / ((1 + alpha**2) / 2)
        h.append(c)
    assert_close(predicted(of), h[:-1], h)


@pytest.mark.parametrize("cosine", [-0.8, 0.0, 0.5, 0.99])
@pytest.mark.parametrize(
    "init",
    [
        "{variance: 0.01}",
        "{variance: 0.008, bias_variance: 0.2}",
        "{variance: 0.008, bias_variance: 0.2, bias: 0.4}",
    ],
)
def test_tanh_layers_go_as_a_plain_grid_of_nodes_says(init: str, cosine: float) -> None:
    of = condition(TANH, init, f"{{distribution: pair, cosine: {cosine}, count: 2}}")
    f, h = plain_recursion(
        of,
        cosine,
        lambda q, mean: gauss_hermite(np.tanh, mean, q, 1.0),
        lambda q, c, mean: gauss_hermite(np.tanh, mean, q, c),
    )
    found = predicted(of)
    # n Hermite nodes leave about e^(−2√n p), p = π/2√q how far the poles of tanh are, times its
    # square beyond them: 2e-14 where q is at most 1.
    np.testing.assert_allclose(found["preactivation"][:-1], f, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["activation"], h, rtol=0, atol=1e-10)


@pytest.mark.parametrize("variance", [0.001, 0.02, 5.0])
@pytest.mark.parametrize("cosine", [0.2, 0.999999])
def test_erf_layers_go_by_the_closed_form_of_williams(variance: float, cosine: float) -> None:
    of = condition(
        TANH.replace("tanh", "erf"),
        f"{{variance: {variance}, bias_variance: 0.2}}",
        f"{{distribution: pair, cosine: {cosine}, count: 2}}",
    )

    def product(q: float, c: float, _: float) -> float:
        return 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))

    assert_close(
        predicted(of), *plain_recursion(of, cosine, lambda q, m: product(q, 1, m), product)
    )


@pytest.mark.parametrize("variance", [0.02, 8.0, 1000.0])
def test_sines_of_any_length_go_by_their_closed_form(variance: float) -> None:
    of = condition(TANH.replace("tanh", "sin"), f"{{variance: {variance}}}", HALF)
    f, h = plain_recursion(
        of,
        0.5,
        lambda q, _: (1 - math.exp(-2 * q)) / 2,
        lambda q, c, _: (math.exp(-q * (1 - c)) - math.exp(-q * (1 + c))) / 2,
    )
    found = predicted(of)
    # At 1000 nothing is left of any likeness: rounding leaves 1e-15 of 0.
    np.testing.assert_allclose(found["activation"], h, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found["preactivation"][:-1], f, rtol=1e-10, atol=1e-14)


@pytest.mark.slow
def test_kinked_and_one_sided_activations_go_as_a_fine_grid_says() -> None:
    of = condition(TANH.replace("tanh", "selu"), "{variance: 0.01}", HALF)
    z = np.arange(-9, 9, 0.01) + 0.005
    weights = np.exp(-(z**2) / 2) * 0.01 / math.sqrt(2 * math.pi)

    def selu(u: Array) -> Array:
        return 1.0507009873554805 * np.where(u > 0, u, 1.6732632423543772 * np.expm1(u))

    def product(q: float, c: float, _: float) -> float:
        u1 = math.sqrt(q) * z[:, np.newaxis]
        u2 = math.sqrt(q) * (c * z[:, np.newaxis] + math.sqrt(1 - c * c) * z)
        return float(weights @ (selu(u1) * selu(u2)) @ weights)

    f, h = plain_recursion(of, 0.5, lambda q, m: product(q, 1.0, m), product)
    found = predicted(of)
    # The midpoint rule: a kink of slope 0.7 leaves 0.7 · 0.01²/8 at worst, in six layers.
    np.testing.assert_allclose(found["activation"], h, rtol=0, atol=6e-5)
    np.testing.assert_allclose(found["preactivation"][:-1], f, rtol=0, atol=6e-5)


def test_lsuv_layers_all_have_unit_variance() -> None:
    of = condition(TANH, "{scheme: lsuv}")
    c, h = 0.0, [0.0]
    for _ in range(of.depth):
        c = gauss_hermite(np.tanh, 0, 1, c) / gauss_hermite(np.tanh, 0, 1, 1)
        h.append(c)
    np.testing.assert_allclose(predicted(of)["activation"], h, rtol=0, atol=1e-9)


def test_chaotic_and_ordered_tanh_networks_reach_the_limits_of_poole() -> None:
    ends = []
    for sigma in (1.3, 2.5, 4.0):
        init = f"{{variance: {sigma**2 / 100}, bias_variance: 0.09}}"
        found = predicted(condition(TANH.replace("depth: 6", "depth: 150"), init, HALF))
        ends.append(round(float(found["preactivation"][-2]), 3))
    assert ends == [1.0, 0.122, 0.030]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (Inputs(), 0.0),
        (Inputs("normal", mean=1.0, std=2.0), 0.2),
        (Inputs("normal", "global", mean=1.0, std=2.0), 0.0),
        (Inputs("constant", mean=-3.0), 1.0),
        (Inputs("constant"), math.nan),
        (Inputs("sparse", density=0.1), 0.0),
        (Inputs("pair", cosine=-0.3), -0.3),
    ],
)
def test_inputs_begin_at_their_own_cosine(inputs: Inputs, expected: float) -> None:
    np.testing.assert_allclose(1 - input_gap(inputs, 7), expected, rtol=0, atol=4 * EPS)


def test_examples_of_a_file_begin_at_their_mean_product(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((12, 4)) + np.array([1.0, 0.0, 2.0, 0.0])
    path = tmp_path / "x.npy"
    np.save(path, x)
    inputs = Inputs("file", path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    products = [x[i] @ x[j] for i in range(12) for j in range(12) if i != j]
    expected = np.mean(products) / np.mean([row @ row for row in x])
    np.testing.assert_allclose(1 - input_gap(inputs, 4), expected, rtol=1e-12, atol=0)


def test_zero_inputs_have_no_cosine_and_meet_in_the_biases() -> None:
    init = "{variance: 0.02, bias_variance: 0.1}"
    found = predicted(condition(TANH, init, "{distribution: constant, mean: 0, count: 2}"))
    assert math.isnan(found["activation"][0])
    np.testing.assert_array_equal(found["activation"][1:], 1.0)
    np.testing.assert_array_equal(found["preactivation"][:-1], 1.0)
    found = predicted(
        condition(TANH, "{variance: 0.02}", "{distribution: constant, mean: 0, count: 2}")
    )
    assert np.isnan(found["activation"]).all()
    blocks = condition(RELU, "{variance: 0.02}", "{distribution: constant, mean: 0, count: 2}")
    found = predicted(with_layers(blocks, blocks=Blocks()))
    assert np.isnan(found["activation"]).all()


def convolutional(padding: str, activation: str) -> Condition:
    of = condition(RELU.replace("50,", f"3, activation: {activation},"), "{variance: 0.02}", HALF)
    image = Images((10,), 3, (10,) * 4, padding)  # type: ignore[arg-type]  # one of the two
    return with_layers(of, images=image)


def test_images_are_alike_everywhere_unless_zeros_beyond_the_edge_are_seen() -> None:
    dense = predicted(with_layers(convolutional("zero", "relu"), images=None))["activation"]
    for padding in ("circular", "zero"):
        found = predicted(convolutional(padding, "relu"))["activation"]
        # a few roundings of numbers up to 1 in each of three layers
        np.testing.assert_allclose(found, dense, rtol=0, atol=3 * 8 * EPS)
    assert np.isfinite(predicted(convolutional("circular", "tanh"))["activation"]).all()
    assert np.isnan(predicted(convolutional("zero", "tanh"))["activation"][1:]).all()
    blocks = with_layers(convolutional("zero", "relu"), blocks=Blocks())
    assert np.isnan(predicted(blocks)["activation"]).tolist() == [False, False, True, True]
    biased = with_layers(convolutional("zero", "relu"), bias_variances=(0.1,) * 4)
    assert np.isnan(predicted(biased)["activation"][1:]).all()


def next_layer(rng: np.random.Generator, h: Array, variance: float) -> Array:
    """Ω h of weights of that variance: given h its rows are N(0, σ² hᵀh), exactly."""
    root = np.linalg.cholesky(variance * h.swapaxes(-1, -2) @ h)
    return rng.standard_normal(h.shape) @ root.swapaxes(-1, -2)


def normalised(z: Array) -> Array:
    z = z - z.mean(axis=-2, keepdims=True)
    return np.asarray(z / z.std(axis=-2, keepdims=True))


VARIANTS: dict[str, tuple[str, Blocks | None]] = {
    "plain": ("tanh", None),
    "plain relu": ("relu", None),
    "one layer": ("tanh", Blocks(0.8)),
    "one layer of relu": ("relu", Blocks(0.8)),
    "two layers": ("tanh", Blocks(1.0, 2)),
    "normalised before": ("tanh", Blocks(0.7, 1, "before")),
    "two layers, normalised before": ("tanh", Blocks(0.7, 2, "before")),
    "normalised inside": ("tanh", Blocks(0.7, 2, "inside")),
    "zero at first": ("tanh", Blocks(1.0, 2, "none", zero_last=True)),
}
WIDTH, DEPTH, NETWORKS, SCALE = 10_000, 5, 60, 2.5


@cache
def simulated(activation: str, blocks: Blocks | None) -> tuple[Array, Array]:
    """Cosines of f_k and h_k of two inputs of cosine 0.5, (NETWORKS, DEPTH + 1) each."""
    rng = np.random.default_rng(77)
    a = np.tanh if activation == "tanh" else lambda z: np.maximum(z, 0)
    h = rng.standard_normal((NETWORKS, WIDTH, 2))
    for x in h:  # of that cosine exactly
        x[:, 1] -= (x[:, 1] @ x[:, 0]) / (x[:, 0] @ x[:, 0]) * x[:, 0]
        x *= math.sqrt(WIDTH) / np.linalg.norm(x, axis=0)
        x[:, 1] = 0.5 * x[:, 0] + math.sqrt(0.75) * x[:, 1]
    of_f, of_h = [], [cosine(h)]
    for k in range(DEPTH):
        if blocks is None or k == 0:
            f = next_layer(rng, h, SCALE / WIDTH)
            h = a(f) if blocks is None else f
        else:
            z = a(normalised(h) if blocks.norm == "before" else h)
            if blocks.branch_layers == 2:
                z = next_layer(rng, z, SCALE / WIDTH)
                z = a(normalised(z) if blocks.norm == "inside" else z)
            f = 0.0 * z if blocks.zero_last else next_layer(rng, z, SCALE / WIDTH)
            h = h + blocks.scale * f
        of_f.append(cosine(f))
        of_h.append(cosine(h))
    return np.stack(of_f, axis=1), np.stack(of_h, axis=1)


def cosine(z: Array) -> Array:
    norms = np.linalg.norm(z, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((z[..., 0] * z[..., 1]).sum(axis=1) / norms[:, 0] / norms[:, 1])


def of_variant(name: str) -> dict[Quantity, Array]:
    activation, blocks = VARIANTS[name]
    widths, inputs = (WIDTH,) * (DEPTH + 1) + (1,), Inputs("pair", cosine=0.5)
    return predicted(
        conditions.condition(widths, SCALE / WIDTH, activation, 2, blocks=blocks, inputs=inputs)
    )


def farthest(measured: tuple[Array, Array], theory: dict[Quantity, Array]) -> float:
    """Largest distance of means over networks from theory, in errors that are allowed."""
    found = []
    for values, expected in zip(
        measured, (theory["preactivation"][:-1], theory["activation"][1:]), strict=True
    ):
        values = values[:, -DEPTH:]
        assert (np.isnan(values).all(axis=0) == np.isnan(expected)).all()
        known = ~np.isnan(expected)
        mean = values.mean(axis=0)[known]
        error = values.std(axis=0, ddof=1)[known] / math.sqrt(NETWORKS)
        # Beside chance: what a width leaves, c (1−c²)/2n for a Gaussian layer, and as much again.
        allowed = ERRORS * error + DEPTH / WIDTH
        found.append(float((np.abs(mean - expected[known]) / allowed).max()))
    return max(found)


@pytest.mark.parametrize("name", slow_but(VARIANTS, next(iter(VARIANTS))))
def test_wide_networks_have_the_predicted_cosines(name: str) -> None:
    assert farthest(simulated(*VARIANTS[name]), of_variant(name)) < 1


OTHERWISE = [
    ("plain", "one layer"),
    ("plain relu", "one layer of relu"),
    ("one layer", "normalised before"),
    ("two layers", "normalised inside"),
    ("two layers, normalised before", "normalised inside"),
    ("normalised before", "two layers, normalised before"),
]


@pytest.mark.parametrize(("name", "other"), slow_but(OTHERWISE, OTHERWISE[0]))
def test_twin_that_is_connected_otherwise_is_found(name: str, other: str) -> None:
    assert farthest(simulated(*VARIANTS[name]), of_variant(other)) > 1


@pytest.mark.parametrize("name", slow_but(["one layer", "two layers"], "one layer"))
def test_twin_with_a_scale_ten_percent_off_is_found(name: str) -> None:
    activation, blocks = VARIANTS[name]
    assert blocks is not None
    wrong = blocks._replace(scale=1.1 * blocks.scale)
    assert farthest(simulated(activation, wrong), of_variant(name)) > 1


def test_what_is_beyond_float_range_has_no_cosine() -> None:
    of = condition(TANH.replace("tanh", "softplus"), "{variance: 1.0e+300}", HALF)
    found = predicted(of)
    assert found["activation"][0] == 0.5
    assert np.isnan(found["activation"][-1])


def test_weights_far_below_a_constant_bias_leave_no_angle() -> None:
    tiny = condition(TANH.replace("tanh", "mish"), "{variance: 1.0e-202}")
    tiny = with_layers(tiny, bias_means=(0.3, 2.0, 0.3, 2.0, 0.3, 2.0, 0.3))
    seen = predicted(tiny)
    assert seen["preactivation"][:6].tolist() == [1.0] * 6
    assert seen["activation"][1:].tolist() == [1.0] * 6


@pytest.mark.parametrize("mean", [0.6, -0.6])
def test_rectifiers_with_constant_biases_have_the_cosine_of_a_layer(mean: float) -> None:
    """`steps/test_activation.py` holds that cosine to an average whose inner part is closed."""
    q, c = 0.8, 0.35
    relu = make_activation("relu", {})
    ln_second, ln_variance = (np.array(math.log(moment)) for moment in (q + mean**2, q))
    share = np.array(mean / math.sqrt(q + mean**2))
    z = Signal(ln_second, ln_variance, share, (q * c + mean**2) / (q + mean**2), law="gaussian")
    cosine = activation.forward(relu, z).after.cosine
    # both are quadratures, good to 1e-10
    assert math.isclose(activated_gap(relu, mean, q, 1 - c), 1 - cosine, rel_tol=1e-9)


def test_layers_of_other_slopes_or_biases_are_not_taken_for_one_another() -> None:
    prelu = make_activation("prelu", {"negative_slope": (0.0, 0.5)})
    gaps = {activated_gap(a, mean, 1.0, 0.5) for a in prelu.by_layer for mean in (0.3, -0.3)}
    assert len(gaps) == 4


def between(of: Condition) -> dict[Measure, Array]:
    return variances_between_inputs(of, mean_field(of))


F_BETWEEN: Measure = ("preactivation", BETWEEN_INPUTS)
H_BETWEEN: Measure = ("activation", BETWEEN_INPUTS)
# variance, bias variance and bias of each layer, times the width where it multiplies a norm
WIDE = {
    "relu": ("relu", 2.0, 0.0, 0.0),
    "biased relu": ("relu", 1.5, 0.3, 0.2),
    "biased tanh": ("tanh", 1.5, 0.1, -0.3),
    "selu": ("selu", 1.0, 0.0, 0.0),
    "biased hard_tanh": ("hard_tanh", 2.0, 0.2, 0.1),
}
BATCHES = {
    "independent": "{count: 4}",
    "with a mean": "{distribution: normal, mean: 1, count: 3}",
    "pairs": "{distribution: pair, cosine: 0.9, count: 4}",
}
WIDE_UNITS, FEW_LAYERS, N_WIDE = 3000, 4, 40


def wide_condition(name: str, batch: str) -> Condition:
    activation, weight, bias_variance, bias = WIDE[name]
    network = f"{{depth: {FEW_LAYERS}, width: {WIDE_UNITS}, input_dim: {WIDE_UNITS}, "
    init = f"{{variance: {weight / WIDE_UNITS}, bias_variance: {bias_variance}, bias: {bias}}}"
    return condition(f"{network}activation: {activation}}}", init, BATCHES[batch])


@cache
def wide_between(name: str, batch: str) -> tuple[Array, Array]:
    """Variances between inputs of f_0 … f_K and h_0 … h_K of wide networks without weights."""
    of, rng = wide_condition(name, batch), np.random.default_rng(78)
    activation, weight, bias_variance, bias = WIDE[name]
    a = make_activation(activation, {})
    h = rng.standard_normal((N_WIDE, WIDE_UNITS, of.n_inputs)) + of.inputs.mean
    if batch == "pairs":
        h[..., 1::2] = 0.9 * h[..., ::2] + math.sqrt(1 - 0.81) * h[..., 1::2]
    of_f, of_h = [], [h.var(axis=-1).mean(axis=-1)]
    for _ in range(FEW_LAYERS + 1):
        f = next_layer(rng, h, weight / WIDE_UNITS) + bias
        f += math.sqrt(bias_variance) * rng.standard_normal((N_WIDE, WIDE_UNITS, 1))
        h = a.value(f, np.empty_like(f))
        of_f.append(f.var(axis=-1).mean(axis=-1))
        of_h.append(h.var(axis=-1).mean(axis=-1))
    return np.stack(of_f, axis=1), np.stack(of_h[:-1], axis=1)


def farthest_between(name: str, batch: str, theory: dict[Measure, Array]) -> float:
    """Largest distance of means over networks from theory, in errors that are allowed."""
    found = []
    for values, measure in zip(wide_between(name, batch), (F_BETWEEN, H_BETWEEN), strict=True):
        mean, expected = values.mean(axis=0), 10 ** theory[measure]
        error = values.std(axis=0, ddof=1) / math.sqrt(N_WIDE)
        # Beside chance: what a width leaves, a relative 5/width for each layer at most.
        allowed = ERRORS * error + 5 * FEW_LAYERS / WIDE_UNITS * expected
        found.append(float((np.abs(mean - expected) / allowed).max()))
    return max(found)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", slow_but(WIDE, "biased relu"))
def test_wide_networks_have_the_predicted_variances_between_inputs(name: str, batch: str) -> None:
    theory = between(wide_condition(name, batch))
    assert farthest_between(name, batch, theory) < 1
    # planted: n − 1 for n; biases that are there or not; pairs that are none
    n = wide_condition(name, batch).n_inputs
    unbiased = {m: x + math.log10(n / (n - 1)) for m, x in theory.items()}
    assert farthest_between(name, batch, unbiased) > 1
    other = with_layers(
        wide_condition(name, batch), bias_variances=(0.05 + WIDE[name][2],) * (FEW_LAYERS + 1)
    )
    if WIDE[name][0] in ("tanh", "hard_tanh"):
        assert farthest_between(name, batch, between(other)) > 1
    if batch == "pairs":
        lone = replace(other, inputs=Inputs("pair", cosine=0.0))
        assert farthest_between(name, batch, between(lone)) > 1


def test_biases_leave_what_a_closed_form_says_however_little_that_is() -> None:
    depth = 600
    network, init = (
        RELU.replace("50", str(depth)),
        "{scheme: torch_linear_default, bias_variance: 0.01}",
    )
    found = between(condition(network, init, "{count: 10}"))
    # q' = D σ² q/2 + σ_b², and of the difference of two inputs D σ²/2 (d − (sin θ − θ cos θ)/π) q
    q, ln_left, ln_f = 1 / 3 + 0.01, math.log(0.9) - math.log(3), []
    for _ in range(depth):
        ln_f.append(ln_left)
        gap = math.exp(ln_left - math.log(q)) / 0.9
        theta = 2 * math.asin(math.sqrt(gap / 2))
        third = theta**3 * (1 / 3 - theta**2 / 30 + theta**4 / 840)
        bend = (third if theta < 0.01 else math.sin(theta) - theta * math.cos(theta)) / math.pi
        ln_left += math.log(1 / 6) + (math.log1p(-bend / gap) if gap > 0 else 0.0)
        q = q / 6 + 0.01
    ln_f.append(ln_left)
    assert ln_left < -1000  # no float is so small
    np.testing.assert_allclose(found[F_BETWEEN] * math.log(10), ln_f, rtol=1e-12, atol=1e-9)
    # of h_k, all of whose difference is in the weights' part of f_k
    of_h = found[F_BETWEEN] - math.log10(1 / 3)
    np.testing.assert_allclose(found[H_BETWEEN], of_h, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("depth", [1, 3])
def test_linear_networks_keep_the_share_of_the_inputs(depth: int) -> None:
    network = f"{{depth: {depth}, width: 5, input_dim: 7, activation: linear, output_dim: 2}}"
    found = between(condition(network, "{variance: 0.3}", "{count: 4}"))
    h = [0.75 * math.prod([0.3 * 7, *[0.3 * 5] * k][:k]) for k in range(depth + 1)]
    f = [0.3 * (7 if k == 0 else 5) * h[k] for k in range(depth + 1)]
    np.testing.assert_allclose(10 ** found[H_BETWEEN], h, rtol=1e-12, atol=0)
    np.testing.assert_allclose(10 ** found[F_BETWEEN], f, rtol=1e-12, atol=0)


def test_what_is_known_between_inputs_where_cosines_are_not() -> None:
    given = "{scheme: he_normal, bias_variance: 0.1}"
    network = (
        "{kind: cnn, depth: 2, image: [4], kernel: 3, channels: 5, activation: tanh, padding: "
    )
    for padding, known in (("zero", [True, False, False]), ("circular", [True] * 3)):
        found = between(condition(f"{network}{padding}}}", given))
        assert np.isfinite(found[H_BETWEEN]).tolist() == known
        assert np.isfinite(found[F_BETWEEN]).tolist() == [padding == "circular"] * 3
    averaged = between(condition(f"{network}circular, readout: mean}}", given))
    assert np.isfinite(averaged[F_BETWEEN]).tolist() == [True, True, False]
    zero = condition(TANH, given, "{distribution: constant, mean: 0, count: 2}")
    for measure in (F_BETWEEN, H_BETWEEN):
        assert np.isneginf(between(zero)[measure]).all()


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "hard_tanh", "relu6", "sin", "softsign"])
@pytest.mark.parametrize(("mean", "q"), [(0.0, 1.0), (0.4, 0.1), (-0.3, 30.0)])
def test_small_gaps_follow_the_slope_without_a_step(name: str, mean: float, q: float) -> None:
    activation = make_activation(name, {})
    at = 1e-14 / max(q, 1.0)  # below, E[a'²] tells; above, differences do
    below, above = (activated_gap(activation, mean, q, at * x) / x for x in (0.98, 1.02))
    # kinks bend the map by the root of the gap, of which q has no more than a few hundred
    np.testing.assert_allclose(below, above, rtol=1e-6, atol=0)


@pytest.mark.parametrize("q", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("gap", [1e-8, 1e-4, 0.1, 1.0, 1.7, 2.0])
def test_gaps_behind_kinks_and_jumps_go_by_their_closed_forms(q: float, gap: float) -> None:
    theta = 2 * math.asin(math.sqrt(gap / 2))
    bend = theta**3 * (1 / 3 - theta**2 / 30)
    if theta > 0.02:
        bend = math.sin(theta) - theta * math.cos(theta)
    rectified = quadrature.kinked_gap(lambda u: np.maximum(u, 0.0), q, gap, (0.0,))
    np.testing.assert_allclose(rectified, q / 2 * (gap - bend / math.pi), rtol=1e-9, atol=0)
    signs = quadrature.kinked_gap(np.sign, q, gap, (0.0,))
    np.testing.assert_allclose(signs, 2 * theta / math.pi, rtol=1e-7, atol=0)
