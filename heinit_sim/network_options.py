"""The `network` section of a config: which options go together, and how its layers are joined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticKnownError

from heinit_sim import kinds, network_kinds, topology
from heinit_sim.sections import Activation, ActivationField, Section, relation
from heinit_sim.texts import flow_text, shortened

# Key of one kind of network -> what to do about it in one of another kind.
_OF_DENSE = {"width": "give channels", "input_dim": "give image and input_channels"}
_OF_CNN = dict.fromkeys(
    ("image", "kernel", "channels", "input_channels", "padding", "readout"),
    "it is of kind: cnn",
)
_OWN = {"dense": _OF_DENSE, "cnn": _OF_CNN}
_OTHER = _OF_DENSE | _OF_CNN
_DEFAULTS: dict[str, Any] = {"input_channels": 1, "padding": "zero", "readout": "flatten"}
_BLOCK = topology.Residual()
_LONGEST = 40
"""Characters of a value in messages."""


class Residual(Section):
    """Blocks: hidden layers that add to what enters them."""

    scale: network_kinds.BlockScale = _BLOCK.scale
    branch_layers: network_kinds.BranchLayers = _BLOCK.branch_layers
    norm: network_kinds.Norm = _BLOCK.norm
    zero_last: network_kinds.ZeroLast = _BLOCK.zero_last

    @field_validator("norm")
    @classmethod
    def _check_inside(cls, norm: str, info: ValidationInfo) -> str:
        if norm == "inside" and info.data.get("branch_layers") == 1:
            text = "one layer has no inside (inside), must be none or before"
            raise relation(f"{text}; or give branch_layers: 2")
        return norm

    @model_serializer(mode="wrap")
    def _with_scale(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Keep the scale where only what is given is written: a block is never without."""
        return {"scale": self.scale, **handler(self)}


RESIDUAL = f"null or a mapping with the keys {', '.join(Residual.model_fields)}"
ResidualField = Annotated[
    Residual | None, kinds.described("What hidden layers add to what enters them", RESIDUAL)
]


