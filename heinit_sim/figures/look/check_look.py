"""Check that matplotlib knows what a look asks for: colours, fonts, styles, formulas."""

import logging
from collections.abc import Iterator

import matplotlib
import matplotlib.style
from matplotlib import cbook, colors
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.mathtext import MathTextParser

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.spelling import correction
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.look.sheet import style_settings


def check_look(config: FigureConfig) -> None:
    """Refuse a look that matplotlib cannot draw.

    Raises:
        ConfigError: It has no such colour, colour map, font or style, or cannot read a formula.
    """
    parts = (_color_problems, _font_problems, _style_problems, _formula_problems)
    if problems := [problem for part in parts for problem in part(config)]:
        raise ConfigError(problems)


def _color_problems(config: FigureConfig) -> Iterator[str]:
    if isinstance(config.colors, str):
        name, known = config.colors, list(matplotlib.colormaps)
        if name not in known:
            hint = (
                "; a list of colours is written in [ ]" if _is_color(name) else _hint(name, known)
            )
            wrong = f"figure.colors: error: not a colour map of matplotlib ({name!r})"
            yield f"{wrong}, must be the name of one, e.g. viridis{hint}"
        return
    for place, name in enumerate(config.colors or ()):
        if not _is_color(name):
            hint = _hint(name, [*colors.get_named_colors_mapping()])
            wrong = f"figure.colors[{place}]: error: not a colour of matplotlib ({name!r})"
            yield f"{wrong}, must be one, e.g. teal, C0, '0.4' or '#1e3e73'{hint}"


def _is_color(name: str) -> bool:
    return colors.is_color_like(name) and name != "none"


def _hint(name: str, known: list[str]) -> str:
    meant = correction(name, known)
    return f"; did you mean {meant!r}?" if meant else ""


def _font_problems(config: FigureConfig) -> Iterator[str]:
    if config.font:
        try:
            findfont(FontProperties(family=[config.font]), fallback_to_default=False)
        except ValueError:
            known = sorted({font.name for font in fontManager.ttflist})
            wrong = f"figure.font: error: not a font that matplotlib finds ({config.font!r})"
            yield f"{wrong}, must be one of its {len(known)} families, e.g. DejaVu Serif" + _hint(
                config.font, known
            )


def _style_problems(config: FigureConfig) -> Iterator[str]:
    known = matplotlib.style.available
    if config.style is None or config.style in matplotlib.style.library:
        return
    if not config.style.endswith(".mplstyle"):
        wrong = f"figure.style: error: not a style of matplotlib ({config.style!r})"
        hint = _hint(config.style, known)
        yield f"{wrong}, must be the name of one, e.g. ggplot, or FILE.mplstyle{hint}"
        return
    log, handler = logging.getLogger("matplotlib"), logging.Handler()
    ignored: list[logging.LogRecord] = []
    handler.emit = ignored.append  # type: ignore[method-assign, assignment]  # else it prints
    log.addHandler(handler)
    try:
        style_settings(config.style)
        why = ignored[0].getMessage().strip().partition("\n")[0] if ignored else ""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
    finally:
        log.removeHandler(handler)
    if why:
        yield f"figure.style: error: cannot be read ({config.style}: {why}), must be a style file"


def _formula_problems(config: FigureConfig) -> Iterator[str]:
    texts = {f"labels.{value}": label for value, label in config.labels.items()}
    parser = MathTextParser("path")
    for key, text in {"title": config.title or "", **texts}.items():
        try:
            if cbook.is_math_text(text):
                parser.parse(text)
        except ValueError as error:
            reason = " ".join(str(error).split()[-8:])
            must = r"must be one that matplotlib reads; a dollar sign itself is \$"
            yield f"figure.{key}: error: not a formula ({text!r}: {reason}), {must}"
