import math

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.errors import ConfigError
from heinit_sim.theory.infinite_width.gains import CONVENTIONS, PUBLISHED, Gain, all_gains, gains_of
from heinit_sim.theory.infinite_width.quadrature import layer_moments


def gain(name: str, convention: str) -> Gain:
    (found,) = (g for g in gains_of(name).gains if g.convention == convention)
    return found


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_moments_are_those_of_the_quadrature(name: str) -> None:
    slopes = {"leaky_relu": 0.01, "prelu": 0.25}
    options = {"negative_slope": slopes[name]} if name in slopes else {}
    mean, second, _, slope = layer_moments(make_activation(name, options), np.array(1.0))
    found = gains_of(name)
    moments = (found.mean, found.second_moment, found.slope)
    np.testing.assert_allclose(moments, (mean, second, slope), rtol=1e-14, atol=1e-16)


def test_rectifiers_have_the_gains_of_their_closed_forms() -> None:
    np.testing.assert_allclose(
        gain("relu", "second_moment").value, math.sqrt(2), rtol=1e-12, atol=0
    )
    std = 1 / math.sqrt(1 / 2 - 1 / (2 * math.pi))
    np.testing.assert_allclose(gain("relu", "std").value, std, rtol=1e-12, atol=0)
    leaky = math.sqrt(2 / (1 + 0.01**2))
    np.testing.assert_allclose(gain("leaky_relu", "second_moment").value, leaky, rtol=1e-12, atol=0)
    np.testing.assert_allclose(gain("leaky_relu", "pytorch").value, leaky, rtol=1e-12, atol=0)


def test_gains_of_centred_weights_are_the_exact_ones_not_those_sampled() -> None:
    exact = {"relu": 1.7129, "gelu": 1.7009, "silu": 1.7872}
    assert {name: round(gain(name, "std").value, 4) for name in PUBLISHED} == exact
    assert PUBLISHED == {"relu": 1.7140, "gelu": 1.7015, "silu": 1.7881}


def test_gains_of_pytorch_are_those_it_documents() -> None:
    # https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain
    documented = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
        "selu": 3 / 4,
    }
    found = {
        of.activation: g.value for of in all_gains() for g in of.gains if g.convention == "pytorch"
    }
    assert found == documented


@pytest.mark.parametrize(
    ("name", "chi1"), [("selu", 1.072), ("gelu", 1.072), ("silu", 1.067), ("tanh", 1.178)]
)
def test_gains_that_keep_the_forward_pass_do_not_keep_gradients(name: str, chi1: float) -> None:
    found = gain(name, "second_moment")
    assert round(found.chi1, 3) == chi1
    # A repelling fixed point multiplies the rounding of 1e-16 by at most 1.1^50 = 117.
    assert abs(found.forward_over_layers - 1) < 1e-12
    np.testing.assert_allclose(found.backward_over_layers, found.chi1**50, rtol=1e-10, atol=0)


def test_selu_with_its_gain_of_one_makes_gradients_32_times_as_large_over_50_layers() -> None:
    assert round(gain("selu", "second_moment").backward_over_layers) == 32


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "linear"])
def test_homogeneous_activations_change_by_the_same_factor_in_every_layer(name: str) -> None:
    assert gains_of(name).homogeneous
    for found in gains_of(name).gains:
        np.testing.assert_allclose(found.forward, found.chi1, rtol=1e-12, atol=0)
        for over in (found.forward_over_layers, found.backward_over_layers):
            np.testing.assert_allclose(over, found.chi1**50, rtol=1e-10, atol=0)


def test_tanh_with_the_gain_of_pytorch_follows_its_length_map() -> None:
    z = np.arange(-10, 10, 0.001) + 0.0005
    weights = np.exp(-(z**2) / 2) * 0.001 / math.sqrt(2 * math.pi)
    q, lengths, chi1 = 1.0, [], []
    for _ in range(50):
        chi1.append(25 / 9 * float(weights @ (1 - np.tanh(math.sqrt(q) * z) ** 2) ** 2))
        q = 25 / 9 * float(weights @ np.tanh(math.sqrt(q) * z) ** 2)
        lengths.append(q)
    gradient = math.prod(chi1)
    found = gain("tanh", "pytorch")
    # of the first layer, at q = 1; the last one is 7 % off
    np.testing.assert_allclose(found.chi1, chi1[0], rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.forward, lengths[0], rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.forward_over_layers, q, rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.backward_over_layers, gradient, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("name", "slope", "word"),
    [
        ("relu", 1.0, "neutral"),
        ("linear", 1.0, "neutral"),
        ("tanh", None, "attracts"),
        ("selu", None, "attracts"),
        ("gelu", None, "repels"),
        ("silu", 1.173, "repels"),
        ("mish", None, "repels"),
    ],
)
def test_a_variance_of_one_attracts_or_repels_by_the_slope_of_the_length_map(
    name: str, slope: float | None, word: str
) -> None:
    found = gain(name, "second_moment")
    z = np.arange(-10, 10, 0.001) + 0.0005
    weights = np.exp(-(z**2) / 2) * 0.001 / math.sqrt(2 * math.pi)
    activation = make_activation(name, {})

    def after(q: float, layers: int) -> float:
        for _ in range(layers):
            a = activation.value(math.sqrt(q) * z, np.empty_like(z))
            q = found.value**2 * float(weights @ a**2)
        return q

    quotient = (after(1.001, 1) - after(0.999, 1)) / 0.002
    np.testing.assert_allclose(found.length_slope, quotient, rtol=1e-6, atol=0)
    assert slope is None or round(found.length_slope, 3) == slope
    assert found.fixed_point == word
    # the kink of ReLU is 1e-7 off on the grid, each time
    ends = after(0.9, 50), after(1.1, 50)
    np.testing.assert_allclose(
        (found.forward_from_less, found.forward_from_more), ends, rtol=1e-4, atol=0
    )
    assert (ends[1] > 1.2) == (word == "repels")


def test_where_one_is_no_fixed_point_it_neither_attracts_nor_repels() -> None:
    assert gain("tanh", "pytorch").fixed_point == gain("silu", "std").fixed_point == ""


def test_every_activation_has_both_computed_gains_and_a_known_convention() -> None:
    found = all_gains()
    assert {of.activation for of in found} == set(ACTIVATIONS)
    for of in found:
        assert [g.convention for g in of.gains][:2] == ["second_moment", "std"]
        assert {g.convention for g in of.gains} <= set(CONVENTIONS)


@pytest.mark.parametrize(("name", "hint"), [("rellu", "did you mean 'relu'?"), ("GELU", "'gelu'?")])
def test_a_misspelt_activation_is_told_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="unknown activation") as caught:
        gains_of(name)
    assert str(caught.value).endswith(hint)
    assert "\n" not in str(caught.value)


def test_an_activation_like_none_is_told_all() -> None:
    with pytest.raises(ConfigError, match=r"must be one of relu, .*, tanh, "):
        gains_of("xyz")
