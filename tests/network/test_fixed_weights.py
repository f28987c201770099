"""Weights that are fixed, sparse or of a mean: against loops, and what is known of them."""

import itertools
import math

import numpy as np
import pytest

from heinit_sim.checks.theory_agreement import check
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import PASS_OF
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports.run import csv_files
from heinit_sim.sampling.streams import DrawnWeights, sample_inputs
from heinit_sim.sampling.weights import weight_law
from heinit_sim.simulation.plan import draws_of
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.infinite_width.finite_layers import relative_biases
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import with_layers
from tests.configs import unplaced_problems

Array = np.ndarray
DENSE = "name: a\nnetwork: {depth: 3, width: [9, 5, 8], input_dim: 7, activation: ACTIVATION}\n"
IMAGES = "name: a\nnetwork: {kind: cnn, depth: 2, image: [4], kernel: 3, channels: 5}\n"
BATCH = "inputs: {count: 3}\ntrials: 4\nrecord: {cosine: true, histograms: decades}\n"
FIXED = {
    "zeros": "{scheme: zeros}",
    "constant": "{scheme: constant, mean: -1/fan_in}",
    "identity": "{scheme: identity, gain: 0.8, mean: 0.1}",
    "sparse": "{scheme: sparse, sparsity: 0.3, gain: 0.5, last: {scheme: lecun_normal}}",
    "shifted": "{scheme: he_normal, mean: 0.2/fan_in}",
    "mixed": "{scheme: zeros, bias_variance: 0.5, first: {scheme: identity}}",
    "no output": "{scheme: he_normal, last: {scheme: zeros}}",
}


def config(
    init: str, text: str = DENSE, activation: str = "relu", **network: object
) -> SweepConfig:
    sets = {f"network.{key}": value for key, value in network.items()}
    if text is IMAGES:
        sets["network.activation"] = activation
    text = text.replace("ACTIVATION", activation)
    return parse_config(f"{text}init: {init}\n{BATCH}", "c", sets)


def weights_of(condition: Condition, trial: int) -> list[Array]:
    """Ω_k by what each scheme is documented to be; random parts as they are drawn."""
    drawn = DrawnWeights(0, draws_of(condition), range(trial, trial + 1))
    omegas = []
    for k, (spec, (_, *shape)) in enumerate(zip(condition.specs, drawn.shapes, strict=True)):
        omega = np.eye(shape[0], shape[1])
        if spec.weight_distribution == "identity":
            omega *= math.sqrt(spec.weight_variance * max(shape))
        else:
            omega = math.sqrt(spec.weight_variance) * drawn[k][0]
        omegas.append(omega + spec.weight_mean)
    return omegas


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", ["zeros", "constant", "identity", "sparse", "shifted"])
def test_both_passes_are_those_of_plain_matrices(name: str, activation: str) -> None:
    (found,) = run_sweep(config(FIXED[name], activation=activation)).conditions
    c = found.condition
    for trial in range(4):
        h, fs = sample_inputs(0, draws_of(c), range(trial, trial + 1))[0], []
        omegas = weights_of(c, trial)
        for omega in omegas:
            fs.append(omega @ h)
            h = np.maximum(fs[-1], 0) if activation == "relu" else np.tanh(fs[-1])
        gradient = 2 * fs[-1]
        for k in reversed(range(4)):
            for quantity, array in (("preactivation", fs[k]), ("grad_preactivation", gradient)):
                seen = found.networks[quantity, "second_moment"][trial, k]  # type: ignore[index]  # a quantity
                expected = (array**2).mean()
                if expected == 0:
                    assert seen == -np.inf
                else:
                    assert math.isclose(10**seen, expected, rel_tol=1e-10)
            if k:
                f = fs[k - 1]
                slope = 1.0 * (f > 0) if activation == "relu" else 1 - np.tanh(f) ** 2
                gradient = slope * (omegas[k].T @ gradient)


def test_a_column_of_sparse_weights_has_its_share_of_zeros() -> None:
    """`torch.nn.init.sparse_`: ⌈sparsity · rows⌉ zeros in each column, the others N(0, std²)."""
    rng = np.random.Generator(np.random.SFC64(1))
    out = np.empty((30, 4000))
    weight_law("sparse", 0.41)(out, rng)
    assert ((out == 0).sum(axis=0) == 13).all()
    by_row = (out == 0).mean(axis=1)  # in rows that are chosen at random
    assert (np.abs(by_row - 13 / 30) < 4.5 * math.sqrt(13 * 17 / 900 / 4000)).all()
    assert abs(by_row[0] - 0.41) > math.sqrt(13 * 17 / 900 / 4000)  # the share is rounded up
    kept = out[out != 0]
    variance = 30 / 17
    assert abs(kept.var() / variance - 1) < 4 * math.sqrt(2 / kept.size)
    (condition,) = config("{scheme: sparse, sparsity: 0.41, gain: 0.5}").conditions
    shares = [1 - math.ceil(0.41 * rows) / rows for rows in (9, 5, 8, 1)]
    np.testing.assert_allclose(condition.weight_variances, 0.25 * np.array(shares), rtol=1e-15)
    usual = config("{scheme: sparse, sparsity: 0}").conditions[0]
    np.testing.assert_allclose(usual.weight_variances, 1e-4, rtol=1e-15)  # std 0.01 there


