"""Names of conditions as one says them: proper names, few digits, and what all share apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import ALIASES, TABLE
from heinit_sim.experiment.architecture import Residual
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.labels import (
    WrittenNumber,
    digits_apart,
    flow_text,
    is_number,
    printable,
    swept_text,
    to_text,
)
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.words.numbers import number_text, with_decimal

KEYS: Mapping[str, tuple[str, str]] = {
    "network.depth": ("Hidden layers", "$K$"),
    "network.width": ("Width", "$D_h$"),
    "network.input_dim": ("Inputs of the network", "$D_i$"),
    "network.output_dim": ("Outputs of the network", "$D_o$"),
    "network.kernel": ("Positions of a kernel along each dimension", ""),
    "network.input_channels": ("Channels of the input", ""),
    "network.residual.scale": ("Factor of what a block adds", "$s$"),
    "network.residual.branch_layers": ("Weight layers of a block", ""),
    "network.activation.negative_slope": ("Slope below zero", r"$\alpha$"),
    "network.activation.frequency": ("Frequency of the sine", r"$\omega$"),
    "init.variance": ("Variance of the weights", r"$\sigma^2_\Omega$"),
    "init.bias_variance": ("Variance of the biases", r"$\sigma^2_b$"),
    "init.a": ("Slope that the gain is for", "$a$"),
    "inputs.count": ("Inputs in the batch", ""),
    "inputs.mean": ("Mean of the inputs", ""),
    "inputs.std": ("Standard deviation of the inputs", ""),
    "inputs.density": ("Density of the inputs", ""),
    "inputs.cosine": ("Cosine between the inputs", ""),
    "loss.target": ("Target", "$y$"),
}
"""Dotted path of a number -> what an axis calls it, and its symbol in the book if it has one."""
_SHORT = {
    "network.residual.branch_layers": "layers per block",
    "inputs.count": "inputs",
    "inputs.mean": "input mean",
    "inputs.std": "input std",
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "network.activation": {
        **{name: row.name for name, row in TABLE.items()},
        **{alias: TABLE[name].name for alias, name in ALIASES.items()},
    },
    "network.padding": {"zero": "zero padding", "circular": "circular padding"},
    "network.readout": {"flatten": "flattened", "mean": "averaged"},
    "network.residual": {"null": "plain"},
    "network.residual.norm": {"none": "no norm", "before": "pre-norm", "inside": "norm inside"},
    "network.residual.zero_last": {"true": "zero last", "false": "random last"},
    "init.scheme": {name: scheme.name for name, scheme in SCHEMES.items()},
    "init.mode": {
        "fan_in": "fan-in",
        "fan_out": "fan-out",
        "fan_avg": "mean fan",
        "fan_geo_avg": "geometric mean fan",
    },
    "init.gain": {
        "second_moment": "own gain",
        "std": "own gain (std)",
        "pytorch": "PyTorch's gain",
    },
    "init.first": {"null": "first layer as the others"},
    "init.last": {"null": "last layer as the others"},
    "init.nonlinearity": {name: f"gain of {row.name}" for name, row in TABLE.items()},
    "init.distribution": {"delta_orthogonal": "delta-orthogonal"},
    "inputs.normalisation": {
        "none": "unnormalised",
        "global": "normalised",
        "per_component": "normalised by component",
    },
    "inputs.distribution": {"pair": "pairs"},
}
"""Dotted path -> value as a config has it -> the words for it, which need no key before them."""
_SYMBOLS = {"1/sqrt(depth)": "1/√L"}  # of a network of L blocks
_BLOCK = {f"network.residual.{key}": value for key, value in Residual()._asdict().items()}
_SAID_FIRST = [f"network.residual.{key}" for key in ("norm", "scale", "branch_layers", "zero_last")]
_FANS: Mapping[str, Callable[[int, int], float]] = {
    "": lambda fan_in, fan_out: 1.0,
    "/fan-in": lambda fan_in, fan_out: fan_in,
    "/fan-out": lambda fan_in, fan_out: fan_out,
    "/mean fan": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "/max fan": max,
}
"""Text after the number of σ²_Ω times a fan, where that is the same in all layers -> the fan."""
_LONGEST = 28  # characters of a value that has no mathematics in it
_DIGITS = 6  # of a number, or more where two would look alike


@dataclass(frozen=True)
class Part:
    """A value of a condition under one swept key, in words."""

    path: str
    """Dotted path of the key."""
    key: str
    """Symbol or name of the key; empty where the value says itself what it is."""
    value: str

    @property
    def text(self) -> str:
        """Key and value, e.g. "$K$ = 21" or "He normal"."""
        return f"{self.key} = {self.value}" if self.key else self.value


@dataclass(frozen=True)
class Name:
    """The name of a condition: what sets it apart from the others."""

    parts: tuple[Part, ...]
    full: str
    """The text that needs no heading, e.g. "$\\sigma^2_\\Omega$ = 0.02" or "SiLU, own gain"."""
    short: str
    """The text under the heading `Names.heading`, e.g. "0.02"; the full one if there is none."""


@dataclass(frozen=True)
class Names:
    """The names of conditions, and what is said of all of them."""

    names: tuple[Name, ...]
    heading: str
    """Symbol or word of the one number that all of them differ in; else empty."""
    common: str
    """The swept values that all share, e.g. "tanh"; empty for none."""

    @property
    def full(self) -> list[str]:
        """The full text of each."""
        return [name.full for name in self.names]

    @property
    def short(self) -> list[str]:
        """The short text of each."""
        return [name.short for name in self.names]


class _Spelling(NamedTuple):
    """How values are written."""

    labels: Mapping[str, str]
    decimal: str
    digits: int


def named(
    conditions: Sequence[Condition],
    *,
    labels: Mapping[str, str] = MappingProxyType({}),
    decimal: str = ".",
) -> Names:
    """Name conditions by what sets them apart; a single one by all that is swept, or its σ²_Ω.

    Args:
        conditions: Those that are shown.
        labels: Text of a value, as the config writes it or as it is named here, or a whole name ->
            the text in its place. A number is found however it is written: "2e-2" is 0.02.
        decimal: The decimal mark.
    """
    columns: list[list[Part]] = [[] for _ in conditions]
    shared: list[str] = []
    for path in dict.fromkeys(path for condition in conditions for path in condition.swept):
        having = [n for n, condition in enumerate(conditions) if path in condition.swept]
        values = [conditions[n].swept[path] for n in having]
        common, parts = _parted(path, values, labels, decimal)
        if 1 < len(conditions) == len(having) and len({flow_text(value) for value in values}) == 1:
            shared.append(parts[0].text)
            continue
        shared += common
        for n, part in zip(having, parts, strict=True):
            columns[n].append(part)
    for condition, parts in zip(conditions, columns, strict=True):
        if not condition.swept:
            parts += _unswept_parts(condition, decimal)
    keys = {part.key for parts in columns for part in parts}
    one_number = len(columns) > 1 and len(keys) == 1 and all(len(parts) == 1 for parts in columns)
    heading = keys.pop() if one_number else ""
    names = []
    for parts in columns:
        full = ", ".join(part.text for part in parts)
        full = labels.get(full, full)
        names.append(Name(tuple(parts), full, parts[0].value if heading else full))
    return Names(tuple(names), heading, ", ".join(shared))


def spelled(
    path: str,
    values: Sequence[object],
    *,
    labels: Mapping[str, str] = MappingProxyType({}),
    decimal: str = ".",
) -> list[Part]:
    """Spell values of one key, with digits and words enough to tell them apart.

    Those that would be cut off before they differ begin with the first word that does.

    Args:
        path: Dotted path of the key.
        values: Plain.
        labels: As in `named`.
        decimal: The decimal mark.
    """
    spelling = _Spelling(labels, decimal, digits_apart(values, _DIGITS))
    parts = [_part(path, value, spelling) for value in values]
    if path == "inputs.path":  # folders only where files have one name
        names = [PurePath(str(value)).name for value in values]
        if len(set(names)) == len(set(map(str, values))):
            parts = [
                replace(part, value=_plain(name)) if part.value == _plain(str(value)) else part
                for part, name, value in zip(parts, names, values, strict=True)
            ]
    whole = [part.value for part in parts]
    short = [_cut_off(text) for text in whole]
    for ambiguous in set(short):
        alike = {text for text, cut in zip(whole, short, strict=True) if cut == ambiguous}
        if len(alike) > 1:
            start = _first_difference([text.split(" ") for text in alike])
            short = [
                _cut_off("…" + " ".join(text.split(" ")[start:])) if text in alike else cut
                for text, cut in zip(whole, short, strict=True)
            ]
    return [replace(part, value=text) for part, text in zip(parts, short, strict=True)]


def key_text(path: str) -> str:
    """Return the symbol of a key, or its name in words."""
    layer, path = _of_one_layer(path)
    _, symbol = KEYS.get(path, ("", ""))
    return layer + (symbol or _SHORT.get(path, path.rpartition(".")[2].replace("_", " ")))


def axis_text(path: str) -> str:
    """Return what an axis of a swept number is called."""
    layer, path = _of_one_layer(path)
    words, symbol = KEYS.get(path, ("", ""))
    words = words or path.rpartition(".")[2].replace("_", " ").capitalize()
    return ", ".join(text for text in (words, layer.rstrip(), symbol) if text)


def _of_one_layer(path: str) -> tuple[str, str]:
    """Split the path of a key of the first or last layer alone: which layer, and whose key it is.

    E.g. "first layer " and "init.variance"; of another path nothing and itself.
    """
    section, _, key = path.partition(".")
    end, _, inner = key.partition(".")
    if section == "init" and inner:
        return f"{end} layer ", f"init.{inner}"
    return "", path


def _parted(
    path: str, values: Sequence[object], labels: Mapping[str, str], decimal: str
) -> tuple[list[str], list[Part]]:
    """Part what all values have in common, if they are mappings, from what sets them apart."""
    parts = spelled(path, values, labels=labels, decimal=decimal)
    mappings = path != "network.activation" and all(isinstance(v, Mapping) for v in values)
    if len(values) < 2 or not mappings:
        return [], parts
    spelling = _Spelling(labels, decimal, digits_apart(values, _DIGITS))
    said = [_entries(path, value, spelling) for value in values if isinstance(value, Mapping)]
    common = [text for text in said[0].values() if all(text in other.values() for other in said)]
    own = [[text for text in entries.values() if text not in common] for entries in said]
    if path == "network.residual":  # a default sets apart where nothing else does
        silent = (_default_entry(values, spelling) if not texts else "" for texts in own)
        own = [texts or [text] * bool(text) for texts, text in zip(own, silent, strict=True)]
    if not common or not all(own):
        return [], parts
    texts = [_cut_off(", ".join(texts)) for texts in own]
    if len(set(texts)) < len({part.text for part in parts}):
        return [], parts
    for n, (value, text) in enumerate(zip(values, texts, strict=True)):
        whole = _key_and_text(path, value, spelling)[1]
        parts[n] = Part(path, "", _label(path, value, whole, labels) or text)
    return common, parts


def _default_entry(blocks: Sequence[object], spelling: _Spelling) -> str:
    """Say the default of a key in which blocks differ."""
    for path in _SAID_FIRST:
        key = path.rpartition(".")[2]
        kinds = {
            str(block.get(key, _BLOCK[path])) for block in blocks if isinstance(block, Mapping)
        }
        if len(kinds) > 1:
            return _part(path, _BLOCK[path], spelling).text
    return ""


def _part(path: str, value: object, spelling: _Spelling) -> Part:
    """Name one value."""
    key, text = _key_and_text(path, value, spelling)
    label = _label(path, value, text, spelling.labels)
    return Part(path, "", label) if label else Part(path, key, text)


def _label(path: str, value: object, text: str, labels: Mapping[str, str]) -> str:
    """Return the user's text for a value; empty where there is none."""
    if not labels:
        return ""
    swept = [swept_text(path, value, form) for form in (to_text, "{:g}".format)]
    known = (text, to_text(value), flow_text(value), *swept)
    texts = [labels[name] for name in known if name in labels]
    if is_number(value):
        texts += [label for name, label in labels.items() if _number(name) == value]
    return " ".join(next(iter(texts), "").split())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _key_and_text(path: str, value: object, spelling: _Spelling) -> tuple[str, str]:
    """Return the key that a value needs before it, if any, and the value in words."""
    layer, general = _of_one_layer(path)
    word = WORDS.get(general, {}).get(to_text(value) if not isinstance(value, Mapping) else "")
    if word:
        return "", layer + word
    if isinstance(value, Mapping):
        if path == "network.activation":
            name, *options = value.values()
            return "", " ".join(
                [_key_and_text(path, name, spelling)[1], *(_short(o, spelling) for o in options)]
            )
        texts = [*_entries(path, value, spelling).values()]
        return "", ", ".join(texts) or f"$s$ = {_short(1.0, spelling)}"
    if isinstance(value, str):
        if _is_word(path, value):
            return "", layer + _plain(value if path == "inputs.path" else value.replace("_", " "))
        return key_text(path), _plain(_SYMBOLS.get(value, value))
    if isinstance(value, list | tuple):
        if path == "network.image" and len(value) > 1:
            return "", "×".join(map(str, value))
        if any(isinstance(entry, Mapping) for entry in value):
            inits = [entry for entry in value if isinstance(entry, Mapping)]
            texts = [", ".join(_entries(path, init, spelling).values()) for init in inits]
            runs = [(text, len(list(repeats))) for text, repeats in groupby(texts)]
            return "", "; ".join(f"{count}× {text}" if count > 1 else text for text, count in runs)
    return key_text(path), _short(value, spelling)


