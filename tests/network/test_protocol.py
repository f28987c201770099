"""Every step through the same tests, alone and in random rows, with errors planted beside them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.experiment.quantities import BATCH_MEASURES, Measure, Quantity
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    NormKind,
    Pool,
    Row,
    Step,
    Weights,
    WeightSpec,
    Window,
    changed,
    matrices,
    units_after,
    units_in,
    weights_in,
    with_spec,
)
from heinit_sim.experiment.sweep_config import Loss
from heinit_sim.network import layers as layers_module
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.losses import least_squares
from heinit_sim.network.passes import iter_backward, iter_forward, layers_by_name
from heinit_sim.network.steps.activation import Activated
from heinit_sim.network.steps.weights import Convolved
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.simulation.measure import measure
from heinit_sim.simulation.plan import NetworkPass
from tests.network.slow_network import STEP, SlowNetwork, draws_of
from tests.rows import slow_but

Array = np.ndarray
NETWORKS, N_INPUTS, TOKENS = 2, 6, 3
UNITS = 12
SPEC = WeightSpec(0.2)
RELU, TANH, SILU = Activate("relu"), Activate("tanh"), Activate("silu")
LINE = Window((6,), 3, "zero")
SQUARE = Window((2, 3), 2)


def dense(outputs: int = UNITS, inputs: int = UNITS) -> Weights:
    return Weights(SPEC, inputs, outputs)


def kernels(window: Window, c_in: int, c_out: int) -> Weights:
    return Weights(SPEC, c_in * window.positions, c_out * window.positions_out, window)


def attention(heads: int, *, causal: bool) -> Attention:
    return Attention(dense(), dense(), dense(), heads, causal, TOKENS)


class Case(NamedTuple):
    """A step of `UNITS` units."""

    step: Step
    degree: int | None
    """Power of a factor of what enters in what leaves; None where there is no such law."""


STEPS = {
    "weights": Case(dense(7), 1),
    "weights, zeros": Case(Weights(WeightSpec(0.0), UNITS, 7), 1),
    "weights, kernel": Case(kernels(LINE, 2, 3), 1),
    "weights, even kernel": Case(kernels(SQUARE, 2, 3), 1),
    "weights, stride": Case(kernels(LINE._replace(stride=2), 2, 3), 1),
    "weights, DCGAN": Case(kernels(Window((2, 3), 4, "zero", 2), 2, 4), 1),
    "weights, groups": Case(kernels(Window((2, 3), 3, "circular", 1, 2), 2, 4), 1),
    "weights, depthwise, stride": Case(kernels(Window((3, 2), 3, "zero", 2, 2), 2, 2), 1),
    "activation, relu": Case(RELU, 1),
    "activation, tanh": Case(TANH, None),
    "norm, layer": Case(Norm(), 0),
    "norm, rms": Case(Norm("rms"), 0),
    "norm, batch": Case(Norm("batch"), 0),
    "norm, batch of images": Case(Norm("batch", 6), 0),
    "gate": Case(Gate(dense(7), dense(7), SILU), None),
    "gate, relu": Case(Gate(dense(7), dense(7), RELU), 2),
    "gate, kernel": Case(Gate(kernels(SQUARE, 2, 1), kernels(SQUARE, 2, 1), TANH), None),
    "dropout": Case(Dropout(0.3), 1),
    "attention": Case(attention(2, causal=False), None),
    "attention, causal": Case(attention(3, causal=True), None),
    "pool": Case(Pool(6), 1),
    "add": Case(Add(0.7, -1.5), 1),
    "add, ReZero": Case(Add(0.0), 1),
}


def test_every_step_is_among_them() -> None:
    assert {type(case.step) for case in STEPS.values()} == set(get_args(Step))


@dataclass
class Drawn:
    """The numbers of some networks of given rows."""

    rows: tuple[Row, ...]
    weights: list[Array]
    biases: list[Array] | None
    masks: list[Array]
    x: Array

    def slow(self, network: int) -> SlowNetwork:
        biases = self.biases and [b[network, :, 0] for b in self.biases]
        weights = [w[network] for w in self.weights]
        return SlowNetwork(self.rows, weights, biases, [m[network] for m in self.masks])


def drawn(rows: tuple[Row, ...], seed: int, *, biased: bool = False) -> Drawn:
    rng = np.random.default_rng(seed)
    every = [weights for row in rows for weights in matrices(row)]
    weights = [rng.standard_normal((NETWORKS, *w.shape)) for w in every]
    biases = [0.3 * rng.standard_normal((NETWORKS, w.shape[0], 1)) for w in every]
    masks = []
    for row in rows:
        units = units_in(row)
        for step in row:
            if isinstance(step, Dropout):
                masks.append(rng.random((NETWORKS, units, N_INPUTS)))
            units = units_after(step, units)
    x = rng.standard_normal((NETWORKS, units_in(rows[0]), N_INPUTS))
    return Drawn(rows, weights, biases if biased else None, masks, x)


@dataclass
class Alone:
    """One step of some networks, what enters it and a gradient of its result."""

    given: Drawn
    operation: Any
    z: Array
    entered: Array
    """What `add` adds to."""
    y: Array

    @property
    def step(self) -> Step:
        return self.given.rows[0][0]

    def forward(self, exponent: int = 0) -> tuple[Scaled, Any]:
        z, entered = scaled(self.z, exponent), scaled(self.entered, exponent)
        if isinstance(self.step, Add):
            return self.operation.forward(entered, z, None), None
        result: tuple[Scaled, Any] = self.operation.forward(z, None)
        return result

    def adjoint(self, kept: Any, exponent: int = 0) -> tuple[Scaled, ...]:
        """∂ℓ/∂z, of `add` with the gradient that skips the branch."""
        gradient = scaled(self.y, exponent)
        if isinstance(self.step, Add):
            gradients: tuple[Scaled, ...] = self.operation.adjoint(gradient, None)
            return gradients
        return (self.operation.adjoint(gradient, kept, None, []),)


def alone(name: str) -> Alone:
    step = STEPS[name].step
    units = units_after(step, UNITS)
    row: Row = (step,) if weights_in(step) else (step, dense(2, units))
    given = drawn((row,), 7, biased=STEPS[name].degree is None)
    (layer,) = make_layers(given.rows, given.weights, given.biases, given.masks)
    rng = np.random.default_rng(8)
    z, entered = rng.standard_normal((2, NETWORKS, UNITS, N_INPUTS))
    y = rng.standard_normal((NETWORKS, units, N_INPUTS))
    return Alone(given, layer.operations[0], z, entered, y)


def scaled(array: Array, exponent: int) -> Scaled:
    return Scaled(array, np.full(array.shape[:-2], exponent))


def plain(z: Scaled) -> Array:
    return np.ldexp(z.mantissa, z.exponent[..., np.newaxis, np.newaxis])


@cache
def jacobians(name: str) -> list[tuple[Array, Array]]:
    """Result and Jacobian of the step in each network, (numbers that enter, *result)."""
    found, given = [], alone(name)
    for network in range(NETWORKS):
        z = given.z[network]
        moves = 1j * STEP * np.eye(z.size).reshape(-1, *z.shape)
        slow, entered = given.given.slow(network), given.entered[network]
        result = slow.apply(given.step, 0, 0, z + moves, entered)
        found.append((result[0].real, result.imag / STEP))
    return found


def result_is_exact(name: str, given: Alone) -> bool:
    """Equal but for rounding of sums of at most 36 products of about 1."""
    pairs = zip(plain(given.forward()[0]), jacobians(name), strict=True)
    return all(
        bool(np.abs(found - expected).max() <= 1e-14 * max(1.0, np.abs(expected).max()))
        for found, (expected, _) in pairs
    )


@pytest.mark.parametrize("name", STEPS)
def test_the_result_is_that_of_plain_matrices(name: str) -> None:
    assert result_is_exact(name, alone(name))


OTHER = 1 + 1e-9
OF_RESULTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "σ": ("weights", lambda o: o._replace(std=OTHER * o.std)),
    "padding": ("weights, kernel", lambda o: o._replace(linear=other_window(padding="circular"))),
    "slope": ("activation, relu", lambda o: Activated((make_activation("silu", {}),))),
    "no mean": ("norm, layer", lambda o: replace(o, kind="rms")),
    "a mean": ("norm, rms", lambda o: replace(o, kind="layer")),
    "over units": ("norm, batch", lambda o: replace(o, kind="layer")),
    "by position": ("norm, batch of images", lambda o: replace(o, positions=1)),
    "gate and value": ("gate", lambda o: o._replace(gate=o.value, value=o.gate)),
    "masks": ("dropout", lambda o: o._replace(rate=0.6)),
    "heads": ("attention", lambda o: o._replace(heads=3)),
    "not causal": ("attention, causal", lambda o: o._replace(causal=False)),
    "another mean": ("pool", lambda o: Doubled()),
    "s": ("add", lambda o: replace(o, scale=OTHER * o.scale)),
    "α": ("add", lambda o: replace(o, skip=OTHER * o.skip)),
}


def other_window(**changes: Any) -> Convolved:
    return Convolved(LINE._replace(**changes))


class Doubled:
    """A mean over half of the positions."""

    def forward(self, z: Scaled, out: None) -> tuple[Scaled, None]:
        channels = z.mantissa.reshape(NETWORKS, UNITS // 6, 6, N_INPUTS)
        return Scaled(channels[:, :, ::2].mean(axis=2), z.exponent), None


@pytest.mark.parametrize("twin", OF_RESULTS)
def test_errors_of_the_result_are_found(twin: str) -> None:
    name, spoil = OF_RESULTS[twin]
    given = alone(name)
    given.operation = spoil(given.operation)
    assert not result_is_exact(name, given)


def test_errors_of_every_step_are_planted() -> None:
    for planted in (OF_RESULTS, TWINS):
        steps = {type(STEPS[name].step) for name, _ in planted.values()}
        assert steps == set(get_args(Step))


def adjoint_is_exact(name: str, given: Alone, kept: Any) -> bool:
    """⟨Jx, y⟩ = ⟨x, Jᵀy⟩ for x of each number alone and for all together."""
    dl_dz = plain(given.adjoint(kept)[0])
    x = np.random.default_rng(9).standard_normal(given.z.shape)
    for network, (_, jacobian) in enumerate(jacobians(name)):
        y, found = given.y[network], dl_dz[network]
        each = np.tensordot(jacobian, y, 2).reshape(found.shape)
        terms = np.tensordot(np.abs(jacobian), np.abs(y), 2).reshape(found.shape)
        if not (np.abs(found - each) <= 1e-12 * (terms + terms.mean())).all():
            return False
        forward = np.tensordot(x[network].ravel(), jacobian, 1)
        inner, size = (forward * y).sum(), np.abs(x[network] * found).sum()
        if not abs(inner - (x[network] * found).sum()) <= 1e-12 * (size + terms.sum()):
            return False
    return True


@pytest.mark.parametrize("name", STEPS)
def test_the_adjoint_is_that_of_the_jacobian(name: str) -> None:
    given = alone(name)
    _, kept = given.forward()
    assert adjoint_is_exact(name, given, kept)


def test_what_skips_a_branch_has_the_gradient_times_alpha() -> None:
    given = alone("add")
    for skipped, y in zip(plain(given.adjoint(None)[1]), given.y, strict=True):
        assert np.array_equal(skipped, -1.5 * y)


Twin = Callable[[Any, Any], tuple[Any, Any]]
TWINS: dict[str, tuple[str, Twin]] = {
    "weights without σ": ("weights", lambda o, kept: (o._replace(std=1.0), kept)),
    "padding of another kind": (
        "weights, kernel",
        lambda o, kept: (o._replace(linear=Convolved(LINE._replace(padding="circular"))), kept),
    ),
    "even kernels turned about their centre": (
        "weights, even kernel",
        lambda o, kept: (o._replace(linear=Turned(SQUARE)), kept),
    ),
    "strides from the second position": (
        "weights, stride",
        lambda o, kept: (o._replace(linear=Shifted(LINE._replace(stride=2))), kept),
    ),
    "groups in another order": (
        "weights, groups",
        lambda o, kept: (o._replace(weights=[o.weights[0][:, ::-1]]), kept),
    ),
    "the slope is 1": ("activation, tanh", lambda o, kept: (o, np.ones_like(kept))),
    "layer norm without h mean(g h)": (
        "norm, layer",
        lambda o, kept: (o, kept._replace(h=np.zeros_like(kept.h))),
    ),
    "rms norm with the mean of layer norm": (
        "norm, rms",
        lambda o, kept: (replace(o, kind="layer"), kept),
    ),
    "batch norm that loses h mean(g h)": (
        "norm, batch",
        lambda o, kept: (o, kept._replace(h=np.zeros_like(kept.h))),
    ),
    "batch norm of each position": (
        "norm, batch of images",
        lambda o, kept: (o, kept._replace(h=kept.h[..., ::-1, :])),
    ),
    "halves of a gate swapped": (
        "gate",
        lambda o, kept: (o, kept._replace(opening=kept.sloped, sloped=kept.opening)),
    ),
    "a gate's slope is its activation": (
        "gate, relu",
        lambda o, kept: (o, kept._replace(sloped=kept.opening)),
    ),
    "dropout without 1/(1 − p)": ("dropout", lambda o, kept: (o._replace(rate=0.0), kept)),
    "dropout of others": ("dropout", lambda o, kept: (o, ~kept)),
    "keys for queries": (
        "attention",
        lambda o, kept: (o, kept._replace(query=kept.key, key=kept.query)),
    ),
    "shares turned": (
        "attention, causal",
        lambda o, kept: (o, kept._replace(shares=kept.shares.swapaxes(-1, -2))),
    ),
    "pool is a sum": ("pool", lambda o, kept: (Summed(), kept)),
    "α for s": ("add", lambda o, kept: (replace(o, scale=o.skip, skip=o.scale), kept)),
}


class Turned(Convolved):
    """Kernels turned about the centre of the way forth."""

    def adjoint(self, omega: Array, dl_df: Array, out: Array | None) -> Array:
        return Convolved(self.window).forward(omega[..., ::-1, :].swapaxes(-1, -3), dl_df, out)


class Shifted(Convolved):
    """Gradients that go back to the position beside the one that they came from."""

    def adjoint(self, omega: Array, dl_df: Array, out: Array | None) -> Array:
        back = Convolved(self.window).adjoint(omega, dl_df, None)
        return np.roll(back, 1, axis=-2)


class Summed:
    """The mean's adjoint, but for the factor."""

    def adjoint(self, gradient: Scaled, kept: None, out: None, found: list[Any]) -> Scaled:
        return Scaled(np.repeat(gradient.mantissa, 6, axis=-2), gradient.exponent)


