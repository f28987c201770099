"""Keys of a config as one says them, and the words for their values."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from heinit_sim.experiment.activation_table import ALIASES, TABLE
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.labels import ends_apart

KEYS: Mapping[str, tuple[str, str]] = {
    "network.depth": ("Hidden layers", "$K$"),
    "network.width": ("Width", "$D_h$"),
    "network.input_dim": ("Inputs of the network", "$D_i$"),
    "network.output_dim": ("Outputs of the network", "$D_o$"),
    "network.kernel": ("Positions of a kernel along each dimension", ""),
    "network.input_channels": ("Channels of the input", ""),
    "weights.expand": ("Units as a multiple of the width", ""),
    "weights.kernel": ("Positions of a kernel along each dimension", ""),
    "dropout.rate": ("Dropout rate", ""),
    "attention.heads": ("Heads", ""),
    "add.scale": ("Factor of what a block adds", "$s$"),
    "add.skip": ("Factor of what enters a block", ""),
    "network.activation.negative_slope": ("Slope below zero", r"$\alpha$"),
    "network.activation.frequency": ("Frequency of the sine", r"$\omega$"),
    "init.variance": ("Variance of the weights", r"$\sigma^2_\Omega$"),
    "init.bias_variance": ("Variance of the biases", r"$\sigma^2_b$"),
    "init.a": ("Slope that the gain is for", "$a$"),
    "inputs.count": ("Inputs in the batch", ""),
    "inputs.mean": ("Mean of the inputs", ""),
    "inputs.std": ("Standard deviation of the inputs", ""),
    "inputs.density": ("Density of the inputs", ""),
    "inputs.cosine": ("Cosine between the inputs", ""),
    "loss.target": ("Target", "$y$"),
}
"""Dotted path of a number -> what an axis calls it, and its symbol in the book if it has one."""
_SHORT = {
    "dropout.rate": "dropout",
    "inputs.count": "inputs",
    "inputs.mean": "input mean",
    "inputs.std": "input std",
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "network.activation": {
        **{name: row.name for name, row in TABLE.items()},
        **{alias: TABLE[name].name for alias, name in ALIASES.items()},
    },
    "network.padding": {"zero": "zero padding", "circular": "circular padding"},
    "network.readout": {"flatten": "flattened", "mean": "averaged"},
    "norm.kind": {"layer": "layer norm", "rms": "RMS norm", "batch": "batch norm"},
    "attention.causal": {"true": "causal", "false": "not causal"},
    "init.scheme": {name: scheme.name for name, scheme in SCHEMES.items()},
    "init.mode": {
        "fan_in": "fan-in",
        "fan_out": "fan-out",
        "fan_avg": "mean fan",
        "fan_geo_avg": "geometric mean fan",
    },
    "init.gain": {
        "second_moment": "own gain",
        "std": "own gain (std)",
        "pytorch": "PyTorch's gain",
    },
    "init.first": {"null": "first layer as the others"},
    "init.last": {"null": "last layer as the others"},
    "init.nonlinearity": {name: f"gain of {row.name}" for name, row in TABLE.items()},
    "init.distribution": {"delta_orthogonal": "delta-orthogonal"},
    "inputs.normalisation": {
        "none": "unnormalised",
        "global": "normalised",
        "per_component": "normalised by component",
    },
    "inputs.distribution": {"pair": "pairs"},
    "loss.name": {"probe": "random probe"},
}
"""Dotted path -> value as a config has it -> the words for it, which need no key before them."""
# Path of an option of a step -> the word, or the section that the option is of; and its last keys.
_OF_A_STEP = re.compile(
    r"network\.(?:block|stem|head)\.(?:\d+\.block\.)?\d+\."
    r"(weights\.init|activation|gate\.activation|\w+)((?:\.\w+)?)"
)


def key_text(path: str) -> str:
    """Return the symbol of a key, or its name in words."""
    layer, path = of_one_layer(path)
    _, symbol = KEYS.get(path, ("", ""))
    return layer + (symbol or _SHORT.get(path, path.rpartition(".")[2].replace("_", " ")))


def keys_of_twins(paths: Iterable[str]) -> dict[str, str]:
    """The end of each path that is of the same option of another step as another of them."""
    of_options = [path for path in paths if _OF_A_STEP.fullmatch(path)]
    counts = Counter(map(of_one_layer, of_options))
    ends = ends_apart(of_options)
    return {path: ends[path] for path in of_options if counts[of_one_layer(path)] > 1}


def axis_text(path: str) -> str:
    """Return what an axis of a swept number is called."""
    layer, path = of_one_layer(path)
    words, symbol = KEYS.get(path, ("", ""))
    words = words or path.rpartition(".")[2].replace("_", " ").capitalize()
    return ", ".join(text for text in (words, layer.rstrip(), symbol) if text)


def of_one_layer(path: str) -> tuple[str, str]:
    """Split the path of a key of the first or last layer alone: which layer, and whose key it is.

    E.g. "first layer " and "init.variance"; of an option of a step nothing and "add.scale", of
    another path nothing and itself.
    """
    option = _OF_A_STEP.fullmatch(path)
    if option:
        named = {"init": f"init{option[2]}", "activation": f"network.activation{option[2]}"}
        return "", named.get(option[1].rpartition(".")[2], option[1] + option[2])
    section, _, key = path.partition(".")
    end, _, inner = key.partition(".")
    if section == "init" and inner:
        return f"{end} layer ", f"init.{inner}"
    return "", path
