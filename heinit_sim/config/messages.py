"""Messages on values that do not fit the models: what is wrong, given, and allowed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from heinit_sim.config import vocabulary
from heinit_sim.config.problem import Keys, Problem
from heinit_sim.config.schema.annotations import section_of, settings_in, takes_list
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.sweep import VALUES, swept_settings
from heinit_sim.experiment.labels import WrittenNumber

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Type of a pydantic error -> what is wrong. A relation between values brings its own words.
_WRONG = {
    "model_type": "not a mapping",
    "list_type": "not a list",
    "string_type": "not a string",
    "bool_type": "not true or false",
    "int_type": "not an integer",
    "float_type": "not a number",
    "dict_type": "not a mapping",
    "finite_number": "not finite",
    "literal_error": "unknown value",
    "string_pattern_mismatch": "not a valid name",
    "greater_than": "too small",
    "greater_than_equal": "too small",
    "less_than_equal": "too large",
    "too_short": "too short",
    "too_long": "too long",
    "string_too_short": "too short",
    "string_too_long": "too long",
}
_DECIMAL = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
# Text where a number is wanted -> why it is none.
_NO_NUMBER = {
    r"[-+]?0[0-9]+(\..*|[eE].*)?": "a number has no leading zero",
    r"[-+]?0[xXoObB]\w+": "a number is written in decimal",
    r"[-+]?[0-9][0-9.]*_[0-9._]*([eE].*)?": "a number has no underscores",
    r"[-+]?[0-9]+(:[0-9.]+)+": "a number has no colons",
}

_SELECTIONS = (("expect", "when"), ("figure", "only"))
"""Keys of the mappings whose values by dotted path select conditions."""

ENOUGH = 1000
"""So many problems are told of; of more, only that there are."""


def validated(document: object) -> Config | list[Problem]:
    """Validate a config of plain values: the typed model, or what is wrong, if not too much."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False)[: ENOUGH + 1]
        return [_problem(detail, document) for detail in details]


def problems_of(error: ValidationError, document: object, *at: str | int) -> list[Problem]:
    """What is wrong with a document that stands at those keys of the config."""
    details = error.errors(include_url=False)
    return [_problem(detail, document, at) for detail in details]


