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


def relation(text: str, *at: int | str) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


class Section(BaseModel):
    """What all parts of a config have in common: typed strictly, and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


def hashable(value: object) -> object:
    """The value of a field as one that can be looked up: equal where the values are."""
    if isinstance(value, Section):
        return tuple(map(hashable, vars(value).values()))
    return tuple(map(hashable, value)) if isinstance(value, list) else value


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
    def _check_slope(
        cls, slope: float | list[float] | None, info: ValidationInfo
    ) -> float | list[float] | None:
        name = info.data.get("name", "prelu")
        if slope is None:
            return kinds.DEFAULT_SLOPES.get(name)
        if name not in kinds.DEFAULT_SLOPES:
            raise relation(f"{name} has no such option ({slope}), must be left out")
        if isinstance(slope, list) and name != "prelu":
            raise relation(f"{name} has one slope for all layers, must be a number; or take prelu")
        for place, each in enumerate(slope if isinstance(slope, list) else [slope]):
            if 0 < abs(each) < kinds.SMALLEST_SLOPE:
                text = f"too small ({each}), must be 0 or at least {kinds.SMALLEST_SLOPE} in size"
                raise relation(text, *([place] if isinstance(slope, list) else []))
        return slope

    @property
    def options(self) -> dict[str, float | tuple[float, ...]]:
        """What the function takes besides its name."""
        slope = self.negative_slope
        if slope is None:
            return {}
        return {"negative_slope": tuple(slope) if isinstance(slope, list) else slope}

    @model_serializer
    def _plain(self) -> str | dict[str, object]:
        slope = self.negative_slope
        return self.name if slope is None else {"name": self.name, "negative_slope": slope}


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

    @field_validator("activation")
    @classmethod
    def _check_slopes(cls, activation: Activation, info: ValidationInfo) -> Activation:
        slopes, depth = activation.negative_slope, info.data.get("depth")
        if isinstance(slopes, list) and depth is not None and len(slopes) != depth:
            text = f"wrong length ({len(slopes)}), must be one for each of the {depth} layers"
            raise relation(text, "negative_slope")
        return activation


class Init(Section):
    """How weights are drawn: their variance itself, or a scheme that takes it from the fans."""

    variance: kinds.Variance | None = kinds.or_null(kinds.Variance)
    scheme: kinds.SchemeName | None = kinds.or_null(kinds.SchemeName)
    mode: kinds.ModeName | None = kinds.or_null(kinds.ModeName)
    gain: kinds.Gain | None = kinds.or_null(kinds.Gain)
    distribution: kinds.WeightDistribution | None = kinds.or_null(kinds.WeightDistribution)
    bias_variance: kinds.BiasVariance = 0.0

    @field_validator("scheme", "mode", "gain")
    @classmethod
    def _check_alone(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("variance") is not None:
            way = (
                "must be left out; init.variance already is the variance, no fan or gain enters it"
            )
            if info.field_name == "scheme":
                way = "must be the one or the other; null takes one back"
            raise relation(f"given beside init.variance ({value}), {way}")
        return value

    @field_validator("mode", "distribution")
    @classmethod
    def _check_orthogonal(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("scheme") == "orthogonal":
            raise relation(f"not for scheme: orthogonal ({value}), must be left out")
        if value == "orthogonal" and info.data.get("mode") is not None:
            raise relation("takes no init.mode (orthogonal), must be left out")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Init:
        if self.variance is None and self.scheme is None:
            raise relation("no variance is given, must have either variance or scheme")
        return self


class Inputs(Section):
    """The batch of inputs that all networks of a trial see."""

    distribution: kinds.InputDistribution = "standard_normal"
    count: kinds.Count = 100


class Loss(Section):
    """The loss whose gradient is sent back."""

    name: kinds.LossName = "least_squares"
    target: kinds.Target = 0.0
