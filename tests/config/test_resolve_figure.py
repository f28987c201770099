"""The keys of `figure` that say how it looks: what they become, and what is refused."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from heinit_sim.config import completions, load_config, parse_config, to_yaml
from heinit_sim.config.schema.config import Figure
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.runs.manifest import config_hash
from tests.configs import DENSE, parsed, problems
from tests.rows import cases

SWEPT = DENSE + "sweep: {init.variance: [0.001, 0.02, 1e-5], network.activation: [relu, tanh]}\n"
INCHES = "must be one of slide, beamer, column, text, or a list of two numbers from 1.5 to 50"
LOOKS: list[tuple[str, dict[str, Any]]] = [
    ("theme: transparent-dark", {"theme": "transparent-dark"}),
    ("size: beamer", {"size": "beamer"}),
    ("size: [3.3, 2]", {"size": (3.3, 2.0)}),
    ("font: DejaVu Serif, font_size: 9", {"font": "DejaVu Serif", "font_size": 9.0}),
    ("panels: backward", {"panels": "backward"}),
    ("only: {init.variance: 0.02}", {"only": (2, 3)}),
    ("only: {init.variance: [1e-5, 0.001], network.activation: tanh}", {"only": (1, 5)}),
    ("only: {network.activation: [tanh, {name: relu}]}", {"only": (0, 1, 2, 3, 4, 5)}),
    ("labels: {0.02: He, 1e-05: none}", {"labels": {"0.02": "He", "1e-05": "none"}}),
    (
        "labels: {2e-2: He, 0.00001: A, tanh: T}",
        {"labels": {"0.02": "He", "1e-05": "A", "tanh": "T"}},
    ),
    ("labels: {ReLU: R, Tanh: T}", {"labels": {"relu": "R", "tanh": "T"}}),
    ("order: tanh", {"order": ("tanh",)}),
    ("order: [relu, 2e-2]", {"order": ("relu", "0.02")}),
    ("title: 'Forward, backward'", {"title": "Forward, backward"}),
    ("colors: cividis", {"colors": "cividis"}),
    ("colors: [r, g, b, c, m, '0.5']", {"colors": ("r", "g", "b", "c", "m", "0.5")}),
    ("decimal: ','", {"decimal": ","}),
    ("style: slides.mplstyle", {"style": "slides.mplstyle"}),
    ("formats: pdf", {"formats": ("pdf",)}),
    ("formats: [pdf, png]", {"formats": ("png", "pdf")}),
    ("formats: [tex, svg]", {"formats": ("svg", "tex")}),
    ("dpi: 72, svg_text: true", {"dpi": 72, "svg_text": True}),
]
WRONG = cases(
    """
