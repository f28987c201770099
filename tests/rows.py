"""Tables of parameters: rows of which some are slow, and texts with what is said of them."""

import re
from collections.abc import Iterable, Mapping
from string import Template

import pytest


def slow_but(rows: Iterable[object], *quick: object) -> list[object]:
    """Mark rows as slow, all but those named."""
    return [row if row in quick else _slow(row) for row in rows]


def _slow(row: object) -> object:
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.slow)


def cases(table: str, words: Mapping[str, str]) -> list[tuple[str, str]]:
    """Read what is given from its lines, and what is said of it from those below, after '> '.

    `$NAME` stands for the word of that name; lines of what is said are one line with spaces.
    """
    text = Template(table.lstrip()).substitute(words)
    rows = re.findall(r"((?:(?!> ).*\n)+)((?:> .*\n)+)", text)
    return [(given[:-1], answer[2:-1].replace("\n> ", " ")) for given, answer in rows]
