"""The `init` section of a config: which options go together, and why others do not.

A name has the meaning it has in PyTorch, Keras or JAX; an option that means something else there,
or nothing, is refused with what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from heinit_sim import kinds
from heinit_sim.gain_constants import pytorch_squared_gain
from heinit_sim.sections import Section, relation

# Defaults of a framework -> the scheme that takes options.
_DEFAULTS = {
    "torch_linear_default": "kaiming_uniform",
    "keras_default": "glorot_uniform",
    "jax_default": "variance_scaling",
}
_TAKES_NO_FAN = ("mode", "distribution")


class Init(Section):
    """How weights are drawn: their variance itself, or a scheme that takes it from the fans."""

    variance: kinds.Variance | None = kinds.or_null(kinds.Variance)
    scheme: kinds.SchemeName | None = kinds.or_null(kinds.SchemeName)
    scale: kinds.Scale | None = kinds.or_null(kinds.Scale)
    mode: kinds.ModeName | None = kinds.or_null(kinds.ModeName)
    gain: kinds.Gain | None = kinds.or_null(kinds.Gain)
    a: kinds.KaimingSlope | None = kinds.or_null(kinds.KaimingSlope)
    nonlinearity: kinds.KaimingNonlinearity | None = kinds.or_null(kinds.KaimingNonlinearity)
    distribution: kinds.WeightDistribution | None = kinds.or_null(kinds.WeightDistribution)
    bias_variance: kinds.BiasVariance = 0.0

    @field_validator("scheme", "scale", "mode", "gain", "a", "nonlinearity", "distribution")
    @classmethod
    def _check_fits(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            option, given = str(info.field_name), info.data
            refused = _beside_variance if given.get("variance") is not None else _refused
            reason = refused(option, value, given)
            if reason:
                raise relation(reason)
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Init:
        if self.variance is None and self.scheme is None:
            raise relation("no variance is given, must have either variance or scheme")
        return self


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
    scheme, no = given.get("scheme") or "", f"not for scheme: {given.get('scheme')} ({value})"
    out, either = "must be left out", "must be the one or the other"
    if option == "scheme" or not scheme:
        return None
    if scheme in _DEFAULTS:
        return f"{no}, {out}; with options it is scheme: {_DEFAULTS[scheme]}"
    if option == "scale" and scheme != "variance_scaling":
        own = "JAX's scale multiplies the weights, give init.gain"
        if scheme != "orthogonal":
            own = "it has its own; give scheme: variance_scaling, or init.gain for its root"
        return f"{no}, {out}; {own}"
    if option == "gain" and given.get("scale") is not None:
        return f"given beside init.scale ({value}), {either}; a gain is the root of the scale"
    if option in ("a", "nonlinearity"):
        if not scheme.startswith(("he_", "kaiming_")):
            only = "only PyTorch's kaiming_* takes it"
            return f"{no}, {out}; {only}, give init.gain: {_gain(option, value, given)}"
        if given.get("gain") is not None:
            return f"given beside init.gain ({value}), {either}; it stands for a gain"
        if option == "nonlinearity" and given.get("a") is not None and value != "leaky_relu":
            return f"takes no init.a ({value}), must be leaky_relu; its slope is all that a is"
    if scheme == "orthogonal" and option in _TAKES_NO_FAN:
        return f"{no}, {out}"
    if option == "distribution":
        return _refused_distribution(value, given)
    return None


def _refused_distribution(value: object, given: Mapping[str, Any]) -> str | None:
    if value == "orthogonal" and given.get("mode") is not None:
        return f"takes no init.mode ({value}), must be left out"
    if value == "normal" and given.get("scheme") == "variance_scaling":
        which = "Keras truncates it, JAX does not"
        return f"ambiguous ({value}), must be truncated_normal or untruncated_normal; {which}"
    return None


def _gain(option: str, value: Any, given: Mapping[str, Any]) -> float:
    """What `calculate_gain` makes of the option."""
    slope = value if option == "a" else given.get("a")
    if slope is None:
        slope = kinds.LEAKY_SLOPE
    return math.sqrt(pytorch_squared_gain("leaky_relu" if option == "a" else value, slope))
