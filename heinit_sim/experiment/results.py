"""The frozen dataclasses of what is predicted and what is found, beside those of what is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from heinit_sim.experiment.quantities import (
    STATISTICS,
    Measure,
    Quantity,
    Statistic,
)
from heinit_sim.experiment.records import Output, RatioMeasure
from heinit_sim.experiment.sweep_config import Condition, SweepConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heinit_sim.numerics import FloatArray


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    name: str
    """E.g. "expect[0], network.width = 50: forward"."""
    held: bool
    reason: str
    """One line with the numbers: what was measured, what was wanted."""
    tested: bool = True
    """False where nothing could be: it has held, and says nothing."""
    line: int | None = field(default=None, compare=False)
    """Line of the config that says so, if one does."""


@dataclass(frozen=True)
class Prediction:
    """Theory of a condition, known before it is simulated, all as log10."""

    condition: Condition
    exact_layers: Mapping[Quantity, int]
    """quantity -> in how many layers, from 0 on, `theory` is exact at finite width; in all others
    it is the infinite-width recursion."""
    theory: Mapping[Measure, FloatArray]
    """(quantity, statistic) -> (K+1,): the predicted mean over networks; NaN where it is not
    known. That of variances between inputs is the correlation map's, exact in layer 0."""
    mean_field: Mapping[Measure, FloatArray]
    """(quantity, statistic) -> (K+1,): the infinite-width prediction; beside exact means the
    textbook's, in which gradients know nothing of the activations."""
    quantiles: Mapping[Quantity, FloatArray]
    """quantity -> 5 % quantile, median and 95 % quantile over networks of the second moment for
    one input, (3, K+1); empty where the law is not known."""
    sampled: int
    """Networks behind these quantiles."""
    log_norm_spread: float | None
    """Predicted variance over networks of ln ‖h_K‖², to first order in 1/width; None where it is
    not known."""
    theory_ratios: Mapping[RatioMeasure, FloatArray] = field(default_factory=dict, kw_only=True)
    """(quantity, ratio) -> (K+1,): what wide layers have, of the ratios that are asked for; NaN
    where it is not known. No log10."""
    theory_outputs: Mapping[Output, FloatArray] = field(default_factory=dict, kw_only=True)
    """Numbers that are of no layer -> what is predicted of each, where that is asked for: of the
    loss and of mean squares the mean over networks; of the singular values, the largest first, what
    a share i/n of them is above in wide layers. NaN where it is not known."""
    misfit: int | None = field(default=None, kw_only=True)
    """First layer that is too narrow for the infinite-width prediction, of which nothing is given
    from there on; None where there is none."""

    def __repr__(self) -> str:
        layers = f"layers 0 … {self.condition.depth}"
        return f"{type(self).__name__} of {self.condition!r}, {layers}: {self._content()}"

    def _content(self) -> str:
        return "theory, mean_field, quantiles by (quantity, statistic)"

    def theory_mean(self, quantity: Quantity, statistic: Statistic, layer: int) -> float:
        """The predicted mean of a layer; NaN where the quantity has no such statistic."""
        known = self.theory.get((quantity, statistic))
        return math.nan if known is None else float(known[layer])

    def theory_shown(self, measure: Measure) -> tuple[FloatArray, bool]:
        """The mean that is drawn beside a measure, and whether it is exact at finite width.

        It is where every layer's is known, and infinite width's otherwise.
        """
        theory = self.theory[measure]
        exact = self.exact_layers.get(measure[0], 0) > self.condition.depth
        exact = exact and all(map(math.isfinite, theory.tolist()))
        return (theory if exact else self.mean_field[measure]), exact

    def theory_kind(self, quantity: Quantity, layer: int) -> Literal["", "exact", "mean_field"]:
        """Kind of the predicted mean of a layer; empty where there is none."""
        if math.isnan(self.theory_mean(quantity, "second_moment", layer)):
            return ""
        return "exact" if layer < self.exact_layers.get(quantity, 0) else "mean_field"


@dataclass(frozen=True)
class Histogram:
    """How many numbers of each layer are in each bin: units, inputs and networks together.

    A bin holds its lower edge, not its upper one. Zeros are in no bin but counted apart.
    """

    edges: FloatArray
    """(n_bins + 1,): of log10|z|, or of z in standard deviations."""
    counts: NDArray[np.int64]
    """(K+1, n_bins)."""
    below: NDArray[np.int64]
    """(K+1,): numbers under the lowest edge."""
    above: NDArray[np.int64]
    """(K+1,): numbers from the highest edge on."""
    zero: NDArray[np.int64]
    """(K+1,): numbers that are exactly 0."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Numbers that the networks of a condition showed."""

    networks: Mapping[Measure, FloatArray]
    """(quantity, statistic) -> (n_networks, K+1): log10, one number per network and layer."""
    histograms: Mapping[Quantity, Histogram] = field(default_factory=dict)
    """quantity -> its histogram, of the quantities `COUNTED`, if the config asks for them."""
    ratios: Mapping[RatioMeasure, FloatArray] = field(default_factory=dict)
    """(quantity, ratio) -> (n_networks, K+1): numbers that are no log10, if the config asks for
    them; NaN where a network has none."""
    outputs: Mapping[Output, FloatArray] = field(default_factory=dict)
    """Numbers that are of no layer -> (n_networks, how many one network has)."""


@dataclass(frozen=True, repr=False)
class ConditionResult(Prediction, Measurements):
    """Measurements of one condition's networks beside its theory."""

    def _content(self) -> str:
        n_networks = len(next(iter(self.networks.values()), ()))
        return f"{n_networks} networks by (quantity, statistic), beside theory"


@dataclass(frozen=True, repr=False)
class SweepPrediction:
    """Theory of a sweep, known before it is simulated, in the order of the grid."""

    config: SweepConfig
    conditions: tuple[Prediction, ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.config!r}"


@dataclass(frozen=True, repr=False)
class SweepResult:
    """A simulated sweep: one `ConditionResult` per condition, in the order of the grid."""

    config: SweepConfig
    conditions: tuple[ConditionResult, ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.config!r}"

    def to_rows(self) -> list[dict[str, Any]]:
        """One row per condition, quantity and layer, e.g. for `pandas.DataFrame`.

        The columns are those of `layers.csv`, which outputs/README.md explains; numbers are not
        rounded, and what is not known is NaN.
        """
        return list(layer_rows(self))


def layer_rows(result: SweepResult) -> Iterator[dict[str, Any]]:
    """The rows of a result, one by one; see `SweepResult.to_rows`."""
    from heinit_sim.numerics.spread import spread  # loads NumPy

    record = result.config.record
    measures = record.measures
    for outcome in result.conditions:
        for quantity, direction in record.pass_of.items():
            measured = [s for s in STATISTICS if (quantity, s) in measures]
            spreads = {s: spread(outcome.networks[quantity, s]) for s in measured}
            for layer in range(outcome.condition.depth + 1):
                row: dict[str, Any] = {"condition": outcome.condition.index}
                row |= outcome.condition.swept
                row |= {"pass": direction, "quantity": quantity, "layer": layer}
                row["networks"] = len(outcome.networks[quantity, "second_moment"])
                for s in STATISTICS:
                    for name in ("mean", "se", "median", "p05", "p95"):
                        number = getattr(spreads[s], name)[layer] if s in spreads else math.nan
                        row[f"log10_{s}_{name}"] = float(number)
                for s in STATISTICS:
                    row[f"theory_log10_{s}"] = outcome.theory_mean(quantity, s, layer)
                row["theory_kind"] = outcome.theory_kind(quantity, layer)
                yield row
