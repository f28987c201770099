"""Blocks as rows of steps: what each option makes of them, and what is said of senseless ones."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heinit_sim.config import completions, parse_config, to_yaml
from heinit_sim.config.schema.annotations import section_of
from heinit_sim.config.schema.steps import STEPS, step_settings
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.labels import swept_text
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Pool,
    Row,
    Weights,
    WeightSpec,
    Window,
)
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from tests.configs import parsed, problems, unplaced_problems
from tests.rows import cases

DENSE = "name: a\nnetwork:\n  depth: 5\n  width: 8\n  input_dim: 6\ninit: {scheme: lecun_normal}\n"
CNN = (
    "name: a\nnetwork:\n  kind: cnn\n  depth: 5\n  image: [8, 8]\n  kernel: 3\n  channels: 4\n"
    "init: {scheme: lecun_normal}\n"
)
TOKENS = "inputs.tokens=4"


README = Path(__file__).parents[3] / "configs/README.md"


def condition(text: str, *sets: str) -> Condition:
    (found,) = parsed(text, *sets).conditions
    return found


def weights(inputs: int, outputs: int, variance: float | None = None) -> Weights:
    """Fully connected weights, by default of LeCun's variance."""
    return Weights(WeightSpec(1 / inputs if variance is None else variance), inputs, outputs)


# Rows of the layers


def test_without_a_block_layers_are_weights_and_an_activation() -> None:
    found = condition(DENSE)
    inner: Row = (weights(8, 8), Activate("relu"))
    stem: Row = (weights(6, 8), Activate("relu"))
    assert found.layers == (stem, inner, inner, inner, inner, (weights(8, 1),))
    assert len({id(row) for row in found.layers}) == 3
    written = parsed(DENSE, "network.block=[weights, activation]", "network.head=[weights]")
    assert written == parsed(DENSE)
    assert not {"block", "head", "stem"} & set(written.document["network"])  # type: ignore[call-overload]  # a mapping


def test_a_block_that_adds_has_weights_alone_before_it() -> None:
    block = "[norm, {weights: {expand: 4}}, activation, weights, add]"
    found = condition(DENSE, f"network.block={block}")
    row: Row = (Norm(), weights(8, 32), Activate("relu"), weights(32, 8), Add())
    assert found.layers == ((weights(6, 8),), *[row] * 4, (weights(8, 1),))
    stem = condition(DENSE, f"network.block={block}", "network.stem=[weights, norm]")
    assert stem.layers[0] == (weights(6, 8), Norm())
    plain = condition(DENSE, "network.stem=[weights, norm]")
    assert plain.layers[:2] == ((weights(6, 8), Norm()), (weights(8, 8), Activate("relu")))


def test_stages_follow_one_another_and_say_how_deep_a_network_is() -> None:
    stages = "[{repeat: 2, block: [weights, activation]}, {block: [activation, weights, add]}]"
    text = DENSE.replace("  depth: 5\n", "")
    found = condition(text, f"network.block={stages}")
    assert found.depth == 4
    assert [len(row) for row in found.layers] == [1, 2, 2, 3, 1]
    assert condition(DENSE, f"network.block={stages}", "network.depth=4") == found
    by_stage = condition(
        text,
        "network.block=[{repeat: 2, block: [weights]}, {block: [weights]}]",
        "network.width=[8, 4]",
    )
    assert by_stage.widths == (6, 8, 8, 4, 1)


def test_a_cnn_has_strides_groups_kernels_and_images_that_shrink() -> None:
    stages = (
        "[{block: [{weights: {stride: 2}}, activation]}, "
        "{repeat: 3, block: [{weights: {kernel: 1, groups: 4}}, {norm: {kind: batch}}, add]}]"
    )
    found = condition(CNN, f"network.block={stages}", "network.readout=mean")
    spec = WeightSpec(1 / 9)
    assert found.layers[0] == (Weights(spec, 64, 256, Window((8, 8), 3, "zero")),)
    spec = WeightSpec(1 / 36)
    strided = Weights(spec, 256, 64, Window((8, 8), 3, "zero", 2))
    assert found.layers[1] == (strided, Activate("relu"))
    grouped = Weights(WeightSpec(1.0), 64, 64, Window((4, 4), 1, "zero", 1, 4))
    assert found.layers[2] == (grouped, Norm("batch", 16), Add())
    assert found.layers[-1] == (Pool(16), weights(4, 1))
    odd = condition(
        CNN,
        "network.image=[7, 9]",
        "network.kernel=2",
        "network.depth=2",
        "network.block=[{weights: {stride: 3}}, activation]",
        "network.kernel=2",
    )
    assert odd.widths == (63, 4 * 3 * 3, 4 * 1 * 1, 1)


