"""The conditions that a figure shows: their names, their paints, and what hues stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from heinit_sim.experiment.results import Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.naming import Name, Names, key_text, named, spelled
from heinit_sim.figures.painting import Paint, Palette, painted, palette_of
from heinit_sim.figures.sheet import Sheet


@dataclass(frozen=True)
class Group:
    """What the hues, dashes or markers of a grid stand for: the values of one key."""

    heading: str
    """Symbol or word of the key; empty where its values say themselves what they are."""
    entries: tuple[tuple[str, Paint], ...]
    """Text of a value, and its paint: grey unless it is the hue that tells."""


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
        shown: The conditions in the figure.
        labels: As in `naming.named`.
        decimal: The decimal mark.
    """
    groups = []
    for path, swatches in palette.swatches.items():
        there = [condition.swept[path] for condition in shown if path in condition.swept]
        swatches = tuple(swatch for swatch in swatches if swatch.value in there)
        if len(swatches) > 1:
            values = [swatch.value for swatch in swatches]
            parts = spelled(path, values, labels=labels, decimal=decimal)
            heading = key_text(path) if all(part.key for part in parts) else ""
            texts = [part.value if heading else part.text for part in parts]
            paints = [swatch.paint for swatch in swatches]
            groups.append(Group(heading, tuple(zip(texts, paints, strict=True))))
    return tuple(groups)


def names_of(result: SweepResult | SweepPrediction) -> Names:
    """Return the names of the conditions that are shown."""
    look = result.config.figure
    conditions = [outcome.condition for outcome in result.conditions]
    return named(conditions, labels=look.labels, decimal=look.decimal)


def groups_of_hues(
    result: SweepResult | SweepPrediction, sheet: Sheet, along: str | None = None
) -> tuple[Group, ...]:
    """Return what hues, dashes and markers stand for, of a grid of two swept keys or more.

    Args:
        result: The conditions that are shown.
        sheet: The ground that the colours are chosen for.
        along: Path of the key along an axis, which needs no paint.
    """
    look = result.config.figure
    palette = palette_of(result.config, colors=look.colors, ground=sheet.ground, along=along)
    shown = [outcome.condition for outcome in result.conditions]
    return groups_of(palette, shown, labels=look.labels, decimal=look.decimal)


def named_outcomes(
    result: SweepResult | SweepPrediction, sheet: Sheet
) -> Iterator[tuple[Prediction, Name, Paint]]:
    """Yield the conditions that are shown, each with its name and its paint in the full run."""
    look, names = result.config.figure, names_of(result).names
    paints = painted(result.config, colors=look.colors, ground=sheet.ground)
    for outcome, name in zip(result.conditions, names, strict=True):
        yield outcome, name, paints[outcome.condition.index]
