from typing import get_args

import pytest

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS, Need, swept_number
from heinit_sim.experiment.sweep_config import FigureQuantity
from heinit_sim.runs.manifest import config_hash
from tests.configs import problems
from tests.rows import cases

GOOD = """\
name: x
network: {depth: 2, width: 4, input_dim: 4}
init: {scheme: he_normal}
"""
FULL = """
name: x
network: {depth: 3, width: 6, input_dim: 5}
init: {scheme: he_normal}
inputs: {count: 2}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {network.width: [4, 8]}
trials: 5
"""
"""A config that has all that any kind of figure needs; `BARE` has nothing of it."""
BARE = """
name: x
network: {depth: 1, width: 6, input_dim: 5}
init: {scheme: he_normal}
trials: 1
"""
OPTIONS = {"decades": "[0, 1]", "overlay": "figure_7_4_published", "limits": "float16"}
NUMBER = "must have two or more numbers under a key of sweep"


@pytest.mark.parametrize(
    "need",
    dict.fromkeys(need for row in FIGURE_KINDS.values() for need in row.needs),
    ids=lambda need: need.missing,
)
def test_every_need_is_met_by_a_config_that_has_all_and_not_by_one_without(need: Need) -> None:
    assert need.met(parse_config(FULL))
    assert not need.met(parse_config(BARE))


@pytest.mark.parametrize("kind", FIGURE_KINDS)
def test_a_kind_of_figure_is_refused_where_its_needs_are_not_met(kind: str) -> None:
    assert parse_config(f"{FULL}figure: {{kind: {kind}}}").figure.kind == kind
    for need in FIGURE_KINDS[kind].needs[:1]:
        (problem,) = problems(f"{BARE}figure: {{kind: {kind}}}")
        assert problem.endswith(f"{need.missing} ({kind}), must have {need.wanted}")


@pytest.mark.parametrize("quantity", get_args(FigureQuantity))
@pytest.mark.parametrize("kind", FIGURE_KINDS)
def test_a_kind_takes_the_quantities_of_its_row_alone(kind: str, quantity: str) -> None:
    text = f"{FULL}figure: {{kind: {kind}, quantity: {quantity}}}"
    if quantity in FIGURE_KINDS[kind].quantities:
        assert parse_config(text).figure.quantity == quantity
    else:
        with pytest.raises(ConfigError, match=rf"not for kind: {kind} \({quantity}\), must be "):
            parse_config(text)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", FIGURE_KINDS)
def test_a_kind_takes_the_options_of_its_row_alone(kind: str, option: str) -> None:
    text = f"{FULL}figure: {{kind: {kind}, {option}: {OPTIONS[option]}}}"
    if option in FIGURE_KINDS[kind].options:
        assert getattr(parse_config(text).figure, option) is not None
    else:
        with pytest.raises(ConfigError, match=f"not for kind: {kind} .*, only for "):
            parse_config(text)


def test_every_option_of_the_table_is_tried() -> None:
    assert set(OPTIONS) == set().union(*(row.options for row in FIGURE_KINDS.values()))


# lines of the config from its fourth on, and what is said of the fourth
UNDRAWN = cases(
    """
figure: {kind: end}
> 16: error: figure.kind: no number is swept (end), $NUMBER
figure: {kind: end}
sweep: {network.width: [3]}
> 16: error: figure.kind: no number is swept (end), $NUMBER
figure: {kind: end}
sweep: {network.width: [3, [3, 4]], network.activation: [relu]}
> 16: error: figure.kind: no number is swept (end), $NUMBER
figure: {kind: slopes}
sweep: {network.depth: [3, 1]}
> 16: error: figure.kind: one hidden layer has no slope (slopes), must have 2 or more in every
> condition
figure: {quantity: std, kind: cosine}
record: {cosine: true}
> 20: error: figure.quantity: not for kind: cosine (std), must be left out or variance; it is of
> the directions themselves
figure: {quantity: std, kind: ridges}
record: {histograms: std}
> 20: error: figure.quantity: not for kind: ridges (std), must be left out or variance; they are
> of the numbers themselves
figure: {quantity: second_moment, kind: slopes}
> 20: error: figure.quantity: not for kind: slopes (second_moment), must be variance or std
figure: {kind: spread, decades: [0, 1]}
> 33: error: figure.decades: not for kind: spread ([0.0, 1.0]), only for layers, end, gradients,
> update and spectrum; null takes it back
figure: {kind: end, overlay: figure_7_4_published}
> 30: error: figure.overlay: not for kind: end (figure_7_4_published), only for layers; null takes
> it back
""",
    globals(),
)


@pytest.mark.parametrize(("text", "message"), UNDRAWN)
def test_a_figure_that_cannot_be_drawn_is_refused_with_the_config(text: str, message: str) -> None:
    assert problems(GOOD + text) == [f"c.yaml:4:{message}"]


def test_an_override_that_asks_for_another_kind_is_to_blame() -> None:
    assert problems(GOOD, "figure.kind=end") == [
        f"--set figure.kind=end: error: figure.kind: no number is swept (end), {NUMBER}"
    ]


def test_the_default_kind_leaves_no_trace_in_the_hash() -> None:
    plain, named = parse_config(GOOD), parse_config(GOOD + "figure: {kind: layers}")
    assert config_hash(named) == config_hash(plain)
    assert plain.document["figure"] == {"quantity": "variance"}
    other = parse_config(GOOD + "figure: {kind: spread}")
    assert config_hash(other) != config_hash(plain)


@pytest.mark.parametrize(
    ("sweep", "path"),
    [
        ({}, None),
        ({"init.scheme": ("he_normal", "lecun_normal")}, None),
        ({"init.gain": (1.0,), "network.width": (2, 3)}, "network.width"),
        ({"network.width": (2, (2, 3)), "network.depth": (2, 3)}, "network.depth"),
        ({"network.depth": (2, 3), "network.width": (2, 3)}, "network.depth"),
    ],
)
def test_the_first_key_with_several_numbers_is_the_axis(
    sweep: dict[str, tuple[object, ...]], path: str | None
) -> None:
    assert swept_number(sweep) == path
