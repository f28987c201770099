"""Conditions for tests, from the laws of their layers one kind at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.sweep_config import Condition, LayerSpec


def layer_specs(
    weight_variances: Iterable[float],
    weight_distributions: Sequence[Distribution] = (),
    bias_variances: Sequence[float] = (),
    bias_means: Sequence[float] = (),
) -> tuple[LayerSpec, ...]:
    """The layers 0 … K of these laws; an empty sequence stands for normal weights or no biases."""
    variances = tuple(weight_variances)
    none = (0.0,) * len(variances)
    normal = cast("tuple[Distribution, ...]", ("normal",) * len(variances))
    laws = (weight_distributions or normal, bias_variances or none, bias_means or none)
    return tuple(LayerSpec(*law) for law in zip(variances, *laws, strict=True))


def with_layers(
    condition: Condition,
    *,
    weight_variances: Sequence[float] | None = None,
    weight_distributions: Sequence[Distribution] | None = None,
    bias_variances: Sequence[float] | None = None,
    bias_means: Sequence[float] | None = None,
    **changes: Any,
) -> Condition:
    """The condition with other laws of its layers, and with other fields; None keeps a law."""
    given = (weight_variances, weight_distributions, bias_variances, bias_means)
    kept: list[Sequence[Any]] = list(zip(*condition.layers, strict=True))
    if weight_variances is not None and len(weight_variances) != len(condition.layers):
        kept[1:] = [(), (), ()]  # laws of another depth
    laws: list[Any] = [old if law is None else law for law, old in zip(given, kept, strict=True)]
    return replace(condition, layers=layer_specs(*laws), **changes)
