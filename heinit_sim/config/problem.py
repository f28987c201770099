"""The record of what is wrong in a config, and where."""

from __future__ import annotations

from typing import Literal, NamedTuple

Keys = tuple[str | int, ...]
"""Way to a value: keys of mappings and indices of lists."""


def keys_of(path: str) -> Keys:
    """The keys of a dotted path, of which numbers are places in a list."""
    return tuple(int(key) if _is_place(key) else key for key in path.split("."))


def general(path: str) -> str:
    """A dotted path with # for each place in a list."""
    return ".".join("#" if _is_place(key) else key for key in path.split("."))


def _is_place(key: str) -> bool:
    """Whether a key is a place in a list; one place has one name, so that "00" is none."""
    return key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0")


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


class WrongError(Exception):
    """A problem that ends what is being made of a config, on its way to whoever reports it."""

    def __init__(self, keys: Keys, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(keys, text)
