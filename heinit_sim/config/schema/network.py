"""The `network` section of a config: which options go together, and how its layers are joined."""

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import ValidationInfo, field_validator, model_serializer, model_validator
from pydantic_core import PydanticKnownError

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import Section, Setting, choice, located, relation
from heinit_sim.experiment import activation_table, architecture
from heinit_sim.experiment.labels import flow_text, shortened

Slopes = float | list[float]
Units = int | list[int]


class Activation(Section, validate_default=True):
    """An activation function with its options."""

    name: fields.Function
    negative_slope: fields.Slope | None = None
    frequency: fields.Frequency | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return value if isinstance(value, dict | Activation) else {"name": value}

    @field_validator("negative_slope")
    @classmethod
    def _check_slope(cls, slope: Slopes | None, info: ValidationInfo) -> Slopes | None:
        name = info.data.get("name", "prelu")
        if slope is None:
            return activation_table.DEFAULT_SLOPES.get(name)
        if name not in activation_table.DEFAULT_SLOPES:
            raise relation(f"{name} has no such option ({slope}), must be left out")
        if isinstance(slope, list) and name != "prelu":
            raise relation(f"{name} has one slope for all layers, must be a number; or take prelu")
        for at, number in located(slope):
            if 0 < abs(number) < fields.SMALLEST_SLOPE:
                text = f"too small ({number}), must be 0 or at least {fields.SMALLEST_SLOPE}"
                raise relation(f"{text} in size", *at)
        return slope

    @field_validator("frequency")
    @classmethod
    def _check_frequency(cls, frequency: float | None, info: ValidationInfo) -> float | None:
        name = info.data.get("name", "sin")
        if frequency is not None and name not in activation_table.DEFAULT_FREQUENCIES:
            raise relation(f"{name} has no such option ({frequency}), must be left out")
        return frequency

    @property
    def options(self) -> dict[str, float | tuple[float, ...]]:
        """Options of the function, besides its name."""
        if self.frequency is not None:
            return {"frequency": self.frequency}
        slope = self.negative_slope
        if slope is None:
            return {}
        return {"negative_slope": tuple(slope) if isinstance(slope, list) else slope}

    @model_serializer
    def _plain(self) -> str | dict[str, object]:
        given = {"negative_slope": self.negative_slope, "frequency": self.frequency}
        options = {key: value for key, value in given.items() if value is not None}
        return {"name": self.name, **options} if options else self.name


_NAMES = choice(activation_table.ActivationName)
_FORMS = f"{_NAMES}, or a mapping like {{name: leaky_relu, negative_slope: 0.2}}"
ActivationField = Annotated[Activation, Setting("Activation of the hidden layers", _FORMS)]

# Key of dense networks alone -> what to do about it in one of convolutions.
_OF_DENSE = {"width": "give channels", "input_dim": "give image and input_channels"}
_OF_CNN = ("image", "kernel", "channels", "input_channels", "padding", "readout")
_DEFAULTS: dict[str, Any] = {"input_channels": 1, "padding": "zero", "readout": "flatten"}
_BLOCK = architecture.Residual()


class Residual(Section):
    """Blocks: hidden layers that add to what enters them."""

    scale: fields.BlockScale = _BLOCK.scale
    branch_layers: fields.BranchLayers = _BLOCK.branch_layers
    norm: fields.Norm = _BLOCK.norm
    zero_last: fields.ZeroLast = _BLOCK.zero_last

    @field_validator("norm")
    @classmethod
    def _check_inside(cls, norm: str, info: ValidationInfo) -> str:
        if norm == "inside" and info.data.get("branch_layers") == 1:
            text = "one layer has no inside (inside), must be none or before"
            raise relation(f"{text}; or give branch_layers: 2")
        return norm

    @model_serializer(mode="wrap")
    def _with_scale(self, dump: Callable[[Any], dict[str, object]]) -> dict[str, object]:
        """Keep the scale where only what is given is written: a block is never without."""
        return {"scale": self.scale, **dump(self)}


_BLOCKS = f"null or a mapping with the keys {', '.join(Residual.model_fields)}"
ResidualField = Annotated[
    Residual | None, Setting("What hidden layers add to what enters them", _BLOCKS)
]