@pytest.mark.parametrize("twin", TWINS)
def test_errors_of_the_adjoint_are_found(twin: str) -> None:
    name, spoil = TWINS[twin]
    given = alone(name)
    _, kept = given.forward()
    given.operation, kept = spoil(given.operation, kept)
    assert not adjoint_is_exact(name, given, kept)


def exponents_are_right(name: str, given: Alone, exponent: int) -> bool:
    """Whether 2^exponent of what enters is one in the result and ∂ℓ/∂z, and no other bit moves."""
    degree = STEPS[name].degree
    assert degree is not None
    once, kept = given.forward()
    far, kept_far = given.forward(exponent)
    pairs = [(once, far, degree * exponent)]
    gradients = zip(given.adjoint(kept), given.adjoint(kept_far, 77), strict=True)
    pairs += [(near, other, 77 + (degree - 1) * exponent) for near, other in gradients]
    return all(
        np.array_equal(near.mantissa, other.mantissa)
        and bool((other.exponent - near.exponent == shift).all())
        for near, other, shift in pairs
    )


@pytest.mark.parametrize("name", [name for name, case in STEPS.items() if case.degree is not None])
@pytest.mark.parametrize("exponent", [12_345, -9_876])
def test_a_power_of_two_beyond_any_range_is_one_of_the_result(name: str, exponent: int) -> None:
    assert exponents_are_right(name, alone(name), exponent)


