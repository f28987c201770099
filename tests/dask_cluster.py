"""Schedulers and workers of Dask, each a process of its own on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONG = 120.0  # seconds for whatever takes a few on an idle machine
_DASK = "from dask.__main__ import main\nmain()"


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Cluster:
    """A scheduler, and workers of one thread each; they end with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.file = folder / "scheduler.json"
        self.scheduler = self._start(
            *("scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--dashboard-address", "127.0.0.1:0", "--scheduler-file", self.file),
        )
        wait_until(self.file.is_file)

    def worker(self, *paths: Path, code: str = "") -> subprocess.Popen[bytes]:
        """Start a worker.

        Args:
            paths: Folders where it looks for packages first.
            code: What it runs first.
        """
        return self._start(
            *("worker", "--scheduler-file", self.file, "--nthreads", "1", "--no-nanny"),
            *("--no-dashboard", "--host", "127.0.0.1", "--local-directory", self._folder),
            paths=paths,
            code=code,
        )

    def _start(
        self, *arguments: object, paths: tuple[Path, ...] = (), code: str = ""
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}\n{_DASK}", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))},
            cwd=self._folder,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler, without workers."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        yield Cluster(folder, stack)
