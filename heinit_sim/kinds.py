"""The kinds of value that a config holds: their limits, and the words messages quote for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from heinit_sim import input_options
from heinit_sim.gain_constants import GainWord, Nonlinearity
from heinit_sim.initializers import SCHEMES, Mode
from heinit_sim.records import Bins, FigureKind

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
DistributionName = Literal[
    "normal",
    "uniform",
    "truncated_normal",
    "truncated_normal_uncorrected",
    "untruncated_normal",
    "orthogonal",
    "delta_orthogonal",
]
Quantity = Literal["variance", "second_moment", "std"]
DEFAULT_FIGURE: FigureKind = "layers"
ONLY_FOR: dict[str, tuple[FigureKind, ...]] = {"decades": ("layers", "end"), "overlay": ("layers",)}
"""Key of the figure -> the kinds that heed it."""
Draws = Literal["common", "independent"]
Word = Literal["vanishing", "stable", "exploding"]
DEFAULT_ACTIVATION: ActivationName = "relu"
DEFAULT_SLOPES: dict[str, float] = {"leaky_relu": 0.01, "prelu": 0.25}
"""Of the activations that take a negative_slope: PyTorch's."""
SMALLEST_SLOPE = 1e-6
"""A few layers multiplied by it must leave float range neither themselves nor squared."""
SMALLEST_MEAN = 1e-6


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


def _none_yet() -> list[object]:
    """No value of a sweep; pydantic takes a millisecond to find what `list` itself accepts."""
    return []


def swept(path: str) -> Any:
    """A field of the sweep: the values to try at that dotted path."""
    meaning, allowed = f"Values of {path} to try", "a list of one or more distinct values"
    return described(meaning, allowed, default_factory=_none_yet, alias=path, min_length=1)


def when(kind: Any, path: str) -> Any:
    """A field that holds the one value of that type which selects conditions at a dotted path."""
    _, _, allowed = kind.__metadata__[0].description.removesuffix(".").partition(": ")
    return described(f"Value of {path}", allowed, default_factory=lambda: None, alias=path)


NAME = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
WIDTH = "an integer from 1 to 65536, or a list of one for each hidden layer"
SLOPE = "a number from -1000 to 1000, or for prelu a list of one for each hidden layer"
KAIMING_SLOPE = "a number from -1000 to 1000"
GAIN = f"a number above 0 and at most 1000000, or one of {', '.join(get_args(GainWord))}"
SCALE = "a number above 0 and at most 1e12"
NONLINEARITY = (
    f"one of {', '.join(get_args(Nonlinearity))}, which PyTorch knows; for any other activation "
    "give gain: second_moment"
)
RANGE = "null or a list of two numbers from -1000000 to 1000000, the lower first"
SWEEP = "a mapping from dotted paths to lists of values"
ACTIVATION = (
    f"one of {', '.join(get_args(ActivationName))}, "
    "or a mapping like {name: leaky_relu, negative_slope: 0.2}"
)
BIAS = "a number of at least 0"
OFFSET = "a number from -1000000 to 1000000"
EXPECT = "a mapping like {forward: stable, when: {init.variance: 0.02}}, or a list of at most 1000"
WHEN = "a mapping from dotted paths to one value each"
MEAN = "a number from -1e6 to 1e6, 0 or at least 1e-6 in size"
DIGESTS = "a mapping from paths to 64 digits of 0-9, a-f"
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
Bias = Annotated[float, described("Constant in all biases, their mean", OFFSET, ge=-1e6, le=1e6)]
BiasVariance = Annotated[float, described("Variance of all biases, σ²_b", BIAS, ge=0)]
SchemeName = Annotated[Scheme, described("How fans set σ²_Ω", f"one of {', '.join(SCHEMES)}")]
ModeName = Annotated[Mode, choice("Fan to divide by, if not the scheme's", Mode)]
Scale = Annotated[
    float, described("Factor of the variance in variance_scaling, 1", SCALE, gt=0, le=1e12)
]
Gain = Annotated[
    Annotated[float, Field(gt=0, le=1e6), Tag("<one>")] | Annotated[GainWord, Tag("<word>")],
    described("Square root of the scale, if not the scheme's; or a convention for it", GAIN),
    Discriminator(lambda gain: "<word>" if str(gain)[:1].isalpha() else "<one>"),
]
KaimingSlope = Annotated[
    float,
    described("Slope below zero that kaiming_* is told", KAIMING_SLOPE, ge=-1000, le=1000),
]
KaimingNonlinearity = Annotated[
    Nonlinearity, described("Activation that PyTorch's kaiming_* is told of", NONLINEARITY)
]
Tolerance = Annotated[
    float, described("How near 1 lsuv brings each variance, 0.1", "a number above 0", gt=0)
]
Attempts = Annotated[int, integer("Divisions that lsuv tries at most, 10", 1, 1000)]
WeightDistribution = Annotated[
    DistributionName,
    choice("How weights are drawn, if not as the scheme says", DistributionName),
]
InputDistribution = Annotated[
    input_options.InputDistribution,
    choice("How inputs are drawn", input_options.InputDistribution),
]
Normalisation = Annotated[
    input_options.Normalisation,
    choice("What their mean and std are taken of, to be 0 and 1", input_options.Normalisation),
]
Mean = Annotated[
    float,
    described("Mean of every component of normal, uniform, constant", MEAN, ge=-1e6, le=1e6),
]
Std = Annotated[
    float,
    described(
        "Standard deviation of normal, uniform", "a number from 1e-6 to 1e6", ge=1e-6, le=1e6
    ),
]
Density = Annotated[
    float,
    described(
        "Probability that a component of sparse is not 0", "a number from 1e-6 to 1", ge=1e-6, le=1
    ),
]
Cosine = Annotated[
    float, described("Cosine between the two of a pair", "a number from -1 to 1", ge=-1, le=1)
]
DataPath = Annotated[str, described("Data file, one example a row", "the path of a .npy or .csv")]
Digests = Annotated[dict[str, str], described("SHA-256 of data files, to be sure of them", DIGESTS)]
Count = Annotated[int, integer("Inputs in the batch", 1, 1_000_000)]
LossName = Annotated[Literal["least_squares"], described("Name of the loss", "least_squares")]
Target = Annotated[float, described("Target of every output, y", "a finite number")]
Histograms = Annotated[
    Bins,
    described("Bins to count the numbers of every layer in", "null, decades or std"),
]
Recorded = Annotated[bool, described("Cosines between inputs, layer by layer", "true or false")]
Kind = Annotated[FigureKind, choice("Kind of figure", FigureKind)]
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
