"""The `init` of a config -> the laws that weights and biases are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from heinit_sim.config import messages
from heinit_sim.config.arithmetic import NotArithmeticError, value_of
from heinit_sim.config.problem import Keys, Problem, WrongError
from heinit_sim.config.schema.activation import Activation
from heinit_sim.config.schema.annotations import Formula
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.init import Init, LayerInit, LayerOptions, layers_of, overridden
from heinit_sim.experiment import initializers, steps
from heinit_sim.experiment.activation_table import DEFAULT_FREQUENCIES
from heinit_sim.experiment.initializers import SCHEMES, Distribution, GainWord, squared_gain
from heinit_sim.experiment.labels import WrittenNumber
from heinit_sim.experiment.steps import Row, Weights, WeightSpec, distinct
from heinit_sim.experiment.sweep_config import Lsuv

_Activations = Activation | list[Activation]


def wrong_inits(config: Config, depth: int) -> Iterator[Problem]:
    """Entries of `init` that do not go with the network: its number of layers, its activation."""
    init = config.init
    if isinstance(init, list) and len(init) != depth + 1:
        text = f"wrong length ({len(init)}), must be one for each of the {depth + 1}"
        yield Problem(("init",), f"{text} layers 0 … K")
        return
    layers = {("init", *at): layer for at, layer in layers_of(init, depth + 1)}
    first = next(iter(layers.values()))
    for at, layer in layers.items():
        if problem := _unfit(layer, first, config.network.activation, at):
            yield problem


def wrong_lsuv(config: Config, rows: Sequence[Row]) -> Iterator[Problem]:
    """Refuse LSUV where it centres one input, or scales layers that are not plain."""
    lsuv = lsuv_of(config.init)
    if lsuv is None:
        return
    at = (0,) if isinstance(config.init, list) else ()
    if lsuv.centre and config.inputs.n_inputs == 1:
        text = "one input has no spread (true), must be false"
        yield Problem(("init", *at, "centre"), f"{text}; or give inputs.count: 2 or more")
    if not all(steps.is_plain(row[isinstance(row[0], steps.Pool) :]) for row in distinct(rows)):
        text = "of plain layers alone (lsuv), must be another scheme"
        way = "or give network.block: [weights, activation]"
        yield Problem(("init", *at, "scheme"), f"{text}; {way}")


def lsuv_of(init: Init | list[LayerInit]) -> Lsuv | None:
    """How weights are brought to unit variance, if they are; the same in all layers."""
    first = init[0] if isinstance(init, list) else init
    if first.scheme != "lsuv":
        return None
    usual = Lsuv()
    tolerance, attempts = first.tolerance or usual.tolerance, first.attempts or usual.attempts
    return Lsuv(tolerance, attempts, bool(first.centre))


def init_of_step(
    init: LayerInit, entry: LayerOptions, activation: _Activations, keys: Keys
) -> LayerInit:
    """The init of weights with options of their own.

    Args:
        init: That of the layer.
        entry: Their own options.
        activation: That of the network.
        keys: Way to the entry.

    Raises:
        WrongError: They do not go together.
    """
    try:
        made = LayerInit.model_validate(overridden(init, entry))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise WrongError((*keys, *wrong["loc"]), wrong["msg"]) from None
    if problem := _unfit(made, init, activation, keys):
        raise WrongError(problem.keys, problem.text)
    return made


def with_law(
    weights: Weights,
    init: LayerInit,
    activation: _Activations,
    names: Mapping[str, float],
    keys: Keys,
    *,
    first: bool,
) -> Weights:
    """Weights with the law that an init has for their shape.

    Args:
        weights: All but their law.
        init: Theirs.
        activation: That of the network.
        names: Value of each name in arithmetic, but for `fan_in`.
        keys: Way to the init.
        first: Whether they are of layer 0.

    Raises:
        WrongError: Arithmetic has no value within limits, or there is no variance above 0.
    """
    init = _in_numbers(init, {**names, "fan_in": weights.fans[0]}, keys)
    spec = _spec(
        init, weights, activation[0] if isinstance(activation, list) else activation, first
    )
    may_be_zero = init.sparsity is not None or (init.scheme and not SCHEMES[init.scheme].scale)
    if spec.weight_variance == 0 and not may_be_zero:
        option = "gain" if init.scale is None else "scale"
        text = f"too small ({getattr(init, option)}), must leave a variance above 0"
        raise WrongError((*keys, option), text)
    return weights._replace(spec=spec)


def _unfit(
    layer: LayerInit, others: LayerInit, activation: _Activations, keys: Keys
) -> Problem | None:
    """Why an init does not go with the activation, or with that of other weights, if so."""
    if problem := _unknown_gain(layer, activation, keys) or _unfit_scheme(layer, activation, keys):
        return problem
    if (layer.scheme == "lsuv") != (others.scheme == "lsuv"):
        return Problem(keys, "of one layer only, must be scheme: lsuv in all layers")
    if any(getattr(layer, key) != getattr(others, key) for key in Lsuv._fields):
        return Problem(keys, "another tolerance, attempts or centre, must be those of layer 0")
    return None


def _unknown_gain(layer: LayerInit, activation: _Activations, keys: Keys) -> Problem | None:
    """A gain by a word that the activation does not have."""
    gain: Any = layer.gain
    if gain not in get_args(GainWord):
        return None
    if isinstance(activation, list):
        text = f"unknown for activations of each layer ({gain}), must be a number"
        return Problem((*keys, "gain"), text)
    if squared_gain(gain, activation.name, activation.options):
        return None
    known = squared_gain("second_moment", activation.name, activation.options)
    must = "second_moment or a number" if known else "a number; its slopes differ by layer"
    return Problem((*keys, "gain"), f"unknown for {activation.name} ({gain}), must be {must}")


def _unfit_scheme(layer: LayerInit, activation: _Activations, keys: Keys) -> Problem | None:
    """A scheme that wants the frequency of another activation."""
    if layer.scheme is None or not SCHEMES[layer.scheme].by_frequency:
        return None
    names = {one.name for one in activation} if isinstance(activation, list) else {activation.name}
    if names <= set(DEFAULT_FREQUENCIES):
        return None
    text = f"not for {', '.join(sorted(names))} ({layer.scheme}), must be another scheme"
    way = "or give network.activation: {name: sin, frequency: 30}"
    return Problem((*keys, "scheme"), f"{text}; {way}")


def _in_numbers(layer: LayerInit, names: Mapping[str, float], at: Keys) -> LayerInit:
    """The init of a layer with the value of all arithmetic in it."""
    formulas = {key: text for key, text in vars(layer).items() if isinstance(text, Formula)}
    if not formulas:
        return layer
    numbers = dict[str, float]()
    for key, text in formulas.items():
        try:
            numbers[key] = WrittenNumber(value_of(text, names), text)
        except NotArithmeticError as error:
            must = f"must be {messages.allowed((*at, key))}"
            raise WrongError((*at, key), f"{error}, {must}") from None
    given = layer.model_dump(exclude_unset=True) | numbers
    try:
        return LayerInit.model_validate(given)
    except ValidationError as error:
        raise WrongError(*messages.problems_of(error, given, *at)[0][:2]) from None


def _spec(init: LayerInit, weights: Weights, activation: Activation, first: bool) -> WeightSpec:
    scheme = SCHEMES[init.scheme] if init.scheme else None
    law = init.distribution or (scheme.distribution if scheme else "normal")
    distribution: Distribution = "normal" if law == "untruncated_normal" else law
    cut, (fan_in, fan_out) = init.cut or initializers.CUT, weights.fans
    if init.variance is not None:
        variance = init.variance * initializers.kept_share(distribution, cut)
    else:
        assert scheme is not None  # the model wants one of the two
        if first and scheme.first is not None:
            variance = scheme.first / fan_in**2
        else:
            taps = weights.window.taps if weights.window else 1
            shape = (fan_in, fan_out, distribution, taps, cut, init.sparsity or 0.0)
            scale, mode = _scale(init, activation), init.mode or scheme.mode
            variance = initializers.weight_variance(scale, mode, *shape)
    uniform = init.bias_scheme is not None
    return WeightSpec(
        float(variance),
        distribution,
        1 / (3 * fan_in) if uniform else float(init.bias_variance),
        float(init.bias or 0.0),
        "uniform" if uniform else "normal",
        weight_option=init.sparsity if cut == initializers.CUT else float(cut),
        weight_mean=float(init.mean or 0.0),
    )


def _scale(init: LayerInit, activation: Activation) -> float:
    if isinstance(init.gain, str):
        square = squared_gain(init.gain, activation.name, activation.options)
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
