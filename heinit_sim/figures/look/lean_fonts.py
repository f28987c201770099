"""Fonts as a PDF needs them: without tables for setting text, which took half the time of a PDF."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_UNUSED = ("BASE", "GDEF", "GPOS", "GSUB", "MATH", "kern")
"""Tables of a font that say which glyphs to take and where, while a PDF says that of each."""


@contextmanager
def lean_fonts() -> Iterator[None]:
    """Let fontTools, by which matplotlib embeds a part of a font, read fonts without them."""
    from fontTools import subset  # which only a PDF needs

    load = subset.load_font

    def load_lean(*args: Any, **options: Any) -> Any:
        font = load(*args, **options)
        for tag in _UNUSED:
            if tag in font:
                del font[tag]
        return font

    subset.load_font = load_lean
    try:
        yield
    finally:
        subset.load_font = load
