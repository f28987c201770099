"""A config on its way: plain values, where each of them came from, and what is wrong so far."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heinit_sim.config import messages, yaml_document
from heinit_sim.config.completion import words_of
from heinit_sim.config.from_manifest import held_document
from heinit_sim.config.problem import Keys, Problem, keys_of
from heinit_sim.config.schema.sweep import swept_setting, swept_settings
from heinit_sim.config.tree import Tree, holds, unreachable, with_value
from heinit_sim.errors import ConfigError
from heinit_sim.experiment import labels
from heinit_sim.experiment.labels import shortened

Place = tuple[int, int, int]
"""Which source (0: the file, then the overrides), its line and column."""

_KEY = -1
"""Ends the way to a key itself rather than to its value; no list has such an index."""


class Override(NamedTuple):
    """A value from the command line that replaces one of the file."""

    flag: str
    """Source as messages name it: an option, e.g. "--set", or the argument "overrides"."""
    key: str
    """Dotted path of the setting."""
    text: str
    """The value as YAML; several of them, with commas between, are swept."""

    def __str__(self) -> str:
        start = self.flag if self.flag == f"--{self.key}" else f"{self.flag} {self.key}"
        return shortened(labels.printable(f"{start}={self.text}"), 80)


Overrides = Mapping[str, object] | Sequence[str | Override]
"""Dotted path -> value, or texts like "network.width=50,100", which sweeps."""


def parse_override(flag: str, text: str) -> Override:
    """Split the `key=value` that was given to `flag`.

    Raises:
        ConfigError: There is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        given = messages.shown(text)
        raise ConfigError([f"{flag}: error: no value is given ({given}), must be KEY=VALUE"])
    return Override(flag, key, value)


def as_overrides(given: Any, flag: str = "overrides") -> list[Override]:
    """The `Overrides` that a caller gives, in their order; a value of a mapping is set as it is.

    Args:
        given: The overrides.
        flag: What messages call them.

    Raises:
        ConfigError: They are of another type, or a string has no `=`.
    """
    allowed = "must be a mapping from dotted paths to values, or texts like 'trials=20'"
    if isinstance(given, Mapping):
        if wrong := [key for key in given if not isinstance(key, str)]:
            raise ConfigError([f"{flag}: error: {messages.shown(wrong[0])} is a key, {allowed}"])
        return [Override(flag, key, _json_text(key, value, flag)) for key, value in given.items()]
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, Sequence) or not all(isinstance(o, str | Override) for o in listed):
        raise ConfigError([f"{flag}: error: not overrides ({messages.shown(given)}), {allowed}"])
    return [o if isinstance(o, Override) else parse_override(flag, o) for o in listed]