class Network(Section):
    """A network with K hidden layers, fully connected or convolutions, maybe in blocks."""

    kind: network_kinds.HiddenKind = network_kinds.DEFAULT_KIND
    depth: kinds.Depth
    width: kinds.Width | None = kinds.or_null(kinds.Width, validate_default=True)
    input_dim: kinds.InputDim | None = kinds.or_null(kinds.InputDim, validate_default=True)
    image: network_kinds.Image | None = kinds.or_null(network_kinds.Image, validate_default=True)
    kernel: network_kinds.Kernel | None = kinds.or_null(network_kinds.Kernel, validate_default=True)
    channels: network_kinds.Channels | None = kinds.or_null(
        network_kinds.Channels, validate_default=True
    )
    input_channels: network_kinds.InputChannels | None = kinds.or_null(
        network_kinds.InputChannels, validate_default=True
    )
    padding: network_kinds.Padding | None = kinds.or_null(
        network_kinds.Padding, validate_default=True
    )
    readout: network_kinds.Readout | None = kinds.or_null(
        network_kinds.Readout, validate_default=True
    )
    output_dim: kinds.OutputDim = 1
    activation: ActivationField = Activation(name=kinds.DEFAULT_ACTIVATION)
    residual: ResidualField = None

    @field_validator(*_OTHER)
    @classmethod
    def _check_kind(cls, value: object, info: ValidationInfo) -> object:
        kind, key = info.data.get("kind"), str(info.field_name)
        if kind is None:  # which is wrong itself
            return value
        if key not in _OWN[kind]:
            if value is not None:
                given = shortened(flow_text(value), _LONGEST)
                text = f"not for kind: {kind} ({given}), must be left out; {_OTHER[key]}"
                raise relation(text)
            return None
        if value is None and key not in _DEFAULTS:
            raise PydanticKnownError("missing")
        return _DEFAULTS[key] if value is None else value

    @field_validator("width", "channels")
    @classmethod
    def _check_length(
        cls, units: int | list[int] | None, info: ValidationInfo
    ) -> int | list[int] | None:
        depth = info.data.get("depth")
        if isinstance(units, list) and depth is not None and len(units) != depth:
            raise relation(
                f"wrong length ({len(units)}), must be one for each of the {depth} layers"
            )
        return units

    @field_validator("kernel")
    @classmethod
    def _check_kernel(cls, kernel: int | None, info: ValidationInfo) -> int | None:
        image = info.data.get("image")
        if kernel is not None and kernel % 2 == 0:
            raise relation(f"not odd ({kernel}), must be {network_kinds.KERNEL}")
        if kernel is not None and image is not None and kernel > 2 * min(image) - 1:
            most = f"at most {2 * min(image) - 1}, twice the image's least size less 1"
            raise relation(f"too large ({kernel}), must be {most}")
        return kernel

    @field_validator("channels", "input_channels")
    @classmethod
    def _check_units(
        cls, channels: int | list[int] | None, info: ValidationInfo
    ) -> int | list[int] | None:
        image = info.data.get("image")
        if channels is None or image is None:
            return channels
        most = network_kinds.MAX_UNITS // math.prod(image)
        listed = isinstance(channels, list)
        for place, each in enumerate(channels if isinstance(channels, list) else [channels]):
            if each > most:
                text = f"too many units ({each} channels), must be at most {most} channels"
                size = "×".join(map(str, image))
                raise relation(f"{text} of {size} positions", *([place] if listed else []))
        return channels

    @field_validator("activation")
    @classmethod
    def _check_slopes(cls, activation: Activation, info: ValidationInfo) -> Activation:
        slopes, depth = activation.negative_slope, info.data.get("depth")
        if isinstance(slopes, list) and depth is not None and len(slopes) != depth:
            text = f"wrong length ({len(slopes)}), must be one for each of the {depth} layers"
            raise relation(text, "negative_slope")
        return activation

    @field_validator("residual")
    @classmethod
    def _check_blocks(cls, residual: Residual | None, info: ValidationInfo) -> Residual | None:
        if residual is None:
            return None
        given = info.data
        if given.get("depth") == 1:
            raise relation("one hidden layer has no block, must be null; or give depth: 2 or more")
        for key in ("width", "channels"):
            units = given.get(key)
            if isinstance(units, list) and len(set(units)) > 1:
                text = "what a block adds is as wide as what enters it, must be null"
                raise relation(f"{text}; or give one {key} for all layers")
        if "activation" in given and isinstance(given["activation"].negative_slope, list):
            text = "its blocks have one slope, must be null; or give negative_slope as a number"
            raise relation(text)
        return residual

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the default kind out: the hash of a config stays what it was without the key."""
        default = ("kind", network_kinds.DEFAULT_KIND)
        return {k: v for k, v in dump(self).items() if (k, v) != default}


def convolution_of(network: Network) -> topology.Convolution | None:
    """What the hidden layers are, if not fully connected."""
    if network.kind == "dense":
        return None
    given: Any = network  # the model has all that is of its kind
    return topology.Convolution(
        image=tuple(given.image),
        kernel=given.kernel,
        channels=(given.input_channels, *_hidden(given.channels, given.depth)),
        padding=given.padding,
        readout=given.readout,
    )


def widths_of(network: Network) -> tuple[int, ...]:
    """D_0 … D_{K+1}: units of the input, the hidden layers and the output."""
    convolution = convolution_of(network)
    if convolution is not None:
        units = (convolution.positions * channels for channels in convolution.channels)
        return (*units, network.output_dim)
    given: Any = network  # the model has all that is of its kind
    return (given.input_dim, *_hidden(given.width, given.depth), given.output_dim)


def residual_of(network: Network) -> topology.Residual | None:
    """How blocks add to what enters them, if they do; s = 1/√L of L = K − 1 blocks by its word."""
    given = network.residual
    if given is None:
        return None
    scale = 1 / math.sqrt(network.depth - 1) if isinstance(given.scale, str) else given.scale
    return topology.Residual(scale, given.branch_layers, given.norm, given.zero_last)


def _hidden(units: int | list[int], depth: int) -> Iterable[int]:
    return units if isinstance(units, list) else [units] * depth
