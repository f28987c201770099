"""(scale, mode, fans) -> σ²_Ω, and the distribution weights are drawn from. Schemes are data."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from heinit_sim.experiment.activation_table import ALIASES, TABLE

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
ElementLaw = Literal["normal", "uniform", "truncated_normal", "truncated_normal_uncorrected"]
OrthogonalLaw = Literal["orthogonal", "delta_orthogonal"]
Distribution = Literal[ElementLaw, OrthogonalLaw, "sparse", "identity"]
BiasScheme = Literal["torch"]

CUT = 2.0
"""Standard deviations at which a truncated normal is cut off, if nothing else is said."""
TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of N(0, 1) cut off at ±2, by which Keras and JAX divide; TensorFlow 1 and
PyTorch's trunc_normal_ do not."""


def truncated_std(cut: float = CUT) -> float:
    """Standard deviation of N(0, 1) cut off at ±c: √(1 − 2c φ(c)/(2Φ(c) − 1))."""
    if cut == CUT:
        return TRUNCATED_STD
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * cut * density / math.erf(cut / math.sqrt(2)))


def kept_share(distribution: Distribution, cut: float = CUT) -> float:
    """Share of the variance asked for that a distribution has: an uncorrected truncation loses."""
    return truncated_std(cut) ** 2 if distribution == "truncated_normal_uncorrected" else 1.0


def zeros_in_column(sparsity: float, rows: int) -> int:
    """Zeros among the weights that leave one unit, as `torch.nn.init.sparse_` rounds them."""
    return math.ceil(sparsity * rows)


class Scheme(NamedTuple):
    """A named initialisation; `scale` multiplies the variance, a gain is √scale."""

    scale: float
    mode: Mode
    distribution: Distribution
    name: str
    """As literature calls it."""
    first: float | None = None
    """σ²_Ω times fan_in² of layer 0, if that follows another rule."""
    by_frequency: bool = False
    """Whether that of the other layers is divided by ω², the squared frequency of a sine."""


def _both(scale: float, mode: Mode, *names: str) -> dict[str, Scheme]:
    """A scheme with normal and one with uniform weights, under each of its authors' names."""
    kinds: tuple[Distribution, ...] = ("normal", "uniform")
    return {
        f"{name.lower()}_{kind}": Scheme(scale, mode, kind, f"{name} {kind}")
        for name in names
        for kind in kinds
    }


SCHEMES: dict[str, Scheme] = {
    **_both(2.0, "fan_in", "He", "Kaiming"),  # He et al. 2015, eq. 10: rectifiers
    **_both(1.0, "fan_avg", "Xavier", "Glorot"),  # Glorot & Bengio 2010, eq. 12 and 16
    **_both(1.0, "fan_in", "LeCun"),  # LeCun et al. 1998, sec. 4.6
    # kaiming_uniform_, a = √5
    "torch_linear_default": Scheme(1 / 3, "fan_in", "uniform", "PyTorch's default"),
    "keras_default": Scheme(1.0, "fan_avg", "uniform", "Keras' default"),  # Dense: glorot_uniform
    # Flax Dense: lecun_normal
    "jax_default": Scheme(1.0, "fan_in", "truncated_normal", "JAX' default"),
    # Mishkin & Matas 2016: what it starts from
    "lsuv": Scheme(1.0, "fan_in", "orthogonal", "LSUV"),
    # of Keras and JAX
    "variance_scaling": Scheme(1.0, "fan_in", "truncated_normal", "variance scaling"),
    # Saxe et al. 2014; fan: the larger one
    "orthogonal": Scheme(1.0, "fan_in", "orthogonal", "orthogonal"),
    # Sitzmann et al. 2020, sec. 3.2: U(±1/fan_in), then U(±√(6/fan_in)/ω)
    "siren": Scheme(2.0, "fan_in", "uniform", "SIREN", first=1 / 3, by_frequency=True),
    # what torch.nn.init calls so; of sparse the usual std, of constant a mean is given
    "zeros": Scheme(0.0, "fan_in", "normal", "zeros"),
    "constant": Scheme(0.0, "fan_in", "normal", "constant"),
    "identity": Scheme(1.0, "fan_in", "identity", "identity"),
    "sparse": Scheme(1e-4, "fan_in", "sparse", "sparse"),
    # Xiao et al. 2018
    "delta_orthogonal": Scheme(1.0, "fan_in", "delta_orthogonal", "delta-orthogonal"),
}