def test_the_head_may_have_steps_before_its_weights_and_an_activation_behind() -> None:
    head = "[norm, {weights: {expand: 2}}, activation, weights, {activation: tanh}]"
    found = condition(DENSE, f"network.head={head}")
    row = (Norm(), weights(8, 16), Activate("relu"), weights(16, 1), Activate("tanh"))
    assert found.layers[-1] == row
    pooled = condition(CNN, "network.readout=mean", "network.head=[{norm: {kind: batch}}, weights]")
    assert pooled.layers[-1] == (Norm("batch", 64), Pool(64), weights(4, 1))
    flat = condition(CNN, "network.head=[{norm: {kind: batch}}, weights]")
    assert flat.layers[-1] == (Norm("batch", 64), weights(256, 1))


def test_init_of_a_step_overrides_that_of_the_layer() -> None:
    block = "[{weights: {init: {variance: 0.5}}}, {weights: {init: {gain: 3}}}, weights]"
    inits = "{scheme: xavier_normal, bias: 2, first: {bias: 1}, last: {variance: 7}}"
    found = condition(DENSE, f"network.block={block}", f"init={inits}")
    specs = [[w.spec for w in row if isinstance(w, Weights)] for row in found.layers]
    assert specs[1] == [
        WeightSpec(0.5, bias_mean=2.0),
        WeightSpec(9 / 8, bias_mean=2.0),
        WeightSpec(1 / 8, bias_mean=2.0),
    ]
    assert [spec.bias_mean for spec in specs[0]] == [1.0] * 3
    assert specs[-1] == [WeightSpec(7.0, bias_mean=2.0)]


def test_an_activation_for_each_layer() -> None:
    names = ["tanh", "relu", "gelu", "sin", "selu"]
    found = condition(DENSE, f"network.activation=[{', '.join(names)}]")
    assert [row[-1] for row in found.layers[:-1]] == [Activate(name) for name in names]
    sloped = "network.activation=[relu, {name: prelu, negative_slope: 0.5}, relu, relu, prelu]"
    assert condition(DENSE, sloped).layers[1][1] == Activate("prelu", (("negative_slope", 0.5),))
    swept = parsed(DENSE, "network.activation=tanh,relu")
    assert len(swept.conditions) == 2


def test_arithmetic_is_of_the_depth_the_width_and_the_fan_in() -> None:
    add = "{add: {scale: 1/sqrt(2*depth), skip: (width - 8) + fan_in/8}}"
    block = f"network.block=[{{weights: {{expand: 8/3}}}}, weights, {add}]"
    found = condition(DENSE, block)
    assert found.layers[1] == (
        weights(8, 21),
        weights(21, 8),
        Add(1 / math.sqrt(10), 21 / 8),
    )
    assert parsed(DENSE, block).document["network"]["block"][2] == {  # type: ignore[index]  # a mapping
        "add": {"scale": "1/sqrt(2*depth)", "skip": "(width - 8) + fan_in/8"}
    }
    deep = parsed(DENSE, block, "network.depth=2,3")
    scales = [c.layers[1][-1] for c in deep.conditions]
    assert [s.scale for s in scales if isinstance(s, Add)] == [0.5, 1 / math.sqrt(6)]


def test_add_takes_a_number_for_each_block() -> None:
    found = condition(DENSE, "network.block=[weights, {add: {scale: [0, -1, 1/depth, 0]}}]")
    ends = [row[-1] for row in found.layers[1:-1]]
    assert ends == [Add(0.0), Add(-1.0), Add(0.2), Add(0.0)]
    assert found.layers[1] is found.layers[4]


def test_sequences_are_inputs_next_to_each_other() -> None:
    found = condition(
        DENSE,
        TOKENS,
        "inputs.count=3",
        "network.block=[{attention: {heads: 2, causal: true}}, weights, add]",
    )
    assert found.n_inputs == 12
    one = weights(8, 8)
    assert found.layers[1] == (Attention(one, one, one, 2, True, 4), one, Add())


