"""A grid of conditions simulated in blocks of trials, which add up to one result."""

import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.results import ConditionResult, Histogram, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.streams import sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation import plan
from heinit_sim.simulation.cosines import Cosines
from heinit_sim.simulation.histograms import Counts, to_histograms
from heinit_sim.simulation.measure import Measured, PassResult, biases_of, measure
from heinit_sim.theory import BESIDE_A_RUN, predict
from heinit_sim.theory.finite_width import scale_law


class Block(NamedTuple):
    """Some consecutive trials, simulated: plain numbers, which `collect` adds up."""

    trials: range
    results: tuple[PassResult, ...]
    """One for each of `distinct_passes`, of the networks of these trials alone."""


def run_sweep(config: SweepConfig, jobs: int | None = None) -> SweepResult:
    """Simulate every condition of the sweep.

    Args:
        config: What to simulate, from `load_config`.
        jobs: Threads over trials; default: the CPUs this process may use. The result has the
            same bits for any number.

    Returns:
        One number per network, layer, quantity and statistic, with theory beside it.
    """
    return collect(config, iter_sweep(config, jobs))


def iter_sweep(config: SweepConfig, jobs: int | None = None) -> Generator[Block, None, None]:
    """Simulate the blocks of a sweep and yield them in the order of their trials.

    Args:
        config: What to simulate.
        jobs: Threads over blocks; default: the CPUs this process may use.
    """
    simulate = partial(simulate_block, config.seed, plan.distinct_passes(config), spare=[])
    size = plan.block_size(config)
    all_trials = range(config.trials)
    blocks = [all_trials[start : start + size] for start in all_trials[::size]]
    jobs = min(jobs or usable_cpus(), len(blocks))
    with threadpool_limits(limits=1, user_api="blas"):
        if jobs == 1:
            yield from map(simulate, blocks)
            return
        pool = ThreadPoolExecutor(jobs)
        pending: deque[Future[Block]] = deque()
        wait = True
        try:
            for trials in blocks:
                pending.append(pool.submit(simulate, trials))
                if len(pending) == 2 * jobs:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except (KeyboardInterrupt, SystemExit):  # a signal waits for no block under way
            wait = False
            raise
        finally:
            pool.shutdown(wait=wait, cancel_futures=True)


def simulate_block(
    seed: int, passes: Sequence[plan.NetworkPass], trials: range, *, spare: list[list[FloatArray]]
) -> Block:
    """Draw each network of these trials once and take all its passes.

    Args:
        seed: The sweep's seed.
        passes: The passes, from `distinct_passes`.
        trials: One network each.
        spare: Memory for weights that earlier blocks left, see `sample_weights`; takes this one's.
    """
    results: dict[plan.NetworkPass, PassResult] = {}
    for draws in dict.fromkeys(p.draws for p in passes):
        x = sample_inputs(seed, draws, trials)
        weights = sample_weights(seed, draws, trials, spare)
        sharing = [network_pass for network_pass in passes if network_pass.draws == draws]
        biased = any(layer.bias_variance for p in sharing for layer in p.layers)
        betas = sample_biases(seed, draws, trials) if biased else []
        for network_pass in sharing:
            biases = biases_of(network_pass, betas)
            results[network_pass] = measure(network_pass, weights, x, biases)
        if isinstance(weights, list):
            spare.append(weights)
    return Block(trials, tuple(results[network_pass] for network_pass in passes))


def collect(config: SweepConfig, blocks: Iterable[Block], *, quantiles: bool = True) -> SweepResult:
    """Put all blocks of a sweep together, theory beside measurement.

    Histograms are added up on the way, so that those of one block at a time are in memory.

    Args:
        config: The sweep.
        blocks: Its blocks in the order of their trials.
        quantiles: Whether to predict quantiles over networks too, which takes a while.
    """
    passes = plan.distinct_passes(config)
    parts: dict[plan.NetworkPass, list[PassResult]] = {network_pass: [] for network_pass in passes}
    tallies: dict[plan.NetworkPass, dict[Quantity, Counts]] = {p: {} for p in passes}
    for block in blocks:
        for network_pass, result in zip(passes, block.results, strict=True):
            for quantity, counts in result.tallies.items():
                tallies[network_pass][quantity] = counts + tallies[network_pass].get(quantity, 0)
            parts[network_pass].append(result._replace(tallies={}))
    whole = {p: _joined(parts[p])._replace(tallies=tallies[p]) for p in passes}
    networks, histograms, cosines = [], [], []
    for condition, network_pass in zip(config.conditions, plan.plan_passes(config), strict=True):
        result = whole[network_pass]
        measured = result.networks
        if plan.shares_pass(config, condition):
            shifts = scale_law(condition.weight_variances)
            measured = {measure: log10 + shifts[measure[0]] for measure, log10 in measured.items()}
        networks.append(measured)
        histograms.append(to_histograms(result.tallies, config.histograms))
        cosines.append(result.cosines)
    return with_theory(config, networks, histograms, cosines, quantiles=quantiles)


def with_theory(
    config: SweepConfig,
    networks: Sequence[Measured],
    histograms: Sequence[Mapping[Quantity, Histogram]],
    cosines: Sequence[Cosines],
    *,
    quantiles: bool = True,
) -> SweepResult:
    """Set theory beside the numbers of all networks of a sweep.

    Args:
        config: The sweep.
        networks: Their moments, condition by condition.
        histograms: Their histograms, condition by condition; empty where not asked for.
        cosines: Mean cosines between their inputs, likewise.
        quantiles: Whether to predict quantiles over networks too, which takes a while.
    """
    n_sampled = BESIDE_A_RUN if quantiles else 0
    predictions = predict(config.conditions, n_sampled, cosine=config.cosine)
    results = [
        ConditionResult(**vars(prediction), networks=measured, histograms=counted, cosines=angles)
        for prediction, measured, counted, angles in zip(
            predictions, networks, histograms, cosines, strict=True
        )
    ]
    return SweepResult(config, tuple(results))


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _joined(parts: Sequence[PassResult]) -> PassResult:
    """The networks of all parts one after another; tallies are left out."""
    return PassResult(
        {m: np.concatenate([part.networks[m] for part in parts]) for m in parts[0].networks},
        {},
        {q: np.concatenate([part.cosines[q] for part in parts]) for q in parts[0].cosines},
    )
