"""Golden draws: what a seed gives in version 1 of the streams, computed once.

Where one of these fails, numbers of runs have changed: `STREAM_VERSION` must grow, and this file be
computed anew. It may be NumPy that changed a method, which it allows itself (NEP 19).

*Exact*, to the last bit on every processor, is what integers and single operations of IEEE 754
make: SeedSequence and SFC64 are arithmetic of integers; uniform numbers are the upper 53 bits of
one; 99.3 % of NumPy's normal numbers are an integer of 52 bits times an entry of the ziggurat's
table. For the rest, exp of the math library decides whether such a number is kept: rounded
otherwise it decides otherwise once in 10^13 times. What follows, a scale and a shift, is rounded
once in each step. So are truncated numbers, for none of them comes from the ziggurat's tail.

*To rounding* only: numbers from that tail, beyond 3.654 and one in 3800, are made of log1p of the
math library; orthogonal weights come from LAPACK, pairs from dot products of BLAS, and statistics
of data from sums, whose order is the processor's. Each has a tolerance that is derived below.

Not golden: what `theory` samples of its stream, gamma and beta numbers, whose methods take log and
pow at each step; the stream itself is.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.sweep_config import STREAM_VERSION
from heinit_sim.numerics.bootstrap import resampled_medians
from heinit_sim.sampling import data_sets, streams
from heinit_sim.sampling.inputs import INPUT_LAWS
from heinit_sim.sampling.streams import (
    DrawnNormals,
    DrawnWeights,
    Draws,
    prediction_rng,
    sample_biases,
    sample_classes,
    sample_inputs,
    sample_probes,
    verification_rng,
)
from heinit_sim.sampling.weights import WEIGHT_LAWS
from heinit_sim.simulation.plan import plan_passes
from tests.conditions import dense_draws
from tests.configs import DENSE

Array = np.ndarray
EPS = np.finfo(float).eps
SEED = 7
TRIALS = range(3, 5)
PLACE = 1
"""Trial, place and purpose of a stream are three numbers: in another order they are another key."""
WIDTHS = (3, 100, 50, 2)
EDGE = 3.654
"""The ziggurat's tail begins at 3.6541528853610088."""
INDEPENDENT = "draws: independent\nsweep: {init.variance: [0.5, 1e-3], network.width: [4, 5]}\n"


def weights(law: Distribution, salt: tuple[int, ...] = ()) -> Array:
    """10,000 weights: 50 × 100 of each of two trials."""
    return DrawnWeights(SEED, dense_draws(WIDTHS, 1, salt, law), TRIALS)[PLACE]


def inputs(n_trials: int = 1, n_inputs: int = 100, dim: int = 100, **law: Any) -> Array:
    """10,000 numbers of a batch, component by component."""
    draws = dense_draws((dim, 1), n_inputs, inputs=Inputs(**law))
    return sample_inputs(SEED, draws, range(3, 3 + n_trials))


def normals(n_inputs: int) -> DrawnNormals:
    """What takes the place of weights: 10,000 numbers ahead for 100 inputs, back for 50."""
    return DrawnNormals(SEED, dense_draws(WIDTHS, n_inputs), TRIALS, 1)


def uniform_biases() -> Array:
    draws = dense_draws(WIDTHS, 1, bias_distributions=("uniform",) * 3)
    return sample_biases(SEED, draws, range(9, 209))[PLACE]


def salt_of(place: int) -> tuple[int, ...]:
    """Four words by which a condition has draws of its own."""
    return plan_passes(parse_config(DENSE + INDEPENDENT))[place].draws.salt


class Golden(NamedTuple):
    """Numbers as they came out: exact but for those of the tail."""

    first: str
    last: str
    """Both in hexadecimal."""
    digest: str
    """SHA-256 of all of them as little-endian doubles, with 0 in place of those of the tail."""
    tail: Mapping[int, float] = {}
    """Place of each of these -> the number."""


def golden_of(values: Array, shift: float = 0.0, factor: float = 1.0) -> Golden:
    """The same of numbers that are shift + factor · z of standard-normal ones, or have no tail."""
    flat = values.ravel()
    far = np.abs(flat - shift) >= factor * EDGE
    exact = np.where(far, 0.0, flat).astype("<f8")
    tail = {int(place): float(flat[place]) for place in np.flatnonzero(far)}
    digest = hashlib.sha256(exact.tobytes()).hexdigest()
    return Golden(float(exact[0]).hex(), float(exact[-1]).hex(), digest, tail)


