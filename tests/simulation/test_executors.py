"""Whoever does the tasks: the same bits, and processes that go when they should."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from heinit_sim.activations import own_activation, with_activation
from heinit_sim.errors import WorkerError
from heinit_sim.experiment.quantities import MEASURES
from heinit_sim.numerics import FloatArray
from heinit_sim.simulation import executors
from heinit_sim.simulation.dask_engine import dask_client
from heinit_sim.simulation.executors import process_pool, simulated, versions, work
from heinit_sim.simulation.sweep import iter_sweep, run_sweep
from heinit_sim.simulation.tasks import Simulated, Task, simulate, task_list
from tests.configs import parsed
from tests.rows import slow_but

CONFIG = parsed("""\
name: many
network: {depth: 3, width: 8, input_dim: 5}
draws: independent
init: {scheme: he_normal}
sweep: {network.activation: [relu, tanh, gelu], network.width: [8, 11]}
record: {histograms: decades, cosine: true}
inputs: {count: 4}
trials: 6
""")
posix = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")


def spawned(jobs: int) -> Executor:
    return ProcessPoolExecutor(jobs, get_context("spawn"))


@contextmanager
def by_dask(jobs: int) -> Iterator[Executor]:
    with dask_client("local", jobs) as client:
        yield client.get_executor()


@pytest.mark.parametrize(
    "started",
    slow_but(
        [ThreadPoolExecutor, spawned, process_pool, by_dask], ThreadPoolExecutor, process_pool
    ),
)
def test_every_executor_gives_the_same_bits(
    started: Callable[[int], AbstractContextManager[Executor]],
) -> None:
    expected = run_sweep(CONFIG, 1)
    with started(2) as executor:
        found = run_sweep(CONFIG, executor=executor)
    for ours, theirs in zip(found.conditions, expected.conditions, strict=True):
        for measure in MEASURES:
            assert np.array_equal(ours.networks[measure], theirs.networks[measure], equal_nan=True)
        for quantity, histogram in theirs.histograms.items():
            for part, counts in vars(histogram).items():
                assert np.array_equal(vars(ours.histograms[quantity])[part], counts)
        for ratio, numbers in theirs.ratios.items():
            assert np.array_equal(ours.ratios[ratio], numbers, equal_nan=True)
        for name, numbers in theirs.outputs.items():
            assert np.array_equal(ours.outputs[name], numbers, equal_nan=True)


def facts(task: Task) -> tuple[int, set[signal.Signals], set[int]]:
    """A worker: its process, the signals that it never hears, the threads of its BLAS."""
    work(task, versions())
    blas = {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
    deaf = {
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) == signal.SIG_IGN
        and number in signal.pthread_sigmask(signal.SIG_BLOCK, [])  # since before it began
    }
    time.sleep(0.5)  # another worker does the next
    return os.getpid(), deaf, blas


@pytest.mark.slow
@posix
def test_workers_leave_signals_to_their_parent_and_other_threads_to_other_workers() -> None:
    task = task_list(CONFIG)[0]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with process_pool(2) as pool:
        found = [future.result() for future in [pool.submit(facts, task) for _ in range(4)]]
    assert len({pid for pid, _, _ in found}) == 2
    for _, deaf, blas in found:
        assert deaf == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        assert blas == {1}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def is_gone(pid: int) -> bool:
    """Whether a process ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def gone_within(pids: list[int], seconds: float) -> bool:
    end = time.perf_counter() + seconds
    while not all(map(is_gone, pids)) and time.perf_counter() < end:
        time.sleep(0.02)
    return all(map(is_gone, pids))


linux = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks into /proc")
PARENT = """\
import os, time
from heinit_sim.simulation import process_pool

def busy():
    print(os.getpid(), flush=True)
    while True: sum(range(10**6))

if __name__ == "__main__":
    with process_pool(2) as pool:
        pool.submit(busy), pool.submit(busy)
        time.sleep(60)
"""


@linux
@pytest.mark.parametrize("number", slow_but([signal.SIGKILL, signal.SIGTERM], signal.SIGKILL))
def test_workers_are_gone_when_their_parent_is(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, "utf-8")
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        assert not any(map(is_gone, pids))
        parent.send_signal(number)
        # a busy thread of Python gives way every 5 ms; a loaded machine may take its time
        assert gone_within(pids, 5)


def end_abruptly() -> None:
    os._exit(9)


def pid_and_sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.slow
@linux
def test_an_error_waits_for_no_task_under_way() -> None:
    start = time.perf_counter()
    pids: list[int] = []

    def fail(pool: Executor) -> None:
        pids.append(pool.submit(pid_and_sleep, 0).result())
        pool.submit(pid_and_sleep, 60)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), process_pool(1) as pool:
        fail(pool)
    assert gone_within(pids, 5)
    assert time.perf_counter() - start < 30


class Killed(Executor):
    """An executor whose first worker is killed while the others are done."""

    def __init__(self, pool: Executor) -> None:
        self.pool, self.n_submitted = pool, 0

    def submit(self, *arguments: object, **_: object) -> Future[object]:  # type: ignore[override]  # a narrower call
        self.n_submitted += 1
        if self.n_submitted == 3:
            return self.pool.submit(end_abruptly)
        return self.pool.submit(*arguments)  # type: ignore[arg-type]  # as it is called


def test_a_worker_that_is_killed_is_an_error_in_one_line() -> None:
    done: list[Simulated] = []
    with pytest.raises(WorkerError) as caught, process_pool(1) as pool:
        done.extend(iter_sweep(CONFIG, executor=Killed(pool)))
    (line,) = caught.value.lines
    assert line.startswith("a worker ended in the middle of a task, as one that is killed for lack")


