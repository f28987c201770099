"""An activation function with its options, as a config writes it."""

from typing import Annotated

from pydantic import ValidationInfo, field_validator, model_serializer, model_validator

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import (
    OneOrList,
    Section,
    Setting,
    choice,
    located,
    relation,
)
from heinit_sim.experiment import activation_table
from heinit_sim.experiment.steps import Activate

Slopes = float | list[float]


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
            return {"frequency": float(self.frequency)}
        slope = self.negative_slope
        if slope is None:
            return {}
        return {"negative_slope": tuple(slope) if isinstance(slope, list) else slope}

    def step(self, k: int = 0) -> Activate:
        """The step of hidden layer k."""
        slope = self.negative_slope
        slope = slope[k] if isinstance(slope, list) else slope
        given = {"negative_slope": slope, "frequency": self.frequency}
        options = ((key, float(number)) for key, number in given.items() if number is not None)
        return Activate(self.name, tuple(options))

    @model_serializer
    def _plain(self) -> str | dict[str, object]:
        given = {"negative_slope": self.negative_slope, "frequency": self.frequency}
        options = {key: value for key, value in given.items() if value is not None}
        return {"name": self.name, **options} if options else self.name


_NAMES = choice(activation_table.ActivationName)
FORMS = f"{_NAMES}, or a mapping like {{name: leaky_relu, negative_slope: 0.2}}"
ActivationField = Annotated[
    OneOrList[Activation],
    Setting("Activation of the hidden layers", f"{FORMS}, or {fields.BY_HIDDEN_LAYER}"),
]
