"""The sheet that a figure is drawn on: its size, its font and the colours of its ground."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.colors import is_color_like, to_hex, to_rgb

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.look.contrast import TEXT, contrast, is_dark, legible

# A user's own matplotlibrc must not leak in, neither when drawing nor when saving.
STYLE: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"} | {
    "svg.hashsalt": "heinit-sim",  # else the ids in an SVG are random
    "pdf.fonttype": 42,  # else some publishers refuse the fonts
    "axes.spines.top": False,
    "axes.axisbelow": True,
}
DARK = "#16181d"
_INK = {False: "#000000", True: "#eceff4"}  # whether the page is dark -> its text
_GROUNDS = {"light": "white", "dark": DARK}
_TEXTS = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
FONT_SIZE = 14.0  # points, on a sheet of the size below
WIDTH, HEIGHT = 864.0, 389.0  # points (1/72 in), as all lengths here
GROWTH = 0.35  # of the font with the area of the sheet
SLIM = 2.5  # ratio of the sides beyond which more length lets the font not grow
SMALLEST = 0.75  # of the font: no text is smaller
SIZES: Mapping[str, tuple[float, float, float]] = {  # width, height, font
    "slide": (960.0, 540.0, 18.0),
    "beamer": (160 / 25.4 * 72, 90 / 25.4 * 72, 9.5),
    "column": (237.6, 302.4, 8.0),
    "text": (468.0, 226.8, 9.0),
}
STACKED = 1.15  # ratio of width to height below which the panels stand one above the other


@dataclass(frozen=True)
class Sheet:
    """The size of a figure in points, and what is drawn on it: lengths follow the font."""

    width: float
    height: float
    font: float  # size of the names of axes and of lines
    ground: str
    ink: str
    rule: str  # the colour of the lines behind the curves
    panels: tuple[Pass, ...] = ("forward", "backward")
    title: str = ""
    decimal: str = "."
    font_asked: bool = False
    """Whether the font must be that large; else it may be smaller where it does not fit."""

    @property
    def em(self) -> float:
        """The points that stand for one point of the default figure."""
        return self.font / FONT_SIZE

    @property
    def stacked(self) -> bool:
        """Whether the panels stand one above the other."""
        return len(self.panels) > 1 and self.width < STACKED * self.height

    def grey(self, share: float) -> str:
        """Return the ink mixed with so much of the ground, 0 to 1."""
        return mixed(self.ink, self.ground, share)

    @property
    def quiet(self) -> str:
        """The colour of captions."""
        return self.grey(0.25)


def _sheet(config: FigureConfig, style: Mapping[str, Any]) -> Sheet:
    """Return the sheet that a config asks for, under a style of matplotlib's that is in force."""
    if isinstance(config.size, str):
        width, height, font = SIZES[config.size]
    elif config.size:
        width, height = (72 * inches for inches in config.size)
        area = min(width, SLIM * height) * min(height, SLIM * width)
        font = FONT_SIZE * (area / (WIDTH * HEIGHT)) ** GROWTH
    else:
        width, height, font = WIDTH, HEIGHT, FONT_SIZE
    shown: dict[str, tuple[Pass, ...]] = {"both": ("forward", "backward")}
    shown |= {"forward": ("forward",), "backward": ("backward",)}
    ground, ink = to_hex(_ground(config, style)), to_hex(matplotlib.rcParams["text.color"])
    rule = matplotlib.rcParams["grid.color"] if style.get("axes.grid") else mixed(ink, ground, 0.9)
    panels, title = shown[config.panels], config.title or ""
    colors = ground, ink, to_hex(rule)
    size = width, height, float(config.font_size or style.get("font.size", font))
    return Sheet(
        *size, *colors, panels, title, config.decimal, font_asked=config.font_size is not None
    )


def _page(config: FigureConfig, style: Mapping[str, Any]) -> Any:
    """Return the colour behind all; that of its theme where a style leaves it transparent."""
    color = style.get("figure.facecolor", "none")
    return _GROUNDS[config.theme.removeprefix("transparent-")] if color == "none" else color


def _ground(config: FigureConfig, style: Mapping[str, Any]) -> Any:
    """Return the colour from which all must stand out: of page and panels the nearer to grey."""
    page = _page(config, style)
    panel = _panel(config, style)
    ink = _INK[is_dark(page)]
    return page if panel == "none" or contrast(panel, ink) > contrast(page, ink) else panel


def _panel(config: FigureConfig, style: Mapping[str, Any]) -> Any:
    """Return the colour behind the panels: a style's, if it is as dark or light as the page."""
    color = style.get("axes.facecolor", "none")
    page = _page(config, style)
    return color if color != "none" and is_dark(color) == is_dark(page) else "none"


def mixed(color: str, other: str, share: float) -> str:
    """Return a colour with so much of the other in it, 0 to 1."""
    pairs = zip(to_rgb(color), to_rgb(other), strict=True)
    red, green, blue = ((1 - share) * a + share * b for a, b in pairs)
    return to_hex((red, green, blue))


def style_settings(name: str | None) -> Mapping[str, Any]:
    """Return what a style of matplotlib's sets, by its name or its file; nothing without one.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no style.
    """
    library: Mapping[str, Any] = matplotlib.style.library
    if name is None or name in library:
        return dict(library[name]) if name else {}
    settings: Any = matplotlib.rc_params_from_file(Path(name), use_default_template=False)
    return dict(settings)  # of a path, for a text may be a URL


@contextmanager
def drawing(config: FigureConfig) -> Iterator[Sheet]:
    """Draw a figure on the sheet that its config asks for, the same under any user's settings.

    A style of matplotlib's lies on top of the theme; a key of the config on top of both. All that
    the config names must be known, see `look.check_look`.
    """
    style = style_settings(config.style)
    page, ground = _page(config, style), _ground(config, style)
    theme: dict[Any, Any] = dict.fromkeys(_TEXTS, _INK[is_dark(page)])
    theme |= {"figure.facecolor": page}
    if config.theme.startswith("transparent"):
        theme["figure.facecolor"] = "none"
    readable: dict[Any, Any] = {"axes.facecolor": _panel(config, style)}
    for key in _TEXTS:
        if is_color_like(style.get(key, "")):
            readable[key] = to_hex(tuple(legible(style[key], ground, TEXT)))
    with (
        saving(config),
        matplotlib.rc_context(theme),
        matplotlib.style.context(dict(style)),
        matplotlib.rc_context(readable),
    ):
        if config.font:
            matplotlib.rcParams["font.family"] = [config.font, "DejaVu Sans"]
        yield _sheet(config, style)


@contextmanager
def saving(config: FigureConfig = FigureConfig()) -> Iterator[None]:  # noqa: B008  # frozen
    """Draw a figure, to be saved as its config says: the same under any user's settings."""
    output = {"savefig.dpi": config.dpi, "svg.fonttype": "none" if config.svg_text else "path"}
    with under(STYLE | output):
        yield


@contextmanager
def under(settings: dict[Any, Any]) -> Iterator[None]:
    """Draw or save under these settings of matplotlib's.

    A letter of a file's name that the font lacks is a box, and no warning.
    """
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield
