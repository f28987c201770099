"""A run again from its manifest alone, wherever that lies and however it is given."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands import Ran, files, heinit_sim
from tests.configs import SMALL

CONFIG = SMALL + (
    "draws: independent\nseed: 3\nsweep: {network.width: [8, 5], init.variance: [0.25, 1]}\n"
    "expect: {forward: stable, when: {init.variance: 0.25}}\n"
)


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of a run, alone in another directory and under another name."""
    monkeypatch.chdir(tmp_path)
    first = heinit_sim("run", "-", "--no-plots", "-q", "--out", "first", stdin=CONFIG)
    assert first == Ran(0, "", "")
    path = tmp_path / "mail" / "attachment.txt"
    path.parent.mkdir()
    path.write_bytes(Path("first/manifest.json").read_bytes())
    return path


def without_run(directory: str) -> dict[str, object]:
    """Bytes of every file, and the manifest without what changes from run to run."""
    content: dict[str, object] = {**files(Path(directory))}
    manifest = json.loads(Path(directory, "manifest.json").read_text("utf-8"))
    del manifest["run"]
    return {**content, "manifest.json": manifest}


def test_a_manifest_repeats_its_run_byte_by_byte(moved: Path) -> None:
    first = without_run("first")
    again = heinit_sim("run", moved, "--no-plots", "--out", "again")
    assert (again.returncode, "made by" in again.stderr) == (0, False)
    piped = heinit_sim("run", "-", "--no-plots", "--out", "piped", stdin=moved.read_text("utf-8"))
    assert piped.returncode == 0
    assert without_run("again") == without_run("piped") == first
    there = heinit_sim("run", moved, "--no-plots", "--out", "first")
    assert there == Ran(0, again.stdout, "first is up to date; give --force to simulate it again\n")


def test_overrides_of_a_manifest_are_those_of_its_config(moved: Path) -> None:
    given = ("--set", "init.variance=0.25", "--seed", 4, "--trials", 5, "--no-plots", "-q")
    assert heinit_sim("run", moved, *given, "--out", "a").returncode == 0
    assert heinit_sim("run", "first/config.yaml", *given, "--out", "b").returncode == 0
    assert without_run("a") == without_run("b")
    wrong = heinit_sim("run", moved, "--set", "trials=0")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith("--set trials=0: error: trials: ")


@pytest.mark.parametrize(
    "command",
    [("validate",), ("theory", "--json"), ("theory", "--phase", "--json"), ("check", "--json")],
    ids=" ".join,
)
def test_every_command_on_configs_takes_manifests(command: tuple[str, ...], moved: Path) -> None:
    by_config, by_manifest = (
        heinit_sim(command[0], source, *command[1:]) for source in ("first/config.yaml", moved)
    )
    assert by_manifest.returncode in (0, 3)
    assert by_manifest.stdout.replace(str(moved), "first/config.yaml") == by_config.stdout != ""


@pytest.mark.slow
def test_verify_takes_the_network_of_a_manifest(moved: Path) -> None:
    one = ("--set", "network.width=8", "--networks", 100, "--json")
    found = [heinit_sim("verify", source, *one) for source in (moved, "first/config.yaml")]
    assert found[0] == found[1]
    assert found[0].stdout != ""


def test_other_versions_are_named_and_the_run_goes_on(moved: Path) -> None:
    manifest = json.loads(moved.read_text("utf-8"))
    manifest["versions"] |= {"numpy": "1.26", "heinit-sim": "0.0.9\x1b[31m"}
    here = json.loads(Path("first/manifest.json").read_text("utf-8"))["versions"]
    moved.write_text(json.dumps(manifest), "utf-8")
    found = heinit_sim("validate", moved)
    ours = f"(here {here['heinit-sim']})", f"(here {here['numpy']})"
    line = f"made by heinit-sim 0.0.9\\x1b[31m {ours[0]}, NumPy 1.26 {ours[1]}; bits may differ\n"
    assert (found.returncode, found.stderr) == (0, f"{moved}: {line}")
    piped = heinit_sim("theory", "-", "--json", stdin=moved.read_text("utf-8"))
    assert (piped.returncode, piped.stderr) == (0, f"<stdin>: {line}")
    run = ("run", moved, "--no-plots", "--out", "again")
    assert heinit_sim(*run, "-q") == Ran(0, "", "")
    assert files(Path("again"))["networks.npz"] == files(Path("first"))["networks.npz"]


def test_a_changed_manifest_is_refused_in_one_line(moved: Path) -> None:
    text = moved.read_text("utf-8")
    for old, new, said in (
        ('"trials": 4', '"trials": 5', ":7:3: error: config: changed by hand (it is not as "),
        ('"config": {', '"other": {', ":1:1: error: an older manifest without the config itself"),
    ):
        moved.write_text(text.replace(old, new), "utf-8")
        found = heinit_sim("run", moved, "--out", "again")
        assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
        assert found.stderr.startswith(f"{moved}{said}")
        assert not Path("again").exists()


def test_data_files_of_a_manifest_are_those_of_the_working_directory(moved: Path) -> None:
    np.save("rows.npy", np.arange(20.0).reshape(4, 5))
    data = CONFIG.replace("count: 4", "count: 4, distribution: file, path: rows.npy")
    assert heinit_sim("run", "-", "--no-plots", "-q", "--out", "data", stdin=data).returncode == 0
    moved.write_bytes(Path("data/manifest.json").read_bytes())
    again = heinit_sim("run", moved, "--no-plots", "-q", "--out", "again")
    assert again == Ran(0, "", "")
    assert without_run("again") == without_run("data")
    np.save("rows.npy", np.ones((4, 5)))
    other = heinit_sim("run", moved, "--no-plots", "-q", "--out", "other")
    assert other.returncode == 2
    assert f"{moved}:7:3: error: inputs.path: not the file of inputs.sha256" in other.stderr


def test_a_run_from_before_the_version_of_the_streams_is_up_to_date(moved: Path) -> None:
    """Its config.yaml has no such key, and its manifest neither that nor the config."""
    run = Path("first")
    config = (run / "config.yaml").read_text("utf-8").replace("stream_version: 1\n", "")
    edit = json.loads((run / "manifest.json").read_text("utf-8"))
    assert (edit.pop("stream_version"), edit.pop("config")["stream_version"]) == (1, 1)
    (run / "config.yaml").write_text(config, "utf-8", newline="\n")

    edit["files"]["config.yaml"] = hashlib.sha256(config.encode()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(edit), "utf-8")
    before = files(run)
    given = ("run", "-", "--no-plots", "--out", "first")
    again = heinit_sim(*given, stdin=CONFIG)
    assert (again.returncode, "first is up to date" in again.stderr) == (0, True)
    assert heinit_sim("show", "first").returncode == 0
    assert files(run) == before
    reordered = CONFIG.replace(
        "network.width: [8, 5], init.variance: [0.25, 1]",
        "init.variance: [0.25, 1], network.width: [8, 5]",
    )
    for other, why in (
        (CONFIG.replace("forward: stable", "forward: vanishing"), "with other expectations"),
        (reordered, "of another config"),
        (CONFIG.replace("seed: 3", "seed: 2"), "of another config"),
    ):
        refused = heinit_sim(*given, stdin=other)
        assert (refused.returncode, f"({why})" in refused.stderr) == (2, True)
