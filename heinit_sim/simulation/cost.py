"""Passes, time and memory that a sweep will take, from its shapes and a probe of this machine."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.activations import activation_of
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.engines import why_not_conditional
from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.quantities import COUNTED, Bins
from heinit_sim.experiment.records import Records, output_sizes
from heinit_sim.experiment.steps import (
    WORDS,
    Activate,
    Attention,
    Dropout,
    Gate,
    Norm,
    Weights,
    activates_in,
    weights_in,
)
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.network.passes import LayerName, Stack
from heinit_sim.network.steps.activation import value_and_slope
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import keeps_weights, kept_normals_bytes
from heinit_sim.sampling.weights import WEIGHT_LAWS
from heinit_sim.simulation.histograms import GRIDS, counted
from heinit_sim.simulation.memory import available_bytes
from heinit_sim.simulation.plan import (
    CountedStep,
    NetworkPass,
    block_size,
    side_by_side,
)
from heinit_sim.simulation.tasks import Task, task_list
from heinit_sim.theory import BESIDE_A_RUN, assumptions, n_sampled

# Work, in steps that each take one number through np.maximum, and in multiplications of a product.
_STEPS_PER_UNIT = 20  # of f_k with h_{k+1}, of weights within a branch, or of a norm, both passes
_STEPS_PER_COSINE = 8  # of f_k with h_k
_STEPS_PER_RANGE = 60  # of f_k with h_k, and of their gradients
_STEPS_PER_PARTICIPATION = 25  # of the same, beside inner products of the inputs or of the units
_STEPS_PER_GRADIENT = 4  # of one more gradient, of an output, through f_k and h_k
_STEPS_PER_UPDATE = 10  # of f_k with h_{k+1}, once more and as a difference
_STEPS_PER_WEIGHT = 4  # of a gradient that Adam's rule changes
# Seconds and bytes, seen on 64-bit Linux.
_SECONDS_PER_CALLS = 1e-4  # of Python, for one weight layer in both passes of a block
# What each key of `record` adds to these calls, as a share of them.
_CALLS_OF_RECORDS = {
    "histograms": 1.1,
    "cosine": 0.3,
    "units": 0.65,
    "range": 2.0,
    "jacobian": 0.4,
    "batch_gradient": 0.35,
    "update": 1.6,
}
_SECONDS_PER_COLUMN = 1e-4  # of Python, for an input in the roots of one layer without weights
_SECONDS_PER_ROWS = 5e-5  # of `layers.csv`, for one layer of a condition
_BYTES_PER_ROWS = 2500
_SECONDS_PER_SAMPLE = 4e-7  # a layer of one network that is sampled for the predicted quantiles
_BYTES_PER_SAMPLE = 8 * 8  # its five norms, and what quantiles take
_BASE_BYTES = 130 * 2**20  # an interpreter with NumPy and matplotlib loaded and a figure drawn
_BYTES_PER_ELEMENT = 8


Family = tuple[NetworkPass, ...]


@dataclass(frozen=True)
class Cost:
    """An estimate, good to about a factor of two."""

    passes: int
    """Forward and backward passes: one per trial and group of conditions that share it."""
    seconds: float
    peak_bytes: int
    kept: Mapping[str, int]
    """Word of a step -> bytes that all steps of that kind keep for the way back, of the networks
    that go side by side."""


def estimate(config: SweepConfig, jobs: int, tasks: Sequence[Task] | None = None) -> Cost:
    """Estimate a run on `jobs` threads or processes, without simulating.

    Args:
        config: What is simulated.
        jobs: Threads or processes.
        tasks: Those that are to be done; default: all.
    """
    every = task_list(config)
    tasks = every if tasks is None else tasks
    share = sum(task.work for task in tasks) / sum(task.work for task in every)
    n_layers = sum(condition.depth + 1 for condition in config.conditions)
    simulation, found, busy = 0.0, _families(every), min(jobs, len(every))
    for family in found:
        size = _block_size(config, family)
        calls = sum(len(p.draws.shapes) * _calls(p.record) for p in family)
        blocks = -(-config.trials // size)
        simulation += config.trials * _trial_seconds(family, size)
        simulation += blocks * calls * _SECONDS_PER_CALLS
    seconds = simulation / busy + n_layers * _SECONDS_PER_ROWS
    seconds += sum(_sampled_layers(config)) * _SECONDS_PER_SAMPLE
    passes = sum(len(task.passes) * task.networks for task in tasks)
    kept = max((_kept(f, _block_size(config, f)) for f in found), key=_total)
    return Cost(passes, seconds * share, _peak_bytes(config, busy, found), kept)


def gain_without_weights(config: SweepConfig, jobs: int) -> float | None:
    """How many times longer a run takes by `engine: weights` than by `engine: conditional`.

    Less than 1 where weights are quicker, as for more inputs than units; None where the conditional
    engine cannot do the networks.
    """
    rows_and_fits = {(condition.layers, condition.lsuv) for condition in config.conditions}
    needs_weights = config.record.update or config.record.jacobian
    if needs_weights or any(why_not_conditional(*given) for given in rows_and_fits):
        return None
    formed, given = (
        estimate(replace(config, engine=engine), jobs).seconds
        for engine in ("weights", "conditional")
    )
    return formed / given


def peak_bytes(config: SweepConfig, jobs: int) -> int:
    """Bytes that a run on `jobs` threads takes at most, about."""
    every = task_list(config)
    return _peak_bytes(config, min(jobs, len(every)), _families(every))


def _peak_bytes(config: SweepConfig, busy: int, found: Sequence[Family]) -> int:
    """The same of the families of all tasks, on as many threads as have something to do."""
    n_layers = sum(condition.depth + 1 for condition in config.conditions)
    blocks = busy * max(_block_bytes(f, _block_size(config, f)) for f in found)
    # Results of tasks, then put together; histograms of tasks under way, their sum, the records.
    sizes = (output_sizes(config.record, c.widths).values() for c in config.conditions)
    measured = len(config.record.measures) + len(config.record.ratios)
    numbers = measured * n_layers + sum(map(sum, sizes))
    results = 2 * _BYTES_PER_ELEMENT * numbers * config.trials
    histograms = (2 * busy + 2) * sum(_histogram_bytes(p) for family in found for p in family)
    samples = max(_sampled_layers(config), default=0) * _BYTES_PER_SAMPLE
    return _BASE_BYTES + blocks + results + histograms + n_layers * _BYTES_PER_ROWS + samples


def require_memory(config: SweepConfig, jobs: int) -> None:
    """Refuse a run that needs more memory than this process may still take.

    Raises:
        ConfigError: It does; the message has both numbers.
    """
    needed, left = peak_bytes(config, jobs), available_bytes()
    if left is not None and needed > left:
        sizes = f"about {needed / 2**30:.1f} GiB, and {left / 2**30:.1f} GiB are left"
        lower = "inputs.count, network.width or trials" + ", or -j" * (jobs > 1)
        text = f"needs {sizes}; lower {lower}, or give --force"
        raise ConfigError([f"{config.name}: error: {text}"])


def _families(every: Sequence[Task]) -> list[Family]:
    """The passes of the same draws: to plan them anew takes seconds for very deep networks."""
    return list({id(task.passes): task.passes for task in every}.values())


def _block_size(config: SweepConfig, family: Family) -> int:
    return min(block_size(family), config.trials)


def _sampled_layers(config: SweepConfig) -> list[int]:
    """Layers of all networks that are sampled for the quantiles of each law, law by law."""
    slopes = ((c, assumptions.chain_slope(c)) for c in config.conditions)
    laws = {
        (c.widths, slope, c.inputs, c.loss.name == "probe"): c
        for c, slope in slopes
        if slope is not None
    }
    return [(c.depth + 1) * n_sampled(c, BESIDE_A_RUN) for c in laws.values()]


def _trial_seconds(family: Family, size: int) -> float:
    """Seconds of one trial in blocks of `size`: its weights drawn, all passes on them taken."""
    draws = family[0].draws
    if family[0].engine == "conditional":
        seconds = sum(network_pass.drawn for network_pass in family) * _weight_seconds("normal")
        seconds += 3 * len(draws.shapes) * _stream_seconds()
        seconds += len(draws.shapes) * draws.n_inputs * _SECONDS_PER_COLUMN / size
    else:
        weights = zip(draws.shapes, draws.laws, strict=True)
        seconds = sum(math.prod(shape) * _weight_seconds(law) for shape, law in weights)
        seconds += len(draws.shapes) * _stream_seconds()
        looks = sum(3 if stack[0].update else 2 for stack in side_by_side(family))
        seconds *= 1 if keeps_weights(draws, size) else looks
    seconds += _stream_seconds()  # of the inputs
    per_multiplication, per_step = _probe()
    for network_pass in family:
        seconds += network_pass.multiplications * per_multiplication
        seconds += _elementwise_seconds(network_pass, per_multiplication, per_step)
    return seconds


def _calls(record: Records) -> float:
    """Calls of Python for one weight layer, in those of both passes without any record."""
    return 1.0 + sum(calls for name, calls in _CALLS_OF_RECORDS.items() if getattr(record, name))


def _elementwise_seconds(
    network_pass: NetworkPass, per_multiplication: float, per_step: float
) -> float:
    """Seconds that one network's activations, moments, norms, ratios and histograms take."""
    draws = network_pass.draws
    units = network_pass.units * draws.n_inputs
    record, update = network_pass.record, network_pass.update
    steps = units * (_STEPS_PER_UNIT + _STEPS_PER_COSINE * record.cosine)
    steps += units * _STEPS_PER_RANGE * record.range
    steps += units * _STEPS_PER_UPDATE * record.update
    if update and update.optimiser == "adam":
        steps += draws.n_weights * _STEPS_PER_WEIGHT
    if record.jacobian:
        steps += network_pass.units * _STEPS_PER_GRADIENT * network_pass.widths[-1]
    seconds = steps * per_step
    if record.units:
        products = min(draws.n_inputs, network_pass.widest) * per_multiplication
        seconds += units * (_STEPS_PER_PARTICIPATION * per_step + products)
    for given in network_pass.steps:
        for activate in activates_in(given.step):
            numbers = given.layers * given.units_after * draws.n_inputs
            seconds += numbers * _activation_seconds(activate)
        if isinstance(given.step, Attention):
            scores = given.layers * given.step.heads * given.step.tokens * draws.n_inputs
            seconds += scores * _STEPS_PER_UNIT * per_step
    if bins := record.histograms:
        seconds += len(COUNTED) * units * _count_seconds(bins)
    return seconds


