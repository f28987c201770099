"""Grid -> passes -> one `ConditionResult` each: ties randomness, network, moments and theory."""

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.random import SFC64, Generator, SeedSequence
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from heinit_sim.activations import Activation, make_activation
from heinit_sim.moments import log10_moments, outer_moments, stacked, unit_moments
from heinit_sim.network import Weights, iter_backward, iter_forward, loss_gradient, scale_law
from heinit_sim.records import (
    Condition,
    ConditionResult,
    Measure,
    Quantity,
    Statistic,
    SweepConfig,
    SweepResult,
)
from heinit_sim.theory import exact, log_norm_spread, mean_field

Array = NDArray[np.float64]
Measured = Mapping[Measure, Array]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""

# First element of every spawn key: what the stream is for.
_WEIGHTS, _INPUTS = 0, 1
# Trials run in blocks whose arrays stay about this large: long enough calls for threads to run
# beside each other, small enough for the cache.
_BLOCK_BYTES = 2**19
_LARGEST_BLOCK = 256
# Weights of a block larger than this are drawn again in the backward pass, not kept.
_KEPT_BYTES = 2**28


@dataclass(frozen=True)
class Draws:
    """What fixes the random numbers of a trial, beside the seed and the trial's number."""

    widths: tuple[int, ...]
    n_inputs: int
    salt: tuple[int, ...]
    """Empty for common draws; a digest of the condition for independent ones."""


@dataclass(frozen=True)
class NetworkPass:
    """One forward and backward pass per trial; one serves all conditions the scale law joins."""

    draws: Draws
    activation: str
    activation_options: tuple[tuple[str, float], ...]
    stds: tuple[float, ...]
    target: float


@dataclass(frozen=True)
class Block:
    """What some consecutive trials measured, pass by pass."""

    trials: range
    measured: Mapping[NetworkPass, Measured]


def obeys_scale_law(condition: Condition) -> bool:
    """Whether the condition's moments follow from the unit-variance network's by a factor.

    Every activation here is positively homogeneous and every bias zero, so y = 0 decides.
    """
    return condition.target == 0.0


def plan_passes(config: SweepConfig) -> list[NetworkPass]:
    """The pass of each condition; conditions with equal passes are simulated once.

    A condition's pass never depends on the other conditions, so neither do its numbers.
    """
    return [_plan_pass(config, condition) for condition in config.conditions]


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


def iter_sweep(config: SweepConfig, jobs: int | None = None) -> Iterator[Block]:
    """Yield what each block of trials measured, in order, as `collect` takes it."""
    simulate = partial(_simulate_block, config.seed, list(dict.fromkeys(plan_passes(config))))
    size = block_size(config)
    blocks = [
        range(start, min(start + size, config.trials)) for start in range(0, config.trials, size)
    ]
    jobs = min(jobs or usable_cpus(), len(blocks))
    with threadpool_limits(limits=1, user_api="blas"):
        if jobs == 1:
            yield from map(simulate, blocks)
            return
        with ThreadPoolExecutor(jobs) as pool:
            pending: deque[Future[Block]] = deque()
            try:
                for trials in blocks:
                    pending.append(pool.submit(simulate, trials))
                    if len(pending) == 2 * jobs:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def collect(config: SweepConfig, blocks: Sequence[Block]) -> SweepResult:
    """Put the blocks together: one `ConditionResult` per condition, theory beside measurement."""
    stacks: dict[NetworkPass, Measured] = {}
    networks = []
    for condition, network_pass in zip(config.conditions, plan_passes(config), strict=True):
        if network_pass not in stacks:
            parts = [block.measured[network_pass] for block in blocks]
            stacks[network_pass] = {m: np.concatenate([p[m] for p in parts]) for m in parts[0]}
        measured = stacks[network_pass]
        if obeys_scale_law(condition):
            shifts = scale_law(condition.weight_variances)
            measured = {measure: log10 + shifts[measure[0]] for measure, log10 in measured.items()}
        networks.append(measured)
    return with_theory(config, networks)


def with_theory(config: SweepConfig, networks: Sequence[Measured]) -> SweepResult:
    """The result of a sweep from what each condition's networks showed."""
    results = []
    for condition, measured in zip(config.conditions, networks, strict=True):
        slope = make_activation(condition.activation, condition.activation_options).negative_slope
        results.append(
            ConditionResult(
                condition,
                measured,
                theory=exact(condition, slope),
                mean_field=mean_field(condition, slope),
                log_norm_spread=log_norm_spread(condition, slope),
            )
        )
    return SweepResult(config, tuple(results))