FEEDING = """\
import signal, time
from concurrent.futures import BrokenExecutor
from multiprocessing import active_children
from heinit_sim.simulation import process_pool

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as the command has it
    with process_pool(1) as pool:
        futures = [pool.submit(time.sleep, 60), *(pool.submit(len, bytes(10**7)) for _ in range(3))]
        while not futures[0].running():
            time.sleep(0.01)
        for process in active_children():
            process.kill()
        assert all(isinstance(future.exception(), BrokenExecutor) for future in futures)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="Windows has no such signal")
def test_a_task_on_its_way_to_a_worker_that_is_killed_ends_no_command(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(FEEDING, "utf-8")
    command = [sys.executable, "-W", "ignore", str(tmp_path / "parent.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


class Ended(Executor):
    """An executor that has done all but one task when it is asked, and failed on that."""

    def submit(self, _: object, task: Task, *__: object) -> Future[object]:  # type: ignore[override]  # a narrower call
        future: Future[object] = Future()
        if task.number == 2:
            future.set_exception(ValueError("this one"))
        else:
            future.set_result(simulate(task))
        return future


def test_what_is_done_is_given_before_an_error() -> None:
    listed = task_list(CONFIG)
    done: list[int] = []

    def take(iterator: Iterator[Simulated]) -> None:
        done.extend(each.task.number for each in iterator)

    with pytest.raises(ValueError, match="this one"):
        take(simulated(Ended(), listed, lambda: len(listed)))
    assert sorted(done) == [task.number for task in listed if task.number != 2]


def test_a_window_of_tasks_is_sent_at_a_time() -> None:
    sent: list[int] = []

    class Counted(Ended):
        def submit(self, function: object, task: Task, *others: object) -> Future[object]:  # type: ignore[override]  # a narrower call
            sent.append(task.number)
            future: Future[object] = Future()
            future.set_result(simulate(task))
            return future

    results = simulated(Counted(), task_list(CONFIG), lambda: 3)
    next(results)
    assert sent == [0, 1, 2]
    results.close()
    assert sent == [0, 1, 2]


def test_a_worker_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task, here = task_list(CONFIG)[0], versions()
    theirs = {**here, "numpy": "1.0"}
    with pytest.raises(WorkerError) as caught:
        work(task, theirs)
    ours = f"heinit-sim {here['heinit-sim']}, numpy"
    assert str(caught.value) == (
        f"a worker has {ours} {here['numpy']}, must have {ours} 1.0; install the same there"
    )
    monkeypatch.setattr(executors, "versions", lambda: theirs)
    with process_pool(1) as pool, pytest.raises(WorkerError, match=r"numpy 1\.0"):
        list(simulated(pool, [task], lambda: 1))


def squared(z: FloatArray) -> FloatArray:
    return np.maximum(z, 0) ** 2


def doubled(z: FloatArray) -> FloatArray:
    return 2 * np.maximum(z, 0)


class Pickling(Executor):
    """An executor that pickles calls, as those of other processes do."""

    def submit(self, *call: object) -> Future[object]:  # type: ignore[override]  # a narrower call
        future: Future[object] = Future()
        try:
            function, *arguments = pickle.loads(pickle.dumps(call))
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001  # as executors do
            future.set_exception(error)
        return future


def pickling(_: int) -> Executor:
    return Pickling()


ELSEWHERE = slow_but([pickling, process_pool], pickling)


@pytest.mark.parametrize("started", ELSEWHERE)
def test_functions_of_a_module_are_sent_to_other_processes(
    started: Callable[[int], AbstractContextManager[Executor]],
) -> None:
    config = with_activation(CONFIG, own_activation(squared, doubled, [0.0]))
    expected = run_sweep(config, 1)
    with started(1) as executor:
        found = run_sweep(config, executor=executor)
    for ours, theirs in zip(found.conditions, expected.conditions, strict=True):
        for measure in MEASURES:
            assert np.array_equal(ours.networks[measure], theirs.networks[measure], equal_nan=True)


@pytest.mark.parametrize("started", ELSEWHERE)
def test_functions_that_cannot_be_sent_are_refused_in_one_line(
    started: Callable[[int], AbstractContextManager[Executor]],
) -> None:
    config = with_activation(CONFIG, own_activation(lambda z: z, np.ones_like))
    with started(1) as executor, pytest.raises(WorkerError) as caught:
        run_sweep(config, executor=executor)
    (line,) = caught.value.lines
    assert line.startswith("an activation of your own cannot be sent to other processes (")
    assert line.endswith("define its functions at the top of a module, or give threads")


def test_an_error_of_an_activation_is_given_as_it_is() -> None:
    def failing(z: FloatArray) -> FloatArray:
        if z.ndim > 1:  # not in `own_activation`
            raise TypeError("no such sum")
        return z

    config = with_activation(CONFIG, own_activation(failing, np.ones_like))
    with ThreadPoolExecutor(1) as threads, pytest.raises(TypeError, match="no such sum"):
        run_sweep(config, executor=threads)


CUT = """\
import os, time
from heinit_sim.simulation import process_pool

def large():
    return os.urandom(30_000_000)

if __name__ == "__main__":
    for pause in (0.01, 0.03, 0.05):
        try:
            with process_pool(1) as pool:
                futures = [pool.submit(large) for _ in range(6)]
                futures[0].result()
                time.sleep(pause)
                raise ZeroDivisionError
        except ZeroDivisionError:
            print("ended", flush=True)
"""


@pytest.mark.slow
def test_a_result_that_is_cut_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "cut.py").write_text(CUT, "utf-8")
    command = [sys.executable, str(tmp_path / "cut.py")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ended\n" * 3, "")
