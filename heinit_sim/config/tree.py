"""Values of a config inside one another, by the keys and places that lead to them."""

from __future__ import annotations

from collections.abc import Mapping

from heinit_sim.config.problem import Keys, keys_of
from heinit_sim.config.schema.activation import Activation
from heinit_sim.config.schema.steps import DEFAULTS
from heinit_sim.experiment.activation_table import DEFAULT_ACTIVATION
from heinit_sim.experiment.labels import shortened

Tree = dict[str, object]
"""A config of plain values."""

_DEFAULTS: Mapping[str, object] = {"activation": DEFAULT_ACTIVATION, **DEFAULTS}
"""Key of `network` that a path may lead into -> what it is where it is left out."""


def holds(path: str, other: str) -> bool:
    """Whether the dotted path is the other one or leads to it."""
    return f"{other}.".startswith(f"{path}.")


def unreachable(tree: Tree, path: str) -> str | None:
    """Why no value can be put at a dotted path, if so: it leads into a list, or to no step."""
    value: object = tree
    *parents, _ = keys = keys_of(path)
    for n, key in enumerate(parents, 1):
        way = ".".join(map(str, keys[:n]))
        value = _inside(value, key)
        following = keys[n]
        if isinstance(value, list):
            if not isinstance(following, int):
                return f"inside {way}, a list, must be {{}} as {way}"
            if following >= len(value):
                places = f"0 … {len(value) - 1}" if len(value) > 1 else "0"
                return f"no place of {way} ({following}), must be one of {places}"
        elif isinstance(following, int):
            return f"inside {way}, which has no places, must be given there as a list of steps"
        if isinstance(key, int) and (word := _word(value)) not in (None, following):
            step = shortened(str(word), 40)
            return f"no {following} is at {way} ({step}), must be an option of {step}"
    return None


def _word(step: object) -> object:
    """The word of a step; None of a stage, or of what is none."""
    if isinstance(step, dict) and len(step) == 1 and not {"repeat", "block"} & step.keys():
        return next(iter(step))
    return step if isinstance(step, str) else None


def _inside(value: object, key: str | int) -> object:
    """The value behind a key; what is left out is as by default, a word alone has no options."""
    if isinstance(value, list):
        return value[key] if isinstance(key, int) and key < len(value) else None
    if isinstance(value, str):
        return {}
    inner = value.get(key) if isinstance(value, dict) else None
    return _DEFAULTS.get(str(key)) if inner is None else inner


def with_value(tree: Tree, keys: Keys, value: object) -> Tree:
    """A copy with that value; the tree as it is where something else is wanted on the way.

    What is null or left out is an empty mapping.
    """
    changed = _with(tree, keys, value)
    return changed if isinstance(changed, dict) else tree


def _with(outer: object, keys: Keys, value: object) -> object:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(outer, list):
        if not isinstance(key, int) or key >= len(outer):
            return outer
        return [*outer[:key], _with(outer[key], rest, value), *outer[key + 1 :]]
    if outer is None and not isinstance(key, int):
        outer = {}
    if outer == key:  # a step without options
        outer = {outer: {}}
    elif isinstance(outer, str) and key in Activation.model_fields:
        outer = {"name": outer}
    if not isinstance(outer, dict):
        return outer
    inner = _DEFAULTS.get(str(key)) if rest and outer.get(key) is None else outer.get(key)
    return {**outer, key: _with(inner, rest, value)}
