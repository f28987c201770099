"""A result as the arrays of `networks.npz`, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import BETWEEN_INPUTS, COUNTED, MEASURES, Measure, Quantity
from heinit_sim.experiment.results import Histogram, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.simulation import COSINE_QUANTITIES

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
    # row by row in the file, however memory holds them: the same numbers are the same bytes
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}


def read_arrays(path: Path, config: SweepConfig) -> dict[str, NDArray[Any]]:
    """The arrays of a `networks.npz`, packed and unpacked no larger than the config implies.

    Raises:
        ValueError: They are larger.
        Exception: Whatever `zipfile` and NumPy make of a file that holds no arrays.
    """
    layers = [condition.depth + 1 for condition in config.conditions]
    per_network = 8 * (len(MEASURES) + len(COSINE_QUANTITIES))
    per_histogram = 8 * 2**11 * len(COUNTED) * bool(config.histograms)
    largest = 2**20 + 2 * sum(layers) * (per_network * config.trials + per_histogram)
    with ZipFile(path) as archive:
        size = sum(max(member.file_size, member.compress_size) for member in archive.filelist)
    if size > largest:
        raise ValueError(f"{size} bytes of arrays, of its config at most {largest}")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], config: SweepConfig, *, complete: bool
) -> tuple[
    list[dict[Measure, FloatArray]],
    list[dict[Quantity, Histogram]],
    list[dict[Quantity, FloatArray]],
]:
    """The networks, histograms and cosines of each condition that `to_arrays` took apart.

    Args:
        arrays: Key -> array.
        config: The sweep.
        complete: Whether all that the config asks for must be there. Variances between inputs,
            which runs of earlier versions lack, are NaN then; else they are left out like others.

    Raises:
        KeyError: An array is missing.
        ValueError: One has another shape than it should.
    """

    def wanted(*keys: str) -> bool:
        return complete or all(key in arrays for key in keys)

    networks, histograms, angles = [], [], []
    for c in config.conditions:
        shape = (config.trials, c.depth + 1)
        if complete:
            between = (_key(c, q, f"log10_{s}") for q, s in MEASURES if s == BETWEEN_INPUTS)
            arrays = {key: np.full(shape, np.nan) for key in between} | dict(arrays)
        keys = {(q, s): _key(c, q, f"log10_{s}") for q, s in MEASURES}
        networks.append({m: _shaped(arrays[key], shape) for m, key in keys.items() if wanted(key)})
        histograms.append(_histograms(arrays, c, wanted) if config.histograms else {})
        taken = COSINE_QUANTITIES if config.cosine else ()
        names = {quantity: _key(c, quantity, "cosine") for quantity in taken}
        angles.append({q: _shaped(arrays[key], shape) for q, key in names.items() if wanted(key)})
    return networks, histograms, angles


def _shaped(array: NDArray[Any], shape: tuple[int, ...], kind: str = "float64") -> NDArray[Any]:
    if array.shape != shape or array.dtype != kind:
        raise ValueError(f"{array.dtype} of shape {array.shape}, should be {kind} of {shape}")
    return array


def _histograms(
    arrays: Mapping[str, NDArray[Any]], condition: Condition, wanted: Callable[..., bool]
) -> dict[Quantity, Histogram]:
    histograms: dict[Quantity, Histogram] = {}
    for quantity in COUNTED:
        keys = {part: _key(condition, quantity, f"histogram_{part}") for part in _PARTS}
        if wanted(*keys.values()):
            layers, n_edges = condition.depth + 1, arrays[keys["edges"]].size
            histograms[quantity] = Histogram(
                edges=_shaped(arrays[keys["edges"]], (n_edges,)),
                counts=_shaped(arrays[keys["counts"]], (layers, n_edges - 1), "int64"),
                **{
                    part: _shaped(arrays[keys[part]], (layers,), "int64")
                    for part in ("below", "above", "zero")
                },
            )
    return histograms


def _key(condition: Condition, quantity: str, name: str) -> str:
    return f"condition_{condition.index}.{quantity}.{name}"
