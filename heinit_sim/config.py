"""The only reader of configs: text and overrides -> validated `SweepConfig`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from heinit_sim import documents, figure_kinds, problems
from heinit_sim.drafts import Draft, Override, Tree, holds, listed, parse_override, with_value
from heinit_sim.errors import ConfigError
from heinit_sim.grid import Point, points, tried
from heinit_sim.input_choice import Unfit, choose_inputs
from heinit_sim.layer_laws import LayerLaw, layer_laws, lsuv_of
from heinit_sim.network_options import convolution_of, residual_of, widths_of
from heinit_sim.problems import Keys
from heinit_sim.records import Condition, Expectation, FigureConfig, Inputs, SweepConfig
from heinit_sim.schema import Config, Sweep, config_schema
from heinit_sim.selection import expectations, select, written
from heinit_sim.weight_options import Init

__all__ = ["Override", "config_schema", "load_config", "parse_config", "parse_override"]

MAX_LAYERS = 10_000_000
"""Of all conditions together: each layer's width and variance is held in memory."""
ENOUGH = 1000
"""So many problems are known that no further point of the grid is looked at."""

Checked = tuple[Point, Config, list[LayerLaw], Inputs]
"""A point of the grid, the config there, what its layers are drawn from, and its inputs."""


def load_config(
    source: str | os.PathLike[str], overrides: Sequence[Override] = (), *, read_data: bool = True
) -> SweepConfig:
    """Read and validate a config file, or standard input for `-`.

    Args:
        source: Path of the file, or `-`.
        overrides: What replaces values of the file, in this order.
        read_data: Look at data files of inputs too; they are needed to simulate or predict.

    Raises:
        ConfigError: It cannot be read or is wrong; every problem is one line with its place.
    """
    name, data = documents.read(source)
    return parse_config(data, name, overrides, read_data=read_data)


def parse_config(
    text: str | bytes,
    source: str = "<string>",
    overrides: Sequence[Override] = (),
    *,
    read_data: bool = True,
) -> SweepConfig:
    """Validate the text of a config; `source` is its name in messages. See `load_config`."""
    draft = Draft(text, documents.printable(source))
    for override in overrides:
        draft.override(override)
    if draft.value is not None:
        _check_file(draft)
    checked = list(_checked(draft, read_data=read_data)) if draft.tree else []
    selected: list[tuple[int, ...]] = []
    if not draft.n_problems:
        hint = "; --set expect=[] takes all expectations back" if overrides else ""
        selected = _selected(draft, [config for _, config, *_ in checked], hint)
    if not draft.n_problems:
        config = _sweep_config(draft, checked, selected)
        wrong = figure_kinds.misfit(config)
        if wrong is None:
            return config
        draft.report(("figure", "kind"), wrong)
    raise ConfigError(draft.messages())


def _check_file(draft: Draft) -> None:
    """Check each value that is given, also where the sweep replaces it.

    What the sweep supplies may be missing; whether values go together is seen at the points.
    """
    for path in draft.swept:
        if outer := listed(draft.tree, path):
            draft.report(("sweep", path), f"inside {outer}, a list, must be swept as {outer}")
    checked = problems.check(draft.value)
    for misfit in checked if isinstance(checked, list) else ():
        path = ".".join(map(str, misfit.keys))
        supplied = misfit.kind == "missing" and any(holds(swept, path) for swept in draft.swept)
        apart = misfit.kind == "relation" and misfit.keys[0] not in ("sweep", "expect")
        if not supplied and not apart:
            draft.report(misfit.keys, misfit.text, of_key=misfit.of_key)


def _checked(draft: Draft, *, read_data: bool) -> Iterator[Checked]:
    """Check the config as a whole at every point of the grid."""
    swept, n_layers = draft.swept, 0
    digests: dict[str, str] = {}
    for point in points(draft):
        tree = {k: value for k, value in draft.tree.items() if k not in ("sweep", "expect")}
        for path, index in point.items():
            tree = with_value(tree, tuple(path.split(".")), swept[path][index])
        config = problems.check(tree)
        if isinstance(config, list):
            for misfit in config:
                keys = tried(misfit.keys, point)
                if keys[0] != "sweep" or misfit.kind == "relation":  # else `_check_file` saw it
                    draft.report(keys, misfit.text, of_key=misfit.of_key)
        else:
            n_layers += config.network.depth + 1
            laws = layer_laws(config.init, config.network)
            for keys, text in _past_range(config.init, laws):
                draft.report(tried(keys, point), text)
            inputs = choose_inputs(config, digests, read_data=read_data)
            if isinstance(inputs, Unfit):
                draft.report(tried(inputs.keys, point), inputs.text)
            else:
                yield point, config, laws, inputs
        if n_layers > MAX_LAYERS:
            text = f"too many layers, must be at most {MAX_LAYERS} in all conditions together"
            draft.report(("sweep",), text)
        if n_layers > MAX_LAYERS or draft.n_problems >= ENOUGH:
            return