def _block_bytes(family: Family, size: int) -> int:
    """Bytes of one thread: weights, a few arrays of floats, and what steps keep for the way back.

    The stacks of a family go one after the other, the passes of a stack side by side.
    """
    draws = family[0].draws
    layer = max(network_pass.widest for network_pass in family) * draws.n_inputs
    if family[0].engine == "conditional":
        small = 3 * len(draws.shapes) * draws.n_inputs**2
        arrays = size * _BYTES_PER_ELEMENT * (12 * layer + small)
        return arrays + kept_normals_bytes(draws, size, len(family))
    largest = max(map(math.prod, draws.shapes))
    weights = draws.n_weights if keeps_weights(draws, size) else largest
    layer = max(
        len(stack) * (max(p.widest for p in stack) * stack[0].columns + _jacobian_size(stack[0]))
        for stack in side_by_side(family)
    )
    # A step of training keeps f_k with h_{k+1}, and the gradients of both, until it is taken.
    trained = max(4 * p.units * draws.n_inputs if p.update else 0 for p in family)
    numbers = weights + 6 * layer + trained
    return size * _BYTES_PER_ELEMENT * numbers + _total(_kept(family, size))


def _jacobian_size(network_pass: NetworkPass) -> int:
    """Elements of a network's Jacobian, if it is taken."""
    return network_pass.widths[0] * network_pass.widths[-1] * network_pass.record.jacobian


