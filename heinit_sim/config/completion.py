"""How the beginning of an override may go on: for the completion of a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from heinit_sim.config.messages import settable
from heinit_sim.config.problem import general
from heinit_sim.config.schema.annotations import section_of, settings_in
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.sweep import swept_steps


def completions(start: str) -> list[str]:
    """The dotted keys that begin so, each with its "="; behind that, the words it may be set to."""
    key, equals, values = start.partition("=")
    if not equals:
        paths = [*settable(), *_paths_of_steps(key)]
        return [f"{path}=" for path in paths if path.startswith(key)]
    *given, last = values.split(",")
    head = ",".join([*given, ""]) if given else ""
    return [f"{key}={head}{word}" for word in words_of(key) if word.startswith(last)]


def _paths_of_steps(start: str) -> Iterator[str]:
    """The dotted paths of options of the steps whose places a beginning names."""
    places = re.findall(r"(?<=\.)\d+(?=\.)", start)
    for path in swept_steps() if places else ():
        if path.count("#") == len(places):
            yield path.replace("#", "{}").format(*places)


def words_of(path: str) -> list[str]:
    """The words that the setting at a dotted path may be set to."""
    kinds = [kind for known, kind, _ in settings_in(Config) if known == path]
    kinds += [kind for known, (kind, _) in swept_steps().items() if known == general(path)]
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
