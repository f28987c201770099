"""The sections of a config that describe activation, inputs and loss, as models."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from heinit_sim import kinds
from heinit_sim.input_options import INPUT_OPTIONS


def relation(text: str, *at: str | int) -> PydanticCustomError:
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


class Inputs(Section):
    """The batch of inputs that all networks of a trial see."""

    distribution: kinds.InputDistribution = "standard_normal"
    mean: kinds.Mean | None = kinds.or_null(kinds.Mean)
    std: kinds.Std | None = kinds.or_null(kinds.Std)
    density: kinds.Density | None = kinds.or_null(kinds.Density)
    cosine: kinds.Cosine | None = kinds.or_null(kinds.Cosine)
    path: kinds.DataPath | None = kinds.or_null(kinds.DataPath)
    sha256: kinds.Digests | None = kinds.or_null(kinds.Digests)
    normalisation: kinds.Normalisation = "none"
    count: kinds.Count = 100

    @field_validator("sha256", mode="before")
    @classmethod
    def _check_digests(cls, digests: object) -> object:
        items = digests.values() if isinstance(digests, dict) else [digests]
        fits = [isinstance(item, str) and re.fullmatch("[0-9a-f]{64}", item) for item in items]
        if digests is not None and not (isinstance(digests, dict) and all(fits)):
            raise relation(f"not SHA-256 of files, must be {kinds.DIGESTS}")
        return digests

    @field_validator("mean", "std", "density", "cosine", "path", "sha256")
    @classmethod
    def _check_option(cls, value: object, info: ValidationInfo) -> object:
        name = info.data.get("distribution")
        option = {"sha256": "path"}.get(str(info.field_name), info.field_name)
        if value is not None and name is not None and option not in INPUT_OPTIONS[name]:
            given = "a mapping" if isinstance(value, dict) else repr(value)[:40]
            raise relation(f"{name} has no such option ({given}), must be left out")
        return value

    @field_validator("mean")
    @classmethod
    def _check_size(cls, mean: float | None) -> float | None:
        if mean and abs(mean) < kinds.SMALLEST_MEAN:
            raise relation(f"too small ({mean}), must be {kinds.MEAN}")
        return mean

    @field_validator("normalisation")
    @classmethod
    def _check_spread(cls, value: str, info: ValidationInfo) -> str:
        if value != "none" and info.data.get("distribution") == "constant":
            raise relation(f"constant inputs have no spread to divide by ({value}), must be none")
        return value

    @field_validator("count")
    @classmethod
    def _check_even(cls, count: int, info: ValidationInfo) -> int:
        if count % 2 and info.data.get("distribution") == "pair":
            raise relation(f"not even ({count}), must be for inputs in pairs")
        return count

    @model_validator(mode="after")
    def _check_path(self) -> Inputs:
        if self.distribution == "file" and self.path is None:
            raise relation("no path is given, must have one for distribution: file")
        return self

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        plain: dict[str, object] = handler(self)
        return {k: v for k, v in plain.items() if (k, v) != ("normalisation", "none")}


class Loss(Section):
    """The loss whose gradient is sent back."""

    name: kinds.LossName = "least_squares"
    target: kinds.Target = 0.0
