"""Name -> a(z), a'(z), and what is known of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from heinit_sim.normal import cumulative, density, erf

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Slope = float | tuple[float, ...]
"""Of all hidden layers, or of each of them."""

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""λ and α that make N(0, 1) a fixed point of mean and variance (Klambauer et al. 2017)."""


@dataclass(frozen=True)
class Activation:
    """An activation function a and its derivative, elementwise."""

    value: Callable[[Array, Array], Array]
    """a(z) of the first array into the second, which is returned."""
    derivative: Callable[[Array], Array | Mask]
    """a'(z); at a kink the slope below it, as booleans where it is only ever 0 or 1."""
    negative_slope: Slope | None = None
    """α if a is positively homogeneous: slope 1 above zero, α below; None for all others."""
    kinks: tuple[float, ...] = ()
    """Where a or a derivative of it jumps; of a periodic function, where its quadrants end."""
    period: float = math.inf
    """What can be added to z."""
    by_layer: tuple["Activation", ...] = ()
    """The activations of the hidden layers, where they differ."""

    @property
    def common_slope(self) -> float | None:
        """α where one serves all layers of a positively homogeneous activation."""
        return None if isinstance(self.negative_slope, tuple) else self.negative_slope

    def layer(self, k: int) -> "Activation":
        """The activation that follows f_k."""
        return self.by_layer[k] if self.by_layer else self


def plain(
    a: Callable[[Array], Array], derivative: Callable[[Array], Array | Mask], *kinks: float
) -> Activation:
    """An activation that is not homogeneous, from its plain function and derivative."""

    def value(z: Array, out: Array) -> Array:
        out[...] = a(z)
        return out

    return Activation(value, derivative, kinks=kinks)


def _leaky_relu(negative_slope: float) -> Activation:
    def derivative(z: Array) -> Array:
        return np.where(z > 0.0, 1.0, negative_slope)

    def value(z: Array, out: Array) -> Array:
        return np.multiply(z, derivative(z), out=out)

    return Activation(value, derivative, negative_slope, (0.0,))


def _prelu(negative_slope: Slope) -> Activation:
    """A leaky ReLU whose slope may be another in each layer, as training makes it."""
    if isinstance(negative_slope, float | int):
        return _leaky_relu(negative_slope)
    layers = tuple(_leaky_relu(slope) for slope in negative_slope)
    return replace(layers[0], negative_slope=tuple(negative_slope), by_layer=layers)


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    result: Array = np.where(z < 0, e, 1.0) / (1.0 + e)
    return result


def _sech2(z: Array) -> Array:
    """1 − tanh², without cancelling where tanh is flat."""
    e = np.exp(-2.0 * np.abs(z))
    return 4.0 * e / (1.0 + e) ** 2


def _silu_slope(z: Array) -> Array:
    s = _sigmoid(z)
    return s * (1.0 + z * _sigmoid(-z))


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _mish_slope(z: Array) -> Array:
    return np.tanh(_softplus(z)) + z * _sech2(_softplus(z)) * _sigmoid(z)


def _gelu_tanh_argument(z: Array) -> tuple[Array, Array]:
    """The argument of tanh, and its derivative; both are flat long before |z| = 50."""
    z = np.clip(z, -50.0, 50.0)
    scale = np.sqrt(2 / np.pi)
    return scale * (z + 0.044715 * z**3), scale * (1 + 3 * 0.044715 * z**2)


def _gelu_tanh(z: Array) -> Array:
    return z * _sigmoid(2.0 * _gelu_tanh_argument(z)[0])


def _gelu_tanh_slope(z: Array) -> Array:
    u, du = _gelu_tanh_argument(z)
    return _sigmoid(2.0 * u) + 0.5 * z * _sech2(u) * du


def _elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))


def _elu_slope(z: Array) -> Array:
    return np.exp(np.minimum(z, 0.0))


def _selu(z: Array) -> Array:
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0.0)))


def _selu_slope(z: Array) -> Array:
    slope: Array = np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0.0)))
    slope *= SELU_SCALE
    return slope


def _erf_slope(z: Array) -> Array:
    slope: Array = np.exp(-np.square(np.clip(z, -40.0, 40.0)))
    return slope * (2 / math.sqrt(math.pi))


# Quadrants of a sine up to where E[g(√q z)] no longer depends on q: see `quadrature`.
_QUADRANTS = tuple(float(n) for n in np.arange(-60, 61) * np.pi / 2)

RELU = Activation(
    lambda z, out: np.maximum(z, 0.0, out=out), lambda z: z > 0.0, negative_slope=0.0, kinks=(0.0,)
)
LINEAR = Activation(
    lambda z, out: np.positive(z, out=out),
    lambda z: np.ones_like(z, dtype=np.bool_),
    negative_slope=1.0,
)
_ACTIVATIONS: dict[str, Activation] = {
    "relu": RELU,
    "linear": LINEAR,
    "tanh": plain(np.tanh, _sech2),
    "sigmoid": plain(_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "erf": plain(erf, _erf_slope),
    "hard_tanh": plain(
        lambda z: np.clip(z, -1.0, 1.0), lambda z: (z > -1.0) & (z <= 1.0), -1.0, 1.0
    ),
    "softsign": plain(lambda z: z / (1 + np.abs(z)), lambda z: (1 / (1 + np.abs(z))) ** 2, 0.0),
    "elu": plain(_elu, _elu_slope, 0.0),
    "selu": plain(_selu, _selu_slope, 0.0),
    "gelu": plain(lambda z: z * cumulative(z), lambda z: cumulative(z) + z * density(z)),
    "gelu_tanh": plain(_gelu_tanh, _gelu_tanh_slope),
    "silu": plain(lambda z: z * _sigmoid(z), _silu_slope),
    "mish": plain(lambda z: z * np.tanh(_softplus(z)), _mish_slope),
    "softplus": plain(_softplus, _sigmoid),
    "relu6": plain(lambda z: np.clip(z, 0.0, 6.0), lambda z: (z > 0.0) & (z <= 6.0), 0.0, 6.0),
    "sin": replace(plain(np.sin, np.cos, *_QUADRANTS), period=2 * math.pi),
}
ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    **{name: partial(lambda activation: activation, a) for name, a in _ACTIVATIONS.items()},
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
}
ALIASES = {"swish": "silu"}
"""Second names."""


def make_activation(name: str | Activation, options: Mapping[str, Slope]) -> Activation:
    """The activation of that name, e.g. `make_activation("leaky_relu", {"negative_slope": 0.2})`.

    One that is an activation already is returned as it is.

    Raises:
        KeyError: No activation has that name.
        TypeError: The activation takes other options.
    """
    if isinstance(name, Activation):
        return name
    return ACTIVATIONS[ALIASES.get(name, name)](**options)