class Network(Section, validate_default=True):
    """A network with K hidden layers, fully connected or convolutions, maybe in blocks."""

    kind: fields.Kind = "dense"
    depth: fields.Depth
    width: fields.Width | None = None
    input_dim: fields.InputDim | None = None
    image: fields.Image | None = None
    kernel: fields.Kernel | None = None
    channels: fields.Channels | None = None
    input_channels: fields.InputChannels | None = None
    padding: fields.Padding | None = None
    readout: fields.Readout | None = None
    output_dim: fields.OutputDim = 1
    activation: ActivationField = Activation(name=activation_table.DEFAULT_ACTIVATION)
    residual: ResidualField = None

    @field_validator(*_OF_DENSE, *_OF_CNN)
    @classmethod
    def _check_kind(cls, value: object, info: ValidationInfo) -> object:
        kind, key = info.data.get("kind"), str(info.field_name)
        if kind is None:  # which is wrong itself
            return value
        if (key in _OF_CNN) != (kind == "cnn"):
            if value is None:
                return None
            given, way = shortened(flow_text(value), 40), _OF_DENSE.get(key, "it is of kind: cnn")
            raise relation(f"not for kind: {kind} ({given}), must be left out; {way}")
        if value is None and key not in _DEFAULTS:
            raise PydanticKnownError("missing")
        return _DEFAULTS[key] if value is None else value

    @field_validator("width", "channels", "activation")
    @classmethod
    def _check_length(cls, value: Any, info: ValidationInfo) -> Any:
        depth, slopes = info.data.get("depth"), isinstance(value, Activation)
        values = value.negative_slope if slopes else value
        if isinstance(values, list) and depth is not None and len(values) != depth:
            text = f"wrong length ({len(values)}), must be one for each of the {depth} layers"
            raise relation(text, *(["negative_slope"] if slopes else []))
        return value

    @field_validator("kernel")
    @classmethod
    def _check_kernel(cls, kernel: int | None, info: ValidationInfo) -> int | None:
        image = info.data.get("image")
        if kernel is not None and kernel % 2 == 0:
            raise relation(f"not odd ({kernel}), must be {fields.KERNEL}")
        if kernel is not None and image is not None and kernel > 2 * min(image) - 1:
            most = f"at most {2 * min(image) - 1}, twice the image's least size less 1"
            raise relation(f"too large ({kernel}), must be {most}")
        return kernel

    @field_validator("channels", "input_channels")
    @classmethod
    def _check_units(cls, channels: Units | None, info: ValidationInfo) -> Units | None:
        image = info.data.get("image")
        if channels is None or image is None:
            return channels
        most, size = fields.MAX_UNITS // math.prod(image), "×".join(map(str, image))
        for at, count in located(channels):
            if count > most:
                text = f"too many units ({count} channels), must be at most {most} channels"
                raise relation(f"{text} of {size} positions", *at)
        return channels

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


def convolution_of(network: Network) -> architecture.Convolution | None:
    """Convolution of the hidden layers; None where they are fully connected."""
    if network.kind == "dense":
        return None
    given: Any = network  # the model has all that is of its kind
    image = tuple(given.image)
    channels = (given.input_channels, *_hidden(given.channels, given.depth))
    return architecture.Convolution(image, given.kernel, channels, given.padding, given.readout)


def widths_of(network: Network) -> tuple[int, ...]:
    """D_0 … D_{K+1}: units of the input, the hidden layers and the output."""
    convolution = convolution_of(network)
    if convolution is not None:
        units = (convolution.positions * channels for channels in convolution.channels)
        return (*units, network.output_dim)
    given: Any = network
    return (given.input_dim, *_hidden(given.width, given.depth), given.output_dim)


def residual_of(network: Network) -> architecture.Residual | None:
    """How blocks add to what enters them, if they do; s = 1/√L of L = K − 1 blocks by its word."""
    given = network.residual
    if given is None:
        return None
    scale = 1 / math.sqrt(network.depth - 1) if isinstance(given.scale, str) else given.scale
    return architecture.Residual(scale, given.branch_layers, given.norm, given.zero_last)


def _hidden(units: int | list[int], depth: int) -> Iterable[int]:
    return units if isinstance(units, list) else [units] * depth
