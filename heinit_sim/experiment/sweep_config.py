"""The frozen dataclasses of what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from heinit_sim.experiment.architecture import Convolution, Residual, layer_fans
from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.labels import SELF_EXPLAINING, shortened, swept_text, to_text
from heinit_sim.experiment.quantities import Bins

if TYPE_CHECKING:
    from heinit_sim.experiment.activation_table import Activation, Slope

STREAM_VERSION = 1
"""Version of the numbers that a seed gives: weights, biases and inputs, and the samples of
predictions, identities and verdicts. It grows when any of these draws changes."""

DrawsName = Literal["common", "independent"]
FigureQuantity = Literal["variance", "second_moment", "std"]
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


class LayerSpec(NamedTuple):
    """The laws that the weights and biases of one layer are drawn from."""

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
    """Standard deviations at which a truncated normal is cut off, if not at two."""


@dataclass(frozen=True)
class Condition:
    """One point of the sweep: a network, the variance of its weights, its inputs and its loss."""

    index: int
    """Place in the grid, 0-based."""
    swept: Mapping[str, object]
    """Dotted path of each swept key -> its value at this point, in the order of the sweep."""
    widths: tuple[int, ...]
    """D_0 … D_{K+1}: input, the K hidden layers, output."""
    activation: str | Activation
    """Name of a in `activations.py`, or a user's own."""
    activation_options: Mapping[str, Slope]
    """Options of a, e.g. {"negative_slope": 0.2}; a tuple has one for each layer."""
    layers: tuple[LayerSpec, ...]
    """Laws of the weights and biases of the layers 0 … K."""
    n_inputs: int
    """Inputs in the batch."""
    target: float
    """y of the least-squares loss Σ_o (f_K,o − y)²."""
    lsuv: Lsuv | None = None
    """How weights are fitted to the batch, if they are."""
    inputs: Inputs = field(default_factory=Inputs)
    """Law of the inputs, x ~ N(0, I) by default."""
    convolution: Convolution | None = None
    """Shape of the hidden layers as convolutions; None where they are fully connected."""
    residual: Residual | None = None
    """How blocks add to what enters them, if they do."""

    def __repr__(self) -> str:
        return f"Condition {self.index}: {shortened(self.label, 100) or 'as configured'}"

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """(fan_in, fan_out) of the layers 0 … K."""
        return layer_fans(self.widths, self.convolution)

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """σ²_Ω of the layers 0 … K."""
        return tuple(layer.weight_variance for layer in self.layers)

    @property
    def weight_scales(self) -> tuple[float, ...]:
        """σ²_w = fan_in σ²_Ω of the layers 0 … K."""
        pairs = zip(self.fans, self.weight_variances, strict=True)
        return tuple(fan_in * variance for (fan_in, _), variance in pairs)

    @property
    def weight_distributions(self) -> tuple[Distribution, ...]:
        """Shapes of the laws of the weights of the layers 0 … K."""
        return tuple(layer.weight_distribution for layer in self.layers)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """σ²_b of the layers 0 … K."""
        return tuple(layer.bias_variance for layer in self.layers)

    @property
    def bias_means(self) -> tuple[float, ...]:
        """Means of the biases of the layers 0 … K."""
        return tuple(layer.bias_mean for layer in self.layers)

    @property
    def has_normal_weights(self) -> bool:
        """Whether the weights of every layer are drawn from a normal law."""
        return all(layer.weight_distribution == "normal" for layer in self.layers)

    @property
    def has_biases(self) -> bool:
        """Whether any bias is random or other than 0."""
        return any(layer.bias_variance or layer.bias_mean for layer in self.layers)

    @property
    def depth(self) -> int:
        """K, the number of hidden layers."""
        return len(self.widths) - 2

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
    histograms: Bins | None = None
    """Bins in which the numbers of every layer are counted; None counts nothing."""
    cosine: bool = False
    """Whether the cosines between inputs are taken, layer by layer."""
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
