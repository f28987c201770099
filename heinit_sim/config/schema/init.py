"""The `init` section of a config: which options go together, and why others do not.

A name has the meaning it has in PyTorch, Keras or JAX; an option that means something else there,
or nothing, is refused with what to write instead.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import OneOrList, Section, Setting, relation
from heinit_sim.config.schema.network import Activation, Network
from heinit_sim.experiment import activation_table
from heinit_sim.experiment.initializers import GainWord, pytorch_squared_gain, squared_gain

# Defaults of a framework -> the scheme that takes options.
_DEFAULTS = {
    "torch_linear_default": "kaiming_uniform",
    "keras_default": "glorot_uniform",
    "jax_default": "variance_scaling",
}
_FANS = ("mode", "distribution")
_LSUV = ("tolerance", "attempts")
_KAIMING = ("a", "nonlinearity")
_ANYWHERE = ("variance", "bias", "bias_variance")


class Init(Section):
    """How weights are drawn: their variance itself, or a scheme that takes it from the fans."""

    variance: fields.Variance | None = None
    scheme: fields.SchemeName | None = None
    scale: fields.Scale | None = None
    mode: fields.ModeName | None = None
    gain: fields.Gain | None = None
    a: fields.KaimingSlope | None = None
    nonlinearity: fields.KaimingNonlinearity | None = None
    distribution: fields.WeightDistribution | None = None
    tolerance: fields.Tolerance | None = None
    attempts: fields.Attempts | None = None
    bias: fields.Bias | None = None
    bias_variance: fields.BiasVariance = 0.0

    @field_validator("*")
    @classmethod
    def _check_fits(cls, value: object, info: ValidationInfo) -> object:
        option, given = str(info.field_name), info.data
        if value is not None and option not in _ANYWHERE:
            refused = _beside_variance if given.get("variance") is not None else _refused
            reason = refused(option, value, given)
            if reason:
                raise relation(reason)
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.variance is None and self.scheme is None:
            raise relation("no variance is given, must have either variance or scheme")
        return self


INIT = (
    f"a mapping with the keys {', '.join(Init.model_fields)}, or a list of one for each layer 0 … K"
)
InitField = Annotated[OneOrList[Init], Setting("How the weights of every layer are drawn", INIT)]


def check_layers(init: Init | list[Init], network: Network) -> None:
    """Refuse what does not go with the network: the number of layers, its activation, blocks."""
    layers, activation = network.depth + 1, network.activation
    if not isinstance(init, list):
        _check_gain(init.gain, activation)
        _check_blocks(init, network)
        return
    if len(init) != layers:
        text = f"wrong length ({len(init)}), must be one for each of the {layers} layers 0 … K"
        raise relation(text, "init")
    for n, layer in enumerate(init):
        _check_gain(layer.gain, activation, n)
        _check_blocks(layer, network, n)
        if (layer.scheme == "lsuv") != (init[0].scheme == "lsuv"):
            raise relation("of one layer only, must be scheme: lsuv in all layers", "init", n)
        if (layer.tolerance, layer.attempts) != (init[0].tolerance, init[0].attempts):
            raise relation("another tolerance or attempts, must be those of layer 0", "init", n)


def _check_gain(gain: float | GainWord | None, activation: Activation, *at: int) -> None:
    if isinstance(gain, str) and not squared_gain(gain, activation.name, activation.options):
        own = squared_gain("second_moment", activation.name, activation.options)
        must = "second_moment or a number" if own else "a number; its slopes differ by layer"
        text = f"unknown for {activation.name} ({gain}), must be {must}"
        raise relation(text, "init", *at, "gain")


def _check_blocks(init: Init, network: Network, *at: int) -> None:
    if init.scheme == "lsuv" and network.residual is not None:
        text = "not for residual networks (lsuv), must be another scheme"
        raise relation(f"{text}; or give network.residual: null", "init", *at, "scheme")


def _beside_variance(option: str, value: object, _: Mapping[str, Any]) -> str | None:
    """Why init.variance does not go with an option, if so."""
    if option == "distribution":
        return None
    way = "must be left out; init.variance already is the variance, no fan or gain enters it"
    if option == "scheme":
        way = "must be the one or the other; null takes one back"
    return f"given beside init.variance ({value}), {way}"


def _refused(option: str, value: object, given: Mapping[str, Any]) -> str | None:
    """Why an option does not go with the scheme and the options before it, if so."""
    scheme = given.get("scheme")
    if scheme is None or option == "scheme":
        return None
    left_out = f"not for scheme: {scheme} ({value}), must be left out"
    if scheme == "lsuv" and option not in _LSUV:
        return f"{left_out}; lsuv measures what to scale by"
    if scheme != "lsuv" and option in _LSUV:
        return f"{left_out}; it is of lsuv"
    if scheme in _DEFAULTS:
        return f"{left_out}; with options it is scheme: {_DEFAULTS[scheme]}"
    if scheme.endswith("orthogonal") and option in _FANS:
        return left_out
    if option == "scale" and scheme != "variance_scaling":
        return f"{left_out}; {_instead_of_scale(scheme)}"
    if option in _KAIMING and not scheme.startswith(("he_", "kaiming_")):
        gain = _gain(option, value, given)
        return f"{left_out}; only PyTorch's kaiming_* takes it, give init.gain: {gain}"
    return _beside_options(option, value, given)


def _instead_of_scale(scheme: str) -> str:
    if scheme.endswith("orthogonal"):
        return "JAX's scale multiplies the weights, give init.gain"
    return "it has its own; give scheme: variance_scaling, or init.gain for its root"


def _beside_options(option: str, value: object, given: Mapping[str, Any]) -> str | None:
    """Why an option does not go with those before it, whatever the scheme, if so."""
    scale, mode, gain, slope = (given.get(key) for key in ("scale", "mode", "gain", "a"))
    either = "must be the one or the other"
    if option == "gain" and scale is not None:
        return f"given beside init.scale ({value}), {either}; a gain is the root of the scale"
    if option in _KAIMING and gain is not None:
        return f"given beside init.gain ({value}), {either}; it stands for a gain"
    if option == "nonlinearity" and slope is not None and value != "leaky_relu":
        return f"takes no init.a ({value}), must be leaky_relu; its slope is all that a is"
    if option != "distribution":
        return None
    if str(value).endswith("orthogonal") and mode is not None:
        return f"takes no init.mode ({value}), must be left out"
    if value == "normal" and given.get("scheme") == "variance_scaling":
        which = "Keras truncates it, JAX does not"
        return f"ambiguous ({value}), must be truncated_normal or untruncated_normal; {which}"
    return None


def _gain(option: str, value: Any, given: Mapping[str, Any]) -> float:
    """What `calculate_gain` makes of the option."""
    slope = value if option == "a" else given.get("a")
    if slope is None:
        slope = activation_table.DEFAULT_SLOPES["leaky_relu"]
    return math.sqrt(pytorch_squared_gain("leaky_relu" if option == "a" else value, slope))