def test_a_gate_has_two_matrices_and_its_own_activation() -> None:
    found = condition(DENSE, "network.block=[{gate: {activation: silu, expand: 2}}, weights]")
    assert found.layers[1] == (
        Gate(weights(8, 16), weights(8, 16), Activate("silu")),
        weights(16, 8),
    )
    assert condition(DENSE, "network.block=[gate]").layers[1] == (
        Gate(weights(8, 8), weights(8, 8), Activate("relu")),
    )


# Every option of every step

OPTIONS: dict[str, dict[str, Any]] = {
    "weights": {"expand": 2, "init": {"gain": 2.5}, "kernel": 1, "stride": 2, "groups": 2},
    "activation": {"name": "tanh", "negative_slope": 0.5, "frequency": 2},
    "norm": {"kind": "rms"},
    "gate": {"activation": "tanh", "expand": 2},
    "dropout": {"rate": 0.25},
    "attention": {"heads": 2, "causal": True},
    "add": {"scale": 0.5, "skip": 2},
}
"""Word -> each option and a value other than its default."""


def test_every_option_of_every_step_is_tried_below() -> None:
    known = {word: section_of(model) for word, (model, _) in STEPS.items()}
    assert {word: list(given) for word, given in OPTIONS.items()} == {
        word: list(model.model_fields) for word, model in known.items() if model
    }


@pytest.mark.parametrize(
    ("word", "option"), [(word, option) for word, given in OPTIONS.items() for option in given]
)
def test_no_option_is_dropped(word: str, option: str) -> None:
    """It changes the condition, is in the document, and can be set and swept by its path."""
    cnn = option in ("kernel", "stride", "groups")
    text = CNN.replace("depth: 5", "depth: 2") if cnn else DENSE
    value = OPTIONS[word][option]
    more = {"name": "prelu"} if option == "negative_slope" else {}
    if word == "activation":
        more = {"name": "sin" if option == "frequency" else "leaky_relu"}
    sets = [TOKENS] if word == "attention" else []
    stem = "network.stem=[weights]"

    def block(options: dict[str, Any]) -> str:
        steps = [{word: options}, "weights"] if word != "add" else ["weights", {word: options}]
        return f"network.block={to_yaml({'b': steps})[3:].strip()}"

    usual = condition(text, stem, block(more), *sets)
    config = parsed(text, stem, block({**more, option: value}), *sets)
    changed = config.conditions[0]
    assert changed.layers != usual.layers
    assert changed.layers[0] == usual.layers[0]
    assert str(value) in str(config.document["network"]["block"])  # type: ignore[index]  # a mapping
    place = 1 if word == "add" else 0
    path = f"network.block.{place}.{word}.{option}"
    if path.endswith("activation.name"):
        path = path.removesuffix(".name")
    as_text = to_yaml({"v": value})[3:].strip() if not isinstance(value, dict) else "{gain: 2.5}"
    by_path = parsed(text, stem, block(more), *sets, f"{path}={as_text}")
    assert by_path.conditions[0].layers == changed.layers
    swept = parsed(text, stem, block(more), *sets, f"sweep={{{path}: [{as_text}]}}")
    assert swept.conditions[0].layers == changed.layers
    assert parse_config(to_yaml(swept.document)) == swept
    when = f"expect={{forward: stable, when: {{{path}: {as_text}}}}}"
    expected = parsed(text, stem, block(more), *sets, f"sweep={{{path}: [{as_text}]}}", when)
    assert expected.expect[0].conditions == (0,)


@pytest.mark.parametrize("word", STEPS)
def test_a_word_alone_is_the_step_without_options(word: str) -> None:
    def block(step: str) -> str:
        return f"network.block=[{f'weights, {step}' if word == 'add' else f'{step}, weights'}]"

    found = condition(DENSE, TOKENS, block(word))
    for options in ("{}", "null") if word != "activation" else ("null",):
        assert condition(DENSE, TOKENS, block(f"{{{word}: {options}}}")) == found
    assert parsed(DENSE, TOKENS, block(f"{{{word}: null}}")).document == (
        parsed(DENSE, TOKENS, block(word)).document
    )


