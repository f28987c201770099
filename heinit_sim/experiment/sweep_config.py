"""The frozen dataclasses of what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.labels import SELF_EXPLAINING, shortened, swept_text, to_text
from heinit_sim.experiment.number_formats import FormatName
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.steps import (
    Activate,
    Row,
    Weights,
    WeightSpec,
    activates_in,
    distinct,
    matrices,
    units_in,
)

STREAM_VERSION = 1
"""Version of the numbers that a seed gives: weights, biases and inputs, and the samples of
predictions, identities and verdicts. It grows when any of these draws changes."""

DrawsName = Literal["common", "independent"]
EngineName = Literal["weights", "conditional"]
"""How networks are simulated. weights: these are drawn and multiplied with; conditional: what they
do to the inputs of the batch is drawn, which has the same law."""
OptimiserName = Literal["sgd", "adam"]
SlopeQuantity = Literal["preactivation_update", "activation_update", "preactivation", "activation"]
"""Quantities whose size is followed over width."""
FigureQuantity = Literal["variance", "second_moment", "std"]
LossName = Literal["least_squares", "cross_entropy", "probe"]
PublishedCurves = Literal["figure_7_4_published"]
FigureTheme = Literal["light", "dark", "transparent-light", "transparent-dark"]
FigureSize = Literal["slide", "beamer", "column", "text"]
FigurePanels = Literal["both", "forward", "backward"]
FigureFormat = Literal["png", "svg", "pdf", "tex"]
DecimalMark = Literal[".", ","]
_LISTED = 5
"""Conditions that a config names when it is printed."""


class Lsuv(NamedTuple):
    """How weights are brought to unit variance layer by layer, on the batch itself."""

    tolerance: float = 0.1
    """|Var f_k − 1| below which a layer is left as it is."""
    attempts: int = 10
    """How often a layer's weights are divided at most."""
    centre: bool = False
    """Whether biases bring the mean of each unit over the batch to 0."""


class Loss(NamedTuple):
    """A function of the outputs, whose gradient goes back through the network."""

    name: LossName = "least_squares"
    """least_squares: ℓ = Σ_o (f_K,o − y)². cross_entropy: −ln of the softmax of the outputs at a
    class that is drawn, any as likely as another. probe: ℓ = Σ_o p_o f_K,o with p_o ~ N(0, 1), so
    that ∂ℓ/∂f_K is independent of the network."""
    target: float = 0.0
    """y of least squares."""

    @property
    def is_quadratic(self) -> bool:
        """Whether the gradient is 2 f_K, the loss a square of the outputs alone."""
        return self.name == "least_squares" and self.target == 0.0


class Update(NamedTuple):
    """One step of training on the mean loss of the batch."""

    optimiser: OptimiserName
    rates: tuple[float, ...]
    """η of each matrix, in the order in which they are drawn."""
    bias_rates: tuple[float, ...]
    """η of the biases beside each matrix."""


@dataclass(frozen=True)
class Condition:
    """One point of the sweep: a network, the variance of its weights, its inputs and its loss."""

    index: int
    """Place in the grid, 0-based."""
    swept: Mapping[str, object]
    """Dotted path of each swept key -> its value at this point, in the order of the sweep."""
    layers: tuple[Row, ...]
    """The steps of the layers 0 … K."""
    n_inputs: int
    """Inputs in the batch, tokens of sequences one by one."""
    loss: Loss
    """The loss that the outputs are judged by."""
    lsuv: Lsuv | None = None
    """How weights are fitted to the batch, if they are."""
    inputs: Inputs = field(default_factory=Inputs)
    """Law of the inputs, x ~ N(0, I) by default."""
    update: Update | None = None
    """The step of training whose effect is recorded, if one is."""

    def __repr__(self) -> str:
        return f"Condition {self.index}: {shortened(self.label, 100) or 'as configured'}"

    @cached_property
    def weights(self) -> tuple[Weights, ...]:
        """The last weights of each of the layers 0 … K, which make f_k."""
        return tuple(matrices(row)[-1] for row in self.layers)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """D_0 … D_{K+1}: units of what enters each layer, and of f_K."""
        return (*(units_in(row) for row in self.layers), self.weights[-1].outputs)

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """(fan_in, fan_out) of the last weights of the layers 0 … K."""
        return tuple(weights.fans for weights in self.weights)

    @property
    def specs(self) -> tuple[WeightSpec, ...]:
        """The laws of the last weights of the layers 0 … K."""
        return tuple(weights.spec for weights in self.weights)

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """σ²_Ω of the last weights of the layers 0 … K."""
        return tuple(spec.weight_variance for spec in self.specs)

    @property
    def weight_scales(self) -> tuple[float, ...]:
        """σ²_w = fan_in σ²_Ω of the last weights of the layers 0 … K."""
        return tuple(weights.fans[0] * weights.spec.weight_variance for weights in self.weights)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """σ²_b beside the last weights of the layers 0 … K."""
        return tuple(spec.bias_variance for spec in self.specs)

    @property
    def bias_means(self) -> tuple[float, ...]:
        """Means of the biases beside the last weights of the layers 0 … K."""
        return tuple(spec.bias_mean for spec in self.specs)

    @property
    def has_normal_weights(self) -> bool:
        """Whether all weights are drawn from a normal law."""
        return all(spec.weight_distribution == "normal" for spec in self.every_spec)

    @property
    def has_biases(self) -> bool:
        """Whether any bias is random or other than 0."""
        return any(spec.bias_variance or spec.bias_mean for spec in self.every_spec)

    @cached_property
    def activates(self) -> tuple[Activate, ...]:
        """The activations of all layers, each once, in the order in which they come."""
        steps = (
            activate
            for row in distinct(self.layers)
            for step in row
            for activate in activates_in(step)
        )
        return tuple(dict.fromkeys(steps))

    @cached_property
    def is_convolutional(self) -> bool:
        """Whether any layer is a convolution."""
        return any(weights.window for row in distinct(self.layers) for weights in matrices(row))

    @cached_property
    def every_spec(self) -> frozenset[WeightSpec]:
        """The laws of all weights of all layers, each once."""
        return frozenset(weights.spec for row in distinct(self.layers) for weights in matrices(row))

    @property
    def depth(self) -> int:
        """K, the number of hidden layers."""
        return len(self.layers) - 1

    @property
    def label(self) -> str:
        """The swept values, e.g. "init.variance = 0.02"; empty where nothing is swept."""
        names = {path: "" if path in SELF_EXPLAINING else f"{path} = " for path in self.swept}
        parts = (names[path] + swept_text(path, v, to_text) for path, v in self.swept.items())
        return ", ".join(parts)


