from __future__ import annotations

import copy
import dataclasses
import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heinit_sim.config import (
    Override,
    config_schema,
    load,
    load_config,
    parse_config,
    parse_override,
)
from heinit_sim.config.messages import ENOUGH
from heinit_sim.config.yaml_document import parse, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import ActivationName
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Expectation, FigureConfig, SweepConfig
from tests.configs import CNN, parsed
from tests.configs import DENSE as GOOD
from tests.configs import problems as problems_of
from tests.rows import cases, slow_but

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.yaml"))

SWEPT = GOOD + "sweep:\n  init.variance: [1, 2]\n"
KEYS = (
    "name, network, init, inputs, loss, sweep, trials, seed, stream_version, draws, engine, "
    "record, figure, expect"
)
INPUT_KEYS = "distribution, mean, std, density, cosine, path, sha256, normalisation, count, tokens"
INIT_KEYS = (
    "variance, scheme, scale, mode, gain, a, nonlinearity, "
    "distribution, cut, sparsity, mean, tolerance, attempts, centre, bias, "
    "bias_variance, bias_scheme"
)
ENDS = "".join(
    f"init.{end}{key}, "
    for end in ("first", "last")
    for key in ("", *(f".{key}" for key in INIT_KEYS.split(", ")))
)
INIT = (
    f"must be a mapping with the keys {INIT_KEYS}, first, last, "
    "or a list of one for each layer 0 … K"
)
NETWORK_KEYS = (
    "kind, block, depth, width, input_dim, image, kernel, channels, input_channels, padding, "
    "readout, output_dim, activation, stem, head"
)
FIGURE_KEYS = (
    "kind, quantity, decades, overlay, limits, theme, size, font, font_size, panels, only, labels, "
    "order, title, colors, decimal, style, formats, dpi, svg_text"
)
PATHS = (
    "network.block, network.depth, network.width, network.input_dim, network.image, "
    "network.kernel, network.channels, network.input_channels, network.padding, network.readout, "
    "network.output_dim, network.activation, network.activation.negative_slope, "
    "network.activation.frequency, "
    "network.stem, network.head, init, init.variance, init.scheme, init.scale, "
    "init.mode, init.gain, init.a, init.nonlinearity, init.distribution, init.cut, "
    "init.sparsity, init.mean, init.tolerance, init.attempts, init.centre, "
    "init.bias, init.bias_variance, init.bias_scheme, "
    f"{ENDS}"
    "inputs.distribution, inputs.mean, inputs.std, "
    "inputs.density, inputs.cosine, inputs.path, inputs.normalisation, inputs.count, "
    "inputs.tokens, loss.name, loss.target, record.update.learning_rate, record.update.first, "
    "record.update.last, record.update.biases, record.update.optimiser"
)
SWEPT_KEY = f"must be one of {PATHS}"
NAME = "must be 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
DEPTH = "must be an integer from 1 to 100000"
EXPECT = (
    "must be a mapping like {forward: stable, when: {init.variance: 0.02}}, "
    "or a list of at most 1000"
)
DIM = "must be an integer from 1 to 10000000, above 65536 by engine: conditional"
WIDTH = f"{DIM}, or a list of one for each hidden layer or stage"
COUNT = "must be an integer from 1 to 1000000"
SEED = "must be an integer from 0 to 9223372036854775807"
VARIANCE = "must be a number above 0"
RANGE = "must be null or a list of two numbers from -1000000 to 1000000, the lower first"
ACTIVATION_NAMES = f"must be one of {', '.join(get_args(ActivationName))}"
ACTIVATION = (
    f"{ACTIVATION_NAMES}, or a mapping like {{name: leaky_relu, negative_slope: 0.2}}, "
    "or a list of one for each hidden layer"
)
FILE = "must be a .npy file of shape (examples, components) or a .csv file"
SCHEME = f"must be one of {', '.join(SCHEMES)}"
TRY = "values to try go under sweep"
NO_KEY = "must be the dotted path of a key in the config"
MAPPING = "must be a mapping with the keys"
SWEEP = "must be a mapping from dotted paths to lists of values"
LIST = "must be a list of one or more distinct values"


def changed(old: str, new: str, text: str = GOOD) -> str:
    """The good config with one line exchanged."""
    assert text.count(old) == 1
    return text.replace(old, new)


# the line that is wrong, its place, and what it must be; then the wrong values, and what is said
BAD_VALUES = {
    ("name: small", "1:7: error: name", NAME): {
        "5": "not a string (5); write it in quotes",
        "a/b": "not a valid name ('a/b')",
        '"a\\n"': "not a valid name ('a\\n')",
        "..": "not a valid name ('..')",
        "a" * 65: f"not a valid name ('{'a' * 36}...')",
        '"a\\x1b[31m\\u2028"': "not a valid name ('a\\x1b[31m\\u2028')",
    },
    ("depth: 3", "3:10: error: network.depth", DEPTH): {
        "0": "too small (0)",
        "100001": "too large (100001)",
        "3.0": "not an integer (3.0); write 3",
        "1e3": "not an integer (1000.0); write 1000",
        "3.5": "not an integer (3.5)",
        "true": "not an integer (true)",
        "yes": "not an integer ('yes')",
        ".inf": "not an integer (inf)",
        "{}": "not an integer (a mapping)",
        "017": "not an integer ('017'); a number has no leading zero",
        "1:30": "not an integer ('1:30'); a number has no colons",
        "1_000": "not an integer ('1_000'); a number has no underscores",
        "0x1F": "not an integer ('0x1F'); a number is written in decimal",
        "'3'": "not an integer ('3'); write it without quotes",
        "9" * 5000: f"not an integer ('{'9' * 36}...'); it is beyond the range of a float",
        "9" * 300: f"too large ({'9' * 37}...)",
        "[2, 3]": f"not an integer (a list); {TRY}",
    },
    ("width: 4", "4:10: error: network.width", WIDTH): {"four": "not an integer ('four')"},
    ("variance: 0.5", "7:13: error: init.variance", VARIANCE): {
        "0": "too small (0)",
        "-1e-3": "too small (-0.001)",
        ".inf": "not finite (inf)",
        ".nan": "not finite (nan)",
        "1e999": "not a number ('1e999'); it is beyond the range of a float",
        "1e-999": "not a number ('1e-999'); it is beyond the range of a float",
        "false": "not a number (false)",
        "[0.1, 0.2]": f"not a number (a list); {TRY}",
    },
}

