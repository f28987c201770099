"""A convolution and its gradients against slow loops, complex steps and exact identities."""

from itertools import product

import numpy as np
import pytest

from heinit_sim.experiment.steps import Padding, Window
from heinit_sim.network import convolution as network_convolution
from heinit_sim.network.convolution import (
    channel_means,
    channel_means_adjoint,
    convolve,
    convolve_adjoint,
    iter_weight_gradients,
    to_units,
)
from heinit_sim.network.image_patches import BLOCK
from heinit_sim.network.moments import UnitMoments, kernel_moments
from heinit_sim.numerics.scaled_array import Scaled

Array = np.ndarray
C_IN, C_OUT, NETWORKS, N_INPUTS = 3, 2, 3, 4
# Images and kernels up to 2·size − 1, where several circular taps see one position.
GEOMETRIES: list[tuple[tuple[int, ...], int]] = [
    ((6,), 1),
    ((6,), 3),
    ((4,), 7),
    ((1,), 1),
    ((4, 5), 1),
    ((5, 3), 3),
    ((3, 7), 5),
    ((3, 3), 5),
    ((1, 4), 1),
]
PADDINGS: list[Padding] = ["circular", "zero"]
# Even kernels, strides that divide the sides or do not or exceed the kernel, and groups.
OTHERS: list[tuple[tuple[int, ...], int, int, int]] = [
    ((6,), 2, 1, 1),
    ((5, 4), 4, 1, 1),
    ((7,), 3, 2, 1),
    ((4, 6), 4, 2, 1),
    ((5, 3), 3, 2, 1),
    ((5, 4), 1, 2, 1),
    ((7, 5), 2, 3, 1),
    ((2, 1), 4, 2, 1),
    ((4, 3), 3, 1, 2),
    ((5,), 4, 2, 2),
    ((4, 5), 3, 2, 4),
]
WINDOWS = [
    *(Window(image, kernel, padding) for (image, kernel), padding in product(GEOMETRIES, PADDINGS)),
    *(Window(*of[:2], padding, *of[2:]) for of, padding in product(OTHERS, PADDINGS)),
]


def name_of(window: Window) -> str:
    stride, groups = window.stride, window.groups
    more = f" stride {stride}" * (stride > 1) + f" groups {groups}" * (groups > 1)
    return f"{window.image} {window.kernel} {window.padding}{more}"


CASES = [pytest.param(window, id=name_of(window)) for window in WINDOWS]
LONG = {f"{of} {padding}" for of in ("(3, 7) 5", "(3, 3) 5", "(5, 4) 4") for padding in PADDINGS}
# Numbers in a block: everything at once, a few lines or inputs, one column of one line at a time.
BLOCKS = [BLOCK, 400, 1]
# Two ways to sum at most 100 products: each may be off by 2^-53 of the sum of their sizes, times
# the number of terms.
ROUNDING = 2 * 100 * 2.0**-53


def channels_of(window: Window) -> tuple[int, int]:
    return (C_IN, C_OUT) if window.groups == 1 else (4, 8)


