"""Activations by name: a(z), a'(z), and what is known of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial

import numpy as np

from heinit_sim.experiment.activation_table import ALIASES, Activation, Slope
from heinit_sim.experiment.steps import Activate, Gate, Row, Step, activates_in, by_layer, changed
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.special_functions import cumulative, cumulative_and_density, erf

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""λ and α that make N(0, 1) a fixed point of mean and variance (Klambauer et al. 2017)."""


def curved(
    a: Callable[[FloatArray], FloatArray],
    derivative: Callable[[FloatArray], FloatArray | Mask],
    *kinks: float,
    together: Callable[[FloatArray, FloatArray], FloatArray] | None = None,
) -> Activation:
    """An activation that is not homogeneous, from its plain function and derivative."""
    return Activation(partial(_put, a), derivative, kinks=kinks, together=together)


def _put(a: Callable[[FloatArray], FloatArray], z: FloatArray, out: FloatArray) -> FloatArray:
    out[...] = a(z)
    return out


def _rectified(z: FloatArray, out: FloatArray) -> FloatArray:
    """The larger of z and 0; NumPy compares with an array four times as fast as with a number."""
    out.fill(0.0)
    return np.maximum(z, out, out=out)


def _leaky_relu(negative_slope: float) -> Activation:
    def derivative(z: FloatArray) -> FloatArray:
        return np.where(z > 0.0, 1.0, negative_slope)

    def value(z: FloatArray, out: FloatArray) -> FloatArray:
        return np.multiply(z, derivative(z), out=out)

    return Activation(value, derivative, negative_slope, (0.0,))


def _prelu(negative_slope: Slope) -> Activation:
    """A leaky ReLU whose slope may be another in each layer, as training makes it."""
    if isinstance(negative_slope, float | int):
        return _leaky_relu(negative_slope)
    layers = tuple(_leaky_relu(slope) for slope in negative_slope)
    return replace(layers[0], negative_slope=tuple(negative_slope), by_layer=layers)


def _sigmoid(z: FloatArray) -> FloatArray:
    """exp(min(z, 0))/(1 + exp(−|z|)): nothing overflows, and no number is chosen by its sign."""
    total = np.abs(z, out=np.empty_like(z))
    np.exp(np.negative(total, out=total), out=total)
    total += 1.0
    s = np.minimum(z, 0.0, out=np.empty_like(z))
    return np.divide(np.exp(s, out=s), total, out=s)


def _silu(z: FloatArray, out: FloatArray) -> FloatArray:
    """SiLU z σ(z), and its slope σ(z) (1 + z σ(−z))."""
    above = _rectified(z, np.empty_like(z))
    s = z - above
    np.exp(s, out=s)
    slope = np.exp(np.negative(above, out=above), out=above)  # one of them is 1
    total = s + slope
    s /= total
    slope /= total
    np.multiply(z, s, out=out)
    slope *= z
    slope += 1.0
    slope *= s
    return slope


def _gelu(z: FloatArray, out: FloatArray) -> FloatArray:
    """GELU z Φ(z), and its slope Φ(z) + z φ(z)."""
    below, bell = cumulative_and_density(z)
    np.multiply(z, below, out=out)
    bell *= z
    below += bell
    return below


def _sech2(z: FloatArray) -> FloatArray:
    """1 − tanh², without cancelling where tanh is flat."""
    e = np.abs(z)
    e *= -2.0
    np.exp(e, out=e)
    total = e + 1.0
    e /= np.square(total, out=total)
    e *= 4.0
    return e


def _softplus(z: FloatArray) -> FloatArray:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _mish_slope(z: FloatArray) -> FloatArray:
    return np.tanh(_softplus(z)) + z * _sech2(_softplus(z)) * _sigmoid(z)


