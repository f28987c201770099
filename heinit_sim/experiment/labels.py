"""Values of a config as text on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

ROWS = ("network.block", "network.stem", "network.head")
"""The dotted paths whose values are steps of a layer."""
SELF_EXPLAINING = ("init", "network.block")
"""The dotted paths whose values, as `swept_text` writes them, need no name before them."""

# Keys of a mapping that are not named before their value: it says itself what it is.
_UNNAMED_KEYS = ("name", "negative_slope", "scheme", "mode", "distribution")
# Options of steps that are named before their value in another way, or not at all.
_OPTION_NAMES = {
    "expand": "×",
    "scale": "s=",
    "skip": "α=",
    "rate": "",
    "init": "",
    "activation": "",
}
_FORMULAS = (
    (r"sqrt\((\w+)\)", r"√\1"),
    ("sqrt", "√"),
    ("depth", "K"),
    (r"\*\*", "^"),
    (r"\*", "·"),
)


class WrittenNumber(float):
    """A number with the arithmetic that a config writes for it, e.g. 0.03125 as "2/64"."""

    text: str

    def __new__(cls, value: float, text: str) -> WrittenNumber:
        """Take the value for that text."""
        number = super().__new__(cls, value)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]  # for copies
        return float(self), self.text

    def __str__(self) -> str:
        return self.text


def ends_apart(paths: Iterable[str]) -> dict[str, str]:
    """The last key of each dotted path, or as many more as no other of them ends with."""
    given, ends = list(paths), {}
    for path in given:
        keys = path.split(".")
        tails = (".".join(keys[-n:]) for n in range(1, len(keys) + 1))
        alone = (t for t in tails if sum(f".{other}".endswith(f".{t}") for other in given) == 1)
        ends[path] = next(alone, path)
    return ends


def is_number(value: object) -> bool:
    """Whether a plain value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_text(value: object) -> str:
    """A value of a config on one line, e.g. "0.02", "relu" or "[4, 3, 2]"."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flow_text(value: object) -> str:
    """A value as one writes it in a config, e.g. "{scheme: he_normal, mode: fan_out}"."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow_text, value)) + "]"
    return to_text(value)


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters; the dots at its end are among them."""
    return text if len(text) <= most else text[: most - 3] + "..."


def swept_text(
    path: str, value: object, number_text: Callable[[float], str] = "{:g}".format
) -> str:
    """A swept value, short, e.g. "0.02", "4 3 2", "he_normal gain=2" or "50×lecun_normal, …".

    Images are e.g. "8×8", blocks e.g. "norm weights(×4) activation weights add", or "plain" if
    they are as by default. What would break a line or a terminal is escaped.

    Args:
        path: Dotted path of the swept key.
        value: Plain.
        number_text: How a float is written.
    """
    if path in ROWS and isinstance(value, list | tuple):
        return printable(_row_text(value, number_text))
    if path == "network.image" and isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return printable(_short_text(value, number_text))


def digits_apart(values: Iterable[object], least: int = 6) -> int:
    """The significant digits, `least` or more, with which no two numbers in the values look alike.

    Args:
        values: Plain, at any depth.
        least: Digits that are enough for most.
    """
    numbers = set(_floats(values))
    enough = (n for n in range(least, 17) if len({f"{x:.{n}g}" for x in numbers}) == len(numbers))
    return next(enough, 17)  # which tell any two floats apart


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _floats(part)


def formula_text(text: str) -> str:
    """Arithmetic in symbols, e.g. "1/√(2·K)" of "1/sqrt(2*depth)"."""
    for pattern, symbol in _FORMULAS:
        text = re.sub(pattern, symbol, text)
    return text


def is_plain(block: object) -> bool:
    """Whether a block is as by default."""
    return isinstance(block, list | tuple) and list(block) == ["weights", "activation"]


def _row_text(row: Sequence[object], number_text: Callable[[float], str]) -> str:
    """Steps of a layer one after the other, or stages with the number of their blocks."""
    if is_plain(row):
        return "plain"
    stages = [stage for stage in row if isinstance(stage, Mapping) and "block" in stage]
    if stages:
        texts = (
            f"{stage.get('repeat', 1)}×({_row_text(stage['block'], number_text)})"
            for stage in stages
        )
        return " ".join(texts)
    return " ".join(_step_text(step, number_text) for step in row)


def _step_text(step: object, number_text: Callable[[float], str]) -> str:
    """A step and its options, e.g. "weights(×4)", "gelu" or "rms norm"."""
    if not isinstance(step, Mapping) or len(step) != 1:
        return str(step)
    ((word, options),) = step.items()
    if not isinstance(options, Mapping):
        return str(options) if word == "activation" else str(word)
    if word == "activation":
        return "(" + _short_text(options, number_text) + ")"
    if word == "norm":
        return f"{options['kind']} norm" if "kind" in options else "norm"
    texts = []
    for key, value in options.items():
        if isinstance(value, bool):
            texts += [str(key)] * value
        else:
            name = _OPTION_NAMES.get(str(key), f"{key}=")
            texts.append(name + _short_text(value, number_text))
    return f"{word}({' '.join(texts)})" if texts else str(word)


def _short_text(value: object, number_text: Callable[[float], str]) -> str:
    if isinstance(value, Mapping):
        names = {key: "" if key in _UNNAMED_KEYS else f"{key}=" for key in value}
        return " ".join(names[key] + _short_text(part, number_text) for key, part in value.items())
    if isinstance(value, list | tuple):
        texts = [_short_text(part, number_text) for part in value]
        if not any(isinstance(part, Mapping) for part in value):
            return " ".join(texts)
        runs = [(text, len(list(repeats))) for text, repeats in groupby(texts)]
        return ", ".join(f"{count}×{text}" if count > 1 else text for text, count in runs)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return to_text(value)
    if isinstance(value, WrittenNumber):
        return value.text
    return number_text(value) if isinstance(value, float) else str(value)


def printable(text: str) -> str:
    """Escape what would break a line or a terminal.

    These are control characters, also of the direction of text, line ends and lone surrogates.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
