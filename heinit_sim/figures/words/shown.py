"""The conditions that a figure shows: their names, their paints, and what hues stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from heinit_sim.experiment.results import Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.look.painting import Paint, Palette, painted, palette_of
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.condition_names import Name, Names, named
from heinit_sim.figures.words.keys import key_text, keys_of_twins
from heinit_sim.figures.words.values import spelled

Result = TypeVar("Result", bound=SweepResult | SweepPrediction)


@dataclass(frozen=True)
class Group:
    """The values of one key, for which hues, dashes or markers of a grid stand."""

    heading: str
    """Symbol or word of the key; empty where its values say themselves what they are."""
    entries: tuple[tuple[str, Paint], ...]
    """Text of a value, and its paint: grey unless it is the hue that tells."""
    lines: tuple[tuple[int, ...], ...]
    """Indices of the lines that have each value."""


def groups_of(
    palette: Palette,
    shown: Sequence[Condition],
    *,
    labels: Mapping[str, str] = MappingProxyType({}),
    decimal: str = ".",
) -> tuple[Group, ...]:
    """Return a group for each key of a grid that conditions shown differ in, that of hues first.

    Args:
        palette: That of the full run.
        shown: The conditions in the figure, or what those of each line have in common; the index
            is that of the line.
        labels: As in `naming.named`.
        decimal: The decimal mark.
    """
    groups = []
    twins = keys_of_twins(palette.swatches)
    for path, swatches in palette.swatches.items():
        lines = [
            tuple(each.index for each in shown if each.swept.get(path) == swatch.value)
            for swatch in swatches
        ]
        swatches = tuple(swatch for swatch, there in zip(swatches, lines, strict=True) if there)
        if len(swatches) > 1:
            values = [swatch.value for swatch in swatches]
            parts = spelled(path, values, labels=labels, decimal=decimal)
            heading = key_text(path) if all(part.key for part in parts) else ""
            heading = twins.get(path, heading)
            texts = [part.value if heading else part.text for part in parts]
            paints = [swatch.paint for swatch in swatches]
            entries = tuple(zip(texts, paints, strict=True))
            groups.append(Group(heading, entries, tuple(there for there in lines if there)))
    return tuple(groups)


def selected(result: Result) -> Result:
    """Return what is shown of a result: the conditions that its figure asks for."""
    shown = result.config.figure.only
    if shown is None:
        return result
    conditions: Any = tuple(result.conditions[i] for i in shown)
    return replace(result, conditions=conditions)


def on_slide(result: Result) -> Result:
    """Return a result whose figure is of the size `slide` unless it asks for another one."""
    config: Any = result.config
    look = replace(config.figure, size=config.figure.size or "slide")
    return replace(result, config=replace(config, figure=look))


def names_of(result: SweepResult | SweepPrediction) -> Names:
    """Return the names of the conditions that are shown."""
    look = result.config.figure
    conditions = [outcome.condition for outcome in result.conditions]
    return named(conditions, labels=look.labels, decimal=look.decimal)


def groups_of_hues(
    result: SweepResult | SweepPrediction,
    sheet: Sheet,
    along: str | None = None,
    lines: Sequence[Condition] = (),
) -> tuple[Group, ...]:
    """Return what hues, dashes and markers stand for, of a grid of two swept keys or more.

    Args:
        result: The conditions that are shown.
        sheet: The ground that the colours are chosen for.
        along: Path of the key along an axis, which needs no paint.
        lines: What the conditions of each line along it have in common.
    """
    look = result.config.figure
    palette = palette_of(result.config, colors=look.colors, ground=sheet.ground, along=along)
    shown = lines or [outcome.condition for outcome in result.conditions]
    return groups_of(palette, shown, labels=look.labels, decimal=look.decimal)


def named_outcomes(
    result: SweepResult | SweepPrediction, sheet: Sheet
) -> Iterator[tuple[Prediction, Name, Paint]]:
    """Yield the conditions that are shown, each with its name and its paint in the full run."""
    look, names = result.config.figure, names_of(result).names
    paints = painted(result.config, colors=look.colors, ground=sheet.ground)
    for outcome, name in zip(result.conditions, names, strict=True):
        yield outcome, name, paints[outcome.condition.index]
