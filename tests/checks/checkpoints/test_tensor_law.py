"""Each law is told, at the level that is stated, and none is taken for another."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.random import Generator

from heinit_sim.checks.checkpoints.tensor_law import LAWS, Law, LawFound, find_law
from heinit_sim.checks.checkpoints.tensor_layout import as_matrix, fans
from heinit_sim.checks.checkpoints.tensor_scheme import Match, match, nearest, parse_scheme
from heinit_sim.checks.checkpoints.tensor_statistics import TensorStatistics, statistics
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.tensors import EPSILON, Tensor
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.weights import WEIGHT_LAWS
from tests.checkpoints import bfloat16

ALPHA = 1e-3 / 3 / 100  # of each test of a hundred tensors


def truncated(rng: Generator, shape: tuple[int, ...]) -> FloatArray:
    """By rejection, and then widened."""
    z = rng.standard_normal((8, *shape))
    inside = np.abs(z) <= 2
    assert inside.any(axis=0).all()
    first: FloatArray = np.take_along_axis(z, inside.argmax(axis=0)[np.newaxis], axis=0)[0]
    return first / 0.87962566103423978


def haar(rng: Generator, shape: tuple[int, ...]) -> FloatArray:
    rows, columns = shape[0], math.prod(shape[1:])
    u, _, v = np.linalg.svd(rng.standard_normal((rows, columns)), full_matrices=False)
    matrix: FloatArray = u @ v * math.sqrt(max(rows, columns))
    return matrix.reshape(shape)


DRAWS: dict[Law, Callable[[Generator, tuple[int, ...]], FloatArray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-math.sqrt(3), math.sqrt(3), shape),
    "truncated_normal": truncated,
    "orthogonal": haar,
}


def stored(array: FloatArray, dtype: str = "float32") -> Tensor:
    """As the file of a framework has it, in about seven pieces."""
    kept = array.astype(np.float32).ravel()
    if dtype == "bfloat16":
        kept = (bfloat16(kept).bits.astype(np.uint32) << 16).view(np.float32)

    def pieces(unit: int) -> Iterator[FloatArray]:
        length = max(kept.size // 7 // unit, 1) * unit
        for start in range(0, kept.size, length):
            yield kept[start : start + length].astype(float)

    return Tensor("w", array.shape, dtype, "real", pieces)


def seen(
    array: FloatArray, dtype: str = "float32", alpha: float = ALPHA
) -> tuple[TensorStatistics, LawFound]:
    found = statistics(stored(array, dtype), as_matrix(array.shape, "out_in"))
    return found, find_law(found, EPSILON[dtype], alpha)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(30, 40), (64, 16, 3, 3), (20, 1000)])
@pytest.mark.parametrize("law", DRAWS)
def test_none_of_forty_tensors_is_taken_for_another_law(
    law: Law, shape: tuple[int, ...], dtype: str
) -> None:
    rng = np.random.default_rng([len(law), *shape])
    laws = [seen(0.03 * DRAWS[law](rng, shape), dtype)[1].law for _ in range(40)]
    assert laws == [law] * 40


@pytest.mark.parametrize("law", LAWS)
def test_laws_agree_with_what_runs_draw(law: Law) -> None:
    rng = np.random.default_rng(5)
    out = np.empty((200, 200))
    WEIGHT_LAWS[law](out, rng)  # type: ignore[index]  # those of elements are distributions, too
    assert seen(out)[1].law == law


@pytest.mark.parametrize("law", LAWS)
def test_moments_of_laws_are_those_of_their_distribution_functions(law: Law) -> None:
    edges = np.linspace(-9, 9, 360_001)
    middles, shares = (edges[1:] + edges[:-1]) / 2, np.diff(LAWS[law].cumulative(edges))
    second, fourth, sixth = (float(shares @ middles**power) for power in (2, 4, 6))
    # A jump of the density, at most 0.5, within an interval of h = 5e-5 moves E[z^p] by no more
    # than 0.5 h²/2 p c^(p−1), c ≤ 2.3: 3e-9, 3e-8, 3e-7. Skewness has E[z⁶] over 0.7 or more.
    assert abs(second - 1) < 1e-8
    assert abs(fourth - 3 - LAWS[law].excess_kurtosis) < 1e-7
    skewness = (sixth - 3 * fourth + 2) / (fourth - 1) ** 1.5
    assert abs(skewness - LAWS[law].square_skewness) < 1e-6


@pytest.mark.parametrize("law", LAWS)
def test_likelihoods_are_the_largest_of_their_laws(law: Law) -> None:
    """Against the density as the slope of the distribution function, over a grid of scales."""
    numbers = DRAWS[law](np.random.default_rng(3), (60,))
    std, largest = float(np.sqrt(np.mean(numbers**2))), float(np.abs(numbers).max())
    step, best = 1e-5, -math.inf
    for scale in std * np.geomspace(0.5, 3, 1000):  # ln 6/999 = 0.0018 from one to the next
        above, below = (LAWS[law].cumulative(numbers / scale + sign * step) for sign in (1, -1))
        if ((rises := above - below) > 0).all():
            best = max(best, float(np.mean(np.log(rises / (2 * step * scale)))))
    # The likelihood falls by at most 0.0018 where the best scale is the edge of a law, as that of
    # uniform numbers, and lies between two of the grid; slopes over 2e-5 add less than 1e-5.
    assert abs(LAWS[law].log_likelihood(std, largest) - best) < 2e-3


@pytest.mark.parametrize(
    ("n_tensors", "n"),
    [(400, 300), pytest.param(20_000, 300, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("law", LAWS)
def test_a_law_is_rejected_about_as_often_as_stated(law: Law, n_tensors: int, n: int) -> None:
    """The scale is estimated, so that Kolmogorov's test rejects somewhat less."""
    rng = np.random.default_rng(7)
    level = 0.05
    rejected = sum(
        law not in seen(DRAWS[law](rng, (1, n)), alpha=level)[1].possible for _ in range(n_tensors)
    )
    error = math.sqrt(level * (1 - level) / n_tensors)
    assert level / 8 - 4 * error < rejected / n_tensors < level + 4 * error


