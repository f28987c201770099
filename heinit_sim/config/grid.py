"""The points of the grid that a sweep spans."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from heinit_sim.config.draft import Draft
from heinit_sim.config.problem import Keys, Problem

MAX_CONDITIONS = 10_000

Point = Mapping[str, int]
"""Swept path -> which of its values is tried."""


def points(draft: Draft) -> Iterator[Point]:
    """The grid, the last path varying fastest; only its first point if there are too many."""
    lengths = {path: len(values) for path, values in draft.swept.items()}
    count = math.prod(lengths.values())
    if count > MAX_CONDITIONS:
        text = f"too many conditions ({count}), must be at most {MAX_CONDITIONS}"
        draft.report(Problem(("sweep",), text))
        lengths = dict.fromkeys(lengths, 1)
    for indices in itertools.product(*map(range, lengths.values())):
        yield dict(zip(lengths, indices, strict=True))


def tried(keys: Keys, point: Point) -> Keys:
    """Where the value stands in the file: a swept one stands in the sweep."""
    for path, index in point.items():
        way = tuple(path.split("."))
        if keys[: len(way)] == way:
            return ("sweep", path, index, *keys[len(way) :])
    return keys
