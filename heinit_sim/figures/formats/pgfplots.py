"""A figure as a LaTeX document of pgfplots, and as the table of numbers that this reads.

All stands where matplotlib has it: lengths are in points of 1/72 in, bp in TeX. Never saves.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from matplotlib import cbook
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.typing import ColorType

from heinit_sim.experiment.labels import printable
from heinit_sim.experiment.latex import MACROS, escaped
from heinit_sim.figures.frame import points_of
from heinit_sim.figures.kinds.layers import HEAD_SHAPE
from heinit_sim.figures.look.sheet import saving
from heinit_sim.figures.words.text_size import LINE
from heinit_sim.numerics import FloatArray

MIDDLE, ASCENT = 0.35, 0.76  # from the baseline to the middle and to the top of text, in its sizes
ROOM = 8  # heights of a panel, above and below it, beyond which TeX could not count
MOST = 200  # points of a line: the memory of TeX holds no more of all lines of a long run
MARKS = {  # of matplotlib -> that of pgfplots, its size and the width of its strokes, in sizes
    "o": ("*", 0.5, 0.0),
    "s": ("square*", 0.5, 0.0),
    "^": ("triangle*", 0.62, 0.0),
    "v": ("triangle*", 0.62, 0.0),
    "D": ("diamond*", 0.71, 0.0),
    "P": ("+", 0.5, 0.33),
    "X": ("x", 0.5, 0.33),
}
_CONDITION = re.compile(r"conditions?-(\d+)(?:-\d+)*-([a-z].*?)(-backward)?")
_ANCHORS = {"left": "base west", "center": "base", "right": "base east"}
_IN_T1 = re.compile("[\x20-\x7e\u00a1-\u017e‘’“”„‚‹›€™†‡•‰–—…]")
_PREAMBLE = r"""
\documentclass{article}
\usepackage[paperwidth=%sbp, paperheight=%sbp, margin=0bp]{geometry}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{lmodern, amsmath, amssymb, pgfplots}
\usepgfplotslibrary{fillbetween}
\renewcommand{\familydefault}{\sfdefault}
\SetSymbolFont{operators}{normal}{OT1}{lmss}{m}{n} %% digits in formulas: without serifs too
\SetSymbolFont{operators}{bold}{OT1}{lmss}{bx}{n}
\newcommand{\sized}[1]{\fontsize{#1bp}{1.3\dimexpr#1bp\relax}\selectfont}
"""


@dataclass
class _Columns:
    """Numbers under their names: those of one grid side by side, after its own column."""

    series: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    grids: dict[str, FloatArray] = field(default_factory=dict)
    grid_of: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, x: FloatArray, y: FloatArray) -> str:
        """Add numbers y at x, and return the name of their column: one that is there if equal."""
        for known, (at, values) in self.series.items():
            if np.array_equal(at, x) and np.array_equal(values, y, equal_nan=True):
                return known
        count, free = 2, name
        while free in self.series:
            free, count = f"{name}-{count}", count + 1
        self.series[free] = x, y
        return free

    def arrange(self) -> None:
        """Find grids: one for all if each has its points side by side there, else several."""
        every = np.unique(np.concatenate([x for x, _ in self.series.values()] or [np.zeros(0)]))
        shared = all(_side_by_side(x, every) for x, _ in self.series.values())
        for name, (x, _) in self.series.items():
            grid = every if shared else x
            known = (n for n, other in self.grids.items() if np.array_equal(other, grid))
            place = f"x-{len(self.grids) + 1}" if self.grids else "x"
            self.grid_of[name] = next(known, place)
            self.grids.setdefault(self.grid_of[name], grid)

    def place(self, name: str) -> str:
        """Return where pgfplots finds a column, and the places of its numbers."""
        return f"x={self.grid_of[name]}, y={name}"

    def text(self) -> str:
        """Return the CSV: a head, and "nan" where there is no number."""
        columns: dict[str, list[str]] = {}
        for grid, places in self.grids.items():
            columns[grid] = [_number(x) for x in places.tolist()]
            for name in (name for name, other in self.grid_of.items() if other == grid):
                x, y = self.series[name]
                column = np.full(len(places), np.nan)
                column[np.searchsorted(places, x)] = y
                columns[name] = [_number(value) for value in column.tolist()]
        rows = max(map(len, columns.values()), default=0)
        filled = [[name, *cells, *["nan"] * (rows - len(cells))] for name, cells in columns.items()]
        return "".join(f"{','.join(row)}\n" for row in zip(*filled, strict=True))


def _side_by_side(x: FloatArray, grid: FloatArray) -> bool:
    first = int(np.searchsorted(grid, x[0])) if len(x) else 0
    return np.array_equal(grid[first : first + len(x)], x)


@dataclass
class _Names:
    """Colours and styles under names, each defined once, and what each condition is called."""

    colors: dict[str, str] = field(default_factory=dict)  # eight bits each -> name
    styles: dict[tuple[str, str], str] = field(default_factory=dict)  # role and options -> name
    labels: dict[str, str] = field(default_factory=dict)  # e.g. "condition-2" -> as in the figure

    def color(self, color: ColorType, wanted: str) -> str:
        """Return the name of a colour: the one wanted, unless it has one."""
        code = to_hex(color)[1:].upper()
        if code not in self.colors:
            taken = self.colors.values()
            names = (f"{wanted}{n or ''}" for n in range(len(self.colors) + 2) if n != 1)
            self.colors[code] = next(name for name in names if name not in taken)
        return self.colors[code]

    def style(self, role: str, options: str) -> str:
        """Return the name of a style: its role, with a number where that has several."""
        if (role, options) not in self.styles:
            count = sum(known == role for known, _ in self.styles)
            self.styles[role, options] = f"{role} {count + 1}" if count else role
        return self.styles[role, options]

    def definitions(self) -> Iterator[str]:
        """Yield a line for each colour and for each style."""
        for code, name in self.colors.items():
            number = re.fullmatch(r"condition(\d+)", name)
            label = self.labels.get(f"condition-{number[1]}") if number else None
            remark = f" % {label}" if label else ""
            yield rf"\definecolor{{{name}}}{{HTML}}{{{code}}}{remark}"
        corners = " -- ".join(f"({_bp(x)}, {_bp(y)})" for x, y in HEAD_SHAPE.tolist())
        yield r"\tikzset{"
        yield rf"  head/.pic={{\fill {corners} -- cycle;}},"
        for (_, options), name in self.styles.items():
            yield f"  {name}/.style={{{options}}},"
        yield "}"


def to_pgfplots(figure: Figure, table: str) -> tuple[str, str]:
    """Return a figure as a LaTeX document of its own, and as the CSV text that it reads.

    Args:
        figure: As `draw` returns it.
        table: The name under which the CSV is saved, beside the document.
    """
    with saving():
        figure.draw_without_rendering()  # which places the names of the axes
        return _document(figure, table)


def _document(figure: Figure, table: str) -> tuple[str, str]:
    names, columns = _Names(), _Columns()
    texts = [text for text in figure.findobj(_shows) if isinstance(text, Text)]
    for text in texts:
        if found := re.fullmatch(r"(condition-\d+)-name(-backward)?", _gid(text)):
            names.labels.setdefault(found[1], _one_line(text.get_text()))
    width, height = (_number(72 * inches, 2) for inches in figure.get_size_inches().tolist())
    page, ground = f"({width}, {height})", to_rgba(figure.get_facecolor())
    names.color(ground if ground[3] else "white", "ground")
    for ax in figure.axes:
        names.color(ax.spines["bottom"].get_edgecolor(), "ink")
    body = [line for ax in figure.axes for line in _panel(ax, names, columns)]
    body += _around(figure, names)
    columns.arrange()
    long = max(map(len, columns.grids.values()), default=0) >= MOST
    used = re.compile(r"<<(.*?)>>")
    body = [used.sub(lambda found: columns.place(found[1]), line) for line in body]
    lines = [
        f"% {_one_line(str(figure.get_label()))}",
        f"% The numbers are in {table}; those of a logarithmic axis are log10 of what it says.",
        "% All lengths are points of 1/72 in (bp). To compile it, beside a PDF of the same name:",
        f"% pdflatex -jobname figure {table.removesuffix('_lines.csv')}.tex",
        *([f"% Of lines with more points, {MOST} are there, both ends among them."] * long),
        *(_PREAMBLE % (width, height)).strip().splitlines(),
        *_unknown_letters(text.get_text() for text in texts),
        *names.definitions(),
        r"\pgfplotsset{",
        "  compat=1.14, scale only axis, unbounded coords=jump,",
        "  filter discard warning=false, tick align=outside, max space between ticks=1000,",
        "  /tikz/fill between/on layer={}, % else areas lie below lines that were drawn before",
        "}",
        rf"\pgfplotstableread[col sep=comma]{{{table}}}{{\lines}}",
        "",
        r"\begin{document}",
        *([r"\pagecolor{ground}"] if ground[3] else []),
        r"\noindent",
        r"\begin{tikzpicture}[x=1bp, y=1bp, line join=round, inner sep=0bp]",
        *body,
        rf"\pgfresetboundingbox \path [use as bounding box] (0, 0) rectangle {page};",
        r"\end{tikzpicture}",
        r"\end{document}",
    ]
    return "".join(f"{line}\n" for line in lines), columns.text()


def _panel(ax: Axes, names: _Names, columns: _Columns) -> Iterator[str]:
    """Yield the axes of one panel, with all that is plotted in it."""
    plots: list[str] = []
    heads: list[Line2D] = []
    drawn = [artist for artist in ax.get_children() if artist.get_visible()]
    for artist in drawn:  # first, so that an area which reaches up to a line shares its column
        if isinstance(artist, Line2D) and _is_curve(artist, ax) and _has_points(artist):
            _column(artist, ax, columns)
    for artist in sorted(drawn, key=lambda artist: artist.get_zorder()):
        if isinstance(artist, PolyCollection):
            plots += _area(artist, ax, names, columns)
        elif not isinstance(artist, Line2D):
            continue
        elif not isinstance(artist.get_marker(), str):
            heads.append(artist)
        elif "-leader" not in _gid(artist):
            plots += _line(artist, ax, names, columns)
    low, high = ax.get_ylim()
    far = ROOM * (high - low)
    values = np.concatenate([y for _, y in columns.series.values()] or [np.zeros(0)])
    yield f"% {_panel_name(ax).capitalize()} pass"
    yield r"\begin{axis}["
    for option in [*_box(ax, names), *_ticks(ax.xaxis, ax, names), *_ticks(ax.yaxis, ax, names)]:
        yield f"  {option},"
    if (abs(values - (low + high) / 2) > far).any():
        ends = f"{_number(low - far)}:{_number(high + far)}"
        yield f"  restrict y to domain*={ends}, % TeX cannot count as far as the numbers go"
    yield "]"
    yield from plots
    yield r"\end{axis}"
    for head in heads:  # beyond the end of the axes too
        yield from _head(head, names)
    yield ""


def _box(ax: Axes, names: _Names) -> Iterator[str]:
    """Yield the place of a panel, its range and which of its sides have a line."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = (72 * inches for inches in figure.get_size_inches().tolist())
    place = ax.get_position()
    yield f"name={_panel_name(ax)}, anchor=south west"
    yield f"at={{({_bp(place.x0 * width)}, {_bp(place.y0 * height)})}}"
    yield f"width={_bp(place.width * width)}, height={_bp(place.height * height)}"
    for key, (low, high) in (("x", ax.get_xlim()), ("y", ax.get_ylim())):
        yield f"{key}min={_number(low)}, {key}max={_number(high)}"
    side = ax.yaxis.get_ticks_position()
    bottom = "box" if ax.spines["top"].get_visible() else "bottom"
    yield f"axis x line*={bottom}, axis y line*={side}"
    for key, spine in (("x", ax.spines["bottom"]), ("y", ax.spines[side])):
        color = names.color(spine.get_edgecolor(), "ink")
        style = names.style("axis line", f"line width={_bp(spine.get_linewidth())}")
        line = f"{color}, {style}" if spine.get_visible() else "draw=none"
        yield f"{key} axis line style={{{line}}}"
    length = ax.xaxis.get_major_ticks()[0].tick1line.get_markersize()
    yield f"major tick length={_bp(length)}"
    if to_rgba(ax.get_facecolor())[3]:
        fill = names.color(ax.get_facecolor(), "panel")
        yield f"axis background/.style={{fill={fill}}}"


def _ticks(axis: XAxis | YAxis, ax: Axes, names: _Names) -> Iterator[str]:
    """Yield the ticks of an axis, their labels and their grid."""
    key, right = axis.axis_name, axis.get_ticks_position() == "right"
    ticks = axis.get_major_ticks()
    texts = [tick.label2 if right else tick.label1 for tick in ticks]
    mark = ticks[0].tick2line if right else ticks[0].tick1line
    yield f"{key}tick={{{', '.join(map(_number, axis.get_majorticklocs().tolist()))}}}"
    yield f"{key}ticklabels={{{', '.join(f'{{{latex_of(text.get_text())}}}' for text in texts)}}}"
    color = names.color(mark.get_markeredgecolor(), "ink")
    width = names.style("tick", f"line width={_bp(mark.get_markeredgewidth())}")
    yield f"{key}tick style={{{f'{color}, {width}' if mark.get_markersize() else 'draw=none'}}}"
    size = float(texts[0].get_fontsize())
    # pgfplots has a label where the tick ends, and the ticks of both axes of one length.
    length = ax.xaxis.get_major_ticks()[0].tick1line.get_markersize()
    pad = float(axis.get_tick_params()["pad"]) + mark.get_markersize() - length
    if key == "x":
        place = f"anchor=base, yshift={_bp(-pad - ASCENT * size)}"
    else:
        anchor, shift = ("base west", pad) if right else ("base east", -pad)
        place = f"anchor={anchor}, xshift={_bp(shift)}, yshift={_bp(-MIDDLE * size)}"
    style = names.style(f"{key} tick text", f"inner sep=0bp, {place}, font={_font(texts[0])}")
    yield f"{key}ticklabel style={{{names.color(texts[0].get_color(), 'ink')}, {style}}}"
    if ticks[0].gridline.get_visible():
        yield f"{key}majorgrids, {key} grid style={{{_stroke(ticks[0].gridline, names, 'grid')}}}"


def _column(line: Line2D, ax: Axes, columns: _Columns) -> str:
    """Return the column of the numbers of a line."""
    x, y = (np.asarray(values, float) for values in (line.get_xdata(), line.get_ydata()))
    if len(x) > MOST:
        kept = np.linspace(0, len(x) - 1, MOST).round().astype(int)
        x, y = x[kept], y[kept]
    return columns.add(_gid(line) or f"{_slug(line)}-{_panel_name(ax)}", x, y)


def _head(line: Line2D, names: _Names) -> Iterator[str]:
    """Yield an arrow head, in points of the sheet."""
    figure = line.get_figure(root=True)
    assert figure is not None
    shape = np.asarray(line.get_marker(), float)
    places = (line.get_transform() - points_of(figure)).transform(line.get_xydata())
    for x, y in places.tolist():
        turn = math.degrees(math.atan2(shape[2, 1], shape[2, 0]))
        scale = line.get_markersize() / 2 / abs(shape).max()
        style = f"{_color(line, names)}, rotate={_number(turn, 2)}, scale={_number(scale, 2)}"
        place = f"({_number(x, 2)}, {_number(y, 2)})"
        yield rf"\pic [{style}] at {place} {{head}};{_remark(line, names)}"


def _line(line: Line2D, ax: Axes, names: _Names, columns: _Columns) -> Iterator[str]:
    """Yield a line of a panel, or a level."""
    remark = _remark(line, names)
    if not _is_curve(line, ax):
        ends = (line.get_transform() - ax.transData).transform(line.get_xydata())
        path = " -- ".join(f"(axis cs:{_number(x)}, {_number(y)})" for x, y in ends.tolist())
        yield rf"\draw [{_stroke(line, names)}] {path};{remark}"
    elif _has_points(line):
        column = _column(line, ax, columns)
        yield rf"\addplot [{_stroke(line, names)}] table [<<{column}>>] {{\lines}};{remark}"


def _area(area: PolyCollection, ax: Axes, names: _Names, columns: _Columns) -> Iterator[str]:
    """Yield the pieces of an area between two lines, or of one above its baseline."""
    pieces = [_edges(np.asarray(path.vertices)) for path in area.get_paths()]
    style, remark = _filling(area, names), _remark(area, names)
    if not pieces or not style:
        return
    x, low, high = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    stem = _gid(area) or f"{_slug(area)}-{_panel_name(ax)}"
    if len(x) > MOST:  # at the places of the lines
        kept = np.isin(x, np.concatenate([known for known, _ in columns.series.values()]))
        x, low, high = x[kept], low[kept], high[kept]
    if len(pieces) == 1 and len(np.unique(low)) == 1:
        column, base = columns.add(f"{stem}-high", x, high), _number(low[0])
        ends = f"-- (axis cs:{_number(x[-1])}, {base}) -- (axis cs:{_number(x[0])}, {base})"
        yield rf"\addplot [{style}] table [<<{column}>>] {{\lines}} {ends} -- cycle;{remark}"
        return
    edges = columns.add(f"{stem}-low", x, low), columns.add(f"{stem}-high", x, high)
    for n, (at, *_) in enumerate(pieces):
        part = f"restrict x to domain={_number(at[0])}:{_number(at[-1])}, " * (len(pieces) > 1)
        paths = [f"{stem}-{edge}{f'-{n + 1}' if n else ''}" for edge in ("low", "high")]
        for path, column in zip(paths, edges, strict=True):
            yield rf"\addplot [draw=none, {part}name path={path}] table [<<{column}>>] {{\lines}};"
        yield rf"\addplot [{style}] fill between [of={' and '.join(paths)}];{remark}"


def _edges(corners: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return x, the lower and the upper edge of a polygon of `fill_between`."""
    n = (len(corners) - 3) // 2  # a start, one edge, an end, the other edge back, the start
    one, other = corners[1 : n + 1], corners[n + 2 : 2 * n + 2][::-1]
    return one[:, 0], np.minimum(one[:, 1], other[:, 1]), np.maximum(one[:, 1], other[:, 1])


def _filling(area: PolyCollection, names: _Names) -> str:
    """Return how an area is drawn: filled, or its outline; empty where it is not seen."""
    faces, edges = np.asarray(area.get_facecolor()), np.asarray(area.get_edgecolor())
    width = float(np.max(area.get_linewidth(), initial=0.0))
    role = f"{_role(area)} area"
    if len(faces) and faces[0][3]:
        color, opacity = names.color(faces[0], _color_name(area)), _number(faces[0][3], 3)
        return f"fill={color}, {names.style(role, f'draw=none, fill opacity={opacity}')}"
    if len(edges) and width:
        color = names.color(edges[0], _color_name(area))
        return f"draw={color}, {names.style(role, f'fill=none, line width={_bp(width)}')}"
    return ""


def _around(figure: Figure, names: _Names) -> Iterator[str]:
    """Yield what stands around the panels: leaders, texts, the key and the notes."""
    for ax in figure.axes:
        yield f"% Around the {_panel_name(ax)} pass"
        own = [child for child in ax.get_children() if isinstance(child, Text)]
        leaders = [line for line in ax.lines if "-leader" in _gid(line)]
        for artist in [*leaders, ax.xaxis.label, ax.yaxis.label, *own]:
            yield from _on_sheet(artist, figure, names)
        yield ""
    yield "% Key and notes"
    for artist in figure.get_children():
        if artist is not figure.patch:
            yield from _on_sheet(artist, figure, names)


def _on_sheet(artist: Artist, figure: Figure, names: _Names) -> Iterator[str]:
    """Yield an artist that has its place in points of the sheet."""
    if isinstance(artist, Text) and _shows(artist):
        yield from _text(artist, figure, names)
    elif isinstance(artist, Line2D):
        places = (artist.get_transform() - points_of(figure)).transform(artist.get_xydata())
        ends = [f"({_number(x, 2)}, {_number(y, 2)})" for x, y in places.tolist()]
        style = _stroke(artist, names)
        marked = str(artist.get_marker()) in MARKS
        path = f"plot coordinates {{{' '.join(ends)}}}" if marked else " -- ".join(ends)
        yield rf"\draw [{style}] {path};"
    elif isinstance(artist, Rectangle):
        (x, y), size = artist.get_xy(), (artist.get_width(), artist.get_height())
        opacity = _number(to_rgba(artist.get_facecolor())[3], 3)
        style = names.style(f"{_role(artist)} area", f"draw=none, fill opacity={opacity}")
        color = names.color(artist.get_facecolor(), _color_name(artist))
        low, high = (f"({_number(a, 2)}, {_number(b, 2)})" for a, b in ((x, y), size))
        yield rf"\path [fill={color}, {style}] {low} rectangle +{high};"


def _text(text: Text, figure: Figure, names: _Names) -> Iterator[str]:
    """Yield the lines of a text, each with its baseline where matplotlib has it."""
    place = (text.get_transform() - points_of(figure)).transform(text.get_position())
    x, y = (float(value) for value in place)
    size, lines = float(text.get_fontsize()), text.get_text().split("\n")
    drop = {"center_baseline": MIDDLE, "top": ASCENT}
    y -= drop.get(text.get_verticalalignment(), 0.0) * size
    skip = LINE * size
    if text.get_verticalalignment() == "baseline":  # that of the last line
        y += skip * (len(lines) - 1)
    options = f"anchor={_ANCHORS[text.get_horizontalalignment()]}, font={_font(text)}"
    style = f"{_color(text, names)}, {names.style(f'{_role(text)} text', options)}"
    for n, line in enumerate(lines):
        at = f"({_number(x, 2)}, {_number(y - n * skip, 2)})"
        yield rf"\node [{style}] at {at} {{{latex_of(line)}}};"


def _stroke(line: Line2D, names: _Names, role: str | None = None) -> str:
    """Return the colour of a line, and the style of its role: its width, dashes and marks."""
    options = [f"line width={_bp(line.get_linewidth())}"]
    _, lengths = vars(line)["_dash_pattern"]  # in points; matplotlib has no public name for it
    if lengths:
        pairs = zip(lengths[::2], lengths[1::2], strict=True)
        parts = " ".join(f"on {_bp(on)} off {_bp(off)}" for on, off in pairs)
        options.append(f"dash pattern={parts}")
    if line.get_alpha() not in (None, 1):
        options.append(f"opacity={_number(to_rgba(line.get_color(), line.get_alpha())[3], 3)}")
    for effect in line.get_path_effects():
        settings = vars(effect).get("_gc", {})  # nor for this: a wider line of the ground below
        if "linewidth" in settings:
            ground = names.color(settings["foreground"], "ground")
            width = _bp(settings["linewidth"])
            options.append(f"preaction={{draw={ground}, line width={width}}}")
    if str(line.get_marker()) in MARKS:
        options += _marks(line, names)
    if line.get_linestyle() == "None":
        options[0] = "only marks"
    color = line.get_color() if line.get_linestyle() != "None" else line.get_markeredgecolor()
    style = names.style(f"{role or _role(line)} line", ", ".join(options))
    return f"{names.color(color, role or _color_name(line))}, {style}"


def _marks(line: Line2D, names: _Names) -> Iterator[str]:
    """Yield how the marks at the points of a line are drawn."""
    name, factor, stroke = MARKS[str(line.get_marker())]
    size, every = line.get_markersize(), line.get_markevery()
    if not to_rgba(line.get_markerfacecolor())[3]:
        name = name.replace("*", "") or "o"
    yield f"mark={name}, mark size={_bp(factor * size)}"
    if isinstance(every, int) and every > 1:
        yield f"mark repeat={every}"
    options = ["solid", "line width=0bp"]
    if line.get_markeredgewidth():
        face = to_rgba(line.get_markerfacecolor())
        fill = names.color(face, "ground") if face[3] else "none"
        options[1:] = [f"line width={_bp(line.get_markeredgewidth())}", f"fill={fill}"]
    if stroke:
        options[1:] = [f"line width={_bp(stroke * size)}"]
    if line.get_marker() == "v":
        options.append("rotate=180")
    yield f"mark options={{{', '.join(options)}}}"


def _remark(artist: Artist, names: _Names) -> str:
    """Return a comment on what an artist shows, e.g. " % median of 0.02"."""
    found = _CONDITION.fullmatch(_gid(artist))
    if found:
        number, part, _ = found.groups()
        return f" % {part}, {names.labels.get(f'condition-{number}', f'condition {number}')}"
    words = _gid(artist) or str(artist.get_label())
    return "" if words.startswith("_") else f" % {_one_line(words)}"


def _role(artist: Artist) -> str:
    """Return what an artist is for, in a word or two, e.g. "median" or "key median"."""
    gid = _gid(artist)
    if found := _CONDITION.fullmatch(gid):
        return "ridge" if found[2].startswith("layer") else found[2].partition("-")[0]
    if gid.startswith("key-"):
        return "key" if gid.endswith("-text") else gid.replace("-", " ")
    for first in ("forward-", "backward-", "group-"):
        gid = gid.removeprefix(first)
    return gid.partition("-")[0] or _slug(artist).partition("-")[0]


def _color(artist: Line2D | Text, names: _Names) -> str:
    return names.color(artist.get_color(), _color_name(artist))


def _color_name(artist: Artist) -> str:
    """Return what the colour of an artist is to be called."""
    if found := _CONDITION.fullmatch(_gid(artist)):
        ink = found[2].startswith(("name", "theory", "leader", "predicted"))
        return f"condition{found[1]}{'ink' * ink}"
    if _gid(artist).startswith(("key-", "notes-")):
        return "quiet"
    return "group" if _gid(artist).startswith("group-") else _role(artist).replace(" ", "")


def _panel_name(ax: Axes) -> str:
    return str(ax.get_gid())


def _gid(artist: Artist) -> str:
    return str(artist.get_gid() or "")


def _shows(artist: Artist) -> bool:
    """Whether it is a text that is seen."""
    return isinstance(artist, Text) and bool(artist.get_visible() and artist.get_text())


def _is_curve(line: Line2D, ax: Axes) -> bool:
    return isinstance(line.get_marker(), str) and line.get_transform() == ax.transData


def _has_points(line: Line2D) -> bool:
    return bool(np.isfinite(np.asarray(line.get_ydata(), float)).any())


def _slug(artist: Artist) -> str:
    """Return the label of an artist as a name, e.g. "published-0.02"."""
    label = str(artist.get_label())
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()) if not label.startswith("_") else "area"


def _font(text: Text) -> str:
    bold = text.get_fontweight() in ("bold", "heavy", "black", "semibold", 600, 700, 800, 900)
    return rf"\sized{{{_number(float(text.get_fontsize()), 2)}}}" + r"\bfseries\boldmath" * bold


def latex_of(text: str) -> str:
    """Return a text of matplotlib's, with formulas between dollar signs, as LaTeX has it."""
    pattern = r"((?<!\\)\$(?:\\.|[^$\\])*\$)" if cbook.is_math_text(text) else "(?!)()"
    parts = [
        part.replace(r"\$", "$") if n % 2 == 0 else part
        for n, part in enumerate(re.split(pattern, text))
    ]
    return "".join(
        _formula(part) if n % 2 else escaped(part).replace("  ", "~ ")
        for n, part in enumerate(parts)
    )


def _formula(text: str) -> str:
    """Return a formula of matplotlib's as LaTeX has it."""
    text = re.sub(r"(?<!\\)[%&#]", r"\\\g<0>", text)
    return "".join(f"{MACROS[letter]} " if letter in MACROS else letter for letter in text)


def _unknown_letters(texts: Iterable[str]) -> Iterator[str]:
    """Yield a box for each letter that TeX's fonts lack, as matplotlib draws one."""
    letters = {letter for text in texts for letter in text if not letter.isspace()}
    for letter in sorted(letters - MACROS.keys()):
        if not _IN_T1.match(letter):
            box = r"{\fboxsep=0bp\fbox{\phantom{M}}}"
            yield rf"\DeclareUnicodeCharacter{{{ord(letter):04X}}}{box} % {printable(letter)}"


def _one_line(text: str) -> str:
    return " ".join(printable(text.replace("\n", " ")).split())


def _bp(value: float) -> str:
    return f"{_number(value, 2)}bp"


def _number(value: float, decimals: int | None = None) -> str:
    """Return a number to ten digits, or to so many decimals."""
    return f"{(value if decimals is None else round(float(value), decimals)) + 0.0:.10g}"
