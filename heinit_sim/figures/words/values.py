"""Values of a config as one says them: proper names, few digits, no more than tells them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

from heinit_sim.experiment.labels import (
    ROWS,
    WrittenNumber,
    digits_apart,
    flow_text,
    formula_text,
    is_number,
    is_plain,
    printable,
    swept_text,
    to_text,
)
from heinit_sim.figures.words.keys import WORDS, key_text, of_one_layer
from heinit_sim.figures.words.numbers import number_text, with_decimal

# Word of a step -> how it is written in a row of steps.
_STEP_SYMBOLS = {"weights": "Ω", "activation": "a", "add": "+"}
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


class _Spelling(NamedTuple):
    """How values are written."""

    labels: Mapping[str, str]
    decimal: str
    digits: int


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
    if path in ROWS:
        texts = _rows_apart(values, spelling)
        labelled = [_label(path, v, p.value, labels) for v, p in zip(values, parts, strict=True)]
        parts = [
            Part(path, "", label) if label else Part(path, _row_key(path), text)
            for label, text in zip(labelled, texts, strict=True)
        ]
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


def _rows_apart(rows: Sequence[object], spelling: _Spelling) -> list[str]:
    """Blocks in symbols, e.g. "norm Ω(×4) a Ω +"; of those with the same steps what differs."""
    steps = [
        [_step(step, spelling) for step in row] for row in rows if isinstance(row, list | tuple)
    ]
    alike = len({tuple(text.partition("(")[0] for text in row) for row in steps}) == 1
    if alike and len(steps) > 1:
        differing = [n for n, texts in enumerate(zip(*steps, strict=True)) if len(set(texts)) > 1]
        steps = [[row[n] for n in differing or range(len(row))] for row in steps]
    return [
        "plain" if is_plain(row) else " ".join(texts)
        for row, texts in zip(rows, steps, strict=True)
    ]


def _row_key(path: str) -> str:
    """Whose steps they are; empty for the block's, which most are."""
    return path.removeprefix("network.").removeprefix("block")


def _step(step: object, spelling: _Spelling) -> str:
    """A step in symbols, or a stage."""
    if isinstance(step, Mapping) and "block" in step:
        inner = " ".join(_step(one, spelling) for one in step["block"])
        return f"{step.get('repeat', 1)}×({inner})"
    if isinstance(step, Mapping) and "activation" in step:
        return _key_and_text("network.activation", step["activation"], spelling)[1]
    text = swept_text("network.block", [step], lambda x: _short(x, spelling))
    word, bracket, options = text.partition("(")
    return _plain(_STEP_SYMBOLS.get(word, word) + bracket + formula_text(options))


def parted(
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
    if not common or not all(own):
        return [], parts
    texts = [_cut_off(", ".join(texts)) for texts in own]
    if len(set(texts)) < len({part.text for part in parts}):
        return [], parts
    for n, (value, text) in enumerate(zip(values, texts, strict=True)):
        whole = _key_and_text(path, value, spelling)[1]
        parts[n] = Part(path, "", _label(path, value, whole, labels) or text)
    return common, parts


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
    layer, general = of_one_layer(path)
    word = WORDS.get(general, {}).get(to_text(value) if not isinstance(value, Mapping) else "")
    if word:
        return "", layer + word
    if isinstance(value, Mapping):
        if general == "network.activation":
            name, *options = value.values()
            return "", " ".join(
                [_key_and_text(general, name, spelling)[1], *(_short(o, spelling) for o in options)]
            )
        texts = [*_entries(path, value, spelling).values()]
        return "", ", ".join(texts)
    if isinstance(value, str):
        if _is_word(path, value):
            return "", layer + _plain(value if path == "inputs.path" else value.replace("_", " "))
        return key_text(path), _plain(formula_text(value))
    if isinstance(value, list | tuple):
        if path in ROWS:
            return _row_key(path), _rows_apart([value], spelling)[0]
        if general == "network.activation":
            texts = [_key_and_text(general, entry, spelling)[1] for entry in value]
            runs = [(text, len(list(repeats))) for text, repeats in groupby(texts)]
            return "", ", ".join(f"{count}× {text}" if count > 1 else text for text, count in runs)
        if path == "network.image" and len(value) > 1:
            return "", "×".join(map(str, value))
        if any(isinstance(entry, Mapping) for entry in value):
            inits = [entry for entry in value if isinstance(entry, Mapping)]
            texts = [", ".join(_entries(path, init, spelling).values()) for init in inits]
            runs = [(text, len(list(repeats))) for text, repeats in groupby(texts)]
            return "", "; ".join(f"{count}× {text}" if count > 1 else text for text, count in runs)
    return key_text(path), _short(value, spelling)


def _entries(path: str, value: Mapping[str, object], spelling: _Spelling) -> dict[str, str]:
    """Return what a mapping says under each of its keys."""
    texts = {}
    for key, inner in value.items():
        inside = f"{path}.{key}"
        if isinstance(inner, Mapping):  # of the first or the last layer
            texts[key] = ", ".join(_entries(inside, inner, spelling).values())
        else:
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
