"""Validated models of every point of the grid become one `SweepConfig`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heinit_sim.config.problem import Keys, keys_of
from heinit_sim.config.resolve_weights import lsuv_of
from heinit_sim.config.schema.annotations import as_text_if_written, as_written, located
from heinit_sim.config.schema.config import Config, Record, leave_out_defaults
from heinit_sim.config.schema.sweep import WidthSlope
from heinit_sim.config.tree import Tree
from heinit_sim.experiment import sweep_config
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.steps import Row

Point = Mapping[str, int]
"""Swept path -> which of its values is tried."""


class ResolvedPoint(NamedTuple):
    """A point of the grid with all that a condition is made of."""

    place: Point
    config: Config
    """The validated config at that point."""
    layers: tuple[Row, ...]
    """The rows of steps of the layers 0 … K."""
    inputs: Inputs
    update: sweep_config.Update | None
    """The step of training that is recorded."""


def put_together(
    grid: Sequence[ResolvedPoint],
    figure: sweep_config.FigureConfig,
    selected: Sequence[tuple[int, ...]],
    lines: Sequence[int | None],
) -> sweep_config.SweepConfig:
    """Put the points of the grid together.

    Args:
        grid: The points in order; the first holds the sections `sweep`, `figure` and `expect`.
        figure: The figure that they ask for.
        selected: For each expectation the places of the conditions it is about.
        lines: For each expectation its line in the file, if it is from there.
    """
    first = grid[0].config
    sweep = plain_sweep(grid[0])
    frozen = {path: tuple(_frozen(value) for value in sweep[path]) for path in sweep}
    expect = [given for _, given in located(first.expect)]
    return sweep_config.SweepConfig(
        name=first.name,
        conditions=tuple(_condition(n, point, frozen) for n, point in enumerate(grid)),
        sweep=frozen,
        trials=first.trials,
        seed=first.seed,
        draws=first.draws,
        engine=first.engine,
        record=_records(first.record),
        figure=figure,
        expect=tuple(
            sweep_config.Expectation(
                when={path: _frozen(as_written(value)) for path, value in given.when.items()},
                conditions=conditions,
                forward=given.forward,
                backward=given.backward,
                max_decades_per_layer=given.max_decades_per_layer,
                width_slope=_width_slope(given.width_slope),
                line=line,
            )
            for given, conditions, line in zip(expect, selected, lines, strict=True)
        ),
        document=as_text_if_written(
            {
                **_document(
                    first, sweep, {point.inputs.path: point.inputs.sha256 for point in grid}
                ),
                **({"expect": as_written(expect)} if expect else {}),
            }
        ),
    )


def _records(record: Record | None) -> Records:
    """The section `record`, in which null and false ask for nothing."""
    given = {key: value for key, value in record or () if value}
    return Records(**given | {"update": "update" in given})


def _width_slope(given: WidthSlope | None) -> sweep_config.WidthSlope | None:
    if given is None:
        return None
    layers = [] if given.layer is None else [layer for _, layer in located(given.layer)]
    return sweep_config.WidthSlope(given.quantity, given.within, tuple(dict.fromkeys(layers)))


def plain_sweep(first: ResolvedPoint) -> dict[str, list[object]]:
    """Dotted path -> swept values as a config writes them, of the first point of the grid."""
    return {path: as_written(first.config.sweep[path]) for path in first.place}


def _condition(
    index: int, point: ResolvedPoint, sweep: Mapping[str, tuple[object, ...]]
) -> sweep_config.Condition:
    config = point.config
    return sweep_config.Condition(
        index=index,
        swept={path: sweep[path][place] for path, place in point.place.items()},
        layers=point.layers,
        lsuv=lsuv_of(config.init),
        inputs=point.inputs,
        n_inputs=config.inputs.n_inputs,
        loss=sweep_config.Loss(config.loss.name, config.loss.target),
        update=point.update,
    )


def _document(config: Config, sweep: Mapping[str, object], digests: Mapping[str, str]) -> Tree:
    """The resolved config; what the sweep replaces is left out of the rest."""
    document: Any = config.model_dump(exclude_none=True, exclude={"expect"})
    if only := config.figure.only:
        document["figure"]["only"] = {path: as_written(value) for path, value in only.items()}
    leave_out_defaults(document)
    if not document["loss"]["target"] and (
        config.loss.name != "least_squares" or "loss.name" in sweep
    ):
        del document["loss"]["target"]  # which other losses do not have
    document["inputs"].pop("sha256", None)
    if files := {path: digest for path, digest in digests.items() if digest}:
        document["inputs"]["sha256"] = files
    for path in sweep:
        _leave_out(document, keys_of(path))
    return {**document, "sweep": dict(sweep)}


def _leave_out(document: Any, keys: Keys) -> None:
    """Take a value out of a document, if it is there; of a step all its options."""
    *parents, key = keys
    for parent in parents[:-1]:
        known = isinstance(parent, int) or (isinstance(document, dict) and parent in document)
        if not known:
            return  # defaults are left out of some
        document = document[parent]
    if isinstance(parents[-1] if parents else "", int):
        document[parents[-1]] = key
        return
    inner = document.get(parents[-1]) if parents and isinstance(document, dict) else document
    if isinstance(inner, dict):
        inner.pop(key, None)


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
