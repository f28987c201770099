"""The sections of a config that describe activation, inputs and loss, as models."""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.fields import Section, relation
from heinit_sim.config.schema.init import InitField, check_layers
from heinit_sim.config.schema.network import Network
from heinit_sim.config.schema.sweep import Expect, Sweep
from heinit_sim.experiment import activation_table, figure_kinds
from heinit_sim.experiment.inputs import INPUT_OPTIONS
from heinit_sim.experiment.sweep_config import FigureConfig, FigureQuantity


class Inputs(Section):
    """The batch of inputs that all networks of a trial see."""

    distribution: fields.InputDistribution = "standard_normal"
    mean: fields.Mean | None = fields.or_null(fields.Mean)
    std: fields.Std | None = fields.or_null(fields.Std)
    density: fields.Density | None = fields.or_null(fields.Density)
    cosine: fields.Cosine | None = fields.or_null(fields.Cosine)
    path: fields.DataPath | None = fields.or_null(fields.DataPath)
    sha256: fields.Digests | None = fields.or_null(fields.Digests)
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

    name: fields.LossName = "least_squares"
    target: fields.Target = 0.0


class Record(Section):
    """What is kept of a run beside its moments."""

    histograms: fields.Histograms | None = fields.or_null(fields.Histograms)
    cosine: fields.Recorded | None = fields.or_null(fields.Recorded)

    @field_validator("cosine")
    @classmethod
    def _check_wanted(cls, cosine: bool | None) -> bool | None:
        return cosine or None  # as if left out, in config.yaml and its hash


class Figure(Section):
    """What the figure shows."""

    kind: fields.Kind = FigureConfig.kind
    quantity: fields.ShownQuantity = FigureConfig.quantity
    decades: fields.Decades | None = fields.or_null(fields.Decades)
    overlay: fields.Overlay | None = fields.or_null(fields.Overlay)

    @field_validator("decades")
    @classmethod
    def _check_order(cls, decades: list[float] | None) -> list[float] | None:
        if decades is not None and decades[0] >= decades[1]:
            raise relation(f"not a range ({decades}), must have the lower number first")
        return decades

    @field_validator("quantity")
    @classmethod
    def _check_quantity(cls, quantity: FigureQuantity, info: ValidationInfo) -> FigureQuantity:
        kind = info.data.get("kind")
        if kind and (refused := figure_kinds.refused_quantity(kind, quantity)):
            raise relation(refused)
        return quantity

    @field_validator("decades", "overlay")
    @classmethod
    def _check_kind(cls, value: object, info: ValidationInfo) -> object:
        kind, option = info.data.get("kind"), str(info.field_name)
        if value is None or kind is None:
            return value
        if refused := figure_kinds.refused_option(kind, option, value):
            raise relation(refused)
        return value

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the default kind out: the hash of a config stays what it was without the key."""
        return {k: v for k, v in dump(self).items() if (k, v) != ("kind", FigureConfig.kind)}


class Config(Section):
    """One experiment: a network, how its weights are drawn, and what to vary."""

    name: Annotated[
        str,
        fields.described(
            "Name of the run directory", fields.NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
        ),
    ]
    network: Network = Field(description="The network.")
    init: InitField
    inputs: Inputs = Field(default=Inputs(), description="The inputs.")
    loss: Loss = Field(default=Loss(), description="The loss.")
    sweep: Sweep = Field(default_factory=Sweep, description=f"What varies: {fields.SWEEP}.")
    trials: Annotated[int, fields.integer("Independent networks per condition", 1, 1_000_000)] = 100
    seed: Annotated[int, fields.integer("Seed of all random numbers", 0, 2**63 - 1)] = 0
    draws: Annotated[
        fields.Draws, fields.choice("Random numbers of the conditions", fields.Draws)
    ] = "common"
    record: Record | None = Field(default=None, description="What else is kept.")
    figure: Figure = Field(default=Figure(), description="The figure.")
    expect: Expect = Field(default_factory=list)

    @field_validator("record")
    @classmethod
    def _check_anything(cls, record: Record | None) -> Record | None:
        asked = record and (record.histograms or record.cosine)
        return record if asked else None  # else config.yaml would have {}

    @model_validator(mode="after")
    def _check_layers(self) -> Config:
        check_layers(self.init, self.network)
        return self

    @model_validator(mode="after")
    def _check_cosine(self) -> Config:
        if self.record and self.record.cosine and self.inputs.count == 1:
            text = "one input has no cosine with another (1), must be 2 or more for record.cosine"
            raise relation(text, "inputs", "count")
        return self


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file; it accepts every valid config."""
    schema = Config.model_json_schema()
    models = schema["$defs"]
    for model in ("Network", "Activation"):
        del models[model]["required"]  # any of these keys may come from the sweep instead
    schema["required"].remove("init")  # so may this
    names = {"type": "string", "enum": list(get_args(activation_table.ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