def weight_variance(
    scale: float,
    mode: Mode,
    fan_in: int,
    fan_out: int,
    distribution: Distribution = "normal",
    taps: int = 1,
    cut: float = CUT,
    sparsity: float = 0.0,
) -> float:
    """σ²_Ω = scale / fan, with fan = fan_in, fan_out, or their arithmetic or geometric mean.

    Args:
        scale: Factor of the variance, the square of the gain.
        mode: Which fan the variance is divided by.
        fan_in: D_k, columns of Ω_k; k² c_in of a convolution.
        fan_out: D_{k+1}, rows of Ω_k; k² c_out of a convolution.
        distribution: Of the weights. Orthogonal rows or columns, whichever are fewer, of norm
            √scale have the larger number of them in place of the mode's fan: of c_out rows and
            k² c_in columns, or of c_out and c_in in the centre of the kernel alone, where σ²_Ω is
            the mean square over all of it. An uncorrected truncation loses variance.
        taps: k², weights of one kernel; 1 of a fully connected layer.
        cut: Standard deviations at which a truncated normal is cut off.
        sparsity: Share of zeros in each column of sparse weights, whose scale is the variance of
            the others. Identity has the variance that delta-orthogonal weights have.

    Source: He et al. 2015, eq. 10 and 14; Glorot & Bengio 2010, eq. 12; Xiao et al. 2018.
    """
    if distribution == "orthogonal":
        return scale / max(fan_in, fan_out // taps)
    if distribution == "sparse":
        rows = fan_out // taps
        return scale * (1 - zeros_in_column(sparsity, rows) / rows)
    if distribution in ("delta_orthogonal", "identity"):  # 1/max(c_in, c_out) in one of the taps
        return scale / max(fan_in, fan_out)
    fan = {
        "fan_in": fan_in,
        "fan_out": fan_out,
        "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo_avg": math.sqrt(fan_in * fan_out),
    }[mode]
    return scale / fan * kept_share(distribution, cut)


GainWord = Literal["second_moment", "std", "pytorch"]


def pytorch_squared_gain(nonlinearity: str, negative_slope: float) -> float:
    """The square of `torch.nn.init.calculate_gain`.

    Args:
        nonlinearity: Name of an activation whose gain PyTorch knows.
        negative_slope: α, heeded by leaky_relu alone: 2/(1 + α²).
    """
    square = TABLE[nonlinearity].torch_squared_gain
    assert square is not None  # a `Nonlinearity` has one
    return square(negative_slope) if callable(square) else square


def squared_gain(
    word: GainWord, activation: str, options: Mapping[str, object] | None = None
) -> float | None:
    """The square of the gain that suits an activation at pre-activations of variance 1.

    Args:
        word: The convention: second_moment, 1/E[a²]; std, 1/Var[a]; pytorch, calculate_gain's.
        activation: Its name.
        options: What it takes, as `activations.make_activation` has it.

    Returns:
        The square, or None where the activation has no such gain: PyTorch's table lacks it, or
        its slope below zero is another in each layer.
    """
    name = ALIASES.get(activation, activation)
    option = next(iter((options or {}).values()), TABLE[name].frequency or 0.0)
    if not isinstance(option, float | int):
        return None
    if word == "pytorch":
        known = TABLE[name].torch_squared_gain is not None
        return pytorch_squared_gain(name, option) if known else None
    moments = TABLE[name].moments
    moments = moments(option) if callable(moments) else moments
    return 1 / (moments.second if word == "second_moment" else moments.variance)
