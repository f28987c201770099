"""Drawn inputs: their moments with error bars over networks, each with a planted error."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from heinit_sim.experiment.inputs import Inputs
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.sampling.streams import sample_inputs
from tests.conditions import dense_draws
from tests.rows import slow_but

Array = np.ndarray
N_NETWORKS = 12_000
DIM, COUNT = 6, 4
# P(|z| > 5) = 6e-7: of some forty z below one in 40,000 runs has an alarm.
BOUND = 5.0

LAWS = {
    "standard_normal": Inputs(),
    "normal": Inputs("normal", mean=5.0, std=3.0),
    "uniform": Inputs("uniform", mean=-1.0, std=0.5),
    "sparse": Inputs("sparse", density=0.2),
    "pair": Inputs("pair", cosine=-0.3),
}
# Mean, variance and fourth central moment of a component, written out.
MOMENTS = {
    "standard_normal": (0.0, 1.0, 3.0),
    "normal": (5.0, 9.0, 3.0 * 81.0),
    "uniform": (-1.0, 0.25, (math.sqrt(3) / 2) ** 4 / 5),
    "sparse": (0.0, 1.0, 0.2 * 3.0 * 5.0**2),
    "pair": (0.0, 1.0, 3.0),
}


@cache
def sample(inputs: Inputs, n_inputs: int = COUNT, dim: int = DIM, n: int = N_NETWORKS) -> Array:
    """The batches of n trials, (n, dim, n_inputs)."""
    x = sample_inputs(3, dense_draws((dim, 2, 1), n_inputs, inputs=inputs), range(n))
    x.flags.writeable = False  # tests share it
    return x


def z(per_network: Array, expected: float) -> float:
    """Deviation of a mean over networks from what it should be, in its standard errors."""
    error = per_network.std(ddof=1) / math.sqrt(len(per_network))
    return float(abs(per_network.mean() - expected) / error)


@pytest.mark.parametrize("name", slow_but(LAWS, "sparse"))
def test_moments_of_each_law_are_the_written_out_ones(name: str) -> None:
    mean, variance, fourth = MOMENTS[name]
    centred = sample(LAWS[name]) - mean
    for power, expected in ((1, 0.0), (2, variance), (3, 0.0), (4, fourth)):
        moment = (centred**power).mean(axis=(1, 2))
        assert z(moment, expected) < BOUND
        # a mean 2 % of a standard deviation off, or a standard deviation 2 % off, are found
        if power == 1:
            assert z(moment + 0.02 * math.sqrt(variance), expected) > BOUND
        if power == 2:
            assert z(1.02**2 * moment, expected) > BOUND


def test_uniform_inputs_end_at_the_square_root_of_three_standard_deviations() -> None:
    u = (sample(LAWS["uniform"], n=1000) + 1.0) / 0.5
    assert 1.73 < np.abs(u).max() <= math.sqrt(3) + 1e-15


def test_sparse_inputs_are_zero_as_often_as_the_density_says() -> None:
    share = (sample(LAWS["sparse"]) != 0).mean(axis=(1, 2))
    assert z(share, 0.2) < BOUND
    assert z(share, 0.21) > BOUND
    assert (sample(Inputs("sparse", density=1.0), n=100) != 0).all()


def test_constant_inputs_are_their_mean_in_every_component() -> None:
    assert (sample(Inputs("constant", mean=-2.5), n=3) == -2.5).all()


NORMS = {
    **LAWS,
    "normalised": replace(LAWS["normal"], normalisation="global"),
    "constant": Inputs("constant", mean=-2.0),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dim", [1, 7])
def test_moments_of_the_norm_are_those_of_independent_components(name: str, dim: int) -> None:
    others = {"normalised": MOMENTS["standard_normal"], "constant": (-2.0, 0.0, 0.0)}
    mean, variance, fourth = {**MOMENTS, **others}[name]
    x2 = mean**2 + variance
    x4 = mean**4 + 6 * mean**2 * variance + fourth
    found = norm_moments(NORMS[name], dim)
    expected = (dim * x2, dim * x4 + dim * (dim - 1) * x2**2)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(component_variance(NORMS[name]), variance, rtol=1e-14, atol=0)


@pytest.mark.parametrize("cosine", [-1.0, -0.3, 0.0, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("dim", [2, 3, 50])
def test_the_cosine_of_every_pair_is_exact_and_both_are_as_long(cosine: float, dim: int) -> None:
    x = sample(Inputs("pair", cosine=cosine), 6, dim, 200)
    first, second = x[..., 0::2], x[..., 1::2]
    norms = [np.sqrt((each**2).sum(axis=1)) for each in (first, second)]
    found = (first * second).sum(axis=1) / norms[0] / norms[1]
    # rounding; of two that are nearly parallel, one projection would leave 1e-16/sin of the angle
    assert np.abs(found - cosine).max() < 1e-14
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-14, atol=0)


@pytest.mark.slow
def test_both_of_a_pair_are_standard_normal_and_pairs_are_independent() -> None:
    x = sample(LAWS["pair"])
    products = [("first", x[:, 0, 0] ** 2, 1.0), ("second", x[:, 0, 1] ** 2, 1.0)]
    products += [("second, across", x[:, 0, 1] * x[:, 1, 1], 0.0)]
    products += [("pairs", (x[:, :, 0] * x[:, :, 2]).mean(axis=1), 0.0)]
    for _, product, expected in products:
        assert z(product, expected) < BOUND
    # ‖x‖² of the second is χ² of DIM degrees of freedom as well: its variance is 2 DIM
    squared = (x[:, :, 1] ** 2).sum(axis=1)
    assert z((squared - DIM) ** 2, 2 * DIM) < BOUND
    # a second one that is as long as a fresh x is not: x₂ = c x₁ + √(1−c²) g
    planted = math.sqrt(1 - 0.3**2) * sample(Inputs())[:, :, 2] - 0.3 * x[:, :, 0]
    assert z((planted**2).sum(axis=1) - (x[:, :, 0] ** 2).sum(axis=1), 0.0) < BOUND
    assert np.abs((planted**2).sum(axis=1) / (x[:, :, 0] ** 2).sum(axis=1) - 1).max() > 0.1


@pytest.mark.parametrize("name", [*LAWS, "constant"])
def test_more_inputs_begin_with_the_fewer(name: str) -> None:
    inputs = LAWS.get(name, Inputs("constant", mean=2.0))
    more, fewer = sample(inputs, 6, n=3), sample(inputs, 2, n=3)
    assert np.array_equal(more[..., :2], fewer)
    assert name == "constant" or not np.array_equal(more[..., 2:4], fewer)


@pytest.mark.parametrize("name", ["normal", "uniform"])
@pytest.mark.parametrize("normalisation", ["global", "per_component"])
def test_normalised_inputs_are_of_mean_0_and_variance_1(name: str, normalisation: str) -> None:
    normalised = replace(LAWS[name], normalisation=normalisation)  # type: ignore[arg-type]  # names above
    plain = replace(LAWS[name], mean=0.0, std=1.0)
    assert np.array_equal(sample(normalised, n=3), sample(plain, n=3))


def test_standard_normal_inputs_have_the_bytes_they_always_had() -> None:
    draws = dense_draws((4, 2, 1), 3)
    stream = np.random.SeedSequence(3, spawn_key=(1, 5, 0))
    expected = np.random.Generator(np.random.SFC64(stream)).standard_normal((3, 4)).T
    assert np.array_equal(sample_inputs(3, draws, range(5, 6))[0], expected)
