"""Lines on a run that its summary table does not show."""

import math
from collections.abc import Sequence

from heinit_sim.checks import ALIKE, width_slopes
from heinit_sim.experiment.labels import swept_text
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import Condition, SlopeQuantity, SweepConfig
from heinit_sim.experiment.width_groups import has_width_slopes
from heinit_sim.numerics.spread import LN10
from heinit_sim.reports import formats
from heinit_sim.reports.formats import Row
from heinit_sim.reports.run import INPUT, OUTPUT
from heinit_sim.theory import assumptions
from heinit_sim.theory.infinite_width import largest_ln_q

_EXCESS = 1.1  # times ln V, from which a first cross entropy is called large


def notes(config: SweepConfig, rows: Sequence[Row]) -> list[str]:
    """A line for each condition where slopes do not tell all: scales, the loss, inputs made alike.

    Inputs are where their variance is not within a factor of 10 of 1; the last layer is where its
    σ²·fan_in is not within a factor of 10 of that of the layer before; a cross entropy is where it
    is more than 10 % above ln V, that of outputs which are all equal.
    """
    lines = []
    for row, condition in zip(rows, config.conditions, strict=True):
        about = f"{condition.label}: " if condition.label else ""
        if 1 < abs(row[INPUT]) < math.inf:
            size = formats.power_text(row[INPUT])
            text = "which every layer's variance and the loss carry on; normalise the inputs"
            lines.append(f"{about}the variance of the inputs is {size}, {text}")
        scales = condition.weight_scales
        if scales[-1] > 10 * scales[-2] > 0 or 10 * scales[-1] < scales[-2]:
            size = formats.power_text(row[OUTPUT])
            text = f"the last layer's σ² is {scales[-1]:.3g} times 1/fan_in"
            lines.append(f"{about}the output's second moment is {size}: {text}")
        if _EXCESS * row["uniform_loss"] < row["loss_median"]:
            lines.append(f"{about}{_loss_note(row, condition)}")
        if ALIKE in row["forward_reason"]:
            lines.append(f"{about}{row['forward_reason'].rpartition('; ')[2]}")
    return lines


def _loss_note(row: Row, condition: Condition) -> str:
    """What a cross entropy far above ln V means, and the σ² of the last layer that mends it."""
    uniform = row["uniform_loss"]
    text = f"the loss is {row['loss_median']:.4g}, ln V is {uniform:.4g}"
    text += ": outputs differ before anything is learnt"
    if not assumptions.has_normal_outputs(condition) or not math.isfinite(row[OUTPUT]):
        return text
    spec, ln_second = condition.specs[-1], LN10 * row[OUTPUT]
    ln_allowed = largest_ln_q(_EXCESS * uniform, condition.widths[-1])
    of_biases = spec.bias_variance * math.exp(-ln_allowed)
    of_all = (spec.bias_variance + spec.bias_mean**2) * math.exp(-max(ln_second, ln_allowed))
    if spec.weight_variance == 0 or of_biases >= 1 or of_all >= 1:
        return f"{text}, which biases alone make them do"
    ln_ratio = ln_allowed + math.log1p(-of_biases) - ln_second - math.log1p(-of_all)
    variance = math.exp(math.log(spec.weight_variance) + ln_ratio)
    return f"{text}; σ² of the last layer of {variance:.2g} or less brings it within 10 %"


def width_notes(result: SweepResult) -> list[str]:
    """A line for each group of widths: how its outputs, and their update, grow with the width."""
    if not has_width_slopes(result.config):
        return []
    symbols: dict[SlopeQuantity, str] = {"preactivation_update": "Δf_K", "preactivation": "f_K"}
    lines: dict[str, list[str]] = {}
    for found in width_slopes(result, symbols):
        others = (f"{path} = {swept_text(path, value)}" for path, value in found.others.items())
        grows = f"{symbols[found.quantity]} {found.slopes[-1]:+.2f} ± {found.errors[-1]:.2f}"
        lines.setdefault(", ".join(others), []).append(grows)
    unit = "per doubling of width (log2 of the root mean square)"
    notes = (f"{about}: {', '.join(texts)} {unit}" for about, texts in lines.items())
    return [note.removeprefix(": ") for note in notes]