figure.theme=drak
> figure.theme: unknown value ('drak'), must be one of light, dark, transparent-light,
> transparent-dark; did you mean 'dark'?
figure.size=slied
> figure.size: unknown value ('slied'), $INCHES; did you mean 'slide'?
figure.size=3
> figure.size: unknown value (3), $INCHES
figure.size=[3]
> figure.size: too short (a list), $INCHES
figure.size=3,1
> figure.size[1]: too small (1), $INCHES
figure.font_size=3
> figure.font_size: too small (3), must be a number from 4 to 72
figure.title=''
> figure.title: too short (''), must be a text of 1 to 200 characters
figure.only=0.02
> figure.only: not a mapping (0.02), must be a mapping from dotted paths to values
figure.only={init.variance: 0.03}
> figure.only.init.variance: matches no condition (0.03), must be one of 0.001, 0.02, 1e-05;
> null takes it back
figure.only={init.variance: [0.02, 0.03]}
> figure.only.init.variance[1]: matches no condition (0.03), must be one of 0.001, 0.02, 1e-05;
> null takes it back
figure.labels=[He]
> figure.labels: wrong length (1), must be one for each of the 3 values of init.variance; null takes
> it back
figure.labels=3
> figure.labels: not a mapping (3), must be a mapping from swept values to labels, or a list of
> labels for the first swept key, each a text of 1 to 200 characters
figure.labels={0.02: 3}
> figure.labels.0.02: not a string (3), must be a mapping from swept values to labels, or a list of
> labels for the first swept key, each a text of 1 to 200 characters; write it in quotes
figure.labels={tahn: T}
> figure.labels.tahn: no swept value ('tahn'), must be one of 0.001, 0.02, 1e-05, relu, tanh;
> did you mean 'tanh'?; null takes it back
figure.labels={0.02: He, 2e-2: He}
> figure.labels.2e-2: another text of one value ('2e-2'), must be given once; null takes it back
figure.order=tanh,reul
> figure.order[1]: no swept value ('reul'), must be one of 0.001, 0.02, 1e-05, relu, tanh;
> did you mean 'relu'?; null takes it back
figure.order=0.02,2e-2
> figure.order[1]: given twice (0.02), must be a list of distinct values; null takes it back
figure.order={relu: 1}
> figure.order: not a string (a mapping), must be a swept value, or a list of them
figure.colors=red,blue
> figure.colors: wrong length (2), must be one for each of the 6 conditions; null takes it back
figure.decimal=;
> figure.decimal: unknown value (';'), must be '.' or ','
figure.formats=png,png
> figure.formats[1]: given twice (png), must be one of png, svg, pdf, tex, or a list of
> distinct ones
figure.formats=[]
> figure.formats: too short (a list), must be one of png, svg, pdf, tex, or a list of distinct ones
figure.dpi=20
> figure.dpi: too small (20), must be an integer from 30 to 1200
figure.svg_text=1
> figure.svg_text: not true or false (1), must be true or false
figure.only.init.variance=0.02
> figure.only.init.variance: unknown key, must be the dotted path of a key in the config; did you
> mean 'init.variance'?
""",
    globals(),
)


@pytest.mark.parametrize(("text", "keys"), LOOKS)
def test_each_key_is_kept_and_written_back_as_it_was_given(text: str, keys: dict[str, Any]) -> None:
    config = parse_config(f"{SWEPT}figure: {{{text}}}\n")
    assert config.figure == replace(FigureConfig(), **keys)
    again = parse_config(to_yaml(config.document))
    assert again == config
    assert json.loads(json.dumps(config.document)) == config.document


@pytest.mark.parametrize(("override", "message"), WRONG)
def test_what_is_wrong_is_named_with_what_is_allowed(override: str, message: str) -> None:
    assert problems(SWEPT, override) == [f"--set {override}: error: {message}"]


def test_what_is_not_there_is_found_in_the_file() -> None:
    end = "figure:\n  only: {init.variance: [0.02, 3]}\n  labels:\n    0.2: He\n  colors: [r]\n"
    places = [problem.partition(": error: ")[0] for problem in problems(SWEPT + end)]
    assert places == ["c.yaml:10:32", "c.yaml:12:10", "c.yaml:13:11"]


def test_labels_are_of_swept_values_alone() -> None:
    text = "figure.labels.relu: no swept value ('relu'), must be left out where nothing is swept"
    assert problems(DENSE + "figure: {labels: {relu: ReLU}}\n") == [
        f"c.yaml:8:25: error: {text}; null takes it back"
    ]


def test_a_label_is_of_one_number_alone() -> None:
    sweep = "sweep: {loss.target: [-0.5, 0.5], network.width: [[1, 2, 34], [12, 3, 4], 1234]}\n"
    text = DENSE + sweep + "figure: {labels: {0.5: a, 1 2 34: b, 1234: c}}\n"
    assert parse_config(text).figure.labels == {"0.5": "a", "1 2 34": "b", "1234": "c"}
    listed = text.split("figure:")[0] + "figure: {labels: [a, b]}\n"
    assert list(parse_config(listed).figure.labels.values()) == ["a", "b"]


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("figure.formats=png,svg", "formats", ("png", "svg")),
        ("figure.colors=r,g,b,c,m,y", "colors", tuple("rgbcmy")),
        ("figure.colors=cividis", "colors", "cividis"),
        ("figure.order=tanh,0.02", "order", ("tanh", "0.02")),
        ("figure.size=8,4.5", "size", (8.0, 4.5)),
        ("figure.decimal=,", "decimal", ","),
        ('figure.decimal=","', "decimal", ","),
        ("figure.only={init.variance: [0.02]}", "only", (2, 3)),
        ("figure.title=Forward, backward", "title", None),
    ],
)
def test_several_values_on_the_command_line_are_one_list(
    override: str, key: str, value: object
) -> None:
    if value is None:  # a title with a comma is written in quotes
        assert "cannot be swept" in problems(SWEPT, override)[0]
        key, _, text = override.partition("=")
        override, key, value = f'{key}="{text}"', "title", text
    assert getattr(parsed(SWEPT, override).figure, key) == value


def test_defaults_are_those_of_the_config_and_leave_no_trace() -> None:
    assert Figure.model_fields.keys() == {field.name for field in fields(FigureConfig)}
    plain = parse_config(SWEPT)
    named = parse_config(
        SWEPT + "figure: {kind: layers, theme: light, size: null, font: null, font_size: null, "
        "panels: both, only: null, labels: null, order: null, title: null, colors: null, "
        "decimal: '.', style: null, formats: [svg, png, pdf], dpi: 200, svg_text: false}\n"
    )
    assert plain.figure == named.figure == FigureConfig()
    assert named.document == plain.document
    assert config_hash(named) == config_hash(plain)


def test_reference_runs_keep_their_hashes() -> None:
    runs = [*Path("outputs/reference").glob("*/manifest.json")]
    assert runs
    for path in runs:
        config = load_config(path.with_name("config.yaml"), read_data=False)
        assert config_hash(config) == json.loads(path.read_text("utf-8"))["config_sha256"]


def test_words_are_completed() -> None:
    assert completions("figure.theme=transparent-") == [
        f"figure.theme=transparent-{ground}" for ground in ("light", "dark")
    ]
    assert completions("figure.formats=png,s") == ["figure.formats=png,svg"]
    assert completions("figure.siz") == ["figure.size="]
    assert completions("figure.size=b") == ["figure.size=beamer"]
    assert completions("figure.only") == ["figure.only="]


def test_a_look_is_read_without_numpy_or_matplotlib() -> None:
    text = f"{SWEPT}figure: {{style: ggplot, colors: cividis, only: {{init.variance: 0.02}}}}\n"
    code = (
        "import sys\nfrom heinit_sim import parse_config\n"
        f"parse_config({text!r})\n"
        "print({'numpy', 'matplotlib', 'rich'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
