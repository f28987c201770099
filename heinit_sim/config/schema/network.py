"""The `network` section of a config: which options go together, and how its layers are joined."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.activation import Activation, ActivationField
from heinit_sim.config.schema.annotations import Section, relation
from heinit_sim.config.schema.steps import (
    DEFAULT_BLOCK,
    DEFAULT_ENDS,
    BlockField,
    HeadField,
    Stage,
    StemField,
    Step,
    default_steps,
)
from heinit_sim.experiment import activation_table
from heinit_sim.experiment.labels import flow_text, shortened

# Key of dense networks alone -> what to do about it in one of convolutions.
_OF_DENSE = {"width": "give channels", "input_dim": "give image and input_channels"}
_OF_CNN = ("image", "kernel", "channels", "input_channels", "padding", "readout")
_DEFAULTS: dict[str, Any] = {"input_channels": 1, "padding": "zero", "readout": "flatten"}
_NO_LONGER = (
    "no longer a key, must be left out; {scale: s} is now "
    "network.block: [activation, weights, {add: {scale: s}}]"
)


class Part(NamedTuple):
    """Layers that follow one another and are made of the same steps."""

    steps: list[Step]
    keys: tuple[str | int, ...]
    """Way to the steps from `network`."""
    repeat: int
    """How many layers."""
    stage: int = 0


def is_staged(block: list[Any] | None) -> bool:
    """Whether a block is given as stages."""
    return block is not None and isinstance(block[0], Stage)


class Network(Section, validate_default=True):
    """A network with K hidden layers, fully connected or convolutions, each a row of steps."""

    kind: fields.Kind = "dense"
    block: BlockField | None = None
    depth: fields.Depth | None = None
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
    stem: StemField | None = None
    head: HeadField | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        if isinstance(given, dict) and "residual" in given:
            raise relation(_NO_LONGER, "residual")
        return given

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

    @field_validator("depth")
    @classmethod
    def _check_given(cls, depth: int | None, info: ValidationInfo) -> int | None:
        if depth is None and "block" in info.data and not is_staged(info.data["block"]):
            raise PydanticKnownError("missing")
        return depth

    @model_validator(mode="after")
    def _check_depth(self) -> "Network":
        layers = sum(part.repeat for part in self.hidden_parts)
        if self.depth not in (None, layers):
            stem = " with the stem" if self.has_stem else ""
            text = f"not that of the stages ({self.depth}), must be {layers}{stem}, or left out"
            raise relation(text, "depth")
        if layers > fields.DEPTH.bounds["le"]:
            raise relation(f"too many layers ({layers}), must be {fields.DEPTH} in all", "block")
        return self

    @property
    def has_stages(self) -> bool:
        """Whether blocks differ by stage."""
        return is_staged(self.block)

    @property
    def stages(self) -> list[Stage]:
        """The stages; of blocks that are all alike, one without its number of blocks."""
        if self.block is not None and is_staged(self.block):
            return self.block
        steps = default_steps(*DEFAULT_BLOCK) if self.block is None else self.block
        return [Stage.model_construct(block=steps)]

    @property
    def head_steps(self) -> list[Step]:
        """The steps of layer K."""
        return default_steps(*DEFAULT_ENDS) if self.head is None else self.head

    @property
    def has_stem(self) -> bool:
        """Whether layer 0 is no block."""
        steps = (step for stage in self.stages for step in stage.block)
        return self.stem is not None or any(step.word == "add" for step in steps)

    @property
    def hidden_parts(self) -> Iterator[Part]:
        """The layers 0 … K − 1: the stem, if there is one, and the blocks."""
        if self.has_stem:
            steps = default_steps(*DEFAULT_ENDS) if self.stem is None else self.stem
            yield Part(steps, ("stem",), 1)
        for n, stage in enumerate(self.stages):
            if self.has_stages:
                yield Part(stage.block, ("block", n, "block"), stage.repeat, n)
            else:
                assert self.depth is not None  # `_check_given` asks
                yield Part(stage.block, ("block",), self.depth - self.has_stem)

    @property
    def n_hidden(self) -> int:
        """K, the number of hidden layers."""
        return sum(part.repeat for part in self.hidden_parts)

    @property
    def input_units(self) -> int:
        """D_0, components of one input."""
        given: Any = self  # the model has all that is of its kind
        if self.kind == "dense":
            return int(given.input_dim)
        return int(math.prod(given.image) * given.input_channels)
