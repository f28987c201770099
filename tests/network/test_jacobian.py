"""The Jacobian of one input, against plain matrices by complex step and against slow loops."""

from collections.abc import Sequence
from functools import partial
from itertools import islice

import numpy as np
import pytest

from heinit_sim.experiment.engines import why_no_jacobian
from heinit_sim.experiment.steps import Activate, Row, dense_layers
from heinit_sim.network.jacobian import (
    FirstInputMasks,
    iter_transposed,
    log10_second_moment,
    log10_singular_values,
)
from heinit_sim.network.layers import make_layers
from heinit_sim.numerics.scaled_array import Scaled
from tests.network.test_protocol import Drawn, drawn, random_rows

Array = np.ndarray
LEFT = 1e-11  # of the largest number, that a few products of 12 terms each may lose


def transposed(given: Drawn, most: int) -> list[Scaled]:
    masks = FirstInputMasks(given.masks)
    layers = make_layers(given.rows, given.weights, given.biases, masks, measured=False)
    n_outputs = layers[-1].width_out
    return list(iter_transposed(layers, given.x[..., :1], n_outputs, most))


def plain(parts: Sequence[Scaled]) -> Array:
    columns = [np.ldexp(p.mantissa, p.exponent[..., np.newaxis, np.newaxis]) for p in parts]
    return np.concatenate(columns, axis=-1).swapaxes(-1, -2)


def has_jacobian(seed: int, cnn: bool) -> bool:
    return why_no_jacobian(random_rows(seed, cnn=cnn), "weights") is None


def rows_with_jacobians() -> list[tuple[int, bool]]:
    found = ((seed, cnn) for seed in range(60) for cnn in (False, True))
    return [*islice((place for place in found if has_jacobian(*place)), 16)]


def is_jacobian(given: Drawn, parts: Sequence[Scaled]) -> bool:
    for network, jacobian in enumerate(plain(parts)):
        expected = given.slow(network).jacobian(given.x[network])
        if not np.abs(jacobian - expected).max() <= LEFT * np.abs(expected).max():
            return False
    return True


@pytest.mark.parametrize(("seed", "cnn"), rows_with_jacobians())
def test_random_rows_have_the_jacobian_of_plain_matrices(seed: int, cnn: bool) -> None:
    given = drawn(random_rows(seed, cnn=cnn), seed, biased=seed % 3 == 0)
    parts = transposed(given, 1 + seed % 3)
    assert is_jacobian(given, parts)
    for network, expected in enumerate(plain(parts)):
        size = 10 ** log10_second_moment(parts)[network]
        assert size == pytest.approx((expected**2).mean(), rel=1e-12)
        values = np.linalg.svd(expected, compute_uv=False)
        found = 10 ** log10_singular_values(parts, 3)[network]
        assert found[0] == pytest.approx(values[0], rel=1e-12)
        assert np.abs(found - values).max() <= 1e-13 * values[0]


def test_an_error_is_found() -> None:
    seed, cnn = rows_with_jacobians()[0]
    given = drawn(random_rows(seed, cnn=cnn), seed, biased=seed % 3 == 0)
    parts = transposed(given, 2)
    given.weights[-1] = (1 + 1e-9) * given.weights[-1]
    assert not is_jacobian(given, parts)


def relu_jacobian(weights: Sequence[Array], std: float, x: Array) -> Array:
    """∂f_K/∂x of a ReLU network, path by path of one unit after the other."""
    h, through = list(x), np.eye(len(x)).tolist()
    for k, omega in enumerate(weights):
        f = [sum(std * w * z for w, z in zip(row, h, strict=True)) for row in omega]
        new = []
        for row, value in zip(omega, f, strict=True):
            on = value > 0 or k == len(weights) - 1
            new.append(
                [
                    sum(std * w * t[i] for w, t in zip(row, through, strict=True)) if on else 0.0
                    for i in range(len(x))
                ]
            )
        h, through = [max(value, 0.0) for value in f], new
    return np.array(through)


