"""What only matplotlib knows of a figure's look is refused before anything is simulated."""

from pathlib import Path

import pytest

import heinit_sim
from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures import check_look
from heinit_sim.theory.predictions import predict_sweep
from tests.commands import heinit_sim as command
from tests.configs import SMALL
from tests.rows import cases

FINE = [
    FigureConfig(),
    FigureConfig(colors="viridis"),
    FigureConfig(colors=("red", "C0", "0.4", "#1e3e73", "tab:blue", "xkcd:teal")),
    FigureConfig(title=r"costs \$5 at $\sigma^2_\Omega = 2/D_h$", labels={"0.02": "$2/D$"}),
    FigureConfig(title="50 $"),
]
WRONG = cases(
    r"""
figure.colors=viridi
> figure.colors: error: not a colour map of matplotlib ('viridi'), must be the name of one, e.g.
> viridis; did you mean 'viridis'?
figure.colors=red
> figure.colors: error: not a colour map of matplotlib ('red'), must be the name of one, e.g.
> viridis; a list of colours is written in [ ]
figure.colors=red,teel
> figure.colors[1]: error: not a colour of matplotlib ('teel'), must be one, e.g. teal, C0, '0.4'
> or '#1e3e73'; did you mean 'teal'?
figure.colors=none,red
> figure.colors[0]: error: not a colour of matplotlib ('none'), must be one, e.g. teal, C0, '0.4'
> or '#1e3e73'
""",
    {},
)
SWEPT = SMALL + "sweep: {init.variance: [0.25, 0.5]}\n"


@pytest.mark.parametrize("figure", FINE)
def test_what_matplotlib_draws_is_taken(figure: FigureConfig) -> None:
    check_look(figure)


@pytest.mark.parametrize(("override", "message"), WRONG)
def test_colours_are_looked_up(override: str, message: str) -> None:
    found = command("validate", "-", "--set", override, stdin=SWEPT)
    assert found == (2, "", message + "\n")


@pytest.mark.parametrize("key", ["title", "labels.0.5"])
def test_formulas_are_read(key: str) -> None:
    figure = {"title": r"$\foo$"} if key == "title" else {"labels": {"0.5": r"$\foo$"}}
    prediction = predict_sweep(parse_config(SWEPT))
    with pytest.raises(ConfigError) as raised:
        heinit_sim.draw(prediction, **figure)
    (problem,) = raised.value.problems
    assert problem.startswith(rf"figure.{key}: error: not a formula ('$\\foo$': ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("font.size: nope\n", "line 1 ('font.size: nope'): Key font.size"),
        ("# mine\nno.such.key: 3\n", "Bad key no.such.key in file"),
        ("axes.grid\n", "Missing colon in file"),
    ],
)
def test_a_style_file_is_refused_for_a_line_that_matplotlib_would_ignore(
    text: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.mplstyle"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        check_look(FigureConfig(style=str(path)))
    (problem,) = raised.value.problems
    assert problem.startswith(f"figure.style: error: cannot be read ({path}: ")
    assert why in problem
    path.write_text("axes.grid: True\n")
    check_look(FigureConfig(style=str(path)))


@pytest.mark.parametrize("path", ["none.mplstyle", "https://example.org/a.mplstyle"])
def test_a_style_that_is_no_file_is_refused_and_not_asked_for_elsewhere(path: str) -> None:
    with pytest.raises(ConfigError, match=r"figure\.style: error: cannot be read"):
        check_look(FigureConfig(style=path))


def test_every_command_that_draws_refuses_before_it_does_anything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for asked in (("run", "-"), ("theory", "-")):
        done = command(*asked, "--set", "figure.colors=red", "--out", out, stdin=SWEPT)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("figure.colors: error: ")
        assert not out.exists()
