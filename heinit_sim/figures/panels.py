"""Two mirrored panels, one per pass, with their lines. Never prints, never saves."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.axes.key import Key
from heinit_sim.figures.axes.lines import Line, band_styles, draw_line, draw_predicted
from heinit_sim.figures.frame import Tag, begin
from heinit_sim.figures.layout import Panel, Placing
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.tip_names import (
    Tip,
    first_panel_alone,
    last_seen,
    write_beside,
    write_between,
)
from heinit_sim.figures.words.condition_names import Names
from heinit_sim.figures.words.shown import Group
from heinit_sim.figures.words.text_size import text_width


def draw_panels(
    sheet: Sheet,
    panels: Mapping[Pass, Panel],
    lines: Mapping[Pass, Sequence[Line]],
    *,
    names: Names,
    key: Key,
    groups: Sequence[Group] = (),
    marked: bool = False,
    banded: bool = False,
    tip_of: Callable[[Axes, Line, Pass, float], Tip] | None = None,
    one_pass: bool = False,
) -> Figure:
    """Draw the lines of each pass into its panel.

    Args:
        sheet: The size of the figure and the colours of its ground.
        panels: The axes of the passes that are shown.
        lines: The lines of each, under the same labels.
        names: The heading of all names, and what all lines have in common.
        key: What says which style of line is which.
        groups: What hues and dashes stand for.
        marked: With circles at the points.
        banded: With predicted bands.
        tip_of: Where a line ends, and what is drawn there.
        one_pass: Whether both panels are of one pass: names then stand once, from the first.
    """
    bands = {direction: band_styles(lines[direction]) for direction in panels}
    if not any("filled" in styles for styles in bands.values()):
        key = key.with_outlines()
    tags = []
    for pair in zip(*(lines[direction] for direction in panels), strict=True):
        full = max((line.label for line in pair), key=text_width)
        short = _of_both([line.short for line in pair])
        tags.append(Tag(pair[0].index, full, short, pair[0].paint))
    placings: tuple[Placing, ...] = "beside", "between", "below"
    if one_pass:
        placings = ("between" if len(panels) > 1 else "beside"), "below"
    figure, layout = begin(sheet, panels, tags, names, key, groups, placings)
    sheet = layout.sheet
    named: dict[Pass, list[Line]] = {}
    tips: dict[Pass, list[Tip]] = {}
    for ax, direction in zip(figure.axes, panels, strict=True):
        for line, band in zip(lines[direction], bands[direction], strict=True):
            draw_line(ax, line, sheet, marked=marked, band=band)
            if banded:
                draw_predicted(ax, line, sheet)
        end_of = tip_of or (first_panel_alone if one_pass else last_seen)
        drawn = zip(tags, lines[direction], strict=True)
        named[direction] = [line for tag, line in drawn if tag.full]
        tips[direction] = [end_of(ax, line, direction, sheet.em) for line in lines[direction]]
    kept = [i for i, tag in enumerate(tags) if tag.full]
    tips = {direction: [of_pass[i] for i in kept] for direction, of_pass in tips.items()}
    if kept and layout.placing == "between":
        named_tags = [tags[i] for i in kept]
        write_between(figure, sheet, layout, named, tips, named_tags, names.heading)
    elif kept and layout.placing == "beside":
        for ax, direction in zip(figure.axes, panels, strict=True):
            if not (sheet.stacked and direction == "backward"):
                write_beside(ax, sheet, layout, named[direction], tips[direction], direction)
    return figure


def _of_both(texts: Sequence[str]) -> str:
    """Return one text for a line's names in the panels; a remark in one alone says where."""
    longest = max(texts, key=len)
    if len(set(texts)) == 1:
        return longest
    return f"{longest.removesuffix(')')} in {'ab'[texts.index(longest)]})"
