"""Conditions of a sweep that differ in nothing but their width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from heinit_sim.experiment.labels import is_number
from heinit_sim.experiment.sweep_config import SweepConfig

WIDTHS = ("network.width", "network.channels")
"""The dotted paths whose swept numbers are widths."""
WIDTH_SLOPES_FILE = "width_slopes.csv"
"""The file of a run that shows how layers and updates grow with the width."""


def width_path(sweep: Mapping[str, Sequence[object]]) -> str | None:
    """The path of a width of which two or more numbers are swept; None without one."""
    paths = (path for path in WIDTHS if len(sweep.get(path, ())) > 1)
    return next((path for path in paths if all(map(is_number, sweep[path]))), None)


def has_width_slopes(config: SweepConfig) -> bool:
    """Whether a run shows what a step of training changes at several widths."""
    return config.record.update and width_path(config.sweep) is not None


def width_groups(
    config: SweepConfig, places: Iterable[int] | None = None
) -> list[tuple[dict[str, object], list[int]]]:
    """Values of the other swept keys, each with the places of conditions in the order of widths.

    Args:
        config: A sweep of a width, see `width_path`.
        places: Places in the grid of the conditions that are meant; all by default.
    """
    path = width_path(config.sweep)
    assert path is not None  # the caller asked
    groups: list[tuple[dict[str, object], list[int]]] = []
    for place in range(len(config.conditions)) if places is None else places:
        swept = config.conditions[place].swept
        others = {key: value for key, value in swept.items() if key != path}
        group = next((found for known, found in groups if known == others), None)
        if group is None:
            groups.append((others, [place]))
        else:
            group.append(place)
    widths: list[float] = [c.swept[path] for c in config.conditions]  # type: ignore[misc]  # numbers
    return [(others, sorted(found, key=widths.__getitem__)) for others, found in groups]
