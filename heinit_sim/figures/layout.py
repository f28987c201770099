"""Where panels, names and the key stand on a sheet. Text is measured, and nothing is drawn."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.axes.axis_scales import Scale, heights_fit
from heinit_sim.figures.look.sheet import SMALLEST, Sheet
from heinit_sim.figures.words.text_size import (
    LINE,
    broken,
    cut_off,
    fitted,
    line_height,
    text_width,
)

Placing = Literal["beside", "between", "below"]
"""Where the names of lines stand: beside each panel, once for both between them, or below."""
TICKS, CAPTION, TITLE = 0.93, 0.82, 1.29  # sizes of text, in fonts of the sheet
MARGIN, EDGE, MIDDLE = 16, 9, 16  # points: at the sides, above and below, and between names
GAP = 27  # from a panel to its names: room for an arrow head and a leader
GUTTER = 40  # between panels without names between them
TICK_PAD, LABEL_PAD = 8.5, 11.5  # from the panel to its ticks below, and to what stands above it
SAMPLE, APART = 2.6, 1.5  # length of a sample of a line, and from a text to the next sample
LEAST_WIDTH = 0.6  # of the sheet, of the panels side by side
LEAST_HEIGHT = 0.25  # of the sheet, of the panels one above the other
BESIDE = 5  # most names that stand twice, beside each panel
MOST_TICKS = 7
SHRUNK = tuple(0.92**n for n in range(16))  # of a font that nobody asked for, until all fits


@dataclass(frozen=True)
class Panel:
    """The axes of one pass: scales that are told how much room there is."""

    x: Callable[[float], Scale]  # of the length of the axis, in font sizes of its ticks
    x_label: str
    y: Callable[[int], Scale]  # of the most steps between ticks
    y_label: str
    title: str


@dataclass(frozen=True)
class Words:
    """A text in lines, and its font size."""

    size: float
    lines: list[str]

    @property
    def height(self) -> float:
        """The points that the lines take."""
        return LINE * self.size * len(self.lines)


@dataclass(frozen=True)
class Box:
    """A rectangle on the sheet, in points from its lower left."""

    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class Cell:
    """The place of one panel and what is written around it."""

    box: Box
    x: Scale
    y: Scale
    title: Words
    y_label: Words
    x_label: Words | None  # None where the panel below says it


@dataclass(frozen=True)
class Item:
    """A sample and the text after it, in a row of a legend or a key."""

    index: int | None  # None: a heading, which has no sample
    x: float
    y: float  # of the middle of its line
    text: str


@dataclass(frozen=True)
class Layout:
    """All places on a sheet."""

    sheet: Sheet
    cells: Mapping[Pass, Cell]
    placing: Placing
    size: float  # of the names
    names: list[Item]  # those below the panels
    key: list[Item]
    notes: list[tuple[float, str]]  # lines and their baselines
    title: tuple[float, Words] | None  # and its baseline
    fits: bool


@dataclass(frozen=True)
class Texts:
    """All that is written beside the axes' own texts."""

    beside: Sequence[str]  # names of lines, the same in every panel; empty ones take no room
    between: Sequence[str]  # names under the heading
    heading: str
    below: Sequence[Sequence[tuple[int | None, str]]]  # rows or more of samples, None for headings
    key: Sequence[str]
    notes: str


def lay_out(
    sheet: Sheet,
    panels: Mapping[Pass, Panel],
    texts: Texts,
    placings: Sequence[Placing] = ("beside", "between", "below"),
) -> Layout:
    """Find the places of all: names as large as they can be, beside the panels if they fit there.

    Args:
        sheet: The size of the figure and of its font.
        panels: The axes of the passes that are shown.
        texts: The names of lines, the key and the notes.
        placings: Where the names may stand.

    Returns:
        The places; the font of `Layout.sheet` is smaller where none was asked for and it must be.

    Raises:
        ConfigError: The font that was asked for is too large for the figure.
    """
    fonts = [sheet.font * share for share in (SHRUNK if not sheet.font_asked else (1.0,))]
    for arrange in (_with_all_names, _with_some_names):
        for font in fonts:
            layout = arrange(replace(sheet, font=font), panels, texts, placings)
            if layout.fits:
                return layout
    if sheet.font_asked:
        free = replace(sheet, font_asked=False)
        largest = lay_out(free, panels, texts, placings).sheet.font
        inches = f"{sheet.width / 72:.3g} × {sheet.height / 72:.3g} inches"
        wrong = f"figure.font_size: error: too large for {inches} ({sheet.font:g})"
        raise ConfigError(
            [f"{wrong}, must be at most {math.floor(10 * largest) / 10:g}, or a larger figure.size"]
        )
    return layout