@dataclass
class Spoilt:
    """An operation that loses what exponents say, on the way forth or back."""

    operation: Any
    way: str

    def forward(self, *given: Any) -> Any:
        *entered, out = given
        if self.way == "forth":
            entered = [Scaled(z.mantissa, 0 * z.exponent) for z in entered]
        return self.operation.forward(*entered, out)

    def adjoint(self, gradient: Scaled, *rest: Any) -> Any:
        if self.way == "back":
            gradient = Scaled(gradient.mantissa, 0 * gradient.exponent)
        return self.operation.adjoint(gradient, *rest)


@pytest.mark.parametrize("name", [name for name, case in STEPS.items() if case.degree is not None])
@pytest.mark.parametrize("way", ["forth", "back"])
def test_exponents_that_are_lost_are_found(name: str, way: str) -> None:
    given = alone(name)
    given.operation = Spoilt(given.operation, way)
    assert not exponents_are_right(name, given, 12_345)


# Random rows -------------------------------------------------------------------------------------


ACTIVATIONS = "relu", "leaky_relu", "tanh", "silu"


def norm(rng: np.random.Generator, positions: int) -> Norm:
    kinds: tuple[NormKind, ...] = ("layer", "rms", "batch")
    return Norm(kinds[rng.integers(3)], positions)