def draw(window: Window, seed: int = 0) -> tuple[Array, Array, Array]:
    """Weights, activations and ∂ℓ/∂f of a few networks and inputs."""
    rng = np.random.default_rng(seed)
    c_in, c_out = channels_of(window)
    return (
        rng.standard_normal((NETWORKS, c_out, window.taps, c_in // window.groups)),
        rng.standard_normal((NETWORKS, c_in * window.positions, N_INPUTS)),
        rng.standard_normal((NETWORKS, c_out * window.positions_out, N_INPUTS)),
    )


def seen(window: Window) -> list[tuple[int, int, int]]:
    """Position p, tap, and the position that the tap sees from p; none where that is outside."""
    image, kernel, stride = window.image, window.kernel, window.stride
    positions, leaving = list(np.ndindex(*image)), list(np.ndindex(*window.image_out))
    found = []
    for p, tap in product(leaving, np.ndindex(*(kernel for _ in image))):
        there = [stride * p[axis] + tap[axis] - (kernel - 1) // 2 for axis in range(len(image))]
        wrapped = tuple(place % size for place, size in zip(there, image, strict=True))
        if window.padding == "circular" or wrapped == tuple(there):
            number = 0
            for t in tap:
                number = number * kernel + t
            found.append((leaving.index(p), number, positions.index(wrapped)))
    return found


def slow_convolve(weights: Array, h: Array, window: Window) -> Array:
    """One network, one input: (c_out, taps, c_in), (c_in · positions,) -> (c_out · positions,)."""
    c_out, _, per_group = weights.shape
    f = np.zeros((c_out, window.positions_out), np.result_type(weights, h))
    channels = h.reshape(-1, window.positions)
    for p, tap, there in seen(window):
        for o, i in product(range(c_out), range(per_group)):
            group = o // (c_out // window.groups)
            f[o, p] += weights[o, tap, i] * channels[group * per_group + i, there]
    return f.ravel()


def weight_gradients(dl_df: Array, h: Array, window: Window) -> Array:
    """All of them at once, (networks, inputs, c_out, taps · c_in)."""
    (c_in, c_out), groups = channels_of(window), window.groups
    shape = c_out // groups, window.taps * (c_in // groups)
    found = np.full((NETWORKS * groups, N_INPUTS, *shape), np.nan)
    for which, some, gradients in iter_weight_gradients(dl_df, h, window):
        found[which, some] = gradients
    of_networks = found.reshape(NETWORKS, groups, N_INPUTS, *shape).swapaxes(1, 2)
    return of_networks.reshape(NETWORKS, N_INPUTS, c_out, -1)


def assert_sums_agree(found: Array, expected: Array, terms: Array) -> None:
    """Equal but for rounding, as sums of products whose sizes add up to `terms`."""
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= ROUNDING * terms).all()


@pytest.fixture(params=BLOCKS)
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_convolution, "BLOCK", request.param)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("window", CASES)
def test_a_convolution_is_that_of_slow_loops(window: Window) -> None:
    weights, h, _ = draw(window)
    found = convolve(weights, h, window)
    terms = convolve(np.abs(weights), np.abs(h), window)
    for b, n in ((0, 0), (NETWORKS - 1, N_INPUTS - 1)):
        expected = slow_convolve(weights[b], h[b, :, n], window)
        assert_sums_agree(found[b, :, n], expected, terms[b, :, n])


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] * (str(case.id) in LONG))
        for case in CASES
    ],
)
def test_gradients_are_complex_steps_of_slow_loops(window: Window) -> None:
    weights, h, dl_df = draw(window)
    dl_dh = convolve_adjoint(weights, dl_df, window)
    dl_dw = weight_gradients(dl_df, h, window)
    h_terms = convolve_adjoint(np.abs(weights), np.abs(dl_df), window)
    w_terms = weight_gradients(np.abs(dl_df), np.abs(h), window)
    b, n, step = 1, 2, 1e-30  # f is linear in each number: the step is exact but for rounding

    def slope(moved_weights: Array, moved_h: Array) -> float:
        moved = slow_convolve(moved_weights, moved_h, window)
        return float(dl_df[b, :, n] @ moved.imag / step)

    by_unit, by_weight = np.zeros(h.shape[1]), np.zeros(weights[b].shape)
    for unit in range(len(by_unit)):
        nudge = 1j * step * (np.arange(len(by_unit)) == unit)
        by_unit[unit] = slope(weights[b], h[b, :, n] + nudge)
    for place in np.ndindex(*by_weight.shape):
        nudge = np.zeros(by_weight.shape, complex)
        nudge[place] = 1j * step
        by_weight[place] = slope(weights[b] + nudge, h[b, :, n])
    assert_sums_agree(dl_dh[b, :, n], by_unit, h_terms[b, :, n])
    assert_sums_agree(dl_dw[b, n], by_weight.reshape(len(by_weight), -1), w_terms[b, n])


def assert_moments_agree(found: UnitMoments, expected: UnitMoments) -> None:
    """Equal but for rounding: a mean is that of terms whose squares the moments tell."""
    size = np.sqrt(expected.variance + expected.mean**2)
    assert_sums_agree(found.mean, expected.mean, size)
    # At most three of the 16 digits cancel (`moments._CANCELS`).
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("window", CASES)
def test_the_three_products_are_one_bilinear_form(window: Window) -> None:
    weights, h, dl_df = draw(window)
    f = convolve(weights, h, window)
    # ⟨Ω h, y⟩ = ⟨h, Ωᵀ y⟩, and Euler: f is linear in Ω, so ⟨∂ℓ/∂Ω, Ω⟩ = ⟨∂ℓ/∂f, f⟩.
    expected = (dl_df * f).sum(axis=1)
    size = np.linalg.norm(dl_df, axis=1) * np.linalg.norm(f, axis=1)
    by_unit = (convolve_adjoint(weights, dl_df, window) * h).sum(axis=1)
    omega = weights.reshape(NETWORKS, 1, weights.shape[1], -1)
    by_weight = (weight_gradients(dl_df, h, window) * omega).sum(axis=(2, 3))
    assert (np.abs(by_unit - expected) <= 1e-12 * size).all()
    assert (np.abs(by_weight - expected) <= 1e-12 * size).all()


