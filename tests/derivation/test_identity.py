"""Every identity holds; with an error planted, exactly its row does not."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config.load import parse_config
from heinit_sim.derivation import gradients
from heinit_sim.derivation import identity as derivation_identity
from heinit_sim.derivation.identity import Identity, Row, Sides, judge, largest_z
from heinit_sim.derivation.probes import Networks, sample_networks, slope_of
from heinit_sim.derivation.verify import (
    IDENTITIES,
    Verification,
    probe_condition,
    verify,
)
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.sweep_config import Condition
from tests.rows import slow_but

Array = np.ndarray
BY_NAME = {identity.name: identity for identity in IDENTITIES}
LEAKY = "{name: leaky_relu, negative_slope: 0.2}"


def condition(width: object = 100, activation: str = "relu", depth: int = 5) -> Condition:
    text = f"""
name: probe
network: {{depth: {depth}, width: {width}, input_dim: 70, output_dim: 3, activation: {activation}}}
init: {{variance: 0.03}}
"""
    return parse_config(text).conditions[0]


# The step through the middle layer is 60 → 100 → 140: another fan is another number.
RECTANGULAR = condition([90, 60, 100, 140, 80])


@pytest.fixture(scope="module")
def honest() -> Verification:
    return verify(RECTANGULAR, 0)


@pytest.mark.parametrize("activation", slow_but(["relu", LEAKY, "linear"], "relu"))
def test_every_identity_holds_for_many_seeds_and_error_bars_are_neither_too_wide_nor_too_narrow(
    activation: str,
) -> None:
    # Seven seeds at level 1e-3 for each of three activations: a correct program fails with
    # probability 2 % at most, once, when the seeds are chosen; they stay.
    of = condition([90, 60, 100, 140, 80], activation)
    found = [verify(of, seed, n_networks=100) for seed in range(7)]
    assert [row.name for one in found for row in one.rows if not row.held] == []
    z = np.array([row.z for one in found for row in one.rows if row.z is not None])
    # For a linear activation two sides are equal number by number, and z is 0.
    z = z[z != 0.0]
    assert len(z) >= 7 * 18
    # Mean square of n normal numbers: 1, standard error √(2/n); of Student's t with ν = 99 a
    # little more: ν/(ν−2) = 1.02.
    assert abs(np.mean(z**2) - 1.02) < 4 * np.sqrt(2 / len(z))


def test_the_steps_through_a_layer_hold_for_narrow_and_shallow_networks_too() -> None:
    steps = [identity for identity in IDENTITIES if identity.group.endswith("pass")]
    assert len(steps) == 9
    for width, depth in ((1, 1), (8, 3)):
        of = condition(width, "relu", depth)
        # Products of three χ² of one degree of freedom are skewed by 24, their mean by 24/√30000.
        assert all(row.held for row in verify(of, 1, 30_000, identities=steps).rows)


# What goes wrong, from the ingredients: planted where the samples are made.


def noisy(constants: Array) -> Array:
    return constants * np.linspace(0.9, 1.2, constants.shape[1])


def last_5_percent_wider(x: tuple[Array, ...]) -> tuple[Array, ...]:
    return (*x[:-1], x[-1] * 1.05)


def dependent(xy: tuple[Array, ...]) -> tuple[Array, ...]:
    x, _, other_x, other_y = xy
    return x, x, other_x, other_y


def wrong_mean(ingredients: tuple[Array, Array]) -> tuple[Array, Array]:
    x, mean = ingredients
    return x, 1.001 * mean


def dependent_factors(factors: tuple[Array, Array]) -> tuple[Array, Array]:
    a, b = factors
    return a, b + 0.1 * a


def shifted_weights(networks: Networks) -> Networks:
    return replace(networks, weights=[weights + 0.1 for weights in networks.weights])


def variance_5_percent_off(networks: Networks) -> Networks:
    return replace(networks, weights=[np.sqrt(1.05) * weights for weights in networks.weights])


def another_activation(networks: Networks) -> Networks:
    return replace(networks, activation=make_activation("leaky_relu", {"negative_slope": 0.3}))


def no_mask(networks: Networks) -> Networks:
    activation = replace(networks.activation, derivative=np.ones_like)
    return replace(networks, activation=activation)


def other_fan(networks: Networks) -> Networks:
    *fans, last = networks.variances
    fan_out, fan_in = networks.weights[-1].shape[1:]
    return replace(networks, variances=(*fans, last * fan_in / fan_out))


def other_fan_backward(networks: Networks) -> Networks:
    *fans, last = networks.variances
    fan_out, fan_in = networks.weights[-1].shape[1:]
    return replace(networks, variances=(*fans, last * fan_out / fan_in))


def first_layer_twice_as_wide(networks: Networks) -> Networks:
    first, *rest = networks.variances
    return replace(networks, variances=(2 * first, *rest))


PLANTED: list[tuple[str, Callable[[Any], Any]]] = [
    ("rule 1", noisy),
    ("rule 2", last_5_percent_wider),
    ("rule 3", last_5_percent_wider),
    ("rule 4", dependent),
    ("variance and moments", wrong_mean),
    ("variance of a product", dependent_factors),
    ("variance of a product by second moment", dependent_factors),
    ("mean of f′", shifted_weights),
    ("variance of f′", variance_5_percent_off),
    ("variance of f′", shifted_weights),
    ("activation", another_activation),
    ("forward step", variance_5_percent_off),
    ("forward step", another_activation),
    ("He forward", other_fan),
    ("He forward", variance_5_percent_off),
    ("through the weights", variance_5_percent_off),
    ("through the activation", no_mask),
    ("backward step", variance_5_percent_off),
    ("backward step", no_mask),
    ("He backward", other_fan_backward),
    ("He backward", variance_5_percent_off),
    ("Xavier forward", other_fan),
    ("Xavier backward", other_fan_backward),
    ("compromise forward", variance_5_percent_off),
    ("compromise backward", variance_5_percent_off),
    ("compromise both", variance_5_percent_off),
    ("bias gradients", no_mask),
    ("weight gradients", no_mask),
    ("weight gradients by layer", no_mask),
    ("weight gradients by layer", first_layer_twice_as_wide),
]


def planted(identity: Identity[Any], error: Callable[[Any], Any]) -> Identity[Any]:
    return replace(identity, sample=lambda *where: error(identity.sample(*where)))


@pytest.mark.parametrize(("name", "error"), PLANTED)
def test_a_planted_error_turns_its_row_red(
    name: str, error: Callable[[Any], Any], honest: Verification
) -> None:
    (row,) = verify(RECTANGULAR, 0, identities=[planted(BY_NAME[name], error)]).rows
    if row.z is not None:
        assert abs(row.z) > honest.bound  # that of the whole page, which is wider
    assert not row.held


def test_every_identity_has_an_error_planted_in_it() -> None:
    assert {name for name, _ in PLANTED} == set(BY_NAME)


@pytest.mark.slow
def test_the_row_of_a_planted_error_is_the_only_red_one(honest: Verification) -> None:
    name = "through the activation"
    errors = [planted(i, no_mask) if i.name == name else i for i in IDENTITIES]
    found = verify(RECTANGULAR, 0, identities=errors)
    assert [row.name for row in found.rows if not row.held] == [name]
    # Each has draws of its own: the others do not change by a bit.
    others = [row for row in honest.rows if row.name != name]
    assert [row for row in found.rows if row.name != name] == others


def test_the_bound_is_that_of_the_row_of_fewest_networks() -> None:
    identity = BY_NAME["through the activation"]
    costly, cheap = replace(identity, cost=lambda _: 10**9), replace(identity, cost=lambda _: 10**4)
    found = verify(condition(8, depth=1), 0, identities=[costly, cheap])
    assert [row.networks for row in found.rows] == [200, 1500]
    assert found.bound == largest_z(2, 200) > largest_z(2, 1500)


@pytest.mark.parametrize("name", ["bias gradients", "weight gradients"])
def test_transposed_weights_turn_the_exact_rows_red(name: str) -> None:
    identity = BY_NAME[name]

    def transposed(networks: Networks) -> Sides:
        other = replace(networks, weights=[w.swapaxes(1, 2) for w in networks.weights])
        right = identity.sides(networks)
        return Sides(identity.sides(other).left, right.right, right.rounding)

    square = replace(condition(), widths=(10,) * 7)
    assert verify(square, 0, identities=[identity]).rows[0].held
    assert not verify(square, 0, identities=[replace(identity, sides=transposed)]).rows[0].held


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_derivatives_without_a_backward_pass_are_difference_quotients(alpha: float) -> None:
    rng = np.random.default_rng(3)
    of = condition([4, 3], f"{{name: leaky_relu, negative_slope: {alpha}}}", depth=2)
    networks = sample_networks(rng, 2, (5, 4, 3, 2), (0.3, 0.5, 0.7), of)

    def loss(n: int, k: int, moved: Array) -> float:
        """The loss of network n once f_k has moved, by plain loops."""
        h = [float(v) for v in networks.x[n]]
        for layer, (omega, v) in enumerate(zip(networks.weights, networks.variances, strict=True)):
            f = [math.sqrt(v) * sum(a * b for a, b in zip(row, h, strict=True)) for row in omega[n]]
            if layer == k:
                f = [a + float(b) for a, b in zip(f, moved, strict=True)]
            h = [max(a, alpha * a) for a in f]
        return float(sum((a - 1.0) ** 2 for a in f))

    step = 2.0**-17
    for k, width in enumerate((4, 3, 2)):
        directions = rng.standard_normal((2, width, 3))
        found = gradients.derivatives(networks, k, directions)
        for n in range(2):
            for m in range(3):
                up, down = (loss(n, k, sign * step * directions[n, :, m]) for sign in (1, -1))
                # ℓ is piecewise quadratic: the quotient is exact but for rounding.
                assert abs((up - down) / (2 * step) - found[n, m]) < 1e-14 * (1 + up) / step


def student_tail(t: float, nu: int) -> float:
    """P(|T| > t) by the midpoint rule on Student's density, over u = t/x."""
    log_norm = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - math.log(nu * math.pi) / 2
    u = (np.arange(200_000) + 0.5) / 200_000
    density = np.exp(log_norm - (nu + 1) / 2 * np.log1p((t / u) ** 2 / nu)) * t / u**2
    return 2 * float(density.mean())


