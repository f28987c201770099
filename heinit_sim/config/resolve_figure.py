"""The figure that a config asks for, held against its sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heinit_sim.config import yaml_document
from heinit_sim.config.problem import Problem
from heinit_sim.config.schema.annotations import located
from heinit_sim.config.schema.config import Config, Figure
from heinit_sim.config.selection import select
from heinit_sim.experiment.labels import flow_text, shortened, swept_text, to_text
from heinit_sim.experiment.spelling import correction, same_word
from heinit_sim.experiment.sweep_config import FigureConfig

_LISTED = 12  # values that have a label are quoted at most


def choose_figure(
    points: Sequence[Config], sweep: Mapping[str, Sequence[object]]
) -> FigureConfig | list[Problem]:
    """The figure, or what of it is about conditions or values that are not there.

    Args:
        points: The config at every point of the grid, of which the first has the figure.
        sweep: Dotted path -> swept values, plain.
    """
    given = points[0].figure
    only = next(select([given.only or {}], points))
    labels, problems = _labels(given, sweep)
    order, unknown = _order(given, sweep)
    problems += unknown
    if isinstance(only, list):
        problems += [Problem(("only", *keys), text) for keys, text, *_ in only]
    colors = given.colors
    if isinstance(colors, list) and len(colors) != len(points):
        text = f"wrong length ({len(colors)}), must be one for each of the {len(points)} conditions"
        problems.append(Problem(("colors",), text))
    if problems or isinstance(only, list):
        hint = "; null takes it back"
        return [Problem(("figure", *keys), text + hint) for keys, text, *_ in problems]
    decades, size = given.decades, given.size
    formats: Any = given.formats  # the model has made a list of them
    return FigureConfig(
        quantity=given.quantity,
        decades=(decades[0], decades[1]) if decades else None,
        overlay=given.overlay,
        limits=given.limits,
        kind=given.kind,
        theme=given.theme,
        size=(size[0], size[1]) if isinstance(size, list) else size,
        font=given.font,
        font_size=given.font_size,
        panels=given.panels,
        only=only if given.only else None,
        labels=labels,
        order=order,
        title=given.title,
        colors=tuple(colors) if isinstance(colors, list) else colors,
        decimal=given.decimal,
        style=given.style,
        formats=tuple(formats),
        dpi=given.dpi,
        svg_text=given.svg_text,
    )


def _labels(
    figure: Figure, sweep: Mapping[str, Sequence[object]]
) -> tuple[dict[str, str], list[Problem]]:
    """The labels by the text of each swept value, and what is none's."""
    values = [(path, value) for path, values in sweep.items() for value in values]
    labels: dict[str, str] = {}
    problems = []
    given = figure.labels or {}
    if isinstance(given, list):
        path, first = next(iter(sweep.items()), ("", []))
        if len(given) != len(first):
            text = f"wrong length ({len(given)}), must be one for each of the {len(first)} values"
            return {}, [Problem(("labels",), f"{text} of {path or 'a swept key'}")]
        texts = (swept_text(path, value, to_text) for value in first)
        return dict(zip(texts, given, strict=True)), []
    for key, label in given.items():
        meant = set(_meant(key, values))
        problem = _unlabelled(key, values) if not meant else ""
        if meant & labels.keys():
            problem = f"another text of one value ({key!r}), must be given once"
        if problem:
            problems.append(Problem(("labels", key), problem))
        labels |= dict.fromkeys(meant, label)
    return labels, problems


def _order(
    figure: Figure, sweep: Mapping[str, Sequence[object]]
) -> tuple[tuple[str, ...], list[Problem]]:
    """The texts of the swept values that come first, and what is none's."""
    values = [(path, value) for path, values in sweep.items() for value in values]
    order: list[str] = []
    problems = []
    for keys, value in located([] if figure.order is None else figure.order):
        meant = _meant(to_text(value), values)
        if not meant:
            problems.append(Problem(("order", *keys), _unlabelled(to_text(value), values)))
        elif set(meant) & set(order):
            text = f"given twice ({to_text(value)}), must be a list of distinct values"
            problems.append(Problem(("order", *keys), text))
        order += meant
    return tuple(order), problems


def _meant(text: str, values: Sequence[tuple[str, object]]) -> list[str]:
    """The swept values that a text is of, each as `swept_text` writes it."""
    parsed = yaml_document.parse(f"[{text}]").value
    known = [(swept_text(p, value, to_text), swept_text(p, value), value) for p, value in values]
    texts = [
        full
        for full, short, value in known
        if text in (full, short)
        or parsed == [value]
        or (full.replace("_", "").isalpha() and same_word(text, full))
    ]
    return list(dict.fromkeys(texts))


def _unlabelled(key: str, values: Sequence[tuple[str, object]]) -> str:
    """Why a text is that of no swept value."""
    texts = list(dict.fromkeys(swept_text(path, value, to_text) for path, value in values))
    wrong = f"no swept value ({shortened(flow_text(key), 40)!r})"
    if not texts:
        return f"{wrong}, must be left out where nothing is swept"
    more = ", …" if len(texts) > _LISTED else ""
    meant = correction(key, texts)
    hint = f"; did you mean {meant!r}?" if meant else ""
    return f"{wrong}, must be one of {', '.join(texts[:_LISTED])}{more}{hint}"