def dense_branch(rng: np.random.Generator, width: int, activate: Activate) -> list[Step]:
    """Steps that lead from a width back to it."""
    wide = int(width * rng.choice([1, 2]))
    widened: list[list[Step]] = [
        [dense(wide, width), activate, dense(width, wide)],
        [Gate(dense(wide, width), dense(wide, width), activate), dense(width, wide)],
        [Gate(dense(width, width), dense(width, width), activate)],
        [activate, dense(width, width)],
    ]
    if activate.function not in ("relu", "leaky_relu"):
        every = (dense(width, width),) * 3
        heads = Attention(*every, int(rng.choice([1, 2, 3])), bool(rng.integers(2)), TOKENS)
        widened += [[heads, dense(width, width)], [heads, dense(width, width)]]
    return widened[rng.integers(len(widened))]


def cnn_branch(rng: np.random.Generator, width: int, activate: Activate) -> list[Step]:
    window = Window((3, 2), int(rng.integers(1, 5)), "zero" if rng.integers(2) else "circular")
    channels = width // window.positions
    grouped = window._replace(groups=int(rng.choice([1, channels])))
    middle = kernels(window, channels, 2 * channels), kernels(window, 2 * channels, channels)
    gate = kernels(grouped, channels, channels)
    widened: list[list[Step]] = [
        [middle[0], activate, middle[1]],
        [kernels(grouped, channels, channels), activate, kernels(window, channels, channels)],
        [Gate(gate, gate, activate)],
        [activate, kernels(grouped, channels, channels)],
    ]
    return widened[rng.integers(len(widened))]


