"""`run --dask` with real schedulers and workers, some of them killed: the bytes of any run."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PLAIN, heinit_sim, process
from tests.dask_cluster import LONG, Cluster, cluster, wait_until

SMALL = """\
name: small
network: {depth: 12, width: 40, input_dim: 40}
init: {variance: 0.02}
sweep: {init.variance: [0.02, 0.05], network.activation: [relu, tanh]}
trials: 480
"""
RUN = ("run", "small.yaml", "--no-plots")
QUIET = (*RUN, "-q")  # without lines of progress, of which a slow machine has some
GOES_ON = "outputs/small keeps the tasks that are done, and the same command goes on"
WRITTEN = ("layers.csv", "summary.csv", "networks.npz", "config.yaml")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The files of a run without Dask."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "small.yaml").write_text(SMALL, "utf-8")
    found = process("run", folder / "small.yaml", "--no-plots", "-q", "--out", folder / "run")
    assert found.returncode == 0, found.stderr
    return written(folder / "run")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")
    return tmp_path


def written(run: Path) -> list[bytes]:
    return [(run / name).read_bytes() for name in WRITTEN]


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "heinit_sim", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **PLAIN},
    )


def kept() -> int:
    return len(list(Path("outputs/small/.tasks").glob("*/*.task")))


def begun(dask: Cluster) -> subprocess.Popen[str]:
    """Start the run on a cluster; it is in the middle when this returns."""
    run = started(*QUIET, "--dask", dask.file)
    wait_until(lambda: kept() or run.poll() is not None)
    assert run.poll() is None, run.communicate()
    return run


@pytest.mark.slow
def test_a_killed_worker_costs_no_byte(here: Path, expected: list[bytes]) -> None:
    with cluster(here / "dask") as dask:
        first, _ = dask.worker(), dask.worker()
        run = begun(dask)
        first.kill()
        assert run.poll() is None
        assert run.communicate(timeout=LONG) == ("", "")
    assert run.returncode == 0
    assert written(Path("outputs/small")) == expected
    assert not Path("outputs/small/.tasks").exists()
    facts = json.loads(Path("outputs/small/manifest.json").read_text("utf-8"))["run"]
    assert (facts["engine"], facts["jobs"]) == ("dask", None)


@pytest.mark.slow
def test_workers_that_come_late_are_waited_for_and_used(here: Path, expected: list[bytes]) -> None:
    with cluster(here / "dask") as dask:
        run = started(*RUN, "--dask", dask.file)
        assert run.stderr is not None
        line = run.stderr.readline()
        assert line.startswith("--dask: the scheduler at tcp://127.0.0.1:"), line
        assert line.endswith(" has no workers; waiting for them\n")
        first = dask.worker()
        wait_until(kept)
        first.kill()
        dask.worker()
        _, stderr = run.communicate(timeout=LONG)
    assert run.returncode == 0, stderr
    assert written(Path("outputs/small")) == expected


@pytest.mark.slow
def test_without_its_scheduler_a_run_ends_and_another_engine_goes_on(
    here: Path, expected: list[bytes]
) -> None:
    with cluster(here / "dask") as dask:
        dask.worker()
        run = begun(dask)
        dask.scheduler.kill()
        _, stderr = run.communicate(timeout=LONG)
    assert (run.returncode, stderr.count("\n")) == (1, 1), stderr
    assert stderr.endswith(f" is gone; {GOES_ON}\n"), stderr
    assert (before := kept())
    found = process(*RUN, "-j", 2)
    assert found.returncode == 0, found.stderr
    assert found.stderr.startswith(f"outputs/small: goes on, {before} of ")
    assert written(Path("outputs/small")) == expected


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no signals to send")
@pytest.mark.parametrize("where", ["local", "cluster"])
def test_a_signal_stops_a_run_and_the_same_command_goes_on(
    where: str, here: Path, expected: list[bytes]
) -> None:
    with cluster(here / "dask") as dask:
        dask.worker()
        options = ("--dask", "local", "-j", 2) if where == "local" else ("--dask", dask.file)
        run = started(*QUIET, *options)
        wait_until(lambda: kept() or run.poll() is not None)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to workers too
        stdout, stderr = run.communicate(timeout=LONG)  # ends once all that hold its pipes have
        assert run.returncode == 128 + signal.SIGINT
        assert (stdout, stderr) == ("", f"heinit-sim: stopped by SIGINT; {GOES_ON}\n")
        found = process(*QUIET, *options)
    assert found.returncode == 0, found.stderr
    assert written(Path("outputs/small")) == expected


@pytest.mark.slow
def test_workers_of_other_versions_and_without_the_package_are_refused(here: Path) -> None:
    other = here / "other" / "heinit_sim-9.9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: heinit-sim\nVersion: 9.9.9\n")
    hidden = "import sys\nsys.modules['heinit_sim'] = None"
    rows = [
        ((other.parent,), "", " has heinit-sim 9.9.9, numpy "),
        ((), hidden, "--dask: a worker has no heinit_sim; install it there"),
    ]
    for place, (paths, code, expected) in enumerate(rows):
        with cluster(here / f"dask{place}") as dask:
            worker = dask.worker(*paths, code=code)
            found = process(*QUIET, "--dask", dask.file)
            assert (found.returncode, found.stderr.count("\n")) == (1, 1), found.stderr
            assert expected in found.stderr
            assert worker.poll() is None
    assert not kept()


@pytest.mark.slow
def test_local_workers_give_the_same_bytes_and_say_nothing(
    here: Path, expected: list[bytes]
) -> None:
    found = process(*QUIET, "--dask", "local", "-j", 2)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert written(Path("outputs/small")) == expected
    facts = json.loads(Path("outputs/small/manifest.json").read_text("utf-8"))["run"]
    assert (facts["engine"], facts["jobs"]) == ("dask", 2)


@pytest.mark.slow
def test_an_address_that_nobody_listens_on_leaves_nothing(here: Path) -> None:
    found = process(*RUN, "--dask", "tcp://127.0.0.1:9")
    line = (
        "--dask: no scheduler answers at tcp://127.0.0.1:9 within 10 s; start one there, or give "
    )
    assert (found.returncode, found.stderr) == (1, line + "the address of another\n")
    assert [path.name for path in here.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--dask", "gone.json"), "--dask: error: gone.json: No such file or directory, must be "),
        (("--dask", "small.yaml"), "--dask: error: small.yaml: names no scheduler, must be an "),
        (("--dask", "tcp://h:1", "-j", 2), "--jobs: error: Dask's workers are as many as there "),
    ],
)
def test_what_names_no_scheduler_is_refused(
    options: tuple[object, ...], problem: str, here: Path
) -> None:
    found = heinit_sim(*RUN, *options)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.startswith(problem)


def test_a_dry_run_starts_nothing(here: Path) -> None:
    Path("scheduler.json").write_text('{"address": "tcp://nowhere:1"}', "utf-8")
    found = heinit_sim(*RUN, "--dask", "scheduler.json", "--dry-run")
    assert (found.returncode, found.stderr) == (0, "")
    assert " passes on the workers of Dask at tcp://nowhere:1\n" in found.stdout
    found = heinit_sim(*RUN, "--dask", "local", "-j", 3, "--dry-run", "--json")
    plan = json.loads(found.stdout)
    assert (plan["workers"], plan["jobs"], plan["kept_tasks"]) == ("workers of Dask", 3, 0)
    assert not Path("outputs").exists()


def test_without_dask_the_command_says_what_brings_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "heinit_sim.simulation.dask_engine.find_spec",
        lambda name: None if name == "distributed" else find(name),
    )
    found = heinit_sim(*RUN, "--dask", "local")
    install = "pip install 'heinit-sim[dask]' brings it"
    line = f"--dask: error: needs dask.distributed, not installed; {install}\n"
    assert (found.returncode, found.stderr) == (2, line)
