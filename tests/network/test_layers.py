"""Layers of every kind against a slow network of plain matrices, differentiated by complex step."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.steps import (
    Activate,
    Dropout,
    Gate,
    Norm,
    Row,
    Step,
    Weights,
    WeightSpec,
    dense_layers,
)
from heinit_sim.experiment.sweep_config import Loss
from heinit_sim.network.layers import Layer, Trace, make_layers
from heinit_sim.network.losses import least_squares
from heinit_sim.network.passes import iter_backward, iter_forward, layers_by_name
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation.directions import biases_of
from heinit_sim.simulation.measure import measure
from heinit_sim.simulation.plan import NetworkPass
from tests.conditions import Blocks, Images
from tests.conditions import rows as rows_of
from tests.network.slow_network import ANALYTIC, SlowNetwork, draws_of
from tests.rows import slow_but

Array = np.ndarray
SQUARE = Images((3, 2), 3, (2, 3, 3, 3))
LINE = Images((5,), 3, (2, 3, 3, 3), "zero")
BLOCKS = {
    "one layer": Blocks(0.7),
    "two layers": Blocks(1.0, 2),
    "pre-norm": Blocks(0.5, 1, "before"),
    "two layers, pre-norm": Blocks(1.0, 2, "before"),
    "norm inside": Blocks(1.0, 2, "inside"),
    "zero last": Blocks(1.0, 2, "none", zero_last=True),
}
NETWORKS: dict[str, tuple[Images | None, Blocks | None]] = {
    "dense": (None, None),
    **{name: (None, blocks) for name, blocks in BLOCKS.items()},
    "convolution": (SQUARE, None),
    "zero padding": (SQUARE._replace(padding="zero"), None),
    "one dimension": (LINE, None),
    "mean readout": (SQUARE._replace(readout="mean"), None),
    "mean readout, zero padding": (LINE._replace(readout="mean"), None),
    "residual convolution": (LINE, BLOCKS["two layers, pre-norm"]),
    "residual convolution, mean readout": (SQUARE._replace(readout="mean"), BLOCKS["one layer"]),
}
WIDTHS = (4, 8, 8, 8, 2)
STDS = (0.6, 0.5, 0.9, 0.7)
SPECS = tuple(WeightSpec(std**2) for std in STDS)


def rows_named(name: str, activation: str) -> tuple[Row, ...]:
    images, blocks = NETWORKS[name]
    widths = WIDTHS if images is None else images.widths(WIDTHS[-1])
    options = {"negative_slope": 0.2} if activation == "leaky_relu" else {}
    return rows_of(widths, SPECS, activation, options, images, blocks)


@dataclass
class Case:
    """A small network of that kind, drawn as the package draws it."""

    network_pass: NetworkPass
    weights: list[Array]
    x: Array
    betas: list[Array] | None

    def slow(self, trial: int) -> SlowNetwork:
        betas = None if self.betas is None else [b[trial, :, 0] for b in self.betas]
        return SlowNetwork(self.network_pass.layers, [w[trial] for w in self.weights], betas)

    def layers(self) -> list[Layer]:
        return make_layers(self.network_pass.layers, self.weights, self.betas)


def case(name: str, activation: str, *, biased: bool = False) -> Case:
    rows = rows_named(name, activation)
    draws, trials = draws_of(rows), range(2)
    weights = sample_weights(3, draws, trials, [])
    assert isinstance(weights, list)
    betas = [0.4 * b for b in sample_biases(3, draws, trials)] if biased else None
    return Case(
        NetworkPass(draws, rows, Loss(target=0.3)), weights, sample_inputs(3, draws, trials), betas
    )


KINDS = [
    *((name, a, False) for name in NETWORKS for a in ("relu", "tanh")),
    *((name, "leaky_relu", True) for name in NETWORKS),
    *(("dense", a, True) for a in ANALYTIC if a != "leaky_relu"),
    ("dense", "linear", False),
]
SYMBOLS: tuple[tuple[str, Quantity, Quantity], ...] = (
    ("h", "activation", "grad_activation"),
    ("f", "preactivation", "grad_preactivation"),
)


@pytest.mark.parametrize(("name", "activation", "biased"), KINDS)
def test_layers_of_both_passes_are_slow_ones(name: str, activation: str, biased: bool) -> None:
    given = case(name, activation, biased=biased)
    layers, traces = given.layers(), list[Trace]()
    named = layers_by_name(iter_forward(layers, given.x, traces))
    gradient = least_squares(named["preactivation", len(STDS) - 1], 0.3).gradient
    named |= layers_by_name(iter_backward(layers, gradient, traces))
    for trial, k in itertools.product(range(2), range(len(STDS))):
        slow, x = given.slow(trial), given.x[trial]
        expected, _ = slow.run(x)
        for symbol, quantity, by_it in SYMBOLS:
            layer = expected[symbol, k][0].real
            derivative = slow.derivative((symbol, k), (len(layer), x.shape[1]), x)
            for name_of_layer, wanted in ((quantity, layer), (by_it, derivative)):
                found = plain(named[name_of_layer, k])[trial]
                # Sums of a few dozen terms of about 1, a handful of layers deep.
                assert np.abs(found - wanted).max() <= 1e-13 * max(np.abs(wanted).max(), 1.0)


@pytest.mark.parametrize(("name", "activation", "biased"), KINDS)
def test_moments_of_weight_gradients_are_of_all(name: str, activation: str, biased: bool) -> None:
    given = case(name, activation, biased=biased)
    measured = measure([given.network_pass], given.weights, given.x, given.betas)[0].networks
    for trial, k in itertools.product(range(2), range(len(STDS))):
        gradients, _ = given.slow(trial).weight_gradients(k, given.x[trial])
        wanted = {
            "second_moment": np.mean(gradients**2),
            "variance": np.var(gradients),
            "input_0_second_moment": np.mean(gradients[0] ** 2),
        }
        for statistic, moment in wanted.items():
            found = measured["grad_weight", statistic][trial, k]  # type: ignore[index]  # names above
            assert abs(found - math.log10(moment)) < 1e-11


def is_homogeneous(name: str) -> bool:
    blocks = NETWORKS[name][1]
    return blocks is None or blocks.norm == "none"


@pytest.mark.parametrize("name", [name for name in NETWORKS if is_homogeneous(name)])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear"])
def test_eulers_identity_holds_at_every_layer(name: str, activation: str) -> None:
    given = case(name, activation)
    layers, traces = given.layers(), list[Trace]()
    named = layers_by_name(iter_forward(layers, given.x, traces))
    output = named["preactivation", len(STDS) - 1]
    named |= layers_by_name(iter_backward(layers, least_squares(output, 0.0).gradient, traces))
    twice_loss = 2 * (plain(output) ** 2).sum(axis=-2)
    for k in range(len(STDS)):
        terms = plain(named["activation", k]) * plain(named["grad_activation", k])
        assert (abs(terms.sum(axis=-2) - twice_loss) <= 1e-12 * abs(terms).sum(axis=-2)).all()


@pytest.mark.parametrize("branch_layers", slow_but([1, 2], 2))
def test_blocks_past_any_float_range_obey_eulers_identity(branch_layers: int) -> None:
    depth, blocks = 1200, Blocks(9.0, branch_layers)
    widths = (12,) * (depth + 1) + (1,)
    rows = rows_of(widths, (WeightSpec(2 / 12),) * (depth + 1), blocks=blocks)
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal((1, *shape)) for shape in draws_of(rows).shapes]
    layers, traces = make_layers(rows, weights), list[Trace]()
    named = layers_by_name(iter_forward(layers, rng.standard_normal((1, 12, 3)), traces))
    output = named["preactivation", depth]
    assert int(output.exponent[0]) > 1024
    named |= layers_by_name(iter_backward(layers, least_squares(output, 0.0).gradient, traces))
    twice_loss = 2 * (output.mantissa**2).sum(axis=-2)
    for k in range(depth + 1):
        h, dl_dh = named["activation", k], named["grad_activation", k]
        shift = h.exponent + dl_dh.exponent - 2 * output.exponent
        terms = np.ldexp(h.mantissa * dl_dh.mantissa, shift[:, np.newaxis, np.newaxis])
        assert (abs(terms.sum(axis=-2) - twice_loss) <= 1e-12 * abs(terms).sum(axis=-2)).all()


def test_gradients_pass_saturated_layers_that_shrink_them_past_float_range() -> None:
    depth = 60
    rows = dense_layers((1,) * (depth + 2), (140.0**2,) * (depth + 1), Activate("tanh"))
    layers, traces = make_layers(rows, [np.ones((1, 1, 1))] * (depth + 1)), list[Trace]()
    named = layers_by_name(iter_forward(layers, np.ones((1, 1, 1)), traces))
    named |= layers_by_name(iter_backward(layers, named["preactivation", depth], traces))
    dl_dh = [named["grad_activation", k] for k in range(depth, -1, -1)]
    found = [math.log2(float(z.mantissa.item())) + int(z.exponent[0]) for z in dl_dh]
    # 140 · 4 exp(−2 · 140) a layer, for tanh is 1 there: four of them leave float range together.
    per_layer = math.log2(140 * 4) - 280 / math.log(2)
    steps = np.diff(found)
    np.testing.assert_allclose(steps, per_layer, rtol=1e-12, atol=0)


def test_what_a_block_adds_up_beyond_the_range_of_plain_floats_is_not_known() -> None:
    depth, rng = 200, np.random.default_rng(7)
    widths = (9,) * (depth + 1) + (1,)
    rows = rows_of(widths, (WeightSpec(1.0),) * (depth + 1), blocks=Blocks(1000.0))
    weights = [rng.standard_normal((1, b, a)) for a, b in itertools.pairwise(widths)]
    biases = [np.zeros((1, 1, 1))] * len(weights)
    layers = make_layers(rows, weights, biases)
    named = layers_by_name(iter_forward(layers, rng.standard_normal((1, 9, 3)), []))
    known = [z.mantissa for z in named.values() if np.isfinite(z.mantissa).all()]
    assert np.abs(known[-1]).max() > 1e100
    assert all(np.abs(z).max() < 2.0**500 for z in known)
    assert np.isnan(named["preactivation", depth].mantissa).all()


OUTPUTS = (Activate("sigmoid"), Activate("relu"), Norm("rms"), Dropout(0.5))


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_loss_sees_what_follows_the_last_weights(output: Step) -> None:
    rows = dense_layers((4, 6, 5), (0.5, 0.5), Activate("relu"))
    rows = (*rows[:-1], (*rows[-1], output))
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal((2, 6, 4)), rng.standard_normal((2, 5, 6))]
    masks, x = [rng.random((2, 5, 3))], rng.standard_normal((2, 4, 3))
    layers, traces = make_layers(rows, weights, None, masks), list[Trace]()
    stacks = list(iter_forward(layers, x, traces))
    end = stacks[-1].end
    assert end is not None
    named = layers_by_name(
        [*stacks, *iter_backward(layers, least_squares(end, 0.3).gradient, traces)]
    )
    given = Case(NetworkPass(draws_of(rows), rows, Loss(target=0.3)), weights, x, None)
    measured = measure([given.network_pass], weights, x, None, masks)[0].networks
    for trial in range(2):
        slow = given.slow(trial)
        slow.masks = [mask[trial] for mask in masks]
        for symbol, quantity, by_it in SYMBOLS:
            layer = slow.run(x[trial])[0][symbol, 1][0].real
            derivative = slow.derivative((symbol, 1), (len(layer), 3), x[trial])
            for name, wanted in ((quantity, layer), (by_it, derivative)):
                assert np.abs(plain(named[name, 1])[trial] - wanted).max() <= 1e-13
        variance = np.var(derivative)
        found = measured["grad_preactivation", "variance"][trial, 1]
        assert abs(found - math.log10(variance)) < 1e-11


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("images", [None, SQUARE])
def test_weights_of_variance_0_make_zeros_and_lose_no_network(
    activation: str, images: Images | None
) -> None:
    widths = WIDTHS if images is None else images.widths(2)
    specs = [WeightSpec(0.0), *SPECS[1:]]
    rows = rows_of(widths, specs, activation, images=images)
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal((2, *shape)) for shape in draws_of(rows).shapes]
    layers, traces = make_layers(rows, weights), list[Trace]()
    named = layers_by_name(iter_forward(layers, rng.standard_normal((2, widths[0], 3)), traces))
    assert not any(named["preactivation", k].mantissa.any() for k in range(4))
    gradient = least_squares(named["preactivation", 3], 0.3).gradient
    back = layers_by_name(iter_backward(layers, gradient, traces))
    assert all(np.isfinite(z.mantissa).all() for z in back.values())
    assert back["grad_activation", 3].mantissa.any()
    assert not back["grad_activation", 0].mantissa.any()


def test_all_weights_have_biases_of_their_own_law() -> None:
    means = (0.1, 0.2, 0.3, 0.4)
    specs = [WeightSpec(1.0, bias_mean=mean) for mean in means]
    rows = rows_of(WIDTHS, specs, blocks=BLOCKS["two layers"])
    draws = draws_of(rows)
    constant = biases_of([NetworkPass(draws, rows, Loss())], [])
    assert constant is not None
    assert [float(b[0, 0, 0]) for b in constant] == [0.1, 0.2, 0.2, 0.3, 0.3, 0.4]
    betas = sample_biases(1, draws, range(2))
    specs = [spec._replace(bias_variance=k**2) for k, spec in enumerate(specs, 1)]
    rows = rows_of(WIDTHS, specs, blocks=BLOCKS["two layers"])
    drawn = biases_of([NetworkPass(draws, rows, Loss())], betas)
    assert drawn is not None
    scales = [1.0, 2.0, 2.0, 3.0, 3.0, 4.0]
    for b, beta, scale, mean in zip(
        drawn, betas, scales, [0.1, 0.2, 0.2, 0.3, 0.3, 0.4], strict=True
    ):
        assert np.array_equal(b, scale * beta + mean)
    assert len({b.tobytes() for b in betas}) == len(betas)


@pytest.mark.parametrize("name", [name for name in NETWORKS if is_homogeneous(name)])
def test_a_power_of_two_of_the_inputs_is_one_of_every_layer_to_the_last_bit(name: str) -> None:
    given = case(name, "relu")
    once = layers_by_name(iter_forward(given.layers(), given.x, []))
    far = layers_by_name(iter_forward(given.layers(), np.ldexp(given.x, 300), []))
    assert set(once) == set(far)
    assert all(np.array_equal(np.ldexp(plain(z), 300), plain(far[n])) for n, z in once.items())


def test_gates_square_until_no_exponent_holds_it() -> None:
    weights = Weights(WeightSpec(4.0), 3, 3)
    row: Row = (Gate(weights, weights, Activate("relu")),)
    omega = np.abs(np.random.default_rng(0).standard_normal((2, 3, 3)))
    omega[1] = -omega[1]  # a gate that is shut
    layers = make_layers((row,) * 60, [omega] * 120)
    named = layers_by_name(iter_forward(layers, np.ones((2, 3, 2)), []))
    known = [np.isfinite(named["preactivation", k].mantissa[0]).all() for k in range(60)]
    assert known == sorted(known, reverse=True)
    assert set(known) == {True, False}
    assert max(int(named["preactivation", k].exponent[0]) for k in range(60)) > 2**40
    assert not any(named["preactivation", k].mantissa[1].any() for k in range(60))


def plain(layer: Scaled) -> Array:
    return np.ldexp(layer.mantissa, layer.exponent[..., np.newaxis, np.newaxis])