# the line that is wrong, what replaces it, and all that is then said, without "c.yaml:"
BAD_LINES = {
    "name: small": {
        "name:": f"1:6: error: name: not a string (null), {NAME}",
        "name: small\ndepth: 3": (
            f"2:1: error: depth: unknown key, must be one of {KEYS}; did you mean 'network.depth'?"
        ),
        'name: small\n"a\\nb": 3': f"2:1: error: 'a\\nb': unknown key, must be one of {KEYS}",
        "name: small\n<<: 3": f"2:1: error: '<<': unknown key, must be one of {KEYS}",
        "name: small\n1: 3": f"2:1: error: 1: unknown key, must be one of {KEYS}",
    },
    "width: 4": {
        "width: [4, 0, 4]": f"4:14: error: network.width[1]: too small (0), {WIDTH}",
        "width: [4, 5]": (
            "4:10: error: network.width: wrong length (2), must be one for each of the 3 layers"
        ),
    },
    "variance: 0.5": {
        "scheme: he": (
            f"7:11: error: init.scheme: unknown value ('he'), {SCHEME}; "
            "write he_normal or he_uniform"
        ),
        "scheme: He_Normel": (
            f"7:11: error: init.scheme: unknown value ('He_Normel'), {SCHEME}; "
            "did you mean 'he_normal'?"
        ),
    },
    "depth: 3": {
        "depth: 3\n  widht: 4": (
            f"4:3: error: network.widht: unknown key, must be one of {NETWORK_KEYS}; "
            "did you mean 'network.width'?"
        ),
        "depth: 3\n  depth: 4": (
            "4:3: error: network.depth: duplicate key (first in line 3), must be given once"
        ),
    },
    "  depth: 3\n": {"": f"3:3: error: network.depth: required key is missing, {DEPTH}"},
}

MANY = str([{}] * 1001)
COUNTS, TARGETS = str([*range(1, 102)]), str([*range(100)])
# a line or two added to the good config, which has seven, and all that is then said
BAD_ENDS = cases(
    """
draws: comon
> 8:8: error: draws: unknown value ('comon'), must be one of common, independent; did you mean
> 'common'?
inputs:
> 8:8: error: inputs: not a mapping (null), $MAPPING $INPUT_KEYS
inputs: {distribution: sparse, mean: 2}
> 8:38: error: inputs.mean: sparse has no such option (2.0), must be left out
inputs: {distribution: uniform, mean: 1e-7}
> 8:39: error: inputs.mean: too small (1e-07), must be a number from -1e6 to 1e6, 0 or at least 1e-6
> in size
inputs: {distribution: pair, count: 3}
> 8:37: error: inputs.count: not even (3), must be for inputs in pairs
sweep: {inputs.count: [2, 3]}
inputs: {distribution: pair}
> 8:27: error: inputs.count: not even (3), must be for inputs in pairs
inputs: {distribution: pair}
sweep: {network.input_dim: [1, 2]}
> 9:29: error: network.input_dim: too small (1), must be at least 2 for pairs
inputs: {distribution: constant, normalisation: global}
> 8:49: error: inputs.normalisation: constant inputs have no spread to divide by (global), must be
> none
inputs: {distribution: digits}
> 5:14: error: network.input_dim: not that of digits (5), must be 64
inputs: {distribution: file}
> 8:9: error: inputs: no path is given, must have one for distribution: file
inputs: {distribution: file, path: no/such.npy}
> 8:36: error: inputs.path: cannot be read ('no/such.npy'): No such file or directory; $FILE
inputs: {sha256: {a.npy: 12}}
> 8:18: error: inputs.sha256: not SHA-256 of files, must be a mapping from paths to 64 digits of
> 0-9, a-f
loss: {target: -.inf}
> 8:16: error: loss.target: not finite (-inf), must be a finite number
figure: {decades: 3}
> 8:19: error: figure.decades: not a list (3), $RANGE
figure: {decades: [3]}
> 8:19: error: figure.decades: too short (a list), $RANGE
figure: {decades: [1, 2, 3]}
> 8:19: error: figure.decades: too long (a list), $RANGE
figure: {decades: [1, 1e7]}
> 8:23: error: figure.decades[1]: too large (10000000.0), $RANGE
figure: {decades: [2, 1]}
> 8:19: error: figure.decades: not a range ([2.0, 1.0]), must have the lower number first
figure: {decades: [1, 1]}
> 8:19: error: figure.decades: not a range ([1.0, 1.0]), must have the lower number first
sweep: []
> 8:8: error: sweep: not a mapping (a list), $SWEEP
sweep: {init.gain: 2}
> 8:20: error: sweep.init.gain: not a list (2), $LIST
sweep: {init.variance: []}
> 8:24: error: sweep.init.variance: too short (a list), $LIST
sweep: {init.varience: [1]}
> 8:9: error: sweep.init.varience: unknown key, must be one of $PATHS; did you mean 'init.variance'?
stream_version: 2
> 8:17: error: stream_version: streams of version 2, this heinit-sim draws version 1; install the
> version of heinit-sim that the manifest names
stream_version: 0
> 8:17: error: stream_version: streams of version 0, this heinit-sim draws version 1; install the
> version of heinit-sim that the manifest names
stream_version: 1.0
> 8:17: error: stream_version: not an integer (1.0), must be 1; write 1
stream_version: true
> 8:17: error: stream_version: not an integer (true), must be 1
sweep: {stream_version: [1]}
> 8:9: error: sweep.stream_version: cannot be swept, must be one of $PATHS
sweep: {trials: [1]}
> 8:9: error: sweep.trials: cannot be swept, must be one of $PATHS
sweep: {network.kind: [cnn]}
> 8:9: error: sweep.network.kind: cannot be swept, must be one of $PATHS
sweep: {init: [1]}
> 8:16: error: init: not a mapping (1), $INIT
sweep: {init.variance: [1, x]}
> 8:28: error: init.variance: not a number ('x'), $VARIANCE
sweep: {init.variance: [[1], 2]}
> 8:25: error: init.variance: not a number (a list), $VARIANCE
sweep: {init.variance: [1, 2, 1.0]}
> 8:31: error: init.variance: the same as value 1, must be distinct
sweep: {network.width: [[1, 2, 3], 4, [1, 2, 3]]}
> 8:39: error: network.width: the same as value 1, must be distinct
sweep: {network.width: [[1, 2, 3], [4, 5]]}
> 8:36: error: network.width: wrong length (2), must be one for each of the 3 layers
sweep: {network.activation: [leaky_relu, {name: leaky_relu, negative_slope: 0.01}]}
> 8:42: error: network.activation: the same as value 1, must be distinct
sweep: {network.activation: [relu, {name: leaky_relu, slope: 1}]}
> 8:55: error: network.activation.slope: unknown key, must be one of name, negative_slope, frequency
sweep: {network.activation: [relu, {}]}
> 8:36: error: network.activation.name: required key is missing, $ACTIVATION_NAMES
sweep: {network.activation.negative_slope: [0.1]}
> 8:45: error: network.activation.negative_slope: relu has no such option (0.1), must be left out
sweep: {network.activation: [leaky_relu], network.activation.negative_slope: [0.1]}
> 8:78: error: sweep.network.activation.negative_slope: inside network.activation, which is swept
> too, must be swept alone
expect: 5
> 8:9: error: expect: not a mapping (5), $EXPECT
expect:
> 8:8: error: expect: not a mapping (null), $EXPECT
expect: $MANY
> 8:9: error: expect: too long (a list), $EXPECT
figure: {them: dark}
> 8:10: error: figure.them: unknown key, must be one of $FIGURE_KEYS; did you mean 'figure.theme'?
std: 0.02
> 8:1: error: std: unknown key, must be one of $KEYS
batch_size: 3
> 8:1: error: batch_size: unknown key, must be one of $KEYS; did you mean 'inputs.count'?
inputs: {variance: 4}
> 8:10: error: inputs.variance: unknown key, must be one of distribution, mean, std, density,
> cosine, path, sha256, normalisation, count, tokens; write inputs.std: 2, its square root
sweep: {variance: [1]}
> 8:9: error: sweep.variance: unknown key, must be one of $PATHS; did you mean 'init.variance'?
sweep: {init.std: [1]}
> 8:9: error: sweep.init.std: unknown key, must be one of $PATHS; write init.variance, its square
expect: [[]]
> 8:10: error: expect[0]: not a mapping (a list), $EXPECT
expect: [{forward: stable}, {when: {}}]
> 8:29: error: expect[1]: nothing is expected, must have forward, backward,
> max_decades_per_layer or width_slope
expect: {forwrd: stable, backward: stable}
> 8:10: error: expect.forwrd: unknown key, must be one of forward, backward, max_decades_per_layer,
> width_slope, when; did you mean 'expect.forward'?
expect: {'<list>': 1, backward: stable}
> 8:10: error: expect.'<list>': unknown key, must be one of forward, backward,
> max_decades_per_layer, width_slope, when
expect: {forward: stable, when: {init.varience: 1}}
> 8:34: error: expect.when.init.varience: unknown key, $SWEPT_KEY; did you mean 'init.variance'?
expect: {forward: stable, when: {trials: 1}}
> 8:34: error: expect.when.trials: cannot be swept, $SWEPT_KEY
expect: {forward: stable, when: {init.variance: []}}
> 8:49: error: expect.when.init.variance: too short (a list), $VARIANCE
expect: {forward: stable, when: {init.variance: [0.5, x]}}
> 8:55: error: expect.when.init.variance[1]: not a number ('x'), $VARIANCE
expect: {forward: stable, when: {init.variance: [0.5, 0.4]}}
> 8:55: error: expect.when.init.variance[1]: matches no condition (0.4), must be 0.5
expect: {forward: stable, when: {network.activation: {name: relu, slope: 1}}}
> 8:67: error: expect.when.network.activation.slope: unknown key, must be one of name,
> negative_slope, frequency
expect: {forward: stable, when: {init.variance: 0.4}}
> 8:49: error: expect.when.init.variance: matches no condition (0.4), must be 0.5
expect: {forward: stable, when: {init.gain: 2}}
> 8:45: error: expect.when.init.gain: matches no condition (2.0), must be left out; no condition has
> such a value
sweep: {loss.target: [1, 2, 3, 4, 5, 6, 7, 8]}
expect: [{forward: stable, when: {loss.target: 0}}]
> 9:48: error: expect[0].when.loss.target: matches no condition (0.0), must be one of 1.0, 2.0, 3.0,
> 4.0, 5.0, 6.0, …
sweep: {network.activation: [relu, leaky_relu]}
expect: {forward: stable, when: {network.activation: relu, network.activation.negative_slope: 0.01}}
> 9:33: error: expect.when: matches no condition, must be values that one condition has together
sweep: {inputs.count: $COUNTS, loss.target: $TARGETS}
> 8:8: error: sweep: too many conditions (10100), must be at most 10000
""",
    globals(),
)


