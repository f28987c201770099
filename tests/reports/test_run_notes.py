import math
import re

import pytest

from heinit_sim.config import parse_config
from heinit_sim.reports.run import summary_rows
from heinit_sim.reports.run_notes import notes
from tests.conditions import unpredicted
from tests.reports.configs import CLASSES, SMALL


def test_inputs_of_another_scale_are_noted() -> None:
    config = parse_config(SMALL)
    assert notes(config, summary_rows(unpredicted(config))) == []
    inputs = "inputs: {count: 4, distribution: normal, std: 73}"
    config = parse_config(SMALL.replace("inputs: {count: 4}", inputs))
    for note in notes(config, summary_rows(unpredicted(config))):
        assert re.search(r"the variance of the inputs is \d\.\de\+03, ", note)
    assert len(notes(config, summary_rows(unpredicted(config)))) == 2


def test_a_last_layer_of_another_scale_is_noted_with_its_factor() -> None:
    text = SMALL.replace("width: 8", "width: 64").replace(
        "sweep: {init.variance: [0.25, 0.5]}\n", ""
    )
    text = text.replace("init: {}", "init: {scheme: he_normal, mode: fan_out}")
    config = parse_config(text)
    rows = summary_rows(unpredicted(config))
    (note,) = notes(config, rows)  # σ² = 2/fan_out = 2 for one output
    assert note.endswith(": the last layer's σ² is 128 times 1/fan_in")


@pytest.mark.parametrize(("variance", "noted"), [("1e-6", False), ("0.005", False), ("1.0", True)])
def test_a_large_first_cross_entropy_is_noted_with_what_mends_it(
    variance: str, *, noted: bool
) -> None:
    text = CLASSES.replace("VARIANCE", variance)
    config = parse_config(text)
    found = [n for n in notes(config, summary_rows(unpredicted(config))) if "ln V" in n]
    assert len(found) == noted
    if not noted:
        return
    assert "the loss is" in found[0]
    mends = re.search(r"σ² of the last layer of (\S+) or less brings it within 10 %", found[0])
    assert mends is not None
    mended = parse_config(text, "c", {"init.last.variance": float(mends[1])})
    (row,) = summary_rows(unpredicted(mended))
    # Two digits of σ², and what 10 networks differ by.
    assert 1.05 < row["loss_mean"] / math.log(50) < 1.12
