"""A result as the arrays of `networks.npz`, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from numpy.typing import NDArray

from heinit_sim.experiment.quantities import COUNTED, MEASURES, Quantity
from heinit_sim.experiment.results import Histogram, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.simulation import COSINE_QUANTITIES, with_theory

_PARTS = tuple(part.name for part in fields(Histogram))


def to_arrays(result: SweepResult) -> dict[str, NDArray[Any]]:
    """All that the networks showed, by the keys that outputs/README.md documents."""
    arrays: dict[str, NDArray[Any]] = {}
    for outcome in result.conditions:
        for (quantity, statistic), log10 in outcome.networks.items():
            arrays[_key(outcome.condition, quantity, f"log10_{statistic}")] = log10
        for quantity, histogram in outcome.histograms.items():
            for part, array in vars(histogram).items():
                arrays[_key(outcome.condition, quantity, f"histogram_{part}")] = array
        for quantity, means in outcome.cosines.items():
            arrays[_key(outcome.condition, quantity, "cosine")] = means
    return arrays


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], config: SweepConfig, *, complete: bool, quantiles: bool
) -> SweepResult:
    """The result that `to_arrays` took apart, with its theory.

    Args:
        arrays: Key -> array.
        config: The sweep.
        complete: Whether all that the config asks for must be there.
        quantiles: Predict quantiles over networks too.

    Raises:
        KeyError: An array is missing.
        ValueError: One has another shape than it should.
    """

    def wanted(*keys: str) -> bool:
        return complete or all(key in arrays for key in keys)

    networks, histograms, angles = [], [], []
    for c in config.conditions:
        shape = (config.trials, c.depth + 1)
        keys = {(q, s): _key(c, q, f"log10_{s}") for q, s in MEASURES}
        networks.append({m: _shaped(arrays[key], shape) for m, key in keys.items() if wanted(key)})
        histograms.append(_histograms(arrays, c, wanted) if config.histograms else {})
        taken = COSINE_QUANTITIES if config.cosine else ()
        names = {quantity: _key(c, quantity, "cosine") for quantity in taken}
        angles.append({q: _shaped(arrays[key], shape) for q, key in names.items() if wanted(key)})
    return with_theory(config, networks, histograms, angles, quantiles=quantiles)


def _shaped(array: FloatArray, shape: tuple[int, int]) -> FloatArray:
    if array.shape != shape:
        raise ValueError(f"shape {array.shape}, should be {shape}")
    return array


def _histograms(
    arrays: Mapping[str, NDArray[Any]], condition: Condition, wanted: Callable[..., bool]
) -> dict[Quantity, Histogram]:
    histograms: dict[Quantity, Histogram] = {}
    for quantity in COUNTED:
        keys = {part: _key(condition, quantity, f"histogram_{part}") for part in _PARTS}
        if wanted(*keys.values()):
            histogram = Histogram(**{part: arrays[key] for part, key in keys.items()})
            layers, n_bins = condition.depth + 1, len(histogram.edges) - 1
            shapes = [array.shape for array in vars(histogram).values()]
            if shapes != [(n_bins + 1,), (layers, n_bins), (layers,), (layers,), (layers,)]:
                raise ValueError(f"{keys['counts']}: not {n_bins} bins in each of {layers} layers")
            histograms[quantity] = histogram
    return histograms


def _key(condition: Condition, quantity: str, name: str) -> str:
    return f"condition_{condition.index}.{quantity}.{name}"
