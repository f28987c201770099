"""Values of a config as text on one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

SELF_EXPLAINING = ("init", "network.residual")
"""The dotted paths whose values, as `swept_text` writes them, need no name before them."""

# Keys of a mapping that are not named before their value: it says itself what it is.
_UNNAMED_KEYS = ("name", "negative_slope", "scheme", "mode", "distribution")
# Key of residual blocks -> its default, which is not written, and how other values are.
_BLOCK_KEYS: Mapping[str, tuple[object, str]] = {
    "scale": (1, "s={}"),
    "branch_layers": (1, "{} layers"),
    "norm": ("none", "norm {}"),
    "zero_last": (False, "zero last"),
}
_SYMBOLS = {"1/sqrt(depth)": "1/√L"}  # of a network of L blocks


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

    Images are e.g. "8×8", residual blocks e.g. "s=1/√L 2 layers", or "plain" if there are none.
    What would break a line or a terminal is escaped.

    Args:
        path: Dotted path of the swept key.
        value: Plain.
        number_text: How a float is written.
    """
    if path == "network.residual":
        return _blocks_text(value, number_text) if isinstance(value, Mapping) else "plain"
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


def _blocks_text(blocks: Mapping[str, object], number_text: Callable[[float], str]) -> str:
    """Residual blocks by what is not the default; by their scale s = 1 where all is."""
    parts = []
    for key, value in blocks.items():
        default, form = _BLOCK_KEYS[key]
        if value != default:
            parts.append(form.format(_short_text(value, number_text)))
    return " ".join(parts) or f"s={number_text(1.0)}"


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
    return number_text(value) if isinstance(value, float) else _SYMBOLS.get(str(value), str(value))


def printable(text: str) -> str:
    """Escape what would break a line or a terminal.

    These are control characters, also of the direction of text, line ends and lone surrogates.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
