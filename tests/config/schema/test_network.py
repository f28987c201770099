"""The `network` section: what a config of each kind stands for, and what is said of others."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from heinit_sim.derivation.verify import verify
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.figure_kinds import swept_number
from heinit_sim.experiment.steps import Pool, Weights, WeightSpec, Window, matrices
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.words.condition_names import named
from heinit_sim.reports.formats import to_csv
from heinit_sim.reports.summary_table import to_summary_table
from tests import configs
from tests.configs import CNN, parsed
from tests.configs import unplaced_problems as problems
from tests.rows import cases

DENSE = configs.DENSE.replace("variance: 0.5", "scheme: he_normal")
IMAGE = "must be a list of one or two integers from 1 to 4096, [length] or [height, width]"
KERNEL = "must be an integer from 1 to 8191"
BLOCK = "[activation, weights, {add: {scale: 0.5}}]"


def condition(text: str, *sets: str) -> Condition:
    (found,) = parsed(text, *sets).conditions
    return found


def test_layers_of_a_cnn_are_channels_times_positions() -> None:
    found = condition(CNN, "network.channels=[8, 16, 2]", "network.input_channels=3")
    assert found.widths == (24 * 3, 24 * 8, 24 * 16, 24 * 2, 1)
    window = Window((4, 6), 3, "zero")
    assert [w.window for w in found.weights] == [window, window, window, None]
    assert [w.channels for w in found.weights] == [(3, 8), (8, 16), (16, 2), (48, 1)]
    line = condition(CNN, "network.image=[9]", "network.padding=circular", "network.readout=mean")
    assert line.weights[1].window == Window((9,), 3, "circular")
    assert line.layers[-1] == (Pool(9), Weights(WeightSpec(2 / 8), 8, 1))
    assert line.widths == (9, 72, 72, 72, 1)


def test_a_dense_network_has_no_convolution_and_its_document_no_kind() -> None:
    plain, named = parsed(DENSE), parsed(DENSE.replace("depth", "kind: dense\n  depth"))
    assert named == plain
    assert "kind" not in str(named.document["network"])
    assert {weights.window for weights in plain.conditions[0].weights} == {None}
    assert plain.conditions[0].widths == (5, 4, 4, 4, 1)


def test_the_document_of_a_cnn_spells_out_every_default() -> None:
    assert parsed(CNN, f"network.block={BLOCK}").document["network"] == {
        "kind": "cnn",
        "block": ["activation", "weights", {"add": {"scale": 0.5}}],
        "depth": 3,
        "image": [4, 6],
        "kernel": 3,
        "channels": 8,
        "input_channels": 1,
        "padding": "zero",
        "readout": "flatten",
        "output_dim": 1,
        "activation": "relu",
    }


def test_fans_of_schemes_are_those_of_pytorch() -> None:
    """Weights (c_out, c_in, k, k) there: a fan is the channels times the receptive field."""
    cnn = CNN.replace("channels: 8", "channels: [8, 16, 2]\n  input_channels: 5")
    fans = [(9 * c_in, 9 * c_out) for c_in, c_out in ((5, 8), (8, 16), (16, 2))]
    fans += [(4 * 6 * 2, 1)]
    expected = {
        "{scheme: he_normal}": [2 / i for i, _ in fans],
        "{scheme: kaiming_uniform, mode: fan_out}": [2 / o for _, o in fans],
        "{scheme: xavier_uniform}": [2 / (i + o) for i, o in fans],
        # nn.Conv2d: uniform within 1/√fan_in
        "{scheme: torch_linear_default}": [1 / (3 * i) for i, _ in fans],
        # orthogonal_ makes one matrix of c_out rows and k² c_in columns
        "{scheme: orthogonal}": [1 / max(i, o // 9) for i, o in fans[:3]] + [1 / 48],
        # one of nine weights has mean square 1/max(c_in, c_out)
        "{scheme: delta_orthogonal, gain: 2}": [
            *(4 / 9 / max(i, o) for i, o in ((5, 8), (8, 16), (16, 2))),
            4 / 48,
        ],
    }
    for init, variances in expected.items():
        found = condition(cnn, f"init={init}").weight_variances
        assert all(math.isclose(a, b, rel_tol=1e-15) for a, b in zip(found, variances, strict=True))
    few = condition(cnn.replace("[8, 16, 2]", "[64, 16, 2]"), "init={scheme: orthogonal}")
    assert few.weight_variances[0] == 1 / 64  # more rows than 9 · 5 columns
    pooled = condition(cnn, "network.readout=mean")
    assert pooled.weight_variances[-1] == 2 / 2


def test_layers_of_equal_fans_but_other_taps_have_laws_of_their_own() -> None:
    """A convolution of 2 rows and 9 columns, and an output layer of 18 rows."""
    channels = "channels: [2, 1, 1]\n  output_dim: 18"
    text = CNN.replace("[4, 6]", "[3, 3]").replace("channels: 8", channels)
    found = condition(text, "init={scheme: orthogonal}")
    assert found.fans == ((9, 18), (18, 9), (9, 9), (9, 18))
    assert found.weight_variances == (1 / 9, 1 / 18, 1 / 9, 1 / 18)


def test_a_list_of_inits_has_one_for_each_convolution_and_the_output() -> None:
    init = "[{variance: 1}, {variance: 2}, {variance: 3}, {variance: 4}]"
    block = "network.block=[activation, weights, activation, weights, add]"
    found = condition(CNN, f"init={init}", block)
    assert found.weight_variances == (1.0, 2.0, 3.0, 4.0)
    variances = [{w.spec.weight_variance for w in matrices(row)} for row in found.layers]
    assert variances == [{1.0}, {2.0}, {3.0}, {4.0}]


# the kind of network, an override, and what is said of it
MISFITS = cases(
    """