@pytest.mark.parametrize("window", [Window((5, 4), 3), Window((7, 8), 3, "circular", 2, 4)])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.usefixtures("_block")
def test_kernel_moments_are_those_of_all_gradients(shift: float, window: Window) -> None:
    _, h, dl_df = (z + shift for z in draw(window))
    # Shifted, the gradients are 20e12 with a spread of a few 1e6: E[z²] − E[z]² has no digit left.
    exponents = np.array([3, 0, -5]), np.array([4, 1, 900])
    found = kernel_moments(Scaled(dl_df, exponents[0]), Scaled(h, exponents[1]), window)
    assert found.exponent.tolist() == [7, 1, 895]
    gradients = weight_gradients(dl_df, h, window).reshape(NETWORKS, N_INPUTS, -1)
    assert_sums_agree(found.mean, gradients.mean(axis=-1), np.abs(gradients).mean(axis=-1))
    # At most three of the 16 digits cancel (`moments._CANCELS`), and the seven that shifted means
    # of groups have in common.
    rtol = 1e-12 if window.groups == 1 else 1e-8
    np.testing.assert_allclose(found.variance, gradients.var(axis=-1), rtol=rtol, atol=0)


def test_the_gradient_of_one_scalar_weight_has_variance_zero() -> None:
    window = Window((3,), 1)
    layer = Scaled(np.array([[0.3], [0.7], [-0.2]]), np.array(0))
    found = kernel_moments(layer, layer, window)
    assert found.variance.tolist() == [0.0]
    assert_sums_agree(found.mean, np.array([0.62]), np.array([0.62]))


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("window", CASES)
def test_no_number_depends_on_the_other_networks_of_the_stack(window: Window) -> None:
    weights, h, dl_df = draw(window)
    for layer in (weights, h, dl_df):
        layer[1] = np.nan  # a network that is lost
    f, dl_dh = convolve(weights, h, window), convolve_adjoint(weights, dl_df, window)
    f_terms = convolve(np.abs(weights), np.abs(h), window)
    dh_terms = convolve_adjoint(np.abs(weights), np.abs(dl_df), window)
    zeros = np.zeros(NETWORKS, np.int64)
    together = kernel_moments(Scaled(dl_df, zeros), Scaled(h, zeros), window)
    for b in (0, 2):
        own = weights[b], h[b], dl_df[b]
        alone = kernel_moments(Scaled(own[2], zeros[b]), Scaled(own[1], zeros[b]), window)
        assert_sums_agree(f[b], convolve(*own[:2], window), f_terms[b])
        assert_sums_agree(dl_dh[b], convolve_adjoint(own[0], own[2], window), dh_terms[b])
        assert_moments_agree(UnitMoments(*(part[b] for part in together)), alone)
    assert np.isnan(f[1]).all()
    assert np.isnan(together.variance[1]).all()


def test_large_layers_are_those_of_single_networks() -> None:
    window = Window((8, 8), 3)
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((7, 16, 9, 16))
    h, dl_df = rng.standard_normal((2, 7, 16 * 64, 30))
    zeros = np.zeros(7, np.int64)
    f = convolve(weights, h, window)
    together = kernel_moments(Scaled(dl_df, zeros), Scaled(h, zeros), window)
    terms = convolve(np.abs(weights), np.abs(h), window)
    for b in range(7):
        assert_sums_agree(f[b], convolve(weights[b], h[b], window), terms[b])
        alone = kernel_moments(Scaled(dl_df[b], zeros[b]), Scaled(h[b], zeros[b]), window)
        assert_moments_agree(UnitMoments(*(part[b] for part in together)), alone)


