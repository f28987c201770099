from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.activation_table import ALIASES, ActivationName
from heinit_sim.experiment.initializers import GainWord, Mode
from heinit_sim.experiment.inputs import Normalisation
from heinit_sim.experiment.steps import NormKind, Padding, Readout
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.words.condition_names import named
from heinit_sim.figures.words.keys import WORDS, axis_text, key_text
from heinit_sim.figures.words.values import spelled
from heinit_sim.reports.formats import swept_heads
from tests.conditions import condition, with_layers

VARIANCE = r"$\sigma^2_\Omega$"


def conditions(*swept: Mapping[str, object]) -> list[Condition]:
    plain = condition((100,) * 6 + (1,), 0.02)
    return [replace(plain, index=n, swept=values) for n, values in enumerate(swept)]


def grid(sweep: str, init: str = "{variance: 0.02}") -> list[Condition]:
    text = f"""
name: x
network: {{depth: 4, width: 8, input_dim: 8}}
init: {init}
inputs: {{distribution: pair, count: 4}}
sweep: {{{sweep}}}
"""
    return list(parse_config(text).conditions)


@pytest.mark.parametrize(
    ("swept", "label"),
    [
        ({}, f"{VARIANCE} = 0.02"),
        ({"init.variance": 1.0}, f"{VARIANCE} = 1"),
        ({"init.variance": 1e-05}, f"{VARIANCE} = $10^{{-5}}$"),
        ({"init.variance": 2.5e-07}, rf"{VARIANCE} = $2.5\times10^{{-7}}$"),
        ({"loss.target": -1.5}, "$y$ = −1.5"),
        ({"network.width": 1000000}, "$D_h$ = 1000000"),
        ({"network.input_dim": 7}, "$D_i$ = 7"),
        ({"network.depth": 50}, "$K$ = 50"),
        ({"network.activation": "tanh"}, "tanh"),
        ({"network.activation": "swish"}, "SiLU"),
        (
            {"network.activation": {"name": "leaky_relu", "negative_slope": 0.2}},
            "leaky ReLU 0.2",
        ),
        ({"network.width": [100, 50, 25]}, "$D_h$ = 100 50 25"),
        ({"network.width": list(range(100, 130))}, "$D_h$ = 100 101 102 103 104 105 106…"),
        ({"init": {"scheme": "he_normal", "mode": "fan_out"}}, "He normal, fan-out"),
        ({"init": {"variance": 1e-4}}, f"{VARIANCE} = 0.0001"),
        (
            {"init": {"scheme": "he_normal", "first": {"scheme": "lecun_normal"}}},
            "He normal, first layer LeCu…",
        ),
        ({"init": [{"scheme": "lsuv"}] * 2 + [{"variance": 2.0}]}, f"2× LSUV; {VARIANCE} = 2"),
        (
            {"init.first": {"variance": 1.0, "bias": 0.5}},
            f"first layer {VARIANCE} = 1, first layer bias = 0.5",
        ),
        ({"init.first": None}, "first layer as the others"),
        ({"init.last.scheme": "lecun_normal"}, "last layer LeCun normal"),
        ({"init.last.distribution": "truncated_normal"}, "last layer truncated normal"),
        ({"init.nonlinearity": "leaky_relu"}, "gain of leaky ReLU"),
        ({"init.gain": "second_moment"}, "own gain"),
        ({"init.gain": "sqrt(2)"}, "gain = √2"),
        ({"network.block": ["weights", "activation"]}, "plain"),
        ({"network.block": ["norm", "activation", "weights", "add"]}, "norm a Ω +"),
        (
            {
                "network.block": [
                    {"weights": {"expand": 4.0}},
                    {"activation": "gelu"},
                    {"add": {"scale": "1/sqrt(depth)"}},
                ]
            },
            "Ω(×4) GELU +(s=1/√K)",
        ),
        (
            {"network.block": [{"repeat": 3, "block": ["weights", {"norm": {"kind": "rms"}}]}]},
            "3×(Ω rms norm)",
        ),
        (
            {"network.block": [{"gate": {"activation": "silu", "expand": "8/3"}}, "weights"]},
            "gate(silu ×8/3) Ω",
        ),
        (
            {"network.stem": ["norm", "weights"], "network.head": ["weights"]},
            "stem = norm Ω, head = Ω",
        ),
        ({"network.block.3.add.scale": "1/sqrt(2*depth)"}, "$s$ = 1/√(2·K)"),
        ({"network.block.0.block.1.norm.kind": "batch"}, "batch norm"),
        ({"network.block.1.activation": "gelu"}, "GELU"),
        ({"network.block.1.activation": {"name": "prelu", "negative_slope": 0.5}}, "PReLU 0.5"),
        ({"network.stem.0.weights.init.scheme": "he_normal"}, "He normal"),
        ({"network.head.0.dropout.rate": 0.5}, "dropout = 0.5"),
        ({"network.activation": ["relu", "relu", "tanh"]}, "2× ReLU, tanh"),
        ({"network.image": [8, 8], "network.padding": "zero"}, "8×8, zero padding"),
        ({"inputs.path": "data/cost_$5.npy"}, r"cost_\$5.npy"),
        ({"inputs.path": "a\nb"}, r"a\nb"),
        (
            {"init.variance": 0.02, "network.width": 50, "network.activation": "relu"},
            f"{VARIANCE} = 0.02, $D_h$ = 50, ReLU",
        ),
    ],
)
def test_a_condition_is_named_by_what_was_swept(swept: Mapping[str, object], label: str) -> None:
    names = named(conditions(swept))
    assert names.full == names.short == [label]
    assert names.heading == names.common == ""


