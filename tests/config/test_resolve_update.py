"""Learning rates by layer; where mistakes in them, and in slopes over width, are told."""

import re

import pytest

from heinit_sim.config import parse_config, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.sweep_config import Update, WidthSlope

BASE = """name: a
network: {depth: 2, width: 8, input_dim: 5, output_dim: 3}
init: {scheme: he_normal}
trials: 3
"""
STEP = "record: {update: {learning_rate: 1}}\n"
BY_FAN = "record: {update: {learning_rate: 1/fan_in}}\n"
WIDTHS = "sweep: {network.width: [8, 16]}\n"


def test_rates_are_of_each_matrix() -> None:
    config = parse_config(
        BASE.replace("width: 8", "width: [8, 4]")
        + "record: {update: {learning_rate: 1/fan_in, last: width/depth, biases: 0.5}}\n"
    )
    assert config.record.update
    (condition,) = config.conditions
    assert condition.update == Update("sgd", (1 / 5, 1 / 8, 3 / 2), (0.5, 0.5, 0.5))


def test_rates_of_biases_are_those_of_the_weights_beside_them() -> None:
    text = BASE + "record: {update: {learning_rate: 2/fan_in, first: width, optimiser: adam}}\n"
    update = parse_config(text).conditions[0].update
    assert update == Update("adam", (8.0, 0.25, 0.25), (8.0, 0.25, 0.25))


def test_matrices_of_blocks_have_rates_of_their_own() -> None:
    network = "{depth: 3, width: 8, input_dim: 5, block: [{weights: {expand: 2}}, weights, add]}"
    text = f"name: a\nnetwork: {network}\ninit: {{scheme: he_normal}}\n"
    update = (
        parse_config(text + "record: {update: {learning_rate: 1/fan_in}}\n").conditions[0].update
    )
    assert update is not None
    assert update.rates == (1 / 5, 1 / 8, 1 / 16, 1 / 8, 1 / 16, 1 / 8)
    kernels = "{kind: cnn, depth: 1, image: [4], kernel: 3, channels: 6, input_channels: 2}"
    text = f"name: a\nnetwork: {kernels}\ninit: {{scheme: he_normal}}\n"
    update = (
        parse_config(text + "record: {update: {learning_rate: 1/fan_in}}\n").conditions[0].update
    )
    assert update is not None
    assert update.rates == (1 / 6, 1 / 24)


def test_rates_are_swept_and_written_again() -> None:
    text = (
        BASE
        + STEP
        + "sweep: {record.update.last: [1, 1/fan_in], record.update.optimiser: [adam]}\n"
    )
    config = parse_config(text)
    rates = [c.update and c.update.rates for c in config.conditions]
    assert rates == [(1.0, 1.0, 1.0), (1.0, 1.0, 1 / 8)]
    assert parse_config(to_yaml(config.document)) == config
    assert [c.label for c in config.conditions][1].startswith("record.update.last = 1/fan_in")


def test_without_a_step_nothing_is_kept() -> None:
    for record in ("", "record: {}\n", "record: {update: null}\n"):
        config = parse_config(BASE + record)
        assert (config.conditions[0].update, config.record.update) == (None, False)
        assert "record" not in config.document
        assert "activation_update" not in config.record.pass_of


def test_slopes_name_layers() -> None:
    slope = "width_slope: {quantity: preactivation, within: 0.1, layer: 2}"
    several = "width_slope: {quantity: activation_update, within: 0.1, layer: [1, 2]}"
    text = BASE + STEP + WIDTHS + f"expect:\n  - {{{slope}}}\n  - {{{several}}}\n"
    first, second = parse_config(text).expect
    assert first.width_slope == WidthSlope("preactivation", 0.1, (2,))
    assert second.width_slope == WidthSlope("activation_update", 0.1, (1, 2))


SLOPE = "expect: {width_slope: {quantity: QUANTITY, within: 0.1}}\n"
WRONG = {
    "record: {update: {optimiser: sgd}}\n": "5:18: error: record.update.learning_rate: required",
    "record: {update: {learning_rate: -1}}\n": "5:34: error: record.update.learning_rate: too",
    "record: {update: {learning_rate: 1/(fan_in-8)}}\n": (
        "5:34: error: record.update.learning_rate: too small (1/(fan_in-8) = -0.333333)"
    ),
    "record: {update: {learning_rate: 1, biases: 1/(width-3)}}\n": (
        "5:45: error: record.update.biases: a division by zero"
    ),
    "record: {update: {learning_rate: 1, optimizer: adam}}\n": (
        "5:37: error: record.update.optimizer: unknown key"
    ),
    "record: {update: 0.1}\n": "5:18: error: record.update: not a mapping (0.1)",
    "engine: conditional\n" + STEP: "6:18: error: record.update: not for engine: conditional",
    STEP + "sweep: {record.update.last: [1, 1/(width-3)]}\n": (
        "6:33: error: record.update.last: a division by zero"
    ),
    "sweep: {record.cosine: [true]}\n": "5:9: error: sweep.record.cosine: cannot be swept",
    STEP + SLOPE.replace("QUANTITY", "activation"): (
        "6:23: error: expect.width_slope: no width is swept, must be beside two or more numbers"
    ),
    "sweep: {network.width: [8]}\n" + SLOPE.replace("QUANTITY", "activation"): (
        "6:23: error: expect.width_slope: no width is swept"
    ),
    WIDTHS
    + SLOPE.replace("}}", "}, when: {network.width: 8}}").replace("QUANTITY", "activation"): (
        "6:23: error: expect.width_slope: of one width, must be of two or more"
    ),
    WIDTHS + SLOPE.replace("QUANTITY", "activation_update"): (
        "6:34: error: expect.width_slope.quantity: no step of training is recorded"
    ),
    WIDTHS + SLOPE.replace("QUANTITY", "grad_weight"): (
        "6:34: error: expect.width_slope.quantity: unknown value ('grad_weight')"
    ),
    WIDTHS + SLOPE.replace("QUANTITY", "activation, layer: [1, 3]"): (
        "6:53: error: expect.width_slope.layer: no such layer (3), must be at most 2"
    ),
    WIDTHS + SLOPE.replace("QUANTITY", "activation, layer: 0"): (
        "6:53: error: expect.width_slope.layer: h_0 are the inputs"
    ),
    WIDTHS + SLOPE.replace("QUANTITY", "activation, layer: []"): (
        "6:53: error: expect.width_slope.layer: too short"
    ),
    WIDTHS
    + "figure: {kind: update}\n": "6:16: error: figure.kind: no step of training is recorded",
    STEP + "figure: {kind: update}\n": "6:16: error: figure.kind: no number is swept (update)",
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_are_told_where_they_are(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"<string>:{WRONG[text]}")):
        parse_config(BASE + text)


def test_one_network_has_no_slope_that_is_known() -> None:
    text = BASE.replace("trials: 3", "trials: 1") + WIDTHS + SLOPE.replace("QUANTITY", "activation")
    with pytest.raises(ConfigError, match=re.escape("one network has no error (1)")):
        parse_config(text)
