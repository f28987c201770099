"""Validated models of every point of the grid become one `SweepConfig`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heinit_sim.config.draft import Tree
from heinit_sim.config.resolve_layers import lsuv_of
from heinit_sim.config.schema.annotations import as_text_if_written, as_written, located
from heinit_sim.config.schema.config import Config, leave_out_defaults
from heinit_sim.config.schema.network import convolution_of, residual_of, widths_of
from heinit_sim.experiment import sweep_config
from heinit_sim.experiment.inputs import Inputs

Point = Mapping[str, int]
"""Swept path -> which of its values is tried."""


class ResolvedPoint(NamedTuple):
    """A point of the grid with all that a condition is made of."""

    place: Point
    config: Config
    """The validated config at that point."""
    layers: tuple[sweep_config.LayerSpec, ...]
    """Laws of the weights and biases of the layers 0 … K."""
    inputs: Inputs


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
        histograms=first.record.histograms if first.record else None,
        cosine=bool(first.record and first.record.cosine),
        figure=figure,
        expect=tuple(
            sweep_config.Expectation(
                when={path: _frozen(as_written(value)) for path, value in given.when.items()},
                conditions=conditions,
                forward=given.forward,
                backward=given.backward,
                max_decades_per_layer=given.max_decades_per_layer,
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


def plain_sweep(first: ResolvedPoint) -> dict[str, list[object]]:
    """Dotted path -> swept values as a config writes them, of the first point of the grid."""
    return {path: as_written(first.config.sweep[path]) for path in first.place}


def _condition(
    index: int, point: ResolvedPoint, sweep: Mapping[str, tuple[object, ...]]
) -> sweep_config.Condition:
    config = point.config
    activation = config.network.activation
    return sweep_config.Condition(
        index=index,
        swept={path: sweep[path][place] for path, place in point.place.items()},
        widths=widths_of(config.network),
        activation=activation.name,
        activation_options=activation.options,
        layers=point.layers,
        lsuv=lsuv_of(config.init),
        inputs=point.inputs,
        n_inputs=config.inputs.count,
        target=config.loss.target,
        convolution=convolution_of(config.network),
        residual=residual_of(config.network),
    )


def _document(config: Config, sweep: Mapping[str, object], digests: Mapping[str, str]) -> Tree:
    """The resolved config; what the sweep replaces is left out of the rest."""
    document: Any = config.model_dump(exclude_none=True, exclude={"expect"})
    if only := config.figure.only:
        document["figure"]["only"] = {path: as_written(value) for path, value in only.items()}
    leave_out_defaults(document)
    document["inputs"].pop("sha256", None)
    if files := {path: digest for path, digest in digests.items() if digest}:
        document["inputs"]["sha256"] = files
    for path in sweep:
        *parents, key = path.split(".")
        inner: Any = document
        for parent in parents:
            inner = inner[parent]
        inner.pop(key, None)  # defaults are left out of some
    return {**document, "sweep": dict(sweep)}


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
