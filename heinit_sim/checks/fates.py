"""How networks of a condition were lost, and in which layer."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from heinit_sim.experiment.results import ConditionResult

FateWord = Literal["dead", "off", "overflow", "underflow"]
_TEXTS: dict[FateWord, str] = {
    "dead": "dead from",
    "off": "all units off at",
    "overflow": "overflow at",
    "underflow": "underflow at",
}


@dataclass(frozen=True)
class Fate:
    """One way in which networks of a condition were lost."""

    word: FateWord
    first: int
    """The first layer where one of them was."""
    n_networks: int
    """Number of networks that were lost so."""
    n_all: int
    """Networks of the condition."""

    @property
    def text(self) -> str:
        """One line, e.g. "overflow at layer 212 in 3 of 100 networks"."""
        at = f"{_TEXTS[self.word]} layer {self.first}" + " or later" * (self.n_networks > 1)
        return f"{at} in {self.n_networks} of {self.n_all} networks"


def fates(result: ConditionResult) -> list[Fate]:
    """Tell how networks of a condition were lost, the commonest way first; empty if none was.

    A network is dead from the layer on behind which all activations are zero; where biases bring
    them back, all units of that layer were off, and nothing of the input passes it. A network whose
    activation is not homogeneous, or that has biases, overflows or underflows at the first
    pre-activations f_k beyond the range of a float; these, what follows and all its gradients are
    NaN.
    """
    h = result.networks["activation", "second_moment"]
    f = result.networks["preactivation", "second_moment"]
    condition = result.condition
    first_layers: dict[FateWord, list[int]] = {}
    for network_h, network_f in zip(h, f, strict=True):
        if np.isnan(network_f).any():
            k = int(np.isnan(network_f).argmax())
            of_mean = (condition.fans[k][0] * condition.specs[k].weight_mean) ** 2
            log10_q = network_h[k] + math.log10(condition.weight_scales[k] + of_mean)
            # Activations that are lost before their layer is are too large.
            first_layers.setdefault("underflow" if log10_q <= 0 else "overflow", []).append(k)
        elif (off := np.isneginf(network_h[1:])).any():
            k = int(off.argmax())
            first_layers.setdefault("dead" if off[k:].all() else "off", []).append(1 + k)
    common = sorted(first_layers.items(), key=lambda item: -len(item[1]))
    return [Fate(word, min(layers), len(layers), len(h)) for word, layers in common]