def _gelu_tanh_argument(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The argument of tanh, and its derivative; both are flat long before |z| = 50."""
    z = np.clip(z, -50.0, 50.0)
    scale = np.sqrt(2 / np.pi)
    part = 0.044715 * z**2
    return scale * z * (1 + part), scale * (1 + 3 * part)


def _gelu_tanh(z: FloatArray, out: FloatArray) -> FloatArray:
    """GELU with tanh, z σ(2u), and its slope."""
    u, du = _gelu_tanh_argument(z)
    slope = _sigmoid(2.0 * u)
    np.multiply(z, slope, out=out)
    slope += 0.5 * z * _sech2(u) * du
    return slope


def _elu(z: FloatArray, alpha: float = 1.0) -> FloatArray:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def _selu_slope(z: FloatArray) -> FloatArray:
    return SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0.0)))


def _erf_slope(z: FloatArray) -> FloatArray:
    return np.exp(-np.square(np.clip(z, -40.0, 40.0))) * (2 / math.sqrt(math.pi))


# Quadrants of a sine up to where E[g(√q z)] no longer depends on q: see `quadrature`.
_QUADRANTS = np.arange(-60, 61) * np.pi / 2


@cache
def _sine(frequency: float = 1.0) -> Activation:
    """A sine of frequency ω (Sitzmann et al. 2020, Implicit neural representations)."""

    def value(z: FloatArray, out: FloatArray) -> FloatArray:
        return np.sin(frequency * z, out=out)

    def derivative(z: FloatArray) -> FloatArray:
        return frequency * np.cos(frequency * z)

    kinks = tuple((_QUADRANTS / frequency).tolist())
    return Activation(value, derivative, kinks=kinks, period=2 * math.pi / frequency)


RELU = Activation(_rectified, lambda z: z > 0.0, 0.0, (0.0,))
LINEAR = Activation(lambda z, out: np.positive(z, out=out), lambda z: np.ones_like(z, bool), 1.0)
_ACTIVATIONS: dict[str, Activation] = {
    "relu": RELU,
    "linear": LINEAR,
    "tanh": Activation(lambda z, out: np.tanh(z, out=out), _sech2),
    "sigmoid": curved(_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "erf": curved(erf, _erf_slope),
    "hard_tanh": curved(lambda z: np.clip(z, -1, 1), lambda z: (z > -1) & (z <= 1), -1.0, 1.0),
    "softsign": curved(lambda z: z / (1 + np.abs(z)), lambda z: (1 / (1 + np.abs(z))) ** 2, 0.0),
    "elu": curved(_elu, lambda z: np.exp(np.minimum(z, 0.0)), 0.0),
    "selu": curved(lambda z: SELU_SCALE * _elu(z, SELU_ALPHA), _selu_slope, 0.0),
    "gelu": curved(
        lambda z: z * cumulative(z),
        lambda z: _gelu(z, np.empty_like(z)),
        together=_gelu,
    ),
    "gelu_tanh": curved(
        lambda z: z * _sigmoid(2.0 * _gelu_tanh_argument(z)[0]),
        lambda z: _gelu_tanh(z, np.empty_like(z)),
        together=_gelu_tanh,
    ),
    "silu": curved(
        lambda z: z * _sigmoid(z),
        lambda z: _sigmoid(z) * (1.0 + z * _sigmoid(-z)),
        together=_silu,
    ),
    "mish": curved(lambda z: z * np.tanh(_softplus(z)), _mish_slope),
    "softplus": curved(_softplus, _sigmoid),
    "relu6": curved(lambda z: np.clip(z, 0.0, 6.0), lambda z: (z > 0.0) & (z <= 6.0), 0.0, 6.0),
}
ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    **{name: partial(lambda activation: activation, a) for name, a in _ACTIVATIONS.items()},
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "sin": _sine,
}


def make_activation(name: str | Activation, options: Mapping[str, Slope]) -> Activation:
    """The activation of that name, e.g. `make_activation("leaky_relu", {"negative_slope": 0.2})`.

    An `Activation` is returned as it is.

    Raises:
        KeyError: No activation has that name.
        TypeError: The activation takes other options.
    """
    if isinstance(name, Activation):
        return name
    return ACTIVATIONS[ALIASES.get(name, name)](**options)


@lru_cache(1024)
def activation_of(step: Activate) -> Activation:
    """The activation of a step; the same object for steps that are equal."""
    return make_activation(step.function, dict(step.options))


SATURATED = 0.01
"""Share of the steepest slope below which a slope counts as flat."""
_SEEN = np.linspace(-10.0, 10.0, 20_001)  # where the steepest slope is looked for; 0 is among them


@lru_cache(1024)
def flat_slope(activation: Activation) -> float:
    """Size of a'(z) below which a is saturated: 1 % of its largest, over −10 … 10."""
    return SATURATED * float(np.abs(np.asarray(activation.derivative(_SEEN), float)).max())


def network_activation(condition: Condition) -> Activation:
    """The activation of a network of plain layers, each of its own where they differ.

    That of layer k is `.layer(k)`; of blocks with several, or with none, it is the first of them.
    """
    layers = tuple(by_layer(condition.layers[:-1], _first_activation))
    if len(set(map(id, layers))) == 1:
        return layers[0]
    slopes = [layer.common_slope for layer in layers]
    homogeneous = tuple(slope for slope in slopes if slope is not None)
    slope = homogeneous if len(homogeneous) == len(layers) else None
    return replace(layers[0], negative_slope=slope, by_layer=layers)


def _first_activation(row: Row) -> Activation:
    activates = (activate for step in row for activate in activates_in(step))
    return activation_of(next(activates, Activate("linear")))


_STEP = 2.0**-16
# Far above what truncation, a third derivative times step²/6, and rounding, 1e-16 |a|/step, leave.
_TOLERANCE = 1e-4


def own_activation(
    a: Callable[[FloatArray], FloatArray],
    derivative: Callable[[FloatArray], FloatArray],
    kinks: Sequence[float] = (),
) -> Activation:
    """Your own a(z) and a'(z), for `with_activation`.

    Args:
        a: The function, elementwise on an array of any shape.
        derivative: Its derivative, likewise.
        kinks: Where a or a derivative of it jumps: quadratures stop there.

    Raises:
        ValueError: The derivative is not that of the function.
    """
    grid = np.linspace(-3.05, 3.05, 62)
    z = grid[[min((abs(x - kink) for kink in kinks), default=1.0) > 2 * _STEP for x in grid]]
    quotient = (a(z + _STEP) - a(z - _STEP)) / (2 * _STEP)
    slopes = np.asarray(derivative(z), float)
    close = np.abs(quotient - slopes) < _TOLERANCE * (1 + np.abs(slopes) + np.abs(a(z)))
    if not close.all():
        n = int(close.argmin())
        raise ValueError(
            f"derivative({z[n]:.4g}) is {slopes[n]:.6g}, but a has the slope {quotient[n]:.6g} "
            "there; give the derivative of a, and name its kinks"
        )
    return curved(partial(_quiet, a), partial(_quiet, derivative), *kinks)


def _quiet(function: Callable[[FloatArray], FloatArray], z: FloatArray) -> FloatArray:
    """Call without warnings where it leaves float range; results tell that in words."""
    with np.errstate(over="ignore", invalid="ignore"):
        return function(z)


def with_activation(config: SweepConfig, activation: Activation) -> SweepConfig:
    """The config with your own activation in every condition, to be simulated or predicted.

    Its run cannot be written, for no `config.yaml` could say what was simulated.
    """
    given = Activate(activation)
    conditions = (
        replace(condition, layers=changed(condition.layers, partial(_with_activation, given)))
        for condition in config.conditions
    )
    return replace(config, conditions=tuple(conditions))


def _with_activation(given: Activate, step: Step) -> Step:
    if isinstance(step, Gate):
        return step._replace(activation=given)
    return given if isinstance(step, Activate) else step
