"""Losses and their gradients against plain sums, complex steps, and logits of any size."""

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim.network.losses import Judged, cross_entropy, least_squares, probe
from heinit_sim.numerics.scaled_array import Scaled

Array = np.ndarray
STEP = 1e-40


def outputs(*shape: int, scale: float = 1.0, exponent: int = 0, seed: int = 0) -> Scaled:
    f = scale * np.random.default_rng(seed).standard_normal(shape)
    return Scaled(f, np.full(shape[:-2], exponent))


def classes_of(*shape: int, n: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).integers(0, n, shape)


def plain(gradient: Scaled) -> Array:
    return np.ldexp(gradient.mantissa, np.asarray(gradient.exponent)[..., None, None])


def slow_loss(f: list[complex], t: int) -> complex:
    largest = max(z.real for z in f)
    return largest + cmath.log(sum(cmath.exp(z - largest) for z in f)) - f[t]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0])
def test_cross_entropy_is_the_plain_sum_and_its_gradient_the_complex_step(scale: float) -> None:
    f, t = outputs(3, 4, 5, scale=scale), classes_of(3, 5, n=4)
    found = cross_entropy(f, t)
    gradient = plain(found.gradient)
    for network in range(3):
        losses = []
        for n in range(5):
            column = [complex(z) for z in f.mantissa[network, :, n]]
            losses.append(slow_loss(column, t[network, n]).real)
            for o in range(4):
                moved = [z + 1j * STEP * (o == place) for place, z in enumerate(column)]
                expected = slow_loss(moved, t[network, n]).imag / STEP
                # 1 − p of a probability near 1 loses digits in the plain one, to 2^-52 of 1.
                assert abs(gradient[network, o, n] - expected) < 1e-14 + 1e-12 * abs(expected)
        expected_log10 = math.log10(sum(losses) / 5)
        # sums of ten terms, each to 2^-53 of the largest, which the loss is a part of
        assert_allclose(found.log10_loss[network], expected_log10, rtol=0, atol=1e-12)


def test_logits_of_no_size_leave_all_classes_alike() -> None:
    found = cross_entropy(outputs(2, 7, 3, exponent=-3322), classes_of(2, 3, n=7))
    assert_allclose(found.log10_loss, math.log10(math.log(7)), rtol=1e-14, atol=0)
    gradient = np.sort(plain(found.gradient), axis=1)
    assert_allclose(gradient[:, 0], -6 / 7, rtol=1e-14, atol=0)
    assert_allclose(gradient[:, 1:], 1 / 7, rtol=1e-14, atol=0)


def test_logits_of_1e1000_cost_the_distance_to_the_largest() -> None:
    f, t = outputs(2, 7, 3, exponent=3322), classes_of(2, 3, n=7)
    found = cross_entropy(f, t)
    of_class = np.take_along_axis(f.mantissa, t[:, None, :], 1)[:, 0]
    distance = (f.mantissa.max(axis=1) - of_class).mean(axis=1)
    expected = np.log10(distance) + 3322 * math.log10(2)
    assert_allclose(found.log10_loss, expected, rtol=1e-15, atol=0)
    gradient = plain(found.gradient)
    wrong = f.mantissa.argmax(axis=1) != t
    assert wrong.any()
    assert_array_equal((gradient**2).sum(axis=1), 2.0 * wrong)


@pytest.mark.parametrize("gap", [700.0, 800.0, 1e5])
def test_a_loss_below_float_range_keeps_its_size(gap: float) -> None:
    f = Scaled(np.array([[[gap], [0.0], [math.log(2.0)]]]), np.zeros(1, np.int64))
    found = cross_entropy(f, np.zeros((1, 1), np.int64))
    # exp(−gap) + 2 exp(−gap) of others; gap itself has a rounding of 2^-53
    expected = (math.log(3.0) - gap) / math.log(10.0)
    assert_allclose(found.log10_loss, expected, rtol=1e-14, atol=0)
    mantissa, exponent = found.gradient
    log10 = np.log10(np.abs(mantissa[0, :, 0])) + exponent[0] * math.log10(2.0)
    sizes = np.array([math.log(3.0), 0.0, math.log(2.0)]) - gap
    assert_allclose(log10, sizes / math.log(10.0), rtol=1e-13, atol=0)
    assert_array_equal(np.sign(mantissa[0, :, 0]), [-1, 1, 1])


def test_gradients_of_cross_entropy_add_up_to_nothing() -> None:
    found = cross_entropy(outputs(4, 9, 6, scale=5.0), classes_of(4, 6, n=9))
    assert_allclose(plain(found.gradient).sum(axis=1), 0.0, rtol=0, atol=2e-15)


def test_a_wrong_class_is_found() -> None:
    f, t = outputs(1, 3, 2), np.array([[0, 1]])
    assert cross_entropy(f, t).log10_loss != cross_entropy(f, 1 - t).log10_loss


@pytest.mark.parametrize("exponent", [-3000, 0, 3000])
def test_least_squares_is_the_plain_sum_at_any_size(exponent: int) -> None:
    f = outputs(3, 4, 5, exponent=exponent)
    found = least_squares(f, 0.0)
    expected = np.log10((f.mantissa**2).sum(axis=(1, 2)) / 5) + 2 * exponent * math.log10(2)
    assert_allclose(found.log10_loss, expected, rtol=1e-14, atol=1e-14)
    assert_array_equal(found.gradient.mantissa, f.mantissa)
    assert_array_equal(found.gradient.exponent, exponent + 1)


def test_a_probe_is_the_gradient_and_has_no_loss() -> None:
    p = np.random.default_rng(2).standard_normal((3, 4, 5))
    found = probe(outputs(3, 4, 5, exponent=900), p)
    assert_array_equal(plain(found.gradient), p)
    assert np.isnan(found.log10_loss).all()


def test_a_network_that_is_lost_stays_so_and_takes_no_other_with_it() -> None:
    f = outputs(2, 4, 3)
    f.mantissa[0, 1, 2] = np.nan
    t, p = classes_of(2, 3, n=4), np.ones((2, 4, 3))
    found: list[Judged] = [cross_entropy(f, t), probe(f, p), least_squares(f, 1.0)]
    for judged in found:
        lost = np.isnan(judged.gradient.mantissa).any(axis=(1, 2))
        assert lost.tolist() == [True, False]
    assert np.isnan(found[0].log10_loss).tolist() == [True, False]


def test_a_stack_of_passes_has_the_bits_of_each_alone() -> None:
    first, second = outputs(3, 4, 5, scale=3.0), outputs(3, 4, 5, scale=900.0, seed=4)
    t = classes_of(3, 5, n=4)
    p = np.random.default_rng(2).standard_normal((3, 4, 5))
    both = Scaled(*(np.stack(parts) for parts in zip(first, second, strict=True)))
    judges: list[Callable[[Scaled], Judged]] = [
        lambda f: cross_entropy(f, t),
        lambda f: probe(f, p),
    ]
    for judge in judges:
        together = judge(both)
        for place, alone in enumerate(map(judge, (first, second))):
            assert_array_equal(together.log10_loss[place], alone.log10_loss)
            assert_array_equal(together.gradient.mantissa[place], alone.gradient.mantissa)
            assert_array_equal(together.gradient.exponent[place], alone.gradient.exponent)