def _json_text(key: str, value: object, flag: str) -> str:
    """The value of an override as JSON, which YAML takes; NumPy's numbers and arrays too.

    Raises:
        ConfigError: It is none that a config could have.
    """

    def plain(part: Any) -> object:
        if isinstance(part, os.PathLike):
            return os.fspath(part)
        return part.tolist() if hasattr(part, "tolist") else {type(part): "no key of JSON"}

    try:
        return json.dumps(value, ensure_ascii=False, default=plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        what = f"{type(value).__name__} {messages.shown(value)}"
        text = f"no value of a config ({what}), must be of finite numbers, texts, lists, mappings"
        raise ConfigError([f"{flag}: error: {key}: {text}"]) from None


class Draft:
    """The text of a config, or of a manifest for the config it holds, with overrides laid over it.

    `problems` are the places and lines of all that is wrong, each once, as they were noted.
    """

    def __init__(self, text: str | bytes, source: str) -> None:
        document = held_document(text) or yaml_document.parse(text)
        self.value, self.made_by = document.value, document.made_by
        self._sources: list[object] = [source]
        self._places: dict[Keys, Place] = {
            **{keys: (0, *mark) for keys, mark in document.values.items()},
            **{(*keys, _KEY): (0, *mark) for keys, mark in document.keys.items()},
        }
        self.problems: dict[tuple[Place, str], None] = {}
        for problem in document.problems:
            self._note((0, *problem.mark), problem.keys, problem.text)
        self._unread = {place for place, _ in self.problems}

    @property
    def tree(self) -> Tree:
        """The config, if it is a mapping; else an empty one."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def swept(self) -> dict[str, list[object]]:
        """The paths under `sweep` that can be swept, with their values."""
        sweep = self.tree.get("sweep")
        items = sweep.items() if isinstance(sweep, dict) else ()
        return {p: v for p, v in items if isinstance(v, list) and v and swept_setting(str(p))}

    def override(self, override: Override) -> None:
        """Set the one value of an override, or sweep its several values."""
        self._sources.append(override)
        place = (len(self._sources) - 1, 1, 1)
        keys = keys_of(override.key)
        values, wrong = self._read(override)
        for text in wrong:
            self._note(place, (override.key,), text)
        if wrong or not isinstance(self.value, dict):
            return
        sweep = self.value.get("sweep")
        if isinstance(sweep, dict):  # what is set is no longer swept, nor is anything inside it
            kept = {path: v for path, v in sweep.items() if not holds(override.key, path)}
            self.value = {**self.value, "sweep": kept}
        keys, value = (keys, values[0]) if len(values) == 1 else (("sweep", override.key), values)
        self.value = with_value(self.tree, keys, value)
        self._places = {k: old for k, old in self._places.items() if k[: len(keys)] != keys}
        for end in range(1, len(keys) + 1):
            self._places.setdefault(keys[:end], place)

    def report(self, problem: Problem) -> None:
        """Note a problem with the value there, or with its key; each problem once."""
        way = (*problem.keys, _KEY) if problem.kind == "key" else problem.keys
        while way not in self._places:  # what is missing is missing from what holds it
            way = way[:-1]
        place = self._places[way]
        if place not in self._unread:  # enough was said of a value that could not be read
            self._note(place, problem.keys, problem.text)

    def line(self, keys: Keys) -> int | None:
        """The line of the file where a value begins; None for one that is not from there."""
        source, line, _ = self._places.get(keys, (1, 0, 0))
        return line if source == 0 else None

    def messages(self) -> list[str]:
        """The problems as lines, in the order of the file, then of the overrides."""
        lines = []
        for (source, line, column), text in sorted(self.problems, key=lambda problem: problem[0]):
            where = f"{self._sources[source]}" + ("" if source else f":{line}:{column}")
            lines.append(f"{where}: error: {text}")
        lines = list(dict.fromkeys(lines))
        if len(lines) <= messages.ENOUGH:
            return lines
        more = f"more than {messages.ENOUGH} mistakes, of which these are some"
        return [*lines[: messages.ENOUGH], f"{self._sources[0]}: error: {more}"]

    def _read(self, override: Override) -> tuple[list[object], list[str]]:
        keys = keys_of(override.key)
        if not messages.is_settable(override.key):
            return [], [messages.unknown_path(override.key, override.text)]
        document = yaml_document.parse(f"[{override.text}]")
        if document.problems and override.text in words_of(override.key):  # as "," is no YAML
            return [override.text], []
        if document.problems or not isinstance(document.value, list):
            return [], [problem.text for problem in document.problems]
        inside = [path for path in self.swept if path != override.key and holds(path, override.key)]
        if inside:
            return [], [f"inside {inside[0]}, which is swept, must be set there"]
        if reason := unreachable(self.tree, override.key):
            return [], [reason.format("set")]
        if len(document.value) > 1 and override.key in messages.listed_only():
            return [document.value], []
        if not document.value:
            return [], [f"no value is given, must be {messages.allowed(keys)}"]
        if len(document.value) > 1 and not swept_setting(override.key):
            given, allowed = messages.shown(override.text), messages.allowed(keys)
            above = [path for path in swept_settings() if holds(path, override.key)]
            hint = f"; sweep {above[0]}" if above else ""
            return [], [f"cannot be swept ({given}), must be {allowed}{hint}"]
        return document.value, []

    def _note(self, place: Place, keys: Keys, text: str) -> None:
        path = ""  # e.g. "network.width[2]"
        for key in messages.setting(keys):
            plain = isinstance(key, str) and re.fullmatch(r"[\w.-]{1,40}", key)
            name = key if plain else messages.shown(key)
            path += f"[{key}]" if isinstance(key, int) else f".{name}"
        label = path.removeprefix(".")
        self.problems[place, f"{label}: {text}" if label else text] = None
