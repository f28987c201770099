"""What a config may hold, as typed models; their JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from heinit_sim.initializers import SCHEMES, Mode

if TYPE_CHECKING:
    Scheme = str
else:
    Scheme = Literal[tuple(SCHEMES)]

ActivationName = Literal["relu", "linear", "leaky_relu"]
Quantity = Literal["variance", "second_moment", "std"]
Draws = Literal["common", "independent"]
DEFAULT_ACTIVATION: ActivationName = "relu"
LEAKY_SLOPE = 0.01
SMALLEST_SLOPE = 1e-6
"""A few layers multiplied by it must leave float range neither themselves nor squared."""


def _field(meaning: str, allowed: str, **limits: Any) -> Any:
    """A field described as "meaning: what is allowed."; messages quote the second half."""
    return Field(description=f"{meaning}: {allowed}.", **limits)


def _integer(meaning: str, low: int, high: int) -> Any:
    return _field(meaning, f"an integer from {low} to {high}", ge=low, le=high)


def _choice(meaning: str, choices: Any) -> Any:
    return _field(meaning, f"one of {', '.join(get_args(choices))}")


def _or_null(kind: Any, **options: Any) -> Any:
    """Default null for a field of that annotated type, described as the type is."""
    return Field(default=None, description=kind.__metadata__[0].description, **options)


def _swept(path: str) -> Any:
    meaning, allowed = f"Values of {path} to try", "a list of one or more distinct values"
    return _field(meaning, allowed, default_factory=list, alias=path, min_length=1)


def _relation(text: str, *at: int) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


NAME = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
WIDTH = "an integer from 1 to 65536, or a list of one for each hidden layer"
SLOPE = "a number from -1000 to 1000"
GAIN = "a number above 0 and at most 1000000"
RANGE = "null or a list of two numbers from -1000000 to 1000000, the lower first"
SWEEP = "a mapping from dotted paths to lists of values"
ACTIVATION = "relu, linear, leaky_relu or a mapping like {name: leaky_relu, negative_slope: 0.2}"

Depth = Annotated[int, _integer("Hidden layers, K", 1, 100_000)]
Units = Annotated[int, Field(ge=1, le=65_536)]
Width = Annotated[
    Annotated[Units, Tag("<one>")] | Annotated[list[Units], Tag("<list>")],
    _field("Units of every hidden layer, D_h", WIDTH),
    Discriminator(lambda width: "<list>" if isinstance(width, list) else "<one>"),
]
InputDim = Annotated[int, _integer("Inputs of the network, D_i", 1, 65_536)]
OutputDim = Annotated[int, _integer("Outputs of the network, D_o", 1, 65_536)]
Slope = Annotated[
    float, _field(f"Slope below zero of leaky_relu, {LEAKY_SLOPE}", SLOPE, ge=-1000, le=1000)
]
Variance = Annotated[float, _field("Variance of all weights, σ²_Ω", "a number above 0", gt=0)]
SchemeName = Annotated[Scheme, _field("How fans set σ²_Ω", f"one of {', '.join(SCHEMES)}")]
ModeName = Annotated[Mode, _choice("Fan to divide by, if not the scheme's", Mode)]
Gain = Annotated[float, _field("Square root of the scale, if not the scheme's", GAIN, gt=0, le=1e6)]
Distribution = Annotated[
    Literal["standard_normal"], _field("How inputs are drawn", "standard_normal")
]
Count = Annotated[int, _integer("Inputs in the batch", 1, 1_000_000)]
LossName = Annotated[Literal["least_squares"], _field("Name of the loss", "least_squares")]
Target = Annotated[float, _field("Target of every output, y", "a finite number")]
Decade = Annotated[float, Field(ge=-1e6, le=1e6)]
Decades = Annotated[
    list[Decade], _field("Range of the value axes, in decades", RANGE, min_length=2, max_length=2)
]
Overlay = Annotated[
    Literal["figure_7_4_published"],
    _field("Published curves drawn on top", "null or figure_7_4_published"),
]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Activation(_Model):
    """An activation function with its options."""

    name: Annotated[ActivationName, _choice("The function", ActivationName)]
    negative_slope: Slope | None = _or_null(Slope, validate_default=True)

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
        if slope and abs(slope) < SMALLEST_SLOPE:
            raise _relation(f"too small ({slope}), must be 0 or at least {SMALLEST_SLOPE} in size")
        return LEAKY_SLOPE if slope is None and name == "leaky_relu" else slope

    @property
    def options(self) -> dict[str, float]:
        """What the function takes besides its name."""
        return {} if self.negative_slope is None else {"negative_slope": self.negative_slope}

    @model_serializer
    def _plain(self) -> str | dict[str, object]:
        return {"name": self.name, **self.options} if self.options else self.name


ActivationField = Annotated[Activation, _field("Activation of the hidden layers", ACTIVATION)]


class Network(_Model):
    """A fully connected network with K hidden layers."""

    depth: Depth
    width: Width
    input_dim: InputDim
    output_dim: OutputDim = 1
    activation: ActivationField = Activation(name=DEFAULT_ACTIVATION)

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

    variance: Variance | None = _or_null(Variance)
    scheme: SchemeName | None = _or_null(SchemeName)
    mode: ModeName | None = _or_null(ModeName)
    gain: Gain | None = _or_null(Gain)

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

    @model_validator(mode="after")
    def _check_one(self) -> Init:
        if self.variance is None and self.scheme is None:
            raise _relation("no variance is given, must have either variance or scheme")
        return self


class Inputs(_Model):
    """The batch of inputs that all networks of a trial see."""

    distribution: Distribution = "standard_normal"
    count: Count = 100


class Loss(_Model):
    """The loss whose gradient is sent back."""

    name: LossName = "least_squares"
    target: Target = 0.0


class Sweep(_Model):
    """Values to try, by dotted path; several paths make a grid, the last varying fastest."""

    network_depth: list[Depth] = _swept("network.depth")
    network_width: list[Width] = _swept("network.width")
    network_input_dim: list[InputDim] = _swept("network.input_dim")
    network_output_dim: list[OutputDim] = _swept("network.output_dim")
    network_activation: list[ActivationField] = _swept("network.activation")
    network_activation_negative_slope: list[Slope] = _swept("network.activation.negative_slope")
    init_variance: list[Variance] = _swept("init.variance")
    init_scheme: list[SchemeName] = _swept("init.scheme")
    init_mode: list[ModeName] = _swept("init.mode")
    init_gain: list[Gain] = _swept("init.gain")
    inputs_distribution: list[Distribution] = _swept("inputs.distribution")
    inputs_count: list[Count] = _swept("inputs.count")
    loss_name: list[LossName] = _swept("loss.name")
    loss_target: list[Target] = _swept("loss.target")

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


class Figure(_Model):
    """What the figure shows."""

    quantity: Annotated[Quantity, _choice("What is drawn", Quantity)] = "variance"
    decades: Decades | None = _or_null(Decades)
    overlay: Overlay | None = _or_null(Overlay)

    @field_validator("decades")
    @classmethod
    def _check_order(cls, decades: list[float] | None) -> list[float] | None:
        if decades is not None and decades[0] >= decades[1]:
            raise _relation(f"not a range ({decades}), must have the lower number first")
        return decades


class Config(_Model):
    """One experiment: a network, how its weights are drawn, and what to vary."""

    name: Annotated[
        str, _field("Name of the run directory", NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    ]
    network: Network = Field(description="The network.")
    init: Init = Field(description="The initialisation.")
    inputs: Inputs = Field(default=Inputs(), description="The inputs.")
    loss: Loss = Field(default=Loss(), description="The loss.")
    sweep: Sweep = Field(default_factory=Sweep, description=f"What varies: {SWEEP}.")
    trials: Annotated[int, _integer("Independent networks per condition", 1, 1_000_000)] = 100
    seed: Annotated[int, _integer("Seed of all random numbers", 0, 2**63 - 1)] = 0
    draws: Annotated[Draws, _choice("Random numbers of the conditions", Draws)] = "common"
    figure: Figure = Field(default=Figure(), description="The figure.")


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file; it accepts every valid config."""
    schema = Config.model_json_schema()
    models = schema["$defs"]
    for model in ("Network", "Activation"):
        del models[model]["required"]  # any of these keys may come from the sweep instead
    names = {"type": "string", "enum": list(get_args(ActivationName))}
    models["Activation"] = {"anyOf": [names, models["Activation"]]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "heinit-sim config"}