def test_identity_is_eye_and_dirac() -> None:
    for shape in ((6, 4), (4, 6)):
        out = np.empty(shape)
        weight_law("identity")(out, np.random.Generator(np.random.SFC64(1)))
        np.testing.assert_allclose(
            out, math.sqrt(6) * np.eye(shape[0], shape[1]), rtol=1e-15, atol=0
        )
    (found,) = run_sweep(config("{scheme: identity}", IMAGES, padding="zero")).conditions
    x = sample_inputs(0, draws_of(found.condition), range(4))
    log10 = found.networks["preactivation", "second_moment"][:, 0]
    one_of_five = (x**2).mean(axis=(1, 2)) / 5  # channels is the image
    np.testing.assert_allclose(10**log10, one_of_five, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("name", "text", "activation"),
    [*itertools.product(FIXED, [DENSE, IMAGES], ["relu", "tanh"])],
)
def test_everything_goes_through_with_them(name: str, text: str, activation: str) -> None:
    """No warning, which is an error here; nothing but numbers and −∞; theory only where it is."""
    blocks: dict[str, object] = {"block": ["activation", "weights", "add"]}
    for more in ({}, blocks | ({"width": 6} if text is DENSE else {})):
        result = run_sweep(config(FIXED[name], text, activation, **more))
        (found,) = result.conditions
        assert not any(np.isnan(found.networks[q, "second_moment"]).any() for q in PASS_OF)
        assert all(finding.held for finding in check(result))
        assert csv_files(result).keys() == {"layers.csv", "summary.csv", "cosines.csv"}
        (prediction,) = predict_sweep(result.config).conditions
        known = any(np.isfinite(log10).any() for log10 in prediction.theory.values())
        # Zeros are a branch without effect: blocks, unlike plain layers, have a theory of it.
        assert known == (name in {"sparse", *(("zeros", "no output") if more else ())})
        for measure, log10 in prediction.theory.items():
            none = (found.networks[measure] == -np.inf).all(axis=0)
            assert none[log10 == -np.inf].all()
            assert not np.isfinite(log10[none]).any()


def test_zeros_are_zeros() -> None:
    (found,) = run_sweep(config(FIXED["zeros"])).conditions
    assert (found.networks["preactivation", "second_moment"] == -np.inf).all()
    assert (found.networks["activation", "second_moment"][:, 1:] == -np.inf).all()
    assert (found.networks["grad_weight", "second_moment"] == -np.inf).all()
    (found,) = run_sweep(config(FIXED["no output"])).conditions
    assert np.isfinite(found.networks["activation", "second_moment"]).all()
    assert (found.networks["grad_activation", "second_moment"] == -np.inf).all()


MEANS = {
    "{variance: 1/9, mean: 0.01}": (1 / 9, 0.01),
    "{scheme: constant, mean: 2}": (0.0, 2.0),
    "{scheme: orthogonal, mean: 1/2}": (1 / 9, 0.5),
}


@pytest.mark.parametrize("init", MEANS)
def test_a_mean_is_beside_the_variance(init: str) -> None:
    spec = config(init).conditions[0].specs[0]
    assert math.isclose(spec.weight_variance, MEANS[init][0], abs_tol=1e-300)
    assert spec.weight_mean == MEANS[init][1]


WRONG = {
    "{scheme: constant}": "init: no mean is given, must have it for scheme: constant",
    "{scheme: sparse}": "init: no sparsity is given, must have it for scheme: sparse",
    "{scheme: zeros, mean: 1}": (
        "init.mean: not for scheme: zeros (1.0), must be left out; give scheme: constant"
    ),
    "{scheme: identity, mode: fan_in}": (
        "init.mode: not for scheme: identity (fan_in), must be left out"
    ),
    "{scheme: zeros, distribution: uniform}": (
        "init.distribution: not for scheme: zeros (uniform), must be left out"
    ),
    "{scheme: he_normal, sparsity: 0.5}": (
        "init.sparsity: of scheme: sparse alone (0.5), must be left out"
    ),
    "{scheme: lsuv, mean: 0.5}": (
        "init.mean: not for scheme: lsuv (0.5), must be left out; lsuv measures what to scale by"
    ),
    "{scheme: sparse, sparsity: 2}": ("init.sparsity: too large (2), must be a number from 0 to 1"),
}


@pytest.mark.parametrize("init", WRONG)
def test_what_does_not_go_together_is_refused(init: str) -> None:
    text = DENSE.replace("ACTIVATION", "relu")
    assert unplaced_problems(f"{text}init: {init}\n") == [WRONG[init]]


SPARSE = """
name: sparse
network: {depth: 5, width: 200, input_dim: 200, activation: tanh}
init: {scheme: sparse, sparsity: 0.8, gain: 2/sqrt(40), last: {variance: 1/200}}
trials: 1000
"""


@pytest.mark.slow
def test_units_that_see_little_are_as_in_narrow_layers() -> None:
    """The bias of the recursion to first order in 1/width takes most of it away; else not."""
    (found,) = run_sweep(parse_config(SPARSE)).conditions
    wide = found.theory["preactivation", "second_moment"]
    measured = 10 ** found.networks["preactivation", "second_moment"]
    off = (measured.mean(axis=0) / 10**wide - 1)[1:5]
    errors = (measured.std(axis=0) / math.sqrt(1000) / 10**wide)[1:5]
    assert (np.abs(off) > 10 * errors).all()
    ln_q = math.log(10) * wide[:-1]
    biases = relative_biases(found.condition, ln_q)[1:5]
    assert (np.abs(off - biases) < np.abs(off) / 3).all()
    dense = with_layers(found.condition, weight_distributions=("normal",) * 6)
    biases = relative_biases(dense, ln_q)[1:5]
    assert (np.abs(off - biases) > np.abs(off) / 3).all()