@pytest.mark.parametrize(
    ("old", "value", "message"),
    [
        (old, value, f"{place}: {wrong}, {must}{semicolon}{hint}")
        for (old, place, must), values in BAD_VALUES.items()
        for value, told in values.items()
        for wrong, semicolon, hint in [told.partition("; ")]
    ],
)
def test_a_wrong_value_is_named_with_its_place(old: str, value: str, message: str) -> None:
    key, _, _ = old.partition(":")
    assert problems_of(changed(old, f"{key}: {value}")) == [f"c.yaml:{message}"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(old, new, told) for old, lines in BAD_LINES.items() for new, told in lines.items()],
)
def test_a_wrong_line_is_named_with_its_place(old: str, new: str, message: str) -> None:
    assert problems_of(changed(old, new)) == [f"c.yaml:{message}"]


@pytest.mark.parametrize(("end", "message"), BAD_ENDS)
def test_a_wrong_setting_is_named_with_its_place(end: str, message: str) -> None:
    assert problems_of(f"{GOOD}{end}\n") == [f"c.yaml:{message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", f"1:1: error: not a mapping ('a'), must be a mapping with the keys {KEYS}"),
        ("\n- a", f"2:1: error: not a mapping (a list), must be a mapping with the keys {KEYS}"),
        (GOOD.encode() + b"\xff", "8:1: error: not UTF-8 (byte 0xff), must be UTF-8"),
    ],
)
def test_text_that_is_no_config_is_one_problem(text: str | bytes, message: str) -> None:
    assert problems_of(text) == [f"c.yaml:{message}"]


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    [(text, messages)] = cases(
        """
name: a b
network:
  depth: 017
  width: [1, x]
  activation: ReLU
  activation: ReLU
int: {variance: 1}
sweep:
  init.variance: [0.1, -1]
  init.varience: [1]
trials: true
> c.yaml:1:1: error: init: required key is missing, $INIT
> c.yaml:1:7: error: name: not a valid name ('a b'), $NAME
> c.yaml:3:3: error: network.input_dim: required key is missing, $DIM
> c.yaml:3:10: error: network.depth: not an integer ('017'), $DEPTH; a number has no leading zero
> c.yaml:4:14: error: network.width[1]: not an integer ('x'), $WIDTH
> c.yaml:6:3: error: network.activation: duplicate key (first in line 5), must be given once
> c.yaml:6:15: error: network.activation: unknown value ('ReLU'), $ACTIVATION; did you mean 'relu'?
> c.yaml:7:1: error: int: unknown key, must be one of $KEYS; did you mean 'init'?
> c.yaml:9:24: error: init.variance: too small (-1), $VARIANCE
> c.yaml:10:3: error: sweep.init.varience: unknown key, must be one of $PATHS; did you mean
> 'init.variance'?
> c.yaml:11:9: error: trials: not an integer (true), $COUNT
""",
        globals(),
    )
    assert " ".join(problems_of(text)) == messages


def test_what_the_sweep_replaces_is_checked_and_cannot_be_left_out_with_its_section() -> None:
    assert problems_of(changed("variance: 0.5", "variance: -1", SWEPT)) == [
        f"c.yaml:7:13: error: init.variance: too small (-1), {VARIANCE}"
    ]
    assert problems_of(changed("init:\n  variance: 0.5\n", "", SWEPT)) == [
        f"c.yaml:1:1: error: init: required key is missing, {INIT}"
    ]


