"""The `init` section of a config: which options go together, and why others do not.

A name has the meaning it has in PyTorch, Keras or JAX; an option that means something else there,
or nothing, is refused with what to write instead.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Tag, ValidationError, ValidationInfo, field_validator, model_validator

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import ONE_OR_LIST, Section, Setting, relation
from heinit_sim.experiment import activation_table
from heinit_sim.experiment.initializers import SCHEMES, pytorch_squared_gain

# Defaults of a framework -> the scheme that takes options.
_DEFAULTS = {
    "torch_linear_default": "kaiming_uniform",
    "keras_default": "glorot_uniform",
    "jax_default": "variance_scaling",
}
_FANS = ("mode", "distribution")
_LSUV = ("tolerance", "attempts", "centre")
_BIASES = ("bias", "bias_variance", "bias_scheme")
_APART = ("variance", *_BIASES, "first", "last")
_KAIMING = ("a", "nonlinearity")
# Schemes of fixed or sparse weights -> the options that they take.
_OWN: Mapping[str, tuple[str, ...]] = {
    "zeros": (),
    "constant": ("mean",),
    "identity": ("gain", "mean"),
    "sparse": ("sparsity", "gain", "mean"),
}


class LayerOptions(Section):
    """Options of the weights and biases of a layer, whether or not they suffice to draw them."""

    variance: fields.Variance | None = None
    scheme: fields.SchemeName | None = None
    scale: fields.Scale | None = None
    mode: fields.ModeName | None = None
    gain: fields.Gain | None = None
    a: fields.KaimingSlope | None = None
    nonlinearity: fields.KaimingNonlinearity | None = None
    distribution: fields.WeightDistribution | None = None
    cut: fields.Cut | None = None
    sparsity: fields.Sparsity | None = None
    mean: fields.WeightMean | None = None
    tolerance: fields.Tolerance | None = None
    attempts: fields.Attempts | None = None
    centre: fields.Centre | None = None
    bias: fields.Bias | None = None
    bias_variance: fields.BiasVariance | None = None
    bias_scheme: fields.BiasSchemeName | None = None


class LayerInit(LayerOptions):
    """How weights are drawn: their variance itself, or a scheme that takes it from the fans."""

    bias_variance: fields.BiasVariance = 0.0

    @field_validator("bias_scheme")
    @classmethod
    def _check_alone(cls, scheme: str | None, info: ValidationInfo) -> str | None:
        for key in _BIASES[:-1]:
            if scheme is not None and (given := info.data.get(key)):
                text = f"given beside init.{key} ({given}), must be the one or the other"
                raise relation(f"{text}; null takes one back, or 0 in first and last")
        return scheme

    @field_validator("cut")
    @classmethod
    def _check_cut(cls, cut: float | None, info: ValidationInfo) -> float | None:
        scheme, law = info.data.get("scheme"), info.data.get("distribution")
        law = law or (SCHEMES[scheme].distribution if scheme else "normal")
        if cut is not None and not law.startswith("truncated"):
            text = f"not for distribution: {law} ({cut}), must be left out"
            raise relation(f"{text}; or give distribution: truncated_normal")
        return cut

    @field_validator("*")  # in the order of the fields: an option sees those before it
    @classmethod
    def _check_fits(cls, value: object, info: ValidationInfo) -> object:
        if reason := _refused(str(info.field_name), value, info.data):
            raise relation(reason)
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.variance is None and self.scheme is None:
            raise relation("no variance is given, must have either variance or scheme")
        for scheme, option in (("constant", "mean"), ("sparse", "sparsity")):
            if self.scheme == scheme and getattr(self, option) is None:
                raise relation(f"no {option} is given, must have it for scheme: {scheme}")
        return self


KEYS = ", ".join(LayerOptions.model_fields)
_END = f"a mapping with the keys {KEYS}; without variance and scheme it takes those of init"


First = Annotated[LayerOptions, Setting("Init of layer 0, whose input is the data", _END)]
Last = Annotated[LayerOptions, Setting("Init of layer K, whose output is f_K", _END)]


class Init(LayerInit):
    """How the weights of all layers are drawn, and where the first and the last one differ."""

    first: First | None = None
    last: Last | None = None

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        for end in ("first", "last"):
            try:
                LayerInit.model_validate(self.options_of(end))
            except ValidationError as error:
                problem = error.errors(include_url=False)[0]
                raise relation(problem["msg"], end, *problem["loc"]) from None
        return self

    def options_of(self, end: str) -> dict[str, object]:
        """The options of layer 0 or K: its own, and of the others those that go with them."""
        return overridden(self, getattr(self, end))


def overridden(init: LayerInit, entry: LayerOptions | None) -> dict[str, object]:
    """The options of an entry, and of the others those that go with them.

    A variance or scheme of its own stands alone, but for the biases.
    """
    given = {} if entry is None else entry.model_dump(exclude_unset=True)
    if given.get("bias_variance", 0.0) is None:
        del given["bias_variance"]  # null takes it back
    alone = given.get("variance") is not None or given.get("scheme") is not None
    names = _BIASES if alone else LayerOptions.model_fields
    return {name: getattr(init, name) for name in names} | given


INIT = f"a mapping with the keys {KEYS}, first, last, or a list of one for each layer 0 … K"
InitField = Annotated[
    Annotated[Init, Tag("<one>")] | Annotated[list[LayerInit], Tag("<list>")],
    ONE_OR_LIST,
    Setting("How the weights of every layer are drawn", INIT),
]


def layers_of(
    init: Init | list[LayerInit], n_layers: int
) -> list[tuple[tuple[str | int, ...], LayerInit]]:
    """The init of each of the layers 0 … K, after the keys that lead to it from `init`."""
    if isinstance(init, list):
        return [((k,), layer) for k, layer in enumerate(init)]
    layers: list[tuple[tuple[str | int, ...], LayerInit]] = [((), init)] * n_layers
    for end, k in (("first", 0), ("last", n_layers - 1)):
        if getattr(init, end) is not None:
            layers[k] = (end,), LayerInit.model_validate(init.options_of(end))
    return layers


def _refused(option: str, value: Any, given: Mapping[str, Any]) -> str | None:
    """Why an option does not go with the variance or the scheme, or the options before it."""
    if option in _BIASES and value and given.get("centre"):
        return f"given beside init.centre ({value}), must be left out; centring sets all biases"
    if value is None or option in _APART:
        return None
    variance, scheme = given.get("variance"), given.get("scheme")
    if option == "sparsity" and scheme != "sparse":
        return f"of scheme: sparse alone ({value}), must be left out"
    if variance is not None and option not in ("distribution", "cut", "mean"):
        way = "must be left out; init.variance already is the variance, no fan or gain enters it"
        if option == "scheme":
            way = "must be the one or the other; null takes one back"
        return f"given beside init.variance ({value}), {way}"
    if variance is not None or scheme is None or option == "scheme":
        return None
    left_out = f"not for scheme: {scheme} ({value}), must be left out"
    if scheme in _OWN:
        way = "; give scheme: constant" if option == "mean" else ""
        return None if option in _OWN[scheme] else left_out + way
    if scheme == "lsuv" and option not in _LSUV:
        return f"{left_out}; lsuv measures what to scale by"
    if scheme != "lsuv" and option in _LSUV:
        return f"{left_out}; it is of lsuv"
    if option == "mean":
        return None
    if SCHEMES[scheme].by_frequency:
        return f"{left_out}; the frequency of the activation says the rest"
    if scheme in _DEFAULTS:
        return f"{left_out}; with options it is scheme: {_DEFAULTS[scheme]}"
    if scheme.endswith("orthogonal") and option in _FANS:
        return left_out
    if option == "scale" and scheme.endswith("orthogonal"):
        return f"{left_out}; JAX's scale multiplies the weights, give init.gain"
    if option == "scale" and scheme != "variance_scaling":
        way = "it has its own; give scheme: variance_scaling, or init.gain for its root"
        return f"{left_out}; {way}"
    if option in _KAIMING and not scheme.startswith(("he_", "kaiming_")):
        name, slope = ("leaky_relu", value) if option == "a" else (value, given.get("a"))
        slope = activation_table.DEFAULT_SLOPES["leaky_relu"] if slope is None else slope
        gain = math.sqrt(pytorch_squared_gain(name, slope))
        return f"{left_out}; only PyTorch's kaiming_* takes it, give init.gain: {gain}"
    return _beside_options(option, value, given)


def _beside_options(option: str, value: object, given: Mapping[str, Any]) -> str | None:
    """Why an option does not go with those before it, whatever the scheme, if so."""
    either = "must be the one or the other"
    if option == "gain" and given.get("scale") is not None:
        return f"given beside init.scale ({value}), {either}; a gain is the root of the scale"
    if option in _KAIMING and given.get("gain") is not None:
        return f"given beside init.gain ({value}), {either}; it stands for a gain"
    if option == "nonlinearity" and given.get("a") is not None and value != "leaky_relu":
        return f"takes no init.a ({value}), must be leaky_relu; its slope is all that a is"
    if option != "distribution":
        return None
    if str(value).endswith("orthogonal") and given.get("mode") is not None:
        return f"takes no init.mode ({value}), must be left out"
    if value == "normal" and given.get("scheme") == "variance_scaling":
        which = "Keras truncates it, JAX does not"
        return f"ambiguous ({value}), must be truncated_normal or untruncated_normal; {which}"
    return None
