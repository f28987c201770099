"""The room that text takes: its width, and its lines where a line is too long."""

import re
from collections.abc import Iterable
from functools import cache

import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

LINE = 1.3  # height of a line, in font sizes
_BETWEEN = 0.2  # between the ink of two lines, in font sizes
_SLACK = 1.03  # of a width: a renderer rounds the place of each letter to a pixel


def text_width(text: str, weight: str = "normal") -> float:
    """Return the width of a line of text per point of font size, in the font that is set."""
    return _size(text, weight, tuple(matplotlib.rcParams["font.family"]))[0]


def line_height(texts: Iterable[str]) -> float:
    """Return the height of lines of these texts, in font sizes: more where indices stand."""
    family = tuple(matplotlib.rcParams["font.family"])
    tallest = max((_size(text, "normal", family)[1] for text in texts), default=0.0)
    return max(LINE, tallest + _BETWEEN)


@cache
def _size(text: str, weight: str, family: tuple[str, ...]) -> tuple[float, float]:
    if not text.strip():  # which has no outlines
        return 0.0, 0.0
    font = FontProperties(family=list(family), weight=weight)
    box = extents(TextPath((0, 0), text, size=1, prop=font))
    return _SLACK * float(max(box.x1, box.width)), float(box.height)


def extents(outline: Path) -> Bbox:
    """Return the box of an outline: what `get_extents` does, in a hundredth of its time.

    Of its curves only those can reach out of the box of their ends that have a control point there.
    """
    points, codes = np.asarray(outline.vertices), np.asarray(outline.codes)
    ends = np.isin(codes, [Path.MOVETO, Path.LINETO])
    curves = []
    for code, degree in ((Path.CURVE3, 2), (Path.CURVE4, 3)):
        of_degree = np.flatnonzero(codes == code).reshape(-1, degree)
        ends[of_degree[:, -1]] = True
        curves += [slice(curve[0] - 1, curve[-1] + 1) for curve in of_degree]
    low, high = points[ends].min(axis=0), points[ends].max(axis=0)
    outside = ((points < low) | (points > high)).any(axis=1)
    boxes = [
        Path(points[curve], [Path.MOVETO, *codes[curve][1:]]).get_extents()
        for curve in curves
        if outside[curve].any()
    ]
    return Bbox.union([Bbox([low, high]), *boxes])


def fitted(
    text: str, room: float, size: float, least: float, weight: str = "normal"
) -> tuple[float, list[str]]:
    """Return the font size and the lines with which a text is no wider than its room.

    It is made smaller, to `least` at most, before it is broken.
    """
    text = " ".join(text.splitlines())
    shrunk = min(size, room / max(text_width(text, weight), 1e-9))
    if shrunk >= least:
        return shrunk, [text]
    return least, broken(text, room / least, weight)


def broken(text: str, room: float, weight: str = "normal") -> list[str]:
    """Break a text between words, so that no line is wider than so many font sizes.

    What stands between dollar signs is one word; a word that is wider is cut off.
    """
    lines: list[str] = []
    for word in re.findall(r"(?:\$[^$]*\$|\\.|[^\s$])+", text):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, weight) <= room:
            lines[-1] = joined
        else:
            lines.append(cut_off(word, room, weight))
    return lines


def cut_off(text: str, room: float, weight: str = "normal") -> str:
    """Cut a text off where it is wider than so many font sizes; mathematics stays whole."""
    if text_width(text, weight) <= room or "$" in text:
        return text
    length = len(text)
    while length > 1 and text_width(f"{text[:length]}…", weight) > room:
        length -= 1
    return f"{text[:length]}…"