DRAWN: dict[str, Callable[[], Golden]] = {
    "normal": lambda: golden_of(weights("normal")),
    "uniform": lambda: golden_of(weights("uniform")),
    "truncated_normal": lambda: golden_of(weights("truncated_normal")),
    "truncated_normal_uncorrected": lambda: golden_of(weights("truncated_normal_uncorrected")),
    "sparse": lambda: golden_of(weights("sparse"), 0.0, 2**0.5),
    "identity": lambda: golden_of(weights("identity"), 0.0, 10.0),
    "biases, uniform": lambda: golden_of(uniform_biases()),
    "normal, independent draws": lambda: golden_of(weights("normal", salt_of(3))),
    "biases": lambda: golden_of(sample_biases(SEED, dense_draws(WIDTHS, 1), range(9, 209))[PLACE]),
    "ahead": lambda: golden_of(normals(100).ahead(PLACE)),
    "back": lambda: golden_of(normals(50).back(PLACE)),
    "x standard_normal": lambda: golden_of(inputs()),
    "x normal": lambda: golden_of(inputs(distribution="normal", mean=0.5, std=2.0), 0.5, 2.0),
    "x uniform": lambda: golden_of(inputs(distribution="uniform", mean=0.5, std=2.0), 0.5, 2.0),
    "x constant": lambda: golden_of(inputs(distribution="constant", mean=0.3), 0.3),
    "x sparse": lambda: golden_of(inputs(distribution="sparse", density=0.1), 0.0, 0.1**-0.5),
    "classes": lambda: golden_of(
        sample_classes(SEED, dense_draws((3, 1000), 5000), TRIALS).astype(float), 0.0, 1e6
    ),
    "probes": lambda: golden_of(sample_probes(SEED, dense_draws(WIDTHS, 2500), TRIALS)),
    "prediction": lambda: golden_of(prediction_rng().random(10_000)),
    "verification": lambda: golden_of(verification_rng(SEED, "rule 1").random(10_000)),
    "resampling": lambda: golden_of(resampled_medians(np.arange(100.0)[:, np.newaxis], 25), 50, 50),
}

