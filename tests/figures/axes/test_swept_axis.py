import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.axes.swept_axis import swept_scale
from tests.conditions import unpredicted


def swept(sweep: str) -> SweepResult:
    text = f"""
name: x
network: {{depth: 4, width: 8, input_dim: 8}}
init: {{scheme: he_normal}}
sweep: {{{sweep}}}
trials: 1
"""
    return unpredicted(parse_config(text))


def test_values_too_close_for_ticks_of_their_own_get_readable_ones() -> None:
    crowd = ", ".join(str(10 + n) for n in range(40))
    scale = swept_scale(swept(f"network.width: [{crowd}]"), "forward", 25)
    shown = [int(text) for text in scale.labels]
    assert 2 <= len(shown) <= 8
    assert len(set(np.diff(shown))) == 1


@pytest.mark.parametrize(
    ("sweep", "low", "high"),
    [("network.width: [30, 10, 20]", 10.0, 30.0), ("network.width: [1000, 10]", 1.0, 3.0)],
    ids=["linear", "logarithmic"],
)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_axis_is_flush_with_the_names_and_has_a_margin_on_its_outer_side(
    sweep: str, low: float, high: float, direction: Pass
) -> None:
    scale = swept_scale(swept(sweep), direction, 25)
    margin = 0.03 * (high - low)
    expected = (low - margin, high) if direction == "forward" else (low, high + margin)
    np.testing.assert_allclose(scale.limits, expected, rtol=1e-14, atol=0)
