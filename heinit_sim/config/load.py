"""The only reader of configs: text and overrides -> validated `SweepConfig`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from heinit_sim.config import messages, yaml_document
from heinit_sim.config.draft import Draft, Override, holds, listed, parse_override, with_value
from heinit_sim.config.grid import points, tried
from heinit_sim.config.messages import Keys
from heinit_sim.config.resolve import ResolvedPoint, sweep_config
from heinit_sim.config.resolve_inputs import Unfit, choose_inputs
from heinit_sim.config.resolve_layers import layer_specs
from heinit_sim.config.schema.config import Config, config_schema
from heinit_sim.config.schema.init import Init
from heinit_sim.config.selection import expectations, select
from heinit_sim.errors import ConfigError
from heinit_sim.experiment import figure_kinds, labels
from heinit_sim.experiment.sweep_config import LayerSpec, SweepConfig

__all__ = ["Override", "config_schema", "load_config", "parse_config", "parse_override"]

MAX_LAYERS = 10_000_000
"""Of all conditions together: each layer's width and variance is held in memory."""
ENOUGH = 1000
"""So many problems are known that no further point of the grid is looked at."""


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
    name, data = yaml_document.read(source)
    return parse_config(data, name, overrides, read_data=read_data)


def parse_config(
    text: str | bytes,
    source: str = "<string>",
    overrides: Sequence[Override] = (),
    *,
    read_data: bool = True,
) -> SweepConfig:
    """Validate the text of a config; `source` is its name in messages. See `load_config`."""
    draft = Draft(text, labels.printable(source))
    for override in overrides:
        draft.override(override)
    if draft.value is not None:
        _check_file(draft)
    checked = list(_checked(draft, read_data=read_data)) if draft.tree else []
    selected: list[tuple[int, ...]] = []
    if not draft.n_problems:
        hint = "; --set expect=[] takes all expectations back" if overrides else ""
        selected = _selected(draft, [point.config for point in checked], hint)
    if not draft.n_problems:
        config = sweep_config(draft, checked, selected)
        unmet = figure_kinds.unmet_need(config)
        if unmet is None:
            return config
        draft.report(("figure", "kind"), unmet)
    raise ConfigError(draft.messages())


def _check_file(draft: Draft) -> None:
    """Check each value that is given, also where the sweep replaces it.

    What the sweep supplies may be missing; whether values go together is seen at the points.
    """
    for path in draft.swept:
        if outer := listed(draft.tree, path):
            draft.report(("sweep", path), f"inside {outer}, a list, must be swept as {outer}")
    checked = messages.check(draft.value)
    for misfit in checked if isinstance(checked, list) else ():
        path = ".".join(map(str, misfit.keys))
        supplied = misfit.kind == "missing" and any(holds(swept, path) for swept in draft.swept)
        apart = misfit.kind == "relation" and misfit.keys[0] not in ("sweep", "expect")
        if not supplied and not apart:
            draft.report(misfit.keys, misfit.text, of_key=misfit.of_key)


def _checked(draft: Draft, *, read_data: bool) -> Iterator[ResolvedPoint]:
    """Check the config as a whole at every point of the grid."""
    swept, n_layers = draft.swept, 0
    digests: dict[str, str] = {}
    for point in points(draft):
        tree = {k: value for k, value in draft.tree.items() if k not in ("sweep", "expect")}
        for path, index in point.items():
            tree = with_value(tree, tuple(path.split(".")), swept[path][index])
        config = messages.check(tree)
        if isinstance(config, list):
            for misfit in config:
                keys = tried(misfit.keys, point)
                if keys[0] != "sweep" or misfit.kind == "relation":  # else `_check_file` saw it
                    draft.report(keys, misfit.text, of_key=misfit.of_key)
        else:
            n_layers += config.network.depth + 1
            layers = layer_specs(config.init, config.network)
            for keys, text in _past_range(config.init, layers):
                draft.report(tried(keys, point), text)
            inputs = choose_inputs(config, digests, read_data=read_data)
            if isinstance(inputs, Unfit):
                draft.report(tried(inputs.keys, point), inputs.text)
            else:
                yield ResolvedPoint(point, config, tuple(layers), inputs)
        if n_layers > MAX_LAYERS:
            text = f"too many layers, must be at most {MAX_LAYERS} in all conditions together"
            draft.report(("sweep",), text)
        if n_layers > MAX_LAYERS or draft.n_problems >= ENOUGH:
            return


def _past_range(init: Init | list[Init], specs: Sequence[LayerSpec]) -> Iterator[tuple[Keys, str]]:
    """What makes the variance of a layer too small for a float."""
    for k, spec in enumerate(specs):
        if not 0 < spec.weight_variance < math.inf:
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
