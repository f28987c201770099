"""Layer-sequential unit variance against slow loops, and what it must not disturb."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.theory_agreement import check
from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.quantities import MEASURES, Measure
from heinit_sim.experiment.steps import Activate, dense_layers
from heinit_sim.experiment.sweep_config import Lsuv, SweepConfig
from heinit_sim.network.layers import make_layers
from heinit_sim.network.lsuv import fitted_to_batch
from heinit_sim.sampling import streams
from heinit_sim.sampling.streams import DrawnWeights, Draws, sample_biases, sample_inputs
from heinit_sim.simulation import plan
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import dense_draws
from tests.rows import slow_but

Array = np.ndarray
EPS = np.finfo(float).eps
WIDTHS = (7, 12, 5, 9, 3)
F_VARIANCE: Measure = ("preactivation", "variance")


def parsed(init: str = "{scheme: lsuv}", activation: str = "tanh", **changes: int) -> SweepConfig:
    given = {"trials": 6, "output_dim": 3, "count": 8} | changes
    return parse_config(
        f"name: a\ntrials: {given['trials']}\nnetwork: {{depth: 3, width: [12, 5, 9], "
        f"input_dim: 7, output_dim: {given['output_dim']}, activation: {activation}}}\n"
        f"init: {init}\ninputs: {{count: {given['count']}}}\n"
    )


def slow_forward(weights: list[Array], x: Array, biases: list[Array], name: str) -> list[Array]:
    """f_k of one network, number by number."""
    a = {"tanh": math.tanh, "relu": lambda z: max(z, 0.0), "linear": lambda z: z}[name]
    h, layers = x, []
    for omega, beta in zip(weights, biases, strict=True):
        f = np.empty((omega.shape[0], x.shape[1]))
        for i in range(f.shape[0]):
            for n in range(f.shape[1]):
                f[i, n] = sum(omega[i, j] * h[j, n] for j in range(len(h))) + beta[i]
        layers.append(f)
        h = np.vectorize(a)(f)
    return layers


def slow_lsuv(
    weights: list[Array], x: Array, biases: list[Array], name: str, lsuv: Lsuv
) -> tuple[list[Array], list[Array]]:
    """Algorithm 1 of Mishkin & Matas: the whole network again after each division.

    Units are centred before each look at their variance, and after it.
    """
    weights, biases = ([numbers.copy() for numbers in given] for given in (weights, biases))
    tolerance, most, centre = lsuv
    for k in range(len(weights)):
        for attempt in range(most + 1):
            f = slow_forward(weights, x, biases, name)[k]
            for i in range(len(f) if centre else 0):
                biases[k][i] -= sum(f[i]) / len(f[i])
            if attempt == most:
                break
            f = slow_forward(weights, x, biases, name)[k]
            mean = sum(f.ravel()) / f.size
            variance = sum((z - mean) ** 2 for z in f.ravel()) / f.size
            if abs(variance - 1) < tolerance or variance == 0:
                break
            weights[k] /= math.sqrt(variance)
    return weights, biases


def orthonormal(seed: int = 0, trials: int = 4) -> tuple[DrawnWeights, list[float]]:
    drawn = DrawnWeights(seed, dense_draws(WIDTHS, 8, law="orthogonal"), range(trials))
    return drawn, [1 / math.sqrt(max(fans)) for fans in itertools.pairwise(WIDTHS)]


def factors_of(
    weights: DrawnWeights,
    stds: list[float],
    x: np.ndarray,
    name: str,
    biases: list[np.ndarray] | None = None,
    lsuv: Lsuv | None = None,
) -> list[np.ndarray]:
    return fitted(weights, stds, x, name, biases, lsuv)[0]


def fitted(
    weights: DrawnWeights,
    stds: list[float],
    x: np.ndarray,
    name: str,
    biases: list[np.ndarray] | None = None,
    lsuv: Lsuv | None = None,
) -> tuple[list[np.ndarray], Sequence[np.ndarray] | None]:
    widths = [x.shape[1], *(shape[1] for shape in weights.shapes)]
    rows = dense_layers(widths, [std**2 for std in stds], Activate(name))
    return fitted_to_batch(make_layers(rows, weights), x, biases, lsuv or Lsuv())


@pytest.mark.parametrize("name", slow_but(["tanh", "relu", "linear"], "tanh"))
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(
    "lsuv",
    [Lsuv(), Lsuv(1e-9), Lsuv(1e-9, 1), Lsuv(0.5, 2), Lsuv(1e-9, 3, True), Lsuv(0.5, 1, True)],
)
def test_factors_are_those_of_slow_loops(name: str, biased: bool, lsuv: Lsuv) -> None:
    weights, stds = orthonormal()
    plain = dense_draws(WIDTHS, 8)
    x = sample_inputs(0, plain, range(4))
    biases = [0.7 * b + 0.2 for b in sample_biases(0, plain, range(4))] if biased else None
    factors, moved = fitted(weights, stds, x, name, biases, lsuv)
    for t in range(4):
        omegas = [std * weights[k][t] for k, std in enumerate(stds)]
        betas = [np.zeros(width) for width in WIDTHS[1:]]
        if biases is not None:
            betas = [b[t, :, 0] for b in biases]
        expected, shifts = slow_lsuv(omegas, x[t], betas, name, lsuv)
        for k, factor in enumerate(factors):
            found = factor[t] * omegas[k]
            np.testing.assert_allclose(found, expected[k], rtol=1e-10, atol=0)
            found = np.zeros(len(betas[k])) if moved is None else moved[k][t, :, 0]
            # Means of numbers of about 1, over 8 inputs.
            np.testing.assert_allclose(found, shifts[k], rtol=0, atol=1e-12)


CENTRED = "{scheme: lsuv, tolerance: 1e-9, centre: true}"


@pytest.mark.parametrize("network", ["dense", "cnn, flatten", "cnn, mean"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_centred_units_vary_between_inputs_alone(network: str, activation: str) -> None:
    """Var f_k = 1; of a fully connected layer all of it is between inputs. Theory is empty."""
    config = parsed(CENTRED, activation)
    if network != "dense":
        config = parse_config(
            "name: a\ntrials: 6\nnetwork: {kind: cnn, depth: 3, image: [4, 5], kernel: 3, "
            f"channels: 6, output_dim: 3, readout: {network[5:]}, activation: {activation}}}\n"
            f"init: {CENTRED}\ninputs: {{count: 8}}\n"
        )
    assert unit_everywhere(config, 1e-9)
    result = run_sweep(config)
    (found,) = result.conditions
    second = 10 ** found.networks["preactivation", "second_moment"]
    np.testing.assert_allclose(second, 1.0, rtol=2e-9, atol=0)
    between = 10 ** found.networks["preactivation", "variance_between_inputs"]
    dense = slice(None) if network == "dense" else slice(-1, None)
    np.testing.assert_allclose(between[:, dense], 1.0, rtol=2e-9, atol=0)
    beside = run_sweep(uncentred(config)).conditions[0].networks
    plain = 10 ** beside["preactivation", "variance_between_inputs"]
    assert (np.abs(plain[:, dense] - 1) > 1e-6).all()
    assert (10 ** beside["preactivation", "second_moment"] > 1 + 1e-6).all()
    assert all(finding.held for finding in check(result))
    (prediction,) = predict_sweep(config).conditions
    known = [m for m, log10 in prediction.theory.items() if np.isfinite(log10[..., 1:]).any()]
    assert known == []


def uncentred(config: SweepConfig) -> SweepConfig:
    (condition,) = config.conditions
    return replace(config, conditions=(replace(condition, lsuv=Lsuv(1e-9)),))


def test_it_starts_from_orthonormal_weights() -> None:
    weights, stds = orthonormal()
    for k, (std, fans) in enumerate(zip(stds, itertools.pairwise(WIDTHS), strict=True)):
        for omega in std * weights[k]:
            gram = omega @ omega.T if fans[1] <= fans[0] else omega.T @ omega
            np.testing.assert_allclose(gram, np.eye(min(fans)), rtol=0, atol=1e-12)
    (condition,) = parsed().conditions
    np.testing.assert_allclose(np.sqrt(condition.weight_variances), stds, rtol=4 * EPS, atol=0)


def unit_everywhere(config: SweepConfig, tolerance: float) -> bool:
    variances = 10 ** run_sweep(config).conditions[0].networks[F_VARIANCE]
    return bool((np.abs(variances - 1) < tolerance * (1 + 1e-9)).all())


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "gelu", "softplus"])
def test_every_layer_of_every_network_has_unit_variance(activation: str) -> None:
    tight = "{scheme: lsuv, tolerance: 0.001}"
    assert unit_everywhere(parsed(activation=activation), 0.1)
    assert unit_everywhere(parsed(tight, activation), 0.001)
    assert not unit_everywhere(parsed("{scheme: orthogonal}", activation), 0.1)  # what it mends
    loose = parsed("{scheme: lsuv, tolerance: 0.9}", activation)
    assert not unit_everywhere(loose, 0.001)  # it stops within tolerance


def test_layers_with_slopes_of_their_own_are_followed_by_these() -> None:
    prelu = "{name: prelu, negative_slope: [0.9, -3, 0]}"
    assert unit_everywhere(parsed("{scheme: lsuv, tolerance: 1e-9}", prelu), 1e-9)


def test_a_network_past_float_range_keeps_its_weights_and_leaves_others_alone() -> None:
    weights, stds = orthonormal()
    x = sample_inputs(0, dense_draws(WIDTHS, 8), range(4))
    expected = factors_of(weights, stds, x, "tanh")
    x[2] *= 1e200  # whose square is infinite
    found = factors_of(weights, stds, x, "tanh")
    others = [0, 1, 3]
    assert found[0][2] == 1.0
    assert all(np.array_equal(f[others], e[others]) for f, e in zip(found, expected, strict=True))


def test_biases_take_more_than_one_attempt() -> None:
    init = "{scheme: lsuv, bias_variance: 0.3, bias: 2, tolerance: 0.001, attempts: "
    assert not unit_everywhere(parsed(init + "1}"), 0.001)
    assert unit_everywhere(parsed(init + "100}"), 0.001)


def test_a_layer_without_variance_keeps_its_weights() -> None:
    # One input and one output: a single number has no variance.
    config = parsed(activation="relu", output_dim=1, count=1)
    weights, stds = orthonormal()
    narrow = DrawnWeights(0, config_draws(config), range(6))
    x = sample_inputs(0, config_draws(config), range(6))
    stds[-1] = 1 / 3
    factors = factors_of(narrow, stds, x, "relu")
    assert (factors[-1] == 1).all()
    dead = factors_of(weights, orthonormal()[1], 0 * x[:4], "relu")
    assert all((factor == 1).all() for factor in dead)


def config_draws(config: SweepConfig) -> Draws:
    (condition,) = config.conditions
    return dense_draws(condition.widths, condition.n_inputs, law="orthogonal")


def test_blocks_and_weights_drawn_again_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parsed()
    expected = run_sweep(config).conditions[0].networks
    monkeypatch.setattr(plan, "_BLOCK_BYTES", 1)
    found = run_sweep(config).conditions[0].networks
    assert all(np.array_equal(found[m], expected[m]) for m in MEASURES)
    monkeypatch.setattr(streams, "_KEPT_BYTES", 0)
    found = run_sweep(config).conditions[0].networks
    assert all(np.array_equal(found[m], expected[m]) for m in MEASURES)


def test_conditions_beside_it_change_nothing() -> None:
    both = parse_config(
        "name: a\ntrials: 6\nnetwork: {depth: 3, width: [12, 5, 9], input_dim: 7, output_dim: 3, "
        "activation: relu}\nsweep: {init: [{scheme: orthogonal}, {scheme: lsuv}]}\n"
        "inputs: {count: 8}\n"
    )
    first, second = run_sweep(both).conditions
    for of, init in ((first, "{scheme: orthogonal}"), (second, "{scheme: lsuv}")):
        alone = run_sweep(parsed(init, "relu")).conditions[0].networks
        assert all(np.array_equal(of.networks[m], alone[m]) for m in MEASURES)


WIDE = "name: a\ntrials: 30\nnetwork: {depth: 4, width: 300, input_dim: 300, output_dim: OUT, "
INPUTS = "inputs: {count: 100}\n"


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("output_dim", [1, 4])
def test_theory_is_what_wide_networks_show(activation: str, output_dim: int) -> None:
    text = WIDE.replace("OUT", str(output_dim)) + f"activation: {activation}}}\n"
    config = parse_config(text + "init: {scheme: lsuv, tolerance: 1e-6}\n" + INPUTS)
    (one,) = run_sweep(config).conditions
    for quantity in ("preactivation", "activation"):
        measure: Measure = (quantity, "second_moment")
        networks = 10 ** one.networks[measure][:, 1:-1]
        error = networks.std(axis=0, ddof=1) / math.sqrt(len(networks))
        theory = 10 ** one.mean_field[measure][1:-1]
        # Width leaves corrections of a few parts in 1/D to the recursion.
        assert (np.abs(networks.mean(axis=0) - theory) < 5 * error + 5 / 300).all()
        assert not (np.abs(networks.mean(axis=0) - 1.1 * theory) < 5 * error + 5 / 300).all()
    # The second moment of the output, whose variance is 1: what its units have in common.
    f = 10 ** one.networks["preactivation", "second_moment"][:, -1]
    error = f.std(ddof=1) / math.sqrt(len(f))
    expected = 10 ** one.mean_field["preactivation", "second_moment"][-1]
    bias = 0.04 * expected  # E[1/Var] is not 1/E[Var]: 2/(n − 1) of 100 inputs, twice
    assert abs(f.mean() - expected) < 5 * error + bias


def test_theory_knows_the_slope_of_each_layer() -> None:
    # A linear layer keeps independent inputs apart; ReLU gives them E[h h'] = 1/2π of E[h²] = 1/2.
    prelu = "{name: prelu, negative_slope: [1, 1, 0]}"
    (condition,) = parsed(activation=prelu).conditions
    common = (1 + 7 / math.pi) / 8 / 3
    expected = (1 / 7, 1 / 12, 1 / 5, 1 / (9 / 2 * (1 - common)))
    found = lsuv_variances(condition)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=0)


def test_theory_has_none_where_biases_alone_exceed_unit_variance() -> None:
    (condition,) = parsed("{scheme: lsuv, bias_variance: 1.5}").conditions
    assert all(map(math.isnan, lsuv_variances(condition)))
    (condition,) = parsed("{scheme: lsuv, bias_variance: 0.2}").conditions
    first = lsuv_variances(condition)[0]
    assert math.isclose(first, 0.8 / 7, rel_tol=1e-15)


REFUSED = {
    "{scheme: lsuv, gain: 2}": (
        "init.gain: not for scheme: lsuv (2.0), must be left out; lsuv measures what to scale by"
    ),
    "{scheme: he_normal, tolerance: 0.2}": (
        "init.tolerance: not for scheme: he_normal (0.2), must be left out; it is of lsuv"
    ),
    "[{scheme: lsuv}, {variance: 1}, {scheme: lsuv}, {scheme: lsuv}]": (
        "init[1]: of one layer only, must be scheme: lsuv in all layers"
    ),
    "[{scheme: lsuv}, {scheme: lsuv, attempts: 3}, {scheme: lsuv}, {scheme: lsuv}]": (
        "init[1]: another tolerance, attempts or centre, must be those of layer 0"
    ),
    "{scheme: lsuv, attempts: 0}": (
        "init.attempts: too small (0), must be an integer from 1 to 1000"
    ),
    "{scheme: he_normal, centre: true}": (
        "init.centre: not for scheme: he_normal (True), must be left out; it is of lsuv"
    ),
    "{scheme: lsuv, centre: true, bias: 1}": (
        "init.bias: given beside init.centre (1.0), must be left out; centring sets all biases"
    ),
    "{scheme: lsuv, centre: true, bias_scheme: torch}": (
        "init.bias_scheme: given beside init.centre (torch), must be left out; "
        "centring sets all biases"
    ),
    "{scheme: lsuv, tolerance: 0}": "init.tolerance: too small (0), must be a number above 0",
}


@pytest.mark.parametrize("init", REFUSED)
def test_options_that_do_not_go_with_it_are_refused(init: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(init)
    (problem,) = caught.value.problems
    assert problem.partition("error: ")[2] == REFUSED[init]


def test_one_input_cannot_be_centred() -> None:
    with pytest.raises(ConfigError, match="one input has no spread"):
        parsed(CENTRED, count=1)
    assert parsed("{scheme: lsuv, centre: false}", count=1).conditions[0].lsuv == Lsuv()


@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("readout", ["flatten", "mean"])
@pytest.mark.parametrize("biases", ["", ", bias: 0.3, bias_variance: 0.2, attempts: 100"])
def test_every_layer_of_an_image_has_unit_variance(padding: str, readout: str, biases: str) -> None:
    text = f"""
name: cnn
network: {{kind: cnn, depth: 3, image: [4, 5], kernel: 3, channels: 6, input_channels: 2,
  padding: {padding}, readout: {readout}, output_dim: 3, activation: tanh}}
init: {{scheme: lsuv, tolerance: 0.01{biases}}}
inputs: {{count: 10}}
trials: 5
"""
    assert unit_everywhere(parse_config(text), 0.01)
