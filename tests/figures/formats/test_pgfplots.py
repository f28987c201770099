"""Figures as LaTeX: well formed, with the numbers and the words of the artists."""

import csv
import io
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.draw import draw
from heinit_sim.figures.formats.pgfplots import MOST, latex_of, to_pgfplots
from heinit_sim.figures.frame import points_of
from heinit_sim.figures.kinds.layers import HEAD_LENGTH
from heinit_sim.numerics import FloatArray
from tests.figures.helpers import RESULTS, edges, figure_7_4, panels, saved
from tests.figures.test_layout import drawn
from tests.reports.test_formats import typeset
from tests.rows import slow_but

NASTY = "50 % a_b & #1 {c} \\d ~ ^ −×… – ∂σ² \\$"
LOOKS: tuple[dict[str, Any], ...] = (
    {},
    {"size": "column"},
    {"theme": "dark", "size": "slide", "title": NASTY},
    {"panels": "backward", "decimal": ","},
)
COLUMN = re.compile(r"table \[x=(\S+), y=(\S+)\]")
NUMBER = r"-?[\d.]+(?:e[-+]\d+)?"


def draw_as(result: SweepResult, **look: Any) -> Figure:
    config = replace(result.config, figure=replace(result.config.figure, **look))
    return draw(replace(result, config=config))


def uncommented(document: str) -> str:
    return re.sub(r"(?<!\\)%.*", "", document)


def check_structure(document: str) -> None:
    """Refuse braces or environments that do not match, and numbers that TeX does not read."""
    text, depth = uncommented(document), 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    open_: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if what == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_
    assert not re.search(r"\b(?:inf|nan|None)\b", text)
    known = re.findall(r"\\definecolor\{(\w+)\}", text)
    assert len(known) == len(set(known))
    styles = re.findall(r"^  ([a-z0-9 ]+)/\.style", text, re.MULTILINE)
    for options in re.findall(r"\\(?:addplot|draw|node|pic|path) \[(\w[^=\],]*), ([^=\],]*)", text):
        if options[0] != "draw":
            assert options[0] in known
            assert options[1] in styles or options[1].startswith("rotate")
    assert set(re.findall(r"fill=(\w+)", text)) <= {*known, "none"}


def columns(text: str) -> dict[str, FloatArray]:
    head, *rows = csv.reader(io.StringIO(text))
    assert len(set(head)) == len(head)
    return {name: np.array([float(row[i]) for row in rows]) for i, name in enumerate(head)}


def visible(line: Line2D) -> bool:
    return bool(np.isfinite(np.asarray(line.get_ydata(), float)).any())


def check_numbers(figure: Figure, document: str, table: str) -> None:
    """Refuse numbers of the table or of the document that are not those of the artists."""
    numbers = columns(table)
    read = dict(reversed(pair) for pair in COLUMN.findall(document))
    assert {*read, *read.values()} == numbers.keys()
    found = re.findall(rf"\\pic .*? at \(({NUMBER}), ({NUMBER})\) {{head}};", document)
    heads, tips = np.array(found, float), []
    for ax in figure.axes:
        for line in ax.lines:
            gid = str(line.get_gid())
            if gid in read and line.get_transform() == ax.transData:
                x, y = (np.asarray(v, float) for v in (line.get_xdata(), line.get_ydata()))
                there = np.isin(numbers[read[gid]], [float(f"{value:.10g}") for value in x])
                if len(x) > MOST:
                    assert sum(there) == MOST
                    kept = np.isin(x, numbers[read[gid]])
                    assert kept[[0, -1]].all()
                    x, y = x[kept], y[kept]
                np.testing.assert_allclose(numbers[gid][there], y, rtol=1e-9, atol=0)
                assert not np.isfinite(numbers[gid][~there]).any()
            elif "-arrow" in gid:
                ends = line.get_transform() - points_of(figure)
                tips.append(ends.transform(line.get_xydata())[0])
    np.testing.assert_allclose(np.reshape(heads, (-1, 2)), np.reshape(tips, (-1, 2)), atol=0.006)