def test_every_setting_of_a_step_says_what_it_means_and_takes() -> None:
    known = {path: setting for path, _, setting in step_settings()}
    assert len(known) == len({*known})
    assert all(setting.meaning[0].isupper() and str(setting) for setting in known.values())
    assert "network.block.#.block.#.add.scale" in known
    assert completions("network.block.2.norm.kind=") == [
        f"network.block.2.norm.kind={word}" for word in ("layer", "rms", "batch")
    ]
    assert completions("network.stem.0.weights.init.bias_v") == [
        "network.stem.0.weights.init.bias_variance="
    ]


def test_the_readme_has_a_row_for_every_step_with_all_of_its_options() -> None:
    section = README.read_text("utf-8").partition("## Blocks")[2].partition("## ")[0]
    for word, options in OPTIONS.items():
        (row,) = re.findall(rf"^\| `{word}` \|.*$", section, re.M)
        assert all(f"`{option}" in row for option in options if word != "activation")
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.S)
    dense, staged = (f"name: a\n{block}init: {{scheme: he_normal}}\n" for block in blocks)
    rows = condition(dense, "network.depth=3", "network.width=8", "network.input_dim=8").layers
    assert [len(row) for row in rows] == [1, 5, 5, 2]
    images = condition(staged, "network.image=[8, 8]", "network.kernel=3")
    assert images.widths == (64, *[1024] * 4, *[512] * 3, 1)


# Sweeps and selections


def test_blocks_are_swept_as_a_whole_and_selected() -> None:
    text = DENSE + (
        "sweep: {network.block: [[weights, activation], [norm, weights, {activation: gelu}], "
        "[activation, weights, {add: {scale: 0.5}}], [{repeat: 5, block: [weights, norm]}]]}\n"
        "expect:\n"
    )
    for when, places in {
        "[weights, activation]": (0,),
        "[[weights, {activation: null}], [{norm: {kind: layer}}, weights, {activation: gelu}]]": (
            0,
            1,
        ),
        "[activation, weights, {add: {scale: 0.5, skip: 1}}]": (2,),
        "[{repeat: 5, block: [weights, norm]}]": (3,),
    }.items():
        config = parsed(f"{text}  - {{forward: stable, when: {{network.block: {when}}}}}\n")
        assert config.expect[0].conditions == places
        assert parse_config(to_yaml(config.document)) == config
    assert [c.label for c in config.conditions] == [
        "plain",
        "norm weights gelu",
        "activation weights add(s=0.5)",
        "5×(weights norm)",
    ]
    unswept = DENSE + "expect: {forward: stable, when: {network.block: [weights, activation]}}\n"
    assert parsed(unswept).expect[0].conditions == (0,)


def test_options_are_swept_by_the_place_of_their_step() -> None:
    block = "[{weights: {expand: 4}}, activation, weights, {add: {scale: 1/depth}}]"
    text = DENSE.replace("  width", f"  block: {block}\n  width")
    config = parsed(
        text,
        "network.block.0.weights.expand=1,2",
        "network.block.3.add.scale=0.5,1/depth",
        "network.block.1.activation=tanh",
        "network.head.0.weights.init.variance=3",
    )
    assert len(config.conditions) == 4
    row = config.conditions[3].layers[1]
    assert row == (weights(8, 16), Activate("tanh"), weights(16, 8), Add(0.2))
    assert {c.layers[-1] for c in config.conditions} == {(weights(8, 1, 3.0),)}
    assert config.conditions[3].swept == {
        "network.block.0.weights.expand": 2.0,
        "network.block.3.add.scale": "1/depth",
    }
    staged = text.replace(block, f"[{{repeat: 4, block: {block}}}]")
    swept = parsed(staged, "network.block.0.block.3.add.skip=1,2", "network.block.0.repeat=4")
    assert [c.layers[1][-1] for c in swept.conditions] == [Add(0.2), Add(0.2, 2.0)]
    depths = parsed(staged.replace("  depth: 5\n", ""), "network.block.0.repeat=2,3")
    assert [c.depth for c in depths.conditions] == [3, 4]


def test_options_of_steps_that_are_left_out_are_set() -> None:
    assert condition(DENSE, "network.block.1.activation=tanh") == condition(
        DENSE, "network.activation=tanh"
    )
    found = condition(DENSE, "network.head.0.weights.init={variance: 3}")
    assert found.layers[-1] == (weights(8, 1, 3.0),)


