"""Networks of rows of steps as plain matrices in complex numbers, differentiated by complex step.

Nothing of `heinit_sim.network` is used. Arrays are (moves, units, n_inputs): a leading axis runs
over small moves along the imaginary axis, each of one number somewhere in the network.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.steps import (
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
    Window,
    matrices,
    place_of_f,
    units_in,
    weights_in,
)
from heinit_sim.sampling.streams import Draws

Array = np.ndarray
Name = tuple[str, int]
STEP = 1e-40  # of the complex step: no difference is taken, so no digit is lost

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
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu_tanh": lambda z: z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
}


def matrix(kernels: Array, window: Window) -> Array:
    """A convolution as the matrix it is, entry by entry; units are channels, then positions."""
    c_out, _, per_group = kernels.shape
    size, centre = window.image, (window.kernel - 1) // 2
    taps = list(itertools.product(range(window.kernel), repeat=len(size)))
    positions = list(itertools.product(*map(range, size)))
    leaving = list(itertools.product(*(range(0, n, window.stride) for n in size)))
    full = np.zeros((c_out, len(leaving), per_group * window.groups, len(positions)), kernels.dtype)
    for p, position in enumerate(leaving):
        for number, tap in enumerate(taps):
            source = [a + b - centre for a, b in zip(position, tap, strict=True)]
            if window.padding == "circular":
                source = [a % n for a, n in zip(source, size, strict=True)]
            if tuple(source) not in positions:
                continue
            for o in range(c_out):
                group = o // (c_out // window.groups)
                inputs = range(group * per_group, (group + 1) * per_group)
                there = positions.index(tuple(source))
                full[o, p, inputs, there] += kernels[o, number]
    return full.reshape(c_out * len(leaving), -1)


def full_matrix(omega: Array, weights: Weights) -> Array:
    return omega if weights.window is None else matrix(omega, weights.window)


@cache
def single_weights(weights: Weights) -> Array:
    """The matrices of a weight of 1 with zeros beside it, for each of the weights."""
    singles = np.eye(math.prod(weights.shape)).reshape(-1, *weights.shape)
    return np.array([full_matrix(single, weights) for single in singles])


def slow_norm(z: Array, step: Norm) -> Array:
    if step.kind == "batch":
        moves, units, n = z.shape
        channels = z.reshape(moves, units // step.positions, step.positions * n)
        return _standardised(channels, centred=True).reshape(z.shape)
    columns = np.swapaxes(z, 1, 2)
    return np.swapaxes(_standardised(columns, centred=step.kind == "layer"), 1, 2)


def _standardised(z: Array, *, centred: bool) -> Array:
    z = z - z.mean(axis=-1, keepdims=True) if centred else z
    square = (z**2).mean(axis=-1, keepdims=True)
    return np.where(square.real == 0, 0.0, z / np.sqrt(np.where(square.real == 0, 1.0, square)))


def slow_attention(query: Array, key: Array, value: Array, step: Attention) -> Array:
    moves = max(len(query), len(key), len(value))
    units, n = value.shape[1:]
    found = np.zeros((moves, units, n), complex)
    d = units // step.heads
    for head, start in itertools.product(range(step.heads), range(0, n, step.tokens)):
        rows = slice(head * d, (head + 1) * d)
        for t in range(step.tokens):
            seen = range(start, start + (t + 1 if step.causal else step.tokens))
            scores = [(query[:, rows, start + t] * key[:, rows, s]).sum(axis=1) for s in seen]
            shares = np.exp(np.array(scores) / math.sqrt(d))
            shares = shares / shares.sum(axis=0)
            for p, s in zip(shares, seen, strict=True):
                found[:, rows, start + t] += p[:, np.newaxis] * value[:, rows, s]
    return found


def draws_of(rows: Sequence[Row], n_inputs: int = 2) -> Draws:
    """The draws of all matrices of the rows, from normal laws."""
    shapes = tuple(weights.shape for row in rows for weights in matrices(row))
    normal: Distribution = "normal"
    return Draws(shapes, (normal,) * len(shapes), units_in(rows[0]), n_inputs)


@dataclass
class SlowNetwork:
    """One network and its batch."""

    rows: Sequence[Row]
    weights: Sequence[Array]
    """Ω/σ of all matrices."""
    biases: Sequence[Array] | None = None
    """β, (rows of Ω,)."""
    masks: Sequence[Array] = ()
    """Of each dropout, (units, n_inputs)."""
    target: float = 0.3
    bumps: dict[Name, Array] = field(default_factory=dict)
    """("h", k), ("f", k) or ("made", place of a matrix) -> what is added, (moves, units, n)."""
    entered: dict[int, Array] = field(default_factory=dict)
    """Place of a matrix -> what entered it in the last run."""
    full: dict[int, Array] = field(default_factory=dict)
    end: Array = field(default_factory=lambda: np.empty(0))
    """What the last run ended with."""

    def weigh(self, place: int, weights: Weights, z: Array) -> Array:
        self.entered[place] = z
        if place not in self.full:
            omega = math.sqrt(weights.spec.weight_variance) * self.weights[place]
            self.full[place] = full_matrix(omega, weights)
        f = self.full[place] @ z
        if self.biases is not None:
            positions = 1 if weights.window is None else weights.window.positions_out
            f = f + np.repeat(self.biases[place], positions)[:, np.newaxis]
        return np.asarray(f + self.bumps.get(("made", place), 0))

    def apply(self, step: Step, place: int, mask: int, z: Array, entered: Array) -> Array:
        match step:
            case Weights():
                return self.weigh(place, step, z)
            case Activate(name):
                return np.asarray(ANALYTIC[str(name)](z))
            case Norm():
                return slow_norm(z, step)
            case Gate():
                opening = np.asarray(
                    ANALYTIC[str(step.activation.function)](self.weigh(place, step.gate, z))
                )
                return np.asarray(opening * self.weigh(place + 1, step.value, z))
            case Dropout(rate):
                return np.where(self.masks[mask] < rate, 0.0, z / (1 - rate))
            case Attention():
                made = [self.weigh(place + n, w, z) for n, w in enumerate(weights_in(step))]
                return slow_attention(made[0], made[1], made[2], step)
            case Pool(positions):
                return np.asarray(z.reshape(len(z), -1, positions, z.shape[-1]).mean(axis=2))
            case Add(scale, skip):
                return np.asarray(skip * entered + scale * z)

    def run(self, x: Array) -> tuple[dict[Name, Array], Array]:
        """All h_k and f_k, and the loss of all inputs for each move."""
        named, place, mask = dict[Name, Array](), 0, 0
        h = x.astype(complex)[np.newaxis]
        for k, row in enumerate(self.rows):
            h = h + self.bumps.get(("h", k), 0)
            named["h", k] = entered = z = h
            for n, step in enumerate(row):
                z = self.apply(step, place, mask, z, entered)
                place, mask = place + len(weights_in(step)), mask + isinstance(step, Dropout)
                if n == place_of_f(row):
                    z = z + self.bumps.get(("f", k), 0)
                    named["f", k] = z
                entered = z if isinstance(step, Add) else entered
            h = z
        self.end = h
        return named, ((h - self.target) ** 2).sum(axis=(1, 2))

    def derivative(self, name: Name, shape: tuple[int, int], x: Array) -> Array:
        """The loss of all inputs by each number of h_k, f_k, or of what a matrix makes."""
        moves = 1j * STEP * np.eye(math.prod(shape)).reshape(-1, *shape)
        self.bumps = {name: moves}
        _, loss = self.run(x)
        self.bumps = {}
        return loss.imag.reshape(shape) / STEP

    def jacobian(self, x: Array) -> Array:
        """The end by each component of the first input of a batch, (D_o, D_0)."""
        moves = np.zeros((len(x), *x.shape), complex)
        moves[:, :, 0] = 1j * STEP * np.eye(len(x))
        self.bumps = {("h", 0): moves}
        self.run(x)
        self.bumps = {}
        return self.end[:, :, 0].imag.T / STEP

    def weight_gradients(self, k: int, x: Array) -> tuple[Array, Array]:
        """∂ℓ/∂Ω and ∂ℓ/∂β of layer k through each input alone, (n_inputs, weights or biases).

        f is linear in the weights: ∂f/∂Ω is f with a weight of 1 and zeros beside it.
        """
        first = sum(len(matrices(row)) for row in self.rows[:k])
        found, biases = [], []
        for place, weights in enumerate(matrices(self.rows[k]), first):
            units = weights.outputs
            by_result = self.derivative(("made", place), (units, x.shape[1]), x)
            self.run(x)
            z = self.entered[place][0].real
            found.append(np.einsum("un,eui,in->ne", by_result, single_weights(weights), z))
            biases.append(by_result.reshape(weights.shape[0], -1, x.shape[1]).sum(axis=1).T)
        return np.concatenate(found, axis=1), np.concatenate(biases, axis=1)