def test_networks_may_be_stacked_along_several_axes() -> None:
    window = Window((4, 3), 3)
    weights, h, dl_df = (
        np.stack(pair) for pair in zip(draw(window, 0), draw(window, 1), strict=True)
    )
    f, dl_dh = convolve(weights, h, window), convolve_adjoint(weights, dl_df, window)
    exponent = np.arange(2 * NETWORKS).reshape(2, NETWORKS)
    moments = kernel_moments(Scaled(dl_df, exponent), Scaled(h, exponent), window)
    assert f.shape == dl_df.shape
    assert dl_dh.shape == h.shape
    assert moments.exponent.tolist() == (2 * exponent).tolist()
    dl_df_row, h_row = (Scaled(z[1], exponent[1]) for z in (dl_df, h))
    row = kernel_moments(dl_df_row, h_row, window)
    assert_moments_agree(UnitMoments(*(part[1] for part in moments)), row)
    sizes = np.abs(weights[1]), np.abs(h[1]), np.abs(dl_df[1])
    terms = convolve(*sizes[:2], window), convolve_adjoint(sizes[0], sizes[2], window)
    assert_sums_agree(f[1], convolve(weights[1], h[1], window), terms[0])
    assert_sums_agree(dl_dh[1], convolve_adjoint(weights[1], dl_df[1], window), terms[1])


def test_what_is_asked_for_is_written_where_it_is_asked_for() -> None:
    window = Window((4, 3), 3)
    weights, h, dl_df = draw(window)
    pair = np.empty((2, *dl_df.shape))
    assert convolve(weights, h, window, out=pair[1]) is not pair
    terms = convolve(np.abs(weights), np.abs(h), window)
    assert_sums_agree(pair[1], convolve(weights, h, window), terms)
    dl_dh = np.empty_like(h)
    assert convolve_adjoint(weights, dl_df, window, out=dl_dh) is dl_dh
    with pytest.raises(ValueError, match="C-contiguous"):
        convolve(weights, h, window, out=np.empty(dl_df.shape[::-1]).T)


def test_transposed_arrays_are_read_as_they_are() -> None:
    window = Window((4, 3), 3)
    weights, h, dl_df = draw(window)
    turned, turned_h, turned_dl_df = (np.asfortranarray(z) for z in (weights, h, dl_df))
    assert_sums_agree(
        convolve(turned, turned_h, window),
        convolve(weights, h, window),
        convolve(np.abs(weights), np.abs(h), window),
    )
    assert_sums_agree(
        weight_gradients(turned_dl_df, turned_h, window),
        weight_gradients(dl_df, h, window),
        weight_gradients(np.abs(dl_df), np.abs(h), window),
    )


def test_a_look_at_gradients_may_be_interrupted_by_another_product() -> None:
    window = Window((4, 3), 3)
    weights, h, dl_df = draw(window)
    expected = weight_gradients(dl_df, h, window)
    terms = weight_gradients(np.abs(dl_df), np.abs(h), window)
    for which, some, gradients in iter_weight_gradients(dl_df, h, window):
        convolve(weights, 2 * h, window)
        weight_gradients(dl_df, 3 * h, window)
        assert_sums_agree(gradients, expected[which, some], terms[which, some])


def test_means_of_channels_and_what_units_have_of_them() -> None:
    window = Window((2, 3), 3)
    _, h, _ = draw(window)
    means = channel_means(h, window.positions)
    assert means.shape == (NETWORKS, C_IN, N_INPUTS)
    for b, i, n in np.ndindex(*means.shape):
        expected = sum(float(v) for v in h[b, 6 * i : 6 * i + 6, n]) / 6
        assert abs(means[b, i, n] - expected) <= ROUNDING * np.abs(h[b, 6 * i : 6 * i + 6, n]).sum()
    units = to_units(means, window.positions)
    assert np.array_equal(units[1, :, 2], np.repeat(means[1, :, 2], 6))
    # ⟨mean(h), y⟩ = ⟨h, meanᵀ(y)⟩
    y = np.random.default_rng(2).standard_normal(means.shape)
    both = (means * y).sum(axis=1), (h * channel_means_adjoint(y, window.positions)).sum(axis=1)
    size = np.linalg.norm(means, axis=1) * np.linalg.norm(y, axis=1)
    assert (np.abs(both[0] - both[1]) <= 1e-12 * size).all()
