"""What a config may hold, as typed models; their JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from heinit_sim import kinds


def _relation(text: str, *at: int) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Activation(_Model):
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
            raise _relation(f"{name} has no such option ({slope}), must be left out")
        if slope and abs(slope) < kinds.SMALLEST_SLOPE:
            raise _relation(
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


class Network(_Model):
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
            raise _relation(
                f"wrong length ({len(width)}), must be one for each of the {depth} layers"
            )
        return width


class Init(_Model):
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
            raise _relation(f"given beside init.variance ({value}), {way}")
        return value

    @field_validator("mode", "distribution")
    @classmethod
    def _check_orthogonal(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("scheme") == "orthogonal":
            raise _relation(f"not for scheme: orthogonal ({value}), must be left out")
        if value == "orthogonal" and info.data.get("mode") is not None:
            raise _relation("takes no init.mode (orthogonal), which must be left out")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Init:
        if self.variance is None and self.scheme is None:
            raise _relation("no variance is given, must have either variance or scheme")
        return self


class Inputs(_Model):
    """The batch of inputs that all networks of a trial see."""

    distribution: kinds.InputDistribution = "standard_normal"
    count: kinds.Count = 100


class Loss(_Model):
    """The loss whose gradient is sent back."""

    name: kinds.LossName = "least_squares"
    target: kinds.Target = 0.0


class Sweep(_Model):
    """Values to try, by dotted path; several paths make a grid, the last varying fastest."""

    network_depth: list[kinds.Depth] = kinds.swept("network.depth")
    network_width: list[kinds.Width] = kinds.swept("network.width")
    network_input_dim: list[kinds.InputDim] = kinds.swept("network.input_dim")
    network_output_dim: list[kinds.OutputDim] = kinds.swept("network.output_dim")
    network_activation: list[ActivationField] = kinds.swept("network.activation")
    network_activation_negative_slope: list[kinds.Slope] = kinds.swept(
        "network.activation.negative_slope"
    )
    init_variance: list[kinds.Variance] = kinds.swept("init.variance")
    init_scheme: list[kinds.SchemeName] = kinds.swept("init.scheme")
    init_mode: list[kinds.ModeName] = kinds.swept("init.mode")
    init_gain: list[kinds.Gain] = kinds.swept("init.gain")
    init_distribution: list[kinds.WeightDistribution] = kinds.swept("init.distribution")
    init_bias_variance: list[kinds.BiasVariance] = kinds.swept("init.bias_variance")
    inputs_distribution: list[kinds.InputDistribution] = kinds.swept("inputs.distribution")
    inputs_count: list[kinds.Count] = kinds.swept("inputs.count")
    loss_name: list[kinds.LossName] = kinds.swept("loss.name")
    loss_target: list[kinds.Target] = kinds.swept("loss.target")

    @field_validator("*")
    @classmethod
    def _check_distinct(cls, values: list[object]) -> list[object]:
        seen: dict[object, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(tuple(value) if isinstance(value, list) else value, index)
            if first != index:
                raise _relation(f"the same as value {first + 1}, must be distinct", index)
        return values

    @field_validator("network_activation_negative_slope")
    @classmethod
    def _check_apart(cls, slopes: list[float], info: ValidationInfo) -> list[float]:
        if info.data.get("network_activation"):
            raise _relation("inside network.activation, which is swept too, must be swept alone")
        return slopes


if TYPE_CHECKING:

    class When(_Model):
        """Values by dotted path that select conditions; each path that can be swept."""
else:
    _KINDS = {name: (f.alias, *get_args(f.annotation)) for name, f in Sweep.model_fields.items()}
    When = create_model(
        "When",
        __base__=_Model,
        __doc__="Values by dotted path that select conditions; each path that can be swept.",
        **{name: (kind, kinds.when(kind, path)) for name, (path, kind) in _KINDS.items()},
    )


class Expectation(_Model):
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
            raise _relation(
                "nothing is expected, must have forward, backward or max_decades_per_layer"
            )
        return self


Expect = Annotated[
    Annotated[Expectation, Tag("<one>")]
    | Annotated[list[Expectation], Tag("<list>"), Field(max_length=1000)],
    kinds.described("What must come out, for check and run --check", kinds.EXPECT),
    Discriminator(lambda expect: "<list>" if isinstance(expect, list) else "<one>"),
]


class Figure(_Model):
    """What the figure shows."""

    quantity: Annotated[kinds.Quantity, kinds.choice("What is drawn", kinds.Quantity)] = "variance"
    decades: kinds.Decades | None = kinds.or_null(kinds.Decades)
    overlay: kinds.Overlay | None = kinds.or_null(kinds.Overlay)

    @field_validator("decades")
    @classmethod
    def _check_order(cls, decades: list[float] | None) -> list[float] | None:
        if decades is not None and decades[0] >= decades[1]:
            raise _relation(f"not a range ({decades}), must have the lower number first")
        return decades


class Config(_Model):
    """One experiment: a network, how its weights are drawn, and what to vary."""

    name: Annotated[
        str,
        kinds.described(
            "Name of the run directory", kinds.NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
        ),
    ]
    network: Network = Field(description="The network.")
    init: Init = Field(description="The initialisation.")
    inputs: Inputs = Field(default=Inputs(), description="The inputs.")
    loss: Loss = Field(default=Loss(), description="The loss.")
    sweep: Sweep = Field(default_factory=Sweep, description=f"What varies: {kinds.SWEEP}.")
    trials: Annotated[int, kinds.integer("Independent networks per condition", 1, 1_000_000)] = 100
    seed: Annotated[int, kinds.integer("Seed of all random numbers", 0, 2**63 - 1)] = 0
    draws: Annotated[kinds.Draws, kinds.choice("Random numbers of the conditions", kinds.Draws)] = (
        "common"
    )
    figure: Figure = Field(default=Figure(), description="The figure.")
    expect: Expect = Field(default_factory=list)


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file; it accepts every valid config."""
    schema = Config.model_json_schema()
    models = schema["$defs"]
    for model in ("Network", "Activation"):
        del models[model]["required"]  # any of these keys may come from the sweep instead
    names = {"type": "string", "enum": list(get_args(kinds.ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
