"""The only reader and writer of YAML: text <-> plain values, with the place of each."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from heinit_sim.config.problem import Keys, Mark, Problem
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.labels import printable

NUMBER = re.compile(r"([-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+))(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


def plain_scalar(text: str) -> object:
    """The value of a scalar without quotes; what only YAML 1.1 takes for a number stays text.

    Source: YAML 1.2.2, sec. 10.3.2, the core schema, of whose numbers only the decimal ones.
    """
    if text in _WORDS:
        return _WORDS[text]
    match = NUMBER.fullmatch(text)
    if not match:
        return text
    number = float(text)
    if math.isinf(number) or (number == 0 and re.search("[1-9]", match[1])):
        return text  # no float is near it
    return int(text) if text.lstrip("-+").isdecimal() else number


MAX_BYTES = 2**20
MAX_MANIFEST = 2**26
"""Bytes of a manifest, which may name means of many components."""
MAX_DEPTH = 20
MAX_NODES = 200_000  # a list of 100,000 widths is a legal config


@dataclass
class Document:
    """One YAML document as plain values; `value` is None only if there are problems."""

    value: object = None
    values: dict[Keys, Mark] = field(default_factory=dict)
    """Where each value begins."""
    keys: dict[Keys, Mark] = field(default_factory=dict)
    """Where the key of each value of a mapping begins."""
    problems: list[Problem] = field(default_factory=list)
    made_by: str = ""
    """Versions that wrote it, if it is of a manifest and they are not those that are here."""


class _TextError(Exception):
    """Nothing after a mark of the text can be read: that mark, and why."""


def read(source: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Read a file, or standard input for `-`.

    Returns:
        Its name in messages, and its bytes: of a larger file only one more than is allowed, which
        is more for one that may be a manifest, as it begins with a brace.

    Raises:
        ConfigError: It is missing, a directory, or otherwise unreadable.
    """
    name = "<stdin>" if source == "-" else printable(os.fspath(source)) or "''"
    try:
        if source != "-":
            with Path(source).open("rb") as file:
                return name, _beginning(file)
        if sys.stdin is None:
            raise OSError("it is closed")
        return name, _beginning(sys.stdin.buffer)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, IsADirectoryError) and (Path(source) / "manifest.json").is_file():
            reason = f"it is a run; give {name.rstrip('/')}/config.yaml"
        raise ConfigError([f"{name}: error: cannot be read: {reason}"]) from None


def _beginning(file: BinaryIO) -> bytes:
    data = file.read(MAX_BYTES + 1)
    longer = len(data) > MAX_BYTES and is_braced(data)
    return data + file.read(MAX_MANIFEST - MAX_BYTES) if longer else data


def is_braced(data: bytes) -> bool:
    """Whether a text begins as an object of JSON does."""
    return re.match(rb"(\xef\xbb\xbf)?\s*\{", data) is not None


def parse(data: str | bytes) -> Document:
    """Parse one YAML document; whatever is wrong with the text is listed in its `problems`.

    PyYAML's parser in Python gives the events: the one in C crashes on deep nesting. Limits are
    checked event by event, so nothing large is ever built.
    """
    document = Document()
    try:
        _Builder(_decoded(data), document).build()
    except _TextError as error:
        mark, text = error.args
        document.problems.append(Problem((), text, mark=mark))
    return document


def to_yaml(document: Mapping[str, object]) -> str:
    """Write plain values as YAML that `parse` reads back as the same values."""
    text: str = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return text


def to_bytes(data: str | bytes) -> bytes:
    """A text in UTF-8."""
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data