def _entries(path: str, value: Mapping[str, object], spelling: _Spelling) -> dict[str, str]:
    """Return what a mapping says under each of its keys; defaults of blocks go without saying."""
    texts = {}
    for key, inner in value.items():
        inside = f"{path}.{key}"
        if isinstance(inner, Mapping):  # of the first or the last layer
            texts[key] = ", ".join(_entries(inside, inner, spelling).values())
        elif inside not in _BLOCK or inner != _BLOCK[inside]:
            texts[key] = _part(inside, inner, spelling).text
    return texts


def _is_word(path: str, value: str) -> bool:
    """Whether a text says itself what it is, and is no number as a formula writes it."""
    return path == "inputs.path" or not any(c.isdigit() or c in "*/+(" for c in value)


def _short(value: object, spelling: _Spelling) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_short(inner, spelling) for inner in value)
    if isinstance(value, float) and not isinstance(value, WrittenNumber):
        return with_decimal(number_text(value, spelling.digits), spelling.decimal)
    text = value.text if isinstance(value, WrittenNumber) else to_text(value)
    return "none" if value is None else _plain(text).replace("-", "−")


def _plain(text: str) -> str:
    """Return a text as it is, on one line: a dollar sign in it begins no mathematics."""
    return printable(text).replace("$", r"\$")


def _cut_off(text: str) -> str:
    mathematical = "$" in text.replace(r"\$", "")
    return (
        text if len(text) <= _LONGEST or mathematical else f"{text[: _LONGEST - 1].rstrip(' ,;')}…"
    )


def _first_difference(texts: Sequence[Sequence[str]]) -> int:
    """Return the place of the first word that differs; where one text ends, its last word."""
    columns = list(zip(*texts, strict=False))
    differing = (place for place, words in enumerate(columns) if len(set(words)) > 1)
    return next(differing, len(columns) - 1)


def _unswept_parts(condition: Condition, decimal: str) -> list[Part]:
    """Name a condition of which nothing is swept by the one law of its weights, if there is one."""
    if condition.lsuv:
        return [Part("init.scheme", "", SCHEMES["lsuv"].name)]
    for over, fan_of in _FANS.items():
        fans = np.array([fan_of(*fans) for fans in condition.fans])
        scales = np.array(condition.weight_variances) * fans
        if np.allclose(scales, scales[0], rtol=1e-9, atol=0):
            number = with_decimal(number_text(float(scales[0]), 4), decimal)
            return [Part("init.variance", key_text("init.variance"), number + over)]
    return []
