"""Tables of parameters, of which some rows are slow."""

from collections.abc import Iterable

import pytest


def slow_but(rows: Iterable[object], *quick: object) -> list[object]:
    """Mark rows as slow, all but those named."""
    return [row if row in quick else _slow(row) for row in rows]


def _slow(row: object) -> object:
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.slow)