@pytest.mark.parametrize(
    ("kind", "look"),
    slow_but([(kind, look) for kind in FIGURE_KINDS for look in LOOKS], ("end", {})),
)
def test_every_kind_is_a_document_with_the_numbers_of_its_artists(
    kind: str, look: dict[str, Any]
) -> None:
    figure = drawn("grid of eight", kind, **look)
    before = "" if look else saved(figure, "png")  # once for every kind
    document, table = to_pgfplots(figure, "x_lines.csv")
    check_structure(document)
    check_numbers(figure, document, table)
    assert to_pgfplots(figure, "x_lines.csv") == (document, table)
    assert look or saved(figure, "png") == before


@pytest.mark.parametrize("name", slow_but(RESULTS, "dying", "one"))
def test_every_result_is_a_document(name: str) -> None:
    figure = draw(RESULTS[name])
    document, table = to_pgfplots(figure, "x_lines.csv")
    check_structure(document)
    check_numbers(figure, document, table)
    lines = [line for ax in figure.axes for line in ax.lines if visible(line)]
    medians = [line for line in lines if "-median" in str(line.get_gid())]
    assert document.count("% median, ") == len(medians)


def test_bands_are_where_they_are_drawn_and_end_where_networks_die() -> None:
    figure = draw(RESULTS["dying"])
    document, table = to_pgfplots(figure, "x_lines.csv")
    numbers = columns(table)
    for i in range(1, 5):
        x, low, high = edges(panels(figure)[0], f"band {i}")
        for edge, values in (("low", low), ("high", high)):
            column = numbers[f"condition-{i}-band-{edge}"]
            np.testing.assert_allclose(column[: len(x)], values, rtol=1e-9, atol=0)
            assert not np.isfinite(column[len(x) :]).any()
    assert "nan" in table
    assert "unbounded coords=jump" in document
    assert "condition-0-median" not in table  # all zero: nothing is drawn


def test_a_band_with_a_hole_has_a_piece_on_either_side() -> None:
    result = figure_7_4()
    for values in result.conditions[2].networks.values():
        values[:, 20:23] = np.nan
    document, _ = to_pgfplots(draw(result), "x_lines.csv")
    found = re.findall(rf"restrict x to domain=({NUMBER}):({NUMBER}), name path=(\S+)\]", document)
    assert [
        (first, last) for first, last, path in found if "2-band-high" in path and "back" not in path
    ] == [("0", "19"), ("23", "50")]


def test_what_is_far_off_the_panel_is_held_where_tex_can_count() -> None:
    document, table = to_pgfplots(draw_as(RESULTS["2,000 layers"], decades=(-5, 5)), "x_lines.csv")
    assert "restrict y to domain*=-85:85," in document
    numbers = columns(table)
    assert max(abs(numbers["condition-0-median"])) > 6000
    assert numbers["x"][[0, -1]].tolist() == [0, 2000]
    assert len(numbers["x"]) == MOST
    assert f"% Of lines with more points, {MOST} are there" in document
    assert "restrict" not in to_pgfplots(draw(figure_7_4()), "x_lines.csv")[0]


def test_places_colours_heads_and_dashes_are_those_of_the_figure() -> None:
    figure = draw_as(figure_7_4(), theme="dark", size="beamer")
    document, _ = to_pgfplots(figure, "x_lines.csv")
    assert "paperwidth=453.54bp, paperheight=255.12bp" in document
    for ax in figure.axes:
        box = ax.get_position()
        left, bottom = 453.543307 * box.x0, 255.118110 * box.y0
        assert f"at={{({left:.2f}bp, {bottom:.2f}bp)}}" in document
    ax = figure.axes[0]
    (head,) = (line for line in ax.lines if line.get_gid() == "condition-3-arrow")
    turn = float(re.findall(rf"pic \[condition3, rotate=({NUMBER}),", document)[0])
    (path,) = (line for line in ax.lines if line.get_gid() == "condition-3-median")
    (x0, y0), (x1, y1) = ax.transData.transform(np.asarray(path.get_xydata())[[-4, -1]])
    assert abs(turn - math.degrees(math.atan2(y1 - y0, x1 - x0))) <= 4
    em = 9.5 / 14
    assert f"scale={HEAD_LENGTH * em / 2:.2f}".rstrip("0") in document
    assert "dash pattern=on 3.8bp off 2.38bp" in document  # (4, 2.5) of 1.4 points
    assert r"\definecolor{ground}{HTML}{16181D}" in document
    color = "".join(f"{round(255 * part):02X}" for part in to_rgb(head.get_color()))
    assert rf"\definecolor{{condition3}}{{HTML}}{{{color}}} % " in document


