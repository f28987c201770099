"""Grid -> passes -> one `ConditionResult` each: ties randomness, network, moments and theory."""

import os
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.results import ConditionResult, Histogram, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.streams import sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation.cosines import Cosines
from heinit_sim.simulation.histograms import Tallies, to_histograms, total
from heinit_sim.simulation.measure import Measured, biases_of, measure
from heinit_sim.simulation.plan import NetworkPass, block_size, plan_passes, shares_pass
from heinit_sim.theory.finite_width.scale_law import scale_law
from heinit_sim.theory.predictions import BESIDE_A_RUN, predict


@dataclass(frozen=True)
class Block:
    """What some consecutive trials measured, pass by pass."""

    trials: range
    measured: Mapping[NetworkPass, Measured]
    tallies: Mapping[NetworkPass, Tallies]
    """The histograms of these trials; `iter_sweep` hands out those of all with the last block."""
    cosines: Mapping[NetworkPass, Cosines]


def run_sweep(config: SweepConfig, jobs: int | None = None) -> SweepResult:
    """Simulate every condition of the sweep.

    Args:
        config: What to simulate, from `load_config`.
        jobs: Threads over trials; default: the CPUs this process may use. The result has the
            same bits for any number.

    Returns:
        One number per network, layer, quantity and statistic, with theory beside it.
    """
    return collect(config, list(iter_sweep(config, jobs)))


def iter_sweep(config: SweepConfig, jobs: int | None = None) -> Generator[Block, None, None]:
    """Yield what each block of trials measured, in order, as `collect` takes it."""
    spare: list[list[FloatArray]] = []
    passes = list(dict.fromkeys(plan_passes(config)))
    simulate = partial(_simulate_block, config.seed, passes, spare)
    size = block_size(config)
    blocks = [
        range(start, min(start + size, config.trials)) for start in range(0, config.trials, size)
    ]
    jobs = min(jobs or usable_cpus(), len(blocks))
    so_far: dict[NetworkPass, Tallies] = {}

    def counted_up(block: Block) -> Block:
        for network_pass, tallies in block.tallies.items():
            so_far[network_pass] = total([so_far.get(network_pass, {}), tallies])
        return replace(block, tallies=so_far if block.trials == blocks[-1] else {})

    with threadpool_limits(limits=1, user_api="blas"):
        if jobs == 1:
            yield from map(counted_up, map(simulate, blocks))
            return
        with ThreadPoolExecutor(jobs) as pool:
            pending: deque[Future[Block]] = deque()
            try:
                for trials in blocks:
                    pending.append(pool.submit(simulate, trials))
                    if len(pending) == 2 * jobs:
                        yield counted_up(pending.popleft().result())
                while pending:
                    yield counted_up(pending.popleft().result())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def collect(config: SweepConfig, blocks: Sequence[Block], *, quantiles: bool = True) -> SweepResult:
    """Put the blocks together: one `ConditionResult` per condition, theory beside measurement.

    Args:
        config: The sweep.
        blocks: What `iter_sweep` yielded for it.
        quantiles: Predict the quantiles over networks too, which takes a while.
    """
    stacks: dict[NetworkPass, Measured] = {}
    joined: dict[NetworkPass, Cosines] = {}
    networks, histograms, cosines = [], [], []
    for condition, network_pass in zip(config.conditions, plan_passes(config), strict=True):
        if network_pass not in stacks:
            parts = [block.measured[network_pass] for block in blocks]
            stacks[network_pass] = {m: np.concatenate([p[m] for p in parts]) for m in parts[0]}
            angles = [block.cosines[network_pass] for block in blocks]
            joined[network_pass] = {q: np.concatenate([a[q] for a in angles]) for q in angles[0]}
        measured = stacks[network_pass]
        if shares_pass(config, condition):
            shifts = scale_law(condition.weight_variances)
            measured = {measure: log10 + shifts[measure[0]] for measure, log10 in measured.items()}
        networks.append(measured)
        cosines.append(joined[network_pass])
        tallies = total([b.tallies[network_pass] for b in blocks if b.tallies])
        histograms.append(to_histograms(tallies, config.histograms))
    return with_theory(config, networks, histograms, cosines, quantiles=quantiles)


def with_theory(
    config: SweepConfig,
    networks: Sequence[Measured],
    histograms: Sequence[Mapping[Quantity, Histogram]],
    cosines: Sequence[Cosines],
    *,
    quantiles: bool = True,
) -> SweepResult:
    """The result of a sweep from what each condition's networks showed.

    Args:
        config: The sweep.
        networks: What its networks showed, condition by condition.
        histograms: Where their numbers are, condition by condition; empty where not counted.
        cosines: Those between their inputs, condition by condition; empty where not taken.
        quantiles: Predict those over networks too, which takes a while.
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


def _simulate_block(
    seed: int, passes: Sequence[NetworkPass], spare: list[list[FloatArray]], trials: range
) -> Block:
    """Draw each network of these trials once and take all its passes."""
    measured, tallies, cosines = {}, {}, {}
    for draws in dict.fromkeys(p.draws for p in passes):
        x = sample_inputs(seed, draws, trials)
        weights = sample_weights(seed, draws, trials, spare)
        own = [network_pass for network_pass in passes if network_pass.draws == draws]
        betas = sample_biases(seed, draws, trials) if any(p.bias_stds for p in own) else []
        for network_pass in own:
            biases = biases_of(network_pass, betas)
            of_pass = measure(network_pass, weights, x, biases)
            measured[network_pass], tallies[network_pass], cosines[network_pass] = of_pass
        if isinstance(weights, list):
            spare.append(weights)
    return Block(trials, measured, tallies, cosines)
