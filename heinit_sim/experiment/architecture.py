"""How the units of one layer are connected with those of the next, beside the activation."""

import math
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

Padding = Literal["circular", "zero"]
Readout = Literal["flatten", "mean"]
Norm = Literal["none", "before", "inside"]


class Convolution(NamedTuple):
    """Hidden layers are convolutions of stride 1: images that keep their size, channel by channel.

    Layers 0 … K−1 have one kernel for each pair of channels; the output layer is fully connected.
    """

    image: tuple[int, ...]
    """Positions along each of one or two dimensions."""
    kernel: int
    """k, positions that a kernel spans along each dimension; odd."""
    channels: tuple[int, ...]
    """c_0 … c_K."""
    padding: Padding = "circular"
    """Numbers beyond the edge: those at the opposite edge, or zeros."""
    readout: Readout = "flatten"
    """Inputs of the output layer: every position of every channel, or each channel's mean."""

    @property
    def positions(self) -> int:
        """Positions of one channel."""
        return math.prod(self.image)

    @property
    def taps(self) -> int:
        """Weights of one kernel: k, or k² in two dimensions."""
        return int(self.kernel ** len(self.image))


class Residual(NamedTuple):
    """Hidden layers 1 … K−1 are blocks: h_1 = f_0, h_{k+1} = h_k + s f_k, f_k = branch(h_k).

    A branch ends with weights, which makes f_k of mean zero whatever h_k: Ω a[h] of one layer,
    Ω″ a[Ω′ a[h]] of two. The output layer is f_K = Ω_K h_K.
    """

    scale: float = 1.0
    """s."""
    branch_layers: int = 1
    """Weight layers of a branch, 1 or 2."""
    norm: Norm = "none"
    """Layer normalisation: of h_k before the branch, or between the two layers inside it."""
    zero_last: bool = False
    """Whether the last weights of every branch are 0, so that each block begins as identity."""


def layer_fans(
    widths: tuple[int, ...], convolution: Convolution | None
) -> tuple[tuple[int, int], ...]:
    """(fan_in, fan_out) of the layers 0 … K: k² c_in and k² c_out of a convolution.

    Args:
        widths: D_0 … D_{K+1}, units of the layers: channels times positions of a convolution.
        convolution: What the hidden layers are, if not fully connected.

    Source: He et al. 2015, eq. 10 and 14.
    """
    if convolution is None:
        return tuple(pairwise(widths))
    taps, channels = convolution.taps, convolution.channels
    hidden = [(taps * c_in, taps * c_out) for c_in, c_out in pairwise(channels)]
    read = channels[-1] if convolution.readout == "mean" else widths[-2]
    return (*hidden, (read, widths[-1]))


def matrix_shapes(
    widths: tuple[int, ...], convolution: Convolution | None, residual: Residual | None
) -> tuple[tuple[int, ...], ...]:
    """Shapes of all weights in the order of the layers, one or two for each: `matrix_places`.

    (fan_out, fan_in) of a fully connected layer, (c_out, taps, c_in) of a convolution.
    """
    shapes: list[tuple[int, ...]] = [fans[::-1] for fans in layer_fans(widths, convolution)]
    if convolution is not None:
        for k, (c_in, c_out) in enumerate(pairwise(convolution.channels)):
            shapes[k] = (c_out, convolution.taps, c_in)
    places = matrix_places(len(shapes) - 1, residual)
    return tuple(shapes[k] for k, of_layer in enumerate(places) for _ in of_layer)


def matrix_places(depth: int, residual: Residual | None) -> tuple[tuple[int, ...], ...]:
    """Which of all weights belong to each of the layers 0 … K: (0,), (1,), … or (0,), (1, 2), …."""
    inner = residual.branch_layers if residual else 1
    counts = [inner if 0 < k < depth else 1 for k in range(depth + 1)]
    ends = accumulate(counts)
    return tuple(tuple(range(end - count, end)) for count, end in zip(counts, ends, strict=True))
