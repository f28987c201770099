"""What became of networks on the way: layers that died, activations that left float range."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from heinit_sim.results import ConditionResult

FateWord = Literal["dead", "off", "overflow", "underflow"]
_HOW: dict[FateWord, str] = {
    "dead": "dead from",
    "off": "all units off at",
    "overflow": "overflow at",
    "underflow": "underflow at",
}


@dataclass(frozen=True)
class Fate:
    """What befell some networks of a condition."""

    word: FateWord
    first: int
    """The first layer where it did."""
    n_networks: int
    """How many it befell."""
    n_all: int

    @property
    def text(self) -> str:
        """One line, e.g. "overflow at layer 212 in 3 of 100 networks"."""
        at = f"{_HOW[self.word]} layer {self.first}" + " or later" * (self.n_networks > 1)
        return f"{at} in {self.n_networks} of {self.n_all} networks"


def fates(result: ConditionResult) -> list[Fate]:
    """What befell networks of a condition, the commonest first; empty if all came through.

    A network is dead from the layer on behind which all activations are zero; where biases bring
    them back, all units of that layer were off, and nothing of the input passes it. Where its
    activation is not homogeneous, or it has biases, it overflows or underflows at the first
    pre-activations f_k beyond the range of a float; these, what follows and all its gradients are
    NaN.
    """
    h = result.networks["activation", "second_moment"]
    f = result.networks["preactivation", "second_moment"]
    condition = result.condition
    found: dict[FateWord, list[int]] = {}
    for of_h, of_f in zip(h, f, strict=True):
        if np.isnan(of_f).any():
            k = int(np.isnan(of_f).argmax())
            log10_q = of_h[k] + math.log10(condition.weight_variances[k] * condition.fans[k][0])
            # Activations that are lost before their layer is are too large.
            found.setdefault("underflow" if log10_q <= 0 else "overflow", []).append(k)
        elif (off := np.isneginf(of_h[1:])).any():
            k = int(off.argmax())
            found.setdefault("dead" if off[k:].all() else "off", []).append(1 + k)
    common = sorted(found.items(), key=lambda item: -len(item[1]))
    return [Fate(word, min(layers), len(layers), len(h)) for word, layers in common]
