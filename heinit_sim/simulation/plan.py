"""The passes that a sweep needs, which of them share draws, and how many trials go side by side."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from heinit_sim.experiment.activation_table import Activation, Slope
from heinit_sim.experiment.architecture import matrix_shapes
from heinit_sim.experiment.quantities import Bins
from heinit_sim.experiment.sweep_config import Condition, LayerSpec, Lsuv, SweepConfig
from heinit_sim.experiment.synonyms import first_names
from heinit_sim.sampling.streams import Draws
from heinit_sim.theory import assumptions
from heinit_sim.theory.finite_width import unit_layers

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkPass:
    """One forward and backward pass per trial; one serves all conditions the scale law joins."""

    draws: Draws
    activation: str | Activation
    activation_options: tuple[tuple[str, Slope], ...]
    layers: tuple[LayerSpec, ...]
    """Variances and means of the layers 0 … K."""
    target: float
    lsuv: Lsuv | None = None
    histograms: Bins | None = None
    cosine: bool = False

    @property
    def stds(self) -> list[float]:
        """σ_k of the weights of the layers 0 … K."""
        return [math.sqrt(layer.weight_variance) for layer in self.layers]

    @property
    def multiplications(self) -> int:
        """Multiplications with the weights of one network, in those of a large matrix product."""
        draws = self.draws
        products = 3 if self.lsuv else 2  # one more pass forward finds the factors
        of_matrices = sum(math.prod(shape) for shape in draws.shapes if len(shape) == 2)
        if draws.convolution is None:
            return products * of_matrices * draws.n_inputs
        of_kernels = (draws.n_weights - of_matrices) * draws.convolution.positions
        # Gradients of kernels are products of their own.
        of_kernels *= (products + 1) * _PER_KERNEL_PRODUCT
        return (products * of_matrices + of_kernels) * draws.n_inputs


# Trials run in blocks whose arrays stay about this large: long enough calls for threads to run
# beside each other, small enough for the cache.
_BLOCK_BYTES = 2**18
_LARGEST_BLOCK = 256
_PER_KERNEL_PRODUCT = 2  # of multiplications with kernels: thin matrices, patches laid out


def shares_pass(config: SweepConfig, condition: Condition) -> bool:
    """Whether the pass of the unit-variance network serves the condition.

    It does by the scale law, but for histograms: numbers do not move by whole bins.
    """
    return config.histograms is None and assumptions.obeys_scale_law(condition)


def plan_passes(config: SweepConfig) -> list[NetworkPass]:
    """The pass of each condition; conditions with equal passes are simulated once.

    A condition's pass never depends on the other conditions, so neither do its numbers.
    """
    return [_plan_pass(config, condition) for condition in config.conditions]


def distinct_passes(config: SweepConfig) -> list[NetworkPass]:
    """The passes that are simulated, each once, in the order of the conditions."""
    return list(dict.fromkeys(plan_passes(config)))


def families(config: SweepConfig) -> list[tuple[NetworkPass, ...]]:
    """The passes that are simulated, those of the same draws together."""
    by_draws: dict[Draws, list[NetworkPass]] = {}
    for network_pass in distinct_passes(config):
        by_draws.setdefault(network_pass.draws, []).append(network_pass)
    return [tuple(family) for family in by_draws.values()]


def block_size(draws: Draws) -> int:
    """Trials that go side by side: by the largest array of one network, whatever else there is."""
    widest = max(draws.widths)
    weights = widest**2  # at most; a convolution has far fewer
    if draws.convolution is not None:
        weights = max(map(math.prod, matrix_shapes(draws.widths, draws.convolution, None)))
    largest = 8 * max(widest * draws.n_inputs, weights)
    return min(max(_BLOCK_BYTES // largest, 1), _LARGEST_BLOCK)


def _unless_all(usual: T, values: Sequence[T]) -> tuple[T, ...]:
    return () if all(value == usual for value in values) else tuple(values)


def _plan_pass(config: SweepConfig, c: Condition) -> NetworkPass:
    salt: tuple[int, ...] = ()
    if config.draws == "independent":
        text = json.dumps(first_names(c.swept), sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        salt = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    layers = unit_layers(c) if shares_pass(config, c) else c.layers
    draws = Draws(
        c.widths, c.n_inputs, salt, c.weight_distributions, c.inputs, c.convolution, c.residual,
        _unless_all(None, [layer.weight_option for layer in c.layers]),
        _unless_all("normal", [layer.bias_distribution for layer in c.layers]),
    )  # fmt: skip
    options = tuple(sorted(c.activation_options.items()))
    return NetworkPass(
        draws, c.activation, options, layers, c.target, c.lsuv, config.histograms, config.cosine
    )
