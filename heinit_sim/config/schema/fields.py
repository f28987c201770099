"""The kinds of value that a config holds: their limits, and the words messages quote for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from heinit_sim.experiment import architecture, inputs
from heinit_sim.experiment.activation_table import ActivationName, Nonlinearity
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.initializers import SCHEMES, GainWord, Mode
from heinit_sim.experiment.quantities import Bins
from heinit_sim.experiment.sweep_config import FigureQuantity

if TYPE_CHECKING:
    FigureKind = str
    Scheme = str
else:
    FigureKind = Literal[tuple(FIGURE_KINDS)]
    Scheme = Literal[tuple(SCHEMES)]
DistributionName = Literal[
    "normal",
    "uniform",
    "truncated_normal",
    "truncated_normal_uncorrected",
    "untruncated_normal",
    "orthogonal",
    "delta_orthogonal",
]
Draws = Literal["common", "independent"]
Word = Literal["vanishing", "stable", "exploding"]
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
    inputs.InputDistribution,
    choice("How inputs are drawn", inputs.InputDistribution),
]
Normalisation = Annotated[
    inputs.Normalisation,
    choice("What their mean and std are taken of, to be 0 and 1", inputs.Normalisation),
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
ShownQuantity = Annotated[FigureQuantity, choice("What is drawn", FigureQuantity)]
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

NetworkKind = Literal["dense", "cnn"]
DEFAULT_KIND: NetworkKind = "dense"
ScaleWord = Literal["1/sqrt(depth)"]
"""s = 1/√L of L = K − 1 blocks."""
MAX_UNITS = 2**24
"""Of a layer of convolutions: an image of 4096 × 4096."""

IMAGE = "a list of one or two integers from 1 to 4096, [length] or [height, width]"
KERNEL = "an odd integer from 1 to 8191"
CHANNELS = "an integer from 1 to 65536, or a list of one for each hidden layer"
BLOCK_SCALE = "a number from 1e-6 to 1000, or 1/sqrt(depth)"

HiddenKind = Annotated[
    NetworkKind, choice("What hidden layers are, fully connected or convolutions", NetworkKind)
]
Image = Annotated[
    list[Annotated[int, Field(ge=1, le=4096)]],
    described("Positions along each dimension", IMAGE, min_length=1, max_length=2),
]
Kernel = Annotated[int, described("Positions that a kernel spans, k", KERNEL, ge=1, le=8191)]
Channels = Annotated[
    Annotated[Units, Tag("<one>")] | Annotated[list[Units], Tag("<list>")],
    described("Channels of every hidden layer", CHANNELS),
    Discriminator(lambda channels: "<list>" if isinstance(channels, list) else "<one>"),
]
InputChannels = Annotated[int, integer("Channels of the image, 1", 1, 65_536)]
Padding = Annotated[
    architecture.Padding, choice("What is beyond the edge, zero", architecture.Padding)
]
Readout = Annotated[
    architecture.Readout, choice("What the output layer sees, flatten", architecture.Readout)
]


def _is_word(scale: object) -> bool:
    return isinstance(scale, str) and ("/" in scale or scale[:1].isalpha())


BlockScale = Annotated[
    Annotated[float, Field(ge=1e-6, le=1000), Tag("<one>")] | Annotated[ScaleWord, Tag("<word>")],
    described("Factor of what a block adds, s", BLOCK_SCALE),
    Discriminator(lambda scale: "<word>" if _is_word(scale) else "<one>"),
]
BranchLayers = Annotated[int, integer("Weight layers of a block", 1, 2)]
Norm = Annotated[
    architecture.Norm, choice("Where a block has layer normalisation", architecture.Norm)
]
ZeroLast = Annotated[
    bool, described("Whether the last weights of every block are 0", "true or false")
]


def relation(text: str, *at: str | int) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


class Section(BaseModel):
    """What all parts of a config have in common: typed strictly, and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


def hashable(value: object) -> object:
    """The value of a field as one that can be looked up: equal where the values are."""
    if isinstance(value, Section):
        return tuple(map(hashable, vars(value).values()))
    return tuple(map(hashable, value)) if isinstance(value, list) else value
