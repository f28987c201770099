"""Names, shapes and types of a checkpoint's tensors, and a way to their numbers, in pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from heinit_sim.numerics import FloatArray

TensorKind = Literal["real", "integer", "unsupported"]

EPSILON: dict[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float8_e4m3": 2.0**-3,
    "float8_e5m2": 2.0**-2,
}
"""Type of real numbers -> from 1 to the next larger number."""


class Tensor(NamedTuple):
    """A tensor of a checkpoint, whose numbers are still in the file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """A key of `EPSILON`, or another word for what are no real numbers."""
    kind: TensorKind
    pieces: Callable[[int], Iterator[FloatArray]]
    """n -> its numbers in the order of rows, in pieces of a multiple of n numbers."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Checkpoint(NamedTuple):
    """The tensors of a file, while it is open."""

    framework: str | None
    """The `format` that its metadata name, if anything: "pt", "flax", "tf", …"""
    tensors: tuple[Tensor, ...]
    """In the order of an `.npz` file; of safetensors, which have none, by their names."""