GOLDEN: dict[str, Golden] = {
    "classes": Golden(
        "0x1.0000000000000p+5",
        "0x1.7b00000000000p+8",
        "d18d970fb15157a2aa679dec925705afa8f4ef0b26da61d9ac99524f3d865a8a",
    ),
    "probes": Golden(
        "-0x1.2ddba4339fa97p-1",
        "0x1.5ff1d0ae2d436p-2",
        "30bfc27ac3ab25eef17e172a54639d113fba1dfbb2788513d9a2f401a74c8b10",
        {
            3151: -4.267026715161792,
            3961: -4.954385728203072,
            5175: 3.6828049978656803,
            6455: -4.6192576815739015,
            8645: 4.791236349683414,
        },
    ),
    "sparse": Golden(
        "0x0.0p+0",
        "0x0.0p+0",
        "f4cfdcaf8c0d4298b7551552993ab0c3847057d87e2152b30e2c42da29b725c3",
    ),
    "identity": Golden(
        "0x1.4000000000000p+3",
        "0x0.0p+0",
        "3010cded595baeb556d7884364c94df36befd74c1828a8479d3993dd68f2e1f7",
    ),
    "biases, uniform": Golden(
        "0x1.978ebb064008ap-1",
        "-0x1.16df9832ca6adp+0",
        "c3d445532fdb637cd3292a6b9261fa822a0f7cf14d63c87728bdd7c9df05da91",
    ),
    "normal": Golden(
        "-0x1.b95614b6f2268p-1",
        "0x1.6ffbba5d39fa9p-5",
        "64129d9ff875b2b36c78e5ac6a92b767848b353e247523ec9d85f57ed4b168e6",
    ),
    "uniform": Golden(
        "0x1.1e7f5b872ca6dp+0",
        "0x1.a3d314b7caef9p-1",
        "f6a204f58e3f4ea013c0798a10ad95655af9ea416ddff06dcace4b54fcd76778",
    ),
    "truncated_normal": Golden(
        "-0x1.f5bb5dc094469p-1",
        "0x1.a2573f644bf0ap-5",
        "362f2268813307aa5489168956d9a12154175584f3edf9ae86009e87cc12ddff",
    ),
    "truncated_normal_uncorrected": Golden(
        "-0x1.f5bb5dc094469p-1",
        "0x1.a2573f644bf0ap-5",
        "362f2268813307aa5489168956d9a12154175584f3edf9ae86009e87cc12ddff",
    ),
    "normal, independent draws": Golden(
        "0x1.1fdbdbd2e6996p-5",
        "0x1.a4dc03c00f6eep-3",
        "1dfd8fbe8afc8dd95e37c43d40e62dbe0448ccc0dc40b949633a0100fb32d6aa",
        {
            3303: 4.188772899124852,
            6538: 3.6753226409607334,
            7039: -3.9066003204599187,
            9751: 3.9913776722000502,
            9967: -3.6907358353158513,
        },
    ),
    "biases": Golden(
        "-0x1.368c97d2143b5p+1",
        "0x1.77a3a568f4e67p-1",
        "432984e5cd6b2424912ee743810a44b4e87f38c445b984a14dd00530efcf9759",
        {
            477: -3.83386063019518,
            1973: 3.6993654017774036,
            2107: 4.062224088560544,
            9077: 4.150745279886224,
        },
    ),
    "ahead": Golden(
        "0x1.999c0d4f8da08p-1",
        "-0x1.55442fa65caa3p-1",
        "694b658c1f742097844f8155f569df14be188ca836d6d72c936f2811d161090e",
        {
            3636: 3.929564751259451,
            5508: 3.9649289343169767,
            6298: 3.7464003263886285,
            6618: 3.8284635001848772,
            9037: 3.9324515415075254,
        },
    ),
    "back": Golden(
        "-0x1.da545815322d9p-3",
        "-0x1.ce306996af89dp-1",
        "09d1d22bbd7fa249c9d67cb2bb5648481185c7f34606692e05ca2583224f61d4",
        {290: 3.7439557938774146, 8073: 4.264393714878568},
    ),
    "x standard_normal": Golden(
        "-0x1.218c26adc7ed2p-1",
        "0x1.2b1a51bb8f909p+0",
        "9b38783968645aad872193677d1064e557e59bb9914cf9efe1ff48e02fc9d3d8",
        {415: 4.672133362828271, 6370: 3.7774835981318553, 7597: 3.84244888840321},
    ),
    "x normal": Golden(
        "-0x1.43184d5b8fda4p-1",
        "0x1.6b1a51bb8f909p+1",
        "7f9add955b08e896053a8c67632ed8fed1cbc772f21bf22e66c50713ad52dbb1",
        {415: 9.844266725656542, 6370: 8.05496719626371, 7597: 8.18489777680642},
    ),
    "x uniform": Golden(
        "-0x1.c9e8f51e64faap+0",
        "0x1.3b908e80f2b74p-3",
        "abef548a26ee7b2376d862b6a42a5bfe3ca8d98a2e304713b1e2d0478c42eb4c",
    ),
    "x constant": Golden(
        "0x1.3333333333333p-2",
        "0x1.3333333333333p-2",
        "524df88924ef121edf6ebed085f2a68423e009e98b7232eea46445b2cc2898b4",
    ),
    "x sparse": Golden(
        "0x0.0p+0",
        "0x0.0p+0",
        "6569bbef5fd37d3242eef9d5f7aaf26c4cee09aa0f3eeb24755385609d319862",
    ),
    "prediction": Golden(
        "0x1.b1bb2a276388cp-3",
        "0x1.32d38f1a477a0p-5",
        "d43fb815ccec9e0e84f18e7268510144a5370e08bab618b7fcdd3aead4df0d45",
    ),
    "verification": Golden(
        "0x1.ec01652f719eep-1",
        "0x1.4706f1b1dc21dp-1",
        "e1ce10c4f41ae123833d2ebc42cab690af4d6058be5bd5812f9f3a13f668821a",
    ),
    "resampling": Golden(
        "0x1.3800000000000p+5",
        "0x1.6000000000000p+5",
        "648ca483801ddb8695d42dbfd86d4c00e7799b2b5a937f750e7ee12e516e845e",
    ),
}


