"""The types of all settings of a config, each annotated with its meaning and its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Tag

from heinit_sim.config.arithmetic import NAMES
from heinit_sim.config.schema.annotations import (
    ONE_OR_LIST,
    Limits,
    OneOrList,
    Setting,
    choice,
    in_words,
    integer,
    number,
    written,
)
from heinit_sim.experiment.activation_table import (
    DEFAULT_FREQUENCIES,
    DEFAULT_SLOPES,
    ActivationName,
    Nonlinearity,
)
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.initializers import (
    SCHEMES,
    BiasScheme,
    ElementLaw,
    GainWord,
    Mode,
    OrthogonalLaw,
)
from heinit_sim.experiment.inputs import InputDistribution as LawName
from heinit_sim.experiment.inputs import Normalisation as Axes
from heinit_sim.experiment.number_formats import FormatName
from heinit_sim.experiment.quantities import Bins, Growth
from heinit_sim.experiment.steps import NormKind
from heinit_sim.experiment.steps import Padding as PaddingName
from heinit_sim.experiment.steps import Readout as ReadoutName
from heinit_sim.experiment.sweep_config import (
    STREAM_VERSION,
    DecimalMark,
    DrawsName,
    EngineName,
    FigureFormat,
    FigurePanels,
    FigureQuantity,
    FigureSize,
    FigureTheme,
    OptimiserName,
    PublishedCurves,
    SlopeQuantity,
)
from heinit_sim.experiment.sweep_config import LossName as LossWord

if TYPE_CHECKING:
    FigureKind = str
    Scheme = str
else:
    FigureKind = Literal[tuple(FIGURE_KINDS)]
    Scheme = Literal[tuple(SCHEMES)]
BY_HIDDEN_LAYER = "a list of one for each hidden layer"

# The run

NAME = Limits(
    "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first",
    pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
)
Name = Annotated[str, Setting("Name of the run directory", NAME)]
Trials = Annotated[int, Setting("Independent networks per condition", integer(1, 1_000_000))]
Seed = Annotated[int, Setting("Seed of all random numbers", integer(0, 2**63 - 1))]
CURRENT = Limits(str(STREAM_VERSION), ge=STREAM_VERSION, le=STREAM_VERSION)
StreamVersion = Annotated[int, Setting("Version of the numbers that a seed gives", CURRENT)]
Draws = Annotated[DrawsName, Setting("Random numbers of the conditions", DrawsName)]
Engine = Annotated[
    EngineName, Setting("Whether weights are formed, or only what they do is drawn", EngineName)
]

# The network

NetworkKind = Literal["dense", "cnn"]
Kind = Annotated[
    NetworkKind,
    Setting("What hidden layers are, fully connected or convolutions", NetworkKind, swept=False),
]
UNITS = integer(1, 65_536)
LAYER_UNITS = f"{UNITS}, or {BY_HIDDEN_LAYER} or stage"
WIDTH = Limits(
    f"an integer from 1 to 10000000, above {UNITS.bounds['le']} by engine: conditional",
    **{**UNITS.bounds, "le": 10_000_000},
)
LAYER_WIDTH = f"{WIDTH}, or {BY_HIDDEN_LAYER} or stage"
Units = Annotated[int, UNITS]
DEPTH = integer(1, 100_000)
Depth = Annotated[int, Setting("Hidden layers, K", DEPTH)]
_Width = OneOrList[Annotated[int, WIDTH]]
Width = Annotated[_Width, Setting("Units of every hidden layer, D_h", LAYER_WIDTH)]
InputDim = Annotated[int, Setting("Inputs of the network, D_i", WIDTH)]
OutputDim = Annotated[int, Setting("Outputs of the network, D_o", WIDTH)]

MAX_UNITS = 2**24
"""Units of a layer of convolutions at most: an image of 4096 × 4096."""
SIDE = integer(1, 4096)
SIDES = f"a list of one or two integers {in_words(**SIDE.bounds)}, [length] or [height, width]"
Image = Annotated[
    list[Annotated[int, SIDE]],
    Setting("Positions along each dimension", Limits(SIDES, min_length=1, max_length=2)),
]
KERNEL = integer(1, 8191)
Kernel = Annotated[int, Setting("Positions that a kernel spans, k", KERNEL)]
Channels = Annotated[OneOrList[Units], Setting("Channels of every hidden layer", LAYER_UNITS)]
InputChannels = Annotated[int, Setting("Channels of the image, 1", UNITS)]
Padding = Annotated[PaddingName, Setting("What is beyond the edge, zero", PaddingName)]
Readout = Annotated[ReadoutName, Setting("What the output layer sees, flatten", ReadoutName)]

Function = Annotated[ActivationName, Setting("The function", ActivationName, swept=False)]
SMALLEST_SLOPE = 1e-6
"""A few layers multiplied by it must leave float range neither themselves nor squared."""
SLOPE = number(ge=-1000, le=1000)
SLOPED = ", or ".join(f"{name}, {slope}" for name, slope in DEFAULT_SLOPES.items())
Slope = Annotated[
    OneOrList[Annotated[float, SLOPE]],
    Setting(f"Slope below zero of {SLOPED}", f"{SLOPE}, or for prelu {BY_HIDDEN_LAYER}"),
]
FREQUENCY = number(ge=1e-6, le=1e6)
SINES = " and ".join(DEFAULT_FREQUENCIES)
Frequency = Annotated[float, Setting(f"Frequency ω of {SINES}, 1", FREQUENCY)]

# Steps of a layer

EXPAND = number(gt=0, le=1000, by_layer=True)
Expand = Annotated[float, Setting("Units as a multiple of the width; not of the last", EXPAND)]
StepKernel = Annotated[int, Setting("Positions that a kernel spans, if not the network's", KERNEL)]
Stride = Annotated[int, Setting("Positions from one output to the next, 1", SIDE)]
Groups = Annotated[int, Setting("Parts of the channels, each connected with its own, 1", UNITS)]
Norm = Annotated[NormKind, Setting("What numbers are normalised together", NormKind)]
Rate = Annotated[float, Setting("Probability of 0", number(ge=0, lt=1))]
Heads = Annotated[int, Setting("Heads, equal parts of the width", UNITS)]
Causal = Annotated[
    bool, Setting("Whether a token sees itself and those before it alone", "true or false")
]
SMALLEST_FACTOR = 1e-6
FACTOR = number(
    f", 0 or at least {written(SMALLEST_FACTOR)} in size", by_layer=True, ge=-1000, le=1000
)
FACTORS = f"{FACTOR}, or a list of one for each block"
_Factor = OneOrList[Annotated[float, FACTOR]]
AddScale = Annotated[_Factor, Setting("Factor of what the branch adds, s", FACTORS)]
AddSkip = Annotated[_Factor, Setting("Factor of what entered, α", FACTORS)]
Repeat = Annotated[int, Setting("Blocks of the stage", integer(1, 100_000))]

# Weights and biases

DistributionName = Literal[ElementLaw, "untruncated_normal", OrthogonalLaw]
Variance = Annotated[float, Setting("Variance of all weights, σ²_Ω", number(gt=0, by_layer=True))]
SchemeName = Annotated[Scheme, Setting("How fans set σ²_Ω", Scheme)]
Scale = Annotated[
    float,
    Setting("Factor of the variance in variance_scaling, 1", number(gt=0, le=1e12, by_layer=True)),
]
ModeName = Annotated[Mode, Setting("Fan to divide by, if not the scheme's", Mode)]
GAIN = number(gt=0, le=1_000_000, by_layer=True)


def _is_word(given: object) -> bool:
    return isinstance(given, str) and given.isidentifier() and given not in NAMES


GAINS = f"{GAIN}, or {choice(GainWord)}"
Gain = Annotated[
    Annotated[float, GAIN, Tag("<one>")] | Annotated[GainWord, Tag("<word>")],
    Discriminator(lambda gain: "<word>" if _is_word(gain) else "<one>"),
    Setting("Square root of the scale, if not the scheme's; or a convention for it", GAINS),
]
KaimingSlope = Annotated[float, Setting("Slope below zero that kaiming_* is told", SLOPE)]
TORCH = f"{choice(Nonlinearity)}, which PyTorch knows; for any other activation give gain"
KaimingNonlinearity = Annotated[
    Nonlinearity,
    Setting("Activation that PyTorch's kaiming_* is told of", f"{TORCH}: second_moment"),
]
WeightDistribution = Annotated[
    DistributionName,
    Setting("How weights are drawn, if not as the scheme says", DistributionName),
]
Cut = Annotated[
    float,
    Setting("Standard deviations at which truncated_normal is cut off, 2", number(ge=0.5, le=1000)),
]
BIAS = number(ge=-1_000_000, le=1_000_000, by_layer=True)
WeightMean = Annotated[float, Setting("Mean of all weights, 0", BIAS)]
Sparsity = Annotated[
    float, Setting("Share of zeros in each column of sparse weights", number(ge=0, le=1))
]
Tolerance = Annotated[float, Setting("How near 1 lsuv brings each variance, 0.1", number(gt=0))]
Attempts = Annotated[int, Setting("Divisions that lsuv tries at most, 10", integer(1, 1000))]
Centre = Annotated[
    bool, Setting("Whether lsuv moves biases until each unit's mean is 0, false", "true or false")
]
Bias = Annotated[float, Setting("Constant in all biases, their mean", BIAS)]
BiasVariance = Annotated[
    float, Setting("Variance of all biases, σ²_b", number(ge=0, by_layer=True))
]
BiasSchemeName = Annotated[
    BiasScheme, Setting("How fan_in sets the ends of uniform biases: ±1/√fan_in", BiasScheme)
]

# Inputs and loss

InputDistribution = Annotated[LawName, Setting("How inputs are drawn", LawName)]
SMALLEST_MEAN = 1e-6
MEAN = number(f", 0 or at least {written(SMALLEST_MEAN)} in size", ge=-1e6, le=1e6)
Mean = Annotated[float, Setting("Mean of every component of normal, uniform, constant", MEAN)]
Std = Annotated[float, Setting("Standard deviation of normal, uniform", number(ge=1e-6, le=1e6))]
Density = Annotated[
    float, Setting("Probability that a component of sparse is not 0", number(ge=1e-6, le=1))
]
Cosine = Annotated[float, Setting("Cosine between the two of a pair", number(ge=-1, le=1))]
DataPath = Annotated[str, Setting("Data file, one example a row", "the path of a .npy or .csv")]
DIGESTS = "a mapping from paths to 64 digits of 0-9, a-f"
Digests = Annotated[
    dict[str, str], Setting("SHA-256 of data files, to be sure of them", DIGESTS, swept=False)
]
Normalisation = Annotated[
    Axes, Setting("What their mean and std are taken of, to be 0 and 1", Axes)
]
Count = Annotated[int, Setting("Inputs in the batch", integer(1, 1_000_000))]
Tokens = Annotated[
    int, Setting("Tokens of each input, which is a sequence of them", integer(1, 65_536))
]
LossName = Annotated[LossWord, Setting("Name of the loss", LossWord)]
Target = Annotated[float, Setting("Target of every output, y, of least_squares", "a finite number")]

# What is recorded, drawn and expected

Histograms = Annotated[
    Bins, Setting("Bins to count the numbers of every layer in", "null, decades or std")
]
Recorded = Annotated[bool, Setting("Cosines between inputs, layer by layer", "true or false")]
RecordedUnits = Annotated[
    bool, Setting("Units that are off or saturated, directions that are left", "true or false")
]
RecordedRange = Annotated[
    bool, Setting("Numbers that formats of fewer bits cannot hold", "true or false")
]
JacobianRecorded = Annotated[
    bool, Setting("Size and singular values of ∂f_K/∂x of the first input", "true or false")
]
BatchGradient = Annotated[
    bool, Setting("Gradients of the mean of the loss over the batch", "true or false")
]
RATE = number(ge=0, le=1e12, by_layer=True)
LearningRate = Annotated[float, Setting("Learning rate of all weights, η", RATE)]
FirstRate = Annotated[float, Setting("Learning rate of layer 0, if it has its own", RATE)]
LastRate = Annotated[float, Setting("Learning rate of layer K, if it has its own", RATE)]
BiasRate = Annotated[
    float, Setting("Learning rate of all biases, if not that of the weights beside them", RATE)
]
Optimiser = Annotated[OptimiserName, Setting("Optimiser that takes the step", OptimiserName)]
FigureName = Annotated[FigureKind, Setting("Kind of figure", FigureKind)]
ShownQuantity = Annotated[FigureQuantity, Setting("What is drawn", FigureQuantity)]
DECADE = number(ge=-1_000_000, le=1_000_000)
RANGE = f"null or a list of two numbers {in_words(**DECADE.bounds)}, the lower first"
Decades = Annotated[
    list[Annotated[float, DECADE]],
    Setting("Range of the value axes, in decades", Limits(RANGE, min_length=2, max_length=2)),
]
Overlay = Annotated[
    PublishedCurves, Setting("Published curves drawn on top", f"null or {choice(PublishedCurves)}")
]
ShownLimits = Annotated[
    FormatName, Setting("Format whose ends are drawn", f"null or {choice(FormatName)}")
]
TEXT = Limits("a text of 1 to 200 characters", min_length=1, max_length=200)
Theme = Annotated[FigureTheme, Setting("Ground that it is shown on", FigureTheme)]
INCHES = number(ge=1.5, le=50)
SIZES = f"{choice(FigureSize)}, or a list of two numbers {in_words(**INCHES.bounds)}"
Size = Annotated[
    Annotated[
        list[Annotated[float, INCHES]], Tag("<list>"), Limits(SIZES, min_length=2, max_length=2)
    ]
    | Annotated[FigureSize, Tag("<word>")],
    Discriminator(lambda size: "<list>" if isinstance(size, list) else "<word>"),
    Setting("Width and height, by name or in inches", SIZES),
]
Font = Annotated[str, Setting("Family of the font, one that matplotlib finds", TEXT)]
FontSize = Annotated[float, Setting("Points of the text as printed", number(ge=4, le=72))]
Panels = Annotated[FigurePanels, Setting("Passes that are drawn", FigurePanels)]
LABELS = "a mapping from swept values to labels, or a list of labels for the first swept key"
Labels = Annotated[
    Annotated[list[Annotated[str, TEXT]], Tag("<list>")]
    | Annotated[dict[str, Annotated[str, TEXT]], Tag("<one>")],
    ONE_OR_LIST,
    Setting("Labels of swept values", f"{LABELS}, each {TEXT}"),
]
_SweptValue = Annotated[
    Annotated[float, Tag("<number>")] | Annotated[str, Tag("<word>")],
    Discriminator(lambda value: "<number>" if isinstance(value, int | float) else "<word>"),
]
Order = Annotated[
    OneOrList[_SweptValue],
    Setting(
        "Swept values whose conditions `plot --builds` shows first",
        "a swept value, or a list of them",
    ),
]
Title = Annotated[str, Setting("Title of the figure", TEXT)]
COLORS = "the name of a colour map, or a list of colours, one for each condition"
Colors = Annotated[
    OneOrList[Annotated[str, TEXT]],
    Setting("Colours of the conditions, as matplotlib names them", COLORS),
]
Decimal = Annotated[DecimalMark, Setting("Decimal mark", "'.' or ','")]
Style = Annotated[str, Setting("Style of matplotlib, by name or FILE.mplstyle", TEXT)]
FORMATS = f"{choice(FigureFormat)}, or a list of distinct ones"
Formats = Annotated[
    Annotated[FigureFormat, Tag("<one>")]
    | Annotated[list[FigureFormat], Tag("<list>"), Limits(FORMATS, min_length=1)],
    ONE_OR_LIST,
    Setting("Formats of its files", FORMATS),
]
Dpi = Annotated[int, Setting("Pixels per inch of a PNG", integer(30, 1200))]
SvgText = Annotated[bool, Setting("Whether text of an SVG stays text", "true or false")]
ForwardWord = Annotated[Growth, Setting("Verdict on the forward pass", Growth)]
BackwardWord = Annotated[Growth, Setting("Verdict on the backward pass", Growth)]
SLOPE_SIZE = Limits("a number that is not below 0", ge=0)
DecadesPerLayer = Annotated[float, Setting("Largest slope of either pass, in size", SLOPE_SIZE)]
SlopingQuantity = Annotated[
    SlopeQuantity, Setting("What should be as large at any width", SlopeQuantity)
]
Within = Annotated[
    float, Setting("Largest size of the slope, log2 per doubling", number(gt=0, le=1000))
]
LAYER = integer(0, 100_000)
LAYERS = f"{LAYER}, or a list of them"
SlopingLayers = Annotated[
    Annotated[int, LAYER, Tag("<one>")]
    | Annotated[list[Annotated[int, LAYER]], Tag("<list>"), Limits(LAYERS, min_length=1)],
    ONE_OR_LIST,
    Setting("Layers that it is held at, all of them", LAYERS),
]
