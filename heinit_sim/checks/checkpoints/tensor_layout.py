"""Which axis of a weight tensor is the input: what names, biases and metadata tell of it."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from heinit_sim.experiment.tensors import Tensor

Layout = Literal["out_in", "in_out"]
"""(out, in) and OIHW, as PyTorch has them, or (in, out) and HWIO, as Keras and Flax do."""
# What metadata name as `format` -> how its framework lays weights out.
_FRAMEWORKS: Mapping[str, Layout] = {
    "pt": "out_in",
    "mlx": "out_in",
    "flax": "in_out",
    "jax": "in_out",
    "tf": "in_out",
    "keras": "in_out",
}
# How a weight's name ends -> layout of the frameworks that call it so, and how its bias's ends.
_WORDS: Mapping[str, tuple[Layout | None, str]] = {
    "weight": ("out_in", "bias"),
    "kernel": ("in_out", "bias"),
    "W": (None, "b"),
    "w": (None, "b"),
}
_END = re.compile(rf"({'|'.join(_WORDS)})(\d*(?::\d+)?)$")
_LARGEST_KERNEL = 11


class Place(NamedTuple):
    """How a weight tensor lies in its file."""

    layout: Layout
    reason: str
    """The fact that told the layout, in words."""
    bias: str | None
    """Name of the bias beside it."""


class Fans(NamedTuple):
    """The shape of weights, whatever their layout."""

    n_in: int
    """Units or channels that they take."""
    n_out: int
    kernel: tuple[int, ...]
    """Positions along each dimension; empty of a matrix."""

    @property
    def taps(self) -> int:
        """k² of a convolution."""
        return math.prod(self.kernel)

    @property
    def fan_in(self) -> int:
        """k² c_in."""
        return self.taps * self.n_in

    @property
    def fan_out(self) -> int:
        """k² c_out."""
        return self.taps * self.n_out


def fans(shape: Sequence[int], layout: Layout) -> Fans:
    """The fans of weights of that shape, of two dimensions or more."""
    if layout == "out_in":
        return Fans(shape[1], shape[0], tuple(shape[2:]))
    return Fans(shape[-2], shape[-1], tuple(shape[:-2]))


def as_matrix(shape: Sequence[int], layout: Layout) -> tuple[int, int]:
    """Rows and columns of the matrix whose fewer rows or columns a framework makes orthogonal."""
    n = math.prod(shape)
    rows = shape[0] if layout == "out_in" else math.prod(shape[:-1])
    return rows, n // rows if rows else 0


def places(
    tensors: Sequence[Tensor], framework: str | None, layout: Layout | None = None
) -> dict[str, Place]:
    """Name -> how each tensor of two dimensions or more lies in its file.

    Of a matrix the length of its bias decides first, where it is that of one axis alone: files may
    mix both, as GPT-2's of Hugging Face does. Then the metadata, the name, the axes of a kernel,
    and what most of the matrices of the file need to follow one another.

    Args:
        tensors: Those of the file, in its order.
        framework: What its metadata name as `format`.
        layout: That of all of them, if it is known.
    """
    weights = [tensor for tensor in tensors if len(tensor.shape) > 1]
    biases = _biases(tensors)
    chained = _layout_of_chain(weights)
    found = dict[str, Place]()
    for tensor in weights:
        bias = biases.get(tensor.name)
        told = (layout, "--layout") if layout else _told(tensor, bias, framework)
        if told is None:
            told = (chained, "widths follow one another") if chained else ("out_in", "a guess")
        found[tensor.name] = Place(*told, bias.name if bias else None)
    return found


def _biases(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Name of a weight -> the bias beside it, by its name, or the next of NumPy's `arr_N`."""
    vectors = {tensor.name: tensor for tensor in tensors if len(tensor.shape) == 1}
    found = {}
    for tensor, following in zip(tensors, [*tensors[1:], None], strict=True):
        if len(tensor.shape) < 2:
            continue
        if end := _END.search(tensor.name):
            name = tensor.name[: end.start()] + _WORDS[end[1]][1] + end[2]
        else:
            unnamed = following and re.fullmatch(r"arr_\d+", tensor.name)
            name = following.name if following and unnamed else ""
        if name in vectors:
            found[tensor.name] = vectors[name]
    return found


def _told(tensor: Tensor, bias: Tensor | None, framework: str | None) -> tuple[Layout, str] | None:
    """The layout that the file tells of a tensor alone, and what tells it."""
    shape, end = tensor.shape, _END.search(tensor.name)
    by_bias = by_name = by_axes = None
    if bias is not None and (bias.size == shape[0]) != (bias.size == shape[-1]):
        by_bias = _layout(bias.size == shape[0]), f"length of {bias.name}"
    if framework is not None and framework in _FRAMEWORKS:
        by_name = _FRAMEWORKS[framework], f"metadata: format {framework}"
    elif end and (named := _WORDS[end[1]][0]):
        by_name = named, f"named {end[1]}"
    if len(shape) == 2:
        return by_bias or by_name
    outputs_first, outputs_last = (
        max(kernel) <= _LARGEST_KERNEL < min(channels)
        for kernel, channels in ((shape[2:], shape[:2]), (shape[:-2], shape[-2:]))
    )
    if outputs_first != outputs_last:
        by_axes = _layout(outputs_first), "axes of the kernel"
    return by_name or by_axes or by_bias  # the bias of a transposed convolution is of axis 1


def _layout(outputs_first: bool) -> Layout:
    return "out_in" if outputs_first else "in_out"


def _layout_of_chain(weights: Sequence[Tensor]) -> Layout | None:
    """The layout in which more of the matrices that follow one another fit, if one has more."""
    shapes = [tensor.shape for tensor in weights if len(tensor.shape) == 2]
    pairs = [*pairwise(shapes)]
    outputs_first = sum(one[0] == other[1] for one, other in pairs)
    outputs_last = sum(one[1] == other[0] for one, other in pairs)
    return None if outputs_first == outputs_last else _layout(outputs_first > outputs_last)
