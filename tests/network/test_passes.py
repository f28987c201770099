"""The passes against plain arithmetic and exact identities; see `test_layers` for derivatives."""

from collections.abc import Sequence

import numpy as np
import pytest

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.steps import Activate, dense_layers
from heinit_sim.network.layers import Layer, Trace, make_layers
from heinit_sim.network.losses import least_squares
from heinit_sim.network.passes import iter_backward, iter_forward, layers_by_name
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.theory.finite_width.scale_law import scale_law

Array = np.ndarray
WIDTHS = (7, 8, 6, 5, 3)
STDS = (0.6, 0.5, 0.9, 0.7)
N_INPUTS = 4
ALPHAS = [0.0, 0.2, 1.0]
EPS = np.finfo(float).eps


def draw(
    widths: tuple[int, ...] = WIDTHS, n_inputs: int = N_INPUTS, seed: int = 0
) -> tuple[list[Array], Array]:
    rng = np.random.default_rng(seed)
    shapes = zip(widths[1:], widths, strict=False)
    weights = [rng.standard_normal(shape) for shape in shapes]
    return weights, rng.standard_normal((widths[0], n_inputs))


def plain(array: Scaled) -> Array:
    return np.ldexp(array.mantissa, array.exponent[..., np.newaxis, np.newaxis])


def passes(
    weights: list[Array], stds: tuple[float, ...], x: Array, alpha: float, target: float
) -> dict[str, list[Scaled]]:
    """All layers of both passes, as the package computes them."""
    activation = Activate("leaky_relu", (("negative_slope", alpha),))
    layers, traces = dense(weights, stds, activation), list[Trace]()
    named = layers_by_name(iter_forward(layers, x, traces))
    gradient = least_squares(named["preactivation", len(weights) - 1], target).gradient
    named |= layers_by_name(iter_backward(layers, gradient, traces))
    quantities: dict[str, Quantity] = {
        "h": "activation",
        "f": "preactivation",
        "dl_df": "grad_preactivation",
        "dl_dh": "grad_activation",
    }
    return {
        name: [named[quantity, k] for k in range(len(weights))]
        for name, quantity in quantities.items()
    }


def assert_rounded_alike(found: Array, expected: Array, n_roundings: int) -> None:
    """Equal but for rounding, by that many parts in 2^52 of the largest of a column.

    An error in a layer is carried on as the layer itself is, so those of all layers add up.
    """
    largest = np.abs(expected).max(axis=-2, keepdims=True)
    assert (np.abs(found - expected) <= n_roundings * EPS * largest).all()


def dense(
    weights: list[Array],
    stds: Sequence[float],
    activation: Activate,
    biases: list[Array] | None = None,
) -> list[Layer]:
    widths = [weights[0].shape[-1], *(omega.shape[-2] for omega in weights)]
    rows = dense_layers(widths, [std**2 for std in stds], activation)
    return make_layers(rows, weights, biases)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("widths", "std"), [(WIDTHS, 0.5), ((30,) * 300 + (2,), 3.0)])
def test_euler_identities_hold_everywhere(
    alpha: float, widths: tuple[int, ...], std: float
) -> None:
    weights, x = draw(widths)
    stds = (std,) * len(weights)
    found = passes(weights, stds, x, alpha, target=0.0)
    output = found["f"][-1]
    twice_loss = 2 * (output.mantissa**2).sum(axis=0)
    for k, omega in enumerate(weights):
        dl_df, dl_dh, f, h = (found[name][k] for name in ("dl_df", "dl_dh", "f", "h"))
        pairs = [(dl_df, f), (dl_dh, h), (dl_df, Scaled(std * (omega @ h.mantissa), h.exponent))]
        for gradient, of in pairs:
            shift = int(gradient.exponent + of.exponent - 2 * output.exponent)
            inner = np.ldexp((gradient.mantissa * of.mantissa).sum(axis=0), shift)
            # Σ|terms| bounds the rounding of a sum that may cancel.
            terms = np.ldexp(np.abs(gradient.mantissa * of.mantissa).sum(axis=0), shift)
            assert (np.abs(inner - twice_loss) <= 1e-12 * terms).all()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("target", [0.0, 0.7])
