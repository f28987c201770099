"""What a user types, sees and finds on disk, from arguments to exit code."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from heinit_sim import load_config
from heinit_sim.derivation import gradients, layer_rules, xavier
from tests.commands import Ran, files, heinit_sim, process
from tests.configs import SMALL
from tests.rows import slow_but

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
REFERENCES = {"figure_7_4": 5 * 5 * 51, "he_spread": 5 * 51}  # rows of their layers.csv


@pytest.fixture(autouse=True)
def _directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_a_config_gives_its_reference_run_again(name: str, tmp_path: Path) -> None:
    found = heinit_sim("run", ROOT / "configs" / f"{name}.yaml", "--no-plots")
    assert found.returncode == 0, found.stderr
    folders = (tmp_path / "outputs" / name, ROOT / "outputs/reference" / name)
    heads = {(folder / "summary.csv").read_text("utf-8").partition("\n")[0] for folder in folders}
    assert len(heads) == 1
    fresh, reference = (
        list(csv.DictReader(io.StringIO((folder / "layers.csv").read_text("utf-8"))))
        for folder in folders
    )
    assert len(fresh) == len(reference) == REFERENCES[name]
    for ours, theirs in zip(fresh, reference, strict=True):
        assert list(ours) == list(theirs)
        for column in ours:
            if "log10" not in column or theirs[column] in ("", "-inf"):
                assert ours[column] == theirs[column]
                continue
            # Another BLAS sums in another order: at most 50 layers of 100 terms at 2^-53 each,
            # 6e-13 relative, in logarithms of up to 200 whose own rounding is 3e-14. Units whose
            # sign that flips lie within the rounding of zero. Two such numbers are written alike
            # or as neighbours, 1e-8 apart.
            assert abs(float(ours[column]) - float(theirs[column])) < 1.5e-8


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_run_is_of_the_config_in_the_gallery(name: str) -> None:
    saved = load_config(ROOT / "outputs/reference" / name / "config.yaml")
    assert saved == load_config(ROOT / "configs" / f"{name}.yaml")


# One with cosines and one with histograms; test_experiments draws all, without files.
WRITTEN = ("correlation_map", "glorot_2010")


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_configs_of_the_gallery_run_shrunk(name: str, tmp_path: Path) -> None:
    config = ROOT / "configs" / f"{name}.yaml"
    found = heinit_sim("run", config, "--trials", 2, "--set", "inputs.count=4")
    assert found.returncode == 0, found.stderr
    run = tmp_path / "outputs" / name
    names = {"layers.csv", "summary.csv", "networks.npz", "config.yaml", "manifest.json"}
    names |= {f"forward_backward.{suffix}" for suffix in ("png", "svg", "pdf")}
    names |= {"cosines.csv"} if "cosine: true" in config.read_text("utf-8") else set()
    assert set(files(run)) == names
    resolved = heinit_sim("validate", run / "config.yaml")
    assert resolved.stdout.endswith("× 2 networks\n")


def test_a_page_is_written_whole_and_over_no_file_but_a_page(small: Path) -> None:
    run = ("run", "small.yaml", "--no-plots", "-q", "--set", "init.variance=0.1,0.25")
    assert heinit_sim(*run).returncode == 0
    before = files(small / "outputs/small")
    page = ("page", "outputs/small")
    written = heinit_sim(*page)
    text = (small / "small.html").read_text("utf-8")
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr == f"Wrote small.html, {len(text.encode()) / 1000:.0f} kB\n"
    assert text.startswith("<!doctype html>\n")
    assert heinit_sim(*page, "--fragment", "--out", "f.html").returncode == 0
    fragment = (small / "f.html").read_text("utf-8")
    assert fragment.startswith("<figure ")
    assert fragment in text
    for _ in range(2):  # over a fragment, and over the page
        assert heinit_sim(*page, "--out", "f.html").returncode == 0
        assert (small / "f.html").read_text("utf-8") == text
    (small / "f.html").write_text("<p>mine</p>", "utf-8")
    refused = heinit_sim(*page, "--out", "f.html")
    line = "f.html: is no page of heinit-sim; give another --out\n"
    assert refused == Ran(2, "", line)
    assert (small / "f.html").read_text("utf-8") == "<p>mine</p>"
    for out, why in {
        "outputs/small/networks.npz": "is a result of the run, must be another",
        "outputs": "is a directory, must be a file",
        "f.html/page.html": "is not a directory; give another --out",
    }.items():
        refused = heinit_sim(*page, "--out", out)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert why in refused.stderr
    assert files(small / "outputs/small") == before


@pytest.mark.slow
def test_any_number_of_threads_and_any_hash_seed_write_the_same_bytes(small: Path) -> None:
    for jobs in (1, 2):
        run = ("run", "small.yaml", "-j", jobs, "--out", jobs, "--trials", 600)
        found = process(*run, PYTHONHASHSEED=str(jobs))
        assert found.returncode == 0, found.stderr
    one, two = files(small / "1"), files(small / "2")
    manifests = [json.loads(run.pop("manifest.json")) for run in (one, two)]
    assert one == two
    assert [manifest.pop("run")["jobs"] for manifest in manifests] == [1, 2]
    assert manifests[0] == manifests[1]
    pages = [process("verify", "--networks", 100, PYTHONHASHSEED=seed) for seed in "17"]
    assert pages[0].stdout == pages[1].stdout != ""


def test_stdout_is_the_table_and_stderr_the_rest(small: Path) -> None:
    swept = ("--set", "init.variance=1,2")
    found = heinit_sim("run", "small.yaml", "--no-plots", *swept)
    assert not (small / "outputs" / "small" / "forward_backward.png").exists()
    assert "verdict" in found.stdout
    assert "\x1b" not in found.stdout + found.stderr
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert found.stderr.startswith("Wrote outputs/small in ")
    assert heinit_sim("show", "outputs/small") == Ran(0, found.stdout, "")
    assert heinit_sim("run", "small.yaml", "--no-plots", "-q", "-f") == Ran(0, "", "")


def test_json_is_one_document_and_nothing_else(small: Path) -> None:
    found = heinit_sim("run", "small.yaml", "--no-plots", "--json")
    document = json.loads(found.stdout)
    assert document["directory"] == "outputs/small"
    assert document["summary"][0]["networks"] == 4
    shown = json.loads(heinit_sim("show", "--json", "outputs/small").stdout)
    assert shown == document
    planned = heinit_sim("run", "small.yaml", "-n", "--json", "--out", "x")
    assert json.loads(planned.stdout)["passes"] == 4


def test_config_from_standard_input_with_overrides(small: Path) -> None:
    found = heinit_sim(
        *("run", "-", "--set", "init.variance=0.1,0.2", "--seed", 5, "--trials", 3),
        *("--no-plots", "--json"),
        stdin=SMALL,
    )
    document = json.loads(found.stdout)
    assert document["seed"] == 5
    assert document["sweep"] == {"init.variance": [0.1, 0.2]}
    assert [row["networks"] for row in document["summary"]] == [3, 3]


def test_dry_run_says_all_and_writes_nothing(small: Path) -> None:
    found = heinit_sim("run", "small.yaml", "--dry-run", "--set", "init.variance=1,2")
    assert found.returncode == 0
    assert "2 conditions × 4 networks" in found.stdout
    assert "4 forward and backward passes" in found.stdout
    assert re.search(r"about [\d.]+ s and \d+ MiB", found.stdout)
    assert "would write outputs/small: layers.csv" in found.stdout
    assert set(small.iterdir()) == {small / "small.yaml"}


def test_dry_run_offers_to_do_without_weights_where_that_is_much_shorter(small: Path) -> None:
    given = ("run", "small.yaml", "-n", "--set", "network.width=3000", "--set", "inputs.count=1")
    (offer,) = [line for line in heinit_sim(*given).stdout.splitlines() if "engine" in line]
    assert re.fullmatch(
        r"--set engine=conditional would take about 1/\d+ of the time: "
        "the same law, other draws",
        offer,
    )
    assert json.loads(heinit_sim(*given, "--json").stdout)["conditional_gain"] > 2
    without = heinit_sim(*given, "--set", "engine=conditional", "--json").stdout
    assert json.loads(without)["conditional_gain"] > 2
    assert "engine" not in heinit_sim("run", "small.yaml", "-n").stdout  # 4 units a layer


def test_dry_run_offers_weights_where_there_are_more_inputs_than_units(small: Path) -> None:
    given = ("run", "small.yaml", "-n", "--set", "engine=conditional", "--set", "inputs.count=600")
    (offer,) = [line for line in heinit_sim(*given).stdout.splitlines() if "engine" in line]
    assert re.fullmatch(
        r"--set engine=weights would take about 1/\d+ of the time: the same law, other draws", offer
    )


def test_dry_run_says_what_would_be_checked(small: Path) -> None:
    arguments = ("run", "small.yaml", "-n", "--check", "--alpha", 0.01, "--junit", "j.xml")
    plan = heinit_sim(*arguments).stdout
    assert plan.endswith("would check it (alpha 0.01)\nwould write j.xml: JUnit XML\n")
    document = json.loads(heinit_sim(*arguments, "--json").stdout)
    assert [document[key] for key in ("check", "alpha", "junit")] == [True, 0.01, "j.xml"]
    document = json.loads(heinit_sim(*arguments[:3], "--json").stdout)
    assert [document[key] for key in ("check", "alpha", "junit")] == [False, None, None]


def test_results_are_refused_before_they_are_simulated_again(small: Path) -> None:
    assert heinit_sim("run", "small.yaml", "--no-plots").returncode == 0
    before = files(small / "outputs" / "small")
    again = heinit_sim("run", "small.yaml", "--seed", 9)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "already holds results (of another config); give --force" in again.stderr
    assert files(small / "outputs" / "small") == before
    forced = heinit_sim("run", "small.yaml", "--no-plots", "--force")
    assert (forced.returncode, forced.stderr.split()[0]) == (0, "Wrote")


def everything(directory: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


UP_TO_DATE = "outputs/small is up to date; give --force to simulate it again\n"


def test_a_run_that_is_there_is_up_to_date_and_prints_the_same(small: Path) -> None:
    run = ("run", "small.yaml", "--no-plots")
    first = heinit_sim(*run)
    before = everything(small)
    again = heinit_sim(*run)
    assert again == Ran(0, first.stdout, UP_TO_DATE)
    assert heinit_sim(*run, "-q") == Ran(0, "", "")
    as_json = heinit_sim(*run, "--json")
    assert (as_json.returncode, as_json.stderr) == (0, UP_TO_DATE)
    shown = heinit_sim("show", "outputs/small", "--json")
    assert as_json.stdout == shown.stdout
    planned = heinit_sim(*run, "--dry-run")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert planned.stdout.endswith("\noutputs/small is up to date\n")
    document = json.loads(heinit_sim(*run, "-n", "--json").stdout)
    assert [document[key] for key in ("up_to_date", "passes", "files")] == [True, 0, []]
    assert everything(small) == before


def test_a_run_that_is_there_is_checked_as_if_just_simulated(small: Path) -> None:
    run = ("run", "-", "--no-plots", "--check")
    first = heinit_sim(*run, stdin=EXPECTING)
    before = everything(small)
    again = heinit_sim(*run, "--junit", "j.xml", stdin=EXPECTING)
    assert (first.returncode, again.returncode, again.stdout) == (3, 3, first.stdout)
    assert re.fullmatch(re.escape(UP_TO_DATE) + r"check: 1 of \d+ did not hold\n", again.stderr)
    assert ET.fromstring((small / "j.xml").read_text("utf-8"))[0].get("failures") == "1"
    (small / "j.xml").unlink()
    expect = ("--set", "expect={forward: exploding, when: {init.variance: 2}}")
    other = heinit_sim(*run, *expect, stdin=EXPECTING)
    assert other.returncode == 2  # `check` of the directory would go by the expectations it has
    assert "already holds results (with other expectations); give --force" in other.stderr
    for result in ("layers.csv", "manifest.json"):
        junit = ("--junit", f"outputs/small/{result}")
        refused = heinit_sim(*run, *junit, stdin=EXPECTING)
        assert refused.returncode == 2
        assert "is a result of the run, must be another" in refused.stderr
    assert everything(small) == before


@pytest.mark.slow
def test_two_processes_at_once_leave_one_whole_run(small: Path) -> None:
    command = [sys.executable, "-m", "heinit_sim", "run", "small.yaml", "--no-plots"]
    pair = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    tables = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert tables[0] == tables[1] != b""
    assert heinit_sim("run", "small.yaml", "--no-plots").stderr == UP_TO_DATE
    assert [path.name for path in (small / "outputs").iterdir()] == ["small"]


@pytest.mark.parametrize(("alpha", "code"), [(0.5, 3), (1e-12, 0)])
def test_alpha_is_what_check_and_run_check_go_by(alpha: float, code: int, small: Path) -> None:
    given = ("--trials", 10, "--seed", 2, "--alpha", alpha)  # whose smallest p is below ½ in all
    found = heinit_sim("check", "small.yaml", *given)
    assert found.returncode == code, found.stdout
    ran = heinit_sim("run", "small.yaml", "--no-plots", "--check", *given)
    assert ran.returncode == code, ran.stdout


def test_of_many_dead_conditions_ten_are_told(small: Path) -> None:
    # A layer of one ReLU is dead with probability ½ for an input: 40 layers are dead for all four.
    variances = f"init.variance={','.join(map(str, range(1, 13)))}"
    dying = ("--set", "network.width=1", "--set", "network.depth=40", "--set", variances)
    found = heinit_sim("run", "small.yaml", "--no-plots", *dying)
    *notes, more, wrote = found.stderr.splitlines()
    assert len(notes) == 10
    assert more == "… and 2 more"
    assert wrote.startswith("Wrote ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run",), "Missing argument"),
        (("run", "small.yaml", "-j", "0"), "-j"),
        (("run", "small.yaml", "--colour"), "No such option"),
        (("fly",), "No such command"),
        (("run", "none.yaml"), "none.yaml: error: "),
        (("validate", "bad.yaml"), "bad.yaml:3:11: error: network.depht: unknown key"),
        (("run", "small.yaml", "--set", "trials=0"), "--set trials=0: error: trials: "),
        (("run", "small.yaml", "--set", "trials"), "--set"),
        (("run", "small.yaml", "--seed", "x"), "--seed=x: error: seed: "),
        (("validate", "small.yaml", "--seed", "x"), "--seed=x: error: seed: "),
        (("run", "small.yaml", "--out", "small.yaml"), "not a directory"),
        (("run", "small.yaml", "--out", "small.yaml/deep/run"), "not a directory"),
        (("show", "none"), "none: no such directory"),
        (("show", "small.yaml"), "small.yaml: is not a directory"),
        (("plot", "."), ".: no manifest.json"),
        (("page", "."), ".: no manifest.json"),
        (("page", "none"), "none: no such directory"),
        (("plot", ".", "--set", "trials=3"), "figure.*"),
        (("plot", ".", "--set", "figure.quantity=std"), "--out DIR"),
        (
            ("init", "none"),
            "no such config in the gallery ('none'), must be one of activation_gains, ",
        ),
        (("run", "small.yaml", "--junit", "j.xml"), "--junit: error: "),
        (("run", "small.yaml", "--alpha", "0.5"), "--alpha: error: there is nothing to check"),
        (("run", "small.yaml", "--check", "--junit", "."), ". is a directory, must be a file"),
        (("run", "small.yaml", "--check", "--junit", "outputs"), "outputs is a directory"),
        (("run", "small.yaml", "--check", "--junit", "small.yaml/j.xml"), "another --junit"),
        (("check", "small.yaml", "--junit", "."), ". is a directory, must be a file"),
        (("check", "small.yaml", "--junit", "x" * 300), "File name too long"),
        (("check", "small.yaml", "--junit", "small.yaml/j/k.xml"), "is not a directory; give"),
        (("check", "small.yaml", "--alpha", "0"), "0 is not allowed, must be above 0 and below 1"),
        (("check", "small.yaml", "--alpha", "1"), "1 is not allowed, must be above 0 and below 1"),
        (("check", "small.yaml", "--alpha", "nan"), "must be above 0 and below 1"),
        (("check", "none.yaml"), "none.yaml: error: cannot be read"),
        (("check", "."), ".: no manifest.json"),
        (("check", ".", "--seed", "1"), "--seed: error: . is a run, not a config"),
        (("check", "small.yaml", "--set", "expect.forward=stable"), "expect.forward: unknown key"),
        (("compare", ".", "none"), ".: no manifest.json"),
        (("compare", "none", "."), "none: no such directory"),
        (("compare", ".", ".", "--rtol", "inf"), "inf is not allowed, must be finite, 0 or more"),
        (("compare", ".", ".", "--rtol", "nan"), "nan is not allowed, must be finite, 0 or more"),
        (("compare", ".", ".", "--rtol", "-1"), "-1.0 is not allowed, must be finite, 0 or more"),
        (("theory", "none.yaml"), "none.yaml: error: "),
        (("theory", "small.yaml", "-f"), "--force: error: there is nothing to replace"),
        (("theory", "."), ".: error: cannot be read: Is a directory"),
        (("theory", "small.yaml", "--out", "small.yaml"), "small.yaml is not a directory"),
        (("validate", "small.yaml", "--set", "figure.kind=end"), "no number is swept"),
        (("gains", "rulu"), "did you mean 'relu'?"),
        (("verify", "none.yaml"), "none.yaml: error: "),
        (("verify", "--networks", "9"), "--networks"),
        (("verify", "--json", "--markdown"), "--markdown: error: given beside --json; give one"),
        (("gains", "--json", "--markdown"), "--markdown: error: given beside --json; give one"),
        (("verify", "--set", "init.gain=1e-300"), "--set init.gain=1e-300: error: "),
        (("verify", "small.yaml", "--set", "init.variance=1e-300"), "verify: init: σ²_Ω = 1e-300"),
    ],
)
def test_mistakes_end_with_exit_code_two_and_no_traceback(
    arguments: tuple[str, ...], message: str, small: Path
) -> None:
    bad = SMALL.replace("depth", "depht")
    (small / "bad.yaml").write_text(bad, "utf-8")
    before = files(small)
    found = heinit_sim(*arguments)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout == ""
    assert files(small) == before


_PLAN = ("run", "small.yaml", "--dry-run", "--json")
_CHECK = ("check", "small.yaml", "--json", "--set", "trials=10", "--set", "seed=2")
_THEORY = ("theory", "small.yaml", "--json")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *((_PLAN, option) for option in (("--set", "init.variance=1,2"), ("--trials", "5"))),
        *((_PLAN, option) for option in (("-j", "7"), ("--out", "x"), ("--no-plots",))),
        *((_CHECK, option) for option in (("--set", "init.variance=1,2"), ("--trials", "5"))),
        *((_CHECK, option) for option in (("--seed", "1"), ("--alpha", "0.5"))),
        (("validate", "small.yaml"), ("--trials", "7")),
        *((_THEORY, option) for option in (("--set", "init.variance=1,2"), ("--phase",))),
    ],
    ids=lambda words: " ".join(words),
)
def test_options_change_the_text(
    command: tuple[str, ...], option: tuple[str, ...], small: Path
) -> None:
    plain, other = (heinit_sim(*command, *more) for more in ((), option))
    assert plain.returncode == 0
    assert other.returncode in (0, 3)
    assert plain.stdout != other.stdout != ""


@pytest.mark.slow
def test_a_full_disk_ends_with_exit_code_one_and_leaves_nothing(small: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    found = process("run", "small.yaml", "--no-plots", code=limit)
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "outputs/small: could not be written (File too large)" in found.stderr
    assert not (small / "outputs").exists()


def started(*arguments: str) -> subprocess.Popen[str]:
    start = "import signal\n"  # a signal that was ignored, as below nohup, would stay so
    start += "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
    start += "    signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
    start += "from heinit_sim.__main__ import main\nmain()"
    command = [sys.executable, "-c", start, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", slow_but(SIGNALS, signal.SIGINT))
def test_a_stopped_run_leaves_the_old_results(number: signal.Signals, small: Path) -> None:
    assert heinit_sim("run", "small.yaml", "--no-plots").returncode == 0
    before = files(small / "outputs" / "small")
    with started("run", "-", "--force", "--trials", "1000000", "-j", "1") as run:
        assert run.stdin is not None
        with run.stdin as config:  # more than a pipe holds: when all is written, the run reads
            config.write(SMALL + "#" * 2**18)
        run.stdin = None
        time.sleep(1)
        assert run.poll() is None
        run.send_signal(number)
        stdout, stderr = run.communicate(timeout=60)
    code = -number if number == signal.SIGKILL else 128 + number
    line = f"heinit-sim: stopped by {number.name}" if number != signal.SIGKILL else ""
    assert (run.returncode, stdout) == (code, "")
    assert stderr.partition(";")[0].rstrip() == line  # then what is kept, if anything is yet
    assert stderr.count("\n") == bool(line)
    shutil.rmtree(small / "outputs" / "small" / ".tasks", ignore_errors=True)
    assert files(small / "outputs" / "small") == before


def test_without_posix_signals_and_cpu_affinities_a_run_is_written(small: Path) -> None:
    code = "import os, signal; del signal.SIGHUP, signal.SIGPIPE, os.sched_getaffinity"
    found = process("run", "small.yaml", "--no-plots", "--quiet", code=code)
    assert (found.returncode, found.stderr) == (0, "")
    assert "layers.csv" in files(small / "outputs" / "small")


def test_a_reader_that_goes_away_is_no_error(small: Path) -> None:
    with started("schema") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        stderr = run.stderr.read()
    assert (run.returncode, stderr) == (-signal.SIGPIPE, "")


SLOPES = ("--set", "network.width=6,8", "--set", "figure.kind=slopes")
SVG = ("--set", "figure.formats=svg")
REDRAWN = [(SVG, "figure.quantity=std"), (SLOPES, "figure.kind=layers")]


@pytest.mark.parametrize(("sets", "other"), slow_but(REDRAWN, REDRAWN[0]))
def test_plot_redraws_to_the_same_bytes_and_elsewhere_otherwise(
    sets: tuple[str, ...], other: str, small: Path
) -> None:
    assert heinit_sim("run", "small.yaml", *sets).returncode == 0
    before = files(small / "outputs" / "small")
    assert heinit_sim("plot", "outputs/small").returncode == 0
    assert heinit_sim("plot", "outputs/small", "--set", other, "--out", "other").returncode == 0
    assert files(small / "outputs" / "small") == before
    drawn = files(small / "other")
    suffixes = ("svg",) if sets == SVG else ("png", "svg", "pdf")
    assert drawn.keys() == {f"forward_backward.{suffix}" for suffix in suffixes}
    assert all(before[name] != drawn[name] for name in drawn)


def test_starter_configs_are_listed_written_once_and_valid(tmp_path: Path) -> None:
    lines = heinit_sim("init", "--list").stdout.splitlines()
    listed = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert listed == [path.stem for path in CONFIGS]
    for path in CONFIGS:  # each of which test_load reads
        assert heinit_sim("init", path.stem).returncode == 0
        assert (tmp_path / path.name).read_text("utf-8") == path.read_text("utf-8")
    assert heinit_sim("validate", "he_spread.yaml").returncode == 0
    (tmp_path / "figure_7_4.yaml").write_text("mine")
    again = heinit_sim("init")
    assert again.returncode == 2
    assert (tmp_path / "figure_7_4.yaml").read_text() == "mine"
    assert heinit_sim("init", "--force").returncode == 0
    assert (tmp_path / "figure_7_4.yaml").read_text() != "mine"


def test_schema_version_and_help(tmp_path: Path) -> None:
    schema = json.loads(heinit_sim("schema").stdout)
    assert "network" in schema["properties"]
    assert re.fullmatch(r"heinit-sim \d+\.\d+\.\d+\n", heinit_sim("--version").stdout)
    for command in (
        (),
        *(
            ("run",),
            ("plot",),
            ("page",),
            ("show",),
            ("validate",),
            ("schema",),
            ("init",),
            ("check",),
        ),
        *(("compare",), ("verify",), ("theory",), ("gains",), ("audit",)),
    ):
        short, long = (heinit_sim(*command, flag) for flag in ("-h", "--help"))
        assert short.stdout == long.stdout
        assert short.returncode == 0
        assert max(map(len, short.stdout.splitlines())) <= 80


def test_verify_shows_every_identity_and_ends_with_zero_if_they_hold(small: Path) -> None:
    page = heinit_sim("verify", "--networks", 100)
    assert (page.returncode, page.stderr) == (0, "")
    assert page.stdout.count("\npass ") == 24
    assert max(map(len, page.stdout.splitlines())) <= 80
    assert "\x1b" not in page.stdout
    few = ("--networks", 100, "--seed", 3)
    deeper = ("--set", "network.depth=4")
    markdown = heinit_sim("verify", "small.yaml", *few, *deeper, "--markdown")
    assert markdown.returncode == 0
    assert markdown.stdout.startswith("**Identities: 4 hidden layers, D\\_h = 8, relu**")
    assert markdown.stdout.count("| pass |") == 24
    found = heinit_sim("verify", "small.yaml", *few, "--json")
    document = json.loads(found.stdout)
    assert document["seed"] == 3
    assert document["network"]["widths"] == [5, 8, 8, 8, 1]
    assert {row["networks"] for row in document["rows"] if row["z"] is not None} == {100}


def test_verify_ends_with_three_where_an_initialiser_is_wrong(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_fan_in(scale: float, mode: object, fan_in: int, *_: object) -> float:
        return scale / fan_in

    for module in (gradients, layer_rules, xavier):
        monkeypatch.setattr(module, "weight_variance", by_fan_in)
    found = heinit_sim("verify", "--networks", 100)
    assert found.returncode == 3
    names = "Xavier backward, compromise forward, compromise backward, compromise both"
    assert found.stderr == f"verify: 4 of 24 identities did not hold: {names}\n"
    assert found.stdout.count("\nFAIL ") == 4


@pytest.mark.slow
def test_a_table_needs_neither_greek_letters_nor_a_backend_nor_stdout(small: Path) -> None:
    poor = {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "nonsense", "NO_COLOR": "1"}
    found = process("run", "small.yaml", "--set", "init.variance=0.1,0.2", **poor)
    assert found.returncode == 0, found.stderr
    assert "forward (theory)" in found.stdout
    closed = process("show", "outputs/small", code="import sys; sys.stdout = None")
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, "", "")


GRID = (
    *("--set", "network.activation=relu,{name: leaky_relu, negative_slope: 0.12345678}"),
    *("--set", "network.width=[8, 16, 32],[8, 10, 8]"),
)
TABLES = {
    "show": ("a",),
    "theory": ("small.yaml", *GRID),
    "check": ("small.yaml", *GRID, "--set", "expect={forward: exploding}"),
    "compare": ("a", "b"),
}


@pytest.mark.parametrize("command", slow_but(TABLES, "show"))
def test_columns_hold_through_a_pipe_and_cut_nothing(command: str, small: Path) -> None:
    run = ("run", "small.yaml", *GRID, "--trials", 30, "--no-plots", "-q", "--out")
    for out, variance in (("a", 0.25), ("b", 2.0)):
        found = heinit_sim(*run, out, "--set", f"init.variance={variance}")
        assert found.returncode == 0
    numbers = set()
    # Below 80 columns a table is as narrow as its numbers let it be.
    for columns, widest in {"": 200, "80": 80, "20": 80}.items():
        printed = heinit_sim(command, *TABLES[command], COLUMNS=columns).stdout
        table = [line for line in printed.splitlines() if line.startswith(" ")]
        assert any("───" in line for line in table)
        assert max(map(len, table)) <= widest
        assert "…" not in re.sub(r"… and \d+ more", "", printed)
        numbers.add(tuple(re.findall(r"\d\.\de[+-]\d\d|[+-]\d\.\d{3}", printed)))
    if command in ("show", "theory"):
        assert len(numbers) == 1
        assert numbers != {()}


# A factor of 2.25 per layer: exploding, whatever the seed.
EXPECTING = (
    SMALL.replace("depth: 3", "depth: 9").replace("trials: 4", "trials: 40")
    + "sweep: {init.variance: [0.25, 2.0]}\n"
    + "expect:\n"
    + "  - {forward: exploding, when: {init.variance: 2.0}}\n"
    + "  - {backward: stable, when: {init.variance: 2}}\n"
)
WRONG = "expect[1], init.variance = 2.0: backward"
HELD = "expect[0], init.variance = 2.0: forward"


def test_run_check_writes_the_run_and_ends_with_exit_code_three(small: Path) -> None:
    (small / "e.yaml").write_text(EXPECTING, "utf-8")
    found = heinit_sim(*("run", "e.yaml", "--no-plots", "--check", "--junit", "out/j.xml"))
    assert found.returncode == 3
    assert found.stderr.splitlines()[0].startswith("Wrote outputs/small in ")
    (summary,) = found.stderr.splitlines()[1:]
    assert re.fullmatch(r"check: 1 of \d+ did not hold", summary)
    (line,) = [line for line in found.stdout.splitlines() if line.startswith(" FAILED")]
    assert WRONG in line
    assert re.search(r"backward is exploding \(\+0\.\d{3} ± 0\.\d{3} decades per layer; ", line)
    assert line.rstrip().endswith("expected stable")
    assert "::error" not in found.stdout
    assert list((small / "out").iterdir()) == [small / "out" / "j.xml"]
    suite = ET.fromstring((small / "out" / "j.xml").read_text("utf-8"))[0]
    cases = [(case.get("name"), len(case)) for case in suite]
    assert cases[:2] == [(HELD, 0), (WRONG, 1)]
    assert len(cases) > 16
    untested = [name for name, children in cases[2:] if children]
    assert untested == ["theory: not tested"]
    assert all(str(name).startswith("theory") for name, _ in cases[2:])

    again = heinit_sim("check", "outputs/small")
    assert (again.returncode, again.stderr) == (3, f"{summary}\n")
    assert again.stdout == found.stdout[found.stdout.index("small: 1 of ") :]


def test_check_of_a_config_is_check_of_its_run_and_writes_nothing(small: Path) -> None:
    found = [heinit_sim("check", "-", "--json", "-j", jobs, stdin=EXPECTING) for jobs in (1, 2)]
    assert set(small.iterdir()) == {small / "small.yaml"}
    assert found[0].stdout == found[1].stdout
    document = json.loads(found[0].stdout)
    held = [finding["held"] for finding in document["findings"]]
    assert held.count(None) == 1
    held.remove(None)
    assert held == [True, False] + (len(held) - 2) * [True]
    failed, summary = found[0].stderr.splitlines()
    assert failed == f"FAILED {WRONG}: {document['findings'][1]['reason']}"
    assert summary == f"check: 1 of {len(held)} did not hold"
    arguments = ("run", "-", "--no-plots", "--check", "--json")
    ran = heinit_sim(*arguments, stdin=EXPECTING)
    assert ran.returncode == 3
    assert json.loads(ran.stdout)["findings"] == document["findings"]


def test_what_holds_ends_with_exit_code_zero(small: Path) -> None:
    expect = "expect={forward: exploding, max_decades_per_layer: 1, when: {init.variance: 2}}"
    for extra in ((), ("--seed", 3, "--trials", 20)):
        arguments = ("check", "-", "--set", expect, *extra)
        found = heinit_sim(*arguments, stdin=EXPECTING)
        assert (found.returncode, found.stderr) == (0, "")
        assert re.match(r"small: (\d+) of \1 held, not all tested\nnot tested: ", found.stdout)
    quiet = heinit_sim("run", "small.yaml", "--check", "-q", "--no-plots")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_what_is_not_stable_is_said_and_fails_only_where_that_is_required(small: Path) -> None:
    wide = ("--set", "init.variance=0.01", "--trials", 20)
    found = heinit_sim("check", "small.yaml", *wide)
    assert found.returncode == 0
    line = (
        "small: not stable: forward, backward; `expect:` in the config or --require stable decide"
    )
    assert found.stderr.splitlines()[-1].startswith(line)
    required = heinit_sim("check", "small.yaml", *wide, "--require", "stable", "--json")
    assert required.returncode == 3
    assert "FAILED require stable: forward: forward is vanishing (-1.4" in required.stderr
    run = ("run", "small.yaml", *wide, "-q", "--no-plots", "--require", "stable")
    assert heinit_sim(*run).returncode == 2  # nothing to check without --check
    assert heinit_sim(*run, "--check").returncode == 3
    expected = heinit_sim("check", "small.yaml", *wide, "--set", "expect={forward: vanishing}")
    assert (expected.returncode, expected.stderr) == (0, "")
    stable = ("--set", "network.width=50", "--set", "init.variance=0.04", "--trials", 40)
    assert heinit_sim("check", "small.yaml", *stable, "--require", "stable").returncode == 0


def test_a_run_that_memory_does_not_hold_is_refused_before_it_starts(small: Path) -> None:
    huge = ("--set", "network.width=65536", "--set", "inputs.count=10000", "--no-plots")
    found = heinit_sim("run", "small.yaml", *huge)
    assert (found.returncode, found.stdout) == (2, "")
    assert re.fullmatch(
        r"small: error: needs about \d+\.\d GiB, and \d+\.\d GiB are left; lower .*\n", found.stderr
    )
    assert heinit_sim("run", "small.yaml", *huge, "--dry-run").returncode == 0


def test_github_gets_annotations_and_a_step_summary(small: Path) -> None:
    summary = small / "summary.md"
    summary.write_text("before\n", "utf-8")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    command = "::error title=expect[1]%2C init.variance = 2.0%3A backward::backward is exploding"
    plain = heinit_sim("check", "-", stdin=EXPECTING, **github)
    as_json = heinit_sim("check", "-", "--json", stdin=EXPECTING, **github)
    for text, has in (
        (plain.stdout, 1),
        (plain.stderr, 0),
        (as_json.stdout, 0),
        (as_json.stderr, 1),
    ):
        assert sum(line.startswith(command) for line in text.splitlines()) == has
    assert json.loads(as_json.stdout)["name"] == "small"
    text = summary.read_text("utf-8")
    assert re.match(r"before\n### small: 1 of \d+ did not hold\n", text)
    assert text.count("### small") == 2
    held = ("check", "-", "--set", "expect={forward: exploding, when: {init.variance: 2}}")
    assert "::" not in heinit_sim(*held, stdin=EXPECTING, **github).stdout
    assert re.search(
        r"### small: (\d+) of \1 held, not all tested\n\n\Z", summary.read_text("utf-8")
    )


def test_a_step_summary_that_cannot_be_written_changes_no_answer(small: Path) -> None:
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(small)}
    check = ("check", "-", "--json", "--junit", "j.xml")
    found = heinit_sim(*check, stdin=EXPECTING, **github)
    assert found.returncode == 3
    *_, failed, warning, summary = found.stderr.splitlines()
    assert warning == f"GITHUB_STEP_SUMMARY: warning: {small} not written (Is a directory)"
    assert failed.startswith("::error title=")
    assert re.fullmatch(r"check: 1 of \d+ did not hold", summary)
    assert ET.fromstring((small / "j.xml").read_text("utf-8"))[0].get("failures") == "1"
    held = ("check", "small.yaml")
    assert heinit_sim(*held, **github).returncode == 0


def test_a_run_given_for_a_config_is_told_from_it(small: Path) -> None:
    assert heinit_sim("run", "small.yaml", "--no-plots", "-q").returncode == 0
    for command in ("theory", "verify", "validate", "run"):
        found = heinit_sim(command, "outputs/small/")
        assert found.returncode == 2
        assert found.stderr == (
            "outputs/small/: error: cannot be read: it is a run; give outputs/small/config.yaml\n"
        )


def test_a_prediction_stays_out_of_the_run_of_another_config(small: Path) -> None:
    assert heinit_sim("run", "small.yaml", "--no-plots", "-q").returncode == 0
    theory = ("theory", "small.yaml", *SVG, "--out", "outputs/small")
    other = heinit_sim(*theory, "--set", "init.variance=0.5", "--force")
    assert other.returncode == 2
    assert other.stderr.endswith("small: is a run of another config; give another --out\n")
    assert "theory.csv" not in files(small / "outputs" / "small")
    assert heinit_sim(*theory).returncode == 0
    assert "theory.csv" in files(small / "outputs" / "small")


def test_a_junit_file_is_replaced_whole_or_not_at_all(small: Path) -> None:
    (small / "j.xml").write_text("old", "utf-8")
    (small / "link.xml").symlink_to("j.xml")
    check = ("check", "-", "--trials", 2, "--junit")
    assert heinit_sim(*check, "link.xml", stdin=EXPECTING).returncode == 3
    assert (small / "link.xml").is_symlink()
    assert ET.fromstring((small / "j.xml").read_text("utf-8")).tag == "testsuites"
    assert set(small.iterdir()) == {small / name for name in ("small.yaml", "j.xml", "link.xml")}


@pytest.mark.slow
def test_a_junit_file_may_be_a_stream(small: Path) -> None:
    piped = process("check", "small.yaml", "--junit", "/dev/stderr")
    assert "<testsuites" in piped.stderr


def test_compare_tells_same_from_different(small: Path) -> None:
    run = ("run", "small.yaml", "--no-plots", "-q", "--trials", 100, "--out")
    extra = {"a": (), "b": ("-j", 1), "c": ("--seed", 1), "d": ("--set", "init.variance=0.5")}
    for out, arguments in extra.items():
        assert heinit_sim(*run, out, *arguments).returncode == 0
    same = heinit_sim("compare", "a", "b")
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout.startswith("same: largest relative difference 0\n")
    seeds = heinit_sim("compare", "a", "c")
    assert (seeds.returncode, seeds.stderr) == (0, "")
    assert re.match(
        r"no difference found in 68 rows: smallest p = 0\.\d+, a difference is below 1\.4e-05\n",
        seeds.stdout,
    )
    assert "configs: seed: 0 against 1\n" in seeds.stdout
    differ = heinit_sim("compare", "c", "d")
    assert differ.returncode == 3
    assert re.fullmatch(
        r"compare: different in \d+ of 68 rows: smallest p = .*e-\d+, a difference is below .*\n",
        differ.stderr,
    )
    assert "… and " in differ.stdout
    assert max(map(len, differ.stdout.splitlines())) <= 80
    within = heinit_sim("compare", "c", "d", "--rtol", 1e6)
    assert (within.returncode, within.stderr) == (0, "")
    as_json = heinit_sim("compare", "c", "d", "--json")
    document = json.loads(as_json.stdout)
    assert (as_json.returncode, document["same"], document["n_rows"]) == (3, False, 68)
    assert document["different"][0]["decades"] > 0


PREDICTED = [
    ((), "theory", "condition,pass,quantity,layer,theory_log10_second_moment,"),
    (("--phase", *SVG), "phase", "condition,weight_scale,bias_variance,q,chi1,phase,"),
    (SLOPES, "theory", "condition,network.width,pass,quantity,layer,theory_log10_second_moment,"),
]


@pytest.mark.parametrize(("extra", "name", "header"), slow_but(PREDICTED, PREDICTED[1]))
def test_theory_writes_its_files_once_and_simulates_nothing(
    extra: tuple[str, ...], name: str, header: str, small: Path
) -> None:
    theory = ("theory", "small.yaml", *extra)
    found = heinit_sim(*theory, "--out", "t")
    assert found.returncode == 0, found.stderr
    assert max(map(len, found.stdout.splitlines())) <= 80
    first = files(small / "t")
    suffixes = ("svg",) if SVG[1] in extra else ("png", "svg", "pdf")
    assert first.keys() == {f"{name}.{suffix}" for suffix in ("csv", *suffixes)}
    assert first[f"{name}.csv"].decode().startswith(header)
    again = heinit_sim(*theory, "--out", "t")
    assert again.returncode == 2
    assert f"t/{name}.csv: exists; give --force to replace it" in again.stderr
    assert heinit_sim(*theory, "--out", "t", "--force").returncode == 0
    assert files(small / "t") == first
    document = json.loads(heinit_sim(*theory, "--json").stdout)
    assert document.keys() == {"schema_version", "name", name}
    assert set(small.iterdir()) == {small / "small.yaml", small / "t"}


DATA = """
name: data
network: {depth: 3, width: 8, input_dim: 2}
init: {scheme: he_normal}
inputs: {distribution: file, count: 2}
sweep: {inputs.path: [rows.npy, rows.csv], inputs.normalisation: [none, per_component]}
trials: 4
"""
CSV = "age,height\n3,95.5\n30,180\n8,130\n"


def test_data_files_are_run_checked_and_told_when_gone_or_changed(tmp_path: Path) -> None:
    rows = np.array([[3, 95.5], [30, 180], [8, 130]])
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "rows.csv").write_text(CSV, "utf-8")
    (tmp_path / "data.yaml").write_text(DATA, "utf-8")
    found = heinit_sim("run", "data.yaml", "--check", "--no-plots")
    assert found.returncode == 0, found.stderr
    assert re.search(r"data: (\d+) of \1 held", found.stdout)
    run = tmp_path / "outputs" / "data"
    with np.load(run / "networks.npz") as networks:  # the two files hold the same numbers
        for key in networks:
            if key.startswith("condition_0."):
                other = networks[key.replace("condition_0.", "condition_2.")]
                assert np.array_equal(networks[key], other)
    again = heinit_sim("run", run / "config.yaml", "--out", "again", "--no-plots")
    assert again.returncode == 0, again.stderr
    assert files(tmp_path / "again")["networks.npz"] == files(run)["networks.npz"]

    (tmp_path / "rows.csv").write_text(CSV + "50,170\n", "utf-8")
    changed = heinit_sim("check", run)
    (tmp_path / "rows.csv").unlink()
    gone = [heinit_sim(command, run) for command in ("check", "plot", "show")]
    assert [p.returncode for p in (changed, *gone)] == [2, 2, 2, 0]
    place = "outputs/data/config.yaml:21:27: error: inputs.path: "
    for found, what in ((changed, "not the file of"), (gone[0], "cannot be read ('rows.csv')")):
        assert found.stdout == ""
        assert f"{place}{what}" in found.stderr
        assert found.stderr.count("\n") == 1


@pytest.mark.slow
def test_digits_of_three_normalisations(tmp_path: Path) -> None:
    text = DATA.replace("input_dim: 2", "input_dim: 64").replace("file", "digits")
    text = text.replace("inputs.path: [rows.npy, rows.csv], ", "")
    text = text.replace("none, per", "none, global, per")
    (tmp_path / "digits.yaml").write_text(text, "utf-8")
    found = heinit_sim("run", "digits.yaml", "--no-plots", "--json")
    assert found.returncode == 0, found.stderr
    assert len(json.loads(found.stdout)["summary"]) == 3
    manifest = json.loads((tmp_path / "outputs/data/manifest.json").read_text("utf-8"))
    assert [facts["examples"] for facts in manifest["inputs"]] == [1797] * 3
    assert len(manifest["inputs"][2]["mean"]) == 64


@pytest.mark.slow
def test_validating_drawn_inputs_loads_no_numpy(tmp_path: Path) -> None:
    text = SMALL.replace("count: 4", "count: 4, distribution: sparse, density: 0.2")
    (tmp_path / "sparse.yaml").write_text(text, "utf-8")
    shown = "import atexit, sys; atexit.register(lambda: print(*sys.modules))"
    found = process("validate", "sparse.yaml", code=shown)
    assert found.stdout.startswith("sparse.yaml: valid: ")
    assert "yaml" in found.stdout.split()
    assert "numpy" not in found.stdout.split()


def test_an_option_or_command_is_suggested_only_where_it_was_misspelt(small: Path) -> None:
    for words, hint in (
        (("run", "small.yaml", "--trails", "3"), "--trials"),
        (("plto",), "'plot'"),
        (("--verison",), "--version"),
        (("init", "figure-7-4"), "'figure_7_4'?"),
    ):
        found = heinit_sim(*words)
        assert (found.returncode, hint in found.stderr) == (2, True)
    for unlike in (("run", "small.yaml", "--resume"), ("page",), ("init", "figure_7_5")):
        found = heinit_sim(*unlike)
        assert found.returncode == 2
        assert not re.search("mean|ossible", found.stderr)
