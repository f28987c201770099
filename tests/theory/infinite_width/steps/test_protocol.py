"""Every step, alone and in rows, beside networks of 2,000 units written out with their weights.

What enters is normal, with a cosine of two inputs and one of two positions; the gradient of what
leaves is in part along that. Errors are over networks. The numbers of a row whose steps are others,
one at a time, must be found to be wrong.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from heinit_sim.activations import activation_of
from heinit_sim.config import parse_config
from heinit_sim.experiment.steps import (
    WORDS,
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Pool,
    Row,
    Step,
    Weights,
    WeightSpec,
    Window,
    weights_in,
)
from heinit_sim.theory.infinite_width import rows
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Signal,
    along_signal,
    identity_along,
)
from heinit_sim.theory.infinite_width.steps.norm import Batch
from tests.rows import slow_but

Array = np.ndarray
Back = Callable[[Array], Array]

UNITS, NETWORKS, INPUTS, POSITIONS = 2000, 16, 8, 8
CHANNELS = UNITS // POSITIONS
VARIANCE, LIKE_INPUTS, LIKE_POSITIONS = 1.7, 0.3, 0.4
SHARE = 0.6  # of the gradient's root mean square that is along what leaves
# Standard errors of a mean over networks. Of 16 of them |t| > 7 has a probability of 4e-6, and
# some 300 means are looked at.
ERRORS = 7.0
# Times 1/units: what a width leaves, of norms the parts along z and 1, of gradients that are along
# what weights make E[z⁴]/E[z²]² − 1 ≤ 9 of a product of two normal numbers.
LEFT = 10.0

TANH, RELU = Activate("tanh"), Activate("relu")


def dense(scale: float = 1.5, inputs: int = UNITS, outputs: int = UNITS, **laws: Any) -> Weights:
    return Weights(WeightSpec(scale / inputs, **laws), inputs, outputs)


def kernel(scale: float = 1.5, stride: int = 1, groups: int = 1, **laws: Any) -> Weights:
    window = Window((POSITIONS,), 3, "circular", stride, groups)
    fan_in = 3 * CHANNELS // groups
    spec = WeightSpec(scale / fan_in, **laws)
    return Weights(spec, UNITS, CHANNELS * window.positions_out, window)


def edged(scale: float = 1.5) -> Weights:
    """A kernel that sees zeros beyond the edges."""
    weights = kernel(scale)
    assert weights.window
    return weights._replace(window=weights.window._replace(padding="zero"))


BIASES: dict[str, Any] = {"bias_variance": 0.4, "bias_mean": 0.5}
GATE = Gate(dense(1.2), dense(0.8), Activate("silu"))
ROWS: dict[str, Row] = {
    "weights": (dense(),),
    "weights with biases": (dense(1.5, **BIASES),),
    "weights that widen": (dense(1.5, UNITS, UNITS // 4),),
    "tanh": (TANH, dense()),
    "relu": (RELU, dense()),
    "biased relu": (dense(1.5, **BIASES), RELU),
    "layer norm": (Norm("layer"), dense()),
    "rms norm": (dense(1.5, **BIASES), Norm("rms")),
    "layer norm of a mean": (dense(1.5, **BIASES), Norm("layer")),
    "batch norm": (Norm("batch"), dense()),
    "layer norm of relu": (RELU, Norm("layer"), dense()),
    "rms norm of relu": (RELU, Norm("rms"), dense()),
    "gate": (GATE, dense()),
    "relu gate": (GATE._replace(activation=RELU), dense()),
    "dropout": (Dropout(0.3), dense()),
    "dropout of a mean": (dense(1.5, **BIASES), Dropout(0.3)),
    "dropout of relu": (RELU, Dropout(0.3), dense()),
    "dropout and relu": (Dropout(0.3), RELU, dense()),
    "add": (dense(), Add(0.8, 1.1)),
    "add of a biased branch": (dense(1.5, **BIASES), Add(0.8, -0.6)),
    "rezero": (TANH, dense(), Add(0.0, 1.0)),
    "branch alone": (TANH, dense(), Add(-0.5, 0.0)),
    "zeros": (TANH, dense(0.0), Add(1.0, 1.0)),
    "attention of one": (Attention(dense(), dense(), dense(0.7), 4, False, 1),),
    "pre-norm": (Norm("layer"), dense(2.0), TANH, dense(1.8), Add(1.0, 1.0)),
    "norm at the end": (dense(2.0), TANH, dense(0.9), Norm("rms"), Add(0.7, 1.0)),
    "post-norm": (dense(12.0), TANH, dense(1.0), Add(1.0, 0.8), Norm()),
    "gated block": (Norm("rms"), GATE, dense(0.9), Add(0.5, 1.0)),
    "dropout in a branch": (dense(), TANH, dense(), Dropout(0.3), Add(1.0, 1.0)),
    "batch norm in a branch": (dense(), Norm("batch"), RELU, dense(), Add(1.0, 1.0)),
    "kernel": (kernel(),),
    "kernel with biases": (kernel(1.5, **BIASES),),
    "strided kernel": (kernel(1.5, 2),),
    "grouped kernel": (kernel(1.5, 1, 5),),
    "strided groups and tanh": (kernel(1.5, 2, 5), TANH),
    "kernel with an edge": (edged(),),
    "block with an edge": (TANH, edged(), Add(0.8, 1.0)),
    "layer norm of images": (kernel(), Norm("layer", POSITIONS)),
    "batch norm of images": (kernel(), Norm("batch", POSITIONS)),
    "pool": (Pool(POSITIONS), dense(1.5, CHANNELS, CHANNELS // 10)),
    "pool of tanh": (TANH, Pool(POSITIONS), dense(1.5, CHANNELS, CHANNELS // 10)),
    "pool of relu": (RELU, Pool(POSITIONS), dense(1.5, CHANNELS, CHANNELS // 10)),
}


class Made(NamedTuple):
    """A step of one network: what it makes, and its way back."""

    after: Array  # (channels, positions, inputs)
    back: Back


class Sums(NamedTuple):
    """Means over one network, of one number or one for each position."""

    second: Array
    between: Array  # product of two inputs
    across: Array  # product of two positions
    enters: Array  # the same of the gradient of what enters, and its product with it
    between_gradients: Array
    across_gradients: Array
    along: Array
    weight_gradient: Array


class Simulated:
    """One network, whose weights are drawn step by step, and the gradients of these."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.squares, self.n_weights = rng, 0.0, 0

    def step(self, step: Step, z: Array) -> Made:
        match step:
            case Weights():
                return self.weighted(step, z)
            case Activate():
                return activated(step, z)
            case Norm():
                return normalised(step.kind, z)
            case Gate():
                gate, value = self.weighted(step.gate, z), self.weighted(step.value, z)
                a = activated(step.activation, gate.after)
                return Made(
                    a.after * value.after,
                    lambda g: gate.back(a.back(g * value.after)) + value.back(g * a.after),
                )
            case Dropout():
                mask = (self.rng.random(z.shape) >= step.rate) / (1 - step.rate)
                return Made(z * mask, lambda g: g * mask)
            case Attention():  # of one input: it sees itself alone
                self.n_weights += sum(math.prod(w.shape) for w in (step.query, step.key))
                return self.weighted(step.value, z)
            case Pool():
                return Made(
                    z.mean(axis=1, keepdims=True),
                    lambda g: np.broadcast_to(g / step.positions, z.shape),
                )
            case _:
                raise TypeError(step)

    def weighted(self, weights: Weights, z: Array) -> Made:
        """Ω tap by tap, in blocks along the diagonal where there are groups."""
        spec, window, (c_in, c_out) = weights.spec, weights.window, weights.channels
        window = window or Window((1,), 1)
        blocks = np.kron(np.eye(window.groups), np.ones((c_out // window.groups, 1)))
        blocks = np.repeat(blocks, c_in // window.groups, axis=1)
        omega = self.rng.random((window.taps, c_out, c_in), np.float32) - np.float32(0.5)
        omega *= math.sqrt(12 * spec.weight_variance)  # of any law: uniform ones are drawn fast
        if window.groups > 1:
            omega *= blocks
        beta = math.sqrt(spec.bias_variance) * self.rng.standard_normal((c_out, 1, 1))
        taps = []
        for tap, matrix in enumerate(omega):
            at = np.arange(0, window.positions, window.stride) + tap - (window.kernel - 1) // 2
            inside = (at >= 0) & (at < window.positions) | (window.padding == "circular")
            taps.append((matrix, at % window.positions, inside[:, np.newaxis]))
        z, f = z.astype(np.float32), beta + spec.bias_mean
        for matrix, at, inside in taps:
            f = f + np.tensordot(matrix, z[:, at] * inside.astype(np.float32), 1)

        def back(g: Array) -> Array:
            dz = np.zeros_like(z)
            for matrix, at, inside in taps:
                dz[:, at] += np.tensordot(matrix.T, g.astype(np.float32), 1) * inside
                seen = z[:, at] * inside
                if weights.window is None:  # the outer product of ∂ℓ/∂f and z
                    sizes = ((x.astype(float) ** 2).sum(axis=(0, 1)) for x in (g, seen))
                    self.squares += float(np.multiply(*sizes).mean())
                    continue
                for gradient, one in zip(g.T, seen.T, strict=True):
                    self.squares += float(((gradient.T @ one) ** 2 * blocks).sum()) / INPUTS
            self.n_weights += math.prod(weights.shape)
            return dz

        return Made(f, back)


def activated(step: Activate, z: Array) -> Made:
    a = activation_of(step)
    slope = np.asarray(a.derivative(z), float)
    return Made(a.value(z, np.empty_like(z)), lambda g: g * slope)


def normalised(kind: str, z: Array) -> Made:
    over = (1, 2) if kind == "batch" else (0, 1)
    mean = 0.0 if kind == "rms" else z.mean(axis=over, keepdims=True)
    size = np.sqrt(((z - mean) ** 2).mean(axis=over, keepdims=True))
    unit = (z - mean) / size

    def back(g: Array) -> Array:
        common = 0.0 if kind == "rms" else g.mean(axis=over, keepdims=True)
        return np.asarray((g - common - unit * (g * unit).mean(axis=over, keepdims=True)) / size)

    return Made(unit, back)


def windows(row: Row) -> list[Window]:
    return [w.window for step in row for w in weights_in(step) if w.window]


def is_uneven(row: Row) -> bool:
    return any(window.padding == "zero" for window in windows(row))


def of_images(row: Row) -> bool:
    return bool(windows(row)) or any(isinstance(step, Pool) for step in row)


def entering(rng: np.random.Generator, row: Row) -> Array:
    """Normal numbers, (channels, positions, inputs), of the cosines of inputs and positions."""
    positions = POSITIONS if of_images(row) else 1
    shape = (UNITS // positions, positions, INPUTS)
    shares = (LIKE_INPUTS, LIKE_POSITIONS - LIKE_INPUTS, 1 - LIKE_POSITIONS)
    if positions == 1 or is_uneven(row):  # all that positions have in common is that of inputs
        shares = (LIKE_INPUTS * (positions == 1), 0.0, 1 - LIKE_INPUTS * (positions == 1))
    z = np.zeros(shape)
    for share, alike in zip(shares, ((shape[0], 1, 1), (shape[0], 1, INPUTS), shape), strict=True):
        z += math.sqrt(share * VARIANCE) * rng.standard_normal(alike)
    return z


@cache
def simulated(name: str) -> Sums:
    """Means over each network, (networks, ...)."""
    row, found = ROWS[name], []
    for n in range(NETWORKS):
        rng = np.random.default_rng((5, n))
        network, first = Simulated(rng), 0
        signals, made, entries = [entering(rng, row)], list[Made | None](), dict[int, int]()
        for place, step in enumerate(row):
            if isinstance(step, Add):
                entries[place], first = first, place + 1
                made.append(None)
                signals.append(step.skip * signals[entries[place]] + step.scale * signals[-1])
            else:
                one = network.step(step, signals[-1])
                made.append(one)
                signals.append(one.after)
        end = signals[-1]
        g = SHARE * end / np.sqrt((end**2).mean(axis=(0, 2), keepdims=True))
        g = g + math.sqrt(1 - SHARE**2) * rng.standard_normal(end.shape)
        skipping = dict[int, Array]()
        for place in range(len(row) - 1, -1, -1):
            step, before = row[place], made[place]
            if isinstance(step, Add):
                skipping[entries[place]] = step.skip * g
                g = step.scale * g
            elif before:
                g = before.back(g)
            g = g + skipping.pop(place, 0.0)
        forth, back = ((second(x), between(x), across(x)) for x in (end, g))
        square = np.array(network.squares / network.n_weights)
        found.append(Sums(*forth, *back, (g * signals[0]).mean(axis=(0, 2)), square))
    return Sums(*(np.array(values) for values in zip(*found, strict=True)))


def second(z: Array) -> Array:
    return np.asarray((z**2).mean(axis=(0, 2)))


def between(z: Array) -> Array:
    """The mean product of two inputs."""
    return products(z, 2)


def across(z: Array) -> Array:
    """The mean product of two positions."""
    return products(z, 1)


def products(z: Array, axis: int) -> Array:
    n = z.shape[axis]
    pairs = z.sum(axis=axis) ** 2 - (z**2).sum(axis=axis)
    return np.asarray(pairs.mean() / (n * (n - 1)) if n > 1 else math.nan)


def theory(row: Row, share: float = SHARE) -> Sums:
    """The same by the maps of the steps; NaN is what is not known."""
    uneven = is_uneven(row)
    zero = np.zeros(POSITIONS if uneven else ())[()]
    ln = zero + math.log(VARIANCE)
    cosine = LIKE_POSITIONS if of_images(row) and not uneven else math.nan
    ln_gap = 0.0 if uneven else math.log(1 - LIKE_INPUTS)
    z = Signal(ln, ln, zero, cosine, ln_gap, "gaussian")
    batch = Batch(INPUTS, alike=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # as in `mean_field`
        passed = rows.forward(rows.way_of(row), z, batch)
        end = passed.signals[-1]
        likeness, none = -math.expm1(end.ln_gap), np.zeros(np.shape(end.ln_second))[()]
        unit = identity_along(end) if end.law == "gaussian" else none + 1
        cosines = (share**2 * cosine for cosine in (end.cosine, likeness))
        across_positions, between_inputs = cosines
        g = Gradient(
            none, across_positions, share * unit, share * end.mean_share, none + share**2,
            between_inputs,
        )  # fmt: skip
        returned = rows.back(passed, g, batch)
    dz = returned.gradients[0]
    after, before = np.exp(end.ln_second), np.exp(dz.ln_second)
    square = math.exp(returned.weights.ln_second) if any(map(weights_in, row)) else math.nan
    return Sums(
        after,
        after * likeness,
        after * end.cosine,
        before,
        before * dz.between,
        before * dz.cosine,
        along_signal(dz, z) * np.sqrt(before * VARIANCE),
        np.array(square),
    )


Place = tuple[str, int]
BETWEEN, ACROSS = {"between_gradients"}, {"across", "across_gradients"}
# What the maps leave open, and simulated networks have.
OPEN: dict[str, set[str]] = {
    **dict.fromkeys(("gate", "relu gate", "gated block"), BETWEEN),
    "dropout and relu": {"between", "along"} | BETWEEN,
    "kernel with an edge": ACROSS,
    "block with an edge": {"between"} | BETWEEN | ACROSS,
    **dict.fromkeys(("pool", "pool of tanh", "pool of relu"), {"between"} | BETWEEN),
}


def farthest(name: str, expected: Sums) -> float:
    """Largest distance of means over networks from theory, in errors that are allowed."""
    width = CHANNELS if of_images(ROWS[name]) else UNITS
    scales = [np.mean(expected.second)] * 3 + [np.mean(expected.enters)] * 3
    scales += [math.sqrt(float(np.mean(expected.enters)) * VARIANCE), expected.weight_gradient]
    distances = []
    for values, numbers, scale in zip(simulated(name), expected, scales, strict=True):
        if np.isnan(values).any() or np.isnan(numbers).any():
            continue
        if values.size > NETWORKS and np.ndim(numbers) == 0:  # positions that are all alike
            values = values.mean(axis=1)
        numbers = np.mean(numbers) if values.ndim == 1 else numbers
        error = values.std(axis=0, ddof=1) / math.sqrt(NETWORKS)
        off = np.abs(values.mean(axis=0) - numbers)
        distances.append(np.max(off / (ERRORS * error + LEFT / width * scale + 1e-12)))
    return float(np.max(distances))


QUICK = ("kernel with biases", "strided groups and tanh", "kernel with an edge", "pool of tanh")


@pytest.mark.parametrize("name", slow_but(ROWS, *QUICK))
def test_wide_networks_are_as_the_maps_say(name: str) -> None:
    expected = theory(ROWS[name])
    measured = {
        field
        for field, x in zip(Sums._fields, simulated(name), strict=True)
        if not np.isnan(x).any()
    }
    unknown = {field for field in measured if np.isnan(getattr(expected, field)).any()}
    assert unknown == OPEN.get(name, set())
    assert farthest(name, expected) < 1
    if not {"norm", "pool"} & set(name.split()):  # of which these leave nothing, or little
        assert farthest(name, theory(ROWS[name], share=0.0)) > 1


def more(weights: Weights) -> Weights:
    variance = 1.6 * weights.spec.weight_variance or 0.3 / weights.inputs
    return weights._replace(spec=weights.spec._replace(weight_variance=variance))


def planted(step: Step) -> Step:
    """The step with another number, or none where it has none."""
    match step:
        case Weights():
            return more(step)
        case Activate():
            leaky = Activate("leaky_relu", (("negative_slope", 0.5),))
            return leaky if step == RELU else RELU
        case Norm() | Pool():
            return Dropout(0.0)
        case Gate() | Attention():
            return step._replace(value=more(step.value))
        case Dropout(rate):
            return Dropout(rate + 0.2)
        case Add(scale, skip):
            return Add(1.3 * scale or 0.3, skip)


HIDDEN: set[Place] = {("rezero", 0), ("rezero", 1)}  # in a branch that is not there
TWINS = [(n, p) for n, row in ROWS.items() for p in range(len(row)) if (n, p) not in HIDDEN]


@pytest.mark.parametrize(("name", "place"), slow_but(TWINS, *(t for t in TWINS if t[0] in QUICK)))
def test_another_number_of_a_step_is_found(name: str, place: int) -> None:
    row = list(ROWS[name])
    row[place] = planted(row[place])
    assert farthest(name, theory(tuple(row))) > 1


def test_every_step_is_there_alone_and_in_a_row() -> None:
    assert {type(step) for row in ROWS.values() for step in row} == set(WORDS)
    blocks = [row for row in ROWS.values() if sum(map(bool, map(weights_in, row))) > 1]
    assert {type(step) for row in blocks for step in row} >= {Norm, Gate, Dropout, Add, Activate}


@pytest.mark.parametrize("tokens", [2, 5])
def test_attention_to_others_is_empty_and_so_is_what_follows(tokens: int) -> None:
    attention = Attention(dense(), dense(), dense(), 4, False, tokens)
    for row in ((attention,), (attention, dense(), Add()), (Norm(), attention, RELU, dense())):
        found = theory(row)
        for field in Sums._fields:
            assert np.isnan(getattr(found, field)).all() or field == "weight_gradient", field
        assert np.isnan(found.weight_gradient)
    found = theory((attention, dense(), Norm("rms")))
    assert found.second == 1.0
    assert np.isnan(found.enters)


def test_batch_norm_of_relu_layers_explodes_backward_by_the_published_factor() -> None:
    # π/(π − 1) per layer of infinitely many inputs, Yang et al. 2019; of n of them but for 1/n
    text = """
name: x
network:
  {depth: 20, width: 50, input_dim: 50, block: [weights, {norm: {kind: batch}}, activation]}
init: {scheme: he_normal}
inputs: {count: 1000000}
"""
    (condition,) = parse_config(text).conditions
    log10 = mean_field(condition, independent=True)["grad_activation", "second_moment"]
    factors = 10 ** -np.diff(log10)[1:-1]
    np.testing.assert_allclose(factors, math.pi / (math.pi - 1), rtol=1e-5, atol=0)
