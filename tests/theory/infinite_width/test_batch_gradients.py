"""Theory of the batch's gradient against plain quadrature, closed forms and wide networks."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import BATCH_MEASURES, Measure, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.simulation import run_sweep
from heinit_sim.theory import predict_sweep
from heinit_sim.theory.infinite_width.batch_gradients import batch_gradients
from heinit_sim.theory.infinite_width.mean_field import mean_field

Array = np.ndarray
Average = Callable[[float, float], float]
LEVELS: tuple[Quantity, Quantity] = ("grad_weight", "grad_preactivation")
# Standard errors that a mean over networks may be off: at most 30 numbers are looked at, so that a
# false alarm is one in 5000 if means are normal.
ERRORS = 4.5
HE = "{scheme: he_normal}"
TEXT = """
name: a
network: {{depth: {depth}, width: {width}, input_dim: {width}, {network}}}
init: {init}
inputs: {inputs}
loss: {{target: {target}}}
trials: {trials}
record: {{batch_gradient: true}}
{more}
"""


def text(network: str, inputs: str, init: str = HE, **given: object) -> str:
    options = {"depth": 4, "width": 50, "target": 0, "trials": 1, "more": ""} | given
    return TEXT.format(network=network, inputs=inputs, init=init, **options)


def condition(network: str, inputs: str, init: str = HE, target: float = 0) -> Condition:
    return parse_config(text(network, inputs, init, target=target)).conditions[0]


def tanh_averages() -> tuple[Average, Average]:
    """E[a(u) a(v)] and E[a'(u) a'(v)] by the trapezoidal rule in two independent numbers."""
    z = np.linspace(-9, 9, 401)
    weights = np.exp(-(z**2) / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)

    def average(g: Callable[[Array], Array]) -> Average:
        def of(q: float, c: float) -> float:
            u, s = math.sqrt(q) * z[:, np.newaxis], math.sqrt(1 - c * c)
            v = math.sqrt(q) * (c * z[:, np.newaxis] + s * z)
            return float(weights @ (g(u) * g(v)) @ weights)

        return of

    return average(np.tanh), average(lambda u: 1 / np.cosh(u) ** 2)


def relu_averages() -> tuple[Average, Average]:
    """The same of a rectifier (Cho & Saul 2009)."""

    def values(q: float, c: float) -> float:
        return q * (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)

    def slopes(q: float, c: float) -> float:
        return (math.pi - math.acos(c)) / (2 * math.pi)

    return values, slopes


def plain_shares(of: Condition, averages: tuple[Average, Average], c: float) -> Array:
    """What the batch has of the mean squares for one input, of weights and of biases, (2, K+1).

    Any two inputs have the cosine c. Gradients are taken as independent of the activations.
    """
    values, slopes = averages
    (spec,), (width,) = set(of.specs), set(of.widths[:-1])
    h2, cosines, ratios, q, rho = 1.0, [c], [], 0.0, 0.0
    for k in range(of.depth + 1):
        q = width * spec.weight_variance * h2 + spec.bias_variance
        rho = (width * spec.weight_variance * h2 * cosines[k] + spec.bias_variance) / q
        if k < of.depth:
            h2 = values(q, 1.0)
            cosines.append(values(q, rho) / h2)
            ratios.append(slopes(q, rho) / slopes(q, 1.0))
    alike = [(q * rho + of.loss.target**2) / (q + of.loss.target**2)]
    for ratio in reversed(ratios):
        alike.append(alike[-1] * ratio)
    n, backward = of.n_inputs, np.array(alike[::-1])
    return np.array([1 + (n - 1) * backward * cosines, 1 + (n - 1) * backward]) / n


@pytest.mark.parametrize("target", [0, 0.7, -1000])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_shares_are_those_of_a_plain_recursion(activation: str, target: float) -> None:
    init = HE if activation == "relu" else "{variance: 0.04, bias_variance: 0.1}"
    averages = relu_averages() if activation == "relu" else tanh_averages()
    of = condition(f"activation: {activation}", "{count: 7}", init, target=target)
    found, level = batch_gradients(of, independent=True), mean_field(of, independent=True)
    for measure, one, share in zip(
        BATCH_MEASURES, LEVELS, plain_shares(of, averages, 0.0), strict=True
    ):
        expected = level[one, "second_moment"] + np.log10(share)
        # The package's quadrature is good to 1e-10, layer by layer, and so is the oracle's.
        np.testing.assert_allclose(found[measure], expected, rtol=0, atol=1e-8)
    other = plain_shares(of, averages, 0.1)[0]
    assert abs(np.log10(other / plain_shares(of, averages, 0.0)[0])).max() > 1e-3


def test_pairs_have_one_input_like_them_and_others_unlike() -> None:
    alike = condition("activation: relu", "{count: 2, distribution: pair, cosine: 0.5}", target=3)
    unlike = condition("activation: relu", "{count: 2}", target=3)
    both = condition("activation: relu", "{count: 6, distribution: pair, cosine: 0.5}", target=3)
    one, other, six = (10 ** batch_gradients(of, independent=False)[BATCH_MEASURES[0]]
                       for of in (alike, unlike, both))  # fmt: skip
    level = 10 ** mean_field(unlike)["grad_weight", "second_moment"]
    # (1 + ρ)/2 of two, hence (1 + ρ + 4 ρ')/6 of three pairs
    expected = (2 * one + 4 * (2 * other - level)) / 6
    np.testing.assert_allclose(six, expected, 1e-10)


def test_one_input_is_the_batch() -> None:
    for activation in ("relu", "tanh"):
        config = parse_config(text(f"activation: {activation}", "{count: 1}"))
        (of,) = predict_sweep(config).conditions
        for measure, level in zip(BATCH_MEASURES, LEVELS, strict=True):
            for theory in (of.theory, of.mean_field):
                np.testing.assert_allclose(theory[measure], theory[level, "second_moment"], 1e-12)
            assert of.theory_kind(measure[0], 1) == "mean_field"


UNKNOWN = [
    "kind: cnn, image: [4, 4], kernel: 3, channels: 3, input_channels: 2",
    "width: 8, input_dim: 8, block: [norm, {gate: {activation: silu}}, weights, add]",
]


@pytest.mark.parametrize("network", UNKNOWN)
def test_nothing_is_said_of_what_is_not_known(network: str) -> None:
    given = f"name: a\nnetwork: {{depth: 4, activation: relu, {network}}}\ninputs: {{count: 3}}\n"
    (of,) = parse_config(given + "init: {scheme: he_normal}\n").conditions
    found = batch_gradients(of, independent=False)
    assert np.isnan(found["grad_weight_batch", "second_moment"][:-1]).all()


def test_biases_before_a_norm_over_the_batch_have_no_gradient() -> None:
    block = "block: [weights, {norm: {kind: batch}}, activation]"
    given = text(f"activation: relu, {block}", "{count: 8}", depth=2, width=20, trials=3)
    (of,) = run_sweep(parse_config(given)).conditions
    for found in (of.networks["grad_bias_batch", "second_moment"], of.theory[BATCH_MEASURES[1]]):
        assert np.isneginf(found[..., :-1]).all()
        assert np.isfinite(found[..., -1]).all()


# Networks -----------------------------------------------------------------------------------------

BLOCK = "block: [{norm: {kind: rms}}, weights, activation, weights, add], output_dim: 10"
XAVIER = "{scheme: xavier_normal, bias: 0.1, bias_variance: 0.2}"
WIDE: dict[str, str] = {
    "relu, far target": text(
        "activation: relu", "{count: 10}", target=1000,
        depth=6, width=2000, trials=40, more="engine: conditional",
    ),
    "tanh, pairs and biases": text(
        "activation: tanh, output_dim: 200", "{count: 4, distribution: pair, cosine: 0.7}", XAVIER,
        target=0.5, depth=5, width=2000, trials=40, more="engine: conditional",
    ),
    "gelu, as many outputs": text(
        "activation: gelu, output_dim: 1000", "{count: 4}",
        depth=5, width=1000, trials=40, more="engine: conditional",
    ),
    "blocks": text(f"activation: tanh, {BLOCK}", "{count: 5}", depth=3, width=200, trials=30),
    "batch norm": text(
        "activation: relu, output_dim: 10, block: [weights, {norm: {kind: batch}}, activation]",
        "{count: 20}", depth=3, width=300, trials=30,
    ),
}  # fmt: skip


def off(of: ConditionResult, theory: Mapping[Measure, Array]) -> float:
    """The largest distance of the mean over networks from theory, in standard errors."""
    worst = 0.0
    for measure in BATCH_MEASURES:
        known = np.isfinite(theory[measure])
        assert known.any()
        seen = 10 ** (of.networks[measure][:, known] - theory[measure][known])
        errors = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
        gaps = np.abs(seen.mean(axis=0) - 1)
        worst = max(worst, float((gaps / np.maximum(errors, 1e-12)).max()))
    return worst


@pytest.mark.parametrize("name", WIDE)
def test_wide_networks_have_it(name: str) -> None:
    (of,) = run_sweep(parse_config(WIDE[name])).conditions
    assert off(of, of.theory) < ERRORS
    planted = {m: of.theory[m] + math.log10(1.3) for m in BATCH_MEASURES}
    assert off(of, planted) > ERRORS


def test_textbooks_which_leave_out_the_part_along_activations_are_found() -> None:
    (of,) = run_sweep(parse_config(WIDE["gelu, as many outputs"])).conditions
    assert off(of, batch_gradients(of.condition, independent=True)) > ERRORS
