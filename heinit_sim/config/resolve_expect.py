"""Slopes over width that a config expects, held against the widths that it sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from heinit_sim.config.problem import Keys, Problem
from heinit_sim.experiment.sweep_config import Expectation, SweepConfig
from heinit_sim.experiment.width_groups import WIDTHS, width_groups, width_path


def wrong_expectations(
    config: SweepConfig, located: Sequence[tuple[Keys, Any]]
) -> Iterator[Problem]:
    """Slopes over width that no run of the config could show.

    Args:
        config: The sweep.
        located: Its expectations as they were given, behind the keys that lead to each.
    """
    for (at, _), expectation in zip(located, config.expect, strict=True):
        for keys, text in _wrong_width_slope(config, expectation):
            yield Problem(("expect", *at, "width_slope", *keys), text)


def _wrong_width_slope(config: SweepConfig, expectation: Expectation) -> Iterator[tuple[Keys, str]]:
    slope = expectation.width_slope
    if slope is None:
        return
    if width_path(config.sweep) is None:
        text = "no width is swept, must be beside two or more numbers under sweep of"
        yield (), f"{text} {' or '.join(WIDTHS)}"
        return
    groups = width_groups(config, expectation.conditions)
    if min(len(places) for _, places in groups) < 2:
        yield (), "of one width, must be of two or more; let expect.when select more"
    if config.trials < 2:
        yield (), f"one network has no error ({config.trials}), must be beside trials of 2 or more"
    if slope.quantity.endswith("_update") and not config.record.update:
        text = f"no step of training is recorded ({slope.quantity})"
        yield ("quantity",), f"{text}, must be beside record.update"
    if 0 in slope.layers and slope.quantity.startswith("activation"):
        yield ("layer",), "h_0 are the inputs, of no width (0), must be at least 1"
    depth = min(config.conditions[place].depth for place in expectation.conditions)
    if slope.layers and max(slope.layers) > depth:
        text = f"no such layer ({max(slope.layers)}), must be at most {depth}, the output layer"
        yield ("layer",), text
