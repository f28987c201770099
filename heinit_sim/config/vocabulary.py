"""Words of other libraries and of papers, and what says the same here, if anything does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from heinit_sim.config.schema.annotations import written
from heinit_sim.experiment.activation_table import ALIASES, TABLE
from heinit_sim.experiment.spelling import correction

_TRUNCATED = "distribution: truncated_normal beside variance"
# Last key of a setting -> word that is none of its values -> what to write; "" where nothing is.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "activation": {
        **dict.fromkeys(("rrelu", "geglu", "reglu", "glu"), ""),
        **dict.fromkeys(("identity", "none"), "linear"),
        "logistic": "sigmoid",
    },
    "scheme": {
        **dict.fromkeys(("he", "kaiming"), "he_normal or he_uniform"),
        **dict.fromkeys(("xavier", "glorot"), "xavier_normal or xavier_uniform"),
        "lecun": "lecun_normal or lecun_uniform",
        **dict.fromkeys(("truncated_normal", "trunc_normal"), _TRUNCATED),
        **dict.fromkeys(("normal", "uniform"), "variance and distribution"),
        **dict.fromkeys(("torch", "pytorch", "torch_default"), "torch_linear_default"),
        **dict.fromkeys(("keras", "tensorflow"), "keras_default"),
        **dict.fromkeys(("jax", "flax"), "jax_default"),
    },
    "kind": {
        **dict.fromkeys(("batchnorm", "batch_norm", "bn"), "batch"),
        **dict.fromkeys(("layernorm", "layer_norm", "ln"), "layer"),
        **dict.fromkeys(("rmsnorm", "rms_norm"), "rms"),
    },
    "distribution": {"trunc_normal": "truncated_normal", "gaussian": "normal"},
}
# Word of a block elsewhere -> what to write.
_STEPS: Mapping[str, str] = {
    **dict.fromkeys(("layernorm", "ln", "normalization", "layernormalization"), "norm"),
    **dict.fromkeys(("batchnorm", "bn", "batchnorm1d", "batchnorm2d"), "{norm: {kind: batch}}"),
    "batchnormalization": "{norm: {kind: batch}}",
    **dict.fromkeys(("rmsnorm", "rms"), "{norm: {kind: rms}}"),
    **dict.fromkeys(("linear", "dense", "fc", "weight", "proj", "projection"), "weights"),
    **dict.fromkeys(
        ("conv", "conv1d", "conv2d", "convolution"), "weights, of a network of kind: cnn"
    ),
    **dict.fromkeys(("mlp", "ffn", "feedforward"), "[{weights: {expand: 4}}, activation, weights]"),
    **dict.fromkeys(("swiglu", "glu", "gated"), "{gate: {activation: silu}}, then weights"),
    "geglu": "{gate: {activation: gelu}}, then weights",
    "reglu": "{gate: {activation: relu}}, then weights",
    **dict.fromkeys(
        ("residual", "skip", "shortcut", "plus", "identity"), "add at the end of the branch"
    ),
    **dict.fromkeys(("attn", "mha", "selfattention", "multiheadattention"), "attention"),
    **dict.fromkeys(("act", "nonlinearity"), "activation"),
    **dict.fromkeys(("drop", "dropout1d", "dropout2d"), "dropout"),
    "rezero": "{add: {scale: 0}}",
}
_VALUES = {**_VALUES, "name": _VALUES["activation"]}
# Key that is none -> the dotted path of the setting that it is called here.
_KEYS = {
    **dict.fromkeys(("layers", "n_layers", "num_layers", "hidden_layers"), "network.depth"),
    **dict.fromkeys(("units", "hidden_size", "hidden_dim", "neurons"), "network.width"),
    **dict.fromkeys(("input_size", "in_features"), "network.input_dim"),
    **dict.fromkeys(("output_size", "out_features"), "network.output_dim"),
    **dict.fromkeys(("batch", "batch_size", "n_inputs"), "inputs.count"),
    **dict.fromkeys(("networks", "n_networks", "n_trials", "repeats"), "trials"),
    **dict.fromkeys(("random_seed", "random_state"), "seed"),
}
# Section and key that is none -> the key to write, and how its number is made of the one given.
_SQUARE, _ROOT = ("its square", lambda std: std**2), ("its square root", lambda var: var**0.5)
_Power = tuple[str, Callable[[float], float]]
_POWERS: Mapping[tuple[str, str], tuple[str, _Power]] = {
    **{("init", key): ("variance", _SQUARE) for key in ("std", "stddev", "sigma")},
    ("init", "bias_std"): ("bias_variance", _SQUARE),
    ("inputs", "variance"): ("std", _ROOT),
}
# Last keys that mean something else in another section.
_OF_ONE_SECTION = {"mean", "std", "density"}
_LAWLESS = {"inputs", "loss", "record", "figure"}  # sections where no variance is one of weights


def hint_on_value(word: object, key: str, choices: Iterable[str]) -> str:
    """Say what to write in place of a word that is no choice, as the end of a message; or nothing.

    Args:
        word: What was given.
        key: Last key of the setting.
        choices: The words that may be given.
    """
    if not isinstance(word, str):
        return ""
    known = _VALUES.get(key, {}).get(word.casefold())
    if known is not None:
        return f"; write {known}" if known else ""
    return _meant(correction(word, choices))


def hint_on_step(word: object, words: Iterable[str]) -> str:
    """Say what to write in place of a word that is no step, as the end of a message; or nothing."""
    if not isinstance(word, str):
        return ""
    plain = re.sub(r"[-_ ]", "", word.casefold())
    if plain in _STEPS:
        return f"; write {_STEPS[plain]}"
    if plain in TABLE or plain in ALIASES:
        return f"; write {{activation: {plain}}}"
    return _meant(correction(word, words))


def hint_on_path(path: str, given: object, paths: Iterable[str]) -> str:
    """Say what to write in place of an unknown dotted path, as the end of a message; or nothing.

    Args:
        path: The path.
        given: Its value, or the text of it.
        paths: The dotted paths that may be given.
    """
    section, _, key = path.rpartition(".")
    of_law = section.partition(".")[0], key
    if of_law in _POWERS:
        meant, (word, power) = _POWERS[of_law]
        try:
            number = f": {written(power(float(str(given))))}"
        except (ArithmeticError, TypeError, ValueError):  # no number with such a power
            number = ""
        return f"; write {section}.{meant}{number}, {word}"
    near = [known for known in paths if _is_meant(path, known)]
    if not near:
        foreign = key in _OF_ONE_SECTION or (key == "variance" and section in _LAWLESS)
        near = [known for known in paths if known.rpartition(".")[2] == key and not foreign]
        near = [_KEYS[key]] if key in _KEYS else near
        outermost = min((known.count(".") for known in near), default=0)
        near = [known for known in near if known.count(".") == outermost]
    return _meant(near[0] if len(near) == 1 else None)


def _is_meant(path: str, known: str) -> bool:
    """Whether each key of a path is that of the other, or a misspelling of it."""
    keys, others = path.split("."), known.split(".")
    pairs = zip(keys, others, strict=False)
    return len(keys) == len(others) and all(correction(key, [other]) for key, other in pairs)


def _meant(word: str | None) -> str:
    return f"; did you mean {word!r}?" if word else ""