def test_values_of_one_number_stand_under_its_symbol() -> None:
    names = named(grid("init.variance: [0.001, 0.02, 1]"))
    assert names.heading == VARIANCE
    assert names.short == ["0.001", "0.02", "1"]
    assert names.full == [f"{VARIANCE} = {text}" for text in names.short]
    words = named(grid("network.activation: [relu, gelu]"))
    assert (words.heading, words.short) == ("", ["ReLU", "GELU"])


def test_grids_are_named_as_a_user_says_them() -> None:
    names = named(
        grid(
            "network.activation: [relu, silu], init.gain: [second_moment, 1.4142]",
            "{scheme: he_normal}",
        )
    )
    assert names.full == [
        f"{activation}, {gain}"
        for activation in ("ReLU", "SiLU")
        for gain in ("own gain", "gain = 1.4142")
    ]
    paths = [[part.path for part in name.parts] for name in names.names]
    assert paths == [["network.activation", "init.gain"]] * 4


def test_the_same_option_of_two_steps_is_told_apart() -> None:
    block = ["norm", "weights", "add", "norm", "weights", "add"]
    swept = {"network.block.2.add.scale": [1.0, 0.5], "network.block.5.add.scale": [0.1]}
    kinds = {"network.block.0.norm.kind": ["rms"], "network.block.3.norm.kind": ["batch"]}
    sweep = {**swept, **kinds}
    text = f"""\
name: t
init: {{scheme: he_normal}}
network: {{depth: 3, width: 4, input_dim: 3, block: {block}}}
sweep: {sweep}
"""
    names = named(parse_config(text).conditions)
    shared = "5.add.scale = 0.1, 0.norm.kind = RMS norm, 3.norm.kind = batch norm"
    assert names.full == [f"2.add.scale = {s}" for s in ("1", "0.5")]
    assert names.common == shared
    heads = ["2.add.scale", "5.add.scale", "0.norm.kind", "3.norm.kind"]
    assert swept_heads(sweep) == heads
    mixed = ["init.scheme", "init.first.scheme", "network.depth"]
    assert swept_heads(mixed) == ["init.scheme", "first.scheme", "K"]


def test_what_all_share_is_said_once() -> None:
    swept = grid("network.activation: [relu, tanh], init.variance: [0.1, 0.2]")
    names = named([one for one in swept if one.swept["network.activation"] == "tanh"])
    assert (names.common, names.heading, names.short) == ("tanh", VARIANCE, ["0.1", "0.2"])
    rows = grid("network.head: [[weights], [norm, weights]], network.activation: [relu, tanh]")
    assert named(rows[:2]).common == "head = Ω"
    single = named(swept[:1])
    assert (single.common, single.full) == ("", [f"ReLU, {VARIANCE} = 0.1"])


@pytest.mark.parametrize(
    ("path", "values", "common", "texts"),
    [
        (
            "network.block",
            [
                ["activation", "weights", "add"],
                ["norm", "activation", "weights", "add"],
                ["activation", {"weights": {"init": {"gain": 2.0}}}, "add"],
            ],
            "",
            ["a Ω +", "norm a Ω +", "a Ω(gain=2) +"],
        ),
        (  # the same steps: what differs
            "network.block",
            [["norm", "weights", {"add": {"scale": s}}, "norm"] for s in (0.5, 0.25)],
            "",
            ["+(s=0.5)", "+(s=0.25)"],
        ),
        (
            "init",
            [{"scheme": "he_normal", "mode": mode} for mode in ("fan_in", "fan_out")],
            "He normal",
            ["fan-in", "fan-out"],
        ),
        (  # nothing would be left of the first
            "init",
            [{"scheme": "he_normal"}, {"scheme": "he_normal", "mode": "fan_out"}],
            "",
            ["He normal", "He normal, fan-out"],
        ),
        (
            "network.activation",
            [{"name": "leaky_relu", "negative_slope": slope} for slope in (0.1, 0.2)],
            "",
            ["leaky ReLU 0.1", "leaky ReLU 0.2"],
        ),
    ],
)
def test_mappings_are_told_apart_by_the_entries_that_differ(
    path: str, values: list[object], common: str, texts: list[str]
) -> None:
    names = named(conditions(*({path: value} for value in values)))
    assert (names.common, names.full) == (common, texts)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1, 0.10000001], ["0.1", "0.10000001"]),
        ([2 / 21, 0.1], ["0.0952381", "0.1"]),
        ([1.0, 2**-20], ["1", r"$9.53674\times10^{-7}$"]),
    ],
)
def test_numbers_have_digits_enough_to_differ(values: list[float], texts: list[str]) -> None:
    assert [part.value for part in spelled("init.variance", values)] == texts