def random_row(rng: np.random.Generator, width: int, activate: Activate, *, cnn: bool) -> Row:
    steps: list[Step] = []
    for _ in range(rng.integers(1, 3)):
        branch = (cnn_branch if cnn else dense_branch)(rng, width, activate)
        beside: list[Step] = [norm(rng, 6 if cnn else 1), Dropout(0.3), activate]
        for step in beside:
            if rng.integers(2):
                branch.insert(int(rng.choice([0, len(branch)])), step)
        if rng.integers(3):
            branch.append(Add(float(rng.choice([0.5, 1.0, -2.0])), float(rng.choice([1, 0.7]))))
        steps += branch
    return tuple(steps)


def random_rows(seed: int, *, cnn: bool, names: Sequence[str] = ACTIVATIONS) -> tuple[Row, ...]:
    """Stem, two blocks and head."""
    rng = np.random.default_rng(seed)
    activate = Activate(str(rng.choice(names)))
    if activate.function == "leaky_relu":
        activate = activate._replace(options=(("negative_slope", 0.2),))
    output: Row = (activate,) if rng.integers(2) else ()
    if not cnn:
        rows = [random_row(rng, 6, activate, cnn=False) for _ in range(2)]
        return ((dense(6, 4),), *rows, (dense(3, 6), *output))
    strided = kernels(Window((6, 4), int(rng.integers(2, 5)), "zero", 2), 1, 2)
    rows = [random_row(rng, 12, activate, cnn=True) for _ in range(2)]
    head: Row = (Pool(6), dense(3, 2)) if rng.integers(2) else (dense(3, 12),)
    return ((strided, activate), *rows, (*head, *output))


NAMES: dict[str, Quantity] = {"h": "activation", "f": "preactivation"}
GRADIENTS: dict[str, Quantity] = {"h": "grad_activation", "f": "grad_preactivation"}
SEEDS = range(24)