@pytest.mark.parametrize(("n_rows", "n_networks"), [(1, 100), (20, 100), (20, 1000), (30, 10**6)])
def test_the_bound_of_z_leaves_the_level_to_all_rows_together(n_rows: int, n_networks: int) -> None:
    tail = student_tail(largest_z(n_rows, n_networks), n_networks - 1)
    # The next term of the expansion is z⁷/(128 ν³) at most: 2e-4 of z at ν = 99, and the density
    # falls by z² times that, 0.4 %.
    np.testing.assert_allclose(n_rows * tail, derivation_identity.LEVEL, rtol=0.01, atol=0)


def judged(sides: Sides) -> Row:
    return judge(BY_NAME["rule 1"], [sides], 4.0, {})


def test_a_row_shows_means_the_standard_error_of_their_difference_and_z() -> None:
    rng = np.random.default_rng(5)
    left, right = rng.standard_normal((2, 50)) + np.array([[3.0], [2.9]])
    for scale in (1.0, 1e-200, 1e200):
        row = judged(Sides(scale * left, scale * right))
        differences = [float(a) - float(b) for a, b in zip(left, right, strict=True)]
        mean = sum(differences) / 50
        error = math.sqrt(sum((d - mean) ** 2 for d in differences) / 49 / 50)
        found = (row.left_value, row.right_value, row.error)
        expected = (scale * sum(left) / 50, scale * sum(right) / 50, scale * error)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=0)
        assert row.z is not None
        np.testing.assert_allclose(row.z, mean / error, rtol=1e-10, atol=0)
        assert row.held
        assert row.networks == 50