def test_long_values_begin_where_they_differ() -> None:
    lists = [[0.25] * 9 + [end] * 9 for end in (0.1, 1)]
    texts = [part.value for part in spelled("network.activation.negative_slope", lists)]
    assert texts == [f"…{'0.1 ' * 6}0.…", "…1 1 1 1 1 1 1 1 1"]
    folders = [part.value for part in spelled("inputs.path", ["a/x.npy", "b/x.npy", "b/y.npy"])]
    assert folders == ["a/x.npy", "b/x.npy", "b/y.npy"]


@pytest.mark.parametrize("key", ["0.02", "2e-2", f"{VARIANCE} = 0.02"])
def test_a_text_of_the_users_takes_the_place_of_a_number(key: str) -> None:
    names = named(grid("init.variance: [0.01, 0.02]"), labels={key: "He"})
    assert names.full == [f"{VARIANCE} = 0.01", "He"]


@pytest.mark.parametrize("key", ["relu", "ReLU"])
def test_a_text_of_the_users_takes_the_place_of_a_word(key: str) -> None:
    swept = grid("network.activation: [relu, tanh], loss.target: [1, 2]")
    assert named(swept, labels={key: "rect."}).full[:2] == ["rect., $y$ = 1", "rect., $y$ = 2"]
    assert named(swept, labels={"ReLU, $y$ = 2": "this one"}).full[1] == "this one"


def test_a_text_of_the_users_takes_the_place_of_a_mapping() -> None:
    swept = conditions(
        *({"init": {"scheme": "he_normal", "mode": m}} for m in ("fan_in", "fan_out"))
    )
    for key in ("{scheme: he_normal, mode: fan_out}", "He normal, fan-out", "fan_out", "fan-out"):
        assert named(swept, labels={key: "mine"}).full == ["fan-in", "mine"], key


def test_numbers_take_a_decimal_comma() -> None:
    names = named(
        conditions(
            *({"init.variance": v, "inputs.path": "v1.2.npy"} for v in (0.02, 2.5e-7, 1e-5)),
            {"init.variance": 0.5, "inputs.path": "x.npy"},
        ),
        decimal=",",
    )
    assert names.full == [
        f"{VARIANCE} = 0,02, v1.2.npy",
        rf"{VARIANCE} = $2{{,}}5\times10^{{-7}}$, v1.2.npy",
        f"{VARIANCE} = $10^{{-5}}$, v1.2.npy",
        f"{VARIANCE} = 0,5, x.npy",
    ]
    options = {"name": "prelu", "negative_slope": [0.25, 0.5]}
    assert named(conditions({"network.activation": options}), decimal=",").full == [
        "PReLU 0,25 0,5"
    ]


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("he_normal", f"{VARIANCE} = 2/fan-in"),
        ("xavier_normal", f"{VARIANCE} = 1/mean fan"),
        ("torch_linear_default", f"{VARIANCE} = 0.3333/fan-in"),
        ("lsuv", "LSUV"),
        ("orthogonal", f"{VARIANCE} = 1/max fan"),
    ],
)
def test_one_condition_of_uneven_layers_is_named_by_its_law_and_not_by_a_range(
    scheme: str, text: str
) -> None:
    config = parse_config(f"""
name: x
network: {{depth: 3, width: [20, 11, 7], input_dim: 5, output_dim: 3}}
init: {{scheme: {scheme}}}
""")
    assert named(config.conditions).full == [text]


def test_a_condition_without_one_law_has_no_name() -> None:
    (plain,) = conditions({})
    uneven = with_layers(plain, weight_variances=(1.0, *plain.weight_variances[1:]))
    assert named([uneven]).full == [""]
    assert named([]).full == []


def test_numbers_have_a_symbol_and_an_axis() -> None:
    assert (key_text("network.width"), axis_text("network.width")) == ("$D_h$", "Width, $D_h$")
    assert (key_text("inputs.count"), axis_text("inputs.count")) == (
        "inputs",
        "Inputs in the batch",
    )
    variance = f"Variance of the weights, last layer, {VARIANCE}"
    assert axis_text("init.last.variance") == variance
    assert (key_text("init.bias"), axis_text("network.channels")) == ("bias", "Channels")


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("network.activation", ActivationName),
        ("network.padding", Padding),
        ("network.readout", Readout),
        ("norm.kind", NormKind),
        ("init.mode", Mode),
        ("init.gain", GainWord),
        ("inputs.normalisation", Normalisation),
    ],
)
def test_every_word_of_a_config_has_a_name_of_its_own(path: str, known: object) -> None:
    assert set(WORDS[path]) == set(get_args(known))
    names = {ALIASES.get(word, word): text for word, text in WORDS[path].items()}
    assert len(set(names.values())) == len(names)
