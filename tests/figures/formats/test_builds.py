"""A figure step by step: what comes when, and nothing else moves."""

import itertools
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text

from heinit_sim.config import parse_config
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures import draw, saving
from heinit_sim.figures.formats.builds import Step, build_steps, ordered_lines, showing, steps_of
from heinit_sim.simulation.sweep import run_sweep
from tests.figures.helpers import RESULTS
from tests.rows import pairwise, slow_but

CONFIG = """
name: x
network: {depth: 3, width: 8, input_dim: 8}
init: {variance: 0.25}
inputs: {count: 3}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {SWEEP}
trials: 5
"""
SWEEPS = {
    "three": "init.variance: [0.01, 0.1, 1]",
    "twelve": "init.variance: [0.1, 0.5, 1], network.width: [4, 5, 6, 7]",
}
PANELS = ("both", "forward", "backward")
SIZES = (None, "column", (3.3, 2.0))  # names between or beside, stacked panels, names below
QUICK = [
    *itertools.product(FIGURE_KINDS, ["three"], ["both"], [None]),
    ("end", "twelve", "both", (3.3, 2.0)),
    ("layers", "three", "backward", "column"),
]
ROWS = pairwise([*FIGURE_KINDS], [*SWEEPS], PANELS, SIZES, first=QUICK)
FRAME = re.compile(r"None|title|(forward|backward)(-(title|scale|layers|level))?")


@cache
def measured(sweep: str) -> SweepResult:
    return run_sweep(parse_config(CONFIG.replace("SWEEP", SWEEPS[sweep])))


def looking(sweep: str, **look: Any) -> SweepResult:
    result = measured(sweep)
    figure = replace(result.config.figure, **look)
    return replace(result, config=replace(result.config, figure=figure))


def new(steps: list[Step], n: int) -> set[Artist]:
    return {*(steps[n].shown - steps[n - 1].shown)}


def gids(artists: set[Artist]) -> set[str]:
    return {str(artist.get_gid()) for artist in artists}


def all_artists(figure: Figure) -> list[Artist]:
    return [child for parent in (figure, *figure.axes) for child in parent.get_children()]


@pytest.mark.parametrize(("kind", "sweep", "panels", "size"), slow_but(ROWS, *QUICK))
def test_each_line_comes_with_all_that_is_its_own(
    kind: str, sweep: str, panels: str, size: Any
) -> None:
    result = looking(sweep, kind=kind, panels=panels, size=size)
    figure, lines = draw(result), ordered_lines(result)
    steps = build_steps(figure, result)
    if kind == "ridges":  # which shows at most eight conditions
        there = {
            int(n) for n in re.findall(r"condition-(\d+)-", " ".join(gids({*all_artists(figure)})))
        }
        lines = {index: name for index, name in lines.items() if index in there}
        assert len(lines) == min(8, len(result.conditions))
    assert [step.text for step in steps[: len(lines) + 1]] == ["axes", *lines.values()]
    assert steps[0].shown == frozenset()
    for n, index in enumerate(lines, start=1):
        came = gids(new(steps, n))
        assert any(re.match(rf"condition-{index}-(median|layer)", gid) for gid in came)
        for gid in came:
            own = gid.startswith(f"condition-{index}-")
            value = re.match(r"conditions-([\d-]+)-(sample|name)$", gid)
            earlier = [*lines][: n - 1]
            if value:
                numbers = [int(number) for number in value[1].split("-")]
                assert index in numbers
                assert not set(numbers) & set(earlier)
            elif n > 1:
                assert own, gid
            else:
                about_all = re.match("heading|notes|key-(median|forward|ridge)", gid)
                assert own or about_all, gid
    rest = [gids(new(steps, n)) for n in range(len(lines) + 1, len(steps))]
    words = [step.text for step in steps[len(lines) + 1 :]]
    assert words == [word for word in ("theory", "bands") if word in words]
    expected = {"theory": "-theory|-predicted-p|key-(theory|predicted)"}
    expected["bands"] = "-band|key-(band|outline|stable)|-stable"
    for word, came in zip(words, rest, strict=True):
        assert all(re.search(expected[word], gid) for gid in came), came
    always = {*all_artists(figure)} - steps[-1].shown
    assert all(FRAME.fullmatch(gid) for gid in gids(always))
    drawn = {a for ax in figure.axes for a in (*ax.lines, *ax.collections)}
    left = {str(a.get_gid()) for a in drawn & always}
    assert left <= ({"None"} if kind == "ridges" else {"forward-level", "backward-level"})


@pytest.mark.parametrize("kind", slow_but(FIGURE_KINDS, "end"))
def test_nothing_moves_and_all_is_there_again(kind: str) -> None:
    result = looking("three", kind=kind)
    figure = draw(result)
    steps = build_steps(figure, result)
    places = []
    for step in steps:
        with showing(steps, step), saving():
            figure.draw_without_rendering()
            texts = [text for text in figure.findobj(match=Text) if text.get_visible()]
            known = {text: text.get_window_extent().bounds for text in texts if text.get_text()}
            places.append((known, [ax.get_window_extent().bounds for ax in figure.axes]))
    full, frames = places[-1]
    for known, boxes in places:
        assert known.items() <= full.items()
        assert boxes == frames
    counts = [len(known) for known, _ in places]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert all(artist.get_visible() for artist in steps[-1].shown)


def test_published_points_come_last() -> None:
    result = RESULTS["Figure 7.4 as published"]
    figure = draw(result)
    steps = build_steps(figure, result)
    assert [step.text for step in steps[-3:]] == ["theory", "bands", "published"]
    assert {gid.partition("-")[2][:9] for gid in gids(new(steps, len(steps) - 1))} == {"published"}


def test_a_figure_of_one_condition_has_steps_too() -> None:
    result = RESULTS["one"]
    steps = build_steps(draw(result), result)
    assert [step.text for step in steps] == ["axes", "all conditions", "theory", "bands"]


@pytest.mark.parametrize(
    ("sweep", "kind", "order", "indices"),
    [
        ("three", "layers", (), [0, 1, 2]),
        ("three", "layers", ("1.0",), [2, 0, 1]),
        ("three", "layers", ("0.1", "1.0"), [1, 2, 0]),
        ("three", "end", ("1.0",), [0]),
        ("twelve", "layers", ("6",), [2, 6, 10, 0, 1, 3, 4, 5, 7, 8, 9, 11]),
        ("twelve", "layers", ("6", "1.0"), [10, 2, 6, 8, 9, 11, 0, 1, 3, 4, 5, 7]),
        ("twelve", "slopes", ("7", "5"), [3, 1, 0, 2]),
    ],
)
def test_the_order_can_be_given(
    sweep: str, kind: str, order: tuple[str, ...], indices: list[int]
) -> None:
    assert [*ordered_lines(looking(sweep, kind=kind, order=order))] == indices


def test_only_what_is_shown_has_a_step() -> None:
    result = looking("twelve", only=(3, 7), order=("0.5",))
    steps = build_steps(draw(result), result)
    names = [step.text for step in steps]
    assert names[:3] == [
        "axes",
        "init.variance = 0.5, network.width = 7",
        "init.variance = 0.1, network.width = 7",
    ]


def test_a_line_that_came_with_another_would_be_seen() -> None:
    """The planted error: a name under another line's id."""
    result = looking("three")
    figure = draw(result)
    (text,) = (t for t in figure.axes[0].texts if t.get_gid() == "condition-2-name")
    text.set_gid("condition-0-name")
    steps = steps_of(figure, ordered_lines(result))
    assert text in new(steps, 1)
    assert "condition-2-name" not in gids(new(steps, 3))
