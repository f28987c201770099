"""The kinds of value that say how layers are connected: their limits, and messages' words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from heinit_sim import topology
from heinit_sim.kinds import Units, choice, described, integer

NetworkKind = Literal["dense", "cnn"]
DEFAULT_KIND: NetworkKind = "dense"
ScaleWord = Literal["1/sqrt(depth)"]
"""s = 1/√L of L = K − 1 blocks."""
MAX_UNITS = 2**24
"""Of a layer of convolutions: an image of 4096 × 4096."""

IMAGE = "a list of one or two integers from 1 to 4096, [length] or [height, width]"
KERNEL = "an odd integer from 1 to 8191"
CHANNELS = "an integer from 1 to 65536, or a list of one for each hidden layer"
BLOCK_SCALE = "a number from 1e-6 to 1000, or 1/sqrt(depth)"

HiddenKind = Annotated[
    NetworkKind, choice("What hidden layers are, fully connected or convolutions", NetworkKind)
]
Image = Annotated[
    list[Annotated[int, Field(ge=1, le=4096)]],
    described("Positions along each dimension", IMAGE, min_length=1, max_length=2),
]
Kernel = Annotated[int, described("Positions that a kernel spans, k", KERNEL, ge=1, le=8191)]
Channels = Annotated[
    Annotated[Units, Tag("<one>")] | Annotated[list[Units], Tag("<list>")],
    described("Channels of every hidden layer", CHANNELS),
    Discriminator(lambda channels: "<list>" if isinstance(channels, list) else "<one>"),
]
InputChannels = Annotated[int, integer("Channels of the image, 1", 1, 65_536)]
Padding = Annotated[topology.Padding, choice("What is beyond the edge, zero", topology.Padding)]
Readout = Annotated[
    topology.Readout, choice("What the output layer sees, flatten", topology.Readout)
]


def _is_word(scale: object) -> bool:
    return isinstance(scale, str) and ("/" in scale or scale[:1].isalpha())


BlockScale = Annotated[
    Annotated[float, Field(ge=1e-6, le=1000), Tag("<one>")] | Annotated[ScaleWord, Tag("<word>")],
    described("Factor of what a block adds, s", BLOCK_SCALE),
    Discriminator(lambda scale: "<word>" if _is_word(scale) else "<one>"),
]
BranchLayers = Annotated[int, integer("Weight layers of a block", 1, 2)]
Norm = Annotated[topology.Norm, choice("Where a block has layer normalisation", topology.Norm)]
ZeroLast = Annotated[
    bool, described("Whether the last weights of every block are 0", "true or false")
]