@dataclass(frozen=True)
class FigureConfig:
    """The figure that a config asks for."""

    quantity: FigureQuantity = "variance"
    decades: tuple[float, float] | None = None
    """Range of both value axes, in decades; None fits the data."""
    overlay: PublishedCurves | None = None
    """Published curves drawn on top."""
    limits: FormatName | None = None
    """Format whose smallest normal and largest number are drawn as lines."""
    kind: str = "layers"
    """A key of `figure_kinds.FIGURE_KINDS`."""
    theme: FigureTheme = "light"
    """Ground that the figure is shown on, which its colours are chosen for."""
    size: FigureSize | tuple[float, float] | None = None
    """Name of a size, or width and height in inches; None: the figure's own."""
    font: str | None = None
    """Family of the font; None: the figure's own."""
    font_size: float | None = None
    """Points as printed; None: the figure's own."""
    panels: FigurePanels = "both"
    only: tuple[int, ...] | None = None
    """Places in the grid of the conditions that are shown; None: all of them."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """A swept value as `labels.swept_text(path, value, labels.to_text)` writes it -> its label."""
    order: tuple[str, ...] = ()
    """Swept values, as in `labels`, whose conditions come first where one after the other does."""
    title: str | None = None
    colors: tuple[str, ...] | str | None = None
    """A colour of matplotlib for each condition of the sweep, or a colour map's name."""
    decimal: DecimalMark = "."
    style: str | None = None
    """Name in matplotlib's style library, or the path of an .mplstyle file."""
    formats: tuple[FigureFormat, ...] = ("png", "svg", "pdf")
    """Suffixes of the files that hold the figure."""
    dpi: int = 200
    svg_text: bool = False
    """Whether text of an SVG stays text; else it is outlines."""


class WidthSlope(NamedTuple):
    """A quantity that should be as large in networks of any width."""

    quantity: SlopeQuantity
    within: float
    """Largest size of the slope of log2 of its root mean square, per doubling of width."""
    layers: tuple[int, ...]
    """Layers that it is held at; empty: all of them."""


@dataclass(frozen=True)
class Expectation:
    """An outcome that a config says must come out."""

    when: Mapping[str, object]
    """Dotted path -> the value it must have; empty: every condition."""
    conditions: tuple[int, ...]
    """Places in the grid of the conditions that `when` selects."""
    forward: str | None
    """vanishing, stable or exploding; None expects nothing."""
    backward: str | None
    max_decades_per_layer: float | None
    """Largest slope of either pass, in size."""
    width_slope: WidthSlope | None = None
    line: int | None = field(default=None, compare=False)
    """Line of the config where it stands; None for one that was set from elsewhere."""


@dataclass(frozen=True)
class SweepConfig:
    """A validated config: the conditions to simulate and how."""

    name: str
    conditions: tuple[Condition, ...]
    sweep: Mapping[str, tuple[object, ...]]
    """Dotted path -> swept values; the conditions are their grid, the last path varying fastest."""
    trials: int
    """Independent networks per condition."""
    seed: int
    draws: DrawsName = "common"
    engine: EngineName = "weights"
    record: Records = field(default_factory=Records)
    """Records that are kept beside the moments."""
    figure: FigureConfig = field(default_factory=FigureConfig)
    expect: tuple[Expectation, ...] = ()
    document: Mapping[str, object] = field(default_factory=dict)
    """The resolved config as plain values: what `config.yaml` of a run holds."""
    made_by: str = field(default="", compare=False)
    """Versions that wrote the manifest it was read from, where they are not those that are here."""

    def __repr__(self) -> str:
        n = len(self.conditions)
        size = f"{n} condition{'s' * (n != 1)} × {self.trials} network{'s' * (self.trials != 1)}"
        lines = [f"SweepConfig {self.name}: {size}, seed {self.seed}"]
        lines += [f"  {condition!r}" for condition in self.conditions[:_LISTED]]
        return "\n".join([*lines, f"  … and {n - _LISTED} more"] if n > _LISTED else lines)
