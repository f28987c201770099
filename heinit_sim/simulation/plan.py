"""The passes that a sweep needs, which of them share draws, and how many trials go side by side."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

from heinit_sim.activations import activation_of
from heinit_sim.experiment.records import NOTHING, Records, output_sizes
from heinit_sim.experiment.steps import (
    Activate,
    Attention,
    Dropout,
    Norm,
    Row,
    Step,
    WeightSpec,
    by_layer,
    changed,
    distinct,
    matrices,
    units_after,
    units_in,
    weights_in,
    with_spec,
)
from heinit_sim.experiment.sweep_config import (
    Condition,
    EngineName,
    Loss,
    Lsuv,
    SweepConfig,
    Update,
)
from heinit_sim.experiment.synonyms import first_names
from heinit_sim.sampling.streams import Draws
from heinit_sim.theory import assumptions
from heinit_sim.theory.finite_width import unit_layers

T = TypeVar("T")


class CountedStep(NamedTuple):
    """A step of a kind of layer."""

    layers: int
    """Layers of that kind."""
    row: Row
    place: int
    """Place of the step in the row."""
    units: int
    """Units of what enters the step."""
    units_after: int
    """Units of what it makes."""

    @property
    def step(self) -> Step:
        """The step itself."""
        return self.row[self.place]


@dataclass(frozen=True)
class NetworkPass:
    """One forward and backward pass per trial; one serves all conditions the scale law joins."""

    draws: Draws
    layers: tuple[Row, ...]
    """Steps of the layers 0 … K."""
    loss: Loss
    lsuv: Lsuv | None = None
    record: Records = NOTHING
    engine: EngineName = "weights"
    update: Update | None = None
    """The step of training behind both passes, if one is taken."""

    @cached_property
    def specs(self) -> list[WeightSpec]:
        """The laws of all matrices, in the order in which they are used."""
        return [w.spec for weights in by_layer(self.layers, matrices) for w in weights]

    @property
    def has_biases(self) -> bool:
        """Whether any bias is random or other than 0."""
        return any(spec.bias_variance or spec.bias_mean for spec in self.specs)

    @cached_property
    def steps(self) -> list[CountedStep]:
        """The steps of each kind of layer."""
        counts = Counter(map(id, self.layers))
        steps = []
        for row in distinct(self.layers):
            units = units_in(row)
            for at, step in enumerate(row):
                after = units_after(step, units)
                steps.append(CountedStep(counts[id(row)], row, at, units, after))
                units = after
        return steps

    @property
    def units(self) -> int:
        """Numbers of one network for one input: those that matrices, norms and dropouts make."""
        made = (given.layers * _units_made(given.step, given.units_after) for given in self.steps)
        return self.draws.input_dim + sum(made)

    @property
    def widths(self) -> tuple[int, ...]:
        """D_0 … D_{K+1}."""
        return (*by_layer(self.layers, units_in), matrices(self.layers[-1])[-1].outputs)

    @property
    def columns(self) -> int:
        """Columns of the largest array: inputs, or outputs whose gradients go side by side."""
        return max(self.draws.n_inputs, self.gradient_columns)

    @property
    def gradient_columns(self) -> int:
        """Outputs whose gradients go through the network side by side for its Jacobian; or 0."""
        if not self.record.jacobian:
            return 0
        return min(self.widths[-1], max(_GRADIENT_NUMBERS // self.widest, 1))

    @property
    def widest(self) -> int:
        """Units of the largest array of one network for one input."""
        return max(max(step.units, step.units_after) for step in self.steps)

    @property
    def drawn(self) -> int:
        """Random numbers of one network, in place of its weights or as these."""
        if self.engine == "weights":
            return self.draws.n_weights
        return 3 * self.units * self.draws.n_inputs  # ahead, back, and ahead once more

    @property
    def multiplications(self) -> int:
        """Multiplications with the weights of one network, in those of a large matrix product."""
        if self.engine == "conditional":
            n_inputs = self.draws.n_inputs  # whose inner products have a root in each layer
            rows = self.units + len(self.layers) * n_inputs
            return _THIN_PRODUCTS * rows * n_inputs**2 + self._batch_multiplications
        products = 3 if self.lsuv else 2  # one more pass forward finds the factors
        if self.update:  # one more pass, with what changed the weights formed and multiplied with
            thin = self.update.optimiser == "sgd" and self.draws.n_inputs < self.widest / 2
            products += 1 if thin else 3
        each = (given.layers * _multiplications(given.step, products) for given in self.steps)
        total = sum(each) * self.draws.n_inputs + self._batch_multiplications
        if self.record.jacobian:
            once = sum(given.layers * _multiplications(given.step, 1) for given in self.steps)
            ends = self.widths[0], self.widths[-1]
            values = output_sizes(self.record, ends).get("log10_singular_values", 0)
            total += (1 + ends[1]) * once + _PER_SVD * values**2 * max(ends)
        return total

    @property
    def _batch_multiplications(self) -> int:
        """Multiplications that the gradient of the batch's mean loss takes, by dense weights."""
        if not self.record.batch_gradient:
            return 0
        n, total = self.draws.n_inputs, 0
        for given in self.steps:
            for weights in weights_in(given.step):
                if weights.window is None:
                    grams = n * (weights.inputs + weights.outputs)
                    total += given.layers * n * min(grams, math.prod(weights.shape))
        return total


def _units_made(step: Step, after: int) -> int:
    matrices = len(weights_in(step))
    return after * (matrices or isinstance(step, Norm | Dropout))