def _past_range(init: Init | list[Init], laws: Sequence[LayerLaw]) -> Iterator[tuple[Keys, str]]:
    """What makes the variance of a layer too small for a float."""
    for k, law in enumerate(laws):
        if not 0 < law.weight_variance < math.inf:
            layer, keys = (init[k], ("init", k)) if isinstance(init, list) else (init, ("init",))
            key = "gain" if layer.scale is None else "scale"
            text = f"too small ({getattr(layer, key)}), must leave a variance above 0"
            yield (*keys, key), text


def _selected(draft: Draft, points: Sequence[Config], hint: str) -> list[tuple[int, ...]]:
    """The conditions that each expectation is about; problems where there are none."""
    given = draft.tree.get("expect", [])
    selected = []
    for n, found in enumerate(select([e.when for e in expectations(given)], points)):
        keys: Keys = ("expect", n) if isinstance(given, list) else ("expect",)
        if isinstance(found, tuple):
            selected.append(found)
        else:
            for unmatched in found:
                draft.report((*keys, "when", *unmatched.keys), unmatched.text + hint)
    return selected


def _sweep_config(
    draft: Draft, checked: Sequence[Checked], selected: Sequence[tuple[int, ...]]
) -> SweepConfig:
    first = checked[0][1]
    given = Sweep.model_validate(draft.tree.get("sweep", {}))
    values = given.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    sweep = {path: values[path] for path in draft.swept}
    frozen = {path: tuple(_frozen(value) for value in sweep[path]) for path in sweep}
    decades = first.figure.decades
    expect = [written(each) for each in expectations(draft.tree.get("expect", []))]
    return SweepConfig(
        name=first.name,
        conditions=tuple(
            _condition(n, {path: frozen[path][i] for path, i in found[0].items()}, *found[1:])
            for n, found in enumerate(checked)
        ),
        sweep=frozen,
        trials=first.trials,
        seed=first.seed,
        draws=first.draws,
        histograms=first.record.histograms if first.record else None,
        cosine=bool(first.record and first.record.cosine),
        figure=FigureConfig(
            quantity=first.figure.quantity,
            decades=(decades[0], decades[1]) if decades else None,
            overlay=first.figure.overlay,
            kind=first.figure.kind,
        ),
        expect=tuple(map(_expectation, expect, selected)),
        document={
            **_document(first, sweep, {inputs.path: inputs.sha256 for *_, inputs in checked}),
            **({"expect": expect} if expect else {}),
        },
    )


def _condition(
    index: int,
    swept: Mapping[str, object],
    config: Config,
    laws: Sequence[LayerLaw],
    inputs: Inputs,
) -> Condition:
    activation = config.network.activation
    variances, distributions, biases, bias_variances = zip(*laws, strict=True)
    return Condition(
        index=index,
        swept=swept,
        widths=widths_of(config.network),
        activation=activation.name,
        activation_options=activation.options,
        weight_variances=variances,
        weight_distributions=distributions if set(distributions) != {"normal"} else (),
        bias_variances=bias_variances if any(bias_variances) else (),
        biases=biases if any(biases) else (),
        lsuv=lsuv_of(config.init),
        inputs=inputs,
        n_inputs=config.inputs.count,
        target=config.loss.target,
        convolution=convolution_of(config.network),
        residual=residual_of(config.network),
    )


def _expectation(given: Mapping[str, Any], conditions: tuple[int, ...]) -> Expectation:
    when = given.get("when", {})
    return Expectation(
        when={path: _frozen(value) for path, value in when.items()},
        conditions=conditions,
        forward=given.get("forward"),
        backward=given.get("backward"),
        max_decades_per_layer=given.get("max_decades_per_layer"),
    )


def _document(config: Config, sweep: Mapping[str, object], digests: Mapping[str, str]) -> Tree:
    """The resolved config; what the sweep replaces is left out of the rest."""
    document: Any = config.model_dump(exclude_none=True, exclude={"expect"})
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