def _kept(family: Family, size: int) -> dict[str, int]:
    """Bytes by the words of steps, of the stack of passes that keeps most."""
    if family[0].engine == "conditional":
        return {}
    found = []
    for stack in side_by_side(family):
        by_word = Counter[str]()
        for given in chain.from_iterable(network_pass.steps for network_pass in stack):
            numbers, record = given.layers * stack[0].draws.n_inputs * size, stack[0].record
            kept = _kept_bytes(given, whole=record.batch_gradient)
            by_word[WORDS[type(given.step)]] += numbers * kept
        found.append({word: size for word, size in by_word.items() if size})
    return max(found, key=_total)


def _total(kept: Mapping[str, int]) -> int:
    return sum(kept.values())


def _kept_bytes(given: CountedStep, *, whole: bool) -> int:
    """Bytes that a step keeps of its way forward for the way back, for one input.

    h_k lies in one array with f_{k−1}: whoever keeps it keeps both. A convolution keeps what enters
    it, which a norm before it keeps already; other weights do where the gradient of the batch's
    mean loss needs the `whole` of it, else a few numbers of each input.
    """
    row, place, after = given.row, given.place, given.units_after
    entered = 0
    keeps = any(w.window or whole for w in weights_in(given.step))
    if keeps and not isinstance(row[place - 1], Norm):
        entered = _BYTES_PER_ELEMENT * given.units * (1 if place else 2)
    match given.step:
        case Weights():
            return entered
        case Activate() as activate:
            return after * _slope_bytes(activate)
        case Norm():
            return _BYTES_PER_ELEMENT * after * (2 if place == len(row) - 1 else 1)
        case Dropout():
            return after
        case Gate():
            return entered + after * 2 * _BYTES_PER_ELEMENT
        case Attention(heads=heads, tokens=tokens):
            return _BYTES_PER_ELEMENT * (3 * after + heads * tokens)
        case _:
            return 0


