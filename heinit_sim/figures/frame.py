"""The empty panels of a figure, with all that is written around them. Never prints, never saves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D, Transform

from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.axes import lines as strokes
from heinit_sim.figures.axes.key import Key, KeyEntry
from heinit_sim.figures.layout import (
    CAPTION,
    LABEL_PAD,
    MARGIN,
    SAMPLE,
    TICK_PAD,
    TICKS,
    Cell,
    Item,
    Layout,
    Panel,
    Placing,
    Texts,
    lay_out,
)
from heinit_sim.figures.look.drawn_figure import DrawnFigure
from heinit_sim.figures.look.painting import Paint
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.condition_names import Names
from heinit_sim.figures.words.shown import Group
from heinit_sim.figures.words.text_size import LINE

SIDES: dict[Pass, Literal["left", "right"]] = {"forward": "left", "backward": "right"}
TITLES: dict[Pass, str] = {"forward": "Forward pass", "backward": "Backward pass"}


def titled(sheet: Sheet, titles: Mapping[Pass, str] = TITLES) -> dict[Pass, str]:
    """Return the titles of the panels that are shown, with letters if there are two."""
    shown = {direction: titles[direction] for direction in sheet.panels}
    if len(shown) == 1:
        return shown
    return {
        direction: f"{letter})  {text}"
        for letter, (direction, text) in zip("ab", shown.items(), strict=True)
    }


@dataclass(frozen=True)
class Tag:
    """The name of a line in every panel."""

    index: int  # of its condition
    full: str
    short: str  # under the heading of all
    paint: Paint


def begin(
    sheet: Sheet,
    panels: Mapping[Pass, Panel],
    tags: Sequence[Tag],
    names: Names,
    key: Key,
    groups: Sequence[Group] = (),
    placings: Sequence[Placing] = ("beside", "between", "below"),
) -> tuple[Figure, Layout]:
    """Draw empty panels, with the key and the names that stand below them.

    Args:
        sheet: The size of the figure and the colours of its ground.
        panels: The axes of the passes that are shown.
        tags: The names of the lines.
        names: The heading of all names, and what all lines have in common.
        key: What says which style of line is which.
        groups: What hues and dashes stand for. Dashes are told in the key; hues stand below the
            panels where the names have no room beside them.
        placings: Where the names may stand.
    """
    shown_key = key.of_panels(sheet.panels)
    swatches = [(tag.short, tag.paint, f"condition-{tag.index}") for tag in tags]
    rows: list[list[tuple[int | None, str]]] = [list(enumerate(tag.short for tag in tags))]
    if names.heading and tags:
        rows[0].insert(0, (None, names.heading))
    if groups:
        swatches = [*_swatches(groups[0])]
        texts_of = enumerate(text for text, *_ in swatches)
        rows = [[(None, groups[0].heading), *texts_of]]
    dashed = [
        (f"{group.heading} = {text}" if group.heading else text, paint, gid)
        for group in groups[1:]
        for text, paint, gid in _swatches(group)
    ]
    notes = [*shown_key.notes, f"All: {names.common}"] if names.common else shown_key.notes
    texts = Texts(
        beside=[tag.full for tag in tags],
        between=[tag.short for tag in tags],
        heading=names.heading,
        below=rows,
        key=[*(entry.said for entry in shown_key.entries), *(text for text, *_ in dashed)],
        notes=" ".join(f"{note}." for note in notes),
    )
    layout = lay_out(sheet, panels, texts, placings)
    sheet = layout.sheet
    figure = DrawnFigure(figsize=(sheet.width / 72, sheet.height / 72))
    figure.set_label(shown_key.sentence)  # for those who cannot see it
    for direction, cell in layout.cells.items():
        _add_panel(figure, sheet, direction, cell)
    for item in layout.names:
        if item.index is None:
            _write_heading(figure, item, layout.size)
        else:
            _draw_name(figure, item, *swatches[item.index][1:], layout.size)
    for item in layout.key:
        assert item.index is not None
        past = item.index - len(shown_key.entries)
        if past < 0:
            _draw_entry(figure, sheet, item, shown_key.entries[item.index])
        else:
            quiet = np.array(to_rgba(sheet.quiet))
            _, paint, gid = dashed[past]
            paint = replace(paint, color=quiet, ink=quiet)
            _draw_name(figure, item, paint, gid, CAPTION * sheet.font)
    _write_notes(figure, sheet, layout)
    return figure, layout


def _swatches(group: Group) -> Iterator[tuple[str, Paint, str]]:
    """Yield text, paint and id of each value of a group: the id names the lines that have it."""
    for (text, paint), lines in zip(group.entries, group.lines, strict=True):
        yield text, paint, f"conditions-{'-'.join(map(str, lines))}"


def _write_heading(figure: Figure, item: Item, size: float) -> None:
    style: dict[str, Any] = {"fontsize": size, "va": "center_baseline", "gid": "heading"}
    figure.text(item.x, item.y, item.text, transform=points_of(figure), **style)


def _write_notes(figure: Figure, sheet: Sheet, layout: Layout) -> None:
    """Write the title above all and the notes below all."""
    points, left = points_of(figure), MARGIN * sheet.em
    style: dict[str, Any] = {"transform": points, "va": "baseline"}
    quiet = {**style, "color": sheet.quiet, "fontsize": CAPTION * sheet.font}
    for i, (y, text) in enumerate(layout.notes):
        figure.text(left, y, text, gid=f"notes-{len(layout.notes) - i}", **quiet)
    if layout.title:
        y, words = layout.title
        bold = {**style, "fontsize": words.size, "fontweight": "bold", "linespacing": 1.15}
        below = LINE * words.size * (len(words.lines) - 1)
        figure.text(left, y - below, "\n".join(words.lines), gid="title", **bold)


def points_of(figure: Figure) -> Transform:
    """Return the coordinates of a figure in points from its lower left."""
    return Affine2D().scale(1 / 72) + figure.dpi_scale_trans


def _add_panel(figure: Figure, sheet: Sheet, direction: Pass, cell: Cell) -> None:
    """Add an empty panel: its scale outside, the name of the scale level above it."""
    box, em, font = cell.box, sheet.em, sheet.font
    side = SIDES[direction]
    shape = box.left / sheet.width, box.bottom / sheet.height
    ax = figure.add_axes((*shape, box.width / sheet.width, box.height / sheet.height))
    ax.set_gid(direction)
    ax.set_xlim(cell.x.limits)
    ax.set_ylim(cell.y.limits)
    ax.yaxis.set_ticks_position(side)
    ax.spines["right" if side == "left" else "left"].set_visible(False)
    style: dict[str, Any] = {"labelsize": TICKS * font, "length": 3.5 * em, "width": 0.8 * em}
    ax.tick_params(axis="x", pad=(TICK_PAD - 3.5) * em, **style)
    ax.tick_params(axis="y", pad=3.5 * em, **style)
    ax.set_xticks(cell.x.ticks, cell.x.labels)
    ax.set_yticks(cell.y.ticks, cell.y.labels)
    ax.set_xticks([], minor=True)
    for spine in ax.spines.values():
        spine.set_linewidth(0.8 * em)
    ax.grid(axis="y", color=sheet.rule, linewidth=0.8 * em)
    points = points_of(figure)
    x = box.left if side == "left" else box.left + box.width
    y = box.bottom + box.height + LABEL_PAD * em
    style = {"linespacing": 1.15, "multialignment": side, "ha": side, "va": "baseline"}
    words = cell.y_label
    ax.set_ylabel("\n".join(words.lines), fontsize=words.size, rotation=0, **style)
    ax.yaxis.set_label_coords(x, y, transform=points)
    ax.yaxis.label.set_gid(f"{direction}-scale")
    y = (y + words.height + 0.12 * cell.title.size - box.bottom) / box.height
    style = {"linespacing": 1.15, "fontsize": cell.title.size, "gid": f"{direction}-title"}
    text = "\n".join(cell.title.lines)
    ax.set_title(text, loc=side, y=y, pad=0, fontweight="bold", color=sheet.ink, **style)
    if cell.x_label:
        style = {"linespacing": 1.15, "fontsize": cell.x_label.size, "gid": f"{direction}-layers"}
        ax.set_xlabel("\n".join(cell.x_label.lines), va="top", **style)
        below = box.bottom - TICK_PAD * em - LINE * TICKS * font
        ax.xaxis.set_label_coords(box.left + box.width / 2, below, transform=points)


def _draw_name(figure: Figure, item: Item, paint: Paint, gid: str, size: float) -> None:
    """Draw a short piece of a line and its name."""
    points = points_of(figure)
    ends = [item.x, item.x + SAMPLE * size], [item.y, item.y]
    style: dict[str, Any] = {"color": paint.color, "linewidth": 0.28 * size, "transform": points}
    if paint.marker:
        style |= {"marker": paint.marker, "markersize": 0.55 * size, "markeredgewidth": 0}
    style |= strokes.pattern(paint) | {"gid": f"{gid}-sample"}
    figure.add_artist(Line2D(*ends, **style))
    x = item.x + (SAMPLE + 0.5) * size
    style = {"fontsize": size, "color": paint.ink, "transform": points, "va": "center_baseline"}
    figure.text(x, item.y, item.text, gid=f"{gid}-name", **style)


def _draw_entry(figure: Figure, sheet: Sheet, item: Item, entry: KeyEntry) -> None:
    """Draw a line, a band or a circle as the panels have them, and the words on it."""
    size, points = CAPTION * sheet.font, points_of(figure)
    left, right = item.x, item.x + SAMPLE * size
    style = strokes.sample(entry.style, sheet.em) | {"transform": points}
    style |= {"gid": f"key-{entry.style}"}
    if entry.style in strokes.AREAS:
        box = (left, item.y - 0.3 * size), right - left, 0.6 * size
        figure.add_artist(Rectangle(*box, facecolor=sheet.quiet, **style))
    elif entry.style == "outline":
        for y in (item.y - 0.3 * size, item.y + 0.3 * size):
            figure.add_artist(Line2D([left, right], [y, y], color=sheet.quiet, **style))
            style["gid"] = "key-outline-high"
    else:
        x = [left, right] if style.get("linestyle") != "" else [(left + right) / 2]
        figure.add_artist(Line2D(x, [item.y] * len(x), color=sheet.quiet, **style))
    words: dict[str, Any] = {"fontsize": size, "color": sheet.quiet, "va": "center_baseline"}
    x_text = right + 0.5 * size
    figure.text(x_text, item.y, item.text, transform=points, gid=f"key-{entry.style}-text", **words)