def _with_all_names(
    sheet: Sheet, panels: Mapping[Pass, Panel], texts: Texts, placings: Sequence[Placing]
) -> Layout:
    """Return the first layout that fits with every name, else the last that was tried."""
    for placing, size in _candidates(sheet, len(texts.beside), placings):
        layout = _arranged(sheet, panels, texts, placing, size)
        if layout.fits:
            break
    return layout


def _with_some_names(
    sheet: Sheet, panels: Mapping[Pass, Panel], texts: Texts, placings: Sequence[Placing]
) -> Layout:
    """Return the layout with the most names that fit below, the first and the last among them."""
    items = [item for group in texts.below for item in group]
    headings = [item for item in items if item[0] is None]
    names = [item for item in items if item[0] is not None]
    for count in range(len(names) - 1, 1, -1):
        places = np.linspace(0, len(names) - 1, count).round().astype(int).tolist()
        told = f"{texts.notes} {count} of {len(names)} named.".strip()
        some = replace(texts, below=[[*headings, *(names[i] for i in places)]], notes=told)
        layout = _arranged(sheet, panels, some, "below", SMALLEST * sheet.font)
        if layout.fits:
            return layout
    return _arranged(sheet, panels, texts, placings[-1], SMALLEST * sheet.font)


def _candidates(
    sheet: Sheet, count: int, placings: Sequence[Placing]
) -> Iterator[tuple[Placing, float]]:
    for placing in placings:
        side_by_side = len(sheet.panels) > 1 and not sheet.stacked
        if placing == "beside" and side_by_side and not 1 < count <= BESIDE:
            continue
        if placing == "between" and not side_by_side:
            continue
        for share in (1.0, 0.93, 0.86, 0.8, SMALLEST):
            yield placing, share * sheet.font


def _arranged(
    sheet: Sheet, panels: Mapping[Pass, Panel], texts: Texts, placing: Placing, size: float
) -> Layout:
    em, caption = sheet.em, CAPTION * sheet.font
    room = sheet.width - 2 * MARGIN * em
    y = EDGE * em
    note_lines = broken(texts.notes, room / caption) if texts.notes else []
    note_places = []
    for line in reversed(note_lines):
        note_places.append((y + 0.25 * caption, line))
        y += LINE * caption
    key_items, y = _rows(sheet, list(enumerate(texts.key)), caption, y, even=False)
    name_items: list[Item] = []
    for group in reversed(texts.below) if placing == "below" else ():
        shown = [(i, text) for i, text in group if text]
        items, y = _rows(sheet, shown, size, y + 2 * em, even=len(texts.below) == 1)
        name_items += items
    top, title = sheet.height - EDGE * em, None
    if sheet.title:
        words = Words(*fitted(sheet.title, room, TITLE * sheet.font, sheet.font, "bold"))
        title = (top - 0.95 * words.size, words)
        top -= words.height + 3 * em
    names = [*texts.between, texts.heading] if placing == "between" else texts.beside
    widest = max(map(text_width, names), default=0.0) * size
    cells = _cells(
        sheet, panels, placing, widest, Box(0, y + 5 * em, sheet.width, top - y - 5 * em)
    )
    boxes = [cell.box for cell in cells.values()]
    side = 1 if sheet.stacked else len(boxes)
    named = sum(map(bool, names))
    fits = side * min(box.width for box in boxes) >= LEAST_WIDTH * sheet.width
    height = min(box.height for box in boxes)
    fits &= height * (len(boxes) / side) >= LEAST_HEIGHT * sheet.height
    if placing != "below":
        fits &= height + 0.4 * size >= named * line_height(names) * size
    tick = TICKS * sheet.font
    fits &= all(heights_fit(cell.y, cell.box.height / tick) for cell in cells.values())
    return Layout(
        sheet, cells, placing, size, name_items, key_items, note_places, title, bool(fits)
    )