cnn: network.width=100
> network.width: not for kind: cnn (100), must be left out; give channels
cnn: network.input_dim=3
> network.input_dim: not for kind: cnn (3), must be left out; give image and input_channels
cnn: network.kernel=null
> network.kernel: required key is missing, $KERNEL
cnn: network.kind=dense,cnn
> network.kind: cannot be swept ('dense,cnn'), must be one of dense, cnn
cnn: network.kernel=9
> network.kernel: too large (9), must be at most 7, twice the image's least size less 1
cnn: network.image=8
> network.image: not a list (8), $IMAGE
cnn: network.image=[]
> network.image: too short (a list), $IMAGE
cnn: network.image=[1, 2, 3]
> network.image: too long (a list), $IMAGE
cnn: network.image=[0, 1]
> network.image[0]: too small (0), $IMAGE
cnn: network.image=[4096, 4096]
> network.channels: too many units (8 channels), must be at most 1 channels of 4096×4096 positions
cnn: network.channels=[8, 8]
> network.channels: wrong length (2), must be one for each of the 3 layers
cnn: inputs.distribution=digits
> network.image: not that of digits (24), must be 64 = positions · input_channels
dense: network.image=[8, 8]
> network.image: not for kind: dense ([8, 8]), must be left out; it is of kind: cnn
dense: network.padding=zero
> network.padding: not for kind: dense (zero), must be left out; it is of kind: cnn
dense: network.width=null
> network.width: required key is missing, must be an integer from 1 to 10000000, above 65536 by
> engine: conditional, or a list of one for each hidden layer or stage
""",
    globals(),
)


@pytest.mark.parametrize(("given", "message"), MISFITS)
def test_what_does_not_fit_is_named_with_what_to_do(given: str, message: str) -> None:
    kind, _, override = given.partition(": ")
    assert problems({"cnn": CNN, "dense": DENSE}[kind], override) == [message]


def test_a_kind_that_lacks_all_its_keys_has_every_one_named() -> None:
    found = problems(DENSE, "network.kind=cnn")
    assert [problem.partition(":")[0] for problem in found] == [
        *("network.image", "network.kernel", "network.channels"),
        *("network.width", "network.input_dim"),
    ]


def test_a_file_has_a_column_for_each_component_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(",".join(map(str, range(n, n + 24))) for n in range(4)), "utf-8")
    inputs = f"inputs={{distribution: file, path: {path}, count: 3}}"
    assert condition(CNN, inputs).inputs.path == str(path)
    assert problems(CNN, inputs, "network.input_channels=2") == [
        "inputs.path: wrong number of columns (24), must be positions · input_channels, 48"
    ]


def test_images_are_said_by_their_sizes() -> None:
    config = parsed(CNN, "network.image=[8, 8],[4, 6]", "network.padding=circular,zero")
    assert named(config.conditions).full[::3] == ["8×8, circular padding", "4×6, zero padding"]
    label = "network.image = 8×8, network.padding = circular"
    assert config.conditions[0].label == label
    line = parsed(CNN, "network.image=[9],[5]")
    assert named(line.conditions).full == ["image = 9", "image = 5"]


def test_csv_has_null_and_true_as_json_has_them() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv([{"a": None, "b": True, "c": (8, 8), "d": 0.5}])))
    assert row == {"a": "null", "b": "true", "c": "[8, 8]", "d": "0.5"}


def test_true_and_false_are_no_numbers_of_an_axis() -> None:
    sweep = {"network.block.0.attention.causal": (False, True), "network.channels": (8, 16)}
    assert swept_number(sweep) == "network.channels"


TITLES = {
    (CNN,): "K = 3, 8 channels, 3×3, 4×6 zero",
    (CNN, "network.image=[9]", "network.padding=circular"): "K = 3, 8 channels, k = 3, 9 circular",
}


@pytest.mark.parametrize("given", TITLES)
def test_titles_tell_the_channels_of_a_cnn(given: tuple[str, ...]) -> None:
    title = to_summary_table(parsed(*given), []).title
    assert title == f"small: 100 networks per condition, {TITLES[given]}"


@pytest.mark.parametrize(("text", "given"), [(CNN, "kind: cnn"), (DENSE, "other blocks")])
def test_verify_refuses_what_its_identities_are_not_of(text: str, given: str) -> None:
    found = condition(text, *([f"network.block={BLOCK}"] if given == "other blocks" else []))
    said = f"network: identities are held for plain dense networks only ({given})"
    with pytest.raises(ConfigError) as caught:
        verify(found, 0)
    assert caught.value.problems == [f"{said}; give a config of one"]
