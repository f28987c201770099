"""Name -> a(z), a'(z), and what is known of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Activation:
    """A positively homogeneous activation: slope 1 above zero, `negative_slope` (α) below."""

    value: Callable[[Array, Array], Array]
    """a(z), elementwise, of the first array into the second, which is returned."""
    derivative: Callable[[Array], NDArray[np.float64] | NDArray[np.bool_]]
    """a'(z), elementwise, with a'(0) = α; as booleans where it is only ever 0 or 1."""
    negative_slope: float


def _relu() -> Activation:
    return Activation(lambda z, out: np.maximum(z, 0.0, out=out), lambda z: z > 0.0, 0.0)


def _leaky_relu(negative_slope: float) -> Activation:
    def derivative(z: Array) -> Array:
        return np.where(z > 0.0, 1.0, negative_slope)

    def value(z: Array, out: Array) -> Array:
        return np.multiply(z, derivative(z), out=out)

    return Activation(value, derivative, negative_slope)


def _linear() -> Activation:
    def derivative(z: Array) -> NDArray[np.bool_]:
        return np.ones_like(z, dtype=np.bool_)

    return Activation(lambda z, out: np.positive(z, out=out), derivative, 1.0)


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
}


def make_activation(name: str, options: Mapping[str, float]) -> Activation:
    """The activation of that name, e.g. `make_activation("leaky_relu", {"negative_slope": 0.2})`.

    Raises:
        KeyError: No activation has that name.
        TypeError: The activation takes other options.
    """
    return ACTIVATIONS[name](**options)
