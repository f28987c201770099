"""What a sweep will take: passes, time and memory, from its shapes and a probe of this machine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation, Slope
from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.quantities import COUNTED, MEASURES, Bins
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import Draws, keeps_weights
from heinit_sim.sampling.weights import WEIGHT_LAWS
from heinit_sim.simulation.histograms import GRIDS, counted
from heinit_sim.simulation.plan import block_size, plan_passes
from heinit_sim.theory.assumptions import chain_slope
from heinit_sim.theory.predictions import BESIDE_A_RUN, n_sampled

# An interpreter with NumPy and matplotlib loaded and a figure drawn, seen on 64-bit Linux.
_BASE_BYTES = 130 * 2**20
# Elementwise work of one layer in both passes, in units of one pass over its activations.
_SWEEPS_PER_LAYER = 20
# The same of its cosines, beside a product with one column.
_SWEEPS_PER_COSINE = 4
# The same of what a block adds: each of its weight layers has an activation and moments of its own;
# a normalisation, forth and back.
_SWEEPS_PER_BRANCH_LAYER = 16
_SWEEPS_PER_NORM = 20
# What a layer costs beside its numbers, seen on the same: Python's calls in both passes of a block,
# and its rows of `layers.csv`.
_SECONDS_PER_CALLS = 1e-4
_SECONDS_PER_ROWS = 5e-5
_BYTES_PER_ROWS = 2500
# Seconds of a convolution per seconds of its multiplications, as its matrices are thin; elementwise
# work of laying out its patches, in units of one pass over them, in all products together.
_KERNELS = 1.75
_SWEEPS_PER_PATCH = 3
# A layer of a network that is sampled for the predicted quantiles: its draws, and its five norms
# with what quantiles take.
_SECONDS_PER_SAMPLE = 4e-7
_BYTES_PER_SAMPLE = 8 * 8


@dataclass(frozen=True)
class Cost:
    """An estimate, good to about a factor of two."""

    passes: int
    """Forward and backward passes: one per trial and group of conditions that share it."""
    seconds: float
    peak_bytes: int


def estimate(config: SweepConfig, jobs: int) -> Cost:
    """Estimate a run on `jobs` threads, without simulating."""
    passes = dict.fromkeys(plan_passes(config))
    draws = dict.fromkeys(p.draws for p in passes)
    size = min(block_size(config), config.trials)
    per_product, per_element = _probe()
    redraws = {d: 1 if keeps_weights(d, size) else 2 for d in draws}
    seconds = sum(redraws[d] * _draw_seconds(d) for d in draws)
    for network_pass in passes:
        inputs = network_pass.draws.n_inputs
        units = sum(network_pass.draws.widths) * inputs
        products = 3 if network_pass.lsuv else 2  # one more pass forward finds the factors
        kernels = network_pass.draws.n_kernel_products
        dense = sum(math.prod(s) for s in network_pass.draws.shapes if len(s) == 2)
        # Gradients of kernels are products of their own.
        multiplications = products * dense + (products + 1) * _KERNELS * kernels
        seconds += multiplications * inputs * per_product
        inside, normed = _inside_units(network_pass.draws)
        sweeps = units * _SWEEPS_PER_LAYER
        sweeps += network_pass.draws.n_patches * inputs * _SWEEPS_PER_PATCH
        sweeps += inside * _SWEEPS_PER_BRANCH_LAYER + normed * _SWEEPS_PER_NORM
        seconds += sweeps * per_element
        seconds += max(units, inside) * _activation_seconds(
            network_pass.activation, network_pass.activation_options
        )
        if network_pass.cosine:
            seconds += 2 * units * _SWEEPS_PER_COSINE * per_element
        if network_pass.histograms:
            seconds += len(COUNTED) * units * _count_seconds(network_pass.histograms)
    per_thread = max(_block_bytes(d, size) for d in draws)
    layers = sum(condition.depth + 1 for condition in config.conditions)
    results = 2 * 8 * len(MEASURES) * layers * config.trials  # per block, then put together
    counts = sum(
        8 * len(COUNTED) * len(p.stds) * GRIDS[p.histograms].n_bins for p in passes if p.histograms
    )
    n_blocks = -(-config.trials // size)
    seconds = config.trials * seconds + n_blocks * _SECONDS_PER_CALLS * sum(
        len(network_pass.draws.shapes) for network_pass in passes
    )
    busy = min(jobs, n_blocks)
    slopes = ((c, chain_slope(c)) for c in config.conditions)
    predicted = {(c.widths, slope, c.inputs): c for c, slope in slopes if slope is not None}
    sampled = [(c.depth + 1) * n_sampled(c, BESIDE_A_RUN) for c in predicted.values()]
    return Cost(
        passes=len(passes) * config.trials,
        seconds=seconds / busy + layers * _SECONDS_PER_ROWS + sum(sampled) * _SECONDS_PER_SAMPLE,
        peak_bytes=_BASE_BYTES
        + busy * per_thread
        + results
        + (2 * busy + 2) * counts  # of the blocks under way, their sum, and the records
        + layers * _BYTES_PER_ROWS
        + max(sampled, default=0) * _BYTES_PER_SAMPLE,
    )


def _block_bytes(draws: Draws, size: int) -> int:
    """What one thread holds: weights, a few layers of floats and a boolean for every unit."""
    largest = max(map(math.prod, draws.shapes))
    weights = draws.n_weights if keeps_weights(draws, size) else largest
    units = max(draws.widths) * draws.n_inputs
    kept = 9 if draws.convolution or draws.residual else 1  # floats too, or booleans alone
    return size * (8 * weights + 6 * 8 * units + kept * sum(draws.widths) * draws.n_inputs)


def _inside_units(draws: Draws) -> tuple[int, int]:
    """Numbers that the weight layers of all branches see, and those that are normalised."""
    if draws.residual is None:
        return 0, 0
    blocks = sum(draws.widths[1:-2]) * draws.n_inputs
    return draws.residual.branch_layers * blocks, blocks * (draws.residual.norm != "none")


def _draw_seconds(draws: Draws) -> float:
    """Seconds to draw the weights of one network."""
    return sum(
        math.prod(shape) * _weight_seconds(law)
        for shape, law in zip(draws.shapes, draws.laws, strict=True)
    )


@cache
def _weight_seconds(distribution: Distribution) -> float:
    """Seconds per weight drawn."""
    rng = np.random.Generator(np.random.SFC64(0))
    out = np.empty((100, 100))
    with threadpool_limits(limits=1, user_api="blas"):
        return _best_seconds(lambda: WEIGHT_LAWS[distribution](out, rng)) / out.size


def _probe() -> tuple[float, float]:
    """Seconds per multiply-add of a matrix product and per elementwise step."""
    rng = np.random.Generator(np.random.SFC64(0))
    a = rng.standard_normal((100, 100))
    with threadpool_limits(limits=1, user_api="blas"):
        product = _best_seconds(lambda: a @ a) / a.size / len(a)
        element = _best_seconds(lambda: np.maximum(a, 0.0)) / a.size
    return product, element


@cache
def _count_seconds(bins: Bins) -> float:
    """Seconds per number counted in a histogram."""
    numbers = np.random.Generator(np.random.SFC64(0)).standard_normal((1, 1, 100, 100))
    stack = Scaled(numbers, np.zeros((1, 1), np.int64))
    pair = Scaled(numbers.repeat(2, axis=0), np.zeros((2, 1), np.int64))
    return _best_seconds(lambda: list(counted([stack, pair], bins, [], []))) / (3 * numbers.size)


@cache
def _activation_seconds(name: str | Activation, options: tuple[tuple[str, Slope], ...]) -> float:
    """Seconds per unit and input of a(f) and a'(f)."""
    activation = make_activation(name, dict(options))
    f = np.random.Generator(np.random.SFC64(0)).standard_normal((100, 100))
    out = np.empty_like(f)

    def both() -> None:
        activation.value(f, out)
        activation.derivative(f)

    return _best_seconds(both) / f.size


def _best_seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
