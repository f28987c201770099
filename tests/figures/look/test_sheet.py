import pytest
from matplotlib.colors import to_rgba
from matplotlib.text import Text

from heinit_sim.experiment.sweep_config import FigureConfig, FigureTheme
from heinit_sim.figures.draw import draw
from heinit_sim.figures.look.contrast import LINE, TEXT, contrast
from tests.figures.helpers import figure_7_4
from tests.rows import slow_but

STYLES = ["ggplot", "fivethirtyeight", "bmh", "Solarize_Light2", "dark_background"]


@pytest.mark.parametrize("style", slow_but(STYLES, "ggplot", "dark_background"))
@pytest.mark.parametrize("theme", slow_but(["light", "dark"], "light"))
def test_all_stands_out_from_the_ground_that_a_style_makes(style: str, theme: FigureTheme) -> None:
    figure = draw(figure_7_4(FigureConfig(style=style, theme=theme)))
    page = figure.get_facecolor()
    for ax in figure.axes:
        own = to_rgba(ax.get_facecolor())
        panel = own if own[-1] else page
        lines = [line for line in ax.lines if str(line.get_label()).startswith("median")]
        assert len(lines) == 5
        assert min(contrast(line.get_color(), panel) for line in lines) >= LINE
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert len(texts) > 20
    assert min(contrast(text.get_color(), page) for text in texts) >= TEXT


def test_a_transparent_theme_leaves_the_slide_to_be_seen() -> None:
    figure = draw(figure_7_4(FigureConfig(theme="transparent-dark")))
    assert to_rgba(figure.get_facecolor())[3] == 0
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(contrast(text.get_color(), "#16181d") for text in texts) >= TEXT