# Senseless configs: a dense network or a cnn, lines of `network` or others, and what is said

STEP = (
    "must be one of weights, activation, norm, gate, dropout, attention, add, "
    "or a mapping of one of them to its options"
)
NO_WEIGHTS = "must have weights, gate or attention"
FACTOR = "must be a number from -1000 to 1000, 0 or at least 1e-6 in size"
EXPAND = "must be a number above 0 and at most 1000"
APART = "must be equal; give the layer where they change a stage or stem of its own, without add"
ONE = "must be one for all layers; or give the step activation there"
WRONG = cases(
    """
dense: block: [layernorm, weights]
> 6:11: error: network.block[0]: unknown step ('layernorm'), $STEP; write norm
dense: block: [weights, wieghts]
> 6:20: error: network.block[1]: unknown step ('wieghts'), $STEP; did you mean 'weights'?
dense: block: [Batch-Norm, weights]
> 6:11: error: network.block[0]: unknown step ('Batch-Norm'), $STEP; write {norm: {kind: batch}}
dense: block: [weights, relu]
> 6:20: error: network.block[1]: unknown step ('relu'), $STEP; write {activation: relu}
dense: block: [{swiglu: {expand: 2}}, weights]
> 6:11: error: network.block[0]: unknown step ('swiglu'), $STEP; write {gate: {activation: silu}},
> then weights
dense: block: [weights, skip]
> 6:20: error: network.block[1]: unknown step ('skip'), $STEP; write add at the end of the branch
dense: block: [weights, {scale: 2}]
> 6:20: error: network.block[1]: unknown step ('scale'), $STEP; it is an option: {add: {scale: …}}
dense: block: [weights, {add: null, scale: 2}]
> 6:20: error: network.block[1]: several keys where a step has one ('add, scale'), $STEP; indent
> scale as an option of add
dense: block: [{weights: null, activation: null}]
> 6:11: error: network.block[0]: several keys where a step has one ('weights, activation'), $STEP;
> begin activation with a dash of its own
dense: block: [norm, activation]
> 6:10: error: network.block: no weights ([norm, activation]), $NO_WEIGHTS
dense: stem: [activation]
> 6:9: error: network.stem: no weights ([activation]), $NO_WEIGHTS
dense: head: [norm]
> 6:9: error: network.head: no weights ([norm]), $NO_WEIGHTS
dense: head: [weights, norm]
> 6:19: error: network.head[1]: behind the last weights of the head (norm), must be before them;
> only an activation of the output follows
dense: block: [add, weights]
> 6:11: error: network.block[0]: nothing is before it to be added, must be behind the steps of a
> branch
dense: block: [weights, add, add]
> 6:25: error: network.block[2]: nothing is before it to be added, must be behind the steps of a
> branch
dense: stem: [weights, add]
> 6:19: error: network.stem[1]: of unequal widths (6 enter, 8 are added), $APART
dense: block: [{weights: {expand: 4}}, add, weights]
> 6:35: error: network.block[1]: of unequal widths (8 enter, 32 are added), $APART
cnn: block: [{weights: {stride: 2}}, add]
> 8:35: error: network.block[1]: of unequal widths (4 channels of 8×8 enter, 4 channels of 4×4 are
> added), $APART
dense: block: [{weights: {expand: 4}}]
> 6:30: error: network.block[0].weights.expand: the last weights return to the width (4), must be
> left out; or let weights follow
dense: block: [{weights: {expand: 1e-3}}, weights]
> 6:30: error: network.block[0].weights.expand: too small (0.001), must leave a unit of the width 8
dense: block: [{weights: {expand: 999*999}}, weights]
> 6:30: error: network.block[0].weights.expand: too large (999*999 = 998001.0), $EXPAND
dense: block: [{weights: {expand: 4^2}}, weights]
> 6:30: error: network.block[0].weights.expand: '^' is no arithmetic ('4^2'), $EXPAND; a power is
> written **
dense: block: [{weights: {expand: 4*; 2}}, weights]
> 6:30: error: network.block[0].weights.expand: ';' is no arithmetic ('4*; 2'), $EXPAND
dense: block: [{weights: {expand: fan_in}}, weights]
> 6:30: error: network.block[0].weights.expand: no fan_in here (fan_in), must be of depth, width
dense: block: [{weights: {exapnd: 4}}, weights]
> 6:22: error: network.block[0].weights.exapnd: unknown key, must be one of expand, init, kernel,
> stride, groups; did you mean 'network.block.0.weights.expand'?
dense: block: [{weights: {kernel: 3}}]
> 6:30: error: network.block[0].weights.kernel: not for fully connected weights (3), must be left
> out; it is of kind: cnn
cnn: head: [{weights: {stride: 2}}]
> 8:29: error: network.head[0].weights.stride: not for fully connected weights (2), must be left
> out; the head is fully connected
cnn: block: [{weights: {groups: 3}}, activation]\n  input_channels: 3
> 8:30: error: network.block[0].weights.groups: not a divisor of the channels (3), must divide 4
cnn: block: [{weights: {stride: 9}}, activation]
> 8:30: error: network.block[0].weights.stride: too large (9), must be at most 8, the image's least
> size; the image there is 8×8
cnn: block: [{weights: {stride: 2}}, activation]
> 6:11: error: network.kernel: too large (3), must be at most 1, twice the image's least size less
> 1; the image there is 1×1
cnn: block: [{weights: {kernel: 30}}, activation]
> 8:30: error: network.block[0].weights.kernel: too large (30), must be at most 15, twice the
> image's least size less 1
cnn: block: [{weights: {expand: 990*1000}}, activation, weights]
> 8:30: error: network.block[0].weights.expand: too large (990*1000 = 990000.0), $EXPAND
dense: width: 65536\n  block: [{weights: {expand: 2}}, weights]
> 6:30: error: network.block[0].weights.expand: too many units (131072), must be at most 65536
dense: block: [{norm: rms}, weights]
> 6:18: error: network.block[0].norm: not a mapping ('rms'), must be a mapping with the keys kind;
> write {norm: {kind: rms}}
dense: block: [{norm: {kind: rmsnorm}}, weights]
> 6:25: error: network.block[0].norm.kind: unknown value ('rmsnorm'), must be one of layer, rms,
> batch; write rms
dense: block: [{norm: {kind: batch}}, weights]\ninputs: {count: 1}
> 6:25: error: network.block[0].norm.kind: one input has no spread (batch), must be layer or rms; or
> give inputs.count: 2 or more
dense: block: [{dropout: {rate: 1}}, weights]
> 6:28: error: network.block[0].dropout.rate: too large (1), must be a number from 0 to below 1
dense: block: [attention, weights]
> 6:11: error: network.block[0]: of sequences, which inputs are not, must be beside inputs.tokens;
> or left out
cnn: block: [attention, weights]
> 8:11: error: network.block[0]: of sequences, which images are not, must be in a network of kind:
> dense; or left out
cnn: padding: zero\ninputs: {tokens: 4}
> 9:18: error: inputs.tokens: images are no sequences (4), must be left out; they are of kind: dense
dense: block: [{attention: {heads: 3}}, weights]\ninputs: {tokens: 4}
> 6:31: error: network.block[0].attention.heads: not a divisor of the width (3), must divide 8
dense: head: [norm, {attention: {heads: 2}}]\ninputs: {tokens: 4}
> 6:16: error: network.head[1]: leads to no output_dim (attention), must be before weights; let
> weights follow
dense: block: [weights, {add: {scale: [1, 2]}}]
> 6:34: error: network.block[1].add.scale: wrong length (2), must be one for each of the 4 blocks
dense: block: [weights, {add: {skip: [1, 2, x, 1]}}]
> 6:40: error: network.block[1].add.skip[2]: not a number ('x'), $FACTOR, or a list of one for each
> block
dense: block: [weights, {add: {scale: 1/(depth - 5)}}]
> 6:34: error: network.block[1].add.scale: a division by zero ('1/(depth - 5)'), $FACTOR
dense: block: [weights, {add: {scale: 1e-9}}]
> 6:34: error: network.block[1].add.scale: too small (1e-09), $FACTOR
dense: activation: [relu, tanh]
> 6:15: error: network.activation: wrong length (2), must be one for each of the 5 layers
dense: activation: {name: prelu, negative_slope: [1, 2, 1, 2, 1]}\n  block: [activation, gate, add]
> 6:45: error: network.activation.negative_slope: no such activation is in network.stem ([weights]),
> $ONE
dense: block: [{activation: {name: prelu, negative_slope: [1, 2]}}, weights]
> 6:54: error: network.block[0].activation.negative_slope: a step has one slope, must be a number
dense: block: [{repeat: 2, block: [weights]}]
> 3:10: error: network.depth: not that of the stages (5), must be 2, or left out
dense: block: [{repeat: 5, block: [weights]}, weights]
> 6:42: error: network.block[1]: not a mapping ('weights'), must be a mapping with the keys repeat,
> block, as the others are
dense: block: [{repeat: 0, block: [weights]}]
> 6:20: error: network.block[0].repeat: too small (0), must be an integer from 1 to 100000
dense: block: [{weights: {init: {scheme: lsuv}}}]
> 6:28: error: network.block[0].weights.init: of one layer only, must be scheme: lsuv in all layers
dense: block: [{weights: {init: {variance: 2, gain: 2}}}]
> 6:48: error: network.block[0].weights.init.gain: given beside init.variance (2.0), must be left
> out; init.variance already is the variance, no fan or gain enters it
dense: residual: {scale: 1}
> 6:13: error: network.residual: no longer a key, must be left out; {scale: s} is now network.block:
> [activation, weights, {add: {scale: s}}]
dense: output_dim: 1\nsweep: {network.block.1.weights.expand: [1]}
> 7:41: error: sweep.network.block.1.weights.expand: no weights is at network.block.1 (activation),
> must be an option of activation
dense: output_dim: 1\nsweep: {network.block.4.weights.expand: [1]}
> 7:41: error: sweep.network.block.4.weights.expand: no place of network.block (4), must be one of 0
> … 1
dense: output_dim: 1\nsweep: {network.block.00.weights.init.gain: [1]}
> 7:9: error: sweep.network.block.00.weights.init.gain: no option of a step, must be one like
> network.block.0.weights.expand
dense: output_dim: 1\nsweep: {network.block.weights.expand: [1]}
> 7:9: error: sweep.network.block.weights.expand: unknown key, must be a dotted path with the place
> of the step, from 0, like network.block.0.weights.expand
dense: output_dim: 1\nsweep: {network.stem.0.weights.expand: [1]}
> 7:40: error: sweep.network.stem.0.weights.expand: inside network.stem, which has no places, must
> be given there as a list of steps
dense: output_dim: 1\nsweep: {"network.block[0].weights.expand": [1]}
> 7:9: error: sweep.'network.block[0].weights.expand': brackets in a path, must be dots; write
> network.block.0.weights.expand
dense: block: [norm, weights]\nexpect: {forward: stable, when: {network.block: [weights, norm]}}
> 7:49: error: expect.when.network.block: matches no condition ([weights, norm]), must be [norm,
> weights]
""",
    globals(),
)


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_makes_no_sense_is_refused_with_what_to_do(given: str, message: str) -> None:
    kind, _, lines = given.partition(": ")
    text = {"dense": DENSE, "cnn": CNN}[kind].replace("init:", "  @\ninit:")
    network, *rest = lines.replace("\\n", "\n").split("\n")
    while rest and rest[0].startswith("  "):
        network += "\n" + rest.pop(0)
    if network.startswith("width"):
        network, text = network.partition("  ")[2], text.replace("width: 8", "width: 65536")
    others = "".join(f"{line}\n" for line in rest)
    text = text.replace("init: {", f"{others}init: {{").replace("@", network)
    assert problems(text) == [f"c.yaml:{message}"]


