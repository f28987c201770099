"""What a user gets who asks for a figure step by step."""

import hashlib
import json
import re
import shlex
import sys
import zipfile
from pathlib import Path

import pytest

from heinit_sim.runs import figure_files
from tests.commands import files, heinit_sim
from tests.configs import SMALL

THREE = SMALL + "sweep: {init.variance: [0.2, 0.3, 0.4]}\nfigure: {dpi: 30}\n"
STEPS = {f"forward_backward-step-{n}.svg" for n in range(6)}  # axes, three, theory, bands


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run without a figure, of small.yaml in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(THREE)
    assert heinit_sim("run", "small.yaml", "-q", "--no-plots").returncode == 0
    return Path("outputs") / "small"


def listed(run: Path) -> set[str]:
    """The files that the manifest lists; all of them are as it says."""
    digests = json.loads((run / "manifest.json").read_text("utf-8"))["files"]
    for name, digest in digests.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == digest, name
    return set(digests)


def test_steps_are_files_of_the_run_in_the_formats_of_its_figure(run: Path) -> None:
    before = files(run)
    done = heinit_sim("plot", run, "--builds", "--format", "svg")
    names = ", ".join(sorted(STEPS))
    assert done.stderr == f"Wrote {names}, manifest.json in {run}\n"
    assert listed(run) == (before.keys() | STEPS) - {"manifest.json"}
    drawn = files(run)
    assert {name: drawn[name] for name in before.keys() - {"manifest.json"}} == {
        name: before[name] for name in before.keys() - {"manifest.json"}
    }
    medians = [
        set(re.findall(rb'id="condition-(\d)-median"', drawn[f"forward_backward-step-{n}.svg"]))
        for n in range(6)
    ]
    assert medians == [set(), {b"0"}, {b"0", b"1"}, *[{b"0", b"1", b"2"}] * 3]
    assert heinit_sim("plot", run, "--builds", "--format", "svg").returncode == 0
    assert files(run) == drawn
    assert "up to date" in heinit_sim("run", "small.yaml", "--no-plots").stderr


@pytest.mark.slow
def test_a_pdf_has_a_page_for_each_step_and_no_date(run: Path) -> None:
    for out in ("a", "b"):
        done = heinit_sim("plot", run, "--builds", "--format", "pdf", "--out", out)
        assert done.stderr == f"Wrote forward_backward-builds.pdf in {out}\n"
    content = Path("a/forward_backward-builds.pdf").read_bytes()
    assert content == Path("b/forward_backward-builds.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", content)) == 6
    assert b"Date" not in content
    boxes = set(re.findall(rb"/MediaBox \[[^]]*\]", content))
    assert len(boxes) == 1


@pytest.mark.slow
def test_steps_of_an_earlier_longer_series_go_and_no_file_of_a_users(run: Path) -> None:
    shorter = ("--set", "figure.only={init.variance: [0.3]}")
    assert heinit_sim("plot", run, "--builds", "--format", "svg", "--out", "x").returncode == 0
    mine = Path("x/forward_backward-step-8.svg")
    mine.write_text("mine")
    options = ("plot", run, "--builds", "--format", "svg", "--out", "x")
    assert heinit_sim(*options, *shorter).returncode == 0
    left = {f"forward_backward-step-{n}.svg" for n in range(4)}
    assert {path.name for path in Path("x").iterdir()} == {*left, mine.name}

    assert heinit_sim("plot", run, "--builds", "--format", "svg").returncode == 0
    retouched = run / "forward_backward-step-5.svg"
    retouched.write_text("retouched")
    (run / "notes.txt").write_text("mine")
    (run / mine.name).write_text("mine")
    text = THREE.replace("dpi: 30", "dpi: 30, formats: svg, theme: dark")
    Path("small.yaml").write_text(text)
    assert heinit_sim("run", "small.yaml", "-q").returncode == 0  # another figure of the same run
    there = {path.name for path in run.iterdir()}
    assert there & {*STEPS, mine.name, "notes.txt"} == {retouched.name, mine.name, "notes.txt"}
    assert not listed(run) & STEPS
    before = files(run)
    done = heinit_sim("plot", run, "--builds")
    assert done.returncode == 2
    assert f"{retouched.name}: is no run's file; move it" in done.stderr
    assert files(run) == before


