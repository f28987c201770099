"""Layers of every kind against a slow network of plain matrices, differentiated by complex step."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.experiment.architecture import Convolution, Residual, matrix_places, matrix_shapes
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.sweep_config import LayerSpec
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.passes import iter_backward, iter_forward, layers_by_name, loss_gradient
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import Draws, sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation.measure import biases_of, measure
from heinit_sim.simulation.plan import NetworkPass
from tests.rows import slow_but

Array = np.ndarray
STEP = 1e-40  # of the complex step: no difference is taken, so no digit is lost
SQUARE = Convolution((3, 2), 3, (2, 3, 3, 3))
LINE = Convolution((5,), 3, (2, 3, 3, 3), "zero")
RESIDUALS = {
    "one layer": Residual(0.7),
    "two layers": Residual(1.0, 2),
    "pre-norm": Residual(0.5, 1, "before"),
    "two layers, pre-norm": Residual(1.0, 2, "before"),
    "norm inside": Residual(1.0, 2, "inside"),
    "zero last": Residual(1.0, 2, "none", zero_last=True),
}
NETWORKS: dict[str, tuple[Convolution | None, Residual | None]] = {
    "dense": (None, None),
    **{name: (None, residual) for name, residual in RESIDUALS.items()},
    "convolution": (SQUARE, None),
    "zero padding": (SQUARE._replace(padding="zero"), None),
    "one dimension": (LINE, None),
    "mean readout": (SQUARE._replace(readout="mean"), None),
    "mean readout, zero padding": (LINE._replace(readout="mean"), None),
    "residual convolution": (LINE, RESIDUALS["two layers, pre-norm"]),
    "residual convolution, mean readout": (SQUARE._replace(readout="mean"), RESIDUALS["one layer"]),
}
WIDTHS = (4, 8, 8, 8, 2)
STDS = (0.6, 0.5, 0.9, 0.7)
LAYERS = tuple(LayerSpec(std**2) for std in STDS)


def widths_of(convolution: Convolution | None) -> tuple[int, ...]:
    if convolution is None:
        return WIDTHS
    return (*(convolution.positions * c for c in convolution.channels), WIDTHS[-1])


def matrix(kernels: Array, convolution: Convolution) -> Array:
    """A convolution as the matrix it is, entry by entry; units are channels, then positions."""
    c_out, _, c_in = kernels.shape
    size, reach = convolution.image, convolution.kernel // 2
    offsets = list(itertools.product(range(-reach, reach + 1), repeat=len(size)))
    positions = list(itertools.product(*map(range, size)))
    full = np.zeros((c_out, len(positions), c_in, len(positions)), complex)
    for p, position in enumerate(positions):
        for tap, offset in enumerate(offsets):
            source = [a + b for a, b in zip(position, offset, strict=True)]
            if convolution.padding == "circular":
                source = [a % n for a, n in zip(source, size, strict=True)]
            if tuple(source) in positions:
                full[:, p, :, positions.index(tuple(source))] += kernels[:, tap, :]
    return full.reshape(c_out * len(positions), c_in * len(positions))


# of complex numbers close to the real line
ANALYTIC: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.where(z.real > 0, z, 0.0),
    "leaky_relu": lambda z: np.where(z.real > 0, z, 0.2 * z),
    "linear": lambda z: z,
    "tanh": np.tanh,
    "hard_tanh": lambda z: np.where(abs(z.real) < 1, z, np.sign(z.real)),
    "selu": lambda z: (
        1.0507009873554805 * np.where(z.real > 0, z, 1.6732632423543772 * (np.exp(z) - 1))
    ),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "gelu_tanh": lambda z: z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
}


@dataclass
class Slow:
    """A network of one input, in complex numbers."""

    convolution: Convolution | None
    residual: Residual | None
    name: str
    omegas: list[Array]
    biases: list[Array]
    bumps: dict[tuple[str, int], Array] = field(default_factory=dict)
    matrices: dict[bytes, Array] = field(default_factory=dict)

    def activate(self, z: Array) -> Array:
        return np.asarray(ANALYTIC[self.name](z))

    def weigh(self, place: int, z: Array) -> Array:
        omega, beta = self.omegas[place], self.biases[place]
        if omega.ndim == 3:
            assert self.convolution is not None
            kernels = omega.tobytes()
            if kernels not in self.matrices:
                self.matrices[kernels] = matrix(omega, self.convolution)
            omega = self.matrices[kernels]
            beta = np.repeat(beta, self.convolution.positions)
        return np.asarray(omega @ z + beta)

    def branch(self, places: tuple[int, ...], h: Array) -> Array:
        assert self.residual is not None
        z = normalised(h) if self.residual.norm == "before" else h
        z = self.weigh(places[0], self.activate(z))
        if len(places) == 2:
            z = normalised(z) if self.residual.norm == "inside" else z
            z = self.weigh(places[1], self.activate(z))
        return z

    def run(self, x: Array) -> tuple[dict[str, list[Array]], complex]:
        """All h_k and f_k, and the loss for y = 0.3."""
        depth, layers = len(WIDTHS) - 2, {"h": list[Array](), "f": list[Array]()}
        h = x.astype(complex)
        for k, places in enumerate(matrix_places(depth, self.residual)):
            h = h + self.bumps.get(("h", k), 0)
            inner = self.residual is not None and 0 < k < depth
            read = h
            if k == depth and self.convolution and self.convolution.readout == "mean":
                read = h.reshape(-1, self.convolution.positions).mean(axis=1)
            f = self.branch(places, h) if inner else self.weigh(places[0], read)
            f = f + self.bumps.get(("f", k), 0)
            layers["h"].append(h)
            layers["f"].append(f)
            if inner:
                assert self.residual is not None
                h = h + self.residual.scale * f
            else:
                h = f if self.residual is not None else self.activate(f)
        return layers, complex(((f - 0.3) ** 2).sum())

    def derivative(self, what: tuple[str, int], size: int, x: Array) -> Array:
        """∂ℓ/∂h_k or ∂ℓ/∂f_k."""
        found = []
        for unit in range(size):
            self.bumps = {what: 1j * STEP * np.eye(size)[unit]}
            found.append(self.run(x)[1].imag / STEP)
        self.bumps = {}
        return np.array(found)

    def weight_derivatives(self, place: int, x: Array) -> Array:
        omega, found = self.omegas[place], []
        for entry in np.ndindex(omega.shape):
            self.omegas[place] = omega.copy()
            self.omegas[place][entry] += 1j * STEP
            found.append(self.run(x)[1].imag / STEP)
        self.omegas[place] = omega
        return np.array(found)


def normalised(z: Array) -> Array:
    centred = z - z.mean()
    return np.asarray(centred / np.sqrt((centred**2).mean()))


@dataclass
class Case:
    """A small network of that kind, drawn as the package draws it."""

    network_pass: NetworkPass
    weights: list[Array]
    x: Array
    betas: list[Array] | None

    def slow(self, trial: int) -> Slow:
        draws = self.network_pass.draws
        places = matrix_places(len(STDS) - 1, draws.residual)
        stds = {}
        for k, own in enumerate(places):
            for n, place in enumerate(own):
                last = n == len(own) - 1 and 0 < k < len(STDS) - 1
                zero = last and draws.residual is not None and draws.residual.zero_last
                stds[place] = 0.0 if zero else STDS[k]
        omegas = [stds[p] * w[trial].astype(complex) for p, w in enumerate(self.weights)]
        betas = [np.zeros(shape[0]) for shape in draws.shapes]
        if self.betas is not None:
            betas = [b[trial, :, 0] for b in self.betas]
        name = str(self.network_pass.activation)
        return Slow(draws.convolution, draws.residual, name, omegas, betas)


def case(name: str, activation: str, *, biased: bool = False) -> Case:
    convolution, residual = NETWORKS[name]
    draws = Draws(widths_of(convolution), 2, (), convolution=convolution, residual=residual)
    options = (("negative_slope", 0.2),) if activation == "leaky_relu" else ()
    network_pass = NetworkPass(draws, activation, options, LAYERS, 0.3)
    trials = range(2)
    weights = sample_weights(3, draws, trials, [])
    assert isinstance(weights, list)
    betas = [0.4 * b for b in sample_biases(3, draws, trials)] if biased else None
    return Case(network_pass, weights, sample_inputs(3, draws, trials), betas)


KINDS = [
    *((name, a, False) for name in NETWORKS for a in ("relu", "tanh")),
    *((name, "leaky_relu", True) for name in NETWORKS),
    *(("dense", a, True) for a in ANALYTIC if a != "leaky_relu"),
    ("dense", "linear", False),
]


@pytest.mark.parametrize(
    ("name", "activation", "biased"),
    slow_but(KINDS, *(kind for kind in KINDS if kind[2]), ("dense", "relu", False)),
)
def test_layers_of_both_passes_are_slow_ones(name: str, activation: str, biased: bool) -> None:
    given = case(name, activation, biased=biased)
    network_pass, draws = given.network_pass, given.network_pass.draws
    made = make_activation(activation, dict(network_pass.activation_options))
    layers = make_layers(
        draws.widths, given.weights, STDS, made, given.betas, draws.convolution, draws.residual
    )
    traces: list[Trace] = []
    named = layers_by_name(iter_forward(layers, given.x, traces))
    gradient = loss_gradient(named["preactivation", len(STDS) - 1], 0.3)
    named |= layers_by_name(iter_backward(layers, gradient, traces))
    for trial, n in itertools.product(range(2), range(2)):
        slow, x = given.slow(trial), given.x[trial, :, n]
        expected, _ = slow.run(x)
        for k in range(len(STDS)):
            pairs: dict[Quantity, Array] = {
                "activation": expected["h"][k].real,
                "preactivation": expected["f"][k].real,
                "grad_activation": slow.derivative(("h", k), len(expected["h"][k]), x),
                "grad_preactivation": slow.derivative(("f", k), len(expected["f"][k]), x),
            }
            for quantity, wanted in pairs.items():
                one = plain(named[quantity, k])[trial, :, n]
                # Sums of a few dozen terms of about 1, a handful of layers deep.
                assert np.abs(one - wanted).max() <= 1e-13 * max(np.abs(wanted).max(), 1.0)


@pytest.mark.parametrize(
    ("name", "activation", "biased"),
    slow_but(KINDS, *[(name, "leaky_relu", True) for name in NETWORKS][::3]),
)
def test_moments_of_weight_gradients_are_of_all(name: str, activation: str, biased: bool) -> None:
    given = case(name, activation, biased=biased)
    measured = measure(given.network_pass, given.weights, given.x, given.betas).networks
    places = matrix_places(len(STDS) - 1, given.network_pass.draws.residual)
    for trial, (k, own) in itertools.product(range(2), enumerate(places)):
        slow = given.slow(trial)
        gradients = np.array(
            [
                np.concatenate([slow.weight_derivatives(p, given.x[trial, :, n]) for p in own])
                for n in range(2)
            ]
        )
        wanted = {
            "second_moment": np.mean(gradients**2),
            "variance": np.var(gradients),
            "input_0_second_moment": np.mean(gradients[0] ** 2),
        }
        for statistic, moment in wanted.items():
            found = measured["grad_weight", statistic][trial, k]  # type: ignore[index]  # names above
            assert abs(found - math.log10(moment)) < 1e-11


def is_homogeneous(name: str) -> bool:
    residual = NETWORKS[name][1]
    return residual is None or residual.norm == "none"


@pytest.mark.parametrize("name", [name for name in NETWORKS if is_homogeneous(name)])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear"])
def test_eulers_identity_holds_at_every_layer(name: str, activation: str) -> None:
    given = case(name, activation)
    draws = given.network_pass.draws
    options = {"negative_slope": 0.2} if activation == "leaky_relu" else {}
    made = make_activation(activation, options)
    layers = make_layers(
        draws.widths, given.weights, STDS, made, None, draws.convolution, draws.residual
    )
    traces: list[Trace] = []
    named = layers_by_name(iter_forward(layers, given.x, traces))
    output = named["preactivation", len(STDS) - 1]
    named |= layers_by_name(iter_backward(layers, loss_gradient(output, 0.0), traces))
    twice_loss = 2 * (plain(output) ** 2).sum(axis=-2)
    for k in range(len(STDS)):
        terms = plain(named["activation", k]) * plain(named["grad_activation", k])
        assert (abs(terms.sum(axis=-2) - twice_loss) <= 1e-12 * abs(terms).sum(axis=-2)).all()


@pytest.mark.parametrize("branch_layers", slow_but([1, 2], 2))
def test_blocks_past_any_float_range_obey_eulers_identity(branch_layers: int) -> None:
    depth, residual = 1200, Residual(9.0, branch_layers)
    widths = (12,) * (depth + 1) + (1,)
    shapes = matrix_shapes(widths, None, residual)
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal((1, *shape)) for shape in shapes]
    std = math.sqrt(2 / 12)
    layers = make_layers(
        widths, weights, (std,) * (depth + 1), make_activation("relu", {}), None, None, residual
    )
    traces: list[Trace] = []
    named = layers_by_name(iter_forward(layers, rng.standard_normal((1, 12, 3)), traces))
    output = named["preactivation", depth]
    assert int(output.exponent[0]) > 1024
    named |= layers_by_name(iter_backward(layers, loss_gradient(output, 0.0), traces))
    twice_loss = 2 * (output.mantissa**2).sum(axis=-2)
    for k in range(depth + 1):
        h, dl_dh = named["activation", k], named["grad_activation", k]
        shift = h.exponent + dl_dh.exponent - 2 * output.exponent
        terms = np.ldexp(h.mantissa * dl_dh.mantissa, shift[:, np.newaxis, np.newaxis])
        assert (abs(terms.sum(axis=-2) - twice_loss) <= 1e-12 * abs(terms).sum(axis=-2)).all()


def test_gradients_pass_saturated_layers_that_shrink_them_past_float_range() -> None:
    depth = 60
    widths = (1,) * (depth + 2)
    weights = [np.ones((1, 1, 1))] * (depth + 1)
    layers = make_layers(widths, weights, (140.0,) * (depth + 1), make_activation("tanh", {}))
    traces: list[Trace] = []
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
    widths, residual = (9,) * (depth + 1) + (1,), Residual(1000.0)
    weights = [rng.standard_normal((1, b, a)) for a, b in itertools.pairwise(widths)]
    biases = [np.zeros((1, 1, 1))] * len(weights)
    layers = make_layers(
        widths, weights, (1.0,) * len(weights), make_activation("relu", {}), biases, None, residual
    )
    named = layers_by_name(iter_forward(layers, rng.standard_normal((1, 9, 3)), []))
    known = [z.mantissa for z in named.values() if np.isfinite(z.mantissa).all()]
    assert np.abs(known[-1]).max() > 1e100
    assert all(np.abs(z).max() < 2.0**500 for z in known)
    assert np.isnan(named["preactivation", depth].mantissa).all()


def test_both_weights_of_a_block_have_biases_of_their_layer() -> None:
    draws = Draws(WIDTHS, 2, (), residual=RESIDUALS["two layers"])
    means = (0.1, 0.2, 0.3, 0.4)
    layers = tuple(LayerSpec(1.0, bias_mean=mean) for mean in means)
    constant = biases_of(NetworkPass(draws, "relu", (), layers, 0.0), [])
    assert constant is not None
    assert [float(b[0, 0, 0]) for b in constant] == [0.1, 0.2, 0.2, 0.3, 0.3, 0.4]
    betas = sample_biases(1, draws, range(2))
    layers = tuple(layer._replace(bias_variance=k**2) for k, layer in enumerate(layers, 1))
    drawn = biases_of(NetworkPass(draws, "relu", (), layers, 0.0), betas)
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
    draws, relu = given.network_pass.draws, make_activation("relu", {})
    layers = make_layers(
        draws.widths, given.weights, STDS, relu, None, draws.convolution, draws.residual
    )
    once = layers_by_name(iter_forward(layers, given.x, []))
    far = layers_by_name(iter_forward(layers, np.ldexp(given.x, 300), []))
    assert set(once) == set(far)
    assert all(np.array_equal(np.ldexp(plain(z), 300), plain(far[n])) for n, z in once.items())


def plain(layer: Scaled) -> Array:
    return np.ldexp(layer.mantissa, layer.exponent[..., np.newaxis, np.newaxis])
