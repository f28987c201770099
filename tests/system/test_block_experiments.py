"""The configs of the gallery that are about blocks show the numbers that they are there for."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.system.test_experiments import (
    ERRORS,
    GRAD,
    OF_BLOCKS,
    H,
    assert_drawn_within_its_figure,
    assert_networks_hold,
    mean_and_error,
    run,
)

pytestmark = pytest.mark.slow
X, WEIGHTS = np.polynomial.hermite_e.hermegauss(100)
PHI = np.array([0.5 + 0.5 * math.erf(x / math.sqrt(2)) for x in X])
DENSITY = np.exp(-(X**2) / 2) / math.sqrt(2 * math.pi)
# E[a²] and E[a'²] of GELU of a standard normal number.
GELU_SECOND, GELU_SLOPE = (
    float(WEIGHTS @ values**2 / WEIGHTS.sum()) for values in (X * PHI, PHI + X * DENSITY)
)


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_its_networks_hold_against_theory_and_its_expectations(name: str) -> None:
    assert_networks_hold(name)


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_it_is_drawn_within_its_figure(name: str) -> None:
    assert_drawn_within_its_figure(name)


def test_batch_norm_multiplies_the_gradient_by_pi_over_pi_minus_one_in_every_layer() -> None:
    plain, normalised = run("batch_norm_explodes").conditions
    assert np.abs(plain.theory[H]).max() < 1e-9
    assert_allclose(10 ** normalised.theory[H][1:], 0.5, rtol=1e-9, atol=0)
    mean, error = mean_and_error(10 ** normalised.networks[H][:, 1:])
    assert (np.abs(mean - 0.5) < ERRORS * error).all()
    # Far from both ends. That is the factor of infinite batches, to which theirs is near as 1/128.
    factor = math.pi / (math.pi - 1)
    theory = normalised.mean_field[GRAD]
    assert abs(10 ** ((theory[3] - theory[17]) / 14) / factor - 1) < 2 / 128
    grown = normalised.networks[GRAD][:, 3] - normalised.networks[GRAD][:, 17]
    mean, error = mean_and_error(grown / 14)
    assert abs(mean - math.log10(factor)) < ERRORS * error + 2 / 128 / math.log(10)
    # The twin: He's layers, which are level.
    assert mean > ERRORS * error + 2 / 128 / math.log(10)


def test_dropout_of_one_half_doubles_the_signal_of_he_layers() -> None:
    he, lecun = run("dropout_gain").conditions
    assert_allclose(he.theory[H], np.arange(11) * math.log10(2), rtol=1e-9, atol=1e-12)
    assert np.abs(lecun.theory[H]).max() < 1e-9
    for of, last in ((he, 1024.0), (lecun, 1.0)):
        mean, error = mean_and_error(10 ** of.networks[H][:, -1])
        assert abs(mean - last) < ERRORS * error
        assert abs(mean - 2 * last) > ERRORS * error  # the twin: one layer more


def test_blocks_of_scale_zero_hand_everything_on_and_of_one_multiply_by_one_and_a_half() -> None:
    zero, one, root = run("rezero").conditions
    for measure in (H, GRAD):
        through = zero.networks[measure][:, 1:]
        assert_allclose(through, through[:, :1] + 0 * through, rtol=1e-12, atol=1e-12)
    blocks = np.arange(101)
    for of, factor in ((zero, 1.0), (one, 1.5), (root, 1 + 1 / 200)):
        expected = blocks * math.log10(factor)
        assert_allclose(of.theory[H][1:], expected, rtol=1e-9, atol=1e-9)
        mean, error = mean_and_error(10 ** of.networks[H][:, [1, 6, 11]])
        assert (np.abs(mean - 10 ** expected[[0, 5, 10]]) < ERRORS * error).all()
    assert (np.abs(mean - 1.5 ** np.array([0, 5, 10])) > ERRORS * error)[1:].all()


def test_fixup_begins_with_identities_where_he_multiplies_by_three() -> None:
    he, fixup = run("fixup").conditions
    for measure in (H, GRAD):
        through = fixup.networks[measure][:, 1:]
        assert_allclose(through, through[:, :1] + 0 * through, rtol=1e-12, atol=1e-12)
    expected = math.log10(2) + np.arange(51) * math.log10(3)
    assert_allclose(he.theory[H][1:], expected, rtol=1e-9, atol=1e-9)
    mean, error = mean_and_error(10 ** he.networks[H][:, [2, 4]])
    assert (np.abs(mean - [6, 54]) < ERRORS * error).all()


def test_norm_behind_the_sum_holds_the_signal_and_multiplies_the_gradient_by_8() -> None:
    behind, before = run("post_norm").conditions
    factor = (1 + GELU_SLOPE) / (1 + GELU_SECOND)
    assert round(factor**100, 1) == 8.4
    assert np.abs(behind.theory[H]).max() < 1e-9
    # Of ∂ℓ/∂h_101 the last norm takes away what lies along h_101, so it is left out.
    grown = behind.mean_field[GRAD][1] - behind.mean_field[GRAD][100]
    assert abs(10**grown / factor**99 - 1) < 1e-6
    expected = np.log10(1 + GELU_SECOND * np.arange(101))
    assert_allclose(before.theory[H][1:], expected, rtol=1e-6, atol=1e-9)
    assert np.abs(behind.networks[H][:, 2:]).max() < 1e-12
    # The theory's factor of 20 blocks, of layers of finite width: in ln, a few times 20/width.
    through = behind.networks[GRAD][:, 81] - behind.networks[GRAD][:, 101]
    mean, error = mean_and_error(through)
    assert abs(mean - 20 * math.log10(factor)) < ERRORS * error + 3 * 20 / 400 / math.log(10)


def test_deepnorm_makes_a_hundred_blocks_level_both_ways() -> None:
    post, deep = run("deepnorm").conditions
    assert np.abs(deep.theory[H]).max() < 1e-9
    grown = [of.mean_field[GRAD][1] - of.mean_field[GRAD][101] for of in (post, deep)]
    assert abs(grown[0] - math.log10(8.4)) < 0.01
    assert abs(grown[1]) < 0.01
    mean, error = mean_and_error(deep.networks[GRAD][:, 1] - deep.networks[GRAD][:, 101])
    assert abs(mean - grown[1]) < ERRORS * error + 0.02
    mean, error = mean_and_error(post.networks[GRAD][:, 1] - post.networks[GRAD][:, 101])
    assert abs(mean) > ERRORS * error  # the twin: blocks without it


def test_siren_holds_its_fixed_point_and_the_usual_weights_are_chaos() -> None:
    siren, usual = run("siren").conditions
    x = 0.8
    for _ in range(200):
        x = 1 - math.exp(-2 * x)  # Var(ω f) = 2 E[h²], E[sin²] = (1 − e^(−2 Var))/2
    assert round(x, 4) == 0.7968
    assert abs(10 ** siren.theory[H][-1] - x / 2) < 1e-4
    mean, error = mean_and_error(10 ** siren.networks[H][:, 6:])
    assert (np.abs(mean - 10 ** siren.theory[H][6:]) < ERRORS * error).all()
    assert abs(mean[-1] - 0.5) > ERRORS * error[-1]  # the paper's value, of a uniform phase
    mean, error = mean_and_error(usual.networks[GRAD][:, 2] - usual.networks[GRAD][:, 9])
    assert abs(mean / 7 - math.log10(150)) < ERRORS * error / 7 + 5 / 256 / math.log(10)


def test_dcgan_s_convolutions_fade_and_batch_norm_holds_each_at_its_slope_s_share() -> None:
    plain, normalised = run("dcgan").conditions
    assert f"{10 ** plain.theory[H][-1]:.4f}" == "0.0003"
    mean, error = mean_and_error(10 ** plain.networks[H])
    assert (np.abs(mean - 10 ** plain.theory[H]) < ERRORS * error).all()
    # The pre-activations have variance 1, not a normal law: the share is that of wide layers.
    mean, error = mean_and_error(10 ** normalised.networks[H][:, 1:])
    assert (np.abs(mean - (1 + 0.2**2) / 2) < ERRORS * error + 0.01).all()


def test_a_depthwise_convolution_has_nine_inputs_and_no_more() -> None:
    he, forgotten = run("depthwise").conditions
    assert he.condition.layers[1][0].fans == (9, 9)  # type: ignore[union-attr]  # weights
    assert np.abs(he.theory[H]).max() < 1e-9
    lost = np.arange(11) * math.log10(32)
    assert_allclose(forgotten.theory[H], -lost, rtol=1e-9, atol=1e-9)
    assert_allclose(forgotten.networks[H], he.networks[H] - lost, rtol=1e-9, atol=1e-9)
    mean, error = mean_and_error(10 ** he.networks[H][:, 1:4])  # rare networks carry it later
    assert (np.abs(mean - 1) < ERRORS * error).all()


def test_norm_at_the_end_of_a_branch_adds_one_whatever_its_weights() -> None:
    end, _ = run("olmo2").conditions
    expected = 1 + 2 * np.arange(25)
    assert_allclose(10 ** end.theory[H][1:], expected, rtol=1e-9, atol=0)
    mean, error = mean_and_error(10 ** end.networks[H][:, 1:] / expected)
    # Exact of a branch that is independent of the stream: cosines of order 1/√width, beside error.
    assert (np.abs(mean - 1) < ERRORS * error + 0.05).all()
    assert expected[-1] == 49


def test_a_gated_branch_adds_the_second_moment_of_its_gate() -> None:
    whole, gated = run("llama").conditions
    silu_second = 0.35578
    expected = 1 + silu_second * np.arange(17)
    assert_allclose(10 ** gated.theory[H][1:], expected, rtol=1e-4, atol=0)
    mean, error = mean_and_error(10 ** gated.networks[H][:, 1:])
    assert (np.abs(mean - expected) < ERRORS * error).all()
    # Of attention there is no theory: empty, and the stream grows by more than the gate's share.
    assert np.isnan(whole.theory[H][2:]).all()
    assert (whole.networks[H][:, -1] > np.log10(expected[-1])).all()


def test_gpt2_s_factor_of_the_last_weights_keeps_the_stream() -> None:
    usual, usual_768, scaled, scaled_768 = (of.networks[H] for of in run("gpt2").conditions)
    # With the factor 1/√24 a branch adds 1/24 of what it did, of streams that are normalised.
    added, added_768 = (10 ** x[:, -1] - 10 ** x[:, 1] for x in (usual, usual_768))
    for less, whole in ((scaled, added), (scaled_768, added_768)):
        ratio, error = mean_and_error((10 ** less[:, -1] - 10 ** less[:, 1]) / whole)
        assert abs(ratio * 24 - 1) < ERRORS * error * 24 + 0.25
    # 1/768 is 3.26 times 0.02²: more of everything.
    assert (added_768 > 3 * added).all()


def test_a_residual_network_of_last_gain_zero_begins_with_identities() -> None:
    one, zero = run("resnet").conditions
    for first, last in ((1, 4), (5, 7), (8, 10)):  # the blocks of each stage
        stage = zero.networks[H][:, first : last + 1]
        assert_allclose(stage, stage[:, :1] + 0 * stage, rtol=1e-9, atol=1e-9)
        assert (np.diff(one.networks[H][:, first : last + 1]) > 0.1).all()
    # Behind each strided layer, batch norm and ReLU: one half.
    mean, error = mean_and_error(10 ** one.networks[H][:, [1, 5, 8]])
    assert (np.abs(mean - 0.5) < ERRORS * error + 0.01).all()