def dense(widths: Sequence[int], variance: float, name: str, seed: int = 0) -> Drawn:
    options = (("negative_slope", 0.2),) if name == "leaky_relu" else ()
    rows = dense_layers(widths, [variance] * (len(widths) - 1), Activate(name, options))
    return drawn(rows, seed)


def test_a_relu_network_has_the_jacobian_of_slow_loops() -> None:
    given = dense((5, 6, 7, 4, 3), 0.3, "relu")
    for network, jacobian in enumerate(plain(transposed(given, 3))):
        omegas = [w[network] for w in given.weights]
        expected = relu_jacobian(omegas, np.sqrt(0.3), given.x[network, :, 0])
        assert np.abs(jacobian - expected).max() <= 1e-13 * np.abs(expected).max()


def test_pieces_make_the_same_numbers() -> None:
    given = dense((5, 6, 7, 4), 0.3, "tanh")
    whole, pieces = (transposed(given, most) for most in (4, 3))
    assert [part.mantissa.shape[-1] for part in pieces] == [3, 1]
    for of in (log10_second_moment, partial(log10_singular_values, n_layers=3)):
        np.testing.assert_allclose(of(pieces), of(whole), rtol=0, atol=1e-12)


def test_no_depth_leaves_float_range() -> None:
    widths = (3, *[8] * 2000, 2)
    small, one = (transposed(dense(widths, variance, "leaky_relu"), 2) for variance in (1e-3, 1.0))
    assert np.isfinite(log10_second_moment(one)).all()
    # σ² to the power of 2001 layers; sums of 2001 roundings of numbers below 1e4.
    for of, power in (
        (log10_second_moment, 1.0),
        (partial(log10_singular_values, n_layers=2001), 0.5),
    ):
        found, unit = of(small), of(one)
        known = np.isfinite(unit)
        assert np.array_equal(known, np.isfinite(found))
        apart = found[known] - unit[known]
        np.testing.assert_allclose(apart, -3 * 2001 * power, rtol=0, atol=1e-8)


def test_pieces_of_far_magnitudes_go_together() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((2, 1, 4, 2))
    none = np.zeros((1, 4, 2))
    high = Scaled(numbers[0], np.array([9000]))
    low, zero = Scaled(numbers[1], np.array([-9000])), Scaled(none, np.array([0]))
    (alone,) = log10_singular_values([high], 1)
    for other in (low, zero):
        (found,) = log10_singular_values([other, high], 1)
        np.testing.assert_allclose(found[:2], alone, rtol=1e-14)
        assert np.isneginf(found[2:]).all()
    (of_low,) = log10_singular_values([zero, low], 1)
    assert np.isfinite(of_low[:2]).all()
    (size,) = log10_second_moment([zero, low])
    assert size == pytest.approx(np.log10((numbers[1] ** 2).sum() / 16) - 18000 * np.log10(2))


def test_dead_and_lost_networks() -> None:
    rows: tuple[Row, ...] = dense_layers((3, 4, 2), [1.0, 1.0], Activate("relu"))
    given = drawn(rows, 0)
    given.weights[0][0] = -np.abs(given.weights[0][0])
    given.x[0] = np.abs(given.x[0])
    parts = transposed(given, 2)
    assert log10_second_moment(parts)[0] == -np.inf
    assert np.isneginf(log10_singular_values(parts, 3)[0]).all()
    assert np.isfinite(log10_second_moment(parts)[1])
    softplus = drawn(dense_layers((3, 4, 2), [1.0, 1.0], Activate("softplus")), 0)
    softplus.weights[1][0] *= 1e200
    parts = transposed(softplus, 2)
    assert np.isnan(log10_second_moment(parts)[0])
    assert np.isnan(log10_singular_values(parts, 3)[0]).all()
    assert np.isfinite(log10_singular_values(parts, 3)[1]).all()