def block_size(config: SweepConfig) -> int:
    """Trials per block: from the largest array of the sweep, never from the number of threads."""
    largest = max(8 * max(c.widths) * max(c.n_inputs, *c.widths) for c in config.conditions)
    return min(max(_BLOCK_BYTES // largest, 1), _LARGEST_BLOCK)


def keeps_weights(draws: Draws, n_networks: int) -> bool:
    """Whether the weights of so many networks are kept for the backward pass, or drawn again."""
    return 8 * n_networks * weight_count(draws) <= _KEPT_BYTES


def weight_count(draws: Draws) -> int:
    """Weights of one network."""
    return sum(i * o for i, o in pairwise(draws.widths))


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plan_pass(config: SweepConfig, condition: Condition) -> NetworkPass:
    salt: tuple[int, ...] = ()
    if config.draws == "independent":
        text = json.dumps(dict(condition.swept), sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        salt = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    variances = condition.weight_variances
    stds = (
        (1.0,) * len(variances) if obeys_scale_law(condition) else tuple(map(math.sqrt, variances))
    )
    return NetworkPass(
        Draws(condition.widths, condition.n_inputs, salt),
        condition.activation,
        tuple(sorted(condition.activation_options.items())),
        stds,
        condition.target,
    )


def _simulate_block(seed: int, passes: Sequence[NetworkPass], trials: range) -> Block:
    """Draw each network of these trials once and take all its passes."""
    measured = {}
    for draws in dict.fromkeys(p.draws for p in passes):
        x = _sample_inputs(seed, draws, trials)
        weights: Weights = _DrawnWeights(seed, draws, trials)
        if keeps_weights(draws, len(trials)):
            weights = [weights[k] for k in range(len(draws.widths) - 1)]
        for network_pass in passes:
            if network_pass.draws == draws:
                measured[network_pass] = _measure(network_pass, weights, x)
    return Block(trials, measured)


def _measure(network_pass: NetworkPass, weights: Weights, x: Array) -> Measured:
    """Forward, loss, backward; the moments of all five quantities on the way."""
    options = dict(network_pass.activation_options)
    activation: Activation = make_activation(network_pass.activation, options)
    h_moments, f_moments, derivatives = [], [], []
    for h, f in iter_forward(weights, network_pass.stds, x, activation):
        h_moments.append(unit_moments(h))
        f_moments.append(unit_moments(f))
        derivatives.append(activation.derivative(f.mantissa))

    dl_df_moments, dl_dh_moments = [], []
    dl_dout = loss_gradient(f, network_pass.target)
    for dl_df, dl_dh in iter_backward(weights, network_pass.stds, dl_dout, derivatives):
        dl_df_moments.append(unit_moments(dl_df))
        dl_dh_moments.append(unit_moments(dl_dh))

    layers_h, layers_dl_df = stacked(h_moments), stacked(dl_df_moments[::-1])
    of: dict[Quantity, dict[Statistic, Array]] = {
        "preactivation": log10_moments(stacked(f_moments)),
        "activation": log10_moments(layers_h),
        "grad_preactivation": log10_moments(layers_dl_df),
        "grad_activation": log10_moments(stacked(dl_dh_moments[::-1])),
        "grad_weight": log10_moments(outer_moments(layers_dl_df, layers_h)),
    }
    # ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    of["grad_preactivation"]["variance"][-1] = of["preactivation"]["variance"][-1] + np.log10(4.0)
    return {(q, s): log10.T for q, moments in of.items() for s, log10 in moments.items()}


class _DrawnWeights:
    """Ω_k/σ_k of a block's networks, drawn anew at each look: the same numbers every time."""

    def __init__(self, seed: int, draws: Draws, trials: range) -> None:
        self._seed, self._draws, self._trials = seed, draws, trials

    def __getitem__(self, k: int) -> Array:
        fan_in, fan_out = self._draws.widths[k : k + 2]
        return _sample(self._seed, _WEIGHTS, self._trials, k, self._draws.salt, (fan_out, fan_in))


def _sample_inputs(seed: int, draws: Draws, trials: range) -> Array:
    """x, (n_networks, D_0, n_inputs); drawn input by input, so that more begin with the same."""
    shape = (draws.n_inputs, draws.widths[0])
    x = _sample(seed, _INPUTS, trials, 0, draws.salt, shape)
    return np.ascontiguousarray(x.swapaxes(-1, -2))


def _sample(
    seed: int, tag: int, trials: range, k: int, salt: tuple[int, ...], shape: tuple[int, int]
) -> Array:
    """Standard-normal draws, (n_networks, *shape), from one stream per trial and layer."""
    draws = np.empty((len(trials), *shape))
    for trial, out in zip(trials, draws, strict=True):
        rng = Generator(SFC64(SeedSequence(seed, spawn_key=(tag, trial, k, *salt))))
        rng.standard_normal(out=out)
    return draws
