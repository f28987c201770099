"""The results of a task as bytes, and back: the numbers alone, for the task says how many."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import COUNTED
from heinit_sim.experiment.records import output_sizes
from heinit_sim.simulation.histograms import GRIDS
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.tasks import Simulated, Task

_FLOATS, _COUNTS = np.dtype("<f8"), np.dtype("<i8")
_Layout = Mapping[Any, tuple[np.dtype[Any], tuple[int, ...]]]
"""Key of a mapping -> type and shape of the array under it."""


def packed_size(task: Task) -> int:
    """How many bytes `pack` makes of the task, when it is done."""
    arrays = (array for layouts in _layouts(task) for part in layouts for array in part.values())
    return sum(kind.itemsize * math.prod(shape) for kind, shape in arrays)


def pack(done: Simulated) -> bytes:
    """All results of a task, little-endian, one array after another."""
    arrays: list[NDArray[Any]] = []
    for result, layouts in zip(done.results, _layouts(done.task), strict=True):
        mappings: tuple[Mapping[Any, NDArray[Any]], ...] = result
        for found, layout in zip(mappings, layouts, strict=True):
            arrays += [np.ascontiguousarray(found[key], kind) for key, (kind, _) in layout.items()]
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
        for layout in layouts:
            arrays = {}
            for key, (kind, shape) in layout.items():
                array = np.frombuffer(packed, kind, math.prod(shape), start).reshape(shape)
                arrays[key] = array.astype(kind.newbyteorder("="))  # a copy: `packed` may go
                start += array.nbytes
            parts.append(arrays)
        results.append(PassResult(*parts))
    return Simulated(task, tuple(results))


def _layouts(task: Task) -> Iterator[tuple[_Layout, ...]]:
    """How the parts of each pass's result lie, in the order of `PassResult`."""
    for network_pass in task.passes:
        record, n_layers = network_pass.record, len(network_pass.layers)
        n_networks, sizes = len(task.trials), output_sizes(record, network_pass.widths)
        layers = _FLOATS, (n_networks, n_layers)
        n_bins = GRIDS[record.histograms].n_bins if record.histograms else 0
        counts = _COUNTS, (n_layers, n_bins + 3)  # zeros, below and above
        yield (
            dict.fromkeys(record.measures, layers),
            dict.fromkeys(COUNTED if record.histograms else (), counts),
            dict.fromkeys(record.ratios, layers),
            {name: (_FLOATS, (n_networks, size)) for name, size in sizes.items()},
        )