def test_lsuv_is_of_plain_layers() -> None:
    said = "of plain layers alone (lsuv), must be another scheme"
    way = "or give network.block: [weights, activation]"
    sets = "network.block=[activation, weights, add]", "init={scheme: lsuv}"
    assert unplaced_problems(DENSE, *sets) == [f"init.scheme: {said}; {way}"]
    listed = f"init=[{', '.join(['{scheme: lsuv}'] * 6)}]"
    assert unplaced_problems(DENSE, sets[0], listed) == [f"init[0].scheme: {said}; {way}"]
    assert condition(CNN, "init={scheme: lsuv}", "network.readout=mean").lsuv
    assert condition(
        DENSE, "init={scheme: lsuv}", "network.head=[weights, {activation: tanh}]"
    ).lsuv


def test_each_step_that_is_wrong_is_named() -> None:
    found = problems(
        DENSE.replace("  width", "  block: [ln, {weights: {expand: x}}, mlp]\n  width")
    )
    assert [problem.split(":")[2] for problem in found] == ["11", "34", "39"]


# Any block

STEP_TEXTS = st.one_of(
    st.sampled_from(["weights", "activation", "norm", "gate", "dropout", "attention"]),
    st.sampled_from(
        [
            {"weights": {"expand": 2.0}},
            {"weights": {"init": {"variance": 0.5}}},
            {"weights": {"expand": "8/3", "init": {"gain": 2.0, "bias": 1.0}}},
            {"activation": "gelu"},
            {"activation": {"name": "prelu", "negative_slope": -1.0}},
            {"norm": {"kind": "rms"}},
            {"norm": {"kind": "batch"}},
            {"gate": {"activation": "silu", "expand": 0.5}},
            {"dropout": {"rate": 0.25}},
            {"attention": {"heads": 4, "causal": True}},
        ]
    ),
)
BRANCH = st.lists(STEP_TEXTS, max_size=4).map(lambda steps: [*steps, "weights"])
ADD = st.sampled_from(
    [
        "add",
        {"add": {"scale": 0.0}},
        {"add": {"scale": "1/sqrt(2*depth)", "skip": "depth**0.25"}},
        {"add": {"skip": 0.5}},
        {"norm": {"kind": "rms"}},
    ]
)
BLOCKS = st.lists(st.tuples(BRANCH, ADD), min_size=1, max_size=2).map(
    lambda parts: [step for branch, end in parts for step in (*branch, end)]
)
NETWORKS = st.one_of(
    BLOCKS,
    st.lists(
        st.tuples(st.integers(1, 3), BLOCKS).map(lambda s: {"repeat": s[0], "block": s[1]}),
        min_size=1,
        max_size=3,
    ),
)


