"""Runs that end early in any way go on where they stopped, and write the bytes of one that did not.

Every run here keeps its tasks, as those do that take long.
"""

import errno
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heinit_sim.cli import compute, run
from heinit_sim.errors import WorkerError
from heinit_sim.runs import TaskFiles, task_files
from heinit_sim.simulation import executors
from tests.commands import PLAIN, Ran, files, heinit_sim
from tests.configs import SMALL
from tests.rows import slow_but

CONFIG = f"""\
{SMALL}
draws: independent
record: {{histograms: std, cosine: true, update: {{learning_rate: 0.1}}}}
sweep: {{network.activation: [relu, tanh, gelu], network.width: [5, 8]}}
"""
N_TASKS = 6
GOES_ON = "o keeps the tasks that are done, and the same command goes on"


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_KEPT_FROM", 0.0)
    Path("c.yaml").write_text(CONFIG, "utf-8")


def simulate(*more: object, out: str = "o", config: str = "c.yaml") -> Ran:
    return heinit_sim("run", config, "--no-plots", "--out", out, "-j", 1, *more)


def whole(directory: str) -> dict[str, bytes]:
    """All files, but for what changes from run to run and with what else a process has loaded."""
    found = files(Path(directory))
    manifest = json.loads(found["manifest.json"])
    del manifest["run"]
    del manifest["versions"]["blas"]  # scikit-learn's too, where an earlier test took its digits
    return found | {"manifest.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run of the config that nothing stops."""
    return written(CONFIG, tmp_path_factory.mktemp("whole"))


def written(config: str, directory: Path) -> dict[str, bytes]:
    """What a run writes that keeps no tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_KEPT_FROM", 1e9)
        patch.chdir(directory)
        Path("c.yaml").write_text(config, "utf-8")
        assert simulate("-q") == Ran(0, "", "")
    return whole(str(directory / "o"))


def tasks(directory: str = "o") -> list[Path]:
    return sorted(Path(directory).glob(".tasks/*/*.task"))


def failing_at(patch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Let the disk fail where the file of a number, from 1 on, is synced."""
    synced, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == number:
            raise error
        synced(descriptor)

    patch.setattr(os, "fsync", fsync)


def stopped(after: int, *more: object, config: str = "c.yaml") -> Ran:
    """A run that fails once so many tasks are kept; the config beside them comes first."""
    with pytest.MonkeyPatch.context() as patch:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        failing_at(patch, after + 2, full)
        return simulate(*more, config=config)


@pytest.mark.parametrize("kept", slow_but(range(N_TASKS), 0, 3))
def test_on_a_full_disk_a_run_ends_and_then_goes_on(kept: int, expected: dict[str, bytes]) -> None:
    ran = stopped(kept, "--json")
    (folder,) = Path("o/.tasks").iterdir()
    said = f"o/.tasks/{folder.name}/{kept:07}.task: could not be written"
    no_space = os.strerror(errno.ENOSPC)
    assert ran == Ran(1, "", f"{said} ({no_space}); mend that; {GOES_ON}\n")
    names = [path.name for path in tasks()]
    assert names == [f"{number:07}.task" for number in range(kept)]
    assert not list(folder.glob(".unfinished-*"))
    again = simulate()
    assert again.returncode == 0
    goes_on = [line for line in again.stderr.splitlines() if "goes on" in line]
    assert goes_on == [f"o: goes on, {kept} of 6 tasks are done"] * bool(kept)
    assert whole("o") == expected


@pytest.mark.parametrize("step", slow_but(range(8, 13), 9))
def test_where_the_results_cannot_be_written_all_tasks_stay(
    step: int, expected: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, step, OSError(errno.EIO, "broken"))
        ran = simulate()
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith(f"{Path('o').resolve()}: could not be written (broken); ")
    assert ran.stderr.endswith(f"; {GOES_ON}\n")
    assert len(tasks()) == N_TASKS
    ran = simulate("-q")
    assert ran == Ran(0, "", "")
    assert whole("o") == expected


def test_damaged_tasks_are_done_again_and_counted(expected: dict[str, bytes]) -> None:
    stopped(5)
    tasks()[0].write_bytes(b"")
    tasks()[3].write_bytes(tasks()[2].read_bytes())
    ran = simulate()
    assert ran.stderr.startswith("o: goes on, 3 of 6 tasks are done; 2 damaged, done again\n")
    assert whole("o") == expected


def test_tasks_of_another_run_are_refused_by_name_and_go_by_force(
    expected: dict[str, bytes],
) -> None:
    stopped(2, "--seed", 1)
    before = tasks()
    (folder,) = Path("o/.tasks").iterdir()
    for dry in ((), ("--dry-run",)):
        ran = simulate(*dry)
        advice = "finish that run with the config.yaml there, or give --force to discard them, or"
        assert ran.stderr == f"{folder}: holds tasks of another config; {advice} another --out\n"
        assert ran.returncode == 2
    assert tasks() == before
    assert simulate("--dry-run", "--force").returncode == 0
    assert tasks() == before
    for part in ("1/2", "2/2"):
        assert simulate("--force", "-q", "--shard", part) == Ran(0, "", "")
    assert heinit_sim("merge", "o", "-q", "--no-plots") == Ran(0, "", "")
    assert whole("o") == expected


def test_the_config_beside_the_tasks_finishes_their_run(expected: dict[str, bytes]) -> None:
    stopped(2)
    (config,) = Path("o").glob(".tasks/*/config.yaml")
    assert simulate("-q", config=str(config)) == Ran(0, "", "")
    assert whole("o") == expected


def test_a_dry_run_tells_of_tasks_and_leaves_them() -> None:
    stopped(2)
    before = {path: path.stat().st_mtime_ns for path in Path("o").rglob("*")}
    ran = simulate("--dry-run")
    assert "o holds 2 finished tasks of a run that is not complete\n" in ran.stdout
    assert json.loads(simulate("--dry-run", "--json").stdout)["present"]["kept_tasks"] == 2
    assert {path: path.stat().st_mtime_ns for path in Path("o").rglob("*")} == before


def test_a_shard_that_is_complete_does_nothing() -> None:
    assert simulate("--shard", "1/2", "-q") == Ran(0, "", "")
    before = {path: path.stat() for path in Path("o").rglob("*")}
    ran = simulate("--shard", "1/2")
    merge = "`heinit-sim merge o` puts all together"
    assert ran.stderr == (
        f"o: all 3 tasks were done before\nshard 1/2 of o: 3 of 6 tasks; {merge}\n"
    )
    assert {path: path.stat() for path in Path("o").rglob("*")}.keys() == before.keys()
    for path, status in before.items():
        now = path.stat()
        assert (now.st_mtime_ns, now.st_ino) == (status.st_mtime_ns, status.st_ino)


@pytest.mark.slow
def test_sixteen_shards_of_which_half_are_stopped_become_the_run() -> None:
    grid = ("--set", "network.width=" + ",".join(map(str, range(2, 18))), "-q")  # of 48 tasks
    assert simulate(*grid, out="whole") == Ran(0, "", "")
    rng = random.Random(16)
    halves, left = rng.sample(range(1, 17), 8), 0
    for index in rng.sample(range(1, 17), 16):
        with pytest.MonkeyPatch.context() as patch:
            if index in halves:
                kept = rng.randrange(3)
                failing_at(patch, kept + 1 + (not tasks()), SystemExit(143))
                left += 3 - kept
            ran = simulate("--shard", f"{index}/16", *grid)
        assert ran == Ran(143 if index in halves else 0, "", "")
    assert len(tasks()) == 48 - left
    lines = heinit_sim("merge", "o").stderr.splitlines()
    assert lines[0].startswith(f"o: {left} of 48 tasks are missing or damaged (")
    assert len(lines) == 1 + 8
    for line in lines[1:]:
        assert heinit_sim(*shlex.split(line)[1:], "-q") == Ran(0, "", "")
    assert heinit_sim("merge", "o", "-q", "--no-plots") == Ran(0, "", "")
    assert whole("o") == whole("whole")


def test_a_stopped_run_by_force_leaves_the_old_results_and_goes_on(
    expected: dict[str, bytes],
) -> None:
    assert simulate("--seed", 1, "-q") == Ran(0, "", "")
    old = whole("o")
    assert stopped(3, "--force").returncode == 1
    assert len(tasks()) == 3
    hidden = Path("o/.tasks").rename("aside")
    assert whole("o") == old
    hidden.rename("o/.tasks")
    ran = simulate("--force")
    assert ran.stderr.startswith("o: goes on, 3 of 6 tasks are done\n")
    assert whole("o") == expected


def meanwhile(patch: pytest.MonkeyPatch, number: int, *more: object) -> list[Ran]:
    """Another run into the same directory, from start to end, before the task of a number."""
    written = TaskFiles.write
    ran: list[Ran] = []

    def write(self: TaskFiles, done: object, n_shards: int = 1) -> None:
        if not ran and done.task.number == number:  # type: ignore[attr-defined]  # Simulated
            ran.append(Ran(None, "", ""))
            ran[0] = simulate(*more)
        written(self, done, n_shards)  # type: ignore[arg-type]  # Simulated

    patch.setattr(task_files.TaskFiles, "write", write)
    return ran


@pytest.mark.parametrize("number", slow_but(range(0, N_TASKS, 5), 0))
def test_of_two_runs_of_one_config_both_end_well(
    number: int, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = meanwhile(monkeypatch, number)
    ran = simulate()
    assert (other[0].returncode, ran.returncode) == (0, 0)
    assert ran.stderr.endswith("o is up to date; give --force to simulate it again\n")
    assert whole("o") == expected


def test_of_two_runs_of_two_configs_one_is_refused_and_nothing_is_lost(
    expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TaskFiles, "require_alone", lambda *_: None)  # both begin at once
        other = meanwhile(patch, 3, "--seed", 1)
        ran = simulate()
    assert (other[0].returncode, ran.returncode) == (0, 2)
    assert "already holds results" in ran.stderr
    assert len(tasks()) == N_TASKS
    assert heinit_sim("merge", "o", "--out", "mine", "--no-plots", "-q") == Ran(0, "", "")
    assert whole("mine") == expected


def test_no_clock_decides_anything(
    expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(3)
    for path, moment in zip(tasks(), (0, 1e9, 1e11), strict=True):
        os.utime(path, (moment, moment))
    now = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)
    ran = simulate()
    assert ran.stderr.startswith("o: goes on, 3 of 6 tasks are done\n")
    assert whole("o") == expected


def test_a_file_in_the_place_of_the_tasks_is_told_and_stays() -> None:
    Path("o").mkdir()
    Path("o/.tasks").touch()
    ran = simulate()
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert re.match(r"o/\.tasks/\w+/config\.yaml: could not be written \(.*\); mend", ran.stderr)
    assert files(Path("o")) == {".tasks": b""}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_tasks_may_be_linked_to_another_disk(expected: dict[str, bytes]) -> None:
    Path("o").mkdir()
    Path("disk").mkdir()
    Path("o/.tasks").symlink_to(Path("disk").resolve())
    stopped(3)
    assert len(list(Path("disk").glob("*/*.task"))) == 3
    assert simulate().stderr.startswith("o: goes on, 3 of 6 tasks are done\n")
    assert list(Path("disk").iterdir()) == []
    Path("o/.tasks").unlink()
    assert whole("o") == expected


def test_a_worker_that_is_killed_is_told_in_one_line(
    expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> Iterator[object]:
        raise WorkerError("a worker ended")

    with monkeypatch.context() as patch:
        patch.setattr(executors, "simulated", killed)
        patch.setattr("heinit_sim.simulation.sweep.simulated", killed)
        ran = simulate("-j", 2)
    assert ran == Ran(1, "", f"a worker ended; {GOES_ON}\n")
    assert simulate("-q") == Ran(0, "", "")
    assert whole("o") == expected


LONG = """\
name: long
network: {depth: 40, width: 100, input_dim: 50}
record: {histograms: decades}
init: {scheme: he_normal}
inputs: {count: 10}
trials: 150
"""
SECONDS = {"processes": 0.0, "threads": 1e9}


def started(kind: str, *more: object, out: str = "o") -> subprocess.Popen[str]:
    """Start a run that keeps its tasks, in a process of its own and with two workers."""
    code = "import signal\n"  # a signal that was ignored, as below nohup, would stay so
    code += "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
    code += "    signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
    code += f"import {run.__name__} as run, {compute.__name__} as compute\n"
    code += f"run._KEPT_FROM, compute._LONG = 0.0, {SECONDS[kind]}\n"
    code += "from heinit_sim.__main__ import main\nmain()"
    Path("long.yaml").write_text(LONG, "utf-8")
    words = ["run", "long.yaml", "--no-plots", "--out", out, "-j", "2", *map(str, more)]
    pipe = subprocess.PIPE
    environment = {**os.environ, **PLAIN}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=pipe, stderr=pipe, text=True, env=environment
    )


def ended(running: subprocess.Popen[str]) -> Ran:
    """What a run left, without its lines of progress, which depend on the machine."""
    with running:
        stdout, stderr = running.communicate(timeout=300)
    return Ran(running.returncode, stdout, re.sub("^long: .*\n", "", stderr, flags=re.M))


def wait_for_tasks(running: subprocess.Popen[str], number: int) -> None:
    while len(tasks()) < number:
        assert running.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(LONG, tmp_path_factory.mktemp("long"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SECONDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_that_then_goes_on(
    number: signal.Signals, kind: str, uninterrupted: dict[str, bytes]
) -> None:
    running = started(kind)
    wait_for_tasks(running, 3)
    start = time.perf_counter()
    running.send_signal(number)
    ran = ended(running)
    assert time.perf_counter() - start < 5  # 1 s, of a machine that does nothing else
    assert ran == Ran(128 + number, "", f"heinit-sim: stopped by {number.name}; {GOES_ON}\n")
    kept = len(tasks())
    ran = ended(started(kind))
    assert ran.returncode == 0
    assert ran.stderr.startswith(f"o: goes on, {kept} of ")
    assert whole("o") == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("kind", SECONDS)
def test_a_run_that_is_killed_ten_times_loses_no_finished_task(
    kind: str, uninterrupted: dict[str, bytes]
) -> None:
    rng, kept, n_told = random.Random(20), 0, 0
    for number in range(10):
        running = started(kind)
        if number % 2:  # else at any moment of its start
            wait_for_tasks(running, kept + 1)
        time.sleep(rng.uniform(0, 0.1 if number % 2 else 1))
        before = len(tasks())
        running.kill()
        ran = ended(running)
        assert ran.returncode == -signal.SIGKILL
        told = re.findall(r"goes on, (\d+) of \d+ tasks are done$", ran.stderr, re.M)
        assert told in ([], [str(kept)])  # nothing that was kept was lost or damaged
        n_told += len(told)
        assert len(tasks()) >= before >= kept
        kept = len(tasks())
    assert n_told >= 4
    assert ended(started(kind)).returncode == 0
    assert whole("o") == uninterrupted


@pytest.mark.slow
def test_a_real_worker_that_is_killed_costs_its_task_alone(
    uninterrupted: dict[str, bytes],
) -> None:
    running = started("processes")
    wait_for_tasks(running, 3)
    children = f"/proc/{running.pid}/task/{running.pid}/children"
    workers = [
        int(pid)
        for pid in Path(children).read_text("utf-8").split()
        if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text("utf-8")
    ]
    os.kill(workers[0], signal.SIGKILL)
    ran = ended(running)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("a worker ended in the middle of a task, as one that is killed")
    assert ran.stderr.endswith(f"; {GOES_ON}\n")
    kept = len(tasks())
    ran = ended(started("processes"))
    assert ran.stderr.startswith(f"o: goes on, {kept} of ")
    assert whole("o") == uninterrupted


@pytest.mark.slow
def test_two_processes_of_one_run_write_it_once(uninterrupted: dict[str, bytes]) -> None:
    both = [started("threads"), started("threads")]
    assert [ended(one).returncode for one in both] == [0, 0]
    assert whole("o") == uninterrupted
