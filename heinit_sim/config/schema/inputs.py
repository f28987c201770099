"""The `inputs` and `loss` sections of a config."""

import re
from typing import Self

from pydantic import ValidationInfo, field_validator, model_validator

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import Section, relation
from heinit_sim.experiment.inputs import INPUT_OPTIONS


class Inputs(Section):
    """The batch of inputs that all networks of a trial see."""

    distribution: fields.InputDistribution = "standard_normal"
    mean: fields.Mean | None = None
    std: fields.Std | None = None
    density: fields.Density | None = None
    cosine: fields.Cosine | None = None
    path: fields.DataPath | None = None
    sha256: fields.Digests | None = None
    normalisation: fields.Normalisation = "none"
    count: fields.Count = 100

    @field_validator("sha256", mode="before")
    @classmethod
    def _check_digests(cls, digests: object) -> object:
        items = digests.values() if isinstance(digests, dict) else [digests]
        fits = [isinstance(item, str) and re.fullmatch("[0-9a-f]{64}", item) for item in items]
        if digests is not None and not (isinstance(digests, dict) and all(fits)):
            raise relation(f"not SHA-256 of files, must be {fields.DIGESTS}")
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
        if mean and abs(mean) < fields.SMALLEST_MEAN:
            raise relation(f"too small ({mean}), must be {fields.MEAN}")
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
    def _check_path(self) -> Self:
        if self.distribution == "file" and self.path is None:
            raise relation("no path is given, must have one for distribution: file")
        return self


class Loss(Section):
    """The loss whose gradient is sent back."""

    name: fields.LossName = "least_squares"
    target: fields.Target = 0.0