def shown(value: object) -> str:
    """A value as quoted in a message: one line, about 40 characters at most."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = f"{value} = {value!r}" if isinstance(value, WrittenNumber) else repr(value)
    end = text[0] if isinstance(value, str) else ""
    return text if len(text) <= 40 else f"{text[:37]}...{end}"


def setting(keys: Keys) -> Keys:
    """The keys of what is set there: a value to try belongs to the setting it is tried for."""
    if keys[:1] == ("sweep",) and len(keys) > 2:
        return (*str(keys[1]).split("."), *keys[3:])
    return keys


@functools.cache
def settings() -> Mapping[Keys, str]:
    """Keys of every setting -> what is allowed there."""
    known: dict[Keys, str] = {(): _mapping(Config)}
    for path, kind, setting in settings_in(Config):
        known[tuple(path.split("."))] = str(setting) if setting else _mapping(kind)
    by_path: dict[Keys, str] = {("sweep", path): str(VALUES) for path in swept_settings()}
    for path in swept_settings():
        way = tuple(path.split("."))
        inside = {keys[len(way) :]: text for keys, text in known.items() if keys[: len(way)] == way}
        for selection in _SELECTIONS:
            by_path |= {(*selection, path, *keys): text for keys, text in inside.items()}
    return known | by_path


def allowed(keys: Keys) -> str:
    """Words for the values that are allowed there, e.g. "an integer from 1 to 100"."""
    way = _named(setting(keys))
    while way not in settings():  # inside a mapping of a user's own keys
        way = way[:-1]
    return settings()[way]


def unknown_key(keys: Keys, given: object = None) -> str:
    """Message on a key that does not exist there, and on its value."""
    *parent, key = setting(keys)
    section = _named(parent)
    children = [str(keys[-1]) for keys in settings() if keys and keys[:-1] == section]
    by_path = section in (("sweep",), *_SELECTIONS)
    if by_path and tuple(str(key).split(".")) in settings():
        return f"cannot be swept, must be one of {', '.join(children)}"
    names = children if by_path else [".".join(map(str, (*section, name))) for name in children]
    path = str(key) if by_path else ".".join(map(str, (*section, key)))
    hint = vocabulary.hint_on_path(path, given, dict.fromkeys([*names, *settable()]))
    return f"unknown key, must be one of {', '.join(children)}{hint}"


def unknown_path(path: str, given: str) -> str:
    """Message on a dotted path that leads to no setting, and on its value."""
    hint = vocabulary.hint_on_path(path.removeprefix("sweep."), given, settable())
    return f"unknown key, must be the dotted path of a key in the config{hint}"


def _mapping(kind: Any) -> str:
    section = section_of(kind)
    assert section is not None  # what has no annotation is a section
    return f"a mapping with the keys {', '.join(section.model_fields)}"


def _named(keys: Iterable[str | int]) -> Keys:
    return tuple(key for key in keys if isinstance(key, str))


@functools.cache
def settable() -> list[str]:
    """The dotted paths that can be set from the command line."""
    whole = (("sweep",), ("expect",), *_SELECTIONS)  # their keys have dots, or are many
    inside = {keys for keys in settings() for outer in whole if keys[: len(outer)] == outer != keys}
    return [".".join(map(str, keys)) for keys in settings() if keys and keys not in inside]


@functools.cache
def listed_only() -> frozenset[str]:
    """The dotted paths of which several values are no sweep but one list."""
    return frozenset(path for path, kind, _ in settings_in(Config) if takes_list(kind)).difference(
        swept_settings()
    )


def _problem(detail: ErrorDetails, document: object, at: Keys = ()) -> Problem:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    keys = (*at, *_keys_in(document, detail))
    if kind == "relation":
        return Problem((*keys, *context["at"]), context["text"], "relation")
    if kind == "extra_forbidden":
        return Problem(keys, unknown_key(keys, given), "key")
    if kind == "arithmetic":
        must = "" if "must be" in context["text"] else f", must be {allowed(keys)}"
        return Problem(keys, context["text"] + must)
    if kind == "missing":
        return Problem(keys, f"required key is missing, must be {allowed(keys)}", "missing")
    if kind == "literal_error":
        choices = re.findall(r"'([^']+)'", context["expected"])
        hint = vocabulary.hint_on_value(given, str(setting(keys)[-1]), choices)
    else:
        hint = _hint(kind, given)
    alone = kind not in ("too_short", "too_long")  # else a list is right
    if isinstance(given, list) and alone and ".".join(map(str, keys)) in swept_settings():
        hint = "; values to try go under sweep"
    return Problem(keys, f"{_WRONG[kind]} ({shown(given)}), must be {allowed(keys)}{hint}")


def _keys_in(document: object, detail: ErrorDetails) -> Keys:
    """Where the error is in the document: the models name branches and defaults it lacks."""
    keys: list[str | int] = []
    value: object = document
    unknown = len(detail["loc"]) - 1 if detail["type"] == "extra_forbidden" else None
    for place, key in enumerate(detail["loc"]):
        if key in ("<one>", "<list>", "<word>") and place != unknown:
            continue
        if isinstance(key, int) and isinstance(value, list):
            value = value[key]
        elif isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        else:
            break
        keys.append(key)
    return tuple(keys)


def _hint(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return "; write it in quotes"
    if kind == "int_type" and isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        return f"; write {int(given)}"
    if kind in ("int_type", "float_type") and isinstance(given, str):
        for pattern, why in _NO_NUMBER.items():
            if re.fullmatch(pattern, given):
                return f"; {why}"
        if re.fullmatch(_DECIMAL, given):
            number, digits = float(given), given.lower().partition("e")[0]
            past_range = math.isinf(number) or (number == 0 and re.search("[1-9]", digits))
            why = "it is beyond the range of a float" if past_range else "write it without quotes"
            return f"; {why}"
    return ""