HE = parse_scheme("he_normal")


def beside(array: FloatArray, alpha: float = ALPHA) -> Match:
    found, law = seen(array, alpha=alpha)
    return match(HE, found, law, fans(array.shape, "out_in"), alpha)


@pytest.mark.parametrize("n_tensors", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_scheme_is_rejected_about_as_often_as_stated(n_tensors: int) -> None:
    rng = np.random.default_rng(11)
    level = 0.03  # of each of three tests
    made = (rng.standard_normal((12, 25)) * math.sqrt(2 / 25) for _ in range(n_tensors))
    rejected = sum(not beside(array, level).agrees for array in made)
    error = math.sqrt(3 * level * (1 - 3 * level) / n_tensors)
    assert level - 4 * error < rejected / n_tensors < 3 * level + 4 * error


def test_a_standard_deviation_ten_per_cent_off_is_no_scheme() -> None:
    rng = np.random.default_rng(2)
    array = 1.1 * math.sqrt(2 / 100) * rng.standard_normal((60, 100))
    found, law = seen(array)
    own = fans(array.shape, "out_in")
    best, agreeing = nearest(found, law, own, ALPHA)
    assert (best.scheme, best.agrees, agreeing) == ("he_normal", False, ())
    assert abs(best.gain - 1.1) < 4 * best.gain_error
    assert 0 < best.gain_error < 0.02
    right = nearest(*seen(array / 1.1), own, ALPHA)[0]
    assert (right.scheme, right.agrees) == ("he_normal", True)


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_standard_errors_of_gains_are_those_of_many_tensors(law: Law) -> None:
    rng = np.random.default_rng(13)
    arrays = (DRAWS[law](rng, (20, 30)) * math.sqrt(2 / 30) for _ in range(300))
    matches = [match(HE, *seen(a), fans(a.shape, "out_in"), ALPHA) for a in arrays]
    spread = float(np.std([one.gain for one in matches]))
    assert matches[0].gain_error == pytest.approx(spread, rel=4 / math.sqrt(600))


@pytest.mark.parametrize(
    ("text", "law", "variance"),
    [
        ("he_normal", "normal", 2 / 50),
        ("kaiming_uniform", "uniform", 2 / 50),
        ("he_normal/fan_out", "normal", 2 / 20),
        ("he_normal/truncated_normal", "truncated_normal", 2 / 50),
        ("glorot_uniform", "uniform", 2 / 70),
        ("torch_linear_default", "uniform", 1 / 150),
        ("keras_default", "uniform", 2 / 70),
        ("jax_default", "truncated_normal", 1 / 50),
        ("orthogonal", "orthogonal", 1 / 50),
        ("siren", "uniform", 1 / 7500),
        ("siren", "uniform", 2 / 50 / 900),
        ("std=0.02", "normal", 4e-4),
        ("std=0.02/truncated_normal_uncorrected", "truncated_normal", 4e-4 * 0.7737413),
    ],
)
def test_weights_of_a_scheme_agree_with_it_and_those_off_do_not(
    text: str, law: Law, variance: float
) -> None:
    array = math.sqrt(variance) * DRAWS[law](np.random.default_rng(17), (20, 50))
    found, told = seen(array)
    assert match(parse_scheme(text), found, told, fans((20, 50), "out_in"), ALPHA).agrees
    found, told = seen(1.3 * array)
    assert not match(parse_scheme(text), found, told, fans((20, 50), "out_in"), ALPHA).agrees


@pytest.mark.parametrize("law", ["normal", "orthogonal"])
def test_a_mean_is_no_scheme(law: Law) -> None:
    array = math.sqrt(2 / 25) * DRAWS[law](np.random.default_rng(19), (20, 25))
    assert not beside(array + 0.1).agrees


def test_kernels_count_taps_in_both_fans() -> None:
    array = math.sqrt(2 / 72) * np.random.default_rng(23).standard_normal((16, 8, 3, 3))
    assert beside(array).gain == pytest.approx(1, abs=0.1)
    assert beside(array).agrees


def test_equal_numbers_are_zeros_or_a_constant() -> None:
    assert seen(np.zeros((3, 4)))[1].law == "zeros"
    assert seen(np.full((3, 4), 0.1))[1].law == "constant"
    assert beside(np.zeros((3, 4))).gain_error is not None
    zeros = match(parse_scheme("zeros"), *seen(np.zeros((3, 4))), fans((3, 4), "out_in"), ALPHA)
    assert zeros.agrees
    assert not beside(np.zeros((3, 4))).agrees


def test_what_training_leaves_is_of_no_law() -> None:
    rng = np.random.default_rng(29)
    mixed = rng.standard_normal((100, 100)) * rng.choice([0.5, 2.0], (100, 100))
    assert seen(mixed)[1].law == "other"
    nearly = haar(rng, (50, 50)) + 0.02 * rng.standard_normal((50, 50))
    assert seen(nearly)[1].law != "orthogonal"


def test_small_tensors_may_have_several_laws() -> None:
    found = seen(np.random.default_rng(31).standard_normal((2, 4)))[1]
    assert len(found.possible) > 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("he_norml", "did you mean 'he_normal'?"),
        ("lsuv", "not a scheme that weights tell ('lsuv'), must be one of he_normal"),
        ("std=x", "must have a number above 0 behind std="),
        ("std=-1", "must have a number above 0 behind std="),
        ("std=0.1/fan_in", "no option of std=0.1 ('fan_in'), must be one of normal"),
        ("orthogonal/fan_in", "no option of orthogonal ('fan_in'), must be left out"),
        ("he_normal/", "no option of he_normal ('')"),
    ],
)
def test_what_is_no_scheme_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"scheme|option") as raised:
        parse_scheme(text)
    assert problem in str(raised.value)