@pytest.mark.slow
def test_steps_that_were_moved_away_are_not_missed(run: Path) -> None:
    assert heinit_sim("plot", run, "--builds", "--format", "svg").returncode == 0
    for name in STEPS:
        (run / name).rename(name)
    assert "up to date" in heinit_sim("run", "small.yaml", "--no-plots").stderr
    assert heinit_sim("plot", run, "--format", "svg").returncode == 0
    assert heinit_sim("check", run).returncode == 0


@pytest.mark.slow
def test_motion_and_slides_are_files_of_the_run_too(run: Path) -> None:
    before = files(run)
    done = heinit_sim("plot", run, "--gif", "--builds", "--format", "pptx, svg")
    others = {"forward_backward-builds.pptx", "forward_backward.gif"}
    assert done.stderr.startswith("Wrote forward_backward-step-0.svg, ")
    assert done.returncode == 0
    assert listed(run) == (before.keys() | STEPS | others) - {"manifest.json"}
    drawn = files(run)
    assert drawn["config.yaml"] == before["config.yaml"]
    command = f"heinit-sim plot {run} --gif --builds --format 'pptx, svg'"
    with zipfile.ZipFile(run / "forward_backward-builds.pptx") as slides:
        notes = [name for name in slides.namelist() if "notesSlides/notes" in name]
        assert len(notes) == 6
        assert all(f"<a:t>{command}</a:t>" in slides.read(name).decode() for name in notes)
    assert heinit_sim(*shlex.split(command)[1:]).returncode == 0
    assert files(run) == drawn
    assert len(drawn["forward_backward.gif"]) < 1e6
    assert "up to date" in heinit_sim("run", "small.yaml", "--no-plots").stderr


@pytest.mark.slow
def test_a_format_beside_a_motion_is_that_of_the_figure(run: Path) -> None:
    done = heinit_sim("plot", run, "--gif", "--format", "svg,pptx", "--out", "x")
    names = "forward_backward.svg, forward_backward.pptx, forward_backward.gif"
    assert done.stderr == f"Wrote {names} in x\n"
    done = heinit_sim("plot", run, "--format", "svg,pptx")
    assert done.stderr.count("manifest.json") == 2
    assert "formats: [svg]" in (run / "config.yaml").read_text("utf-8")
    assert {"forward_backward.svg", "forward_backward.pptx"} <= listed(run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gif", "--set", "figure.kind=slopes", "--out", "x"), "no pass moves in kind: slopes"),
        (("--format", "pptx,pgn"), "figure.formats=pgn: error: figure.formats: unknown value"),
        (("--builds", "--set", "figure.order=0.6", "--out", "x"), "no swept value ('0.6')"),
    ],
)
def test_what_cannot_be_is_one_line(run: Path, options: tuple[str, ...], message: str) -> None:
    done = heinit_sim("plot", run, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("x").exists()


def test_without_python_pptx_nothing_is_drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pptx", None)
    before = files(run)
    done = heinit_sim("plot", run, "--format", "svg,pptx")
    assert done.returncode == 2
    assert done.stderr == (
        "--format: error: pptx needs python-pptx, not installed; "
        "pip install 'heinit-sim[slides]' brings it\n"
    )
    assert files(run) == before


@pytest.mark.slow
def test_the_order_needs_no_other_place_for_it_is_of_the_steps_alone(run: Path) -> None:
    order = ("--set", "figure.order=0.4,0.2")
    assert heinit_sim("plot", run, "--builds", "--format", "svg", *order).returncode == 0
    first = (run / "forward_backward-step-1.svg").read_bytes()
    assert re.findall(rb'id="condition-(\d)-median"', first) == [b"2"]
    refused = heinit_sim("plot", run, *order)
    assert refused.returncode == 2
    assert "needs --out DIR" in refused.stderr


@pytest.mark.parametrize(
    ("present", "left"),
    [
        ({"step-3.svg", "step-4.svg", "step-6.svg"}, {"step-3.svg", "step-4.svg"}),
        ({"step-3.png", "step-03.svg", "step-x.svg"}, set()),
        ({"step-2.svg", "step-10.svg"}, set()),
    ],
)
def test_later_steps_are_those_that_follow_in_the_same_format(
    present: set[str], left: set[str]
) -> None:
    names = [f"{figure_files.NAME}-step-{n}.svg" for n in range(3)]
    there = {f"{figure_files.NAME}-{name}" for name in present}
    assert {*figure_files.later_steps(names, there)} == {
        f"{figure_files.NAME}-{name}" for name in left
    }
