"""Numbers of a config that are written as arithmetic: their values, their bounds, their texts."""

import copy
import json
import math
import pickle

import pytest

from heinit_sim.config import to_yaml
from heinit_sim.experiment.figure_kinds import swept_number
from heinit_sim.experiment.labels import WrittenNumber, swept_text
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.words.condition_names import named
from tests.configs import CNN, DENSE, parsed, problems, unplaced_problems

WIDE = "name: a\nnetwork: {depth: 2, width: [50, 20], input_dim: 30}\ninit: {variance: 1}\n"


def condition(text: str, *sets: str) -> Condition:
    (found,) = parsed(text, *sets).conditions
    return found


def test_arithmetic_has_the_value_of_each_layer() -> None:
    found = condition(WIDE, "init.variance=2/fan_in + depth/width")
    assert list(found.weight_variances) == [2 / 30 + 2 / 50, 2 / 50 + 2 / 20, 2 / 20 + 2 / 1]
    gain = condition(WIDE, "init={scheme: lecun_normal, gain: 1/sqrt(2*depth)}")
    for variance, fan_in in zip(gain.weight_variances, (30, 50, 20), strict=True):
        assert math.isclose(variance, 1 / 4 / fan_in, rel_tol=1e-15)
    kernels = condition(CNN, "init={variance: 1/width, bias: 1/fan_in, bias_variance: 1/depth}")
    assert list(kernels.weight_variances) == [1 / 8, 1 / 8, 1 / 8, 1.0]
    assert list(kernels.bias_means) == [1 / 9, 1 / 72, 1 / 72, 1 / (24 * 8)]
    assert list(kernels.bias_variances) == [1 / 3] * 4
    ends = condition(WIDE, "init={variance: 1/50, first: {variance: 1/fan_in}, last: {bias: -1/2}}")
    assert list(ends.weight_variances) == [1 / 30, 1 / 50, 1 / 50]
    assert list(ends.bias_means) == [0, 0, -0.5]
    listed = condition(WIDE, "init=[{variance: 1/fan_in}, {variance: 2/width}, {variance: 1}]")
    assert list(listed.weight_variances) == [1 / 30, 2 / 20, 1]


def test_numbers_of_all_sections_may_be_arithmetic() -> None:
    sets = ["inputs={distribution: normal, std: sqrt(2), mean: 1/4}", "loss.target=-1/3"]
    sets += ["network.activation={name: prelu, negative_slope: [1/4, 0]}", "figure.size=[2*3, 4]"]
    config = parsed(WIDE, *sets, "expect={forward: stable, max_decades_per_layer: 1/8}")
    (found,) = config.conditions
    assert [found.inputs.std, found.inputs.mean] == [math.sqrt(2), 0.25]
    assert found.loss.target == -1 / 3
    ends = [row[1] for row in found.layers[:-1]]
    assert ends == [Activate("prelu", (("negative_slope", slope),)) for slope in (0.25, 0)]
    assert str(config.figure.size) == "(6.0, 4.0)"
    assert config.expect[0].max_decades_per_layer == 0.125
    again = parsed(to_yaml(config.document))
    assert again == config
    assert "std: sqrt(2)" in to_yaml(config.document)


SWEPT = [
    "init.variance=1/50,2/fan_in,0.5/(depth*width),0.07",
    "expect={forward: stable, when: {init.variance: [2/fan_in, 1/50]}}",
]


def test_it_stays_as_written() -> None:
    config = parsed(WIDE, *SWEPT)
    values = ["1/50", "2/fan_in", "0.5/(depth*width)", 0.07]
    assert config.document["sweep"] == {"init.variance": values}
    assert json.loads(json.dumps(config.document)) == config.document  # nothing but plain values
    assert parsed(to_yaml(config.document)) == config
    assert config.expect[0].conditions == (0, 1)
    first = config.conditions[0].swept["init.variance"]
    assert first == 0.02
    assert [c.label for c in config.conditions] == [f"init.variance = {text}" for text in values]
    assert [swept_text("init.variance", c.swept["init.variance"]) for c in config.conditions] == [
        *values[:3],
        "0.07",
    ]
    assert named(config.conditions).short == ["1/50", "2/fan_in", "0.5/(K·width)", "0.07"]
    only_numbers = parsed(WIDE, "init.variance=1/50,2/50")
    assert swept_number(only_numbers.sweep) == "init.variance"  # an axis can have it


def test_a_written_number_can_be_sent_and_copied() -> None:
    number = WrittenNumber(0.5, "1/2")
    for copied in (pickle.loads(pickle.dumps(number)), copy.deepcopy(number)):
        assert (copied, str(copied), json.dumps(copied)) == (0.5, "1/2", "0.5")


MUST = "must be a number above 0"
WRONG = {
    "init.variance=1/0": f"a division by zero ('1/0'), {MUST}",
    "init.variance=1/2 - 1": f"too small (1/2 - 1 = -0.5), {MUST}",
    "init.variance=1/depth - 1": f"too small (1/depth - 1 = -0.5), {MUST}",
    "init.variance=1/(depth - 2)": f"a division by zero ('1/(depth - 2)'), {MUST}",
    "init.variance=2/": f"not well-formed arithmetic ('2/'), {MUST}",
    "init.variance=abc": f"not a number ('abc'), {MUST}",
    "init.variance=1/fanin": (
        "unknown name (fanin), must be one of depth, width, fan_in, sqrt(); did you mean 'fan_in'?"
    ),
    "init.variance=__import__('os')": f'"\'" is no arithmetic ("__import__(\'os\')"), {MUST}',
    "inputs={distribution: normal, std: 1/depth}": (
        "no depth here ('1/depth'), must be a number from 1e-6 to 1e6"
    ),
    "inputs={distribution: normal, std: 10**7}": (
        "too large (10**7 = 10000000.0), must be a number from 1e-6 to 1e6"
    ),
    "loss.target=2/x": "unknown name (x), must be a finite number",
}


@pytest.mark.parametrize("given", WRONG)
def test_what_is_wrong_is_said_of_its_value(given: str) -> None:
    (problem,) = unplaced_problems(WIDE, given)
    key = "inputs.std" if given.startswith("inputs") else given.partition("=")[0]
    assert problem == f"{key}: {WRONG[given]}"


def test_it_is_said_at_its_line_and_column() -> None:
    text = DENSE.replace("variance: 0.5", "variance: depth - 5")
    said = "must be a number above 0"
    assert problems(text) == [
        f"c.yaml:7:13: error: init.variance: too small (depth - 5 = -2.0), {said}"
    ]
    sweep = DENSE + "sweep:\n  init.variance: [1/5, 1 - 2, 3 - depth]\n"
    assert problems(sweep) == [
        f"c.yaml:9:24: error: init.variance: too small (1 - 2 = -1.0), {said}",
        f"c.yaml:9:31: error: init.variance: too small (3 - depth = 0.0), {said}",
    ]
    same = DENSE + "sweep:\n  init.variance: [1/5, 0.2]\n"
    assert "the same as value 1, must be distinct" in problems(same)[0]
