"""An activation of your own, in place of a config's: from Python only."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation, plain
from heinit_sim.records import SweepConfig

Array = NDArray[np.float64]

_STEP = 2.0**-16
# Far above what truncation, a third derivative times step²/6, and rounding, 1e-16 |a|/step, leave.
_TOLERANCE = 1e-4


def own_activation(
    a: Callable[[Array], Array], derivative: Callable[[Array], Array], kinks: Sequence[float] = ()
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
    return plain(_quiet(a), _quiet(derivative), *kinks)


def _quiet(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function without warnings where it leaves float range, which results tell themselves."""

    def quiet(z: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return function(z)

    return quiet


def with_activation(config: SweepConfig, activation: Activation) -> SweepConfig:
    """The config with your own activation in every condition, to be simulated or predicted.

    Its run cannot be written, for no `config.yaml` could say what was simulated.
    """
    conditions = tuple(
        replace(condition, activation=activation, activation_options={})
        for condition in config.conditions
    )
    return replace(config, conditions=conditions)
