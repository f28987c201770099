"""Entries of `init` by layer, `init` swept as a whole, and what is said where they do not fit."""

import csv
import io
import json
import math

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.words.condition_names import named
from heinit_sim.reports.formats import to_csv
from heinit_sim.reports.run import layer_rows, summary_rows
from heinit_sim.reports.summary_table import to_summary_table
from heinit_sim.sampling.streams import DrawnWeights, Draws, sample_biases, sample_inputs
from heinit_sim.simulation.sweep import run_sweep
from tests import configs
from tests.rows import cases

NETWORK = "name: a\ntrials: 3\nnetwork: {depth: 2, width: [6, 4], input_dim: 5}\n"
LISTED = (
    "init: [{variance: 0.5}, {scheme: he_uniform, bias_variance: 2}, {scheme: orthogonal, gain: 3}]"
)
SWEPT = (
    "sweep: {init: [{scheme: he_normal, mode: fan_out}, {variance: 1e-4}, "
    "[{scheme: he_normal}, {scheme: he_normal}, {scheme: lecun_normal, gain: 2}]]}"
)


def parsed(*lines: str, sets: tuple[str, ...] = ()) -> SweepConfig:
    return configs.parsed(NETWORK + "\n".join(lines), *sets)


def test_a_list_has_one_entry_for_each_layer() -> None:
    (condition,) = parsed(LISTED).conditions
    np.testing.assert_allclose(condition.weight_variances, (0.5, 2 / 6, 9 / 4), rtol=1e-15, atol=0)
    assert [s.weight_distribution for s in condition.specs] == ["normal", "uniform", "orthogonal"]
    assert condition.bias_variances == (0.0, 2.0, 0.0)


def test_gates_take_the_activation_of_their_layer() -> None:
    text = NETWORK.replace("input", "activation: [silu, tanh], block: [gate], input")
    (condition,) = configs.parsed(text + "init: {scheme: he_normal}").conditions
    assert [a.function for a in condition.activates] == ["silu", "tanh"]


def test_a_stated_variance_is_that_before_an_uncorrected_truncation() -> None:
    # of a normal number cut off at 2: 1 − 4 φ(2)/(2 Φ(2) − 1)
    kept = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    init = "init: {variance: 0.01, distribution: truncated_normal_uncorrected}"
    (condition,) = parsed(init).conditions
    np.testing.assert_allclose(condition.weight_variances, 0.01 * kept, rtol=1e-14, atol=0)


def test_layers_of_equal_fans_have_entries_of_their_own() -> None:
    init = "init: [{variance: 3}, {variance: 2}, {scheme: lecun_uniform}]"
    text = f"name: a\nnetwork: {{depth: 2, width: 4, input_dim: 4, output_dim: 4}}\n{init}\n"
    (condition,) = parse_config(text).conditions
    assert condition.weight_variances == (3.0, 2.0, 0.25)
    assert [s.weight_distribution for s in condition.specs] == ["normal", "normal", "uniform"]


def test_a_list_of_equal_entries_is_the_entry_itself() -> None:
    one = parsed("init: {scheme: he_normal, bias_variance: 0.1}")
    many = parsed(f"init: [{', '.join(['{scheme: he_normal, bias_variance: 0.1}'] * 3)}]")
    assert one.conditions == many.conditions


def test_each_layer_draws_from_its_own_distribution() -> None:
    (condition,) = parsed(LISTED).conditions
    shapes = tuple(weights.shape for weights in condition.weights)
    names = tuple(spec.weight_distribution for spec in condition.specs)
    mixed = DrawnWeights(7, Draws(shapes, names, 5, 1), range(3))
    for k, name in enumerate(names):
        alone = DrawnWeights(7, Draws(shapes, (name,) * 3, 5, 1), range(3))
        assert np.array_equal(mixed[k], alone[k])
    assert np.abs(mixed[1]).max() <= np.sqrt(3)


def test_numbers_of_a_listed_network_are_those_of_its_laws() -> None:
    config = parsed(LISTED, "inputs: {count: 2}")
    (found,) = run_sweep(config).conditions
    c = found.condition
    laws = tuple(spec.weight_distribution for spec in c.specs)
    draws = Draws(tuple(weights.shape for weights in c.weights), laws, 5, 2)
    weights = DrawnWeights(config.seed, draws, range(3))
    h, biases = sample_inputs(0, draws, range(3)), sample_biases(0, draws, range(3))
    for k, (variance, bias_variance) in enumerate(
        zip(c.weight_variances, c.bias_variances, strict=True)
    ):
        f = np.sqrt(variance) * (weights[k] @ h) + np.sqrt(bias_variance) * biases[k]
        expected = np.log10((f**2).mean(axis=(1, 2)))
        seen = found.networks["preactivation", "second_moment"][:, k]
        np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-12)
        h = np.maximum(f, 0)


