"""A drawn figure is saved and shown as it was drawn, whatever a user's settings are."""

import io
import pickle
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import heinit_sim
from heinit_sim.config import parse_config
from heinit_sim.experiment.results import SweepPrediction
from heinit_sim.theory.predictions import predict_sweep
from tests.configs import SMALL
from tests.rows import slow_but

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def prediction() -> SweepPrediction:
    return predict_sweep(parse_config(SMALL))


def saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", slow_but(["png", "svg", "pdf"], "svg"))
def test_a_users_settings_change_no_byte(suffix: str, prediction: SweepPrediction) -> None:
    figure = heinit_sim.draw(prediction)
    before = saved(figure, format=suffix)
    theirs: dict[Any, Any] = {
        "font.size": 30,
        "savefig.facecolor": "red",
        "svg.fonttype": "none",
        "pdf.fonttype": 3,
    }
    with matplotlib.rc_context(theirs):
        again = [saved(figure, format=suffix), saved(heinit_sim.draw(prediction), format=suffix)]
        again.append(saved(pickle.loads(pickle.dumps(figure)), format=suffix))
        assert matplotlib.rcParams["font.size"] == 30
    assert again == [before] * 3
    assert b"date>" not in before
    assert b"CreationDate" not in before


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_resolution_is_that_of_the_config_unless_another_is_given(
    prediction: SweepPrediction,
) -> None:
    figure = heinit_sim.draw(prediction, size=(4, 3), dpi=50)
    assert pixels(saved(figure)).shape == (150, 200, 4)
    assert pixels(saved(figure, dpi=100)).shape == (300, 400, 4)
    assert pixels(saved(heinit_sim.draw(prediction, size=(4, 3)))).shape == (600, 800, 4)


@pytest.mark.parametrize(
    "theme",
    slow_but(
        ["light", "dark", "transparent-light", "transparent-dark"], "light", "transparent-dark"
    ),
)
def test_a_transparent_ground_stays_transparent(theme: str, prediction: SweepPrediction) -> None:
    figure = heinit_sim.draw(prediction, theme=theme, dpi=30)
    alpha = pixels(saved(figure))[..., 3]
    clear = theme.startswith("transparent")
    assert (alpha[0, 0], alpha[-1, -1]) == ((0, 0) if clear else (255, 255))
    assert alpha.max() == 255


@pytest.mark.parametrize("svg_text", [False, True])
def test_text_of_an_svg_is_text_if_it_is_asked_for(
    svg_text: bool, prediction: SweepPrediction
) -> None:
    figure = heinit_sim.draw(prediction, svg_text=svg_text)
    root = ET.fromstring(saved(figure, format="svg"))
    texts = ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]
    assert ("0" in texts) == svg_text
    assert bool(texts) == svg_text


def test_a_notebook_is_given_a_picture_and_its_size(
    prediction: SweepPrediction,
) -> None:
    """IPython asks for `_repr_png_`: bytes, and metadata in pixels of a page."""
    figure = heinit_sim.draw(prediction, size=(4, 3), dpi=30)
    png, size = figure._repr_png_()  # type: ignore[attr-defined]  # of figures for notebooks
    assert size == {"width": 288, "height": 216}
    assert pixels(png).shape == (432, 576, 4)
    assert png == figure._repr_png_()[0]  # type: ignore[attr-defined]  # as above
