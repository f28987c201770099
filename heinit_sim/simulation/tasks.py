"""A sweep as a fixed list of tasks: the config alone decides, not who does them or how many do."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.network.steps.weights import WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.streams import (
    DrawnMasks,
    DrawnNormals,
    sample_biases,
    sample_classes,
    sample_inputs,
    sample_probes,
    sample_weights,
)
from heinit_sim.simulation.directions import biases_of
from heinit_sim.simulation.measure import Judge, PassResult, measure
from heinit_sim.simulation.plan import NetworkPass, block_size, families, side_by_side

# Work is told in seconds of a nominal machine: tasks are to be the same on every one.
_SECONDS_PER_WEIGHT = 6e-9
_SECONDS_PER_MULTIPLICATION = 5e-11
_SECONDS_PER_UNIT = 1e-8  # and input, of both passes
_SECONDS_PER_MATRIX = 2e-5  # its random stream, and calls of Python
# A task is this share of all work, in these bounds: short enough for several threads to end
# together and for little to be lost with one, long enough for its file to cost little.
_SHARE, _SHORTEST, _LONGEST = 1 / 256, 0.02, 30.0


class Task(NamedTuple):
    """Some networks of a sweep: those of some trials, and all passes on them."""

    number: int
    """Place in the list, from 0 on."""
    seed: int
    passes: tuple[NetworkPass, ...]
    """Passes of the same draws."""
    trials: range
    work: float
    """Seconds of a nominal machine, about."""

    @property
    def networks(self) -> int:
        """How many networks it simulates."""
        return len(self.trials)


class Simulated(NamedTuple):
    """A task that is done."""

    task: Task
    results: tuple[PassResult, ...]
    """One for each of its passes."""


def task_list(config: SweepConfig) -> list[Task]:
    """The tasks of a sweep, whatever computes them: family by family, in the order of trials."""
    works = {family: _trial_seconds(family) for family in families(config)}
    most = min(max(sum(works.values()) * config.trials * _SHARE, _SHORTEST), _LONGEST)
    tasks: list[Task] = []
    for family, work in works.items():
        block = block_size(family)
        size = max(int(most / work / block), 1) * block
        for start in range(0, config.trials, size):
            trials = range(start, min(start + size, config.trials))
            tasks.append(Task(len(tasks), config.seed, family, trials, work * len(trials)))
    return tasks


def simulate(task: Task) -> tuple[PassResult, ...]:
    """Simulate the networks of a task, some of them side by side.

    Returns:
        One result for each pass; the bits of a network depend on its trial alone.
    """
    size = block_size(task.passes)
    spare: list[list[FloatArray]] = []
    blocks = [
        simulate_block(task.seed, task.passes, task.trials[start : start + size], spare=spare)
        for start in range(0, len(task.trials), size)
    ]
    return tuple(map(joined, zip(*blocks, strict=True)))


def simulate_block(
    seed: int, family: Sequence[NetworkPass], trials: range, *, spare: list[list[FloatArray]]
) -> list[PassResult]:
    """Draw each network of these trials once and take all passes on it.

    Args:
        seed: The sweep's seed.
        family: Passes of the same draws.
        trials: One network each.
        spare: Memory for weights that earlier blocks left, see `sample_weights`; takes this one's.
    """
    draws, results = family[0].draws, dict[NetworkPass, PassResult]()
    x = sample_inputs(seed, draws, trials)
    weights: WeightsByPlace | DrawnNormals = DrawnNormals(seed, draws, trials, len(family))
    if family[0].engine == "weights":
        weights = sample_weights(seed, draws, trials, spare)
    masks = DrawnMasks(seed, draws, trials)
    biased = any(spec.bias_variance for p in family for spec in p.specs)
    betas = sample_biases(seed, draws, trials) if biased else []
    losses = {network_pass.loss.name for network_pass in family}
    judge = Judge(
        sample_classes(seed, draws, trials) if "cross_entropy" in losses else None,
        sample_probes(seed, draws, trials) if "probe" in losses else None,
    )
    for stack in side_by_side(family):
        measured = measure(stack, weights, x, biases_of(stack, betas), masks, judge)
        results |= zip(stack, measured, strict=True)
    if isinstance(weights, list):
        spare.append(weights)
    return [results[network_pass] for network_pass in family]


def joined(parts: Sequence[PassResult]) -> PassResult:
    """One pass of the networks of all parts, one after another."""
    first = parts[0]
    return PassResult(
        {m: np.concatenate([part.networks[m] for part in parts]) for m in first.networks},
        {q: sum((part.tallies[q] for part in parts[1:]), first.tallies[q]) for q in first.tallies},
        {m: np.concatenate([part.ratios[m] for part in parts]) for m in first.ratios},
        {name: np.concatenate([part.outputs[name] for part in parts]) for name in first.outputs},
    )


def _trial_seconds(family: Sequence[NetworkPass]) -> float:
    """Nominal seconds of one trial."""
    draws = family[0].draws
    own = family if family[0].engine == "conditional" else family[:1]
    seconds = sum(network_pass.drawn for network_pass in own) * _SECONDS_PER_WEIGHT
    seconds += len(draws.shapes) * _SECONDS_PER_MATRIX
    for network_pass in family:
        seconds += network_pass.multiplications * _SECONDS_PER_MULTIPLICATION
        seconds += network_pass.units * draws.n_inputs * _SECONDS_PER_UNIT
    return seconds
