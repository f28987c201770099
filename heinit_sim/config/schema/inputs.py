"""The `inputs` and `loss` sections of a config."""

import re
from typing import Any, Self

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
    tokens: fields.Tokens | None = None

    @field_validator("sha256", mode="before")
    @classmethod
    def _check_digests(cls, digests: object) -> object:
        items = digests.values() if isinstance(digests, dict) else [digests]
        fits = [isinstance(item, str) and re.fullmatch("[0-9a-f]{64}", item) for item in items]
        if digests is not None and not (isinstance(digests, dict) and all(fits)):
            raise relation(f"not SHA-256 of files, must be {fields.DIGESTS}")
        return digests

    @field_validator("mean", "std", "density", "cosine", "path", "sha256", "normalisation", "count")
    @classmethod
    def _check_fits(cls, value: Any, info: ValidationInfo) -> Any:
        key, name = str(info.field_name), info.data.get("distribution")
        if value is None:
            return value
        option = "path" if key == "sha256" else key
        if name and option not in ("normalisation", "count", *INPUT_OPTIONS[name]):
            given = "a mapping" if isinstance(value, dict) else repr(value)[:40]
            raise relation(f"{name} has no such option ({given}), must be left out")
        if key == "mean" and 0 < abs(value) < fields.SMALLEST_MEAN:
            raise relation(f"too small ({value}), must be {fields.MEAN}")
        if key == "normalisation" and value != "none" and name == "constant":
            raise relation(f"constant inputs have no spread to divide by ({value}), must be none")
        if key == "count" and value % 2 and name == "pair":
            raise relation(f"not even ({value}), must be for inputs in pairs")
        return value

    @model_validator(mode="after")
    def _check_path(self) -> Self:
        if self.distribution == "file" and self.path is None:
            raise relation("no path is given, must have one for distribution: file")
        return self

    @property
    def n_inputs(self) -> int:
        """Inputs in the batch, tokens of sequences one by one."""
        return self.count * (self.tokens or 1)


class Loss(Section):
    """The loss whose gradient is sent back."""

    name: fields.LossName = "least_squares"
    target: fields.Target = 0.0

    @field_validator("target")
    @classmethod
    def _check_fits(cls, value: float, info: ValidationInfo) -> float:
        name = info.data.get("name")
        if name and name != "least_squares":
            raise relation(f"{name} has no such option ({value}), must be left out")
        return value
