"""Conditions for tests, from the laws of their layers one kind at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import Condition, LayerSpec, SweepConfig
from heinit_sim.simulation.sweep import collect, iter_sweep


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


def condition(
    widths: tuple[int, ...],
    variances: Sequence[float] | float,
    activation: str = "relu",
    n_inputs: int = 1,
    target: float = 0.0,
    **changes: Any,
) -> Condition:
    """Layers of one variance or of one each; `changes` are laws of layers and other fields."""
    if isinstance(variances, float):
        variances = (variances,) * (len(widths) - 1)
    layers = layer_specs(variances)
    return with_layers(
        Condition(0, {}, widths, activation, {}, layers, n_inputs, target), **changes
    )


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
    columns: list[Sequence[Any]] = list(zip(*condition.layers, strict=True))
    kept = columns[: len(given)]
    if weight_variances is not None and len(weight_variances) != len(condition.layers):
        kept[1:] = [(), (), ()]  # laws of another depth
    laws: list[Any] = [old if law is None else law for law, old in zip(given, kept, strict=True)]
    return replace(condition, layers=layer_specs(*laws), **changes)


def unpredicted(config: SweepConfig, jobs: int = 1) -> SweepResult:
    """Simulate without predicting quantiles, which take long and which few tests read."""
    return collect(config, list(iter_sweep(config, jobs)), quantiles=False)
