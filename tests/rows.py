"""Tables of parameters: rows of which some are slow, pairs of options, texts with their answers."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from string import Template
from typing import Any

import pytest


def slow_but(rows: Iterable[object], *quick: object) -> list[object]:
    """Mark rows as slow, all but those named."""
    return [row if row in quick else _slow(row) for row in rows]


def _slow(row: object) -> object:
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.slow)


def pairwise(*options: Sequence[Any], first: Iterable[Any] = ()) -> list[Any]:
    """Choose rows, after the `first`, in which every two options of two columns stand together."""
    table = [*itertools.product(*(range(len(column)) for column in options))]
    chosen = [tuple(map(lambda column, x: column.index(x), options, row)) for row in first]
    left: set[object] = set().union(*map(_pairs, table)).difference(*map(_pairs, chosen))
    while left:
        best = max(table, key=lambda row: len(left & _pairs(row)))
        left -= _pairs(best)
        chosen.append(best)
    rows = [tuple(column[i] for column, i in zip(options, row, strict=True)) for row in chosen]
    for (i, one), (j, other) in itertools.combinations(enumerate(options), 2):
        assert all(any(r[i] is a and r[j] is b for r in rows) for a in one for b in other)
    return rows


@cache
def _pairs(row: tuple[int, ...]) -> frozenset[object]:
    return frozenset(itertools.combinations(enumerate(row), 2))


def cases(table: str, words: Mapping[str, str]) -> list[tuple[str, str]]:
    """Read what is given from its lines, and what is said of it from those below, after '> '.

    `$NAME` stands for the word of that name; lines of what is said are one line with spaces.
    """
    text = Template(table.lstrip()).substitute(words)
    rows = re.findall(r"((?:(?!> ).*\n)+)((?:> .*\n)+)", text)
    return [(given[:-1], answer[2:-1].replace("\n> ", " ")) for given, answer in rows]