def agrees(name: str) -> bool:
    """Whether numbers are the golden ones, those of the tail to rounding.

    These are 3.654 + t with t = −log(1 − u)/3.654: log1p is within two roundings of its last place,
    t within three, and t is less than half of the sum, so that the sum is within three. A scale
    and a shift of the same sign add one each.
    """
    found, golden = DRAWN[name](), GOLDEN[name]
    exact = found[:3] == golden[:3] and found.tail.keys() == golden.tail.keys()
    pairs = ((found.tail[place], number) for place, number in golden.tail.items() if exact)
    return exact and all(abs(a / b - 1) <= 5 * EPS for a, b in pairs)


@pytest.mark.parametrize("name", DRAWN)
def test_draws_of_version_one_are_as_they_were(name: str) -> None:
    assert STREAM_VERSION == 1
    assert agrees(name)


def test_every_law_is_there() -> None:
    to_rounding = {"orthogonal", "delta_orthogonal", "x pair"}
    laws = {*WEIGHT_LAWS, *(f"x {law}" for law in INPUT_LAWS)}
    assert laws - DRAWN.keys() == to_rounding  # and data sets: all below
    assert GOLDEN.keys() == DRAWN.keys()


OF_TAGS = {
    "_WEIGHTS": {"normal", "uniform", "truncated_normal", "truncated_normal_uncorrected"}
    | {"sparse", "normal, independent draws"},
    "_INPUTS": {"x standard_normal", "x normal", "x uniform", "x sparse"},
    "_BIASES": {"biases", "biases, uniform"},
    "_AHEAD": {"ahead"},
    "_BACK": {"back"},
    "_PREDICTION": {"prediction"},
    "_VERIFICATION": {"verification"},
}
WITHOUT_KEY = {"x constant", "identity", "resampling"}


@pytest.mark.parametrize("tag", OF_TAGS)
def test_another_purpose_of_a_stream_gives_other_numbers(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, tag, 5)
    assert {name for name in DRAWN if not agrees(name)} == OF_TAGS[tag]


def test_another_order_of_the_key_gives_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(seed: int, spawn_key: tuple[int, ...]) -> np.random.SeedSequence:
        tag, trial, *rest = spawn_key
        return np.random.SeedSequence(seed, spawn_key=(trial, tag, *rest))

    monkeypatch.setattr(streams, "SeedSequence", swapped)
    assert {name for name in DRAWN if agrees(name)} == WITHOUT_KEY


def test_another_seed_of_resampling_gives_other_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    sfc = np.random.SFC64
    monkeypatch.setattr(np.random, "SFC64", lambda seed: sfc(seed + 1))
    assert not agrees("resampling")


def test_salts_of_independent_draws() -> None:
    """By swept values, not by place: four little-endian words of the SHA-256 of their JSON."""
    assert salt_of(0) == (3378944740, 1373025198, 2076685617, 2335948014)
    assert salt_of(3) == (3538241543, 54117627, 2892177949, 560510250)


def plain(tag: int, place: int, shape: tuple[int, ...]) -> Array:
    """Standard-normal numbers of the stream of trial 3."""
    seeds = np.random.SeedSequence(SEED, spawn_key=(tag, TRIALS[0], place))
    return np.random.Generator(np.random.SFC64(seeds)).standard_normal(shape)


def qr_tolerance(normal: Array) -> float:
    """Bound on the difference of two computations of √m Q of a matrix (m, n).

    Householder's Q is the exact one of a matrix that differs by γ ‖A‖ with γ = c m n ε, and c about
    4 (Higham 2002, theorem 19.4), and Q moves by (1 + √2) ‖A⁺‖ times as much (Sun 1991); forming it
    adds √n γ.
    """
    m, n = normal.shape
    gamma = 4 * m * n * EPS
    moved = (1 + math.sqrt(2)) * float(np.linalg.cond(normal)) * math.sqrt(n) * gamma
    return float(2 * math.sqrt(m) * (moved + math.sqrt(n) * gamma))


