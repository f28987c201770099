"""How far a simulation is and how long it will take: a bar on a terminal, else a line at times."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from heinit_sim.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from rich.table import Table

_PERIOD = 30.0
"""Seconds from one line to the next."""


class Part(Protocol):
    """A part of a simulation."""

    @property
    def networks(self) -> int:
        """How many it simulates."""

    @property
    def work(self) -> float:
        """How long it takes, in any unit."""


class _Meter:
    """Networks and work that are done, and the time that the rest will take.

    Work rather than networks tells the time: those of one width may take longer than of another.
    """

    def __init__(self, name: str, left: Sequence[Part], parts: Sequence[Part]) -> None:
        """Start the clock, see `shown`."""
        self._name = name
        self._total = sum(part.networks for part in parts)
        self._count = self._total - sum(part.networks for part in left)
        self._work, self._worked = sum(part.work for part in left), 0.0
        self._before = sum(part.work for part in parts) - self._work
        self._start = self._latest = time.perf_counter()

    def add(self, part: Part) -> None:
        """Take note of a part that is done now."""
        self._count += part.networks
        self._worked += part.work
        self._latest = time.perf_counter()

    def __str__(self) -> str:
        return f"{self._name}: {self._state()}"

    def __rich__(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        row.add_column(max_width=24)
        row.add_column(max_width=40)
        row.add_column(no_wrap=True)  # to which the others give way
        bar = ProgressBar(self._before + self._work, self._before + self._worked)
        name = Text(self._name, no_wrap=True, overflow="ellipsis")
        row.add_row(name, bar, Text(self._state()))
        return row

    def _state(self) -> str:
        text = f"{self._count} of {self._total} networks"
        if not self._worked:
            return text
        # What is under way counts only once it is done, so the speed is that until then.
        speed = self._worked / (self._latest - self._start)
        since = time.perf_counter() - self._latest
        left = max((self._work - self._worked) / speed - since, 0.0)
        return f"{text}, about {_duration(left)} left"


@contextmanager
def shown(
    name: str, left: Sequence[Part], parts: Sequence[Part] | None = None, *, quiet: bool = False
) -> Iterator[Callable[[Part], None]]:
    """Show on stderr how far a simulation is, from its start to its end.

    Args:
        name: What is simulated.
        left: The parts that are to be done.
        parts: All of them, where some that are not `left` were done before.
        quiet: Show nothing.

    Yields:
        What takes note of a part that is done.
    """
    meter = _Meter(name, left, left if parts is None else parts)
    with nullcontext() if quiet else _display(meter):
        yield meter.add


def _display(meter: _Meter) -> AbstractContextManager[object]:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not sys.stderr.isatty():
        return _lines(meter)
    from rich.console import Console
    from rich.live import Live

    return Live(meter, console=Console(stderr=True), transient=True)


@contextmanager
def _lines(meter: _Meter) -> Iterator[None]:
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_PERIOD):
            console.say(str(meter))

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _duration(seconds: float) -> str:
    """A time in words: 45 s, 12 min, 3.5 h, 4.2 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
