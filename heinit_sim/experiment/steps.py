"""The steps that the layers of a network are made of, each with all of its numbers in place.

A layer is a row of steps; a network is a row for each of the layers 0 … K: the stem, the blocks
and the head. f_k is what the last step with weights of layer k makes, h_{k+1} what the row ends
with, and the last row ends with f_K, or with an activation of the output behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from heinit_sim.experiment.initializers import Distribution

if TYPE_CHECKING:
    from heinit_sim.experiment.activation_table import Activation

T = TypeVar("T")
Padding = Literal["circular", "zero"]
Readout = Literal["flatten", "mean"]
NormKind = Literal["layer", "rms", "batch"]
Shape = tuple[int, ...]
"""(fan_out, fan_in) of a matrix, (c_out, taps, c_in/groups) of a convolution."""


class WeightSpec(NamedTuple):
    """The laws that one matrix of weights and its biases are drawn from."""

    weight_variance: float
    """σ²_Ω; what LSUV starts from."""
    weight_distribution: Distribution = "normal"
    """Shape of the law of the weights."""
    bias_variance: float = 0.0
    """σ²_b."""
    bias_mean: float = 0.0
    """Mean of the biases."""
    bias_distribution: Literal["normal", "uniform"] = "normal"
    """Shape of the law of the biases."""
    weight_option: float | None = None
    """Standard deviations at which a truncated normal is cut off, if not at two; share of zeros
    in each column of sparse weights."""
    weight_mean: float = 0.0
    """Mean of the weights, to which what is drawn is added."""

    @property
    def weight_std(self) -> float:
        """σ of the weights; of constant ones their size."""
        return math.sqrt(self.weight_variance) or abs(self.weight_mean)


class Window(NamedTuple):
    """How the positions of an image are connected with those of the next."""

    image: tuple[int, ...]
    """Positions along each of one or two dimensions, of what enters."""
    kernel: int
    """k, positions that a kernel spans along each dimension."""
    padding: Padding = "circular"
    """Numbers beyond the edge: those at the opposite edge, or zeros."""
    stride: int = 1
    """Positions from one output to the next along each dimension."""
    groups: int = 1
    """Parts of equal size of the channels, each connected with its own part alone."""

    @property
    def positions(self) -> int:
        """Positions of one channel of what enters."""
        return math.prod(self.image)

    @property
    def image_out(self) -> tuple[int, ...]:
        """Positions along each dimension of what leaves: every stride-th, the first included."""
        return tuple(-(-side // self.stride) for side in self.image)

    @property
    def positions_out(self) -> int:
        """Positions of one channel of what leaves."""
        return math.prod(self.image_out)

    @property
    def taps(self) -> int:
        """Weights of one kernel: k, or k² in two dimensions."""
        return int(self.kernel ** len(self.image))


class Weights(NamedTuple):
    """f = β + Ω z."""

    spec: WeightSpec
    inputs: int
    """Units of z: of images, channels times positions."""
    outputs: int
    """Units of f."""
    window: Window | None = None
    """How positions are connected; None connects every unit with every other."""

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of z and of f; units, where there are no images."""
        if self.window is None:
            return self.inputs, self.outputs
        return self.inputs // self.window.positions, self.outputs // self.window.positions_out

    @property
    def shape(self) -> Shape:
        """Shape of Ω."""
        if self.window is None:
            return self.outputs, self.inputs
        c_in, c_out = self.channels
        return c_out, self.window.taps, c_in // self.window.groups

    @property
    def fans(self) -> tuple[int, int]:
        """(fan_in, fan_out): of a convolution k² c_in/groups and k² c_out/groups.

        Source: He et al. 2015, eq. 10 and 14.
        """
        if self.window is None:
            return self.inputs, self.outputs
        c_in, c_out = self.channels
        taps, groups = self.window.taps, self.window.groups
        return taps * (c_in // groups), taps * (c_out // groups)


class Activate(NamedTuple):
    """a[z], elementwise."""

    function: str | Activation
    """Name of a in `activations.py`, or a user's own."""
    options: tuple[tuple[str, float], ...] = ()
    """Options of a, e.g. (("negative_slope", 0.2),)."""


class Norm(NamedTuple):
    """z over its size, without gain, bias or ε.

    layer: (z − mean)/std over the units of each input; rms: z/√(mean of z²) over them; batch:
    (z − mean)/std of each channel over inputs and positions.
    """

    kind: NormKind = "layer"
    positions: int = 1
    """Positions of one channel."""


class Gate(NamedTuple):
    """a[Ω_g z] ⊙ Ω_v z."""

    gate: Weights
    """Ω_g."""
    value: Weights
    """Ω_v."""
    activation: Activate
    """a."""


class Dropout(NamedTuple):
    """Each number is 0 with probability `rate`, else divided by 1 − rate."""

    rate: float


class Attention(NamedTuple):
    """Σ_t' softmax(q_t · k_t' / √d) v_t' of each head: d units of each, T inputs a sequence."""

    query: Weights
    key: Weights
    value: Weights
    heads: int
    causal: bool
    """Whether an input sees itself and those before it alone."""
    tokens: int
    """T."""


class Pool(NamedTuple):
    """The mean over the positions of each channel."""

    positions: int


class Add(NamedTuple):
    """α · (what entered since the last `Add`, or the row) + s · z."""

    scale: float = 1.0
    """s."""
    skip: float = 1.0
    """α."""


Step = Weights | Activate | Norm | Gate | Dropout | Attention | Pool | Add
WORDS: Mapping[type[Step], str] = {
    Weights: "weights",
    Activate: "activation",
    Norm: "norm",
    Gate: "gate",
    Dropout: "dropout",
    Attention: "attention",
    Pool: "mean",
    Add: "add",
}
"""Step -> its word in a config; the mean is that of `readout`."""
Row = tuple[Step, ...]
"""The steps of one layer."""


def weights_in(step: Step) -> tuple[Weights, ...]:
    """The matrices of a step, in the order in which they are drawn: that of its fields."""
    if isinstance(step, Weights):
        return (step,)
    return tuple(part for part in step if isinstance(part, Weights))


def matrices(row: Row) -> tuple[Weights, ...]:
    """All matrices of a layer, in the order in which they are drawn."""
    return tuple(weights for step in row for weights in weights_in(step))


def units_after(step: Step, units: int) -> int:
    """Units of what a step makes of so many."""
    if isinstance(step, Pool):
        return units // step.positions
    made = weights_in(step)
    return made[-1].outputs if made else units


def units_in(row: Row) -> int:
    """Units of what enters a layer."""
    before = next((step for step in row if isinstance(step, Pool) or weights_in(step)), None)
    if isinstance(before, Pool):
        return before.positions * matrices(row)[0].inputs
    return matrices(row)[0].inputs


def place_of_f(row: Row) -> int:
    """Place in the row of the step that makes f_k: the last one with weights."""
    return max(place for place, step in enumerate(row) if weights_in(step))


def distinct(layers: Iterable[Row]) -> list[Row]:
    """The rows of layers, each object once."""
    return list({id(row): row for row in layers}.values())


def by_layer(layers: Sequence[Row], function: Callable[[Row], T]) -> list[T]:
    """The value of a function for the row of each layer: one object for rows that are one."""
    made = {id(row): function(row) for row in distinct(layers)}
    return [made[id(row)] for row in layers]


def changed(layers: tuple[Row, ...], change: Callable[[Step], Step]) -> tuple[Row, ...]:
    """The layers with each step changed; those that are one object stay one."""
    return tuple(by_layer(layers, lambda row: tuple(map(change, row))))


def with_spec(step: Step, change: Callable[[WeightSpec], WeightSpec]) -> Step:
    """The step with the law of each of its matrices changed."""
    if isinstance(step, Weights):
        return step._replace(spec=change(step.spec))
    parts: dict[str, Any] = step._asdict()
    weights = {name: part for name, part in parts.items() if isinstance(part, Weights)}
    return type(step)(**parts | {name: with_spec(part, change) for name, part in weights.items()})


def behind_f(row: Row) -> Row:
    """The steps of a layer that make h_{k+1} of f_k."""
    return row[place_of_f(row) + 1 :]


def activates_in(step: Step) -> tuple[Activate, ...]:
    """The activations of a step."""
    if isinstance(step, Activate):
        return (step,)
    return tuple(part for part in step if isinstance(part, Activate))


def dense_layers(
    widths: Sequence[int], variances: Sequence[float], activate: Activate
) -> tuple[Row, ...]:
    """Fully connected layers without biases, each with the activation but the last.

    Args:
        widths: D_0 … D_{K+1}.
        variances: σ²_Ω of the layers 0 … K.
        activate: a.
    """
    layers = [
        (Weights(WeightSpec(variance), inputs, outputs), activate)
        for inputs, outputs, variance in zip(widths[:-1], widths[1:], variances, strict=True)
    ]
    return (*layers[:-1], layers[-1][:1])


def is_plain(row: Row) -> bool:
    """Whether a layer is f = β + Ω h of what enters it, and at most an activation behind it."""
    return isinstance(row[0], Weights) and all(isinstance(step, Activate) for step in row[1:])
