"""Tasks on the workers of Dask: a cluster that is there, or processes that start with the run."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heinit_sim.errors import ConfigError, WorkerError
from heinit_sim.simulation.executors import held_back, require_same, simulated, versions
from heinit_sim.simulation.tasks import Simulated, Task

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""In place of an address: a scheduler and workers of this machine."""
_FAST = {  # of workers that start with the run, in Dask's words
    "distributed.nanny.pre-spawn-environ": {},  # else they give memory back, and ask for it again
    "distributed.worker.profile.enabled": False,
}
_TO_CONNECT = 10.0  # seconds for the scheduler to answer
_PATIENCE = 1.0  # seconds from one look at the workers to the next


def dask_address(where: str) -> str:
    """The address of a scheduler, as it is given or from the file that it wrote; or `LOCAL`.

    Raises:
        ConfigError: Dask is not installed, or there is no such file, or it is of no scheduler.
    """
    if find_spec("distributed") is None:
        install = "pip install 'heinit-sim[dask]' brings it"
        raise ConfigError([f"--dask: error: needs dask.distributed, not installed; {install}"])
    if where == LOCAL:
        return where
    allowed = "must be an address as tcp://host:8786, the JSON file of a scheduler, or local"
    try:
        address = json.loads(Path(where).read_bytes())["address"]
    except OSError as error:
        if "://" in where or re.fullmatch(r"[^/\\]+:\d+", where):
            return where
        raise ConfigError([f"--dask: error: {where}: {error.strerror}, {allowed}"]) from None
    except (ValueError, TypeError, KeyError):
        address = None
    if not isinstance(address, str):
        raise ConfigError([f"--dask: error: {where}: names no scheduler, {allowed}"])
    return address


@contextmanager
def dask_client(address: str, jobs: int) -> Iterator[Client]:
    """Connect to a scheduler, and be quiet about what Dask logs until that ends.

    Args:
        address: Its address; `LOCAL` starts one, with workers that end with this process.
        jobs: How many workers are started, of one thread each.

    Raises:
        WorkerError: It does not answer, or a worker has other versions of heinit-sim or NumPy.
        ConfigError: It is no address.
    """
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # packages that differ: those that matter are compared
        logging.disable()
        try:
            import distributed

            local = address == LOCAL
            start = _started(distributed, jobs) if local else _connected(distributed, address)
            with start as client:
                yield client
        finally:
            logging.disable(disabled)


def simulated_by_dask(
    client: Client, tasks: Iterable[Task], tell: Callable[[str], None]
) -> Generator[Simulated, None, None]:
    """Send tasks to workers, twice as many as they have threads, and yield them as they are done.

    Tasks of workers that are lost go to others, and workers that come are used.

    Args:
        client: From `dask_client`.
        tasks: What is to be done.
        tell: Is told once that there are no workers to be waited for.

    Raises:
        WorkerError: The scheduler is gone, or too many workers with the same task; or a worker
            has other versions.
    """
    from distributed import KilledWorker

    address, told = client.scheduler.address, False
    lost = WorkerError(f"--dask: the scheduler at {address} is gone")

    def window() -> int:
        nonlocal told
        if client.status != "running":
            raise lost
        threads: int = sum(client.nthreads().values())
        if not (threads or told):
            tell(f"--dask: the scheduler at {address} has no workers; waiting for them")
            told = True
        return 2 * threads

    try:
        yield from simulated(_Sealing(client.get_executor(pure=False)), tasks, window, _PATIENCE)
    except (CancelledError, OSError):
        raise lost from None
    except KilledWorker as error:
        count = error.allowed_failures + 1
        text = f"--dask: {count} workers ended at one task, maybe for want of memory"
        raise WorkerError(f"{text}: their logs tell") from None
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise WorkerError(f"--dask: a worker has no {package}; install it there") from None


@contextmanager
def _started(distributed: Any, jobs: int) -> Iterator[Client]:
    """Start a scheduler and workers of one thread each."""
    from multiprocessing import resource_tracker

    import dask

    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"  # of what cleans up when a signal ends this process
    try:
        # Signals are held back from threads that begin now, and from processes that they start: all
        # but what cleans up after these, whose start lets them through again.
        if os.name == "posix":
            with held_back():
                resource_tracker.ensure_running()
        with held_back(), dask.config.set(_FAST):
            cluster = distributed.LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                memory_limit=None,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


@contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Client]:
    """Connect to a scheduler whose workers have our versions.

    Raises:
        WorkerError: It does not answer, or they have others.
        ConfigError: It is no address.
    """
    import asyncio  # which takes a while to load, and only a cluster needs

    async def answer() -> None:
        arguments = distributed.Security().get_connection_args("client")
        async with asyncio.timeout(_TO_CONNECT):  # of a shake of hands, too
            (await distributed.comm.connect(address, _TO_CONNECT, **arguments)).abort()

    try:
        with held_back():  # from threads that write to what may be gone
            with ThreadPoolExecutor(1) as thread:  # a client that fails lingers: it comes after
                thread.submit(asyncio.run, answer()).result()
            client = distributed.Client(address, timeout=_TO_CONNECT, set_as_default=False)
    except OSError:
        text = f"--dask: no scheduler answers at {address} within {_TO_CONNECT:.0f} s"
        raise WorkerError(f"{text}; start one there, or give the address of another") from None
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError([f"--dask: error: {address}: {reason}"]) from None
    with client:
        expected = versions()
        for worker, found in client.get_versions(packages=list(expected))["workers"].items():
            packages = {name: found["packages"].get(name) for name in expected}
            require_same(packages, expected, f"--dask: the worker at {worker}")
        yield client


class _Sealing(Executor):
    """An executor whose calls are opened by the worker's thread that does them, and not before.

    A call that cannot be opened, without heinit-sim, would end a worker of Dask, and the next one.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit the call as bytes that `pickle.loads` turns into what it returns."""
        assert not kwargs
        return self._executor.submit(pickle.loads, pickle.dumps(_Call(fn, args)))


class _Call:
    """A call in the place of its result: to unpickle it is to do it."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._parts = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._parts