@cache
def _slope_bytes(activate: Activate) -> int:
    """Bytes of one number a'(f): of those that are 0 or 1 booleans are enough."""
    activation = activation_of(activate)
    return activation.derivative(np.zeros((1, 1))).itemsize


def _histogram_bytes(network_pass: NetworkPass) -> int:
    bins = network_pass.record.histograms
    n_bins = GRIDS[bins].n_bins if bins else 0
    return _BYTES_PER_ELEMENT * len(COUNTED) * len(network_pass.layers) * n_bins


@cache
def _weight_seconds(distribution: Distribution) -> float:
    rng = np.random.Generator(np.random.SFC64(0))
    out = np.empty((100, 100))
    with threadpool_limits(limits=1, user_api="blas"):
        return _best_seconds(lambda: WEIGHT_LAWS[distribution](out, rng)) / out.size


@cache
def _stream_seconds() -> float:
    """Seconds until the random stream of one layer of one network is there."""
    return _best_seconds(
        lambda: np.random.Generator(np.random.SFC64(np.random.SeedSequence(0, spawn_key=(0, 0, 0))))
    )


def _probe() -> tuple[float, float]:
    """Seconds per multiply-add of a matrix product and per elementwise step."""
    a = np.random.Generator(np.random.SFC64(0)).standard_normal((100, 100))
    with threadpool_limits(limits=1, user_api="blas"):
        product = _best_seconds(lambda: a @ a) / a.size / len(a)
        element = _best_seconds(lambda: np.maximum(a, 0.0)) / a.size
    return product, element


@cache
def _count_seconds(bins: Bins) -> float:
    numbers = np.random.Generator(np.random.SFC64(0)).standard_normal((2, 1, 100, 100))
    names: tuple[LayerName, ...] = (("preactivation", 0), ("activation", 1))
    stack = Stack(names, Scaled(numbers, np.zeros((2, 1), np.int64)))
    return _best_seconds(lambda: list(counted([stack], bins, {}))) / numbers.size


@cache
def _activation_seconds(activate: Activate) -> float:
    """Seconds per unit and input of a(f) and a'(f)."""
    activation = activation_of(activate)
    f = np.random.Generator(np.random.SFC64(0)).standard_normal((100, 100))
    out = np.empty_like(f)
    return _best_seconds(lambda: value_and_slope(activation, f, out)) / f.size


def _best_seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
