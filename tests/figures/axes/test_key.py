import numpy as np
import pytest
from matplotlib.colors import to_hex

from heinit_sim.config import parse_config
from heinit_sim.figures.axes.curves import QUANTITIES, curves_of
from heinit_sim.figures.axes.key import Key, KeyEntry, layers_key
from heinit_sim.figures.look.painting import HUES, palette_of
from heinit_sim.figures.words.shown import groups_of
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.figures.helpers import SHEET, figure_7_4


def test_a_key_is_said_in_a_sentence() -> None:
    key = Key(
        (KeyEntry("median", "median"), KeyEntry("forward", "forward pass", "b")), ("Cut off",)
    )
    assert key.sentence == "Thick: median. Dashed in b: forward pass. Cut off."


def layers(result: object, *, banded: bool = False) -> Key:
    curves = {direction: curves_of(result, direction, SHEET) for direction in QUANTITIES}  # type: ignore[arg-type]  # either
    return layers_key(result, curves, banded=banded)  # type: ignore[arg-type]  # either


def test_every_style_of_the_layers_has_an_entry() -> None:
    key = layers(figure_7_4(), banded=True)
    assert key.entries == (
        KeyEntry("median", "median of 40 networks"),
        KeyEntry("band", "5–95 %"),
        KeyEntry("theory", "theory, exact mean"),
        KeyEntry("predicted", "predicted for one input"),
        KeyEntry("forward", "forward pass", "b"),
    )
    assert key.notes == ()


def test_theory_has_an_entry_for_each_panel_where_they_differ() -> None:
    result = figure_7_4()
    for outcome in result.conditions:
        outcome.theory["activation", "variance"][:] = np.nan
    entries = [entry for entry in layers(result).entries if entry.style == "theory"]
    assert entries == [
        KeyEntry("theory", "theory, infinite width", "a"),
        KeyEntry("theory", "theory, exact mean", "b"),
    ]


GRID = """
name: x
network: {depth: 2, width: 4, input_dim: 4}
init: {variance: 0.25}
inputs: {count: 2}
sweep: {network.activation: [relu, tanh, elu], loss.target: [0.5, 1.5]}
trials: 2
"""


def test_groups_say_what_hue_and_dashes_stand_for() -> None:
    config = parse_config(GRID)
    hues, dashes = groups_of(palette_of(config), config.conditions, decimal=",")
    assert (hues.heading, dashes.heading) == ("", "$y$")
    assert [text for text, _ in hues.entries] == ["ReLU", "tanh", "ELU"]
    assert [text for text, _ in dashes.entries] == ["0,5", "1,5"]
    assert [to_hex(tuple(paint.color)) for _, paint in hues.entries] == list(HUES[False][:3])
    assert [paint.dashes is None for _, paint in dashes.entries] == [True, False]


def test_groups_are_of_what_is_shown_in_the_paints_of_the_full_run() -> None:
    config = parse_config(GRID)
    shown = [one for one in config.conditions if one.swept["network.activation"] != "relu"][1::2]
    (hues,) = groups_of(palette_of(config), shown, labels={"elu": "mine"})
    assert [text for text, _ in hues.entries] == ["tanh", "mine"]
    assert [to_hex(tuple(paint.color)) for _, paint in hues.entries] == list(HUES[False][1:3])
    assert groups_of(palette_of(config), config.conditions[:1]) == ()


@pytest.mark.parametrize("predicted", [False, True])
def test_texts_are_short(predicted: bool) -> None:
    config = parse_config(GRID)
    key = layers(predict_sweep(config) if predicted else run_sweep(config))
    assert all(len(entry.text) <= 50 for entry in key.entries)
