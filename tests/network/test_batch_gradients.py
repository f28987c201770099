"""The gradient of the batch's mean loss by one matrix, against all its entries one by one."""

from fractions import Fraction

import numpy as np
import pytest

from heinit_sim.experiment.quantities import BATCH_MEASURES
from heinit_sim.network import batch_gradients, conditional
from heinit_sim.network.batch_gradients import MeanSquare, of_outer_products
from heinit_sim.network.losses import least_squares
from heinit_sim.network.passes import layers_by_name
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import DrawnNormals, sample_inputs
from heinit_sim.simulation.plan import plan_passes
from tests.configs import parsed

Array = np.ndarray
NETWORKS = 3
# units that come out, units that enter, inputs: less work by N × N matrices, and by the product
SHAPES = {"grams": (9, 7, 2), "product": (4, 6, 8), "one input": (5, 3, 1), "one output": (1, 6, 4)}


def layers(name: str, seed: int = 0) -> tuple[Scaled, Scaled]:
    d_out, d_in, n = SHAPES[name]
    rng = np.random.default_rng(seed)
    exponents = rng.integers(-5000, 5000, (2, NETWORKS))
    dl_df, h = (rng.standard_normal((NETWORKS, d, n)) for d in (d_out, d_in))
    return Scaled(dl_df, exponents[0]), Scaled(h, exponents[1])


def exact(dl_df: Array, h: Array) -> tuple[float, float]:
    """Mean squares of one network's means over inputs, in rational numbers."""
    (d_out, n), d_in = dl_df.shape, len(h)
    delta, z = ([[Fraction(float(x)) for x in row] for row in rows] for rows in (dl_df, h))
    weights = [
        sum((delta[o][i] * z[j][i] for i in range(n)), Fraction(0)) / n
        for o in range(d_out)
        for j in range(d_in)
    ]
    biases = [sum(row, Fraction(0)) / n for row in delta]
    return tuple(float(sum(g**2 for g in own) / len(own)) for own in (weights, biases))  # type: ignore[return-value]  # two of them


def relative_errors(found: MeanSquare, wanted: list[float]) -> Array:
    errors: Array = np.abs(found.value / np.array(wanted) - 1)
    return errors


@pytest.mark.parametrize("name", SHAPES)
def test_mean_squares_are_those_of_all_entries_at_any_magnitude(name: str) -> None:
    dl_df, h = layers(name)
    found = of_outer_products(dl_df, h)
    pairs = zip(dl_df.mantissa, h.mantissa, strict=True)
    weights, biases = zip(*(exact(*pair) for pair in pairs), strict=True)
    np.testing.assert_array_equal(found.weight.exponent, dl_df.exponent + h.exponent)
    np.testing.assert_array_equal(found.bias.exponent, dl_df.exponent)
    # Sums of squares of sums of a few terms, which cancel to a tenth at most of these draws.
    assert relative_errors(found.weight, list(weights)).max() < 1e-13
    assert relative_errors(found.bias, list(biases)).max() < 1e-13


def nearly_opposite(share: float) -> tuple[Array, Array]:
    """∂ℓ/∂f and h of two inputs whose outer products cancel but for that share."""
    rng = np.random.default_rng(1)
    delta, z = rng.standard_normal((12, 1)), rng.standard_normal((10, 1))
    return delta * np.ones(2), np.hstack([z, share * rng.standard_normal((10, 1)) - z])


@pytest.mark.parametrize("share", [1e-4, 1e-8, 1e-11])
def test_inputs_that_all_but_cancel_lose_no_more_digits_than_their_sum(share: float) -> None:
    dl_df, h = nearly_opposite(share)
    zero = np.zeros(1, np.int64)
    found = of_outer_products(Scaled(dl_df[np.newaxis], zero), Scaled(h[np.newaxis], zero))
    # Each entry of the sum has an error of a few 1e-16, relative to `share` of it.
    assert relative_errors(found.weight, [exact(dl_df, h)[0]]) < 1e-15 / share


def test_products_of_inner_products_alone_would_lose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_gradients, "_CANCELS", 0.0)
    with pytest.raises(AssertionError):
        test_inputs_that_all_but_cancel_lose_no_more_digits_than_their_sum(1e-8)


def test_what_rounding_alone_leaves_is_zero() -> None:
    rng = np.random.default_rng(2)
    dl_df = rng.standard_normal((1, 8, 7))
    dl_df -= dl_df.mean(axis=-1, keepdims=True)  # as behind a norm over the batch
    assert (dl_df.sum(axis=-1) != 0).any()
    zero = np.zeros(1, np.int64)
    found = of_outer_products(Scaled(dl_df, zero), Scaled(rng.standard_normal((1, 5, 7)), zero))
    assert found.bias.value == 0
    assert found.weight.value > 0


@pytest.mark.parametrize("name", SHAPES)
def test_no_network_s_bits_depend_on_those_beside_it(name: str) -> None:
    dl_df, h = layers(name)
    together = of_outer_products(dl_df, h)
    for network in range(NETWORKS):
        own = slice(network, network + 1)
        alone = of_outer_products(*(Scaled(z.mantissa[own], z.exponent[own]) for z in (dl_df, h)))
        for of_stack, of_one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(of_stack.value[own], of_one.value)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_networks_without_weights_have_that_of_their_own_layers(activation: str) -> None:
    config = parsed(
        "name: a\ntrials: 4\nengine: conditional\ninputs: {count: 5}\ninit: {variance: 1e-90}\n"
        f"network: {{depth: 3, width: 40, input_dim: 30, activation: {activation}}}\n"
        "record: {batch_gradient: true}\n"
    )
    (network_pass,) = plan_passes(config)
    draws, trials = network_pass.draws, range(4)
    x = sample_inputs(0, draws, trials)
    made = conditional.make_layers(network_pass.layers, DrawnNormals(0, draws, trials, 1))
    traces = list[conditional.Trace]()
    forward = list(conditional.iter_forward(made, x, traces))
    h = layers_by_name(forward)
    end = forward[-1].end
    assert end is not None
    backward = list(
        conditional.iter_backward(
            made, least_squares(end, 0.0).gradient, traces, batch_gradient=True
        )
    )
    dl_df = layers_by_name(backward)
    taken = [stack.batch_gradient for stack in backward if stack.batch_gradient][::-1]
    assert len(taken) == 4
    for k, batch in enumerate(taken):
        own = dl_df["grad_preactivation", k], h["activation", k]
        expected = of_outer_products(*own)
        for found, wanted in zip(batch, expected, strict=True):
            shift = 2 * (found.exponent - wanted.exponent)
            np.testing.assert_allclose(np.ldexp(found.value, shift), wanted.value, 1e-12, 0)


def test_measures_are_in_the_order_of_what_is_taken() -> None:
    assert [quantity for quantity, _ in BATCH_MEASURES] == ["grad_weight_batch", "grad_bias_batch"]
    assert batch_gradients.BatchGradient._fields == ("weight", "bias")