ORTHOGONAL = [
    [-1.6613310248128266, 1.1088641949350309, -0.07010984680326678],
    [-0.03088928942890801, -0.17232832625180186, 0.10772723136007566],
    [-0.008967670036304248, -0.14576071570858884, -1.9923917643487976],
    [-1.1130789094610771, -1.6490836725037512, 0.11770518408209643],
]
CENTRES = [
    [1.847958170389268, -2.5391961159093506, -0.7497866975669979],
    [-2.3879906262024875, -1.8176759365038837, 1.5516140567069296],
    [-0.46415252697163434, 1.3719194572060787, -0.6284777248712073],
    [-1.6331300625995613, -0.6052885904632404, -2.938593111766539],
]


@pytest.mark.parametrize("law", ["orthogonal", "delta_orthogonal"])
def test_orthogonal_weights_are_as_they_were_to_rounding(law: Distribution) -> None:
    if law == "orthogonal":
        draws, golden, place = dense_draws((3, 3, 4), 1, law=law), np.array(ORTHOGONAL), PLACE
    else:  # two positions, three taps, three channels to four
        draws, golden, place = Draws(((4, 3, 3), (2, 8)), (law, law), 6, 1), np.array(CENTRES), 0
    found = DrawnWeights(SEED, draws, TRIALS[:1])[place][0]
    if law == "delta_orthogonal":
        assert not found[:, [0, 2]].any()
        found = found[:, 1]
    tolerance = qr_tolerance(plain(0, place, (4, 3))) * (1 if law == "orthogonal" else math.sqrt(3))
    assert tolerance < 1e-10
    assert np.abs(found - golden).max() <= tolerance
    mirrored = found * [1, 1, -1]  # without the signs of R
    assert np.abs(mirrored - golden).max() > tolerance


PAIRS = [
    [-0.5655223929533923, -0.5535344824117147, 1.0131638777754688],
    [-1.2237238903172427, 0.2745432968249442, 0.28256479224221276],
    [-0.3204434468014727, 0.32362109571143627, -0.7719634417797537],
    [-0.8686848697118775, 0.20857214223409315, -0.07229405403946904],
]


def test_pairs_are_as_they_were_to_rounding() -> None:
    """The first of each pair is drawn, exactly, the second made of both by dot products.

    Two projections of n components with n + 2 roundings each, two norms with n/2 + 2, and one more
    with the last steps; the first projection leaves sin φ of the second vector.
    """
    found, golden = inputs(n_inputs=4, dim=3, distribution="pair", cosine=0.5)[0].T, np.array(PAIRS)
    drawn = plain(1, 0, (4, 3))
    assert (found[::2] == golden[::2]).all()
    assert (found[::2] == drawn[::2]).all()
    for first, raw, second, expected in zip(
        drawn[::2], drawn[1::2], found[1::2], golden[1::2], strict=True
    ):
        cosine = first @ raw / math.hypot(*first) / math.hypot(*raw)
        tolerance = (4 * 3 + 12) * EPS * math.hypot(*first) / math.sqrt(1 - cosine**2)
        assert np.abs(second - expected).max() <= tolerance < 1e-13
    assert np.abs(found[1::2] - golden[[3, 1]]).max() > 1e-13


EXAMPLES = Golden(
    "0x1.63c0000000000p+10",
    "0x1.4600000000000p+7",
    "25ae1c59f52ea3c59eecf5e2e17ba2cb917ff3da85cfef062cd85919707badd3",
    {},
)


def test_examples_of_data_sets_are_those_of_one_permutation(tmp_path: Path) -> None:
    """Of as many rows as the digits have; their standard deviation is known, √((n² − 1)/12)."""
    n, path = 1797, str(tmp_path / "rows.npy")
    np.save(path, np.arange(n)[:, np.newaxis])
    law: dict[str, Any] = {"distribution": "file", "path": path, "sha256": data_sets.sha256(path)}
    found = inputs(dim=1, **law)
    assert golden_of(found, n / 2, n) == EXAMPLES
    normalised = inputs(dim=1, normalisation="global", **law)
    expected = (found - (n - 1) / 2) / math.sqrt((n**2 - 1) / 12)
    assert (np.abs(normalised - expected) <= n * EPS * np.abs(expected)).all()  # a sum of n squares
    assert not (np.abs(normalised - expected * math.sqrt(1 - 1 / n)) <= n * EPS).all()  # ddof 1
