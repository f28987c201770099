"""The kinds of value that a config holds: their limits, and the words messages quote for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from heinit_sim.initializers import SCHEMES, Distribution, Mode

if TYPE_CHECKING:
    Scheme = str
else:
    Scheme = Literal[tuple(SCHEMES)]

ActivationName = Literal[
    "relu",
    "leaky_relu",
    "linear",
    "tanh",
    "sigmoid",
    "erf",
    "hard_tanh",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "relu6",
    "prelu",
    "sin",
    "swish",
]
Quantity = Literal["variance", "second_moment", "std"]
FigureKind = Literal["layers", "end", "slopes", "spread"]
DEFAULT_FIGURE: FigureKind = "layers"
ONLY_FOR: dict[str, tuple[FigureKind, ...]] = {"decades": ("layers", "end"), "overlay": ("layers",)}
"""Key of the figure -> the kinds that heed it; the other keys go with every kind."""
Draws = Literal["common", "independent"]
Word = Literal["vanishing", "stable", "exploding"]
DEFAULT_ACTIVATION: ActivationName = "relu"
DEFAULT_SLOPES: dict[str, float] = {"leaky_relu": 0.01, "prelu": 0.25}
"""Of the activations that take a negative_slope: PyTorch's."""
SMALLEST_SLOPE = 1e-6
"""A few layers multiplied by it must leave float range neither themselves nor squared."""


def described(meaning: str, allowed: str, **limits: Any) -> Any:
    """A field described as "meaning: what is allowed."; messages quote the second half."""
    return Field(description=f"{meaning}: {allowed}.", **limits)


def integer(meaning: str, low: int, high: int) -> Any:
    """A field that holds an integer of that range."""
    return described(meaning, f"an integer from {low} to {high}", ge=low, le=high)


def choice(meaning: str, choices: Any) -> Any:
    """A field that holds one of a `Literal`'s choices."""
    return described(meaning, f"one of {', '.join(get_args(choices))}")


def or_null(kind: Any, **options: Any) -> Any:
    """Default null for a field of that annotated type, described as the type is."""
    return Field(default=None, description=kind.__metadata__[0].description, **options)


def swept(path: str) -> Any:
    """A field of the sweep: the values to try at that dotted path."""
    meaning, allowed = f"Values of {path} to try", "a list of one or more distinct values"
    return described(meaning, allowed, default_factory=list, alias=path, min_length=1)


def when(kind: Any, path: str) -> Any:
    """A field that holds the one value of that type which selects conditions at a dotted path."""
    _, _, allowed = kind.__metadata__[0].description.removesuffix(".").partition(": ")
    return described(f"Value of {path}", allowed, default_factory=lambda: None, alias=path)


NAME = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
WIDTH = "an integer from 1 to 65536, or a list of one for each hidden layer"
SLOPE = "a number from -1000 to 1000, or for prelu a list of one for each hidden layer"
GAIN = "a number above 0 and at most 1000000"
RANGE = "null or a list of two numbers from -1000000 to 1000000, the lower first"
SWEEP = "a mapping from dotted paths to lists of values"
ACTIVATION = (
    f"one of {', '.join(get_args(ActivationName))}, "
    "or a mapping like {name: leaky_relu, negative_slope: 0.2}"
)
BIAS = "a number of at least 0"
EXPECT = "a mapping like {forward: stable, when: {init.variance: 0.02}}, or a list of at most 1000"
WHEN = "a mapping from dotted paths to one value each"
SLOPE_LIMIT = "a number that is not below 0"

Depth = Annotated[int, integer("Hidden layers, K", 1, 100_000)]
Units = Annotated[int, Field(ge=1, le=65_536)]
Width = Annotated[
    Annotated[Units, Tag("<one>")] | Annotated[list[Units], Tag("<list>")],
    described("Units of every hidden layer, D_h", WIDTH),
    Discriminator(lambda width: "<list>" if isinstance(width, list) else "<one>"),
]
InputDim = Annotated[int, integer("Inputs of the network, D_i", 1, 65_536)]
OutputDim = Annotated[int, integer("Outputs of the network, D_o", 1, 65_536)]
OneSlope = Annotated[float, Field(ge=-1000, le=1000)]
Slope = Annotated[
    Annotated[OneSlope, Tag("<one>")] | Annotated[list[OneSlope], Tag("<list>")],
    described("Slope below zero of leaky_relu, 0.01, or prelu, 0.25", SLOPE),
    Discriminator(lambda slope: "<list>" if isinstance(slope, list) else "<one>"),
]
Variance = Annotated[float, described("Variance of all weights, σ²_Ω", "a number above 0", gt=0)]
BiasVariance = Annotated[float, described("Variance of all biases, σ²_b", BIAS, ge=0)]
SchemeName = Annotated[Scheme, described("How fans set σ²_Ω", f"one of {', '.join(SCHEMES)}")]
ModeName = Annotated[Mode, choice("Fan to divide by, if not the scheme's", Mode)]
Gain = Annotated[
    float, described("Square root of the scale, if not the scheme's", GAIN, gt=0, le=1e6)
]
WeightDistribution = Annotated[
    Distribution, choice("How weights are drawn, if not as the scheme says", Distribution)
]
InputDistribution = Annotated[
    Literal["standard_normal"], described("How inputs are drawn", "standard_normal")
]
Count = Annotated[int, integer("Inputs in the batch", 1, 1_000_000)]
LossName = Annotated[Literal["least_squares"], described("Name of the loss", "least_squares")]
Target = Annotated[float, described("Target of every output, y", "a finite number")]
Decade = Annotated[float, Field(ge=-1e6, le=1e6)]
Decades = Annotated[
    list[Decade],
    described("Range of the value axes, in decades", RANGE, min_length=2, max_length=2),
]
Overlay = Annotated[
    Literal["figure_7_4_published"],
    described("Published curves drawn on top", "null or figure_7_4_published"),
]
ForwardWord = Annotated[Word, choice("Verdict on the forward pass", Word)]
BackwardWord = Annotated[Word, choice("Verdict on the backward pass", Word)]
DecadesPerLayer = Annotated[
    float, described("Largest slope of either pass, in size", SLOPE_LIMIT, ge=0)
]