def test_a_difference_beyond_the_bound_or_beyond_rounding_is_not_held() -> None:
    left = np.linspace(0.0, 1.0, 100)
    error = float(np.std(left, ddof=1)) / 10
    for shift, held in ((3.9, True), (4.1, False), (-4.1, False)):
        right = np.full(100, 0.5 + shift * error)
        assert judged(Sides(left, right)).held == held
    one_off = np.where(np.arange(100) == 7, 1e-9, 0.0)
    for allowed, held in ((2e-9, True), (0.5e-9, False)):
        row = judged(Sides(left, left + one_off, np.full(100, allowed)))
        assert (row.held, row.z, row.error) == (held, None, allowed)


def test_equal_sides_hold_without_an_error_bar() -> None:
    for value in (0.0, 2.5):
        row = judged(Sides(np.full(100, value), np.full(100, value)))
        assert (row.z, row.held) == (0.0, True)


def test_a_large_network_is_cut_and_its_middle_layers_stay_what_they_are() -> None:
    wide = condition(1000, depth=50)
    probe = probe_condition(wide)
    assert probe.widths == (70, 300, 300, 300, 300, 300, 3)
    assert probe.weight_variances == (0.03,) * 6
    assert probe_condition(RECTANGULAR) == RECTANGULAR


def test_variances_that_leave_float_range_are_refused() -> None:
    for variance in (1e-30, 1e30):
        with pytest.raises(ConfigError, match=r"^init: σ²_Ω = 1e.30 is out of range, "):
            verify(replace(RECTANGULAR, weight_variances=(0.1, variance) + (0.1,) * 4), 0)


