"""Keys of `figure` as options of `draw`: checked as the config's are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heinit_sim
from heinit_sim.config import parse_config, with_figure
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.simulation.sweep import run_sweep
from tests.configs import SMALL

SWEPT = SMALL + "sweep: {init.variance: [0.25, 0.5]}\nfigure: {kind: spread, theme: dark}\n"
OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"theme": "light", "size": "beamer"}, {"theme": "light", "size": "beamer"}),
    ({"size": (3.3, 2)}, {"size": (3.3, 2.0)}),
    ({"size": np.array([3.3, 2.0])}, {"size": (3.3, 2.0)}),
    ({"only": {"init.variance": np.float64(0.5)}}, {"only": (1,)}),
    ({"only": {"init.variance": [0.5, 0.25]}}, {"only": (0, 1)}),
    (
        {"labels": {"0.5": "He"}, "title": "a: b, #c"},
        {"labels": {"0.5": "He"}, "title": "a: b, #c"},
    ),
    ({"colors": ("red", "#00f")}, {"colors": ("red", "#00f")}),
    ({"style": Path("slides.mplstyle")}, {"style": "slides.mplstyle"}),
    (
        {"theme": None, "kind": "layers", "decades": (-3, 3)},
        {"theme": "light", "kind": "layers", "decades": (-3.0, 3.0)},
    ),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"them": "dark"}, 'draw figure.them="dark": error: figure.them: unknown key'),
    ({"theme": "drak"}, 'draw figure.theme="drak": error: figure.theme: unknown value'),
    ({"size": (3,)}, "draw figure.size=[3]: error: figure.size: too short"),
    ({"only": {"init.variance": 3}}, "error: figure.only.init.variance: matches no condition"),
    ({"colors": ["red"]}, "error: figure.colors: wrong length (1)"),
    ({"kind": "cosine"}, "error: figure.kind: no cosines are recorded (cosine)"),
    ({"theme": object()}, "draw: error: figure.theme: no value of a config (object"),
    ({"dpi": float("nan")}, "draw: error: figure.dpi: no value of a config (float nan)"),
]


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return run_sweep(parse_config(SWEPT))


@pytest.mark.parametrize(("options", "keys"), OPTIONS)
def test_options_take_the_place_of_keys_of_the_config(
    options: dict[str, Any], keys: dict[str, Any], result: SweepResult
) -> None:
    config = with_figure(result.config, options, "draw")
    assert vars(config.figure) == vars(FigureConfig(**{"kind": "spread", "theme": "dark", **keys}))
    assert config.conditions == result.config.conditions
    assert parse_config(heinit_sim.config.to_yaml(config.document)) == config


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_errors_of_the_config(
    options: dict[str, Any], message: str, result: SweepResult
) -> None:
    with pytest.raises(ConfigError) as raised:
        heinit_sim.draw(result, **options)
    (problem,) = raised.value.problems
    assert message in problem


def test_an_option_draws_another_figure(result: SweepResult) -> None:
    spread, layers = heinit_sim.draw(result), heinit_sim.draw(result, kind="layers")
    labels = [figure.axes[0].get_ylabel() for figure in (spread, layers)]
    assert labels[0] != labels[1]
    assert result.config.figure.kind == "spread"
