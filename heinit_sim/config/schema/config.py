"""The sections of a config that describe activation, inputs and loss, as models."""

from typing import Any, Self, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import Section, relation
from heinit_sim.config.schema.init import InitField, check_layers
from heinit_sim.config.schema.inputs import Inputs, Loss
from heinit_sim.config.schema.network import Network
from heinit_sim.config.schema.sweep import Expect, Sweep
from heinit_sim.experiment import activation_table, figure_kinds
from heinit_sim.experiment.sweep_config import FigureConfig, FigureQuantity


class Record(Section):
    """What is kept of a run beside its moments."""

    histograms: fields.Histograms | None = None
    cosine: fields.Recorded | None = None

    @field_validator("cosine")
    @classmethod
    def _check_wanted(cls, cosine: bool | None) -> bool | None:
        return cosine or None  # as if left out, in config.yaml and its hash


class Figure(Section):
    """What the figure shows."""

    kind: fields.FigureName = FigureConfig.kind
    quantity: fields.ShownQuantity = FigureConfig.quantity
    decades: fields.Decades | None = None
    overlay: fields.Overlay | None = None

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

    name: fields.Name
    network: Network = Field(description="The network.")
    init: InitField
    inputs: Inputs = Field(default=Inputs(), description="The inputs.")
    loss: Loss = Field(default=Loss(), description="The loss.")
    sweep: Sweep = Field(default={})
    trials: fields.Trials = 100
    seed: fields.Seed = 0
    draws: fields.Draws = "common"
    record: Record | None = Field(default=None, description="What else is kept.")
    figure: Figure = Field(default=Figure(), description="The figure.")
    expect: Expect = Field(default=[])

    @field_validator("record")
    @classmethod
    def _check_anything(cls, record: Record | None) -> Record | None:
        asked = record and (record.histograms or record.cosine)
        return record if asked else None  # else config.yaml would have {}

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        check_layers(self.init, self.network)
        return self

    @model_validator(mode="after")
    def _check_cosine(self) -> Self:
        if self.record and self.record.cosine and self.inputs.count == 1:
            text = "one input has no cosine with another (1), must be 2 or more for record.cosine"
            raise relation(text, "inputs", "count")
        return self


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file; it accepts every valid config."""
    schema = Config.model_json_schema()
    models = schema["$defs"]
    for model in models.values():
        for name, field in model["properties"].items():
            if "anyOf" in field and "description" in field["anyOf"][0]:  # what may be null
                described = {"description": field["anyOf"][0]["description"], **field}
                model["properties"][name] = dict(sorted(described.items()))
    for model in ("Network", "Activation"):
        del models[model]["required"]  # any of these keys may come from the sweep instead
    schema["required"].remove("init")  # so may this
    names = {"type": "string", "enum": list(get_args(activation_table.ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
