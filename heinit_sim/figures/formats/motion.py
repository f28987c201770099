"""Both passes drawn layer by layer, forward and then back, as pictures. Never saves."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.axes.lines import STYLES
from heinit_sim.figures.draw import draw
from heinit_sim.figures.kinds.layers import HEAD, arrow_head
from heinit_sim.figures.look.sheet import drawing
from heinit_sim.figures.words.shown import on_slide

MOVING = ("layers", "spread")
"""The kinds of figure in which each line is a pass."""
WIDTH, HEIGHT = 1280, 720  # pixels that a picture fits into
FIRST, PAUSE, LAST = 600, 600, 3000  # ms: empty axes, between the passes, the end
PASS, SLOWEST = 2500, 250  # ms: of a pass, and of a layer at most
MOST = 60  # pictures of a pass
MEDIAN = STYLES["median"]["linewidth"]
_GROWS = re.compile(r"condition-\d+-(median|band|theory|predicted)|\w+-published")
_COMES = re.compile(r"condition-\d+-(leader|arrow)")  # with the end of its pass
_BEHIND = re.compile(r"condition-\d+-behind")  # with the end of the other pass


@dataclass(frozen=True)
class Picture:
    """One picture of a motion."""

    pixels: NDArray[np.uint8]
    """Red, green and blue, (height, width, 3)."""
    duration: int
    """Milliseconds."""


def draw_motion(result: SweepResult) -> Iterator[Picture]:
    """Yield the passes of a figure layer by layer, forward and then back, and the whole figure.

    The figure is that of `on_slide`.

    Args:
        result: The sweep; `result.config.figure` says what is drawn and how.

    Raises:
        ConfigError: In a figure of that kind nothing passes from layer to layer.
    """
    kind = result.config.figure.kind
    if kind not in MOVING:
        allowed = " or ".join(MOVING)
        raise ConfigError([f"--gif: error: no pass moves in kind: {kind}, must be {allowed}"])
    figure = draw(on_slide(result))
    with drawing(result.config.figure) as sheet:
        figure.set_facecolor(sheet.ground)  # a GIF is transparent or not, and nothing between
        yield from _pictures(figure)


def _pictures(figure: Figure) -> Iterator[Picture]:
    canvas = FigureCanvasAgg(figure)
    sizes = zip((WIDTH, HEIGHT), figure.get_size_inches(), strict=True)
    figure.set_dpi(min(pixels / inches for pixels, inches in sizes))
    passes = [_pass_in(ax) for ax in figure.axes]
    for moving in passes:
        _show([*moving.growing, *moving.coming, *moving.behind], seen=False)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib
    yield Picture(_pixels(canvas), FIRST)
    for moving in passes:
        _show(moving.behind)
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib
        background: Any = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]  # matplotlib
        _show(moving.growing)
        for layer in moving.layers[:-1]:
            canvas.restore_region(background)  # type: ignore[no-untyped-call]  # matplotlib
            _draw_up_to(canvas, moving, layer)
            yield Picture(_pixels(canvas), moving.duration)
        _show(moving.coming)
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib
        yield Picture(_pixels(canvas), LAST if moving is passes[-1] else PAUSE)


def _pixels(canvas: FigureCanvasAgg) -> NDArray[np.uint8]:
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]  # matplotlib


def _show(artists: Iterable[Artist], *, seen: bool = True) -> None:
    for artist in artists:
        artist.set_visible(seen)


@dataclass(frozen=True)
class _Pass:
    """What comes and goes in one panel."""

    ax: Axes
    growing: list[Artist]  # from layer to layer, those behind first
    coming: list[Artist]  # when the pass ends
    behind: list[Artist]  # when it begins
    medians: list[Line2D]  # that end in an arrow head
    layers: list[int]  # in the order of the pass

    @property
    def duration(self) -> int:
        """Milliseconds of a layer."""
        return min(10 * round(PASS / 10 / len(self.layers)), SLOWEST)  # GIFs count in 10 ms


def _pass_in(ax: Axes) -> _Pass:
    children = sorted(ax.get_children(), key=lambda artist: artist.get_zorder())
    gids = {str(artist.get_gid()): artist for artist in children}
    growing, coming, behind = (
        [artist for gid, artist in gids.items() if known.match(gid)]
        for known in (_GROWS, _COMES, _BEHIND)
    )
    lines = {gid: line for gid, line in gids.items() if isinstance(line, Line2D)}
    medians = {gid: line for gid, line in lines.items() if "-median" in gid}
    depth = max(int(np.max(np.asarray(line.get_xdata(), float))) for line in medians.values())
    layers = np.unique(np.linspace(0, depth, MOST + 1).round()).astype(int).tolist()
    return _Pass(
        ax,
        growing,
        coming,
        behind,
        [line for gid, line in medians.items() if gid.replace("-median", "-arrow") in lines],
        layers[::-1] if ax.get_gid() == "backward" else layers,
    )


def _draw_up_to(canvas: FigureCanvasAgg, moving: _Pass, layer: int) -> None:
    """Draw a pass that has come to a layer: what is beyond is cut off, an arrow head is there."""
    ax = moving.ax
    renderer: Any = canvas.get_renderer()  # type: ignore[no-untyped-call]  # matplotlib
    forward = ax.get_gid() == "forward"
    x = ax.transData.transform((layer, 0))[0]
    for artist in moving.growing:
        whole, clipped = artist.get_clip_box(), artist.get_clip_on()
        y = (ax.bbox.y0, ax.bbox.y1) if clipped else (0, canvas.figure.bbox.y1)
        ends = (0, x) if forward else (x, canvas.figure.bbox.x1)
        if clipped:
            ends = (max(ends[0], ax.bbox.x0), min(ends[1], ax.bbox.x1))
        artist.set_clip_box(Bbox.from_extents(ends[0], y[0], ends[1], y[1]))
        artist.set_clip_on(True)
        artist.draw(renderer)
        artist.set_clip_box(whole)
        artist.set_clip_on(clipped)
    for median in moving.medians:
        points = np.asarray(median.get_xydata(), float)
        passed = points[points[:, 0] <= layer] if forward else points[points[:, 0] >= layer][::-1]
        head = arrow_head(ax, passed, median.get_linewidth() / MEDIAN, forward=forward)
        if head:
            style: dict[str, Any] = {"color": median.get_color(), **HEAD}
            style |= {"marker": head.shape, "markersize": head.size}
            artist = Line2D([head.end[0]], [head.end[1]], transform=ax.transData, **style)
            artist.set_figure(canvas.figure)
            artist.draw(renderer)
