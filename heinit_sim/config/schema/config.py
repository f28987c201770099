"""The whole config as a model, with its sections `record` and `figure`."""

from typing import Any, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import Section, relation
from heinit_sim.config.schema.init import InitField
from heinit_sim.config.schema.inputs import Inputs, Loss
from heinit_sim.config.schema.network import Network
from heinit_sim.config.schema.steps import DEFAULT_BLOCK, DEFAULT_ENDS
from heinit_sim.config.schema.sweep import Expect, Sweep, When
from heinit_sim.config.schema.update import Update
from heinit_sim.experiment import activation_table, figure_kinds
from heinit_sim.experiment.sweep_config import STREAM_VERSION, FigureConfig, FigureFormat


class Record(Section):
    """Records that a run keeps beside its moments."""

    histograms: fields.Histograms | None = None
    cosine: fields.Recorded | None = None
    units: fields.RecordedUnits | None = None
    range: fields.RecordedRange | None = None
    jacobian: fields.JacobianRecorded | None = None
    batch_gradient: fields.BatchGradient | None = None
    update: Update | None = Field(default=None, description="One step of training.")


class Figure(Section):
    """The figure: its kind, and what it shows."""

    kind: fields.FigureName = FigureConfig.kind
    quantity: fields.ShownQuantity = FigureConfig.quantity
    decades: fields.Decades | None = None
    overlay: fields.Overlay | None = None
    limits: fields.ShownLimits | None = None
    theme: fields.Theme = FigureConfig.theme
    size: fields.Size | None = None
    font: fields.Font | None = None
    font_size: fields.FontSize | None = None
    panels: fields.Panels = FigureConfig.panels
    only: When | None = None
    labels: fields.Labels | None = None
    order: fields.Order | None = None
    title: fields.Title | None = None
    colors: fields.Colors | None = None
    decimal: fields.Decimal = FigureConfig.decimal
    style: fields.Style | None = None
    formats: fields.Formats = Field(default=[*FigureConfig.formats])
    dpi: fields.Dpi = FigureConfig.dpi
    svg_text: fields.SvgText = FigureConfig.svg_text

    @field_validator("formats")
    @classmethod
    def _in_order(cls, formats: FigureFormat | list[FigureFormat]) -> list[FigureFormat]:
        given = formats if isinstance(formats, list) else [formats]
        for place, name in enumerate(given):
            if name in given[:place]:
                raise relation(f"given twice ({name}), must be {fields.FORMATS}", place)
        return [name for name in get_args(FigureFormat) if name in given]

    @field_validator("quantity", "decades", "overlay", "limits")
    @classmethod
    def _check_kind(cls, value: Any, info: ValidationInfo) -> object:
        kind, option = info.data.get("kind"), str(info.field_name)
        if option == "decades" and value and value[0] >= value[1]:
            raise relation(f"not a range ({value}), must have the lower number first")
        if value is None or kind is None:
            return value
        if option == "quantity":
            refused = figure_kinds.refused_quantity(kind, value)
        else:
            refused = figure_kinds.refused_option(kind, option, value)
        if refused:
            raise relation(refused)
        return value


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
    stream_version: fields.StreamVersion = STREAM_VERSION
    draws: fields.Draws = "common"
    engine: fields.Engine = "weights"
    record: Record | None = Field(default=None, description="What else is kept.")
    figure: Figure = Field(default=Figure(), description="The figure.")
    expect: Expect = Field(default=[])

    @field_validator("stream_version", mode="before")
    @classmethod
    def _check_streams(cls, version: object) -> object:
        if type(version) is int and version != STREAM_VERSION:
            ours = f"this heinit-sim draws version {STREAM_VERSION}"
            install = "install the version of heinit-sim that the manifest names"
            raise relation(f"streams of version {str(version)[:40]}, {ours}; {install}")
        return version

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.record and self.record.cosine and self.inputs.n_inputs == 1:
            text = "one input has no cosine with another (1), must be 2 or more for record.cosine"
            raise relation(text, "inputs", "count")
        if self.loss.name == "cross_entropy" and self.network.output_dim < 2:
            text = f"one class ({self.network.output_dim}), must be 2 or more for cross_entropy"
            raise relation(text, "network", "output_dim")
        if self.record and self.record.update and self.engine == "conditional":
            text = "not for engine: conditional, which has no weights to change, must be left out"
            raise relation(f"{text}; or give engine: weights", "record", "update")
        return self


def leave_out_defaults(document: dict[str, Any]) -> None:
    """Take out of a resolved config what its hash has never had: keys younger than the hash."""
    figure = Figure.model_fields
    for section, key, default in (
        ("network", "kind", "dense"),
        ("network", "block", DEFAULT_BLOCK),
        ("network", "head", DEFAULT_ENDS),
        ("inputs", "normalisation", "none"),
        ("record", "cosine", False),
        ("record", "units", False),
        ("record", "range", False),
        ("record", "jacobian", False),
        ("record", "batch_gradient", False),
        *(("figure", key, figure[key].default) for key in figure if key != "quantity"),
    ):
        given = document.get(section) or {}
        if key in given and given[key] == default:
            del given[key]
    if document.get("engine") == "weights":
        del document["engine"]
    if not document.get("record", True):
        del document["record"]


def _any_of(schema: Any) -> Any:
    """A schema in which a text may be arithmetic and a word, and a list one value and several."""
    if isinstance(schema, list):
        return [_any_of(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {"anyOf" if key == "oneOf" else key: _any_of(value) for key, value in schema.items()}


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file; it accepts every valid config."""
    schema = _any_of(Config.model_json_schema())
    models = schema["$defs"]
    for model in models.values():
        for name, field in model["properties"].items():
            if "anyOf" in field and "description" in field["anyOf"][0]:  # what may be null
                described = {"description": field["anyOf"][0]["description"], **field}
                model["properties"][name] = dict(sorted(described.items()))
    for model in ("Network", "Activation", "Update"):
        models[model].pop("required", None)  # any of these keys may come from the sweep instead
    schema["required"].remove("init")  # so may this
    names = {"type": "string", "enum": list(get_args(activation_table.ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    leave_out_defaults({k: v["default"] for k, v in schema["properties"].items() if "default" in v})
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
