"""What a client of Dask may do, played by a stand-in; `tests/system/test_dask.py` has real ones."""

import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import SimpleNamespace
from typing import Any

import distributed
import pytest

from heinit_sim.errors import WorkerError
from heinit_sim.simulation.dask_engine import simulated_by_dask
from heinit_sim.simulation.tasks import task_list
from tests.configs import parsed

TASKS = task_list(
    parsed("""\
name: many
network: {depth: 3, width: 8, input_dim: 5}
draws: independent
init: {scheme: he_normal}
sweep: {network.activation: [relu, tanh, gelu], network.width: [8, 11]}
trials: 6
""")
)
GONE = "--dask: the scheduler at tcp://h:1 is gone"


class Client(Executor):
    """A client of Dask that does tasks at once, as its `answer` says."""

    status = "running"
    scheduler = SimpleNamespace(address="tcp://h:1")

    def __init__(self, threads: int, answer: Callable[[Future[Any]], object]) -> None:
        self.threads, self.answer, self.sent = threads, answer, 0

    def nthreads(self) -> dict[str, int]:
        return {"a": self.threads - self.threads // 2, "b": self.threads // 2}

    def get_executor(self, *, pure: bool) -> Executor:
        assert not pure  # equal tasks of two runs are not to be joined
        return self

    def submit(self, load: Any, sealed: bytes) -> Future[Any]:  # type: ignore[override]  # a narrower call
        assert load is pickle.loads  # a worker needs no package to receive it
        self.sent += 1
        future: Future[Any] = Future()
        if self.sent < 4:
            future.set_result(load(sealed))
        else:
            self.answer(future)
        return future


def cancelled(future: Future[Any]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


def failed(error: Exception) -> Callable[[Future[Any]], object]:
    return lambda future: future.set_exception(error)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (cancelled, GONE),
        (failed(OSError("Timed out")), GONE),
        (
            failed(distributed.KilledWorker("x", SimpleNamespace(address="tcp://w:1"), 3)),
            "--dask: 4 workers ended at one task, maybe for want of memory: their logs tell",
        ),
        (
            failed(
                ModuleNotFoundError("No module named 'heinit_sim'", name="heinit_sim.simulation")
            ),
            "--dask: a worker has no heinit_sim; install it there",
        ),
    ],
)
def test_what_ends_a_run_is_said_in_one_line_after_what_is_done(
    answer: Callable[[Future[Any]], object], line: str
) -> None:
    done: list[int] = []
    with pytest.raises(WorkerError) as caught:
        done.extend(d.task.number for d in simulated_by_dask(Client(2, answer), TASKS, print))
    assert caught.value.lines == (line,)


def test_a_client_that_has_lost_its_scheduler_sends_nothing() -> None:
    client = Client(2, cancelled)
    client.status = "connecting"
    with pytest.raises(WorkerError, match="is gone"):
        next(simulated_by_dask(client, TASKS, print))
    assert client.sent == 0


def test_two_tasks_a_thread_are_sent_and_one_where_there_is_none() -> None:
    told: list[str] = []
    client = Client(0, cancelled)
    results = simulated_by_dask(client, TASKS, told.append)
    assert next(results).task == TASKS[0]
    assert client.sent == 1
    assert next(results).task == TASKS[1]
    assert told == ["--dask: the scheduler at tcp://h:1 has no workers; waiting for them"]
    client.threads = 1
    client.answer = lambda future: None  # for ever under way
    assert next(results).task == TASKS[2]
    assert client.sent == 4
