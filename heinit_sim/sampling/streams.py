"""The random numbers of a trial: one stream per trial and layer, the same whenever it is asked.

Whatever changes one of them makes `STREAM_VERSION` of `experiment.sweep_config` grow.
"""

import math
from dataclasses import dataclass, field
from functools import partial
from zlib import crc32

import numpy as np
from numpy.random import SFC64, Generator, SeedSequence
from numpy.typing import NDArray

from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import fill_inputs
from heinit_sim.sampling.weights import WeightLaw, weight_law

# First element of every spawn key: what the stream is for.
_WEIGHTS, _INPUTS, _BIASES, _PREDICTION, _VERIFICATION, _DROPOUT, _AHEAD, _BACK = range(8)
_CLASSES, _PROBES = 8, 9
# Weights of a block larger than this are drawn again in the backward pass, not kept.
_KEPT_BYTES = 2**28


@dataclass(frozen=True)
class Draws:
    """All that fixes the random numbers of a trial, beside the seed and the trial's number."""

    shapes: tuple[tuple[int, ...], ...]
    """Shape of each matrix or kernel of one network, in the order in which they are used."""
    laws: tuple[Distribution, ...]
    """The distribution that each of them is drawn from."""
    input_dim: int
    """D_0."""
    n_inputs: int
    salt: tuple[int, ...] = ()
    """Empty for common draws; four words of a condition's digest for independent ones."""
    inputs: Inputs = field(default_factory=Inputs)
    dropped: tuple[int, ...] = ()
    """Units of what enters each dropout, in the order in which they come."""
    options: tuple[float | None, ...] = ()
    """Options of the distributions of the matrices; empty: as they are by default."""
    bias_distributions: tuple[Distribution, ...] = ()
    """Distributions of the biases beside the matrices; empty: normal."""

    @property
    def output_dim(self) -> int:
        """D_o: rows of the last matrix."""
        return self.shapes[-1][0]

    @property
    def n_weights(self) -> int:
        """Weights of one network."""
        return sum(map(math.prod, self.shapes))


def keeps_weights(draws: Draws, n_networks: int) -> bool:
    """Whether the weights of so many networks are kept for the backward pass, or drawn again."""
    return 8 * n_networks * draws.n_weights <= _KEPT_BYTES


def kept_normals_bytes(draws: Draws, n_networks: int, n_passes: int) -> int:
    """Bytes of the numbers that `DrawnNormals` keeps."""
    units = sum(shape[0] + (shape[1] if n_passes > 1 else 0) for shape in draws.shapes)
    return min(8 * n_networks * draws.n_inputs * units, _KEPT_BYTES)


class DrawnMasks:
    """Uniform numbers of dropouts by place, (n_networks, units, n_inputs), drawn at each look."""

    def __init__(self, seed: int, draws: Draws, trials: range) -> None:
        self._given = seed, draws, trials

    def __getitem__(self, place: int) -> FloatArray:
        _, draws, trials = self._given
        out = np.empty((len(trials), draws.n_inputs, draws.dropped[place]))
        numbers = _sample(out, *self._given, _DROPOUT, place, _fill_uniform)
        return np.ascontiguousarray(numbers.swapaxes(-1, -2))


class DrawnWeights:
    """Ω/σ of some networks by place, (n_networks, *shape), drawn anew at each look."""

    def __init__(self, seed: int, draws: Draws, trials: range) -> None:
        self._seed, self._draws, self._trials = seed, draws, trials
        self._laws = draws.laws
        self.shapes = [(len(trials), *shape) for shape in draws.shapes]

    def __getitem__(self, place: int) -> FloatArray:
        return self.into(np.empty(self.shapes[place]), place)

    def into(self, out: FloatArray, place: int) -> FloatArray:
        """Draw the weights of that place into an array of their shape, and return that."""
        options = self._draws.options
        option = options[place] if options else None
        law = weight_law(self._laws[place], option)
        return _sample(out, self._seed, self._draws, self._trials, _WEIGHTS, place, law)


def sample_weights(
    seed: int, draws: Draws, trials: range, spare: list[list[FloatArray]]
) -> DrawnWeights | list[FloatArray]:
    """The weights of the trials' networks by place: kept in arrays, or drawn again at each look.

    Args:
        seed: The sweep's seed.
        draws: What else fixes them.
        trials: One network each.
        spare: Arrays that earlier calls returned and nobody uses any more. Their memory is mapped
            already, which that of new arrays would not be: a fifth of the time of a small network.
    """
    drawn = DrawnWeights(seed, draws, trials)
    if not keeps_weights(draws, len(trials)):
        return drawn
    try:
        arrays = spare.pop()
    except IndexError:
        arrays = []
    if [array.shape for array in arrays] != drawn.shapes:
        arrays = [np.empty(shape) for shape in drawn.shapes]
    return [drawn.into(array, k) for k, array in enumerate(arrays)]