def test_more_layers_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load.MAX_LAYERS == 10_000_000
    monkeypatch.setattr(load, "MAX_LAYERS", 20)  # five conditions of four
    text = GOOD + "sweep: {loss.target: [0, 1, 2, 3, 4]}\n"
    assert len(parse_config(text).conditions) == 5
    assert problems_of(text.replace("4]", "4, 5]")) == [
        "c.yaml:8:8: error: sweep: too many layers, must be at most 20 in all conditions together"
    ]


# the text of --set, and all that is then said, without the text
BAD_OVERRIDES = cases(
    """
init.variance=abc
> init.variance: not a number ('abc'), $VARIANCE
network.activation.name=relu,tanh
> network.activation.name: cannot be swept ('relu,tanh'), $ACTIVATION_NAMES; sweep
> network.activation
init.variance=1,1
> init.variance: the same as value 1, must be distinct
init.varience=1
> init.varience: unknown key, $NO_KEY; did you mean 'init.variance'?
init.std=0.02
> init.std: unknown key, $NO_KEY; write init.variance: 0.0004, its square
init.std=1e200
> init.std: unknown key, $NO_KEY; write init.variance, its square
init.first.std=0.02
> init.first.std: unknown key, $NO_KEY; write init.first.variance: 0.0004, its square
figure.nothing=dark
> figure.nothing: unknown key, $NO_KEY
figure.them=dark
> figure.them: unknown key, $NO_KEY; did you mean 'figure.theme'?
sweep.init.variance=1
> sweep.init.variance: unknown key, $NO_KEY; did you mean 'init.variance'?
=1
> '': unknown key, $NO_KEY
seed=
> seed: no value is given, $SEED
seed=[1
> seed: not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'
figure.decades=1,-1
> figure.decades: not a range ([1.0, -1.0]), must have the lower number first
expect.forward=stable
> expect.forward: unknown key, $NO_KEY
network={dpth: 1, depth: 1, width: 1, input_dim: 1}
> network.dpth: unknown key, must be one of $NETWORK_KEYS; did you mean 'network.depth'?
network.activation={name: prelu, negative_slope: [1, 2]}
> network.activation.negative_slope: wrong length (2), must be one for each of the 3 layers
network.activation={name: prelu, negative_slope: [1, 2, 1e-9]}
> network.activation.negative_slope[2]: too small (1e-09), must be 0 or at least 1e-06 in size
network.activation={name: leaky_relu, negative_slope: [1, 2]}
> network.activation.negative_slope: leaky_relu has one slope for all layers, must be a number;
> or take prelu
network.activation={name: leaky_relu, negative_slope: -1e-7}
> network.activation.negative_slope: too small (-1e-07), must be 0 or at least 1e-06 in size
""",
    globals(),
)


@pytest.mark.parametrize(("text", "message"), BAD_OVERRIDES)
def test_an_override_error_names_the_flag(text: str, message: str) -> None:
    assert problems_of(GOOD, text) == [f"--set {text}: error: {message}"]


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (
            ["init.variance=3,x,-1"],
            [
                f"--set init.variance=3,x,-1: error: init.variance: not a number ('x'), {VARIANCE}",
                f"--set init.variance=3,x,-1: error: init.variance: too small (-1), {VARIANCE}",
            ],
        ),
        (
            ["seed=1]\n--- [2"],
            ["--set seed=1]\\n--- [2: error: seed: a second document, must be one document"],
        ),
        (
            ["seed=&a 1", "trials=*a"],
            [
                "--set seed=&a 1: error: seed: anchor (&a), must be written out",
                "--set trials=*a: error: trials: alias (*a), must be written out",
            ],
        ),
        (
            ["network.activation=relu,linear", "network.activation.name=relu"],
            [
                (
                    "--set network.activation.name=relu: error: network.activation.name: "
                    "inside network.activation, which is swept, must be set there"
                )
            ],
        ),
        (
            ["name=" + "a" * 70 + "\n"],
            [f"--set name={'a' * 66}...: error: name: not a valid name ('{'a' * 36}...'), {NAME}"],
        ),
    ],
)
def test_override_errors_name_flags(overrides: list[str | Override], messages: list[str]) -> None:
    assert problems_of(GOOD, *overrides) == messages


def test_problems_of_the_file_come_before_those_of_overrides() -> None:
    found = problems_of(changed("depth: 3", "depth: x"), "seed=x", "trials=x")
    places = [problem.split(": error")[0] for problem in found]
    assert places == ["c.yaml:3:10", "--set seed=x", "--set trials=x"]


def test_an_override_without_a_value_is_an_error() -> None:
    assert parse_override("--set", "a=b=c") == Override("--set", "a", "b=c")
    with pytest.raises(ConfigError) as caught:
        parse_override("--set", "init.variance")
    assert caught.value.problems == [
        "--set: error: no value is given ('init.variance'), must be KEY=VALUE"
    ]


NO_BIAS = {"bias_variance": 0.0}
DIMS = {"depth": 3, "width": 4, "input_dim": 5, "output_dim": 1}
# overrides of the swept good config, and what the document then holds
OVERRIDES = [
    (["init.variance=3"], {"init": {"variance": 3.0, **NO_BIAS}, "sweep": {}}),
    (["init.variance=3,4"], {"init": NO_BIAS, "sweep": {"init.variance": [3.0, 4.0]}}),
    (["init.variance=3,4", "init.variance=5"], {"init": {"variance": 5.0, **NO_BIAS}, "sweep": {}}),
    (["sweep={}"], {"init": {"variance": 0.5, **NO_BIAS}, "sweep": {}}),
    (["init={scheme: he_normal}"], {"init": {"scheme": "he_normal", **NO_BIAS}, "sweep": {}}),
    (["init.scheme=he_normal", "init.variance=null"], {"init": {"scheme": "he_normal", **NO_BIAS}}),
    (["loss.target=2"], {"loss": {"name": "least_squares", "target": 2.0}}),
    (
        ["trials=7", "seed=9223372036854775807", "name=017"],
        {"trials": 7, "seed": 2**63 - 1, "name": "017"},
    ),
    *(
        ([f"figure.decades={text}"], {"figure": {"quantity": "variance", "decades": [-1.0, 1.5]}})
        for text in ("[-1, 1.5]", "-1,1.5")
    ),
    (
        ["network.width=[4,4,4],5"],
        {"sweep": {"init.variance": [1.0, 2.0], "network.width": [[4, 4, 4], 5]}},
    ),
    (
        ["network.activation=leaky_relu", "network.activation.negative_slope=0.1,1"],
        {
            "network": {**DIMS, "activation": {"name": "leaky_relu"}},
            "sweep": {"init.variance": [1.0, 2.0], "network.activation.negative_slope": [0.1, 1.0]},
        },
    ),
]