def test_random_rows_have_every_step_often() -> None:
    rows = [row for seed in SEEDS for cnn in (False, True) for row in random_rows(seed, cnn=cnn)]
    counts = Counter(type(step) for row in rows for step in row)
    assert all(counts[step] >= 10 for step in get_args(Step))


def numbers_of(given: Drawn, rows: tuple[Row, ...]) -> dict[tuple[Quantity, int], Array]:
    """All h_k, f_k and their gradients of rows on the numbers that were drawn."""
    layers = make_layers(rows, given.weights, given.biases, given.masks)
    traces: list[Trace] = []
    stacks = list(iter_forward(layers, given.x, traces))
    end = stacks[-1].end
    assert end is not None
    named = layers_by_name(stacks)
    named |= layers_by_name(iter_backward(layers, least_squares(end, 0.3).gradient, traces))
    return {name: plain(layer) for name, layer in named.items()}


@cache
def slow_numbers(seed: int, *, cnn: bool) -> dict[tuple[Quantity, int], Array]:
    """The same by plain matrices and complex steps."""
    given = given_rows(seed, cnn=cnn)
    found: dict[tuple[Quantity, int], list[Array]] = {}
    for network in range(NETWORKS):
        slow, x = given.slow(network), given.x[network]
        for name, wanted in slow.run(x)[0].items():
            symbol, k = name
            found.setdefault((NAMES[symbol], k), []).append(wanted[0].real)
            derivative = slow.derivative(name, (wanted.shape[1], wanted.shape[2]), x)
            found.setdefault((GRADIENTS[symbol], k), []).append(derivative)
    return {name: np.array(layers) for name, layers in found.items()}


def given_rows(seed: int, *, cnn: bool) -> Drawn:
    return drawn(random_rows(seed, cnn=cnn), seed, biased=seed % 3 == 0)


def are_close(found: dict[Any, Array], expected: dict[Any, Array]) -> bool:
    """Equal but for rounding: a dozen steps of sums of a few dozen terms, and norms amplify."""
    assert found.keys() == expected.keys()
    sizes = {name: max(np.abs(layer).max(), 1.0) for name, layer in expected.items()}
    gaps = (np.abs(found[name] - expected[name]).max() / size for name, size in sizes.items())
    return all(gap <= 1e-12 for gap in gaps)


@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", slow_but(SEEDS, *range(4)))
def test_random_rows_are_slow_ones(seed: int, cnn: bool) -> None:
    given = given_rows(seed, cnn=cnn)
    assert are_close(numbers_of(given, given.rows), slow_numbers(seed, cnn=cnn))


def in_steps(kind: type[Any], change: Callable[[Any], Step]) -> Callable[[Step], Step]:
    return lambda step: change(step) if isinstance(step, kind) else step


IN_ROWS = {
    "weights": in_steps(Weights, lambda s: with_spec(s, lambda _: WeightSpec(0.2 * OTHER))),
    "activation": in_steps(Activate, lambda s: Activate("elu")),
    "norm": in_steps(Norm, lambda s: s._replace(kind="rms" if s.kind != "rms" else "layer")),
    "gate": in_steps(Gate, lambda s: s._replace(activation=Activate("elu"))),
    "dropout": in_steps(Dropout, lambda s: Dropout(0.31)),
    "attention": in_steps(Attention, lambda s: s._replace(causal=not s.causal)),
    "s": in_steps(Add, lambda s: s._replace(scale=OTHER * s.scale)),
    "α": in_steps(Add, lambda s: s._replace(skip=OTHER * s.skip)),
}


@pytest.mark.parametrize("twin", IN_ROWS)
def test_errors_in_random_rows_are_found(twin: str) -> None:
    """In all of the quick rows that have the step."""
    planted = 0
    for seed in range(4):
        for cnn in (False, True):
            given = given_rows(seed, cnn=cnn)
            rows = changed(given.rows, IN_ROWS[twin])
            if rows != given.rows:
                planted += 1
                assert not are_close(numbers_of(given, rows), slow_numbers(seed, cnn=cnn))
    assert planted > 0


@cache
def slow_weight_gradients(seed: int, *, cnn: bool) -> list[list[tuple[Array, Array]]]:
    """∂ℓ/∂Ω_k and ∂ℓ/∂β_k through each input, (n_inputs, …), by layer and network."""
    given = given_rows(seed, cnn=cnn)
    slow = [given.slow(network) for network in range(NETWORKS)]
    return [
        [one.weight_gradients(k, given.x[network]) for network, one in enumerate(slow)]
        for k in range(len(given.rows))
    ]


