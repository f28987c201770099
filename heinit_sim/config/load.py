"""The only reader of configs: text and overrides -> validated `SweepConfig`."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from heinit_sim.config import messages, yaml_document
from heinit_sim.config.draft import Draft, Overrides, as_overrides
from heinit_sim.config.problem import Keys, Problem, keys_of
from heinit_sim.config.resolve import Point, ResolvedPoint, plain_sweep, put_together
from heinit_sim.config.resolve_expect import wrong_expectations
from heinit_sim.config.resolve_figure import choose_figure
from heinit_sim.config.resolve_inputs import choose_inputs
from heinit_sim.config.resolve_layers import layer_rows
from heinit_sim.config.resolve_update import choose_update
from heinit_sim.config.schema.annotations import located
from heinit_sim.config.schema.config import Config
from heinit_sim.config.selection import select
from heinit_sim.config.tree import holds, unreachable, with_value
from heinit_sim.errors import ConfigError
from heinit_sim.experiment import figure_kinds, labels
from heinit_sim.experiment.sweep_config import SweepConfig

MAX_CONDITIONS = 10_000
MAX_LAYERS = 10_000_000
"""Layers that all conditions together may have: the laws of each are held in memory."""


def load_config(
    source: str | os.PathLike[str], overrides: Overrides = (), *, read_data: bool = True
) -> SweepConfig:
    """Read and validate a config file, or standard input for `-`.

    The manifest of a run is taken for the config that it holds.

    Args:
        source: Path of the file, or `-`.
        overrides: What replaces values of the file, in this order: dotted path -> value, or
            texts like "trials=20" and "network.width=50,100", of which the latter sweeps.
        read_data: Look at data files of inputs too; they are needed to simulate or predict.

    Raises:
        ConfigError: It cannot be read or is wrong; every problem is one line with its place.
    """
    name, data = yaml_document.read(source)
    return parse_config(data, name, overrides, read_data=read_data)


def parse_config(
    text: str | bytes,
    source: str = "<string>",
    overrides: Overrides = (),
    *,
    read_data: bool = True,
) -> SweepConfig:
    """Validate the text of a config; `source` is its name in messages. See `load_config`."""
    draft = Draft(text, labels.printable(source))
    for override in as_overrides(overrides):
        draft.override(override)
    if draft.value is not None:
        _check_file(draft)
    grid = list(_checked(draft, read_data=read_data)) if draft.tree else []
    if not draft.problems:
        points = [point.config for point in grid]
        hint = "; expect=[] takes all expectations back" if overrides else ""
        selected = _selected(draft, points, hint)
        figure = choose_figure(points, plain_sweep(grid[0]))
        for problem in figure if isinstance(figure, list) else ():
            draft.report(problem)
    if not (draft.problems or isinstance(figure, list)):
        lines = [draft.line(("expect", *at)) for at, _ in located(points[0].expect)]
        config = put_together(grid, figure, selected, lines)
        for problem in wrong_expectations(config, located(points[0].expect)):
            draft.report(problem)
        if unmet := figure_kinds.unmet_need(config):
            draft.report(Problem(("figure", "kind"), unmet))
        if not draft.problems:
            return replace(config, made_by=draft.made_by)
    raise ConfigError(draft.messages())


def with_figure(config: SweepConfig, options: Mapping[str, object], flag: str) -> SweepConfig:
    """The config with other keys of `figure`.

    Args:
        config: A validated config.
        options: Keys of `figure` and their values; None takes one back.
        flag: What messages call the options.

    Raises:
        ConfigError: See `load_config`.
    """
    back = {key for key, value in options.items() if value is None and key in vars(config.figure)}
    figure: Any = config.document["figure"]
    kept = {key: value for key, value in figure.items() if key not in options}
    text = yaml_document.to_yaml({**config.document, "figure": kept})
    keys = {f"figure.{key}": value for key, value in options.items() if key not in back}
    asked = parse_config(text, config.name, as_overrides(keys, flag), read_data=False)
    document = {**config.document, "figure": asked.document["figure"]}
    return replace(config, figure=asked.figure, document=document)


def _check_file(draft: Draft) -> None:
    """Check each value that is given, also where the sweep replaces it.

    What the sweep supplies may be missing; whether values go together is seen at the points.
    """
    for path in draft.swept:
        if reason := unreachable(draft.tree, path):
            draft.report(Problem(("sweep", path), reason.format("swept")))
    checked = messages.validated(draft.value)
    for problem in checked if isinstance(checked, list) else ():
        path = ".".join(map(str, problem.keys))
        supplied = problem.kind == "missing" and any(holds(swept, path) for swept in draft.swept)
        pointwise = problem.kind == "relation" and problem.keys[0] not in ("sweep", "expect")
        if not supplied and not pointwise:
            draft.report(problem)


def _points(draft: Draft) -> Iterator[Point]:
    """The grid, the last path varying fastest; only its first point if there are too many."""
    lengths = {path: len(values) for path, values in draft.swept.items()}
    count = math.prod(lengths.values())
    if count > MAX_CONDITIONS:
        text = f"too many conditions ({count}), must be at most {MAX_CONDITIONS}"
        draft.report(Problem(("sweep",), text))
        lengths = dict.fromkeys(lengths, 1)
    for indices in itertools.product(*map(range, lengths.values())):
        yield dict(zip(lengths, indices, strict=True))


def _tried(keys: Keys, point: Point) -> Keys:
    """Where the value stands in the file: a swept one stands in the sweep."""
    for path, index in point.items():
        way = keys_of(path)
        if keys[: len(way)] == way:
            return ("sweep", path, index, *keys[len(way) :])
    return keys


def _checked(draft: Draft, *, read_data: bool) -> Iterator[ResolvedPoint]:
    """Check the config as a whole at every point of the grid.

    The first point keeps the sections that are the same at all others.
    """
    swept, n_layers = draft.swept, 0
    digests: dict[str, str] = {}
    tree = draft.tree
    for point in _points(draft):
        at_point = tree
        for path, index in point.items():
            at_point = with_value(at_point, keys_of(path), swept[path][index])
        config = messages.validated(at_point)
        tree = {
            key: value for key, value in tree.items() if key not in ("sweep", "figure", "expect")
        }
        if isinstance(config, list):
            for problem in config:
                problem = problem._replace(keys=_tried(problem.keys, point))
                if problem.keys[0] != "sweep" or problem.kind == "relation":
                    draft.report(problem)  # `_check_file` saw all others
        else:
            layers = layer_rows(config)
            n_layers += config.network.n_hidden + 1
            for problem in layers if isinstance(layers, list) else ():
                draft.report(problem._replace(keys=_tried(problem.keys, point)))
            inputs = choose_inputs(config, digests, read_data=read_data)
            if isinstance(inputs, Problem):
                draft.report(inputs._replace(keys=_tried(inputs.keys, point)))
            elif isinstance(layers, tuple):
                update = choose_update(config, layers)
                if isinstance(update, Problem):
                    draft.report(update._replace(keys=_tried(update.keys, point)))
                else:
                    yield ResolvedPoint(point, config, layers, inputs, update)
        if n_layers > MAX_LAYERS:
            text = f"too many layers, must be at most {MAX_LAYERS} in all conditions together"
            draft.report(Problem(("sweep",), text))
        if n_layers > MAX_LAYERS or len(draft.problems) >= messages.ENOUGH:
            return


def _selected(draft: Draft, points: Sequence[Config], hint: str) -> list[tuple[int, ...]]:
    """The conditions that each expectation is about; problems where there are none."""
    expectations = located(points[0].expect)
    selections = select([expectation.when for _, expectation in expectations], points)
    selected = []
    for (at, _), places in zip(expectations, selections, strict=True):
        if isinstance(places, tuple):
            selected.append(places)
        else:
            for problem in places:
                keys = ("expect", *at, "when", *problem.keys)
                draft.report(Problem(keys, problem.text + hint))
    return selected