def test_every_text_stands_where_matplotlib_has_it() -> None:
    figure = draw_as(figure_7_4(), title="Two\u202f000 %")
    document, _ = to_pgfplots(figure, "x_lines.csv")
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if not text.get_text() or not text.get_gid():
            continue
        x, _ = (text.get_transform() - points_of(figure)).transform(text.get_position())
        source = re.escape(f"{{{latex_of(text.get_text())}}};")
        places = re.findall(rf"at \(({NUMBER}), {NUMBER}\) {source}", document)
        assert any(abs(float(place) - x) <= 0.006 for place in places)


def test_words_of_a_config_are_printed_as_they_are() -> None:
    result: SweepResult = figure_7_4()
    result = replace(result, conditions=result.conditions[:2])
    figure = draw_as(result, title=NASTY, labels={"0.001": NASTY, "0.01": r"$x_1^{50\%}$ & {"})
    document, _ = to_pgfplots(figure, "x_lines.csv")
    check_structure(document)
    texts = re.findall(r"\\node .*? at \([^)]*\) \{(.*)\};", document)
    assert any(r"$x_1^{50\%}$ \& \{" in text for text in texts)
    assert any(latex_of(NASTY) in text for text in texts)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (r"$\sigma^2_\Omega$ = 0.02", r"$\sigma^2_\Omega$ = 0.02"),
        ("a)  Forward pass", "a)~ Forward pass"),
        ("5–95 %", r"5--95 \%"),
        ("0.1--0.2", "0.1-{}-0.2"),
        ("''", "'{}'"),
        (r"\$5 and $x$ and 50%", r"\$5 and $x$ and 50\%"),
        ("one $ alone\\", r"one \$ alone\textbackslash{}"),
        (r"$\mathrm{50 %}$", r"$\mathrm{50 \%}$"),
        ("$σ²$", r"$\sigma ^2 $"),
        ("2\u202f000", r"2\,000"),
        ("é−½", r"é$-$$\frac12$"),
    ],
)
def test_text_of_matplotlib_in_latex(text: str, source: str) -> None:
    assert latex_of(text) == source


@given(st.text("_%&#~^\\{}<>|aé", max_size=20))
def test_any_text_is_printed(text: str) -> None:
    assert not cbook.is_math_text(text)
    assert typeset(latex_of(text)) == text


def test_a_letter_that_the_fonts_lack_is_a_box() -> None:
    document, _ = to_pgfplots(draw_as(figure_7_4(), title="é σ 中 😀"), "x_lines.csv")
    assert re.findall(r"DeclareUnicodeCharacter\{(\w+)\}", document) == ["4E2D", "1F600"]


def test_equal_grids_share_a_column_and_others_have_their_own() -> None:
    _, table = to_pgfplots(draw(RESULTS["different depths"]), "x_lines.csv")
    head = table.partition("\n")[0].split(",")
    assert [name for name in head if name.startswith("x")] == ["x"]
    result = RESULTS["2,000 layers"]
    figure = draw(result)
    for line in figure.axes[0].lines:
        if line.get_gid() == "condition-0-median":
            line.set_data(np.arange(3) * 1.5, np.zeros(3))
    _, table = to_pgfplots(figure, "x_lines.csv")
    assert "x-2" in table.partition("\n")[0].split(",")