def test_scaled_arithmetic_is_the_direct_one(alpha: float, target: float) -> None:
    widths = (20,) * 160 + (2,)
    weights, x = draw(widths)
    stds = (0.9,) * len(weights)  # to about 2^300: rescaled on the way, still within float range
    found = passes(weights, stds, x, alpha, target)
    assert max(int(f.exponent) for f in found["f"]) > 100
    h, hs, fs = x, [], []
    for omega, std in zip(weights, stds, strict=True):
        f = std * (omega @ h)
        hs.append(h)
        fs.append(f)
        h = np.where(f > 0, f, alpha * f)
    dl_df = 2 * (fs[-1] - target)
    for k in reversed(range(len(weights))):
        dl_dh = stds[k] * (weights[k].T @ dl_df)
        direct = {"f": fs[k], "h": hs[k], "dl_df": dl_df, "dl_dh": dl_dh}
        for name, expected in direct.items():  # both passes: 320 sums of 20 products
            assert_rounded_alike(plain(found[name][k]), expected, 320 * 20)
        if k > 0:
            dl_df = np.where(fs[k - 1] > 0, dl_dh, alpha * dl_dh)


@pytest.mark.parametrize("alpha", [1e-6, 0.2, 1e3])
def test_mantissas_stay_where_the_product_of_two_squares_is_within_float_range(
    alpha: float,
) -> None:
    weights, x = draw((40,) * 160 + (1,))
    for layers in passes(weights, (1.0,) * len(weights), x, alpha, target=0.0).values():
        norms = np.array([float(np.linalg.norm(layer.mantissa)) for layer in layers])
        assert norms.max() < 2.0**208
        assert norms.min() > 2.0**-208


def test_scale_law_is_exact_to_the_last_bit_for_powers_of_four() -> None:
    weights, x = draw()
    once = passes(weights, STDS, x, 0.2, target=0.0)
    twice = passes(weights, tuple(2 * std for std in STDS), x, 0.2, target=0.0)
    depth = len(STDS) - 1
    for k in range(depth + 1):
        doublings = {"h": k, "f": k + 1, "dl_df": 2 * depth + 1 - k, "dl_dh": 2 * depth + 2 - k}
        for name, power in doublings.items():
            assert np.array_equal(plain(twice[name][k]), 2.0**power * plain(once[name][k]))


def test_scale_law_shifts_are_the_published_powers() -> None:
    depth, r = 4, 4.0
    k = np.arange(depth + 1)
    powers = {
        "preactivation": k + 1,
        "activation": k,
        "grad_preactivation": 2 * depth + 1 - k,
        "grad_activation": 2 * depth + 2 - k,
        "grad_weight": np.full(depth + 1, 2 * depth + 1),
        "grad_weight_batch": np.full(depth + 1, 2 * depth + 1),
        "grad_bias_batch": 2 * depth + 1 - k,
    }
    shifts = scale_law((r,) * (depth + 1))
    assert set(shifts) == set(powers)
    for quantity, shift in shifts.items():
        expected = powers[quantity] * np.log10(r)  # by sums of at most 2 (K + 1) logarithms
        np.testing.assert_allclose(shift, expected, rtol=2 * (depth + 1) * EPS, atol=0)


@pytest.mark.parametrize("target", [0.0, 0.7])
def test_a_batch_is_its_inputs_one_by_one_and_a_stack_its_networks(target: float) -> None:
    weights, x = draw()
    batch = passes(weights, STDS, x, 0.2, target)
    for n in range(N_INPUTS):
        alone = passes(weights, STDS, x[:, [n]], 0.2, target)
        for name, layers in batch.items():
            for k, layer in enumerate(layers):
                expected = plain(alone[name][k])[:, 0]
                np.testing.assert_allclose(plain(layer)[:, n], expected, rtol=1e-12, atol=0)
    others, y = draw(seed=1)
    stack = [np.stack(pair) for pair in zip(weights, others, strict=True)]
    both = passes(stack, STDS, np.stack([x, y]), 0.2, target)
    for i, (own, own_x) in enumerate(((weights, x), (others, y))):
        for name, layers in passes(own, STDS, own_x, 0.2, target).items():
            for k, layer in enumerate(layers):
                assert_rounded_alike(plain(both[name][k])[i], plain(layer), 2 * sum(WIDTHS))


