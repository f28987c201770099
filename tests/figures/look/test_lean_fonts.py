"""Fonts of a PDF hold the outlines of its letters, and no tables for setting text."""

import io
import re
import zlib
from collections import Counter

import pytest
from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure

from heinit_sim.figures.look.lean_fonts import lean_fonts
from tests.figures.helpers import drawn_7_4

LAYOUT = {"GDEF", "GPOS", "GSUB"}


def fonts(figure: Figure) -> list[TTFont]:
    """All fonts that are embedded in a figure's PDF."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf")
    pdf = buffer.getvalue()
    starts = [match.end() for match in re.finditer(rb"(?<!end)stream\n(?=x)", pdf)]
    contents = [zlib.decompressobj().decompress(pdf[start:]) for start in starts]
    return [TTFont(io.BytesIO(content)) for content in contents if content[:4] == b"\0\1\0\0"]


def outlines(font: TTFont) -> Counter[tuple[int, bytes]]:
    """Each letter's width and outline, and how often it is there."""
    glyphs, widths = font["glyf"], font["hmtx"]
    drawn = ((widths[name][0], glyphs[name]) for name in font.getGlyphOrder())
    return Counter(
        (width, repr([*map(list, glyph.getCoordinates(glyphs)[:2])]).encode())
        for width, glyph in drawn
        if glyph.numberOfContours
    )


def test_fonts_of_a_pdf_have_all_outlines_and_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    lean = fonts(drawn_7_4())
    monkeypatch.setattr("heinit_sim.figures.look.lean_fonts._UNUSED", ())
    full = fonts(drawn_7_4())
    assert len(lean) == len(full) > 1
    for mine, theirs in zip(lean, full, strict=True):
        assert not LAYOUT.intersection(mine.keys())
        assert LAYOUT.intersection(theirs.keys())
        assert mine["name"].getDebugName(4) == theirs["name"].getDebugName(4)
        assert outlines(mine)
        assert outlines(mine) <= outlines(theirs)  # which has what ligatures could need


def test_fonts_that_others_embed_stay_whole() -> None:
    load = subset.load_font
    with lean_fonts():
        assert subset.load_font is not load
    assert subset.load_font is load
