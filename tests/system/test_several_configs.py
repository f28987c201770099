"""`run` of several configs: one summary each, one exit code, one JSON document."""

import json
import shutil
from pathlib import Path

import pytest

from heinit_sim import runs
from heinit_sim.errors import WriteError
from tests.commands import files, heinit_sim
from tests.configs import SMALL
from tests.rows import slow_but

NAMES = ("one", "two", "three")
CONFIGS = tuple(f"{name}.yaml" for name in NAMES)
RUN = ("run", *CONFIGS, "--no-plots")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for width, name in enumerate(NAMES, 8):
        text = SMALL.replace("name: small", f"name: {name}").replace("8", str(width))
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path) -> list[str]:
    outputs = folder / "outputs"
    return [n for n in NAMES if (outputs / n / "manifest.json").exists()]


def test_each_config_has_its_run_and_its_summary_apart_from_the_others(folder: Path) -> None:
    found = heinit_sim(*RUN)
    assert found.returncode == 0
    together = {name: files(folder / "outputs" / name) for name in NAMES}
    shutil.rmtree(folder / "outputs")
    summaries = []
    for told, name in zip(found.stderr.splitlines(), NAMES, strict=True):
        assert told.startswith(f"Wrote outputs/{name} in ")
        alone = heinit_sim("run", f"{name}.yaml", "--no-plots")
        assert f" {name}: 4 networks per condition" in alone.stdout
        summaries.append(alone.stdout)
        again = files(folder / "outputs" / name)
        del again["manifest.json"], together[name]["manifest.json"]  # which say when it was
        assert again == together[name]
    assert found.stdout == "\n".join(summaries)  # with an empty line between two
    quiet = heinit_sim(*RUN, "--force", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_mistake_in_an_option_is_told_once_and_not_for_each_config(folder: Path) -> None:
    found = heinit_sim(*RUN, "--set", "network.with=3")
    assert found.returncode == 2
    (told,) = found.stderr.splitlines()
    assert told.startswith("--set network.with=3: error: network.with: unknown key")


def test_none_runs_before_all_are_known_to_be_right(folder: Path) -> None:
    wrong = (folder / "two.yaml").read_text("utf-8").replace("depth", "dept")
    (folder / "two.yaml").write_text(wrong, "utf-8")
    found = heinit_sim(*RUN, "nowhere.yaml")
    assert (found.returncode, found.stdout) == (2, "")
    told = found.stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == ["two.yaml", "two.yaml", "nowhere.yaml"]
    assert not (folder / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    slow_but(
        {
            "out": (
                ("one.yaml", "two.yaml", "--out", "x"),
                "--out: error: one directory for several configs; leave it out",
            ),
            "junit": (
                ("one.yaml", "two.yaml", "--check", "--junit", "x.xml"),
                "--junit: error: one file for several configs; give one config",
            ),
            "twice": (
                ("one.yaml", "two.yaml", "./one.yaml"),
                "run: error: 2 configs are named one; rename one",
            ),
            "named": (
                ("one.yaml", "two.yaml", "--set", "name=same"),
                "run: error: 2 configs are named same; rename one",
            ),
            "stdin": (("-", "-"), "-: error: stdin is read once; give - once"),
        }.values()
    ),
)
def test_what_cannot_be_meant_is_refused_once_and_writes_nothing(
    arguments: tuple[str, ...], told: str, folder: Path
) -> None:
    found = heinit_sim("run", *arguments, stdin=SMALL)
    assert (found.returncode, found.stdout, found.stderr) == (2, "", f"{told}\n")
    assert {path.name for path in folder.iterdir()} == set(CONFIGS)


def test_a_failure_of_one_keeps_no_other_from_running(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "outputs" / "one").mkdir(parents=True)
    (folder / "outputs" / "one" / "layers.csv").write_text("mine", "utf-8")
    found = heinit_sim(*RUN, "--check", "--set", "expect={forward: exploding}")
    assert found.returncode == 2  # rather than 3, for what was refused was not even checked
    told = found.stderr.splitlines()
    assert told[0].startswith("one: ")
    assert "layers.csv" in told[0]
    assert [line.partition(" of ")[0] for line in told[1:] if not line.startswith("Wrote ")] == [
        "two: check: 1",
        "three: check: 1",
    ]
    assert written(folder) == ["two", "three"]
    assert (folder / "outputs" / "one" / "layers.csv").read_text("utf-8") == "mine"

    def full(result: object, directory: Path, **_: object) -> None:
        if directory.name == "two":
            raise WriteError(f"{directory}: could not be written")
        if directory.name == "three":
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_run", full)
        failed = heinit_sim("run", *CONFIGS[1:], "--no-plots", "--force")
    assert failed.returncode == 1
    told = [line for line in failed.stderr.splitlines() if not line.startswith("Wrote ")]
    assert told == [
        "two: outputs/two: could not be written",
        "three: heinit-sim: out of memory; --dry-run estimates what a run takes",
    ]


def test_json_is_one_document_of_the_documents_of_all(folder: Path) -> None:
    for options in (("--dry-run",), ("--shard", "1/2"), ("--check",), ()):
        found = heinit_sim(*RUN[:3], "--no-plots", "--json", *options)
        assert found.returncode == 0
        document = json.loads(found.stdout)
        assert list(document) == ["schema_version", "runs"]
        assert len(document["runs"]) == 2
        for name, run in zip(NAMES, document["runs"], strict=False):
            one = heinit_sim("run", f"{name}.yaml", "--no-plots", "--json", *options)
            alone = json.loads(one.stdout)
            assert alone.pop("schema_version") == document["schema_version"] == 1
            if options != ("--dry-run",):
                assert run == alone
            else:
                assert run.keys() == alone.keys()
                assert run["name"] == name


def test_json_leaves_out_the_run_that_failed(folder: Path) -> None:
    (folder / "outputs" / "two").mkdir(parents=True)
    (folder / "outputs" / "two" / "layers.csv").write_text("mine", "utf-8")
    found = heinit_sim(*RUN, "--json")
    assert found.returncode == 2
    assert [run["name"] for run in json.loads(found.stdout)["runs"]] == ["one", "three"]