@pytest.mark.parametrize("exponent", [-4000, 4000])
def test_loss_gradient_outside_float_range(exponent: int) -> None:
    output = Scaled(np.array([[0.75, -0.5]]), np.array(exponent))
    gradient = least_squares(output, target=3.0).gradient
    if exponent > 0:  # 2 f_K to all digits
        shift = int(gradient.exponent) - exponent
        assert np.ldexp(gradient.mantissa, shift).tolist() == [[1.5, -1.0]]
    else:
        assert plain(gradient).tolist() == [[-6.0, -6.0]]


def test_without_biases_the_plain_pass_is_the_rescaled_one() -> None:
    weights, x = draw()
    zeros = [np.zeros((len(omega), 1)) for omega in weights]
    relu = Activate("relu")
    rescaled = layers_by_name(iter_forward(dense(weights, STDS, relu), x, []))
    direct = layers_by_name(iter_forward(dense(weights, STDS, relu, zeros), x, []))
    assert set(rescaled) == set(direct)
    assert all((z.exponent == 0).all() for z in direct.values())
    for name, layer in rescaled.items():
        assert_rounded_alike(plain(layer), plain(direct[name]), sum(WIDTHS))


@pytest.mark.parametrize("std", [1e10, 1e-10, 1e154])
def test_a_network_that_leaves_float_range_is_not_known_from_there_on(std: float) -> None:
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal((2, 9, 9)) for _ in range(40)]
    for omega in weights:
        omega[1] /= std  # the second network stays where it is
    x, stds = rng.standard_normal((2, 9, 3)), (std,) * 40
    gelu = Activate("gelu")
    together = list(layers_by_name(iter_forward(dense(weights, stds, gelu), x, [])).values())
    second = dense([w[1:] for w in weights], stds, gelu)
    alone = list(layers_by_name(iter_forward(second, x[1:], [])).values())
    known = [np.isfinite(plain(z)[0]).all() for z in together]
    assert known == sorted(known, reverse=True)
    assert set(known) == {True, False}
    assert all(np.isnan(plain(z)[0]).all() for z in together[known.index(False) :])
    for one, other in zip(together, alone, strict=True):
        assert_rounded_alike(plain(one)[1:], plain(other), 40 * 9)
        assert np.isfinite(plain(other)).all()


def test_a_dead_layer_is_no_underflow() -> None:
    weights = [-np.ones((3, 3)), np.ones((2, 3))]
    layers = dense(weights, (1.0, 1.0), Activate("relu6"))
    found = layers_by_name(iter_forward(layers, np.ones((3, 1)), []))
    assert not found["preactivation", 1].mantissa.any()


def test_both_passes_name_their_layers_in_the_order_they_come_to_them() -> None:
    weights, x = draw()
    layers, traces = dense(weights, STDS, Activate("relu")), list[Trace]()
    forward = list(iter_forward(layers, x, traces))
    assert [stack.names for stack in forward] == [
        (("activation", 0),),
        *((("preactivation", k), ("activation", k + 1)) for k in range(3)),
        (("preactivation", 3),),
    ]
    backward = list(iter_backward(layers, forward[-1].layers()[0][1], traces))
    assert [stack.names for stack in backward] == [
        (("grad_preactivation", 3),),
        *((("grad_activation", k), ("grad_preactivation", k - 1)) for k in (3, 2, 1)),
        (("grad_activation", 0),),
    ]
    assert not traces
    for stack in (*forward, *backward):
        for (quantity, k), layer in stack.layers():
            into = quantity in ("activation", "grad_activation")
            assert layer.mantissa.shape == (WIDTHS[k if into else k + 1], N_INPUTS)
