"""The frozen dataclasses that travel between stages, and the names of what is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from heinit_sim.initializers import Distribution

if TYPE_CHECKING:  # NumPy is not needed to read a config
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heinit_sim.activations import Activation, Slope

Pass = Literal["forward", "backward"]
Quantity = Literal[
    "preactivation", "activation", "grad_preactivation", "grad_activation", "grad_weight"
]
Statistic = Literal["second_moment", "variance", "input_0_second_moment"]
Measure = tuple[Quantity, Statistic]

FigureKind = Literal["layers", "end", "slopes", "spread"]

PASS_OF: dict[Quantity, Pass] = {
    "preactivation": "forward",
    "activation": "forward",
    "grad_preactivation": "backward",
    "grad_activation": "backward",
    "grad_weight": "backward",
}
STATISTICS: tuple[Statistic, ...] = ("second_moment", "variance")
"""What the tables show, of all inputs of a batch together."""
INPUT_0: Statistic = "input_0_second_moment"
"""Over the units alone, for the first input of the batch: its law is known step by step."""
MEASURES: tuple[Measure, ...] = tuple((q, s) for q in PASS_OF for s in (*STATISTICS, INPUT_0))


def to_text(value: object) -> str:
    """A value of a config on one line, e.g. "0.02", "relu" or "[4, 3, 2]"."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    """What that activation takes, e.g. {"negative_slope": 0.2}; a tuple has one for each layer."""
    weight_variances: tuple[float, ...]
    """σ²_Ω of the layers 0 … K."""
    n_inputs: int
    """Inputs in the batch, x ~ N(0, I)."""
    target: float
    """y of the least-squares loss Σ_o (f_K,o − y)²."""
    weight_distribution: Distribution = "normal"
    """Of the weights, whose variance is the above."""
    bias_variance: float = 0.0
    """σ²_b of the layers 0 … K; 0 for no biases."""

    @property
    def depth(self) -> int:
        """K, the number of hidden layers."""
        return len(self.widths) - 2

    @property
    def label(self) -> str:
        """The swept values, e.g. "init.variance = 0.02"; empty where nothing is swept."""
        return ", ".join(f"{path} = {to_text(value)}" for path, value in self.swept.items())


@dataclass(frozen=True)
class FigureConfig:
    """What the two-panel figure shows."""

    quantity: Literal["variance", "second_moment", "std"] = "variance"
    decades: tuple[float, float] | None = None
    """Range of both value axes, in decades; None fits the data."""
    overlay: Literal["figure_7_4_published"] | None = None
    """Published curves drawn on top."""
    kind: FigureKind = "layers"
    """Against the layer, against a swept number, …."""


@dataclass(frozen=True)
class Expectation:
    """What a config says must come out."""

    when: Mapping[str, object]
    """Dotted path -> the value it must have; empty: every condition."""
    conditions: tuple[int, ...]
    """Places in the grid of the conditions that `when` selects."""
    forward: str | None
    """vanishing, stable or exploding; None expects nothing."""
    backward: str | None
    max_decades_per_layer: float | None
    """Largest slope of either pass, in size."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    name: str
    """E.g. "expect[0], init.variance = 0.02: forward"."""
    held: bool
    reason: str
    """One line with the numbers: what was measured, what was wanted."""


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
    draws: Literal["common", "independent"] = "common"
    figure: FigureConfig = field(default_factory=FigureConfig)
    expect: tuple[Expectation, ...] = ()
    document: Mapping[str, object] = field(default_factory=dict)
    """The resolved config as plain values: what `config.yaml` of a run holds."""


@dataclass(frozen=True)
class Prediction:
    """What is known of a condition before it is simulated, all as log10."""

    condition: Condition
    theory_kind: Literal["exact", "mean_field"]
    """What `theory` is: exact at finite width, or the infinite-width recursion."""
    theory: Mapping[Measure, NDArray[np.float64]]
    """(quantity, statistic) -> (K+1,): the predicted mean over networks; NaN where it is not
    known."""
    mean_field: Mapping[Measure, NDArray[np.float64]]
    """(quantity, statistic) -> (K+1,): the infinite-width prediction, the textbook's."""
    quantiles: Mapping[Quantity, NDArray[np.float64]]
    """quantity -> 5 % quantile, median and 95 % quantile over networks of the second moment for
    one input, (3, K+1); empty where the law is not known."""
    sampled: int
    """Networks behind these quantiles."""
    log_norm_spread: float | None
    """Predicted variance over networks of ln ‖h_K‖², to first order in 1/width; None where it is
    not known."""


@dataclass(frozen=True)
class ConditionResult(Prediction):
    """What one condition's networks showed beside what was predicted, all as log10."""

    networks: Mapping[Measure, NDArray[np.float64]]
    """(quantity, statistic) -> (n_networks, K+1): one number per network and layer."""


@dataclass(frozen=True)
class SweepPrediction:
    """What is known of a sweep before it is simulated, in the order of the grid."""

    config: SweepConfig
    conditions: tuple[Prediction, ...]


@dataclass(frozen=True)
class SweepResult:
    """A simulated sweep: one `ConditionResult` per condition, in the order of the grid."""

    config: SweepConfig
    conditions: tuple[ConditionResult, ...]

    def draw(self) -> Figure:
        """Draw the two-panel figure, as `heinit-sim run` does."""
        from heinit_sim import figures

        return figures.draw_forward_backward(self)