@pytest.mark.parametrize("variance", [2e-20, 5e17])
def test_variances_at_the_ends_of_the_range_are_verified(variance: float) -> None:
    of = replace(RECTANGULAR, weight_variances=(variance,) * 6)
    found = verify(of, 0, n_networks=100)
    assert all(row.held for row in found.rows)
    assert all(math.isfinite(row.left_value) and row.error > 0 for row in found.rows)


def test_an_activation_without_a_slope_below_zero_is_refused() -> None:
    tanh: Any = make_activation("relu", {})
    expected = "activation tanh: identities are derived for relu, linear, leaky_relu"
    with pytest.raises(ConfigError, match=f"^{expected}"):
        slope_of("tanh", replace(tanh, negative_slope=None))


def test_inputs_that_are_not_standard_normal_are_refused() -> None:
    expected = r"^inputs: identities are held for standard-normal ones only \(uniform\); "
    with pytest.raises(ConfigError, match=expected):
        verify(replace(RECTANGULAR, inputs=Inputs("uniform")), 0)
    normal = replace(RECTANGULAR, inputs=Inputs("normal"))
    assert verify(normal, 0, identities=IDENTITIES[:1]).rows[0].held


def test_names_are_unique_and_every_explanation_is_one_line() -> None:
    assert len(BY_NAME) == len(IDENTITIES) == 24
    for activation in ("relu", LEAKY, "linear"):
        for row in verify(condition(5, activation), 0, n_networks=100).rows:
            assert len(row.explanation) <= 75, row.explanation
            assert len(f"{row.left} = {row.right}") <= 40, row.left
            assert "{" not in row.left + row.right + row.explanation
            assert row.source


def test_networks_are_as_many_as_asked_for() -> None:
    sampled = {row.networks for row in verify(RECTANGULAR, 0, n_networks=123).rows if row.z}
    assert sampled == {123}
