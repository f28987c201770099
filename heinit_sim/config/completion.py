"""How the beginning of an override may go on: for the completion of a shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from heinit_sim.config.messages import settable
from heinit_sim.config.schema.annotations import section_of, settings_in
from heinit_sim.config.schema.config import Config


def completions(start: str) -> list[str]:
    """The dotted keys that begin so, each with its "="; behind that, the words it may be set to."""
    key, equals, values = start.partition("=")
    if not equals:
        return [f"{path}=" for path in settable() if path.startswith(key)]
    *given, last = values.split(",")
    head = ",".join([*given, ""]) if given else ""
    return [f"{key}={head}{word}" for word in words_of(key) if word.startswith(last)]


def words_of(path: str) -> list[str]:
    """The words that the setting at a dotted path may be set to."""
    kinds = [kind for known, kind, _ in settings_in(Config) if known == path]
    return list(dict.fromkeys(word for kind in kinds for word in _words(kind)))


def _words(kind: Any) -> Iterator[str]:
    """The words of an annotated type; of an activation, the names."""
    section = section_of(kind)
    if section is not None:
        kind = section.model_fields["name"].annotation if "name" in section.model_fields else None
    if get_origin(kind) is Literal:
        yield from (word for word in get_args(kind) if isinstance(word, str))
        return
    for part in get_args(kind):
        yield from _words(part)
