"""How the size of a layer, or of what a step of training changes in it, grows with the width."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, get_args

import numpy as np

from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import SlopeQuantity
from heinit_sim.experiment.width_groups import width_groups, width_path
from heinit_sim.numerics import FloatArray

_LOG2_10 = float(np.log2(10.0))


class WidthSlopes(NamedTuple):
    """Slopes of log2 of a root mean square against log2 of the width, layer by layer."""

    others: Mapping[str, object]
    """The other swept keys, and the values that the networks have in common."""
    widths: tuple[float, ...]
    quantity: SlopeQuantity
    layers: range
    """Layers that have a slope: all but h_0, which no width enters."""
    slopes: FloatArray
    """Mean over networks, (layers,); NaN where any network has no finite logarithm."""
    errors: FloatArray
    """Standard error of the mean, (layers,); NaN for one network."""


def width_slopes(
    result: SweepResult,
    quantities: Iterable[SlopeQuantity] = get_args(SlopeQuantity),
    places: Iterable[int] | None = None,
) -> Iterator[WidthSlopes]:
    """Yield the slopes of each group of conditions that differ in their width alone.

    Network t of every width makes a least-squares slope of its own. These are independent from
    one t to the next, whatever networks of one t have in common: with common draws their inputs
    are the same. A weighted fit of means would have to know that.

    Args:
        result: A sweep over a width, see `width_path`.
        quantities: What is followed, of what is recorded.
        places: Places in the grid of the conditions that are meant; all by default.
    """
    path = width_path(result.config.sweep)
    for others, group in width_groups(result.config, places):
        outcomes = [result.conditions[place] for place in group]
        widths = np.array([outcome.condition.swept[path or ""] for outcome in outcomes], float)
        if len(group) < 2:
            continue
        x = np.log2(widths)
        x -= x.mean()
        for quantity in quantities:
            if (quantity, "second_moment") not in outcomes[0].networks:
                continue
            log10 = np.array([o.networks[quantity, "second_moment"] for o in outcomes])
            first = int(quantity.startswith("activation"))
            log2_rms = log10[..., first:] * (_LOG2_10 / 2)
            with np.errstate(invalid="ignore"):  # networks without a size
                each = np.tensordot(x, log2_rms, 1) / (x @ x)
            each = np.where(np.isfinite(log2_rms).all(axis=0), each, np.nan)
            n, layers = len(each), range(first, log10.shape[-1])
            error = np.full(len(layers), np.nan)
            if n > 1:
                error = each.std(axis=0, ddof=1) / np.sqrt(n)
            yield WidthSlopes(
                others, tuple(widths.tolist()), quantity, layers, each.mean(axis=0), error
            )