def _decoded(data: str | bytes) -> str:
    raw = to_bytes(data)
    if len(raw) > MAX_BYTES:
        raise _TextError((1, 1), f"too large, must be at most {MAX_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = f"not UTF-8 (byte 0x{raw[error.start]:02x}), must be UTF-8"
        raise _TextError(mark_after(raw[: error.start].decode()), text) from None


def mark_after(text: str) -> Mark:
    """Line and column behind a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _mark(mark: Any) -> Mark:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Builder:
    """Builds the value of a `Document` from the events of its text."""

    def __init__(self, text: str, document: Document) -> None:
        self.text = text
        self.document = document
        self.nodes = 0

    def build(self) -> None:
        try:
            self.loader = yaml.SafeLoader(self.text)
        except yaml.reader.ReaderError as error:
            text = f"control character (U+{error.character:04X}), must be printable text"
            raise _TextError(mark_after(self.text[: error.position]), text) from None
        self.next()  # the stream starts
        event = self.next()
        if isinstance(event, yaml.DocumentStartEvent):
            self.document.value = self.value(self.next(), ())
            self.next()  # the document ends
            event = self.next()
        if isinstance(event, yaml.DocumentStartEvent):
            self.problem(event, (), "a second document, must be one document")
        if self.document.value is None and not self.document.problems:
            raise _TextError((1, 1), "empty, must be a mapping")

    def next(self) -> yaml.Event:
        try:
            event: yaml.Event = self.loader.get_event()  # type: ignore[no-untyped-call]  # bare in the stubs
        except yaml.MarkedYAMLError as error:
            text = printable(f"{error.context or ''} {error.problem}".strip()[:200])
            hint = "; indent with spaces" if "'\\t'" in text else ""
            raise _TextError(_mark(error.problem_mark), f"not YAML: {text}{hint}") from None
        except (ValueError, OverflowError):  # "\UFFFFFFFF", %YAML 1.<5000 digits>
            text = "not YAML: a number is out of range"
            raise _TextError(_mark(self.loader.get_mark()), text) from None
        return event

    def problem(self, event: yaml.Event, keys: Keys, text: str) -> None:
        self.document.problems.append(Problem(keys, text, mark=_mark(event.start_mark)))

    def value(self, event: yaml.Event, keys: Keys) -> object:
        self.document.values[keys] = _mark(event.start_mark)
        self.check(event, keys)
        if isinstance(event, yaml.ScalarEvent):
            return plain_scalar(event.value) if event.implicit[0] else event.value  # else quoted
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(event := self.next(), yaml.SequenceEndEvent):
                items.append(self.value(event, (*keys, len(items))))
            return items
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(keys)
        return None  # an alias, already reported

    def check(self, event: yaml.Event, keys: Keys) -> None:
        """Count the node and look at what YAML lets one write before it."""
        mark = _mark(event.start_mark)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TextError(mark, f"too many values, must be at most {MAX_NODES}")
        if isinstance(event, yaml.CollectionStartEvent) and len(keys) >= MAX_DEPTH:
            raise _TextError(mark, f"nested too deep, must be at most {MAX_DEPTH} levels")
        lone = re.search("[\ud800-\udfff]", getattr(event, "value", ""))
        if lone:  # from an escape in double quotes
            raise _TextError(mark, f"lone surrogate ({printable(lone[0])}), must be UTF-8")
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            sign, what = ("*", "alias") if isinstance(event, yaml.AliasEvent) else ("&", "anchor")
            self.problem(event, keys, f"{what} ({sign}{anchor[:40]}), must be written out")
        if tag is not None:
            self.problem(event, keys, f"tag ({tag[:40]!r}), must be a value without a tag")

    def mapping(self, keys: Keys) -> dict[str, object]:
        items: dict[str, object] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.problem(event, keys, "a key is not text, must be a string")
                self.value(event, (*keys, "?"))
                self.value(self.next(), (*keys, "?"))
                continue
            key = event.value
            self.check(event, (*keys, key))
            first = self.document.keys.setdefault((*keys, key), _mark(event.start_mark))
            if key in items:
                text = f"duplicate key (first in line {first[0]}), must be given once"
                self.problem(event, (*keys, key), text)
            items[key] = self.value(self.next(), (*keys, key))
        return items


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True  # `parse` takes no aliases


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True)
)
# Unquoted or in single quotes, PyYAML would fold the line separators of Unicode.
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    ),
)
# PyYAML takes "1e-3" for text and would leave it unquoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))