def loaded(network: dict[str, object]) -> SweepConfig:
    document = {"name": "a", "network": network, "init": {"scheme": "he_normal"}}
    return parse_config(to_yaml({**document, "inputs": {"count": 2, "tokens": 3}}))


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(NETWORKS, st.booleans())
def test_any_block_loads_and_its_document_is_the_same(block: list[Any], stem: bool) -> None:
    network: dict[str, object] = {"width": 8, "input_dim": 4, "block": block}
    if "block" not in block[0]:
        network["depth"] = 3
    if stem:
        network["stem"] = ["weights", "norm"]
    config = loaded(network)
    (found,) = config.conditions
    assert all(units == 8 for units in found.widths[1:-1])
    again = parse_config(to_yaml(config.document))
    assert again == config
    assert again.document == config.document
    rows: dict[Row, int] = {}
    assert all(rows.setdefault(row, id(row)) == id(row) for row in found.layers)
    assert swept_text("network.block", config.document["network"]["block"]).isprintable()  # type: ignore[index]  # a mapping


WORDS = st.sampled_from(
    [*STEPS, "repeat", "block", "x", "expand", "scale", "depth", "1/0", None, True, -1, 0, 3, 0.5]
)
ANY = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS.filter(lambda w: isinstance(w, str)), inner, max_size=2)
    ),
    max_leaves=8,
)


@settings(max_examples=80, derandomize=True, deadline=None, database=None)
@given(ANY)
def test_whatever_is_given_is_a_block_or_has_problems_of_one_line(block: object) -> None:
    network = {"depth": 3, "width": 8, "input_dim": 4, "block": block}
    try:
        config = loaded(network)
    except ConfigError as error:
        found = error.problems
    else:
        assert parse_config(to_yaml(config.document)) == config
        return
    assert found
    assert all("network." in line and line.isprintable() for line in found)
    assert "Input should" not in "".join(found)


def test_a_hundred_thousand_blocks_are_few_rows() -> None:
    found = condition(DENSE, "network.depth=100000", "network.block=[norm, weights, add]")
    assert len(found.layers) == 100_001
    assert len({id(row) for row in found.layers}) == 3


def test_dropout_keeps_its_rate() -> None:
    assert condition(DENSE, "network.block=[weights, dropout]").layers[1][1] == Dropout(0.5)
