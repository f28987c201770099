"""The record of what is wrong in a config, and where."""

from __future__ import annotations

from typing import Literal, NamedTuple

Keys = tuple[str | int, ...]
"""Way to a value: keys of mappings and indices of lists."""
Mark = tuple[int, int]
"""Line and column, both from 1."""


class Problem(NamedTuple):
    """Something wrong in a config."""

    keys: Keys
    """Way to the value that is wrong, or to the one whose key is."""
    text: str
    """Message: what is wrong, what was given, what is allowed, and maybe what to do."""
    kind: Literal["value", "key", "missing", "relation"] = "value"
    """Whether a value is wrong by itself, its key is, it is missing, or it fits no other."""
    mark: Mark = (1, 1)
    """Place in the text, where the text itself could not be read."""