# lines of the config from its fourth on, and what is said of them
MISFITS = cases(
    """
init: [{variance: 1}, {variance: 2}]
> 4:7: error: init: wrong length (2), must be one for each of the 3 layers 0 … K
init: [{variance: 1}, {variance: 2}, {variance: 3}]
sweep: {network.depth: [2, 3], network.width: [4]}
> 4:7: error: init: wrong length (3), must be one for each of the 4 layers 0 … K
init: [{variance: 1}, {scheme: he_normal, gain: 1e-300}, {variance: 2, scheme: he_normal}]
> 4:80: error: init[2].scheme: given beside init.variance (he_normal), must be the one or the other;
> null takes one back
init: [{variance: 1}, {scheme: he_normal, gain: 1e-300}, {variance: 2}]
> 4:49: error: init[1].gain: too small (1e-300), must leave a variance above 0
$LISTED
sweep: {init.variance: [1, 2]}
> 5:24: error: sweep.init.variance: inside init, a list, must be swept as init
$LISTED
expect: {forward: stable, when: {init.variance: 0.5}}
> 5:49: error: expect.when.init.variance: matches no condition (0.5), must be left out; no condition
> has such a value
$SWEPT
expect: {forward: stable, when: {init: {variance: 1}}}
> 5:40: error: expect.when.init: matches no condition ({variance: 1.0}), must be one of
> {scheme: he_normal, mode: fan_out}, {variance: 0.0001},
> [{scheme: he_normal}, {scheme: he_normal}, {scheme: lecun...
sweep: {init: [{variance: 1}, {variance: 2}], init.bias_variance: [0, 1]}
> 4:67: error: sweep.init.bias_variance: inside init, which is swept too, must be swept alone
sweep: {init: [{variance: 1}, {variance: 1.0}]}
> 4:31: error: init: the same as value 1, must be distinct
sweep: {init: [{variance: 1}, {variance: 1, bias_variance: 0}]}
> 4:31: error: init: the same as value 1, must be distinct
""",
    globals(),
)


@pytest.mark.parametrize(("lines", "message"), MISFITS)
def test_entries_that_do_not_fit_are_named_by_layer(lines: str, message: str) -> None:
    assert configs.problems(NETWORK + lines) == [f"c.yaml:{message}"]


def test_a_path_into_a_list_is_refused() -> None:
    said = "inside init, a list, must be set as init"
    assert configs.problems(NETWORK + LISTED, "init.variance=3") == [
        f"--set init.variance=3: error: init.variance: {said}"
    ]


def test_init_is_swept_as_a_whole() -> None:
    config = parsed(SWEPT)
    expected = [(2 / 6, 2 / 4, 2 / 1), (1e-4,) * 3, (2 / 5, 2 / 6, 4 / 4)]
    for condition, variances in zip(config.conditions, expected, strict=True):
        np.testing.assert_allclose(condition.weight_variances, variances, rtol=1e-15, atol=0)
    assert [c.label for c in config.conditions] == [
        "he_normal fan_out",
        "variance=0.0001",
        "2×he_normal, lecun_normal gain=2.0",
    ]
    assert named(config.conditions).full == [
        "He normal, fan-out",
        r"$\sigma^2_\Omega$ = 0.0001",
        "2× He normal; LeCun normal…",
    ]


def test_tables_of_a_swept_init_have_short_texts_and_json_in_csv() -> None:
    result = run_sweep(parsed(SWEPT))
    rows = summary_rows(result)
    cells = list(to_summary_table(result.config, rows).columns[0].cells)
    assert cells == ["he_normal fan_out", "variance=0.0001", "2×he_normal, lecun_normal gain=2"]
    (first, *_) = csv.DictReader(io.StringIO(to_csv(layer_rows(result))))
    assert json.loads(first["init"]) == {"scheme": "he_normal", "mode": "fan_out"}


def test_what_is_selected_by_init() -> None:
    expect = "expect: {forward: stable, when: {init: {variance: 1e-4}}}"
    assert parsed(SWEPT, expect).expect[0].conditions == (1,)


def test_init_is_set_and_swept_from_the_command_line() -> None:
    sets = ("init={scheme: he_normal},{variance: 0.1}",)
    assert parsed("init: {variance: 3}", sets=sets).sweep == {
        "init": ({"scheme": "he_normal"}, {"variance": 0.1})
    }
    entries = ", ".join(["{variance: 2}"] * 3)
    config = parsed("init: {variance: 3}", sets=(f"init=[{entries}]",))
    assert config.conditions[0].weight_variances == (2.0,) * 3


def test_independent_draws_of_a_swept_init_differ() -> None:
    swept = "sweep: {init: [{variance: 1}, {variance: 2}]}\ndraws: independent"
    first, second = run_sweep(parsed(swept)).conditions
    gap = second.networks["preactivation", "second_moment"][:, 0]
    gap = gap - first.networks["preactivation", "second_moment"][:, 0]
    assert np.abs(gap - np.log10(2.0)).min() > 1e-3


def test_null_takes_the_biases_of_one_end_back() -> None:
    network = "name: x\nnetwork: {depth: 2, width: 3, input_dim: 4}\n"
    init = "init: {variance: 0.5, bias_variance: 0.1, first: {bias_variance: null}}\n"
    assert parse_config(network + init).conditions[0].bias_variances == (0.1,) * 3
