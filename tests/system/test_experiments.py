"""The configs of the gallery show the numbers they are there for, within errors over networks.

Published numbers are of one network: what one may differ by and half of their last digit are then
allowed beside our error. Runs are shortened, never otherwise changed.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim.activations import make_activation
from heinit_sim.checks.expectations import check_expectations
from heinit_sim.checks.fates import fates
from heinit_sim.checks.theory_agreement import check
from heinit_sim.checks.verdict import trend
from heinit_sim.checks.width_slopes import width_slopes
from heinit_sim.cli.config import gallery
from heinit_sim.config import Override, load_config
from heinit_sim.experiment.number_formats import PARTS
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.records import RANGED
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.steps import Add
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures import draw
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.finite_width.log_norms import log_law
from heinit_sim.theory.infinite_width.edge_of_chaos import length_slopes
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.phase import phase
from heinit_sim.theory.infinite_width.quadrature import layer_moments
from tests.rows import slow_but

Array = np.ndarray
CONFIGS = Path(__file__).parents[2] / "configs"
# Standard errors that a mean may be off: at most some 200 numbers are looked at here, so one false
# alarm in 80 runs of all tests, if numbers were normal.
ERRORS = 4.0
H: Measure = ("activation", "second_moment")
VAR_H: Measure = ("activation", "variance")
GRAD: Measure = ("grad_activation", "second_moment")
# Networks that are enough, of those that the config asks for.
TRIALS = {
    "figure_7_4": 20,
    "figure_7_4_published": 20,
    "hanin_rolnick": 40,
    "he_2015_std": 1,
    "mup": 16,
    "width_sweep": 5,
    "width_to_a_million": 8,
    "depth_sweep": 15,
    "selu_gain": 10,
    "activation_gains": 15,
    "torch_default": 20,
    "correlation_map": 5,
    "born_dead": 5000,
    "batch_gradient": 40,
    "float16_gradients": 60,
    "poole_2016": 3,
    "cnn_he": 50,
    "he_2015_depth": 25,
    "residual_depth": 10,
    "residual_scale": 12,
    "pre_norm": 25,
    "delta_orthogonal": 45,
    "dynamical_isometry": 6,
    "he_spread": 100,
    "probe": 200,
    "cross_entropy": 8,
    "lsuv_tanh": 35,
    "glorot_2010": 6,
    "xavier_linear": 50,
    "cs231n_tanh": 6,
    "unnormalised_data": 15,
    "fan_in_fan_out": 150,
    "batch_norm_explodes": 10,
    "dropout_gain": 50,
    "rezero": 20,
    "fixup": 20,
    "post_norm": 5,
    "deepnorm": 5,
    "siren": 10,
    "dcgan": 5,
    "depthwise": 50,
    "olmo2": 5,
    "llama": 5,
    "gpt2": 2,
    "resnet": 5,
}
# Inputs that are enough of a hundred, where the config is about networks.
INPUTS = {"activation_gains": 10, "selu_gain": 10, "torch_default": 10}
# Widths that are enough, where larger ones take most of the time; of fewer, more networks.
WIDTHS = {"mup": "128,256,512,1024"}

# Configs whose simulation takes a second.
QUICK = ("figure_7_4",)
# Configs that are held in test_block_experiments, so that one process runs each once.
OF_BLOCKS = (
    "batch_norm_explodes",
    "dropout_gain",
    "rezero",
    "fixup",
    "post_norm",
    "deepnorm",
    "siren",
    "dcgan",
    "depthwise",
    "olmo2",
    "llama",
    "gpt2",
    "resnet",
)


def config(name: str) -> SweepConfig:
    shorter: list[tuple[str, Mapping[str, object]]] = [
        ("trials", TRIALS),
        ("inputs.count", INPUTS),
        ("network.width", WIDTHS),
    ]
    given = [Override(key, key, str(of[name])) for key, of in shorter if name in of]
    return load_config(CONFIGS / f"{name}.yaml", given)


@cache
def run(name: str) -> SweepResult:
    return run_sweep(config(name))


def textbook(of: ConditionResult) -> Array:
    """Mean field of ∂ℓ/∂h_k, (K+1,), with ∂ℓ/∂f_K taken for independent of the network."""
    return mean_field(of.condition, independent=True)[GRAD]


def stds(of: ConditionResult) -> Array:
    """Standard deviation of h_k, (n_networks, K+1)."""
    return np.asarray(10 ** (of.networks[VAR_H] / 2))


def mean_and_error(values: Array) -> tuple[Array, Array]:
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values))


def assert_one_network_could_show(values: Array, published: list[float], digits: int) -> None:
    """Published numbers of one network against ours of many, layer by layer."""
    mean, error = mean_and_error(values)
    of_one = values.std(axis=0, ddof=1)
    allowed = ERRORS * np.hypot(of_one, error) + 0.5 * 10.0**-digits
    assert (np.abs(mean - published) <= allowed).all(), (mean, published)


def test_every_config_of_the_gallery_is_held_here() -> None:
    here = Path(__file__).read_text("utf-8")
    assert all(f'"{name}"' in here for name in gallery())


HERE = [name for name in gallery() if name not in OF_BLOCKS]


def assert_networks_hold(name: str) -> None:
    result = run(name)
    findings = [*check(result), *check_expectations(result)]
    assert [finding for finding in findings if not finding.held] == []
    # A config says what it must show; those of Figure 7.4 are held word by word below.
    assert check_expectations(result) or name.startswith("figure_7_4")


def assert_drawn_within_its_figure(name: str) -> None:
    figure = draw(run(name))
    figure.draw_without_rendering()
    drawn, inches = figure.get_tightbbox(), figure.get_size_inches()
    assert np.less_equal(0, drawn.min).all()
    assert np.less_equal(drawn.max, inches).all()
    assert all(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("name", slow_but(HERE, *QUICK))
def test_its_networks_hold_against_theory_and_its_expectations(name: str) -> None:
    assert_networks_hold(name)


@pytest.mark.parametrize("name", slow_but(HERE, *QUICK))
def test_it_is_drawn_within_its_figure(name: str) -> None:
    assert_drawn_within_its_figure(name)


def test_figure_7_4_is_level_at_the_he_variance_alone() -> None:
    words = [trend(of, "forward").word for of in run("figure_7_4").conditions]
    assert words == ["vanishing", "vanishing", "stable", "exploding", "exploding"]


@pytest.mark.slow
def test_published_figure_has_half_the_slope() -> None:
    # Published, in decades per layer. They differ from half of theory's by up to 0.031 themselves,
    # at 0.001; ours by the drift of the median, 5/2D in ln, half of which is 0.005 decades.
    published = [-0.620, -0.138, -0.010, 0.355, 0.832]
    result = run("figure_7_4_published")
    assert result.config.figure.quantity == "std"
    found = [trend(of, "forward").decades_per_layer / 2 for of in result.conditions]
    assert np.abs(np.array(found) - published).max() < 0.04


@pytest.mark.slow
def test_a_probe_keeps_the_textbooks_gradient_and_a_square_brings_11_7_times_as_much() -> None:
    probe, square = run("probe").conditions
    theory = 10 ** np.array([probe.theory[GRAD], square.theory[GRAD]])
    assert_allclose(theory[0], 0.02, rtol=1e-12, atol=0)
    assert theory[1, [50, 0]].round(4).tolist() == [0.1632, 1.8715]
    assert round(float(theory[1, 0] / 0.16), 1) == 11.7  # of the textbook's 0.16
    mean, error = mean_and_error(10 ** probe.networks[GRAD])
    assert (np.abs(mean - 0.02) < ERRORS * error).all()
    # A gradient of a square is carried by networks too rare for a mean of 200: by the last layer.
    mean, error = mean_and_error(10 ** square.networks[GRAD][:, 50])
    assert abs(mean - 0.1632) < ERRORS * error
    assert mean > 0.02 + ERRORS * error


def test_the_first_cross_entropy_of_a_thousand_classes() -> None:
    expected = 6.9078, 7.4069, 16.942
    for outcome, loss in zip(run("cross_entropy").conditions, expected, strict=True):
        assert abs(10 ** outcome.theory_outputs["log10_loss"][0] - loss) < 1e-3
        mean, error = mean_and_error(10 ** outcome.outputs["log10_loss"][:, 0])
        assert abs(mean - loss) < ERRORS * error + 0.01  # what 500 units are off infinitely many
        assert math.isclose(outcome.theory[GRAD][0], outcome.theory[GRAD][-1], abs_tol=0.2)


@pytest.mark.slow
def test_he_spread_shows_a_typical_network_below_the_mean() -> None:
    (of,) = run("he_spread").conditions
    mean, variance = log_law(of.condition, 0.0)
    ln = of.networks[H][:, -1] * math.log(10)
    assert abs(ln.mean() - mean[-1]) < ERRORS * math.sqrt(variance[-1] / len(ln))
    assert abs(math.exp(mean[-1]) - 0.28) < 0.005


@pytest.mark.slow
def test_torch_default_loses_39_decades() -> None:
    default, he, _ = (of.networks[H] for of in run("torch_default").conditions)
    lost = default[:, -1] - he[:, -1]  # of the same uniform draws: exactly a factor of 1/6 a layer
    assert_allclose(lost, 50 * math.log10(1 / 6), rtol=1e-12, atol=0)
    assert round(float(lost[0]), 1) == -38.9


@pytest.mark.slow
def test_xavier_is_the_compromise_of_two_errors() -> None:
    by_fan_in, by_fan_out, xavier = run("xavier_linear").conditions
    assert np.abs(by_fan_in.theory[H]).max() < 1e-12
    widths = np.array(by_fan_in.condition.widths, float)
    into, out = widths[:-1], widths[1:]
    for of, factor in ((by_fan_out, into / out), (xavier, 2 * into / (into + out))):
        forward = np.cumsum(np.log10(factor))[:-1]
        assert_allclose(of.theory[H][1:], forward, rtol=1e-9, atol=1e-12)
    # What a layer does to the gradient, taken as independent of the activations.
    for of, factor in (
        (by_fan_in, out / into),
        (by_fan_out, np.ones(13)),
        (xavier, 2 * out / (into + out)),
    ):
        step = of.mean_field[GRAD][:-1] - of.mean_field[GRAD][1:]
        assert_allclose(step, np.log10(factor)[:-1], rtol=1e-9, atol=1e-12)
    assert np.abs((2 * into / (into + out))[:-1] - 8 / 7).max() < 0.01  # widths are whole numbers
    assert np.abs((2 * out / (into + out))[:-1] - 6 / 7).max() < 0.01
    for of in (by_fan_in, by_fan_out, xavier):
        mean, error = mean_and_error(10 ** of.networks[H])
        assert (np.abs(mean - 10 ** of.theory[H]) < ERRORS * error).all()


@pytest.mark.slow
def test_fan_in_and_fan_out_err_by_a_factor_of_four_and_no_more() -> None:
    by_fan_in, by_fan_out, by_root, by_mean = run("fan_in_fan_out").conditions
    assert np.abs(by_fan_in.theory[H]).max() < 1e-12
    assert_allclose(by_fan_out.theory[H][1:], np.log10([1 / 4, 1] * 6), rtol=1e-12, atol=1e-12)
    assert_allclose(by_root.theory[H][1:], np.log10([1 / 2, 1] * 6), rtol=1e-12, atol=1e-12)
    pair = math.log10(2 / 125 * 200 / 2 * 2 / 125 * 50 / 2)  # twice 2/fan_avg: both passes lose it
    assert abs(by_mean.theory[H][12] - 6 * pair) < 1e-9
    for of, forward, backward in (
        (by_fan_in, 0.0, 0.0),
        (by_fan_out, 0.0, 0.0),
        (by_mean, pair / 2, pair / 2),
    ):
        assert abs((of.theory[H][12] - of.theory[H][2]) / 10 - forward) < 1e-9
        assert abs((of.mean_field[GRAD][1] - of.mean_field[GRAD][11]) / 10 - backward) < 1e-9


@pytest.mark.slow
def test_glorot_and_bengio_s_tanh_networks_have_their_standard_deviations() -> None:
    standard, normalised = run("glorot_2010").conditions
    assert_one_network_could_show(stds(standard)[:, 1:], [0.460, 0.250, 0.141, 0.081, 0.047], 3)
    assert_one_network_could_show(stds(normalised)[:, 1:], [0.628, 0.486, 0.408, 0.358, 0.322], 3)
    # Figure 7: gradients shrink towards the input under the one, and hardly under the other.
    shrink = [
        10 ** ((of.networks[GRAD][:, 1] - of.networks[GRAD][:, 5]).mean() / 2)
        for of in (standard, normalised)
    ]
    assert shrink[0] < 0.12
    assert shrink[1] > 0.5
    assert all(counts.counts.sum() > 0 for counts in standard.histograms.values())


@pytest.mark.slow
def test_a_standard_deviation_of_1_100_shrinks_the_gradient_17000_fold() -> None:
    he, hundredth = run("he_2015_std").conditions
    std = np.sqrt(he.condition.weight_variances)
    assert_array_equal(
        np.round(std[:9], 3), [0.059, 0.042, 0.042, 0.029, 0.029, 0.021, 0.021, 0.021, 0.021]
    )
    # From conv10 back to conv2, with the same draws: the product of nine ratios.
    along, shrunk = (of.networks[GRAD][:, 9] - of.networks[GRAD][:, 0] for of in (he, hundredth))
    ratio = 10 ** ((shrunk - along) / 2)
    assert_allclose(ratio, np.prod(std[:9] / 0.01), rtol=1e-9, atol=0)
    assert round(float(ratio[0]) / 1e4, 1) == 1.7


@pytest.mark.slow
def test_cs231n_s_ten_tanh_layers_collapse_hold_or_saturate() -> None:
    small, xavier, large = run("cs231n_tanh").conditions
    assert_one_network_could_show(stds(small)[:, 1:5], [0.2135, 0.0476, 0.0107, 0.0024], 4)
    published = [0.6279, 0.4863, 0.4082, 0.3576, 0.3216]
    assert_one_network_could_show(stds(xavier)[:, 1:6], published, 4)
    assert_one_network_could_show(stds(xavier)[:, 10:], [0.2285], 4)
    assert (stds(large)[:, 1:] > 0.95).all()


@pytest.mark.slow
def test_selu_settles_where_theory_says_and_its_gradients_grow() -> None:
    unit, torch = run("selu_gain").conditions
    assert np.abs(unit.theory[H]).max() < 1e-10
    grows = trend(unit, "backward")
    chi = math.log10(1.0715750)
    assert abs(grows.theory_decades_per_layer - chi) < 1e-3
    assert abs(grows.decades_per_layer - chi) < ERRORS * grows.error
    # At gain 3/4 the fixed point is a smaller one, and there the gradients are level.
    level = trend(torch, "backward")
    assert abs(level.decades_per_layer) < 0.02
    assert 10 ** torch.theory[H][-1] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("n", range(4))
def test_hanin_and_rolnick_s_spread_grows_with_the_sum_of_inverse_widths(n: int) -> None:
    of = run("hanin_rolnick").conditions[n]
    variance, error = variance_of_ln(of.networks[H])
    exact = log_law(of.condition, 0.0)[1]
    assert abs(variance[-1] - exact[-1]) < ERRORS * error[-1]
    width, depth = of.condition.widths[1], of.condition.depth
    first_order = 5 * depth / width + 2 / of.condition.widths[0]
    # The next order is a few times (1/width)² a layer.
    assert abs(exact[-1] / first_order - 1) < 6 / width


@pytest.mark.slow
def test_lsuv_gives_every_layer_unit_variance_and_the_others_do_not() -> None:
    orthogonal, xavier, lsuv = run("lsuv_tanh").conditions
    variances = 10 ** lsuv.networks["preactivation", "variance"]
    assert np.abs(variances - 1).max() < 0.1
    mean, error = mean_and_error(10 ** lsuv.networks[H])
    # Var f_k may be 0.1 off, and E[tanh²] moves by 0.2 of that at most.
    assert (np.abs(mean - 0.3942945)[1:] < ERRORS * error[1:] + 0.02).all()
    for of in (orthogonal, xavier):
        assert (10 ** of.networks["preactivation", "variance"][:, -2] < 0.2).all()


@pytest.mark.slow
def test_unnormalised_data_saturate_the_first_layer() -> None:
    raw, normalised = run("unnormalised_data").conditions
    for of, second in ((raw, 34.0), (normalised, 1.0)):
        mean, error = mean_and_error(10 ** of.networks[H])
        assert (np.abs(mean - 10 ** of.theory[H])[:2] < ERRORS * error[:2]).all()
        assert abs(10 ** of.theory[H][0] - second) < 1e-9
    # The first layer's factor of the squared gradient: gain² E[tanh'(f)²], f ~ N(0, gain² E x²).
    factors = []
    for of, second in ((raw, 34.0), (normalised, 1.0)):
        through, error = mean_and_error(of.networks[GRAD][:, 0] - of.networks[GRAD][:, 1])
        q = np.array(25 / 9 * second)
        chi = 25 / 9 * float(layer_moments(make_activation("tanh", {}), q).slope)
        assert abs(through - math.log10(chi)) < ERRORS * error + 1 / 200  # the width's own order
        factors.append(chi)
    assert [round(factor, 2) for factor in factors] == [0.15, 0.84]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["width_sweep", "depth_sweep"])
def test_typical_networks_near_the_textbook_with_width_and_leave_it_with_depth(name: str) -> None:
    means = []
    for of in run(name).conditions:
        mean, variance = log_law(of.condition, 0.0)
        ln = of.networks[H][:, -1] * math.log(10)
        alive = ln[np.isfinite(ln)]
        assert abs(alive.mean() - mean[-1]) < ERRORS * math.sqrt(variance[-1] / len(alive))
        assert np.abs(of.theory[H]).max() < 1e-10
        means.append(float(mean[-1]))
        assert all(fate.word == "dead" for fate in fates(of))
    assert means == sorted(means, reverse=name == "depth_sweep")


@pytest.mark.slow
def test_networks_differ_by_five_over_the_width_of_each_layer_up_to_a_million_units() -> None:
    """ln‖h_k‖² has independent steps from layer to layer, whose variance is 5/D to first order."""
    found, widths = [], []
    for of in run("width_to_a_million").conditions:
        mean, variance = log_law(of.condition, 0.0)
        ln = of.networks[H] * math.log(10)
        ln = ln[np.isfinite(ln).all(axis=1)]
        assert (np.abs(ln.mean(axis=0) - mean)[1:] < ERRORS * np.sqrt(variance[1:] / len(ln))).all()
        (step,) = {round(float(v), 12) for v in np.diff(variance)}
        steps = np.diff(ln, axis=1)
        found.append(steps.var(axis=0, ddof=1).mean() / step)
        widths.append(of.condition.widths[1])
        if widths[-1] >= 100:
            assert abs(step * widths[-1] / 5 - 1) < 5 / widths[-1]  # the next order
    assert widths == [10, 100, 1000, 10_000, 100_000, 1_000_000]
    n = 5 * (TRIALS["width_to_a_million"] - 1)  # of nearly normal steps, but for ten units
    assert (np.abs(np.array(found) - 1)[1:] < ERRORS * math.sqrt(2 / n)).all()
    assert abs(np.mean(found[1:]) - 1) < ERRORS * math.sqrt(2 / n / 5)
    # What planted errors make of it: steps without the half of units that are off, 2/D; twice 5/D.
    assert min(1 - 2 / 5, 2 - 1) > ERRORS * math.sqrt(2 / n / 5)


@pytest.mark.slow
def test_an_activation_s_own_gain_keeps_the_forward_pass_and_not_the_backward_one() -> None:
    chi = {"relu": 1.0, "tanh": 1.178, "gelu": 1.072, "silu": 1.067, "selu": 1.072}
    for of in run("activation_gains").conditions:
        name = str(of.condition.swept["network.activation"])
        if of.condition.swept["init.gain"] == "second_moment":
            # One layer on, q = 1 stays: gain² E[a²] = 1. What it does to the gradient is χ₁.
            a, one = make_activation(name, {}), np.array(1.0)
            gain2 = of.condition.weight_variances[1] * 200
            moments = layer_moments(a, one)
            assert abs(gain2 * float(moments.second) - 1) < 1e-12
            assert round(gain2 * float(moments.slope), 3) == chi[name]
            # Inputs get the gain too: q starts at gain². It comes back to 1 where 1 attracts.
            attracts = gain2 * float(length_slopes(a, one)) <= 1 + 1e-12
            assert attracts == (name in ("relu", "tanh", "selu"))
            assert (trend(of, "forward").word == "stable") == attracts
        else:
            words = {"relu": "stable", "tanh": "stable", "selu": "exploding"}
            assert trend(of, "forward").word == words.get(name, "vanishing")


@pytest.mark.slow
def test_gradients_that_float16_makes_zero_are_kept_by_bfloat16() -> None:
    he, lecun = run("float16_gradients").conditions
    zero, _ = mean_and_error(lecun.ratios["grad_activation", "float16_zero"])
    assert (zero[:5] > 0.99).all()  # of the layers next to the input
    assert zero[-1] < 0.1
    assert (np.diff(zero) < 0).sum() > 20  # ever fewer towards the output
    for of in (he, lecun):
        for quantity in RANGED:
            for part in PARTS:
                assert (of.ratios[quantity, f"bfloat16_{part}"] == 0).all()
    for quantity in RANGED:
        mean, error = mean_and_error(he.ratios[quantity, "float16_below"])
        assert (mean < 0.01 + ERRORS * error).all()
    below, error = mean_and_error(he.ratios["grad_activation", "float8_e4m3_below"])
    assert abs(below[0] - 0.26) < ERRORS * error[0]
    # E[f_k²] = 2^−k: the share of a normal law below 2^−14, of typical networks that are smaller
    seen, error = mean_and_error(lecun.ratios["preactivation", "float16_below"])
    wide = [math.erf(2.0**-14 / math.sqrt(2 * 2.0**-k)) for k in range(29)]
    theory = lecun.theory_ratios["preactivation", "float16_below"][:29]
    np.testing.assert_allclose(theory, wide, rtol=1e-9, atol=0)
    drift = 2.5 * np.arange(1, 30) / 100  # of ln E[f_k²], and half of it of that of √E[f_k²]
    assert (np.abs(seen[:29] - wide) < ERRORS * error[:29] + np.array(wide) * drift).all()


BATCH: Measure = ("grad_weight_batch", "second_moment")
BY_INPUT: Measure = ("grad_weight", "second_moment")


def test_gradients_of_the_batch_grow_towards_the_output_where_those_of_inputs_stay() -> None:
    whole = load_config(CONFIGS / "batch_gradient.yaml", [Override("trials", "trials", "10")])
    (of,) = run_sweep(replace(whole, conditions=whole.conditions[1:2])).conditions
    assert of.condition.n_inputs == 10
    by_input, batch = (
        (10 ** of.networks[measure][:, [0, 19]]).mean(axis=0) for measure in (BY_INPUT, BATCH)
    )
    # One network has a factor of 2 in either: the mean of ten 1.3.
    assert 0.4 < by_input[1] / by_input[0] < 2.5
    assert batch[1] / batch[0] > 3
    # What is left of the square: 1/N of independent inputs; 0.85 where they are all but alike.
    assert_allclose(batch / by_input, [0.1, 0.85], rtol=0.15)


@pytest.mark.slow
def test_the_batch_s_gradient_has_the_numbers_that_it_is_there_for() -> None:
    one, ten, hundred = run("batch_gradient").conditions
    assert_allclose(one.networks[BATCH], one.networks[BY_INPUT], rtol=0, atol=1e-12)
    for of in (one, ten, hundred):
        for measure in (BY_INPUT, BATCH):
            seen, error = mean_and_error(10 ** of.networks[measure])
            theory = 10 ** of.theory[measure]
            # What 200 units add to infinite width: fluctuations of each of up to 20 layers.
            allowed = 0.0 if measure == BY_INPUT else 0.5
            assert (np.abs(seen - theory) < ERRORS * error + allowed * theory).all()
    # As asked for, of 20 networks: each number may differ by the error of so many.
    for measure, numbers in ((BY_INPUT, (2.5e4, 2.0e4)), (BATCH, (253, 16_100))):
        values = 10 ** hundred.networks[measure][:, [0, 19]]
        seen, error = mean_and_error(values)
        both = np.hypot(error, values.std(axis=0, ddof=1) / math.sqrt(20))
        assert (np.abs(seen - numbers) < ERRORS * both).all()
        assert not (np.abs(seen - 4 * np.array(numbers)) < ERRORS * both).any()


def dead_share(width: int, depth: int, count: int) -> float:
    """Share of ReLU networks that ten layers make dead for x and −x: a plain chain of layers."""
    rng = np.random.default_rng(31)
    first = rng.standard_normal((count, width, 1))
    h = np.maximum(np.concatenate([first, -first], axis=-1), 0)
    for _ in range(depth - 1):
        h = np.maximum(rng.standard_normal((count, width, width)) @ h, 0)
    return 1 - float(h.any(axis=(1, 2)).mean())


@pytest.mark.slow
def test_narrow_networks_are_born_dead() -> None:
    # What 400,000 networks of a plain chain give, and the numbers that were asked for.
    for n, share, asked in [(0, 0.9096, 0.914), (1, 0.3357, 0.344)]:
        of = run("born_dead").conditions[n]
        width, depth = of.condition.widths[1], of.condition.depth
        dead = np.isneginf(of.networks[H][:, -1])
        np.testing.assert_array_equal(dead, of.ratios["activation", "off_share"][:, -1] == 1)
        error = math.sqrt(share * (1 - share) / len(dead))
        assert abs(dead.mean() - share) < ERRORS * error
        assert abs(dead.mean() - asked) < ERRORS * error
        plain = dead_share(width, depth, 40_000)
        assert abs(dead.mean() - plain) < ERRORS * math.hypot(error, 0.5 / math.sqrt(40_000))
        assert dead.mean() - dead_share(width, depth - 1, 40_000) > ERRORS * error
        # each sign alone dies in each layer with probability 2^−width, not of both at once
        assert share < 1 - (1 - 2.0**-width) ** depth
        assert f"in {dead.sum()} of {len(dead)} networks" in trend(of, "forward").reason


@pytest.mark.slow
def test_inputs_of_a_deep_relu_network_come_to_point_the_same_way() -> None:
    (of,) = run("correlation_map").conditions
    theory = of.theory_ratios["activation", "cosine"]
    assert [round(float(theory[k]), 4) for k in (10, 20, 50)] == [0.8715, 0.9484, 0.9879]
    mean, error = mean_and_error(of.ratios["activation", "cosine"])
    # Beside chance, what a width of n leaves: 5/n of a layer's squared length, a few layers long.
    assert (np.abs(mean - theory)[1:] < ERRORS * error[1:] + 5 / 500).all()
    # The one output: its second moment is as it was, up to what is seen of one heavy-tailed mean.
    second, variance = (
        10 ** of.networks["preactivation", s][:, -1] for s in ("second_moment", "variance")
    )
    apart = (1 - of.ratios["activation", "cosine"][:, -1]) * (1 - 1 / of.condition.n_inputs)
    share = variance.mean() / second.mean()
    uncertain = ERRORS * (variance - share * second).std(ddof=1) / math.sqrt(len(second))
    # Lengths may add the variance of ln ‖h_K‖, a quarter of 5 Σ 1/n + 2/n, and no more.
    lengths = (5 * of.condition.depth + 2) / 500 / 4
    low, high = apart.mean(), apart.mean() + lengths
    assert low - uncertain / second.mean() < share < high + uncertain / second.mean()
    assert share < 0.2  # of independent inputs it would be 0.99


@pytest.mark.slow
def test_cosines_of_poole_s_tanh_networks_go_to_their_limits_from_wherever_they_start() -> None:
    result = run("poole_2016")
    for n, (variance, limit) in enumerate([(0.00169, 1.0), (0.00625, 0.122), (0.016, 0.030)]):
        ends = phase(make_activation("tanh", {}), 1000 * variance, 0.09, 1.0)
        assert round(ends.c, 3) == limit
        starts = result.conditions[3 * n : 3 * n + 3]
        measured = np.stack([of.ratios["preactivation", "cosine"][:, :-1] for of in starts])
        theory = np.stack([of.theory_ratios["preactivation", "cosine"][:-1] for of in starts])
        # What is left of the starts after 29 layers, each e^(−1/ξ) of that before.
        assert np.abs(theory[:, -1] - ends.c).max() < 2 * math.exp(-29 / ends.xi_c)
        # One error for the three starts and for five layers, so that it is well known itself.
        variances = measured.var(axis=1, ddof=1)[:, -5:].mean()
        allowed = ERRORS * math.sqrt(variances / measured.shape[1])
        assert np.abs(measured.mean(axis=1) - theory)[:, -5:].max() < allowed
        if n == 1:  # the twin without biases, in which chaos leaves an odd function nothing
            assert np.abs(measured.mean(axis=1) - 0.0)[:, -5:].max() > allowed


@pytest.mark.slow
def test_convolutions_keep_their_signal_at_the_variance_of_he_with_k_squared_in_its_fan() -> None:
    he, xavier, forgotten = run("cnn_he").conditions
    assert he.condition.fans[:-1] == ((288, 288),) * 30
    assert_allclose(he.condition.weight_variances[0], 2 / 288, rtol=1e-15, atol=0)
    layers = np.arange(31)
    for of, factor, decades in (
        (he, 1, "+0.000"),
        (xavier, 1 / 2, "-0.301"),
        (forgotten, 9, "+0.954"),
    ):
        slope = math.log10(factor)
        assert f"{slope:+.3f}" == decades
        assert_allclose(of.theory[H], layers * slope, rtol=1e-9, atol=1e-12)
        # The same draws as He's, times a factor.
        assert_allclose(
            of.networks[H] - he.networks[H], [layers * slope] * 50, rtol=1e-9, atol=1e-12
        )
        back, of_he = (one.networks[GRAD] - one.networks[GRAD][:, -1:] for one in (of, he))
        expected = [layers[::-1] * slope] * 50
        assert_allclose(back - of_he, expected, rtol=1e-9, atol=1e-12)
    mean, error = mean_and_error(10 ** he.networks[H])
    near = slice(1, 11)  # deeper, rare networks carry the mean
    assert (np.abs(mean - 1)[near] < ERRORS * error[near]).all()
    # c channels of one mean square each, of a variance that ReLU and normal weights make 5 times
    # its square at most, where all positions are alike: ln of their mean drifts by half of 5/c.
    drift, error = mean_and_error(he.networks[H][:, -1] * math.log(10) / 30)
    assert -5 / 2 / 32 - ERRORS * error < drift < 0


@pytest.mark.slow
def test_xavier_keeps_two_to_the_minus_21_and_29_of_he_s_22_and_30_layers() -> None:
    result = run("he_2015_depth")
    for he, xavier in zip(result.conditions[::2], result.conditions[1::2], strict=True):
        depth = he.condition.depth
        assert np.abs(he.theory[H]).max() < 1e-10
        assert_allclose(xavier.theory[H][-1], -depth * math.log10(2), rtol=1e-9, atol=0)
        for of in (he, xavier):
            mean, variance = log_law(of.condition, 0.0)
            ln = of.networks[H][:, -1] * math.log(10)
            assert abs(ln.mean() - mean[-1]) < ERRORS * math.sqrt(variance[-1] / len(ln))
        # The gradient of the same draws, which at h_K is smaller already by the output's variance.
        along, lost = (of.networks[GRAD][:, 0] - of.networks[GRAD][:, -1] for of in (he, xavier))
        assert_allclose(lost - along, [-depth * math.log10(2)] * 25, rtol=1e-9, atol=0)
    assert [of.condition.depth for of in result.conditions] == [21, 21, 29, 29]


def windows(n: int, *, circular: bool) -> Array:
    """Which of n positions the three taps at each position see."""
    seen = np.zeros((n, n))
    for p in range(n):
        for place in (p - 1, p, p + 1):
            if circular or 0 <= place < n:
                seen[p, place % n] += 1
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("place", "n", "kept"), [(2, 8, 0.9212), (3, 4, 0.7616)])
def test_zeros_beyond_the_edge_take_what_an_eigenvalue_leaves(
    place: int, n: int, kept: float
) -> None:
    circular, zero = (run("zero_padding").conditions[k] for k in (place - 2, place))
    window = zero.condition.weights[0].window
    assert window is not None
    assert window.image == (n, n)
    signal, decades = np.ones((n, n)), [0.0]
    for _ in range(50):
        signal = windows(n, circular=False) @ signal @ windows(n, circular=False).T / 9
        decades.append(math.log10(signal.mean()))
    assert_allclose(zero.theory[H], decades, rtol=1e-9, atol=1e-12)
    assert np.abs(circular.theory[H]).max() < 1e-10
    eigenvalue = ((1 + 2 * math.cos(math.pi / (n + 1))) / 3) ** 2
    assert round(eigenvalue, 4) == kept
    assert_allclose(
        np.linalg.eigvalsh(windows(n, circular=False))[-1] ** 2 / 9, eigenvalue, rtol=1e-12, atol=0
    )
    # What is left of the next even mode after 49 layers, times its size at the start, under 1.
    others = (1 + 2 * math.cos(3 * math.pi / (n + 1))) / (1 + 2 * math.cos(math.pi / (n + 1)))
    step = zero.theory[H][50] - zero.theory[H][49]
    assert abs(step - math.log10(eigenvalue)) < abs(others) ** 49 + 1e-12
    for measure, layers in ((H, slice(1, 11)), (GRAD, slice(40, 50))):
        mean, error = mean_and_error(10 ** zero.networks[measure])
        expected = 10 ** (zero.theory if measure == H else zero.mean_field)[measure]
        assert (np.abs(mean - expected)[layers] < ERRORS * error[layers]).all()
    # The twin: the networks are not those without an edge.
    mean, error = mean_and_error(10 ** zero.networks[H])
    assert (np.abs(mean - 1)[1:11] > ERRORS * error[1:11]).all()


@pytest.mark.slow
def test_plain_layers_lose_156_decades_where_blocks_of_scale_one_over_root_l_hold() -> None:
    plain_he, plain, one_he, one, root_he, root = run("residual_depth").conditions
    layers = np.arange(201.0)  # from h_1 = f_0 on, in blocks
    share = 1 / 6  # fan_in σ²_Ω/2 of PyTorch's default
    for of, factor, first in (
        (one_he, 2, 2),
        (one, 1 + share, 1 / 3),
        (root_he, 1 + 1 / 200, 2),
        (root, 1 + share / 200, 1 / 3),
    ):
        expected = math.log10(first) + layers * math.log10(factor)
        assert_allclose(of.theory[H][1:], expected, rtol=1e-9, atol=1e-9)
        back = textbook(of)[1:] - textbook(of)[-1]
        assert_allclose(back, (200 - layers) * math.log10(factor), rtol=1e-9, atol=1e-9)
    assert round(200 * math.log10(1 + share), 1) == 13.4
    for of, first, per_layer, limit in (
        (root_he, 2, 1, math.e),
        (root, 1 / 3, share, math.exp(share)),
    ):
        total = (1 + per_layer / 200) ** 200
        assert limit * (1 - per_layer**2 / 400 - 1e-4) < total < limit  # e^x (1 − x²/2L …)
        mean, error = mean_and_error(10 ** of.networks[H][:, [1, 101, 201]])
        expected = first * np.array([1, math.sqrt(total), total])
        assert (np.abs(mean - expected) < ERRORS * error).all()
    # The twin: He's blocks of s = 1/√L are no layers that keep E[h²] as it is.
    mean, error = mean_and_error(10 ** root_he.networks[H][:, -1])
    assert mean - 2 > ERRORS * error
    # The typical network drifts as that of He does, but for orders beyond 1/width.
    assert round(float(plain.theory[H][-1])) == -156
    (drift, error), (he_drift, he_error) = (
        mean_and_error(of.networks[H][:, -1] - of.theory[H][-1]) for of in (plain, plain_he)
    )
    assert abs(drift - he_drift) < ERRORS * math.hypot(error, he_error)


@pytest.mark.slow
def test_a_block_multiplies_by_one_more_than_the_square_of_its_scale() -> None:
    totals = []
    for of in run("residual_scale").conditions:
        add = of.condition.layers[1][-1]
        assert isinstance(add, Add)
        factor = 1 + add.scale**2
        expected = math.log10(2) + np.arange(201) * math.log10(factor)
        assert_allclose(of.theory[H][1:], expected, rtol=1e-9, atol=1e-9)
        back = textbook(of)[1] - textbook(of)[-1]
        assert_allclose(back, 200 * math.log10(factor), rtol=1e-9, atol=0)
        mean, error = mean_and_error(10 ** of.networks[H][:, [1, 101, 201]])
        assert (np.abs(mean - 10 ** expected[[0, 100, 200]]) < ERRORS * error).all()
        totals.append(factor**200)
    assert [f"{total:.4g}" for total in totals] == ["3.057e+07", "2551", "7.316", "2.712"]


@pytest.mark.slow
def test_normalised_blocks_add_one_each_where_others_double() -> None:
    none, before, inside, zero = run("pre_norm").conditions
    k = np.arange(1, 32)
    for of, expected in ((none, 2.0**k), (before, k + 1.0), (inside, k + 1.0), (zero, 2.0 + 0 * k)):
        assert_allclose(of.theory[H][1:], np.log10(expected), rtol=1e-9, atol=1e-9)
        back = textbook(of)[1:] - textbook(of)[-1]
        assert_allclose(back, np.log10(expected[-1] / expected), rtol=1e-9, atol=1e-9)
    # At the first and last block and between; without norm rare networks carry the mean.
    layers = [1, 8, 16, 30]
    for of in (before, inside):
        mean, error = mean_and_error(10 ** of.networks[H][:, layers])
        assert (np.abs(mean - layers - 1) < ERRORS * error).all()
        through = 10 ** (of.networks[GRAD][:, layers] - of.networks[GRAD][:, -1:])
        mean, error = mean_and_error(through)
        assert (np.abs(mean - 32 / (np.array(layers) + 1)) < ERRORS * error).all()
        # The twin, blocks that double.
        assert (np.abs(mean - 2.0 ** (31 - np.array(layers)))[:-1] > ERRORS * error[:-1]).all()
    # Blocks that end in zeros hand everything on as it is.
    for measure in (H, GRAD):
        through = zero.networks[measure][:, 1:]
        assert_allclose(through, through[:, :1] + 0 * through, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_only_delta_orthogonal_kernels_keep_the_norm_of_every_input() -> None:
    normal, orthogonal, delta = run("delta_orthogonal").conditions
    for measure in (H, GRAD):
        through = delta.networks[measure]
        assert_allclose(through, through[:, :1] + 0 * through, rtol=1e-12, atol=1e-12)
    # Given h_k, the squares of a channel at 64 positions are those of normal numbers, which vary by
    # 2/64 of their mean square at least; 32 channels, 50 layers.
    for measure, last in ((H, -1), (GRAD, 0)):
        variance, error = variance_of_ln(normal.networks[measure])
        assert variance[last] > 50 * 2 / 64 / 32 - ERRORS * error[last]
        variance, error = variance_of_ln(orthogonal.networks[measure])
        assert variance[last] > ERRORS * error[last]
    assert np.abs(normal.theory[H]).max() < 1e-10


@pytest.mark.slow
def test_updates_of_mup_are_level_over_width_and_others_grow_as_derived() -> None:
    # Slopes of Δf_1, Δf_2 and Δf_3 as the width grows without bound. Each of fan_in weights moves
    # by nearly η along what enters; the last, of a size of width^−½, are aligned with Δh_3.
    limits = {
        ("1/fan_in", "0.02/64"): (1, 1, 1.5),
        ("1/fan_in", "0.02/fan_in"): (0, 0, 0.5),
        ("64/fan_in**2", "0.02/64"): (1, 1, 1),
        ("64/fan_in**2", "0.02/fan_in"): (0, 0, 0),
    }
    found = list(width_slopes(run("mup"), ["preactivation_update"]))
    assert len(found) == len(limits)
    for slopes, (names, limit) in zip(found, limits.items(), strict=True):
        assert tuple(map(str, slopes.others.values())) == names
        gaps = np.array([0, *limit]) - slopes.slopes
        # Parts that do not grow still count below 1024: slopes are lower, by less than 0.15.
        assert (gaps > -ERRORS * slopes.errors - 0.01).all()
        assert (gaps < ERRORS * slopes.errors + 0.15 * (np.array([0, *limit]) > 0)).all()


def test_a_learning_rate_of_a_wrong_power_of_the_width_is_found() -> None:
    rates = [f"0.02*64**({power}-1)/fan_in**({power})" for power in ("1", "3/4", "5/4")]
    swept = {
        "network.width": [64, 128, 256],
        "init.last.variance": ["64/fan_in**2"],
        "record.update.learning_rate": rates,
    }
    expect = {"width_slope": {"quantity": "preactivation_update", "within": 0.05, "layer": [1, 2]}}
    given = {"sweep": swept, "expect": expect, "trials": 16}
    findings = check_expectations(run_sweep(load_config(CONFIGS / "mup.yaml", given)))
    assert [finding.held for finding in findings] == [True, False, False]
    assert "slope +0." in findings[1].reason
    assert "slope -0." in findings[2].reason


@pytest.mark.slow
def test_orthogonal_layers_keep_every_direction_and_normal_ones_their_mean() -> None:
    for of in run("dynamical_isometry").conditions:
        seen, theory = (z["log10_singular_values"] for z in (of.outputs, of.theory_outputs))
        if of.condition.swept["init.scheme"] == "orthogonal":
            assert_allclose(seen, 0.0, rtol=0, atol=1e-12)
            continue
        n_layers, n = of.condition.depth + 1, of.condition.widths[0]
        edge = (n_layers + 1) * math.log10(n_layers + 1) - n_layers * math.log10(n_layers)
        assert theory[0] == pytest.approx(edge / 2, abs=1e-5)
        # At a soft edge a share 1/n begins (3π/2)^(2/3) = 2.81 units of Tracy and Widom below it;
        # the largest is at −1.21 ± 1.27 of them. ln s² falls by 1/n in each layer, about.
        unit = (theory[0] - theory[1]) / 2.81
        drift = n_layers / n / 2 / math.log(10)
        off = seen[:, 0].mean() - (theory[0] - 1.21 * unit)
        assert abs(off) < ERRORS * 1.27 * unit / math.sqrt(len(seen)) + drift
        assert abs(np.median(seen[:, n // 2]) - theory[n // 2]) < 5 * drift + 0.01
        assert abs(np.median(seen[:, n // 2]) - theory[n // 2 + 20]) > 5 * drift + 0.01
        squares = 10 ** of.outputs["log10_jacobian_second_moment"][:, 0]
        error = squares.std(ddof=1) / math.sqrt(len(squares))
        assert abs(squares.mean() - 1 / n) < ERRORS * error
