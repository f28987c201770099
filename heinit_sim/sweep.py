"""Grid -> passes -> one `ConditionResult` each: ties randomness, network, moments and theory."""

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from heinit_sim.activations import Activation, Mask, Slope, make_activation
from heinit_sim.draws import Draws, sample_biases, sample_inputs, sample_weights
from heinit_sim.moments import (
    UnitMoments,
    joined,
    log10_moments,
    outer_moments,
    taken,
    unit_moments,
)
from heinit_sim.network import (
    SETTLE_EVERY,
    Weights,
    iter_backward,
    iter_forward,
    loss_gradient,
)
from heinit_sim.predictions import BESIDE_A_RUN, homogeneous_slope, predict
from heinit_sim.records import (
    Condition,
    ConditionResult,
    Measure,
    Quantity,
    Statistic,
    SweepConfig,
    SweepResult,
)
from heinit_sim.scale_law import scale_law
from heinit_sim.scaled import Scaled, rescaled

Array = NDArray[np.float64]
Measured = Mapping[Measure, Array]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""

# Trials run in blocks whose arrays stay about this large: long enough calls for threads to run
# beside each other, small enough for the cache.
_BLOCK_BYTES = 2**18
_LARGEST_BLOCK = 256


@dataclass(frozen=True)
class NetworkPass:
    """One forward and backward pass per trial; one serves all conditions the scale law joins."""

    draws: Draws
    activation: str | Activation
    activation_options: tuple[tuple[str, Slope], ...]
    stds: tuple[float, ...]
    bias_std: float
    target: float


@dataclass(frozen=True)
class Block:
    """What some consecutive trials measured, pass by pass."""

    trials: range
    measured: Mapping[NetworkPass, Measured]


def obeys_scale_law(condition: Condition) -> bool:
    """Whether the condition's moments follow from the unit-variance network's by a factor.

    That takes a positively homogeneous activation, zero biases and y = 0.
    """
    return homogeneous_slope(condition) is not None and condition.target == 0.0


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


def iter_sweep(config: SweepConfig, jobs: int | None = None) -> Generator[Block, None, None]:
    """Yield what each block of trials measured, in order, as `collect` takes it."""
    spare: list[list[Array]] = []
    passes = list(dict.fromkeys(plan_passes(config)))
    simulate = partial(_simulate_block, config.seed, passes, spare)
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


def with_theory(
    config: SweepConfig, networks: Sequence[Measured], *, quantiles: bool = True
) -> SweepResult:
    """The result of a sweep from what each condition's networks showed.

    Args:
        config: The sweep.
        networks: What its networks showed, condition by condition.
        quantiles: Predict those over networks too, which takes a while.
    """
    predictions = predict(config.conditions, BESIDE_A_RUN if quantiles else 0)
    results = [
        ConditionResult(**vars(prediction), networks=measured)
        for prediction, measured in zip(predictions, networks, strict=True)
    ]
    return SweepResult(config, tuple(results))


def block_size(config: SweepConfig) -> int:
    """Trials per block: from the largest array of the sweep, never from the number of threads."""
    largest = max(8 * max(c.widths) * max(c.n_inputs, *c.widths) for c in config.conditions)
    return min(max(_BLOCK_BYTES // largest, 1), _LARGEST_BLOCK)


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
        Draws(condition.widths, condition.n_inputs, salt, condition.weight_distribution),
        condition.activation,
        tuple(sorted(condition.activation_options.items())),
        stds,
        math.sqrt(condition.bias_variance),
        condition.target,
    )


def _simulate_block(
    seed: int, passes: Sequence[NetworkPass], spare: list[list[Array]], trials: range
) -> Block:
    """Draw each network of these trials once and take all its passes."""
    measured = {}
    for draws in dict.fromkeys(p.draws for p in passes):
        x = sample_inputs(seed, draws, trials)
        weights = sample_weights(seed, draws, trials, spare)
        own = [network_pass for network_pass in passes if network_pass.draws == draws]
        betas = sample_biases(seed, draws, trials) if any(p.bias_std for p in own) else []
        for network_pass in own:
            biases = [network_pass.bias_std * b for b in betas] if network_pass.bias_std else None
            measured[network_pass] = _measure(network_pass, weights, x, biases)
        if isinstance(weights, list):
            spare.append(weights)
    return Block(trials, measured)


def _measure(
    network_pass: NetworkPass, weights: Weights, x: Array, biases: Sequence[Array] | None
) -> Measured:
    """Forward, loss, backward; the moments of all five quantities on the way."""
    options = dict(network_pass.activation_options)
    activation = make_activation(network_pass.activation, options)
    homogeneous = activation.negative_slope is not None and biases is None
    layers: list[UnitMoments] = []
    derivatives: list[Array | Mask] = []
    for forward in iter_forward(weights, network_pass.stds, x, activation, biases):
        layers.append(unit_moments(forward if homogeneous else rescaled(forward)))
        if len(forward.mantissa) == 2:  # f_k and h_{k+1}
            k = len(derivatives)
            derivatives.append(activation.layer(k).derivative(forward.mantissa[0]))
    alternating = joined(layers)  # h_0, f_0, h_1, f_1, …, h_K, f_K
    h, f = taken(alternating, slice(0, None, 2)), taken(alternating, slice(1, None, 2))

    output = Scaled(forward.mantissa[0], forward.exponent[0])
    dl_dout = loss_gradient(output, network_pass.target)
    every = SETTLE_EVERY if homogeneous else 1
    backward = iter_backward(weights, network_pass.stds, dl_dout, derivatives, every)
    alternating = joined(  # ∂f_K, ∂h_K, …, ∂f_0, ∂h_0
        [unit_moments(layer if homogeneous else rescaled(layer)) for layer in backward]
    )
    dl_dh, dl_df = (
        taken(alternating, slice(None, None, -2)),
        taken(alternating, slice(-2, None, -2)),
    )

    of: dict[Quantity, dict[Statistic, Array]] = {
        "preactivation": log10_moments(f),
        "activation": log10_moments(h),
        "grad_preactivation": log10_moments(dl_df),
        "grad_activation": log10_moments(dl_dh),
        "grad_weight": log10_moments(outer_moments(dl_df, h)),
    }
    # ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    of["grad_preactivation"]["variance"][-1] = of["preactivation"]["variance"][-1] + np.log10(4.0)
    return {(q, s): log10.T for q, moments in of.items() for s, log10 in moments.items()}
