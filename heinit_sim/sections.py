"""The sections of a config that describe one network, its weights, inputs and loss, as models."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from heinit_sim import kinds


def relation(text: str, *at: str | int) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


class Section(BaseModel):
    """What all parts of a config have in common: typed strictly, and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Activation(Section):
    """An activation function with its options."""

    name: Annotated[kinds.ActivationName, kinds.choice("The function", kinds.ActivationName)]
    negative_slope: kinds.Slope | None = kinds.or_null(kinds.Slope, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return value if isinstance(value, dict | Activation) else {"name": value}

    @field_validator("negative_slope")
    @classmethod
    def _check_slope(cls, slope: float | None, info: ValidationInfo) -> float | None:
        name = info.data.get("name", "leaky_relu")
        if slope is not None and name != "leaky_relu":
            raise relation(f"{name} has no such option ({slope}), must be left out")
        if slope and abs(slope) < kinds.SMALLEST_SLOPE:
            raise relation(
                f"too small ({slope}), must be 0 or at least {kinds.SMALLEST_SLOPE} in size"
            )
        return kinds.LEAKY_SLOPE if slope is None and name == "leaky_relu" else slope

    @property
    def options(self) -> dict[str, float]:
        """What the function takes besides its name."""
        return {} if self.negative_slope is None else {"negative_slope": self.negative_slope}

    @model_serializer
    def _plain(self) -> str | dict[str, object]:
        return {"name": self.name, **self.options} if self.options else self.name


ActivationField = Annotated[
    Activation, kinds.described("Activation of the hidden layers", kinds.ACTIVATION)
]


class Network(Section):
    """A fully connected network with K hidden layers."""

    depth: kinds.Depth
    width: kinds.Width
    input_dim: kinds.InputDim
    output_dim: kinds.OutputDim = 1
    activation: ActivationField = Activation(name=kinds.DEFAULT_ACTIVATION)

    @field_validator("width")
    @classmethod
    def _check_width(cls, width: int | list[int], info: ValidationInfo) -> int | list[int]:
        depth = info.data.get("depth")
        if isinstance(width, list) and depth is not None and len(width) != depth:
            raise relation(
                f"wrong length ({len(width)}), must be one for each of the {depth} layers"
            )
        return width


class Inputs(Section):
    """The batch of inputs that all networks of a trial see."""

    distribution: kinds.InputDistribution = "standard_normal"
    count: kinds.Count = 100


class Loss(Section):
    """The loss whose gradient is sent back."""

    name: kinds.LossName = "least_squares"
    target: kinds.Target = 0.0