def weight_moments_are_right(seed: int, *, cnn: bool) -> bool:
    """Gradients are right to a few parts in 1e13 of the largest, as above."""
    given = given_rows(seed, cnn=cnn)
    draws, record = draws_of(given.rows, N_INPUTS), Records(batch_gradient=True)
    network_pass = NetworkPass(draws, given.rows, Loss(target=0.3), record=record)
    (result,) = measure([network_pass], given.weights, given.x, given.biases, given.masks)
    for k, by_network in enumerate(slow_weight_gradients(seed, cnn=cnn)):
        for network, (gradients, biases) in enumerate(by_network):
            wanted: dict[Measure, tuple[float, Array]] = {
                ("grad_weight", "second_moment"): (np.mean(gradients**2), gradients),
                ("grad_weight", "variance"): (np.var(gradients), gradients),
                ("grad_weight", "input_0_second_moment"): (np.mean(gradients[0] ** 2), gradients),
            }
            for measure_of_batch, by_input in zip(BATCH_MEASURES, (gradients, biases), strict=True):
                wanted[measure_of_batch] = np.mean(by_input.mean(axis=0) ** 2), by_input
            for name, (moment, by_input) in wanted.items():
                found = 10 ** result.networks[name][network, k]
                if abs(found - moment) > 1e-11 * np.max(by_input**2):
                    return False
    return True


@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", slow_but(SEEDS, *range(4)))
def test_moments_of_weight_gradients_in_random_rows_are_of_all(seed: int, cnn: bool) -> None:
    assert weight_moments_are_right(seed, cnn=cnn)


@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pooled", ["pooled_moments", "pooled_gradients"])
def test_weights_that_are_left_out_of_the_moments_are_found(
    pooled: str, seed: int, cnn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers_module, pooled, lambda found: found[0][0])
    several = any(len(matrices(row)) > 1 for row in random_rows(seed, cnn=cnn))
    assert weight_moments_are_right(seed, cnn=cnn) is not several


@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("std", [1e150, 1e-150])
def test_rows_beyond_float_range_obey_eulers_identity(seed: int, cnn: bool, std: float) -> None:
    # ⟨h, ∂ℓ/∂h⟩ = the degree of the loss in h times ℓ; norms make it 0.
    rows = random_rows(seed, cnn=cnn, names=["relu"])
    far = changed(rows, lambda step: with_spec(step, lambda spec: WeightSpec(std**2)))
    given = drawn(far, seed)
    layers = make_layers(far, given.weights, None, given.masks)
    traces: list[Trace] = []
    stacks = list(iter_forward(layers, given.x, traces))
    end = stacks[-1].end
    assert end is not None
    named = layers_by_name(stacks)
    named |= layers_by_name(iter_backward(layers, least_squares(end, 0.0).gradient, traces))
    twice_loss = 2 * (end.mantissa**2).sum(axis=(-1, -2))
    degree = 1
    for k in reversed(range(len(rows))):
        for step in reversed(rows[k]):
            if isinstance(step, Norm):
                degree = 0
            elif isinstance(step, Gate):
                degree *= 2
        if any(isinstance(step, Add) for step in rows[k]) and degree != 1:
            break  # a sum of parts of different degrees
        h, dl_dh = named["activation", k], named["grad_activation", k]
        shift = h.exponent + dl_dh.exponent - 2 * end.exponent
        terms = np.ldexp(h.mantissa * dl_dh.mantissa, shift[:, np.newaxis, np.newaxis])
        # Where a norm makes it 0, numbers larger by the norm's digits cancel.
        rounding = 1e-12 * np.abs(terms).sum(axis=(-1, -2)) + 1e-14 * twice_loss
        assert (np.abs(terms.sum(axis=(-1, -2)) - degree * twice_loss) <= rounding).all()
        for wrong in {0, 1, 2, 4, OTHER * degree} - {degree}:  # of another row, or a part in 1e9
            assert (np.abs(terms.sum(axis=(-1, -2)) - wrong * twice_loss) > rounding).all()
