"""Who does the tasks of a sweep: threads, processes, or whatever has a `submit` as they have."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from multiprocessing.context import SpawnContext, SpawnProcess
from pickle import PicklingError

from threadpoolctl import threadpool_limits

from heinit_sim.errors import WorkerError
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.tasks import Simulated, Task, simulate

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_MOST_PROCESSES = 61
"""As many as Windows can wait for."""
_limited = False  # whether BLAS runs on one thread here: during a sweep, or for good in a worker


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def versions() -> dict[str, str]:
    """The versions that numbers depend on."""
    return {name: version(name) for name in ("heinit-sim", "numpy")}


def require_same(
    found: Mapping[str, str | None], expected: Mapping[str, str], where: str = "a worker"
) -> None:
    """Refuse a worker with other versions.

    Args:
        found: Its `versions`; None where it has no such package.
        expected: Those of the process that will put the results together.
        where: The worker, for the message.

    Raises:
        WorkerError: They are others, with which the same seed may give other numbers.
    """
    if found != expected:
        theirs = ", ".join(f"{name} {found[name] or '(missing)'}" for name in expected)
        ours = ", ".join(map(" ".join, expected.items()))
        raise WorkerError(f"{where} has {theirs}, must have {ours}; install the same there")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run BLAS on one thread: tasks run beside each other instead."""
    global _limited
    with threadpool_limits(limits=1, user_api="blas"):
        before, _limited = _limited, True
        try:
            yield
        finally:
            _limited = before


def work(task: Task, expected: dict[str, str]) -> tuple[PassResult, ...]:
    """Simulate a task, maybe in another process or on another machine.

    Args:
        task: The task.
        expected: The `versions` of the process that will put the results together.

    Raises:
        WorkerError: They are others here, where the same seed may give other numbers.
    """
    global _limited
    require_same(versions(), expected)
    if not _limited:
        threadpool_limits(limits=1, user_api="blas")
        _limited = True
    return simulate(task)


def simulated(
    executor: Executor,
    tasks: Iterable[Task],
    window: Callable[[], int],
    patience: float | None = None,
) -> Generator[Simulated, None, None]:
    """Send tasks to an executor and yield them as they are done, in whatever order that is.

    Args:
        executor: Runs `work`.
        tasks: What is to be done.
        window: How many tasks may be under way, asked each time.
        patience: Seconds after which it is asked again, whether a task is done or not.

    Raises:
        WorkerError: A worker has other versions, or was killed, or no task can be sent to it.
        Exception: Whatever else a task or the executor raises.
    """
    under_way: dict[Future[tuple[PassResult, ...]], Task] = {}
    left, expected = iter(tasks), versions()
    try:
        while True:
            room = max(window(), 1)
            while len(under_way) < room and (task := next(left, None)) is not None:
                under_way[executor.submit(work, task, expected)] = task
            if not under_way:
                return
            done = wait(under_way, patience, FIRST_COMPLETED).done
            for future in sorted(done, key=_failed):  # what is done is kept first
                task = under_way.pop(future)
                yield Simulated(task, _result(future))
    except BrokenExecutor as error:
        text = "a worker ended in the middle of a task, as one that is killed for lack of memory"
        raise WorkerError(f"{text}; give a smaller -j") from error
    finally:
        if not isinstance(executor, _Processes):
            for future in under_way:
                future.cancel()


def _result(future: Future[tuple[PassResult, ...]]) -> tuple[PassResult, ...]:
    """The results of a task.

    Raises:
        WorkerError: It holds functions that cannot be sent.
        Exception: Whatever the task or the executor raised.
    """
    try:
        return future.result()
    except (AttributeError, PicklingError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise WorkerError(
            f"an activation of your own cannot be sent to other processes ({error}); "
            "define its functions at the top of a module, or give threads"
        ) from error


@contextmanager
def process_pool(jobs: int) -> Iterator[Executor]:
    """Start processes that end with this one, however it ends, and leave signals to it.

    Args:
        jobs: How many.
    """
    others = multiprocessing.active_children()
    jobs = min(jobs, _MOST_PROCESSES) if os.name == "nt" else jobs
    with held_back():  # from the process, too, that cleans up after the others, whatever happens
        pool = _Processes(jobs, mp_context=_Context(), initializer=_begin)
        pool.submit(int)  # starts the threads that write to pipes which end with a worker
    try:
        yield pool
    except BaseException:  # a signal, a full disk: wait for no task under way
        for process in multiprocessing.active_children():
            if process not in others:
                process.kill()
        pool.end_results()
        pool.shutdown()
        raise
    pool.shutdown()


class _Processes(ProcessPoolExecutor):
    """A pool whose processes may be killed; until then none of its futures is cancelled.

    Where a process is gone, the thread that brings results fails at cancelled futures (until Python
    3.12), and waits for ever for the rest of a result that was cut.
    """

    def end_results(self) -> None:
        """Let that thread read no further than what dead processes wrote."""
        results = getattr(self, "_result_queue", None)
        if writer := getattr(results, "_writer", None):  # the last end that is open
            writer.close()


class _Process(SpawnProcess):
    """A process that no signal meets before it is ready."""

    def start(self) -> None:
        with held_back():
            super().start()


class _Context(SpawnContext):
    Process = _Process


def _failed(future: Future[tuple[PassResult, ...]]) -> bool:
    return future.cancelled() or future.exception() is not None


def _begin() -> None:
    """Begin as a worker: deaf to signals, and gone when the process is that started it."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(waited: Callable[[], None]) -> None:
    waited()
    os._exit(1)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back on systems that can; a process that starts inherits that."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*_SIGNALS, signal.SIGPIPE])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
