"""The recursion against checked numbers, plain loops and networks simulated plainly.

Fully connected layers first; then convolutions and blocks, each network simulated by itself.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product as grid
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import RELU, make_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.architecture import (
    Convolution,
    Padding,
    Readout,
    Residual,
    matrix_places,
    matrix_shapes,
)
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import PASS_OF, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition, Lsuv
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.quadrature import layer_moments
from tests.conditions import condition, with_layers
from tests.rows import slow_but

Array = np.ndarray
Maps = tuple[Callable[[Array], Array], Callable[[Array], Array]]


# ----- fully connected layers


@pytest.mark.parametrize("name", ["tanh", "gelu", "sigmoid", "relu"])
def test_the_recursion_is_the_plain_loop(name: str) -> None:
    widths, v, b, y = (7, 40, 30, 20, 3), 0.05, 0.09, 0.4
    activation = make_activation(name, {})
    found = mean_field(condition(widths, v, name, target=y, bias_variances=(b,) * 4), activation)
    q, h = [], [1.0]
    for k in range(4):
        q.append(widths[k] * v * h[-1] + b)
        h.append(float(layer_moments(activation, np.array(q[-1])).second))
    gradient = [4 * (q[-1] + y**2)]
    to_units = []
    for k in range(3, -1, -1):
        to_units.append(widths[k + 1] * v * gradient[-1])
        if k:
            moments = layer_moments(activation, np.array(q[k - 1]))
            gradient.append(float(moments.slope) * to_units[-1])
    expected: dict[Quantity, Array | list[float]] = {
        "preactivation": q,
        "activation": h[:-1],
        "grad_preactivation": gradient[::-1],
        "grad_activation": to_units[::-1],
        "grad_weight": np.array(gradient[::-1]) * h[:-1],
    }
    assert expected.keys() == PASS_OF.keys()
    for quantity, values in expected.items():
        log10 = found[quantity, "second_moment"]
        np.testing.assert_allclose(log10, np.log10(values), rtol=0, atol=1e-13)


def test_tanh_settles_at_the_fixed_point_of_poole_et_al() -> None:
    for sigma_w, q_star, chi1 in ((1.3, 0.607, 0.940), (2.5, 4.079, 1.585), (4.0, 12.604, 2.367)):
        deep = condition((1000,) * 200 + (1,), sigma_w**2 / 1000, "tanh")
        deep = with_layers(deep, bias_variances=(0.09,) * 200)
        found = mean_field(deep, make_activation("tanh", {}))
        assert round(10 ** float(found["preactivation", "second_moment"][150]), 3) == q_star
        gradients = found["grad_activation", "second_moment"]
        assert round(10 ** float(gradients[100] - gradients[101]), 3) == chi1


def test_variances_are_second_moments_less_the_squared_mean() -> None:
    found = mean_field(
        condition((50, 60, 70, 2), 0.02, "softplus", bias_variances=(0.1,) * 3),
        make_activation("softplus", {}),
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
    found = mean_field(condition((100,) * 4 + (1,), 0.02), RELU)
    gap = found["activation", "variance"] - found["activation", "second_moment"]
    np.testing.assert_allclose(gap[1:], math.log10(1 - 1 / math.pi), rtol=1e-13, atol=0)


def test_no_number_is_given_where_a_float_could_not_hold_it() -> None:
    found = mean_field(condition((100,) * 300 + (1,), 100.0, "gelu"), make_activation("gelu", {}))
    log10 = found["activation", "second_moment"]
    assert np.isfinite(log10[:50]).all()
    assert np.isnan(log10[-50:]).all()
    tanh = condition((100,) * 300 + (1,), 100.0, "tanh")
    bounded = mean_field(tanh, make_activation("tanh", {}))
    assert np.isfinite(bounded["grad_activation", "second_moment"]).all()


CONFIG = """
name: wide
network: {{depth: 4, width: 400, input_dim: 400, activation: {name}}}
init: {{variance: {variance}, bias_variance: 0.09}}
inputs: {{count: 2}}
trials: 60
seed: 3
"""


def z_scores(name: str, expected_of: str, variance: float = 0.005) -> Array:
    """Forward second moments of wide simulated networks against the recursion at 0.005."""
    config = parse_config(CONFIG.format(name=name, variance=variance))
    networks = run_sweep(config).conditions[0].networks
    expected = with_layers(config.conditions[0], weight_variances=(0.005,) * 5)
    theory = mean_field(expected, make_activation(expected_of, {}))
    scores = []
    quantities: tuple[Quantity, ...] = ("preactivation", "activation")
    for quantity in quantities:
        ratio = 10 ** (networks[quantity, "second_moment"] - theory[quantity, "second_moment"])
        error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
        scores.append(((ratio.mean(axis=0) - 1) / error)[:-1])  # one output unit is not wide
    return np.concatenate(scores)


# Eight means of 60 networks; finite width shifts them by 1/400 at most, against errors of
# 0.7 % and more. Two-sided 1e-4 in all, Student's t of 59 degrees of freedom: 5.1.
FORWARD_BOUND = 5.1


@pytest.mark.parametrize(
    "name", slow_but(["tanh", "gelu", "silu", "sigmoid", "relu"], "gelu", "relu")
)
def test_wide_networks_with_biases_agree_with_the_recursion(name: str) -> None:
    assert np.abs(z_scores(name, name)).max() < FORWARD_BOUND


def test_twins_with_the_wrong_activation_or_a_variance_ten_percent_off_are_found() -> None:
    assert np.abs(z_scores("gelu", "silu")).max() > FORWARD_BOUND
    assert np.abs(z_scores("tanh", "tanh", 0.0055)).max() > FORWARD_BOUND


def test_layers_at_the_same_variance_keep_slopes_of_their_own() -> None:
    options = {"negative_slope": (1.0, 0.0)}
    of = condition((4, 4, 4, 1), 0.25, "prelu", activation_options=options)
    found = mean_field(of, make_activation("prelu", options))["activation", "second_moment"]
    np.testing.assert_allclose(10**found, [1.0, 1.0, 0.5], rtol=1e-14, atol=0)


# ----- convolutions and blocks


MAPS: dict[str, Maps] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.3 * z), lambda z: np.where(z > 0, 1, 0.3)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}


# ----- a plain network: lists of matrices, loops over taps


def shifted(h: Array, offset: tuple[int, ...], padding: str) -> Array:
    """h(p + offset) of maps (c, *image)."""
    axes = tuple(range(1, h.ndim))
    if padding == "circular":
        return np.roll(h, tuple(-d for d in offset), axes)
    reach = max(map(abs, offset))
    padded = np.pad(h, [(0, 0), *[(reach, reach)] * (h.ndim - 1)])
    starts = (slice(reach + d, reach + d + n) for d, n in zip(offset, h.shape[1:], strict=True))
    return padded[:, *starts]


def offsets(convolution: Convolution) -> Iterator[tuple[int, ...]]:
    reach = convolution.kernel // 2
    yield from grid(range(-reach, reach + 1), repeat=len(convolution.image))


def delta_orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """As many channels in as out; a random orthogonal matrix in the centre of each kernel, else 0.

    Its mean square is 1.
    """
    channels, taps, _ = shape
    q, r = np.linalg.qr(rng.standard_normal((channels, channels)))
    kernels = np.zeros(shape)
    kernels[:, taps // 2] = math.sqrt(taps * channels) * q * np.sign(np.diagonal(r))
    return kernels


class Plain:
    """One network: weights, biases, and passes that keep everything."""

    def __init__(self, of: Condition, rng: np.random.Generator) -> None:
        self.of, self.conv, self.res = of, of.convolution, of.residual
        self.places = matrix_places(of.depth, of.residual)
        shapes = iter(matrix_shapes(of.widths, of.convolution, of.residual))
        self.weights: list[list[Array]] = []
        self.biases: list[list[Array]] = []
        for k, places in enumerate(self.places):
            std, zero = math.sqrt(of.weight_variances[k]), self.res and self.res.zero_last
            centred = of.weight_distributions[k:] and of.weight_distributions[k] != "normal"
            draw = delta_orthogonal if centred else np.random.Generator.standard_normal
            layer = [std * draw(rng, next(shapes)) for _ in places]
            if 0 < k < of.depth and zero:
                layer[-1] *= 0
            self.weights.append(layer)
            mean = of.bias_means[k]
            spread = math.sqrt(of.bias_variances[k]) if of.bias_variances else 0.0
            self.biases.append([mean + spread * rng.standard_normal(len(w)) for w in layer])
        self.a, self.slope = MAPS[str(of.activation)]

    def apply(self, w: Array, bias: Array, h: Array) -> Array:
        if w.ndim == 2:
            return np.asarray(w @ h.ravel() + bias)
        assert self.conv
        f = sum(
            np.tensordot(w[:, t], shifted(h, d, self.conv.padding), 1)
            for t, d in enumerate(offsets(self.conv))
        )
        return np.asarray(f + bias.reshape(-1, *[1] * (h.ndim - 1)))

    def back(self, w: Array, df: Array, h: Array) -> tuple[Array, Array]:
        """∂ℓ/∂h and ∂ℓ/∂Ω of f = Ω h."""
        if w.ndim == 2:
            return (w.T @ df).reshape(h.shape), np.outer(df, h.ravel())
        assert self.conv
        dh, dw = np.zeros_like(h), np.zeros_like(w)
        for t, d in enumerate(offsets(self.conv)):
            opposite = tuple(-one for one in d)
            dh += shifted(np.tensordot(w[:, t].T, df, 1), opposite, self.conv.padding)
            seen = shifted(h, d, self.conv.padding).reshape(len(h), -1)
            dw[:, t] = df.reshape(len(df), -1) @ seen.T
        return dh, dw

    def branch(self, k: int, h: Array) -> list[tuple[str, Array]]:
        """What each step of layer k is given, and f_k at the end."""
        steps: list[tuple[str, Array]] = []
        for n, (w, bias) in enumerate(zip(self.weights[k], self.biases[k], strict=True)):
            norm = self.res and (self.res.norm == ("before", "inside")[n])
            if norm and 0 < k < self.of.depth:
                steps.append(("norm", h))
                h = (h - h.mean()) / h.std()
            if self.res and 0 < k < self.of.depth:
                steps.append(("a", h))
                h = self.a(h)
            steps.append((f"w{n}", h))
            h = self.apply(w, bias, h)
        return [*steps, ("f", h)]

    def read(self, h: Array) -> Array:
        if self.conv and self.conv.readout == "mean":
            return np.asarray(h.mean(axis=tuple(range(1, h.ndim))))
        return h

    def run(self, x: Array) -> dict[str, list[list[Array]]]:
        """quantity -> layer -> its arrays; also the loss."""
        depth, res = self.of.depth, self.res
        h, f, steps = [x], [], []
        for k in range(depth + 1):
            steps.append(self.branch(k, self.read(h[k]) if k == depth else h[k]))
            f.append(steps[k][-1][1])
            if k < depth:
                after = f[k] if res else self.a(f[k])
                h.append(h[k] + res.scale * f[k] if res and k > 0 else after)
        self.loss = float(((f[-1] - self.of.target) ** 2).sum())
        df: list[Array] = [np.empty(0)] * (depth + 1)
        dh: list[Array] = [np.empty(0)] * (depth + 1)
        dw: list[list[Array]] = [[] for _ in h]
        df[depth] = 2 * (f[-1] - self.of.target)
        for k in range(depth, -1, -1):
            if k < depth and res:
                df[k] = dh[k + 1] * (res.scale if k > 0 else 1.0)
            elif k < depth:
                df[k] = dh[k + 1] * self.slope(f[k])
            g = df[k]
            for step, given in reversed(steps[k][:-1]):
                if step == "a":
                    g = g * self.slope(given)
                elif step == "norm":
                    z = (given - given.mean()) / given.std()
                    g = (g - g.mean() - z * (g * z).mean()) / given.std()
                else:
                    g, of_weights = self.back(self.weights[k][int(step[1])], g, given)
                    dw[k].insert(0, of_weights)
            if k == depth and self.conv and self.conv.readout == "mean":
                g = np.broadcast_to(
                    g.reshape(-1, *[1] * (x.ndim - 1)) / self.conv.positions, h[k].shape
                )
            dh[k] = g + dh[k + 1] if res and 0 < k < depth else g
        names = ("preactivation", "activation", "grad_preactivation", "grad_activation")
        found = {q: [[a] for a in layers] for q, layers in zip(names, (f, h, df, dh), strict=True)}
        return {**found, "grad_weight": dw}


def drawn_inputs(of: Condition, rng: np.random.Generator) -> Array:
    shape: tuple[int, ...] = (of.widths[0],)
    if of.convolution:
        shape = (of.convolution.channels[0], *of.convolution.image)
    return of.inputs.mean + of.inputs.std * rng.standard_normal(shape)


def simulate(of: Condition, n_networks: int = 100, seed: int = 1) -> dict[Measure, Array]:
    """(quantity, statistic) -> (n_networks, K+1), not as a logarithm."""
    rng = np.random.default_rng(seed)
    rows: dict[Measure, list[list[float]]] = {}
    for _ in range(n_networks):
        run = Plain(of, rng).run(drawn_inputs(of, rng))
        for quantity in PASS_OF:
            flat = [np.concatenate([a.ravel() for a in arrays]) for arrays in run[quantity]]
            second = [float((a**2).mean()) for a in flat]
            rows.setdefault((quantity, "second_moment"), []).append(second)
            rows.setdefault((quantity, "variance"), []).append([float(a.var()) for a in flat])
    return {measure: np.array(values) for measure, values in rows.items()}


def largest(networks: dict[Measure, Array], theory: dict[Measure, Array]) -> float:
    """Largest deviation of the means over networks in standard errors; 0 where theory is NaN."""
    worst = 0.0
    for measure, values in networks.items():
        expected, mean = 10 ** theory[measure], values.mean(axis=0)
        error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
        rounding = 1e-9 * mean  # what does not vary has no other error
        z = np.abs(mean - expected) / np.maximum(np.hypot(error, rounding), 1e-300)
        worst = max(worst, float(np.nan_to_num(z, posinf=np.inf).max()))
    return worst


def theory_of(of: Condition) -> dict[Measure, Array]:
    return mean_field(of, make_activation(of.activation, of.activation_options))


# ----- conditions: He's variances; a large target makes ∂ℓ/∂f_K all but independent of f_K


def dense(residual: Residual | None = None, name: str = "relu", **changes: object) -> Condition:
    options = {"negative_slope": 0.3} if name == "leaky_relu" else {}
    laws: dict[str, Any] = {"activation_options": options, "residual": residual, **changes}
    return condition((200,) * 5 + (4,), 2 / 200, name, 1, 20.0, **laws)


def images(
    padding: Padding = "circular",
    readout: Readout = "flatten",
    *,
    image: tuple[int, ...] = (6,),
    kernel: int = 3,
    channels: tuple[int, ...] = (100,) * 4,
    **changes: object,
) -> Condition:
    convolution = Convolution(image, kernel, channels, padding, readout)
    widths = *(c * convolution.positions for c in channels), 4
    of = replace(dense(), widths=widths, convolution=convolution)
    of = with_layers(of, weight_variances=tuple(2 / fan_in for fan_in, _ in of.fans))
    return with_layers(of, **changes)  # type: ignore[arg-type]  # fields of the dataclass


BIASES: dict[str, Any] = {
    "bias_variances": (0.1, 0.2, 0.3, 0.15, 0.2),
    "bias_means": (0.3, -0.2, 0.4, 0.1, 0.2),
}
SOME_BIASES: dict[str, Any] = {name: values[:4] for name, values in BIASES.items()}
LEAKY: dict[str, Any] = {"activation": "leaky_relu", "activation_options": {"negative_slope": 0.3}}
SHIFTED = Inputs(distribution="normal", mean=0.7, std=0.5)

CONDITIONS = {
    "circular": images(),
    "circular, averaged": images("circular", "mean"),
    "circular, averaged, tanh with biases": images(
        "circular", "mean", activation="tanh", **SOME_BIASES
    ),
    "circular, averaged, two dimensions": images(
        "circular", "mean", image=(3, 3), inputs=SHIFTED, **LEAKY
    ),
    "zeros": images("zero"),
    "zeros, tanh with biases": images("zero", activation="tanh", **SOME_BIASES),
    "zeros, two dimensions": images("zero", image=(3, 4), **LEAKY),
    "zeros, wide kernel": images("zero", image=(4,), kernel=5),
    "zeros, delta-orthogonal": images(
        "zero", image=(3, 4), weight_distributions=("normal", *("delta_orthogonal",) * 2, "normal")
    ),
    "one layer": dense(Residual(0.7)),
    "one layer, tanh with biases": dense(Residual(0.7), "tanh", **BIASES),
    "one layer, norm": dense(Residual(0.7, norm="before")),
    # at He's variance a layer more would not be seen
    "two layers": dense(Residual(0.7, 2), weight_variances=(2.6 / 200,) * 5),
    "two layers, norm before": dense(Residual(0.7, 2, "before"), **BIASES),
    "two layers, norm inside": dense(Residual(-0.7, 2, "inside"), **BIASES),
    "two layers, norm inside, tanh": dense(Residual(0.7, 2, "inside"), "tanh", **BIASES),
    "two layers, the last of zeros": dense(Residual(1.0, 2, "none", zero_last=True)),
    "circular blocks": images(residual=Residual(0.7, 2, "inside")),
    "circular blocks, averaged": images("circular", "mean", residual=Residual(0.7, 2)),
    "circular blocks, averaged, norm": images(
        "circular", "mean", residual=Residual(0.7, norm="before"), activation="tanh", **SOME_BIASES
    ),
    "zeros and blocks, norm before": images(
        "zero", residual=Residual(0.7, 2, "before"), **SOME_BIASES
    ),
    "zeros and blocks, norm inside": images(
        "zero", residual=Residual(0.7, 2, "inside"), **SOME_BIASES
    ),
}
# 22 conditions of 10 measures and at most 5 layers: two-sided 1e-4 in all is 6.0 of Student's t
# with 99 degrees of freedom. Finite width shifts means by 1/100 at most, less than an error.
BOUND = 6.0


def test_the_plain_gradient_is_that_of_the_plain_loss() -> None:
    rng = np.random.default_rng(0)
    for of in (
        images("zero", channels=(2, 3, 3, 3), image=(2, 3), residual=Residual(0.7, 2, "inside")),
        images("circular", "mean", channels=(2, 3, 3, 3), residual=Residual(0.7, 1, "before")),
    ):
        smooth = replace(of, activation="tanh")
        network, x = Plain(smooth, rng), drawn_inputs(smooth, rng)
        found = network.run(x)
        for values, gradient in [
            (x, found["grad_activation"][0][0]),
            *(
                (w, dw)
                for of_layer, of_weights in zip(network.weights, found["grad_weight"], strict=True)
                for w, dw in zip(of_layer, of_weights, strict=True)
            ),
        ]:
            place, step = tuple(n // 2 for n in values.shape), 1e-5
            losses = []
            for sign in (1, -2, 1):
                values[place] += sign * step
                network.run(x)
                losses.append(network.loss)
            # a central difference: rounding 1e-16/1e-5 of the loss, curvature 1e-10
            difference = (losses[0] - losses[1]) / (2 * step)
            np.testing.assert_allclose(gradient[place], difference, rtol=0, atol=1e-8 * losses[0])


def convolved(of: Condition, **changes: object) -> Condition:
    assert of.convolution
    return replace(of, convolution=of.convolution._replace(**changes))  # type: ignore[arg-type]  # its fields


def blocks(of: Condition, **changes: object) -> Condition:
    assert of.residual
    return replace(of, residual=of.residual._replace(**changes))  # type: ignore[arg-type]  # its fields


TWINS: list[tuple[str, Callable[[Condition], Condition]]] = [
    ("circular", lambda of: convolved(of, kernel=1)),
    ("circular", lambda of: convolved(of, padding="zero")),
    ("zeros", lambda of: convolved(of, padding="circular")),
    ("zeros, two dimensions", lambda of: convolved(of, image=(2, 6))),
    ("zeros, delta-orthogonal", lambda of: with_layers(of, weight_distributions=())),
    ("circular, averaged", lambda of: convolved(of, readout="flatten")),
    ("circular, averaged, two dimensions", lambda of: replace(of, inputs=Inputs())),
    ("one layer", lambda of: blocks(of, scale=0.8)),
    ("one layer, norm", lambda of: blocks(of, norm="none")),
    ("one layer, tanh with biases", lambda of: with_layers(of, bias_means=(0.0,) * 5)),
    ("two layers", lambda of: blocks(of, branch_layers=1)),
    ("two layers, norm inside", lambda of: blocks(of, norm="none")),
    ("two layers, norm before", lambda of: blocks(of, norm="inside")),
    ("two layers, the last of zeros", lambda of: blocks(of, zero_last=False)),
    ("circular blocks, averaged", lambda of: blocks(of, branch_layers=1)),
]


@cache
def simulated(name: str) -> dict[Measure, Array]:
    return simulate(CONDITIONS[name])


@pytest.mark.parametrize("name", slow_but(CONDITIONS, *(name for name, _ in TWINS)))
def test_simulated_networks_agree_with_the_recursion(name: str) -> None:
    theory = theory_of(CONDITIONS[name])
    assert np.isfinite(theory["grad_activation", "variance"]).all()
    assert largest(simulated(name), theory) < BOUND


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_twins_of_another_kind_are_found(name: str, twin: Callable[[Condition], Condition]) -> None:
    assert largest(simulated(name), theory_of(twin(CONDITIONS[name]))) > BOUND


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh"])
def test_one_position_is_a_fully_connected_layer(name: str) -> None:
    options = {"negative_slope": 0.3} if name == "leaky_relu" else {}
    plain = dense(None, name)
    readouts: tuple[Readout, ...] = ("flatten", "mean")
    for readout in readouts:
        one = Convolution((1,), 1, (200,) * 5, "circular", readout)
        of = replace(plain, convolution=one, activation_options=options)
        for measure, log10 in theory_of(of).items():
            np.testing.assert_allclose(log10, theory_of(plain)[measure], rtol=0, atol=1e-12)


# ----- laws


def second(of: Condition, quantity: Quantity) -> Array:
    return 10 ** theory_of(of)[quantity, "second_moment"]


def test_he_blocks_double_both_ways() -> None:
    of = dense(Residual(1.0))
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    np.testing.assert_allclose(forward[1:] / forward[1], [1, 2, 4, 8], rtol=1e-13, atol=0)
    np.testing.assert_allclose(backward[1:] / backward[-1], [8, 4, 2, 1], rtol=1e-13, atol=0)


def deep(residual: Residual, n_blocks: int) -> Condition:
    widths = (100,) * (n_blocks + 2) + (1,)
    of = replace(dense(residual), widths=widths)
    return with_layers(of, weight_variances=(2 / 100,) * (n_blocks + 2))


@pytest.mark.parametrize("n_blocks", [1, 4, 50])
def test_he_blocks_of_scale_one_over_root_l_grow_by_e_at_most(n_blocks: int) -> None:
    of = deep(Residual(1 / math.sqrt(n_blocks)), n_blocks)
    growth = (1 + 1 / n_blocks) ** n_blocks
    assert growth < math.e
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    np.testing.assert_allclose(forward[-1] / forward[1], growth, rtol=1e-12, atol=0)
    np.testing.assert_allclose(backward[1] / backward[-1], growth, rtol=1e-12, atol=0)


def test_normalised_blocks_grow_linearly_and_their_gradients_telescope() -> None:
    of = deep(Residual(0.5, norm="before"), 40)
    q1, blocks_before = 2.0, np.arange(41)
    forward, backward = second(of, "activation"), second(of, "grad_activation")
    # each adds s² fan_in σ² E[relu(z)²] = 0.25 and multiplies by 1 + s² fan_out σ² E[relu'²]/q_k
    np.testing.assert_allclose(forward[1:], q1 + 0.25 * blocks_before, rtol=1e-12, atol=0)
    product = forward[-1] / forward[1:]  # Π (q_k + 1/4)/q_k = q_K/q_k
    np.testing.assert_allclose(backward[1:] / backward[-1], product, rtol=1e-12, atol=0)


def test_blocks_whose_last_weights_are_zero_hand_everything_on() -> None:
    of = dense(Residual(1.0, 2, zero_last=True))
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


def test_lsuv_of_images_is_that_of_layers_of_their_fans() -> None:
    of = images(activation="tanh", n_inputs=8)
    assert of.convolution
    found = lsuv_variances(of, make_activation("tanh", {}))
    fans = [fan_in for fan_in, _ in of.fans]
    plain = replace(of, convolution=None, widths=(*fans, 4))
    assert found == lsuv_variances(plain, make_activation("tanh", {}))
    unknown: list[tuple[Padding, Readout]] = [("zero", "flatten"), ("circular", "mean")]
    for other in (dense(Residual()), *(images(*one) for one in unknown)):
        assert np.isnan(lsuv_variances(other, make_activation("relu", {}))).all()
        theory = theory_of(replace(other, lsuv=Lsuv()))
        assert np.isnan(theory["grad_activation", "second_moment"]).all()


def test_a_target_beyond_the_root_of_the_float_range_is_known() -> None:
    for of in (dense(Residual()), images()):
        last = theory_of(replace(of, target=1e300))["grad_preactivation", "second_moment"][-1]
        np.testing.assert_allclose(last, 600 + math.log10(4.0), rtol=1e-14, atol=0)


def test_no_number_leaves_the_range_of_a_float_where_the_activation_is_homogeneous() -> None:
    for of in (deep(Residual(3.0), 2000), images("zero", channels=(9,) * 2000)):
        of = with_layers(of, weight_variances=tuple(40 * v for v in of.weight_variances))
        log10 = theory_of(of)
        assert all(np.isfinite(values[:-1]).all() for values in log10.values())
        assert log10["activation", "second_moment"][-1] > 1000


def test_identity_blocks_hand_everything_on_whatever_their_activation() -> None:
    # of sines as fast as these the correlation of two positions is not known
    residual = Residual(1.0, 1, zero_last=True)
    relu = images(readout="mean", residual=residual, weight_variances=(1e3,) * 4)
    sines = replace(relu, activation="sin")
    wanted: list[tuple[Quantity, int]] = [("preactivation", 3), ("grad_weight", 0)]
    for quantity, k in wanted:
        found, expected = second(sines, quantity)[k], second(relu, quantity)[k]
        assert math.isclose(found, expected, rel_tol=1e-12), quantity
