"""The `init` of a config and the fans of its network -> what weights and biases of a layer are."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from heinit_sim.config import messages
from heinit_sim.config.arithmetic import NotArithmeticError, value_of
from heinit_sim.config.problem import Keys, Problem
from heinit_sim.config.schema.annotations import Formula
from heinit_sim.config.schema.init import Init, LayerInit, layers_of
from heinit_sim.config.schema.network import Activation, Network, convolution_of, widths_of
from heinit_sim.experiment import initializers
from heinit_sim.experiment.architecture import layer_fans
from heinit_sim.experiment.initializers import SCHEMES, Distribution
from heinit_sim.experiment.labels import WrittenNumber
from heinit_sim.experiment.sweep_config import LayerSpec, Lsuv


def layer_specs(
    init: Init | list[LayerInit], network: Network
) -> tuple[list[LayerSpec], list[Problem]]:
    """The laws of the layers 0 … K, a list having one entry for each, and what is wrong with them.

    A σ²_Ω below what a float can hold is 0, which is wrong.
    """
    convolution = convolution_of(network)
    taps = convolution.taps if convolution else 1
    fans = layer_fans(widths_of(network), convolution)
    shapes = [*((*fan, taps) for fan in fans[:-1]), (*fans[-1], 1)]  # the last is fully connected
    layers = layers_of(init, len(fans))
    keys = [
        (id(layer), shape, k == 0)
        for k, ((_, layer), shape) in enumerate(zip(layers, shapes, strict=True))
    ]
    alike = dict(zip(keys, layers, strict=True))  # as most layers are
    specs, problems = {}, list[Problem]()
    for key, (at, layer) in alike.items():
        fan_in, fan_out, taps = key[1]
        names = {"depth": network.depth, "width": fan_out / taps, "fan_in": fan_in}
        found = _in_numbers(layer, names, ("init", *at))
        if isinstance(found, LayerInit):
            specs[key] = _layer_spec(found, *key[1:], network.activation)
            if specs[key].weight_variance == 0:
                option = "gain" if layer.scale is None else "scale"
                text = f"too small ({getattr(layer, option)}), must leave a variance above 0"
                problems.append(Problem(("init", *at, option), text))
        else:
            problems += found
    return [] if problems else [specs[key] for key in keys], problems


def _in_numbers(
    layer: LayerInit, names: Mapping[str, float], at: Keys
) -> LayerInit | list[Problem]:
    """The init of a layer with the value of all arithmetic in it, or what is wrong there."""
    formulas = {key: text for key, text in vars(layer).items() if isinstance(text, Formula)}
    if not formulas:
        return layer
    numbers, problems = dict[str, float](), list[Problem]()
    for key, text in formulas.items():
        try:
            numbers[key] = WrittenNumber(value_of(text, names), text)
        except NotArithmeticError as error:
            must = f"must be {messages.allowed((*at, key))}"
            problems.append(Problem((*at, key), f"{error}, {must}"))
    if problems:
        return problems
    given = layer.model_dump(exclude_unset=True) | numbers
    try:
        return LayerInit.model_validate(given)
    except ValidationError as error:
        return messages.problems_of(error, given, *at)


def lsuv_of(init: Init | list[LayerInit]) -> Lsuv | None:
    """How weights are brought to unit variance, if they are; the same in all layers."""
    first = init[0] if isinstance(init, list) else init
    if first.scheme != "lsuv":
        return None
    usual = Lsuv()
    return Lsuv(first.tolerance or usual.tolerance, first.attempts or usual.attempts)


def _layer_spec(
    init: LayerInit, shape: tuple[int, int, int], first: bool, activation: Activation
) -> LayerSpec:
    fan_in, fan_out, taps = shape
    law = init.distribution or (SCHEMES[init.scheme].distribution if init.scheme else "normal")
    distribution: Distribution = "normal" if law == "untruncated_normal" else law
    cut = init.cut or initializers.CUT
    if init.variance is not None:
        variance = init.variance * initializers.kept_share(distribution, cut)
    else:
        assert init.scheme is not None  # the model wants one of the two
        scheme = SCHEMES[init.scheme]
        mode = init.mode or scheme.mode
        fans = (fan_in, fan_out, distribution, taps, cut)
        if first and scheme.first is not None:
            variance = scheme.first / fan_in**2
        else:
            variance = initializers.weight_variance(_scale(init, activation), mode, *fans)
    spec = LayerSpec(
        float(variance),
        distribution,
        float(init.bias_variance),
        float(init.bias or 0.0),
        weight_option=None if cut == initializers.CUT else float(cut),
    )
    if init.bias_scheme is None:
        return spec
    return spec._replace(bias_variance=1 / (3 * fan_in), bias_distribution="uniform")


def _scale(init: LayerInit, activation: Activation) -> float:
    if isinstance(init.gain, str):
        square = initializers.squared_gain(init.gain, activation.name, activation.options)
        assert square is not None  # the model wants a gain that there is
        return square
    if init.gain is not None:
        return init.gain**2
    if init.nonlinearity is not None or init.a is not None:
        nonlinearity = init.nonlinearity or "leaky_relu"
        return initializers.pytorch_squared_gain(nonlinearity, init.a or 0.0)
    assert init.scheme is not None  # the model wants one where there is no variance
    scheme = SCHEMES[init.scheme]
    by = (activation.frequency or 1.0) ** 2 if scheme.by_frequency else 1.0
    return (init.scale or scheme.scale) / by
