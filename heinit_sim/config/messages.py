"""Messages on values that do not fit the models: what is wrong, given, and allowed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from heinit_sim.config import vocabulary
from heinit_sim.config.problem import Keys, Problem, general, keys_of
from heinit_sim.config.schema.annotations import section_of, settings_in, takes_list
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.steps import STEP, STEPS, Stage, step_settings
from heinit_sim.config.schema.sweep import VALUES, swept_settings, swept_steps
from heinit_sim.experiment.labels import ROWS, WrittenNumber, shortened

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
    "less_than": "too large",
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
    """The problems of a document that stands at those keys of the config."""
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
        return (*keys_of(str(keys[1])), *keys[3:])
    return keys


@functools.cache
def settings() -> Mapping[Keys, str]:
    """Keys of every setting -> what is allowed there."""
    known: dict[Keys, str] = {(): _mapping(Config)}
    for path, kind, setting in settings_in(Config):
        known[tuple(path.split("."))] = str(setting) if setting else _mapping(kind)
    for path, _, setting in step_settings():
        known[_named(keys_of(path))] = str(setting)
    by_path: dict[Keys, str] = {("sweep", path): str(VALUES) for path in swept_settings()}
    for path in swept_settings():
        way = tuple(path.split("."))
        inside = {keys[len(way) :]: text for keys, text in known.items() if keys[: len(way)] == way}
        for selection in _SELECTIONS:
            by_path |= {(*selection, path, *keys): text for keys, text in inside.items()}
    return known | by_path


def allowed(keys: Keys) -> str:
    """Words for the values that are allowed there, e.g. "an integer from 1 to 100"."""
    whole = setting(keys)
    if whole[:2] == ("network", "block") and len(whole) == 3 and isinstance(whole[2], int):
        return f"a mapping with the keys {', '.join(Stage.model_fields)}, as the others are"
    way = _named(whole)
    while way not in settings():  # inside a mapping of a user's own keys
        way = way[:-1]
    return settings()[way]


def unknown_key(keys: Keys, given: object = None) -> str:
    """Message on a key that does not exist there, and on its value."""
    *parent, key = setting(keys)
    section = _named(parent)
    children = [str(keys[-1]) for keys in settings() if keys and keys[:-1] == section]
    if section[:1] == ("network",) and len(parent) != len(section):  # in a list of steps
        section = tuple(parent)
        if isinstance(parent[-1], int):
            children = list(Stage.model_fields)
    by_path = section in (("sweep",), *_SELECTIONS)
    if by_path and (wrong := _wrong_step_path(str(key))):
        return wrong
    if by_path and tuple(str(key).split(".")) in settings():
        return f"cannot be swept, must be one of {', '.join(children)}"
    names = children if by_path else [".".join(map(str, (*section, name))) for name in children]
    path = str(key) if by_path else ".".join(map(str, (*section, key)))
    hint = vocabulary.hint_on_path(path, given, dict.fromkeys([*names, *settable()]))
    return f"unknown key, must be one of {', '.join(children)}{hint}"


def unknown_path(path: str, given: str) -> str:
    """Message on a dotted path that leads to no setting, and on its value."""
    if wrong := _wrong_step_path(path):
        return wrong
    hint = vocabulary.hint_on_path(path.removeprefix("sweep."), given, settable())
    return f"unknown key, must be the dotted path of a key in the config{hint}"


def _wrong_step_path(path: str) -> str | None:
    """Message on a dotted path that should lead to an option of a step, but does not."""
    plain = re.sub(r"\[(\d+)\]", r".\1", path)
    if plain != path:
        return f"brackets in a path, must be dots; write {shortened(plain, 60)}"
    if not re.match(r"network\.(block|stem|head)\.", path):
        return None
    if not re.match(r"network\.(block|stem|head)\.\d", path):
        where = "the place of the step, from 0, like network.block.0.weights.expand"
        return f"unknown key, must be a dotted path with {where}"
    parents = general(path).rpartition(".")[0]
    known = [p.removeprefix(f"{parents}.") for p in swept_steps() if p.startswith(f"{parents}.")]
    children = [child for child in known if "." not in child]
    if not children:
        return "no option of a step, must be one like network.block.0.weights.expand"
    head = path.rpartition(".")[0]
    hint = vocabulary.hint_on_path(path, None, [f"{head}.{child}" for child in children])
    return f"unknown key, must be {head}. and one of {', '.join(children)}{hint}"


def _mapping(kind: Any) -> str:
    section = section_of(kind)
    assert section is not None  # what has no annotation is a section
    return f"a mapping with the keys {', '.join(section.model_fields)}"


def _named(keys: Iterable[str | int]) -> Keys:
    """The keys without places in lists."""
    return tuple(key for key in keys if isinstance(key, str) and key != "#")


def is_settable(path: str) -> bool:
    """Whether a dotted path can be set from the command line."""
    return path in settable() or general(path) in swept_steps()


@functools.cache
def settable() -> list[str]:
    """The dotted paths that can be set from the command line."""
    whole = (("sweep",), ("expect",), *_SELECTIONS)  # their keys have dots, or are many
    inside = {keys for keys in settings() for outer in whole if keys[: len(outer)] == outer != keys}
    inside |= {_named(path.split(".")) for path in swept_steps()}
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
    if kind == "unknown_step":
        return Problem(keys, _unknown_step(given))
    if kind == "arithmetic":
        wrong, *hints = re.split(r"(?=; [^;)]*[*?]$)", context["text"])  # a value ends in ")"
        must = "" if "), must be" in wrong else f", must be {allowed(keys)}"
        return Problem(keys, "".join([wrong, must, *hints]))
    if kind == "missing":
        return Problem(keys, f"required key is missing, must be {allowed(keys)}", "missing")
    if kind == "literal_error":
        choices = re.findall(r"'([^']+)'", context["expected"])
        hint = vocabulary.hint_on_value(given, str(setting(keys)[-1]), choices)
    elif kind == "model_type" and keys and keys[-1] in STEPS and not isinstance(given, list):
        option = next(iter(STEPS[str(keys[-1])][0].model_fields))
        hint = f"; write {{{keys[-1]}: {{{option}: {given}}}}}"
    else:
        hint = _hint(kind, given)
    alone = kind not in ("too_short", "too_long")  # else a list is right
    if isinstance(given, list) and alone and ".".join(map(str, keys)) in swept_settings():
        hint = "; values to try go under sweep"
    if kind == "list_type" and keys[:1] == ("sweep",) and ".".join(map(str, setting(keys))) in ROWS:
        hint = "; each value to try is a list of steps"
    return Problem(keys, f"{_WRONG[kind]} ({shown(given)}), must be {allowed(keys)}{hint}")


def _unknown_step(given: object) -> str:
    """Message on what is no step of a layer."""
    if isinstance(given, dict) and len(given) == 1:
        given = next(iter(given))
    if isinstance(given, dict) and len(given) > 1:
        first, second, *others = map(str, given)
        text = f"several keys where a step has one ({shown(', '.join([first, second, *others]))})"
        hint = f"; indent {second} as an option of {first}" if second in _options(first) else ""
        if second in STEPS:
            hint = f"; begin {second} with a dash of its own"
        return f"{text}, must be {STEP}{hint}"
    hint = vocabulary.hint_on_step(given, STEPS)
    for word in STEPS:
        if not hint and isinstance(given, str) and given in _options(word):
            hint = f"; it is an option: {{{word}: {{{given}: …}}}}"
    return f"unknown step ({shown(given)}), must be {STEP}{hint}"


def _options(word: str) -> Collection[str]:
    """The options of a step; none of what is no step."""
    section = section_of(STEPS[word][0]) if word in STEPS else None
    return section.model_fields if section is not None else ()


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