def _rows(
    sheet: Sheet, texts: Sequence[tuple[int | None, str]], size: float, bottom: float, *, even: bool
) -> tuple[list[Item], float]:
    """Place samples with their texts in rows, in columns of one width if `even`; return the top."""
    left, right = MARGIN * sheet.em, sheet.width - MARGIN * sheet.em
    sample, apart = (SAMPLE + 0.5) * size, APART * size
    cut = [(i, cut_off(text, (right - left - sample) / size)) for i, text in texts]
    widths = [(0 if i is None else sample) + size * text_width(text) + apart for i, text in cut]
    if even and widths:
        columns = max(1, min(len(widths), int((right - left + apart) / max(widths))))
        columns = -(-len(widths) // -(-len(widths) // columns))  # rows of about one length
        widths = [max(widths)] * len(widths)
    else:
        columns = len(widths)
    rows: list[list[Item]] = [[]]
    x = left
    for (i, text), width in zip(cut, widths, strict=True):
        if rows[-1] and (x + width - apart > right or len(rows[-1]) == columns):
            rows.append([])
            x = left
        rows[-1].append(Item(i, x, len(rows), text))
        x += width
    count, line = len(rows) if texts else 0, line_height(text for _, text in texts) * size
    placed = [
        replace(item, y=bottom + (count - item.y + 0.5) * line) for row in rows for item in row
    ]
    return placed, bottom + count * line


def _cells(
    sheet: Sheet, panels: Mapping[Pass, Panel], placing: Placing, widest: float, area: Box
) -> dict[Pass, Cell]:
    em, font = sheet.em, sheet.font
    tick = TICKS * font
    heads = (TITLE + 1) * LINE * font  # of a panel, if its title and its scale's name are one line
    foot = TICK_PAD * em + LINE * tick
    x_labels = {panel.x_label for panel in panels.values()}
    once = sheet.stacked and len(x_labels) == 1
    rows = len(panels) if sheet.stacked else 1
    for _ in range(2):  # the lines of the heads depend on the scale, and it on their height
        feet = [foot + (0 if once and i + 1 < rows else LINE * font) for i in range(rows)]
        spare = area.height - sum(feet) - rows * (heads + LABEL_PAD * em) - (rows - 1) * 6 * em
        height = max(spare / rows, 1.0)
        scales = {
            direction: _readable(panel.y, height / tick).with_decimal(sheet.decimal)
            for direction, panel in panels.items()
        }
        ticks = [text for scale in scales.values() for text in scale.labels]
        outer = MARGIN * em + tick * max(map(text_width, ticks), default=0.0) + 8 * em
        inner = _inner(sheet, placing, widest)
        if sheet.stacked:  # the scale of the second panel is on that side
            inner = max(inner, outer)
        sides = 1 if sheet.stacked else len(panels)
        width = max(sheet.width / sides - outer - inner, 1.0)
        head_room = sheet.width / sides - outer - (GUTTER / 2 if sides > 1 else MARGIN) * em
        words = {}
        for direction, panel in panels.items():
            size = (1.1 if sheet.title else TITLE) * font
            bold = fitted(panel.title, head_room, size, SMALLEST * font, "bold")
            named = fitted(panel.y_label, head_room, font, SMALLEST * font)
            below = fitted(panel.x_label, width + 0.8 * min(outer, inner), font, SMALLEST * font)
            words[direction] = Words(*bold), Words(*named), Words(*below)
        heads = max(title.height + label.height for title, label, _ in words.values())
        foot = TICK_PAD * em + LINE * tick
        font_lines = max(label.height for *_, label in words.values()) - LINE * font
        foot += max(font_lines, 0.0) / rows if once else max(font_lines, 0.0)
    cells: dict[Pass, Cell] = {}
    y = area.bottom + area.height
    for i, (direction, panel) in enumerate(panels.items()):
        row = i if sheet.stacked else 0
        bottom = y - sum(feet[:row]) - (row + 1) * (heads + LABEL_PAD * em + height) - row * 6 * em
        left = outer
        if direction == "backward" and not sheet.stacked:
            left = sheet.width - outer - width
        title, y_label, x_label = words[direction]
        hidden = once and row + 1 < rows
        x = panel.x(width / tick).with_decimal(sheet.decimal)
        box = Box(left, bottom, width, height)
        cells[direction] = Cell(
            box, x, scales[direction], title, y_label, None if hidden else x_label
        )
    return cells


def _readable(scale_of: Callable[[int], Scale], room: float) -> Scale:
    """Return the scale with the most ticks whose labels stand apart."""
    scales = (scale_of(most) for most in range(MOST_TICKS, 0, -1))
    return next((scale for scale in scales if heights_fit(scale, room)), scale_of(1))


def _inner(sheet: Sheet, placing: Placing, widest: float) -> float:
    """Return the points from a panel to the middle of the sheet, or to its side."""
    em = sheet.em
    alone = sheet.stacked or len(sheet.panels) == 1
    if placing == "below":
        return MARGIN * em if alone else GUTTER * em / 2
    if alone:
        return GAP * em + widest + EDGE * em
    return GAP * em + (widest / 2 if placing == "between" else widest + MIDDLE * em / 2)
