"""Tasks of one run brought together: from wherever they are, all or none, and of one run alone."""

import json
import shlex
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from heinit_sim.runs import TaskFiles, task_files
from heinit_sim.simulation import versions
from tests.commands import files, heinit_sim
from tests.configs import SMALL, parsed

CONFIG = f"""\
{SMALL.replace("trials: 4", "trials: 6")}
draws: independent
record: {{histograms: std, cosine: true, update: {{learning_rate: 0.1}}}}
sweep: {{network.activation: [relu, tanh], network.depth: [2, 3]}}
expect: {{forward: stable}}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG, "utf-8")
    return tmp_path


def shard(part: str, out: str, *more: str) -> None:
    ran = heinit_sim("run", "c.yaml", "--shard", part, "--out", out, "-q", *more)
    assert (ran.returncode, ran.stderr) == (0, "")


def whole(directory: str | Path) -> dict[str, bytes]:
    """All files, but for what changes from run to run."""
    found = files(Path(directory))
    manifest = json.loads(found["manifest.json"])
    del manifest["run"]
    return found | {"manifest.json": json.dumps(manifest).encode()}


@cache
def expected() -> dict[str, bytes]:
    """What one process writes."""
    with tempfile.TemporaryDirectory() as folder:
        out = ("--out", folder, "-q", "--no-plots")
        assert heinit_sim("run", "-", *out, stdin=CONFIG).returncode == 0
        return whole(folder)


def task(directory: str, number: int) -> Path:
    (path,) = Path(directory).glob(f".tasks/*/{number:07}.task")
    return path


def merge(*arguments: str) -> tuple[object, list[str]]:
    ran = heinit_sim("merge", *arguments, "-q", "--no-plots")
    assert ran.stdout == ""
    return ran.returncode, ran.stderr.splitlines()


def test_one_directory_becomes_the_run(work: Path) -> None:
    for part in ("1/3", "3/3", "2/3"):
        shard(part, "one dir")
    assert merge("one dir") == (0, [])
    assert whole("one dir") == expected()
    again, shown = heinit_sim("merge", "one dir"), heinit_sim("show", "one dir")
    assert (again.returncode, again.stdout) == (0, shown.stdout)
    held = "one dir is up to date: it holds no shards, but the whole run\n"
    assert again.stderr == shown.stderr + held
    documents = [heinit_sim(name, "one dir", "--json").stdout for name in ("merge", "show")]
    assert documents[0] == documents[1] != ""


@pytest.mark.parametrize("command", ["show", "plot", "check", "page", "compare"])
def test_a_run_that_is_not_complete_says_so_and_how_to_go_on(command: str, work: Path) -> None:
    shard("1/3", "one dir")
    found = heinit_sim(command, *["one dir"] * (1 + (command == "compare")))
    assert (found.returncode, found.stdout) == (2, "")
    state = "one dir: a run that is not complete, 2 of its tasks are done"
    assert found.stderr == f"{state}; `heinit-sim merge 'one dir'` says what is missing\n"
    folder = task("one dir", 0).parent
    assert heinit_sim("merge", "one dir").stderr.splitlines()[1:] == [
        f"  heinit-sim run '{folder}/config.yaml' --shard {part} --out 'one dir'"
        for part in ("2/3", "3/3")
    ]


def test_directories_in_any_order_give_the_same_bytes(work: Path) -> None:
    for index, part in enumerate(("1/3", "2/3", "3/3")):
        shard(part, f"part {index}")
    shard("1/2", "part 1")  # another cut, half of it there
    one = expected()
    parts = ["part 0", "part 1", "part 2"]
    for number, order in enumerate((parts, parts[::-1])):
        before = [files(path) for path in sorted(work.glob("part */.tasks/*"))]
        assert merge(*order, "--out", f"out {number}") == (0, [])
        assert whole(f"out {number}") == one
        assert [files(path) for path in sorted(work.glob("part */.tasks/*"))] == before


def test_a_damaged_task_is_taken_from_where_it_is_whole(work: Path) -> None:
    shard("1/1", "a")
    shutil.copytree("a", "b")
    task("a", 0).write_bytes(task("a", 0).read_bytes()[:-1])
    task("b", 1).write_bytes(b"")
    task("a", 2).unlink()
    assert merge("a", "b", "--out", "out") == (0, [])
    assert whole("out") == expected()


def test_the_commands_that_are_named_make_what_is_missing(work: Path) -> None:
    out = "it's $(my) dir"
    shard("1/3", out)
    shard("2/3", out)
    task(out, 1).write_bytes(b"damaged")
    code, lines = merge(out)
    assert code == 2
    assert lines[0] == f"{out}: 2 of 4 tasks are missing or damaged (1, 2); run"
    assert len(lines) == 3
    for line in lines[1:]:
        program, *words = shlex.split(line)
        assert program == "heinit-sim"
        assert heinit_sim(*words, "-q").returncode == 0
    assert merge(out) == (0, [])
    assert whole(out) == expected()


def test_shards_of_several_cuts_are_made_good_by_the_whole_run(work: Path) -> None:
    shard("1/3", "parts")
    shard("2/2", "parts")
    code, lines = merge("parts")
    config = next(Path("parts").glob(".tasks/*/config.yaml"))
    assert (code, lines[1:]) == (2, [f"  heinit-sim run {config} --out parts"])
    assert heinit_sim(*shlex.split(lines[1])[1:], "-q", "--no-plots").returncode == 0
    assert whole("parts") == expected()


def test_few_of_many_are_named(work: Path) -> None:
    grid = "network.width=" + ",".join(map(str, range(2, 30)))
    shard("1/28", "parts", "--set", grid)
    code, lines = merge("parts")
    assert code == 2
    assert lines[0].endswith("(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …); run")
    assert (len(lines), lines[-1]) == (12, "  … and 17 more shards")


@pytest.mark.parametrize("what", ["config", "numpy", "moved"])
def test_parts_of_several_runs_are_refused(
    what: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard("1/2", "a")
    if what == "config":
        shard("2/2", "b", "--seed", "1")
        said = "another config"
    elif what == "numpy":
        here = versions()
        with monkeypatch.context() as patch:
            patch.setattr(task_files, "versions", lambda: here | {"numpy": "1.0"})
            shard("2/2", "b")
        said = f"numpy 1.0, this is {here['numpy']}"
    else:
        shard("2/2", "b")
        (folder,) = Path("b").glob(".tasks/*")
        folder.rename(folder.with_name("0123456789ab"))
        said = "another run"
    (folder,) = Path("b").glob(".tasks/*")
    one_run = "merge the shards of one run at a time"
    assert merge("a", "b", "--out", "out") == (2, [f"{folder}: holds tasks of {said}; {one_run}"])
    for target in Path("a").glob(".tasks/*"):
        shutil.copy(next(folder.glob("*.task")), target / "0000001.task")
    code, lines = merge("a")
    assert code == 2
    if what == "moved":  # it is the same run, after all
        assert "missing" in lines[0]
    else:
        assert lines == [f"{target / '0000001.task'}: a task of {said}; remove it"]
    assert not Path("out").exists()


def test_a_directory_without_tasks_is_refused(work: Path) -> None:
    shard("1/1", "a")
    Path("empty").mkdir()
    must = "holds no tasks of a run, must be a directory that `run --shard` wrote"
    for directory in ("empty", "nowhere", "c.yaml"):
        for given in ([directory], ["a", directory, "--out", "out"], [directory, "a"]):
            assert merge(*given) == (2, [f"{directory}: {must}"])


def test_other_results_are_replaced_by_force_alone(work: Path) -> None:
    assert heinit_sim("run", "c.yaml", "--seed", 5, "--out", "o", "-q", "--no-plots") == (0, "", "")
    shard("1/1", "a")
    before = files(Path("o"))
    code, (line,) = merge("a", "--out", "o")
    assert code == 2
    assert "already holds results (of another config); give --force to replace them" in line
    assert files(Path("o")) == before
    assert merge("a", "--out", "o", "--force") == (0, [])
    assert whole("o") == expected()
    again = heinit_sim("merge", "a", "--out", "o", "--no-plots")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (
        0,
        "o is up to date; give --force to simulate it again",
    )


def test_tasks_go_from_the_directory_that_becomes_the_run_and_from_no_other(work: Path) -> None:
    shard("1/2", "a")
    shard("2/2", "b")
    assert merge("a", "b", "--out", "a") == (0, [])
    assert not Path("a/.tasks").exists()
    assert TaskFiles(Path("b"), parsed(CONFIG)).numbers() == {1, 3}
    assert whole("a") == expected()
