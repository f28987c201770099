"""A figure step by step: what each step shows of it. Never draws, never saves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from heinit_sim.experiment.figure_kinds import along_number
from heinit_sim.experiment.labels import swept_text, to_text
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.axes.swept_axis import lines_along
from heinit_sim.figures.words.shown import selected

_LAST = {"theory": "theory", "predicted": "theory"}
_LAST |= {"band": "bands", "outline": "bands", "stable": "bands"}
_LAST |= {"published": "published"}
_STAGES = ("theory", "bands", "published")
_LINE = re.compile(r"conditions?-(\d+(?:-\d+)*)-([a-z]+)")
_KEY = re.compile(r"key-(?!limit)([a-z]+)|(?:forward|backward)-(stable|published)")
_WITH_FIRST = re.compile("heading|notes-")  # what is said of all lines


@dataclass(frozen=True)
class Step:
    """One step of a figure."""

    text: str
    """Name of what comes with it, e.g. "axes", "init.variance = 0.02", "theory"."""
    shown: frozenset[Artist]
    """What is seen, of all that is not there from the beginning."""


def build_steps(figure: Figure, result: SweepResult | SweepPrediction) -> list[Step]:
    """Return the steps of a drawn result: axes, one line after the other, theory, bands.

    Args:
        figure: As `draw` made it of the result.
        result: The sweep; its `figure.order` says which lines come first.
    """
    return steps_of(figure, ordered_lines(selected(result)))


def steps_of(figure: Figure, lines: Mapping[int, str]) -> list[Step]:
    """Return the steps of a figure whose lines are known.

    Leaders, arrow heads, samples and names come with their line, what a style stands for with the
    first that has it. Published points come last. Steps that would show nothing new are left out.

    Args:
        figure: Any that `draw` has made; its artists are known by their ids.
        lines: Index of each line in the ids -> its name, in the order in which they come.
    """
    stages = [*map(str, lines), *_STAGES]
    texts = [*lines.values(), *_STAGES]
    arriving: list[set[Artist]] = [set() for _ in stages]
    for artist in _artists(figure):
        stage = _stage(str(artist.get_gid()), stages)
        if stage is not None:
            arriving[stage].add(artist)
    steps = [Step("axes", frozenset())]
    for text, artists in zip(texts, arriving, strict=True):
        if artists:
            steps.append(Step(text, steps[-1].shown | artists))
    return steps


def _artists(figure: Figure) -> Iterator[Artist]:
    for parent in (figure, *figure.axes):
        yield from parent.get_children()


def _stage(gid: str, stages: Sequence[str]) -> int | None:
    """Return the place of the stage with which an artist comes; None if it is always there."""
    if _WITH_FIRST.match(gid):
        return 0
    if of_line := _LINE.match(gid):
        numbers, part = of_line.groups()
        last = _LAST.get(part)
        return stages.index(last) if last else min(map(stages.index, numbers.split("-")))
    if of_key := _KEY.match(gid):
        last = _LAST.get(of_key[1] or of_key[2])
        return stages.index(last) if last else 0
    return None


@contextmanager
def showing(steps: Sequence[Step], step: Step) -> Iterator[None]:
    """Hide what a step does not show, of the figure of the steps."""
    hidden = steps[-1].shown - step.shown
    for artist in hidden:
        artist.set_visible(False)
    try:
        yield
    finally:
        for artist in hidden:
            artist.set_visible(True)


def ordered_lines(result: SweepResult | SweepPrediction) -> dict[int, str]:
    """Return the lines that are shown, in the order in which they come: index -> name.

    Those come first that have the first value of `figure.order`, and of these those that have the
    next; what has none of them comes last, as in the grid.

    Args:
        result: As it is drawn, of the conditions that are shown alone.
    """
    order = result.config.figure.order
    ranks: dict[int, list[int]] = {}
    if along_number(result.config.figure.kind):
        lines = lines_along(result)
    else:
        lines = [outcome.condition for outcome in result.conditions]
    for line in lines:
        texts = [swept_text(path, value, to_text) for path, value in line.swept.items()]
        known = sorted(order.index(text) for text in texts if text in order)
        ranks[line.index] = [*known, len(order)]
    names = {line.index: line.label or "all conditions" for line in lines}
    return {index: names[index] for index in sorted(names, key=lambda index: ranks[index])}