@pytest.mark.parametrize(("texts", "document"), OVERRIDES)
def test_overrides_set_and_sweep(texts: list[str], document: dict[str, object]) -> None:
    config = parsed(SWEPT, *texts)
    assert {key: config.document[key] for key in document} == document


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"trials": 7, "name": "017", "init.variance": 3}, "trials=7 name='017' init.variance=3"),
        ({"sweep": {"init.variance": [3, 4]}}, "init.variance=3,4"),
        (
            {"network.width": [4, 3, 2], "init.variance": 1e-7},
            "network.width=[4,3,2] init.variance=1e-7",
        ),
        (
            {"network.block": ["activation", "weights", {"add": {"scale": "1/sqrt(depth)"}}]},
            "network.block=[activation, weights, {add: {scale: 1/sqrt(depth)}}]",
        ),
    ],
)
def test_python_overrides_are_a_mapping_or_texts(
    overrides: dict[str, object], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SWEPT)
    texts = re.split(r" (?=[\w.]+=)", expected)
    config = load_config(path, overrides)
    assert config != load_config(path)
    assert config == load_config(str(path), texts)
    assert config == load_config(path, [parse_override("--set", text) for text in texts])


def test_one_text_is_one_override() -> None:
    assert parse_config(GOOD, overrides="trials=7").trials == 7


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"trials": "many"},
            f"overrides trials=\"many\": error: trials: not an integer ('many'), {COUNT}",
        ),
        (
            {"seed": math.inf},
            (
                "overrides: error: seed: no value of a config (float inf), "
                "must be of finite numbers, texts, lists, mappings"
            ),
        ),
        (["trials=0"], f"overrides trials=0: error: trials: too small (0), {COUNT}"),
        (["trials"], "overrides: error: no value is given ('trials'), must be KEY=VALUE"),
    ],
)
def test_problems_of_python_overrides_name_the_argument(overrides: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(GOOD, overrides=overrides)
    assert caught.value.problems == [message]


GOOD_ENDS = [
    "",
    "trials: 1000000\nseed: 0\nstream_version: 1\ndraws: independent\n",
    "inputs: {}\nloss: {target: -1}\nfigure: {}\nsweep: {}\n",
    "figure: {quantity: second_moment, decades: null, overlay: null}\n",
    "figure: {quantity: std, decades: [-1000000, 1e6], overlay: figure_7_4_published}\n",
    "figure: {theme: dark, size: [3.3, 2], font: Inter, font_size: 9, panels: forward, dpi: 300}\n",
    "figure: {size: slide, title: A, colors: viridis, decimal: ',', style: ggplot, formats: png}\n",
    "figure: {size: null, font: null, only: null, labels: null, formats: [pdf, svg]}\n",
    (
        "sweep: {network.width: [4, [1, 2, 3]]}\n"
        "figure: {only: {network.width: [1, 2, 3]}, labels: {1 2 3: more}, colors: [k, '#fff']}\n"
    ),
    (
        "sweep: {init.variance: [1, 2, 3]}\n"
        "figure: {only: {init.variance: [3, 1], network.depth: 3}, svg_text: true}\n"
    ),
    "sweep: {init.variance: [1, .5, 2., 1e-3, +3, 5e-324]}\n",
    "sweep: {init.variance: [1]}\n",
    "sweep: {network.width: [1, [1, 2, 3], 65536]}\n",
    "sweep: {network.activation: [relu, leaky_relu, {name: leaky_relu, negative_slope: -1}]}\n",
    "sweep: {network.activation: [relu, {name: linear, negative_slope: null}]}\n",
    "sweep: {network.depth: [1, 2], network.input_dim: [3, 4, 5], network.output_dim: [1, 9]}\n",
    "sweep: {loss.target: [0, 1], inputs.count: [1, 2], loss.name: [least_squares]}\n",
    "figure: {kind: layers, decades: [0, 1], overlay: figure_7_4_published}\n",
    "figure: {kind: end, decades: [0, 1], overlay: null}\nsweep: {network.width: [3, 5]}\n",
    "figure: {kind: slopes, quantity: std}\nsweep: {network.depth: [2, 3]}\n",
    "figure: {kind: spread, quantity: second_moment}\n",
    "figure: {kind: cosine}\nrecord: {cosine: true}\n",
    f"sweep: {{init: [{{scheme: he_normal, mode: fan_out}}, {[{'variance': 4.0}] * 4}]}}\n",
    "expect: {forward: stable}\n",
    "expect: []\n",
    "expect: [{backward: vanishing, when: {}}, {forward: null, max_decades_per_layer: 0}]\n",
    (
        "sweep: {init.variance: [1, 2e-2]}\n"
        "expect: [{forward: exploding, when: {init.variance: .02}}]\n"
    ),
    (
        "sweep: {network.width: [4, [1, 2, 3]]}\n"
        "expect: {forward: stable, when: {network.width: [1, 2, 3], network.activation: relu}}\n"
    ),
    (
        "sweep: {network.activation: [relu, leaky_relu]}\n"
        "expect: {forward: stable, when: {network.activation: {name: leaky_relu}}}\n"
    ),
]
BLOCK = "[activation, weights, {add: {scale: 1/sqrt(depth)}}]"
GOOD_TEXTS = [
    *(GOOD + end for end in GOOD_ENDS),
    SWEPT,
    changed("variance: 0.5", "scheme: lecun_normal\n  mode: fan_avg\n  gain: 1e-3"),
    changed("width: 4", "width: [4, 3, 2]\n  output_dim: 7\n  activation: linear"),
    changed("width: 4", "width: 4\n  activation: {name: leaky_relu, negative_slope: -1000}"),
    changed("init:\n  variance: 0.5\n", "init: {mode: fan_out}\n")
    + "sweep: {init.scheme: [he_normal, xavier_normal], init.gain: [1, 2]}\n",
    changed("init:\n  variance: 0.5\n", "init: {variance: null, scheme: he_normal, gain: null}\n"),
    (
        "name: a\nnetwork: {}\ninit: {}\nsweep: {network.depth: [1], network.width: [2], "
        "network.input_dim: [3], init.variance: [4]}\n"
    ),
    CNN,
    CNN + "sweep: {network.image: [[4, 6], [9]], network.kernel: [1, 3]}\n",
    CNN + "sweep: {network.padding: [zero, circular], network.readout: [flatten, mean]}\n",
    CNN + "sweep: {network.channels: [8, [8, 8, 8]], network.input_channels: [1, 3]}\n",
    CNN.replace("channels: 8", "channels: [8, 4, 2]\n  block:\n  stem: null"),
    CNN + f"sweep: {{network.block: [[weights, activation], {BLOCK}]}}\n"
    "expect: [{forward: stable, when: {network.block: [weights, activation]}}, "
    f"{{backward: stable, when: {{network.block: {BLOCK}, network.image: [4, 6]}}}}]\n",
    GOOD + "sweep: {network.head: [[weights], [norm, weights]], network.stem: [[weights, norm]]}\n",
    GOOD.replace("  width: 4", f"  width: 4\n  block: {BLOCK}")
    + "sweep: {network.block.2.add.scale: [0.5, 1/sqrt(depth), [0, 1]]}\n"
    "expect: {forward: stable, when: {network.block.2.add.scale: 1/sqrt(depth)}}\n",
    GOOD.replace("  width: 4", f"  width: 4\n  block: {BLOCK}")
    + "sweep: {network.block.0.activation: [gelu, {name: prelu}], network.block.2.add.skip: [2]}\n"
    "figure: {only: {network.block.0.activation: gelu}}\n",
    "\ufeff%YAML 1.2\n---\n" + GOOD + "...\n",
    GOOD.replace("\n", "\r\n"),
]


@pytest.mark.parametrize("text", [*GOOD_TEXTS, *(path.read_text() for path in CONFIGS)])
def test_the_resolved_document_is_the_same_config(text: str) -> None:
    config = parse_config(text)
    written = to_yaml(config.document)
    again = parse_config(written)
    assert again == config
    assert to_yaml(again.document) == written
    assert again.document == config.document
    assert [condition.index for condition in config.conditions] == [*range(len(config.conditions))]
    assert all(dict(c.swept).keys() == dict(config.sweep).keys() for c in config.conditions)


def test_the_resolved_document_spells_out_every_default() -> None:
    assert to_yaml(parse_config(GOOD).document) == GOOD.replace(
        "init:", "  output_dim: 1\n  activation: relu\ninit:"
    ) + (
        "  bias_variance: 0.0\ninputs:\n  distribution: standard_normal\n  count: 100\n"
        "loss:\n  name: least_squares\n  target: 0.0\n"
        "sweep: {}\ntrials: 100\nseed: 0\nstream_version: 1\ndraws: common\n"
        "figure:\n  quantity: variance\n"
    )
    text = changed("width: 4", "width: 4\n  activation: leaky_relu")
    network: Any = parse_config(text).document["network"]
    assert network["activation"] == {"name": "leaky_relu", "negative_slope": 0.01}


def test_figure_7_4_is_what_the_book_says() -> None:
    config = load_config(CONFIGS[0].with_name("figure_7_4.yaml"))
    assert (config.name, config.draws) == ("figure_7_4", "common")
    assert (config.trials, config.seed) == (100, 0)
    assert config.figure == FigureConfig()
    assert config.sweep == {"init.variance": (0.001, 0.01, 0.02, 0.1, 1.0)}
    for condition, variance in zip(config.conditions, config.sweep["init.variance"], strict=True):
        assert condition.swept == {"init.variance": variance}
        assert condition.widths == (*[100] * 51, 1)
        assert condition.weight_variances == (variance,) * 51
        assert {row[1:] for row in condition.layers} == {(Activate("relu"),), ()}
        assert (condition.n_inputs, condition.loss.target) == (100, 0.0)


def test_the_published_figure_differs_only_in_how_it_is_drawn() -> None:
    config = load_config(str(CONFIGS[0].with_name("figure_7_4_published.yaml")))
    assert config.figure == FigureConfig("std", (-100.0, 100.0), "figure_7_4_published")
    variance = load_config(CONFIGS[0].with_name("figure_7_4.yaml"))
    assert config.conditions == variance.conditions


def test_the_last_path_of_the_grid_varies_fastest() -> None:
    config = parse_config(GOOD + "sweep: {loss.target: [2, 1], network.depth: [1, 2]}\n")
    assert [dict(condition.swept) for condition in config.conditions] == [
        {"loss.target": 2.0, "network.depth": 1},
        {"loss.target": 2.0, "network.depth": 2},
        {"loss.target": 1.0, "network.depth": 1},
        {"loss.target": 1.0, "network.depth": 2},
    ]
    assert [condition.depth for condition in config.conditions] == [1, 2, 1, 2]
    assert [condition.loss.target for condition in config.conditions] == [2.0, 2.0, 1.0, 1.0]
    assert all(isinstance(condition.loss.target, float) for condition in config.conditions)


def test_swept_values_are_the_validated_ones() -> None:
    config = parse_config(
        GOOD + "sweep: {network.activation: [relu, leaky_relu], network.width: [[1, 2, 3], 4]}\n"
    )
    leaky = {"name": "leaky_relu", "negative_slope": 0.01}
    assert config.sweep == {"network.activation": ("relu", leaky), "network.width": ((1, 2, 3), 4)}
    last = config.conditions[-1]
    assert last.swept == {"network.activation": leaky, "network.width": 4}
    assert last.layers[0][1] == Activate("leaky_relu", (("negative_slope", 0.01),))


def test_an_expectation_knows_its_conditions() -> None:
    text = """\
sweep: {init.variance: [1, 0.02], network.activation: [relu, leaky_relu]}
expect:
  - {forward: stable, max_decades_per_layer: 1, when: {init.variance: 2e-2, network.depth: 3}}
  - {backward: exploding, when: {network.activation: {name: leaky_relu, negative_slope: 0.01}}}
  - {forward: vanishing}
"""
    config = parse_config(GOOD + text)
    leaky = {"name": "leaky_relu", "negative_slope": 0.01}
    assert config.expect == (
        Expectation({"init.variance": 0.02, "network.depth": 3}, (2, 3), "stable", None, 1.0),
        Expectation({"network.activation": leaky}, (1, 3), None, "exploding", None),
        Expectation({}, (0, 1, 2, 3), "vanishing", None, None),
    )
    alone = parse_config(GOOD + "expect: {forward: stable}\n")
    assert alone.expect == (Expectation({}, (0,), "stable", None, None),)
    assert alone.document["expect"] == [{"forward": "stable"}]


def test_every_expectation_that_matches_nothing_is_named() -> None:
    text = GOOD + "expect: {forward: stable, when: {init.variance: 1, network.depth: 2}}\n"
    assert len(problems_of(text)) == 2


def test_a_setting_from_the_command_line_can_leave_an_expectation_alone() -> None:
    text = GOOD + "expect: {forward: stable, when: {init.variance: 0.5}}\n"
    assert problems_of(text, "init.variance=1") == [
        (
            "c.yaml:8:49: error: expect.when.init.variance: matches no condition (0.5), "
            "must be 1.0; expect=[] takes all expectations back"
        )
    ]
    assert parsed(text, "init.variance=1", "expect=[]").expect == ()


def calls_to_read(text: str) -> int:
    """Calls of Python functions that reading a config takes."""
    n_calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal n_calls
        n_calls += event == "call"

    sys.setprofile(count)
    try:
        parse_config(text)
    finally:
        sys.setprofile(None)
    return n_calls


def test_expectations_and_conditions_are_not_each_looked_at_for_each_other() -> None:
    def text(n: int) -> str:
        expected = "{forward: stable, when: {init.variance: 7}}, "
        return f"{GOOD}sweep: {{init.variance: {[*range(1, n + 1)]}}}\nexpect: [{expected * n}]\n"

    calls_to_read(text(50))  # what is cached
    assert calls_to_read(text(200)) < 2.5 * calls_to_read(text(100))  # 4 if they were


@pytest.mark.slow
def test_ten_thousand_conditions_are_read() -> None:
    values = ", ".join(str(n / 7) for n in range(1, 10_001))
    text = changed("depth: 3", "depth: 50") + f"sweep: {{init.variance: [{values}]}}"
    assert len(parse_config(text).conditions) == 10_000


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse_config(GOOD).seed = 1  # type: ignore[misc]  # the error is what is tested


def test_the_deepest_network_is_read() -> None:
    (condition,) = parse_config(changed("depth: 3", "depth: 100000")).conditions
    assert (condition.depth, len(condition.weight_variances)) == (100_000, 100_001)


# The schema

PROPERTIES = {
    "": KEYS,
    "Network": NETWORK_KEYS,
    "Activation": "name, negative_slope, frequency",
    "Add": "scale, skip",
    "Attention": "heads, causal",
    "Dropout": "rate",
    "Gate": "activation, expand",
    "Norm": "kind",
    "Stage": "repeat, block",
    "Weights": "expand, init, kernel, stride, groups",
    "Init": f"{INIT_KEYS}, first, last",
    "LayerInit": INIT_KEYS,
    "LayerOptions": INIT_KEYS,
    "Inputs": INPUT_KEYS,
    "Loss": "name, target",
    "Sweep": PATHS,
    "When": PATHS,
    "Expectation": "forward, backward, max_decades_per_layer, width_slope, when",
    "WidthSlope": "quantity, within, layer",
    "Update": "learning_rate, first, last, biases, optimiser",
    "Record": "histograms, cosine, units, range, jacobian, batch_gradient, update",
    "Figure": FIGURE_KEYS,
}


def objects(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    models = copy.deepcopy(schema["$defs"])
    _, models["Activation"] = models["Activation"]["anyOf"]
    return {"": schema, **models}


def test_the_schema_is_closed_and_names_every_key() -> None:
    schema = config_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "heinit-sim config"
    assert schema["required"] == ["name", "network"]
    assert objects(schema).keys() == PROPERTIES.keys()
    for name, model in objects(schema).items():
        assert model["additionalProperties"] is False
        assert ", ".join(model["properties"]) == PROPERTIES[name]
        required = name in ("", "Stage", "WidthSlope")
        assert required or "required" not in model  # these may come from the sweep
        for field in model["properties"].values():
            assert "description" in field


def test_the_schema_has_the_limits_of_the_models() -> None:
    models = objects(config_schema())
    depth, _ = models["Network"]["properties"]["depth"]["anyOf"]
    assert (depth["type"], depth["minimum"], depth["maximum"]) == ("integer", 1, 100_000)
    assert models["Sweep"]["properties"]["network.depth"]["items"]["maximum"] == 100_000
    assert models[""]["properties"]["seed"]["maximum"] == 2**63 - 1
    variance, null = models["Init"]["properties"]["variance"]["anyOf"]
    number, text = variance["anyOf"]
    assert (number["exclusiveMinimum"], null) == (0, {"type": "null"})
    assert text["type"] == "string"
    scheme, _ = models["Init"]["properties"]["scheme"]["anyOf"]
    assert scheme["enum"] == list(SCHEMES)
    names, _ = config_schema()["$defs"]["Activation"]["anyOf"]
    assert names["enum"] == list(get_args(ActivationName))


SCHEMA = config_schema()
TYPES: dict[str, list[type]] = {
    "object": [dict],
    "array": [list],
    "string": [str],
    "null": [type(None)],
    "boolean": [bool],
    "integer": [int],
    "number": [int, float],
}


def accepts(schema: Mapping[str, Any], value: object, models: Mapping[str, Any]) -> bool:
    """JSON Schema, as far as `config_schema` uses it."""
    if "$ref" in schema:
        return accepts(models[schema["$ref"].rpartition("/")[2]], value, models)
    for key in ("anyOf", "oneOf", "allOf"):  # older releases of pydantic write allOf: [$ref]
        if key in schema:
            fits = [accepts(branch, value, models) for branch in schema[key]]
            return {"anyOf": any(fits), "oneOf": sum(fits) == 1, "allOf": all(fits)}[key]
    if type(value) not in TYPES[schema["type"]]:
        return False
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema["additionalProperties"]
        for pattern in schema.get("patternProperties", ()):
            value = {key: v for key, v in value.items() if not re.search(pattern, key)}
        closed = set(schema.get("required", [])) <= value.keys()
        closed &= bool(other) or value.keys() <= known.keys()
        return closed and all(accepts(known.get(k, other), v, models) for k, v in value.items())
    if isinstance(value, list):
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        items = all(accepts(schema["items"], item, models) for item in value)
        return items and low <= len(value) <= high
    if isinstance(value, str):
        named = re.search(schema.get("pattern", ""), value) is not None
        named &= schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return named and value in schema.get("enum", [schema.get("const", value)])
    if value is None or isinstance(value, bool):
        return True
    assert isinstance(value, int | float)
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above: float = schema.get("exclusiveMinimum", -math.inf)
    below: float = schema.get("exclusiveMaximum", math.inf)
    return bool(low <= value <= high and above < value < below)


@pytest.mark.parametrize("text", [*GOOD_TEXTS, *(path.read_text() for path in CONFIGS)])
def test_the_schema_accepts_every_good_config(text: str) -> None:
    assert accepts(SCHEMA, parse(text).value, SCHEMA["$defs"])
    assert accepts(SCHEMA, parse_config(text).document, SCHEMA["$defs"])


def test_the_schema_refuses_what_is_wrong() -> None:
    schema = config_schema()
    good = parse_config(GOOD).document
    for bad in ({"name": "a b"}, {"seed": -1}, {"init": {"variance": 0}}, {"tirals": 1}):
        assert not accepts(schema, {**good, **bad}, schema["$defs"])


# Fuzzing: whatever is given, a config or problems of one line each

few = settings(max_examples=150, derandomize=True, deadline=None, database=None)
many = settings(max_examples=300, derandomize=True, deadline=None, database=None)
LINE = re.compile(r"(c\.yaml:[1-9]\d*:[1-9]\d*|--set .*=.*): error: .+")


def check(text: str | bytes, *overrides: Override) -> SweepConfig | None:
    try:
        config = parse_config(text, "c.yaml", overrides)
    except ConfigError as error:
        found = error.problems
    else:
        assert parse_config(to_yaml(config.document)) == config
        return config
    assert found
    assert len(set(found)) == len(found)
    assert all(LINE.fullmatch(problem) and problem.isprintable() for problem in found)
    assert "Input should" not in "".join(found)
    return None


@pytest.mark.slow
@few
@given(st.binary() | st.text())
def test_any_text(text: str | bytes) -> None:
    check(text)


TOKENS = [
    *re.findall(r"\w+(?:\.\w+)*|[^\w]", GOOD + "".join(GOOD_ENDS)),
    *["0", "-1", "1e999", ".inf", ".nan", "017", "1:30", "yes", "true", "null", "~", "3.0", "'3'"],
    *["x", "he_normal", "fan_in", "[]", "{}", "[1]", "{a: 1}", "a: ", "leaky_relu"],
    *["&a ", "*a ", "!!int ", "- ", "? ", "---\n", "<<", "\t", '"\\uD800"', "\x00"],
    *["\ufeff", "#", "|", ">"],
]
edits = st.lists(
    st.tuples(
        st.sampled_from(["drop", "insert", "replace", "swap"]),
        st.integers(0, 10_000),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=6,
)


def edited(text: str, changes: list[tuple[str, int, str]]) -> str:
    tokens = re.findall(r"[\w.]+|[^\w.]", text)
    for change, at, token in changes:
        n = at % len(tokens)
        if change == "drop":
            del tokens[n]
        elif change == "insert":
            tokens.insert(n, token)
        elif change == "replace":
            tokens[n] = token
        else:
            tokens[n], tokens[0] = tokens[0], tokens[n]
    return "".join(tokens)


@few
@given(st.sampled_from(GOOD_TEXTS), edits)
def test_any_edited_config(text: str, changes: list[tuple[str, int, str]]) -> None:
    check(edited(text, changes))


leaves: st.SearchStrategy[object] = st.sampled_from(
    [
        *[None, True, 0, 1, 2, 3, 0.5, -1.0, 3.0, 2**70, float("inf"), float("nan")],
        *["", "x", "relu", "leaky_relu", "he_normal", "fan_in", "standard_normal", "017"],
        *["cnn", "1/sqrt(depth)", "\x85", [], {}, [1, 2], ["relu"], [[1, 2, 3]], [1, 1], [4, 4]],
        *[{"name": "leaky_relu"}, {"name": "relu", "negative_slope": 1}, [None, {}]],
        *[{"scale": "1/sqrt(depth)"}, {"forward": "stable", "when": {"init.variance": 2}}],
        [{"forward": "stable"}, {"when": {"network.activation": "relu"}}],
    ]
)
paths = st.sampled_from(
    [
        *KEYS.split(", "),
        *PATHS.split(", "),
        *(f"sweep/{path}" for path in PATHS.split(", ")),
        *("figure.decades", "expect.forward", "expect.when", "network.x", "x"),
        *("sweep/x", "sweep/trials", "network.activation.name", "network.kind"),
    ]
)


def ways(path: str) -> list[str]:
    section, slash, rest = path.partition("/")
    return [section, rest] if slash else path.split(".")


@pytest.mark.slow
@many
@given(st.sampled_from(GOOD_TEXTS), st.lists(st.tuples(paths, leaves), min_size=1, max_size=5))
def test_any_exchanged_values(text: str, changes: list[tuple[str, object]]) -> None:
    tree: Any = parse(text).value
    for path, leaf in changes:
        *parents, key = ways(path)
        inner = tree
        for parent in parents:
            if not isinstance(inner.get(parent), dict):
                inner[parent] = {}
            inner = inner[parent]
        inner[key] = copy.deepcopy(leaf)
    check(to_yaml(tree))


override_texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from(TOKENS), max_size=6).map("".join),
    st.lists(leaves.map(lambda leaf: to_yaml({"a": [leaf]})[4:-2]), max_size=3).map(",".join),
)


@pytest.mark.slow
@many
@given(
    st.sampled_from(GOOD_TEXTS),
    st.lists(
        st.builds(Override, st.just("--set"), paths | st.text(max_size=9), override_texts),
        min_size=1,
        max_size=4,
    ),
)
def test_any_overrides(text: str, overrides: list[Override]) -> None:
    check(text, *overrides)


def test_the_fuzzers_reach_good_configs_too() -> None:
    """Else they would only see the first mistake of every config."""

    def reached() -> Iterator[bool]:
        for n in range(200):
            yield check(edited(GOOD, [("insert", 7 * n, " "), ("replace", 9 * n, "3")])) is not None

    assert 10 < sum(reached()) < 190


def test_slopes_are_of_all_layers_or_one_for_each_layer_of_prelu() -> None:
    for activation, slope in {
        "prelu": 0.25,
        "{name: prelu, negative_slope: 1}": 1.0,
        "{name: prelu, negative_slope: [0, -1, 0]}": (0.0, -1.0, 0.0),
        "{name: leaky_relu, negative_slope: 0}": 0.0,
        "{name: leaky_relu, negative_slope: 1e-6}": 1e-6,
    }.items():
        found = parsed(GOOD, f"network.activation={activation}").conditions[0]
        slopes = slope if isinstance(slope, tuple) else (slope,) * 3
        for row, number in zip(found.layers[:-1], slopes, strict=True):
            assert isinstance(step := row[1], Activate)
            assert str(step.function) in activation
            assert step.options == (("negative_slope", number),)


def test_slopes_by_layer_can_be_swept_and_selected() -> None:
    swept = "sweep: {network.activation.negative_slope: [0.5, [0, 1, 2]]}\n"
    when = "expect: {forward: stable, when: {network.activation.negative_slope: [0, 1, 2]}}\n"
    found = parsed(changed("width: 4", "width: 4\n  activation: prelu") + swept + when)
    steps = [[row[1] for row in c.layers[:-1]] for c in found.conditions]
    slopes = [[s.options[0][1] for s in row if isinstance(s, Activate)] for row in steps]
    assert slopes == [[0.5] * 3, [0.0, 1.0, 2.0]]
    assert found.expect[0].conditions == (1,)


def test_a_distribution_may_be_given_beside_a_variance_or_in_place_of_the_schemes() -> None:
    given = {
        "{variance: 0.5}": "normal",
        "{variance: 0.5, distribution: uniform}": "uniform",
        "{scheme: torch_linear_default}": "uniform",
        "{scheme: he_normal, distribution: truncated_normal}": "truncated_normal",
    }
    for init, expected in given.items():
        config = parse_config(changed("init:\n  variance: 0.5\n", f"init: {init}\n"))
        assert {s.weight_distribution for s in config.conditions[0].every_spec} == {expected}


TOO_MANY = [
    "".join(f"k{n}: 1\n" for n in range(2000)),
    "loss: {" + ", ".join(f"k{n}: 1" for n in range(2000)) + "}\n",
    "sweep: {network.width: [" + "x, " * 2000 + "]}\n",
    "sweep: {" + ", ".join(f"k{n}: [1]" for n in range(2000)) + "}\n",
    "loss: [" + "*a, " * 2000 + "]\n",
    "loss: 1\n" * 2000,
]


@pytest.mark.parametrize("wrong", slow_but(TOO_MANY, *TOO_MANY[4:]))
def test_of_many_mistakes_the_thousand_first_are_told(wrong: str) -> None:
    *told, last = problems_of(f"{GOOD}{wrong}")
    assert len(set(told)) == ENOUGH == 1000
    assert last == "c.yaml: error: more than 1000 mistakes, of which these are some"