def _multiplications(step: Step, products: int) -> int:
    """Multiplications of one step for one input."""
    total = 0
    for weights in weights_in(step):
        size = math.prod(weights.shape)
        if weights.window is None:
            total += products * size
        else:  # gradients of kernels are products of their own
            size *= weights.window.positions_out
            total += (products + 1) * _PER_KERNEL_PRODUCT * size
    if isinstance(step, Attention):  # scores and averages, and four products on the way back
        total += 6 * step.tokens * step.query.outputs
    return total


# Trials run in blocks whose arrays stay about this large: long enough calls for threads to run
# beside each other, small enough for the cache.
_BLOCK_BYTES = 2**18
_LARGEST_BLOCK = 256
_THIN_PRODUCTS = 8 * 4  # with matrices of N × N, where a multiplication takes four times as long
_STACK_BYTES = 5 * _BLOCK_BYTES  # passes go side by side while their arrays stay about this large
_GRADIENT_NUMBERS = 2**20  # of the widest layer, of gradients that go side by side
_PER_SVD = 8  # multiplications for each of D_o D_0 min(D_o, D_0), thin products among them
_PER_KERNEL_PRODUCT = 2  # of multiplications with kernels: thin matrices, patches laid out


def shares_pass(config: SweepConfig, condition: Condition) -> bool:
    """Whether the pass of the unit-variance network serves the condition.

    It does by the scale law, if all that is kept of it follows that.
    """
    return config.record.follows_scale_law and assumptions.obeys_scale_law(condition)


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


def block_size(family: Sequence[NetworkPass]) -> int:
    """Trials that go side by side: by the largest array of one network, whatever else there is."""
    draws, widest = family[0].draws, max(network_pass.widest for network_pass in family)
    weights = widest**2  # at most; a convolution has far fewer
    if family[0].engine == "conditional":
        weights = draws.n_inputs**2
    if any(len(shape) > 2 for shape in draws.shapes):
        weights = max(map(math.prod, draws.shapes))
    columns = max(network_pass.columns for network_pass in family)
    largest = 8 * max(widest * columns, weights)
    return min(max(_BLOCK_BYTES // largest, 1), _LARGEST_BLOCK)


def side_by_side(family: Sequence[NetworkPass]) -> list[list[NetworkPass]]:
    """Passes of the same draws, those together that may go through each layer together.

    They differ in nothing but variances of weights and biases, activations that are not positively
    homogeneous, and targets other than 0; their losses have one name. Stacks end where the cache
    does.
    """
    largest = max(p.widest for p in family) * max(p.columns for p in family)
    most = max(_STACK_BYTES // (8 * largest * block_size(family)), 1)
    together = len(family) > 1 and family[0].engine == "weights"
    together &= all(len(shape) == 2 for shape in family[0].draws.shapes)  # no convolutions
    found: list[tuple[object, list[NetworkPass]]] = []
    for network_pass in family:
        if network_pass.lsuv or network_pass.update or not together:
            found.append((None, [network_pass]))
            continue
        bare = changed(network_pass.layers, _bare)
        common = bare, network_pass.has_biases, *_kind(network_pass.loss)
        stacks = (s for other, s in found if other == common and len(s) < most)
        stack = next(stacks, None)
        if stack is None:
            found.append((common, [network_pass]))
        else:
            stack.append(network_pass)
    return [stack for _, stack in found]


def _kind(loss: Loss) -> tuple[str, bool]:
    """A key that losses share whose gradients are taken together."""
    return loss.name, loss.target == 0


def _bare(step: Step) -> Step:
    """The step without all that may differ between passes that go side by side."""
    if isinstance(step, Activate) and activation_of(step).negative_slope is None:
        return Activate("tanh")
    return with_spec(step, _bare_spec)


def _bare_spec(spec: WeightSpec) -> WeightSpec:
    variance = spec.weight_variance if spec.weight_mean else 1.0
    return spec._replace(weight_variance=variance, bias_variance=0.0, bias_mean=0.0)


def _unless_all(usual: T, values: Sequence[T]) -> tuple[T, ...]:
    return () if all(value == usual for value in values) else tuple(values)


def _plan_pass(config: SweepConfig, c: Condition) -> NetworkPass:
    salt: tuple[int, ...] = ()
    if config.draws == "independent":
        text = json.dumps(first_names(c.swept), sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        salt = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    layers = unit_layers(c) if shares_pass(config, c) else c.layers
    draws = draws_of(c, salt)
    return NetworkPass(draws, layers, c.loss, c.lsuv, config.record, config.engine, c.update)


def draws_of(condition: Condition, salt: tuple[int, ...] = ()) -> Draws:
    """All that fixes the random numbers of a condition's networks."""
    c = condition
    laws = by_layer(c.layers, lambda row: [(w.shape, w.spec) for w in matrices(row)])
    shapes, every = zip(*(law for of_layer in laws for law in of_layer), strict=True)
    return Draws(
        shapes,
        tuple(spec.weight_distribution for spec in every),
        c.widths[0],
        c.n_inputs,
        salt,
        c.inputs,
        tuple(units for of_layer in by_layer(c.layers, _dropped) for units in of_layer),
        _unless_all(None, [spec.weight_option for spec in every]),
        _unless_all("normal", [spec.bias_distribution for spec in every]),
    )


def _dropped(row: Row) -> list[int]:
    """Units of what enters each dropout of a layer."""
    dropped, units = list[int](), units_in(row)
    for step in row:
        if isinstance(step, Dropout):
            dropped.append(units)
        units = units_after(step, units)
    return dropped
