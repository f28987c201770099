"""The `init` of a config and the fans of its network -> what weights and biases of a layer are."""

from __future__ import annotations

from typing import NamedTuple

from heinit_sim.config.schema.init import Init
from heinit_sim.config.schema.network import Activation, Network, convolution_of, widths_of
from heinit_sim.experiment.architecture import layer_fans
from heinit_sim.experiment.initializers import (
    SCHEMES,
    Distribution,
    pytorch_squared_gain,
    squared_gain,
    weight_variance,
)
from heinit_sim.experiment.sweep_config import Lsuv


class LayerLaw(NamedTuple):
    """What the numbers of a layer are drawn from."""

    weight_variance: float
    """σ²_Ω; 0 or infinite past float range."""
    weight_distribution: Distribution
    bias: float
    """Mean of the biases."""
    bias_variance: float
    """σ²_b."""


def layer_laws(init: Init | list[Init], network: Network) -> list[LayerLaw]:
    """The laws of the layers 0 … K; a list has one entry for each."""
    convolution = convolution_of(network)
    taps = convolution.taps if convolution else 1
    fans = layer_fans(widths_of(network), convolution)
    shapes = [*((*fan, taps) for fan in fans[:-1]), (*fans[-1], 1)]  # the last is fully connected
    layers = init if isinstance(init, list) else [init] * len(fans)
    keys = [(id(layer), shape) for layer, shape in zip(layers, shapes, strict=True)]
    distinct = dict(zip(keys, zip(layers, shapes, strict=True), strict=True))
    laws = {key: _law(*of, network.activation) for key, of in distinct.items()}
    return [laws[key] for key in keys]


def lsuv_of(init: Init | list[Init]) -> Lsuv | None:
    """How weights are brought to unit variance, if they are; the same in all layers."""
    first = init[0] if isinstance(init, list) else init
    if first.scheme != "lsuv":
        return None
    usual = Lsuv()
    return Lsuv(first.tolerance or usual.tolerance, first.attempts or usual.attempts)


def _law(init: Init, shape: tuple[int, int, int], activation: Activation) -> LayerLaw:
    """The law of a layer of these fans and taps."""
    fan_in, fan_out, taps = shape
    distribution = _distribution(init)
    variance = init.variance
    if variance is None:
        assert init.scheme is not None  # the model wants one of the two
        mode = init.mode or SCHEMES[init.scheme].mode
        variance = weight_variance(
            _scale(init, activation), mode, fan_in, fan_out, distribution, taps
        )
    return LayerLaw(variance, distribution, init.bias or 0.0, init.bias_variance)


def _distribution(init: Init) -> Distribution:
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
