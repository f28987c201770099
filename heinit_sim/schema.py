"""What a config may hold as a whole, as a typed model; its JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from heinit_sim import kinds, network_kinds
from heinit_sim.network_options import Network, ResidualField
from heinit_sim.sections import ActivationField, Inputs, Loss, Section, hashable, relation
from heinit_sim.weight_options import InitField, check_layers


class Sweep(Section):
    """Values to try, by dotted path; several paths make a grid, the last varying fastest."""

    network_depth: list[kinds.Depth] = kinds.swept("network.depth")
    network_width: list[kinds.Width] = kinds.swept("network.width")
    network_input_dim: list[kinds.InputDim] = kinds.swept("network.input_dim")
    network_image: list[network_kinds.Image] = kinds.swept("network.image")
    network_kernel: list[network_kinds.Kernel] = kinds.swept("network.kernel")
    network_channels: list[network_kinds.Channels] = kinds.swept("network.channels")
    network_input_channels: list[network_kinds.InputChannels] = kinds.swept(
        "network.input_channels"
    )
    network_padding: list[network_kinds.Padding] = kinds.swept("network.padding")
    network_readout: list[network_kinds.Readout] = kinds.swept("network.readout")
    network_output_dim: list[kinds.OutputDim] = kinds.swept("network.output_dim")
    network_activation: list[ActivationField] = kinds.swept("network.activation")
    network_activation_negative_slope: list[kinds.Slope] = kinds.swept(
        "network.activation.negative_slope"
    )
    network_residual: list[ResidualField] = kinds.swept("network.residual")
    network_residual_scale: list[network_kinds.BlockScale] = kinds.swept("network.residual.scale")
    network_residual_branch_layers: list[network_kinds.BranchLayers] = kinds.swept(
        "network.residual.branch_layers"
    )
    network_residual_norm: list[network_kinds.Norm] = kinds.swept("network.residual.norm")
    network_residual_zero_last: list[network_kinds.ZeroLast] = kinds.swept(
        "network.residual.zero_last"
    )
    init: list[InitField] = kinds.swept("init")
    init_variance: list[kinds.Variance] = kinds.swept("init.variance")
    init_scheme: list[kinds.SchemeName] = kinds.swept("init.scheme")
    init_scale: list[kinds.Scale] = kinds.swept("init.scale")
    init_mode: list[kinds.ModeName] = kinds.swept("init.mode")
    init_gain: list[kinds.Gain] = kinds.swept("init.gain")
    init_a: list[kinds.KaimingSlope] = kinds.swept("init.a")
    init_nonlinearity: list[kinds.KaimingNonlinearity] = kinds.swept("init.nonlinearity")
    init_distribution: list[kinds.WeightDistribution] = kinds.swept("init.distribution")
    init_tolerance: list[kinds.Tolerance] = kinds.swept("init.tolerance")
    init_attempts: list[kinds.Attempts] = kinds.swept("init.attempts")
    init_bias: list[kinds.Bias] = kinds.swept("init.bias")
    init_bias_variance: list[kinds.BiasVariance] = kinds.swept("init.bias_variance")
    inputs_distribution: list[kinds.InputDistribution] = kinds.swept("inputs.distribution")
    inputs_mean: list[kinds.Mean] = kinds.swept("inputs.mean")
    inputs_std: list[kinds.Std] = kinds.swept("inputs.std")
    inputs_density: list[kinds.Density] = kinds.swept("inputs.density")
    inputs_cosine: list[kinds.Cosine] = kinds.swept("inputs.cosine")
    inputs_path: list[kinds.DataPath] = kinds.swept("inputs.path")
    inputs_normalisation: list[kinds.Normalisation] = kinds.swept("inputs.normalisation")
    inputs_count: list[kinds.Count] = kinds.swept("inputs.count")
    loss_name: list[kinds.LossName] = kinds.swept("loss.name")
    loss_target: list[kinds.Target] = kinds.swept("loss.target")

    @field_validator("*")
    @classmethod
    def _check_distinct(cls, values: list[object]) -> list[object]:
        seen: dict[object, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(hashable(value), index)
            if first != index:
                raise relation(f"the same as value {first + 1}, must be distinct", index)
        return values

    @field_validator("*")
    @classmethod
    def _check_apart(cls, values: list[object], info: ValidationInfo) -> list[object]:
        name = str(info.field_name)
        for outer in ("network_activation", "network_residual", "init"):
            if name.startswith(f"{outer}_") and info.data.get(outer):
                path = outer.replace("_", ".")
                raise relation(f"inside {path}, which is swept too, must be swept alone")
        return values


if TYPE_CHECKING:

    class When(Section):
        """Values by dotted path that select conditions; each path that can be swept."""
else:
    _KINDS = {name: (f.alias, *get_args(f.annotation)) for name, f in Sweep.model_fields.items()}
    When = create_model(
        "When",
        __base__=Section,
        __doc__="Values by dotted path that select conditions; each path that can be swept.",
        **{name: (kind, kinds.when(kind, path)) for name, (path, kind) in _KINDS.items()},
    )


class Expectation(Section):
    """What must come out, and in which conditions."""

    forward: kinds.ForwardWord | None = kinds.or_null(kinds.ForwardWord)
    backward: kinds.BackwardWord | None = kinds.or_null(kinds.BackwardWord)
    max_decades_per_layer: kinds.DecadesPerLayer | None = kinds.or_null(kinds.DecadesPerLayer)
    when: When = Field(
        default_factory=When, description=f"Which conditions, or all of them: {kinds.WHEN}."
    )

    @model_validator(mode="after")
    def _check_any(self) -> Expectation:
        if (self.forward, self.backward, self.max_decades_per_layer) == (None, None, None):
            raise relation(
                "nothing is expected, must have forward, backward or max_decades_per_layer"
            )
        return self


Expect = Annotated[
    Annotated[Expectation, Tag("<one>")]
    | Annotated[list[Expectation], Tag("<list>"), Field(max_length=1000)],
    kinds.described("What must come out, for check and run --check", kinds.EXPECT),
    Discriminator(lambda expect: "<list>" if isinstance(expect, list) else "<one>"),
]


class Record(Section):
    """What is kept of a run beside its moments."""

    histograms: kinds.Histograms | None = kinds.or_null(kinds.Histograms)
    cosine: kinds.Recorded | None = kinds.or_null(kinds.Recorded)

    @field_validator("cosine")
    @classmethod
    def _check_wanted(cls, cosine: bool | None) -> bool | None:
        return cosine or None  # as if left out, in config.yaml and its hash


class Figure(Section):
    """What the figure shows."""

    kind: kinds.Kind = kinds.DEFAULT_FIGURE
    quantity: Annotated[kinds.Quantity, kinds.choice("What is drawn", kinds.Quantity)] = "variance"
    decades: kinds.Decades | None = kinds.or_null(kinds.Decades)
    overlay: kinds.Overlay | None = kinds.or_null(kinds.Overlay)

    @field_validator("decades")
    @classmethod
    def _check_order(cls, decades: list[float] | None) -> list[float] | None:
        if decades is not None and decades[0] >= decades[1]:
            raise relation(f"not a range ({decades}), must have the lower number first")
        return decades

    @field_validator("quantity")
    @classmethod
    def _check_quantity(cls, quantity: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if quantity == "second_moment" and kind == "slopes":
            raise relation(f"not for kind: slopes ({quantity}), must be variance or std")
        if quantity != "variance" and kind in ("ridges", "cosine"):
            why = "they are of the numbers" if kind == "ridges" else "it is of the directions"
            raise relation(f"not for kind: {kind} ({quantity}), must be left out; {why} themselves")
        return quantity

    @field_validator("decades", "overlay")
    @classmethod
    def _check_kind(cls, value: object, info: ValidationInfo) -> object:
        kind, heeded = info.data.get("kind"), kinds.ONLY_FOR[str(info.field_name)]
        if value is not None and kind is not None and kind not in heeded:
            text = f"not for kind: {kind} ({value}), only for {' and '.join(heeded)}"
            raise relation(f"{text}; null takes it back")
        return value

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the default kind out: the hash of a config stays what it was without the key."""
        return {k: v for k, v in dump(self).items() if (k, v) != ("kind", kinds.DEFAULT_FIGURE)}


class Config(Section):
    """One experiment: a network, how its weights are drawn, and what to vary."""

    name: Annotated[
        str,
        kinds.described(
            "Name of the run directory", kinds.NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
        ),
    ]
    network: Network = Field(description="The network.")
    init: InitField
    inputs: Inputs = Field(default=Inputs(), description="The inputs.")
    loss: Loss = Field(default=Loss(), description="The loss.")
    sweep: Sweep = Field(default_factory=Sweep, description=f"What varies: {kinds.SWEEP}.")
    trials: Annotated[int, kinds.integer("Independent networks per condition", 1, 1_000_000)] = 100
    seed: Annotated[int, kinds.integer("Seed of all random numbers", 0, 2**63 - 1)] = 0
    draws: Annotated[kinds.Draws, kinds.choice("Random numbers of the conditions", kinds.Draws)] = (
        "common"
    )
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
    names = {"type": "string", "enum": list(get_args(kinds.ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
