"""Values of a config as text on one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import groupby

# Keys whose values say themselves what they are.
_SPEAKING = ("name", "negative_slope", "scheme", "mode", "distribution")
# Keys of residual blocks -> how a value is said, and the one that is not: s = 1 only where nothing
# else is said. No other mapping has these keys alone.
_BLOCKS: dict[str, tuple[str, object]] = {
    "scale": ("s={}", 1),
    "branch_layers": ("{} layers", 1),
    "norm": ("norm {}", "none"),
    "zero_last": ("zero last", False),
}
_SHORT = {"1/sqrt(depth)": "1/√L"}  # of L blocks


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
    """A text of at most so many characters; the dots at its end are among them."""
    return text if len(text) <= most else text[: most - 3] + "..."


def swept_text(value: object, number: Callable[[float], str] = "{:g}".format) -> str:
    """A swept value, short, e.g. "0.02", "4 3 2", "he_normal gain=2" or "50×lecun_normal, …".

    Residual blocks are e.g. "s=1/√L 2 layers".

    Args:
        value: Plain.
        number: How a float is written.
    """
    if isinstance(value, Mapping) and value.keys() <= _BLOCKS.keys():
        said = {key: part for key, part in value.items() if part != _BLOCKS[key][1]}
        said = said or {"scale": 1.0}
        return " ".join(_BLOCKS[k][0].format(swept_text(part, number)) for k, part in said.items())
    if isinstance(value, Mapping):
        names = {key: "" if key in _SPEAKING else f"{key}=" for key in value}
        return " ".join(names[key] + swept_text(part, number) for key, part in value.items())
    if isinstance(value, list | tuple):
        texts = [swept_text(part, number) for part in value]
        if not any(isinstance(part, Mapping) for part in value):
            return " ".join(texts)
        runs = ((text, len(list(alike))) for text, alike in groupby(texts))
        return ", ".join(f"{n}×{text}" if n > 1 else text for text, n in runs)
    if value is None or isinstance(value, bool):
        return "none" if value is None else to_text(value)
    return number(value) if isinstance(value, float) else _SHORT.get(str(value), str(value))


def as_said(path: str, value: object) -> object:
    """A swept value as `swept_text` takes it: images are "8×8", no blocks "plain"."""
    if path == "network.residual" and value is None:
        return "plain"
    if path == "network.image" and isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return value


def speaks(path: str) -> bool:
    """Whether the text of a value says itself what it is: initialisations, residual blocks."""
    return path in ("init", "network.residual")


def printable(text: str) -> str:
    """Escape what would break a line or a terminal: control characters, lone surrogates."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