class DrawnNormals:
    """Numbers of networks without weights, (n_networks, n_inputs, units): see `Normals`.

    Those of the way ahead, which the way back takes again, are kept as far as there is room, and of
    several passes those of the way back; others are drawn anew at each look.
    """

    def __init__(self, seed: int, draws: Draws, trials: range, n_passes: int) -> None:
        self._given, self._n_passes = (seed, draws, trials), n_passes
        self._kept: dict[tuple[int, int], FloatArray] = {}
        self._room = _KEPT_BYTES

    def ahead(self, k: int) -> FloatArray:
        """Zᵀ of layer k, a number for each unit that it makes."""
        return self._numbers(_AHEAD, k, keeps=True)

    def back(self, k: int) -> FloatArray:
        """Wᵀ of layer k, a number for each unit that enters it."""
        return self._numbers(_BACK, k, keeps=self._n_passes > 1)

    def _numbers(self, tag: int, k: int, *, keeps: bool) -> FloatArray:
        if (tag, k) in self._kept:
            return self._kept[tag, k]
        _, draws, trials = self._given
        units = draws.shapes[k][0 if tag == _AHEAD else 1]
        out = np.empty((len(trials), draws.n_inputs, units))
        _sample(out, *self._given, tag, k, weight_law("normal"))
        if keeps and out.nbytes <= self._room:
            self._room -= out.nbytes
            self._kept[tag, k] = out
        return out


def sample_inputs(seed: int, draws: Draws, trials: range) -> FloatArray:
    """Draw x, (n_networks, D_0, n_inputs), input by input: more of them begin with the fewer."""
    x = np.empty((len(trials), draws.n_inputs, draws.input_dim))
    _sample(x, seed, draws, trials, _INPUTS, 0, partial(fill_inputs, inputs=draws.inputs))
    return np.ascontiguousarray(x.swapaxes(-1, -2))


def sample_biases(seed: int, draws: Draws, trials: range) -> list[FloatArray]:
    """Draw β/σ_b in the order of the weights, each (n_networks, rows of Ω, 1)."""
    arrays = [np.empty((len(trials), shape[0], 1)) for shape in draws.shapes]
    given, normal = draws.bias_distributions, weight_law("normal")
    laws = [weight_law(law) for law in given] if given else [normal] * len(arrays)
    return [
        _sample(b, seed, draws, trials, _BIASES, k, law)
        for k, (b, law) in enumerate(zip(arrays, laws, strict=True))
    ]


def sample_classes(seed: int, draws: Draws, trials: range) -> NDArray[np.int64]:
    """Draw the class of each input, any of D_o as likely as another, (n_networks, n_inputs)."""
    uniform = np.empty((len(trials), draws.n_inputs))
    _sample(uniform, seed, draws, trials, _CLASSES, 0, _fill_uniform)
    return (draws.output_dim * uniform).astype(np.int64)


def sample_probes(seed: int, draws: Draws, trials: range) -> FloatArray:
    """Draw ∂ℓ/∂f_K ~ N(0, 1) of each input and output, (n_networks, D_o, n_inputs)."""
    p = np.empty((len(trials), draws.n_inputs, draws.output_dim))
    _sample(p, seed, draws, trials, _PROBES, 0, weight_law("normal"))
    return np.ascontiguousarray(p.swapaxes(-1, -2))


def _fill_uniform(out: FloatArray, rng: Generator) -> None:
    """Uniform between 0 and 1."""
    rng.random(out=out)


def prediction_rng() -> Generator:
    """Random numbers of predictions: the same for every config, apart from all others."""
    return Generator(SFC64(SeedSequence(0, spawn_key=(_PREDICTION, 0, 0))))


def verification_rng(seed: int, name: str) -> Generator:
    """The stream of one identity of `verify`: its own, whatever other identities there are."""
    return Generator(SFC64(SeedSequence(seed, spawn_key=(_VERIFICATION, crc32(name.encode())))))


def _sample(
    out: FloatArray, seed: int, draws: Draws, trials: range, tag: int, k: int, law: WeightLaw
) -> FloatArray:
    """Fill `out`, one stream per trial along its first axis."""
    for trial, network in zip(trials, out, strict=True):
        key = tag, trial, k, *draws.salt
        law(network, Generator(SFC64(SeedSequence(seed, spawn_key=key))))
    return out
