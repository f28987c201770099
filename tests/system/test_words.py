"""What commands say to whom: machines, GitHub, shells, and those who ask what would happen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heinit_sim import load_config
from heinit_sim.simulation import task_list
from tests.commands import files, heinit_sim
from tests.configs import SMALL

EXPECTING = f"{SMALL}expect:\n  - forward: exploding\n  - {{backward: exploding}}\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")
    (tmp_path / "expecting.yaml").write_text(EXPECTING, "utf-8")
    (tmp_path / "bad.yaml").write_text(SMALL + "trails: 3\nseed: x\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document_of(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heinit_sim(*arguments, "--json").stdout)
    return found


def test_every_document_has_the_version_of_its_schema(small: Path) -> None:
    run = document_of("run", "small.yaml", "--no-plots")
    np.savez("weights.npz", w=np.eye(3))
    for words in (
        ("run", "small.yaml", "-n"),
        ("show", "outputs/small"),
        ("check", "outputs/small"),
        ("compare", "outputs/small", "outputs/small"),
        ("theory", "small.yaml"),
        ("theory", "small.yaml", "--phase"),
        ("verify", "small.yaml", "--networks", 100),
        ("gains", "relu"),
        ("audit", "weights.npz"),
        ("validate", "small.yaml"),
        ("validate", "bad.yaml"),
    ):
        assert next(iter(document_of(*words).items())) == ("schema_version", 1), words
    assert run["schema_version"] == 1


def test_validation_is_told_with_places(small: Path) -> None:
    valid = document_of("validate", "small.yaml")
    del valid["schema_version"]
    assert valid == {
        "config": "small.yaml",
        "valid": True,
        "name": "small",
        "n_conditions": 1,
        "trials": 4,
        "problems": [],
    }
    found = heinit_sim("validate", "bad.yaml", "--set", "loss=1", "--json")
    assert (found.returncode, found.stderr) == (2, "")
    document = json.loads(found.stdout)
    assert (document["valid"], document["name"], document["trials"]) == (False, None, None)
    lines = SMALL.count("\n")
    first, second, third = document["problems"]
    assert (first["line"], first["column"]) == (lines + 1, 1)
    assert first["message"].startswith("trails: unknown key")
    assert (second["line"], second["message"][:22]) == (lines + 2, "seed: not an integer (")
    assert (third["line"], third["message"][:13]) == (None, "--set loss=1:")


def test_dry_runs_describe_what_is_there(small: Path) -> None:
    out = ("--out", "out", "--no-plots")
    empty = document_of("run", "small.yaml", "-n", *out)
    assert (empty["present"], empty["refusal"]) == (None, None)
    assert heinit_sim("run", "small.yaml", *out).returncode == 0
    Path("out/notes.txt").write_text("mine", "utf-8")
    before = files(small / "out")
    other = heinit_sim("run", "small.yaml", "-n", "--seed", 9, *out)
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "already holds results (of another config); give --force" in other.stderr
    mine = "out holds files of yours, which stay: notes.txt"
    assert mine in other.stdout.splitlines()
    assert "out holds run small by heinit-sim " in other.stdout
    assert "would write" not in other.stdout
    forced = heinit_sim("run", "small.yaml", "-n", "--seed", 9, "--force", *out)
    assert (forced.returncode, forced.stderr) == (0, "")
    assert mine in forced.stdout.splitlines()
    assert "would write out: layers.csv, " in forced.stdout
    document = document_of("run", "small.yaml", "-n", "--seed", 9, *out)
    assert document["present"]["other_files"] == ["notes.txt"]
    assert "manifest.json" in document["present"]["run_files"]
    assert (document["refusal"][-40:], document["files"]) == (other.stderr[-41:-1], [])
    assert files(small / "out") == before


PLANNED = ("run", "small.yaml", "-n", "--trials", 90, "-j", 2)


def test_a_dry_run_of_a_short_run_says_that_nothing_is_kept(small: Path) -> None:
    short = document_of(*PLANNED)
    assert (short["tasks"], short["kept_tasks"], short["shard"]) == (1, None, None)
    lines = heinit_sim(*PLANNED).stdout.splitlines()
    assert lines[2] == "90 forward and backward passes on 2 threads"


@pytest.mark.slow
def test_a_dry_run_says_what_is_kept_and_what_that_leaves(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heinit_sim.cli.run._KEPT_FROM", 0.0)
    monkeypatch.setattr("heinit_sim.cli.compute._LONG", 0.0)
    monkeypatch.setattr("heinit_sim.simulation.tasks._SHORTEST", 1e-4)
    monkeypatch.setattr("heinit_sim.simulation.plan._LARGEST_BLOCK", 10)
    n_tasks = len(task_list(load_config("small.yaml", {"trials": 90})))
    assert n_tasks == 9
    whole = document_of(*PLANNED)
    assert (whole["tasks"], whole["kept_tasks"], whole["passes"]) == (n_tasks, 0, 90)
    assert "90 forward and backward passes on 2 processes" in heinit_sim(*PLANNED).stdout
    first, second = (document_of(*PLANNED, "--shard", f"{i}/2") for i in (1, 2))
    assert first["tasks"] + second["tasks"] == n_tasks
    assert first["passes"] + second["passes"] == 90
    assert first["estimated_seconds"] < whole["estimated_seconds"]
    assert (first["shard"], first["files"]) == ("1/2", [".tasks"])
    assert not (small / "outputs").exists()

    assert heinit_sim("run", "small.yaml", "--trials", 90, "--shard", "1/2").returncode == 0
    rest = document_of(*PLANNED)
    assert (rest["tasks"], rest["kept_tasks"]) == (n_tasks, first["tasks"])
    assert rest["passes"] == second["passes"]
    lines = heinit_sim(*PLANNED, "--shard", "1/2").stdout.splitlines()
    done = f"{first['tasks']} of them done"
    assert f"shard 1/2: {first['tasks']} tasks, {done}; each is kept once it is done" in lines
    assert "0 forward and backward passes on 2 threads" in lines
    assert heinit_sim("run", "small.yaml", "--trials", 90, "--no-plots", "-j", 1).returncode == 0
    complete = document_of(*PLANNED)
    assert complete["up_to_date"]
    assert (complete["tasks"], complete["kept_tasks"], complete["passes"]) == (0, None, 0)


@pytest.mark.parametrize("option", ["-q", "--json", ""])
def test_on_github_failures_are_told_once_and_where(option: str, small: Path) -> None:
    words = ("run", "expecting.yaml", "--check", "--no-plots", *[option] * bool(option))
    found = heinit_sim(*words, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(small.parent))
    assert found.returncode == 3
    lines = (found.stdout if not option else found.stderr).splitlines()
    place = f"::error file={small.name}/expecting.yaml,line="
    told = [line for line in lines if line.startswith("::error")]
    first = SMALL.count("\n") + 2
    assert [line.removeprefix(place).partition(",")[0] for line in told[:2]] == [
        *(str(first), str(first + 1))
    ]
    if option:
        assert "FAILED" not in found.stderr
        assert found.stderr.count("expected exploding") == 2
    elsewhere = heinit_sim("check", "outputs/small", GITHUB_ACTIONS="true", GITHUB_WORKSPACE="/x")
    assert "::error file=outputs/small/config.yaml,line=" in elsewhere.stdout


def test_compare_is_strict_about_what_is_left_out(small: Path) -> None:
    for out, widths in (("a", "6,8"), ("b", "6,9")):
        sweep = ("--set", f"network.width={widths}", "--no-plots", "--out", out)
        assert heinit_sim("run", "small.yaml", *sweep).returncode == 0
    lenient = heinit_sim("compare", "a", "b")
    strict = heinit_sim("compare", "a", "b", "--strict")
    assert (lenient.returncode, strict.returncode) == (0, 3)
    assert strict.stdout == lenient.stdout
    assert strict.stderr.startswith("compare: left out: 1 condition that only the first run has")
    assert heinit_sim("compare", "a", "a", "--strict").returncode == 0


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("run c.yaml --set init.schem", ["init.scheme="]),
        ("run c.yaml --set init.scheme=kai", [f"init.scheme=kaiming_{k}mal" for k in ("nor",)]),
        ("run c.yaml --set network.activation=relu,tan", ["network.activation=relu,tanh"]),
        ("plot run --set figure.kind=sl", ["figure.kind=slopes"]),
        ("init he_s", ["he_spread"]),
        ("gains leaky", ["leaky_relu"]),
        ("gains sw", ["swish"]),
        ("run --tria", ["--trials"]),
        ("valid", ["validate"]),
        ("run c.yaml c", []),  # nothing, for which shells put names of files
        ("merge outputs/m", []),
    ],
)
def test_a_shell_completes(typed: str, completed: list[str], small: Path) -> None:
    *words, _ = typed.split()
    found = heinit_sim(
        _HEINIT_SIM_COMPLETE="complete_bash",
        COMP_WORDS=f"heinit-sim {typed}",
        COMP_CWORD=str(len(words) + 1),
    )
    got = found.stdout.split()
    assert set(completed) <= set(got)
    assert all(word.startswith(typed.split()[-1]) for word in got)
