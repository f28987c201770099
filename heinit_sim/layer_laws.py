"""The `init` section of a config and the fans of a network -> what each layer's weights are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from heinit_sim.gain_constants import pytorch_squared_gain, squared_gain
from heinit_sim.initializers import SCHEMES, Distribution, weight_variance
from heinit_sim.sections import Activation
from heinit_sim.weight_options import Init


def weight_variances(
    init: Init, widths: Sequence[int], activation: Activation
) -> tuple[float, ...]:
    """σ²_Ω of the layers 0 … K; 0 or infinite past float range.

    Args:
        init: How the weights are drawn.
        widths: D_0 … D_{K+1}.
        activation: Of the hidden layers, whose own gain may be asked for.
    """
    fans = list(itertools.pairwise(widths))
    if init.variance is not None:
        return (init.variance,) * len(fans)
    assert init.scheme is not None  # the model wants one of the two
    mode, law = init.mode or SCHEMES[init.scheme].mode, distribution(init)
    scale = _scale(init, activation)
    variances = {fan: weight_variance(scale, mode, *fan, law) for fan in set(fans)}
    return tuple(variances[fan] for fan in fans)


def distribution(init: Init) -> Distribution:
    """What the weights are drawn from."""
    if init.distribution is None:
        return SCHEMES[init.scheme].distribution if init.scheme else "normal"
    return "normal" if init.distribution == "untruncated_normal" else init.distribution


def _scale(init: Init, activation: Activation) -> float:
    """The scale, the square of the gain."""
    if isinstance(init.gain, str):
        square = squared_gain(init.gain, activation.name, activation.options)
        assert square is not None  # the model wants a gain that there is
        return square
    if init.gain is not None:
        return init.gain**2
    if init.nonlinearity is not None or init.a is not None:
        return pytorch_squared_gain(init.nonlinearity or "leaky_relu", init.a or 0.0)
    assert init.scheme is not None  # the model wants one where there is no variance
    return init.scale or SCHEMES[init.scheme].scale
