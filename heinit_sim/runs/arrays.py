"""A result as the arrays of `networks.npz`, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import BETWEEN_INPUTS, COUNTED, Quantity
from heinit_sim.experiment.records import output_sizes
from heinit_sim.experiment.results import Histogram, Measurements, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray

K = TypeVar("K")

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
        for (quantity, ratio), numbers in outcome.ratios.items():
            arrays[_key(outcome.condition, quantity, ratio)] = numbers
        for name, numbers in outcome.outputs.items():
            arrays[_key(outcome.condition, name)] = numbers
    # row by row in the file, however memory holds them: the same numbers are the same bytes
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}


def read_arrays(path: Path, config: SweepConfig) -> dict[str, NDArray[Any]]:
    """The arrays of a `networks.npz`, packed and unpacked no larger than the config implies.

    Raises:
        ValueError: They are larger.
        Exception: Whatever `zipfile` and NumPy make of a file that holds no arrays.
    """
    layers = [condition.depth + 1 for condition in config.conditions]
    record = config.record
    per_layer = 8 * (len(record.measures) + len(record.ratios))
    outputs = (output_sizes(record, condition.widths) for condition in config.conditions)
    per_network = sum(layers) * per_layer + 8 * sum(sum(sizes.values()) for sizes in outputs)
    per_histogram = 8 * 2**11 * len(COUNTED) * bool(record.histograms)
    largest = 2**20 + 2 * (per_network * config.trials + sum(layers) * per_histogram)
    with ZipFile(path) as archive:
        size = sum(max(member.file_size, member.compress_size) for member in archive.filelist)
    if size > largest:
        raise ValueError(f"{size} bytes of arrays, of its config at most {largest}")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], config: SweepConfig, *, complete: bool
) -> list[Measurements]:
    """The numbers of each condition that `to_arrays` took apart.

    Args:
        arrays: Key -> array.
        config: The sweep.
        complete: Whether all that the config asks for must be there. Variances between inputs and
            losses, which runs of earlier versions lack, are NaN then; else they are left out like
            others.

    Raises:
        KeyError: An array is missing.
        ValueError: One has another shape than it should.
    """

    def wanted(*keys: str) -> bool:
        return complete or all(key in arrays for key in keys)

    def by_key(keys: Mapping[K, tuple[str, tuple[int, ...]]]) -> dict[K, FloatArray]:
        """The arrays of a mapping: key -> name and shape."""
        return {
            key: _shaped(arrays[name], shape) for key, (name, shape) in keys.items() if wanted(name)
        }

    measurements, measures = [], config.record.measures
    for c in config.conditions:
        shape = (config.trials, c.depth + 1)
        sizes = output_sizes(config.record, c.widths)
        outputs = {name: (_key(c, name), (config.trials, n)) for name, n in sizes.items()}
        if complete:
            younger = {_key(c, q, f"log10_{s}"): shape for q, s in measures if s == BETWEEN_INPUTS}
            younger |= [outputs["log10_loss"]]
            arrays = {key: np.full(size, np.nan) for key, size in younger.items()} | dict(arrays)
        measurements.append(
            Measurements(
                networks=by_key({m: (_key(c, m[0], f"log10_{m[1]}"), shape) for m in measures}),
                histograms=_histograms(arrays, c, wanted) if config.record.histograms else {},
                ratios=by_key({m: (_key(c, *m), shape) for m in config.record.ratios}),
                outputs=by_key(outputs),
            )
        )
    return measurements


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


def _key(condition: Condition, *names: str) -> str:
    return ".".join((f"condition_{condition.index}", *names))
