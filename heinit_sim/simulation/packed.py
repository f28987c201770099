"""The results of a task as bytes, and back: the numbers alone, for the task says how many."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import COUNTED, MEASURES
from heinit_sim.simulation.cosines import COSINE_QUANTITIES
from heinit_sim.simulation.histograms import GRIDS
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.tasks import Simulated, Task

_FLOATS, _COUNTS = np.dtype("<f8"), np.dtype("<i8")
_Layout = tuple[tuple[Any, ...], np.dtype[Any], tuple[int, ...]]
"""Keys of a mapping; type and shape of the array under each of them."""


def packed_size(task: Task) -> int:
    """How many bytes `pack` makes of the task, when it is done."""
    parts = [part for layouts in _layouts(task) for part in layouts]
    return sum(len(keys) * kind.itemsize * math.prod(shape) for keys, kind, shape in parts)


def pack(done: Simulated) -> bytes:
    """All results of a task, little-endian, one array after another."""
    arrays: list[NDArray[Any]] = []
    for result, layouts in zip(done.results, _layouts(done.task), strict=True):
        mappings: tuple[Mapping[Any, NDArray[Any]], ...] = result
        for found, (keys, kind, _) in zip(mappings, layouts, strict=True):
            arrays += [np.ascontiguousarray(found[key], kind) for key in keys]
    return b"".join(array.data for array in arrays)


def unpack(task: Task, packed: bytes | memoryview) -> Simulated:
    """The results that `pack` made bytes of.

    Raises:
        ValueError: It was another task: the bytes are more or fewer.
    """
    if len(packed) != packed_size(task):
        raise ValueError(f"{len(packed)} bytes, must be {packed_size(task)}")
    start, results = 0, []
    for layouts in _layouts(task):
        parts = []
        for keys, kind, shape in layouts:
            arrays = {}
            for key in keys:
                array = np.frombuffer(packed, kind, math.prod(shape), start).reshape(shape)
                arrays[key] = array.astype(kind.newbyteorder("="))  # a copy: `packed` may go
                start += array.nbytes
            parts.append(arrays)
        results.append(PassResult(*parts))
    return Simulated(task, tuple(results))


def _layouts(task: Task) -> Iterator[tuple[_Layout, _Layout, _Layout]]:
    """How the networks, tallies and cosines of each pass lie, in this order."""
    for network_pass in task.passes:
        n_layers = len(network_pass.layers)
        networks = len(task.trials), n_layers
        n_bins = GRIDS[network_pass.histograms].n_bins if network_pass.histograms else 0
        counts = n_layers, n_bins + 3  # zeros, below and above
        yield (
            (MEASURES, _FLOATS, networks),
            (COUNTED if network_pass.histograms else (), _COUNTS, counts),
            (COSINE_QUANTITIES if network_pass.cosine else (), _FLOATS, networks),
        )
