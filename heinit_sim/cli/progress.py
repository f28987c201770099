"""How far a simulation is and how long it will take: a bar on a terminal, else a line at times."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from heinit_sim.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from heinit_sim.simulation import Simulated, Task

_PERIOD = 30.0
"""Seconds from one line to the next."""


def follow(
    name: str,
    done: Iterable[Simulated],
    left: Sequence[Task],
    tasks: Sequence[Task],
    *,
    quiet: bool,
) -> Iterator[Simulated]:
    """Pass on tasks as they are done, and show on stderr how far the simulation is.

    Args:
        name: The config's name.
        done: Tasks, one after another.
        left: All of these.
        tasks: All of the simulation; those that are not `left` were done before.
        quiet: Show nothing.
    """
    if quiet:
        return iter(done)
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return _by_lines(name, done, left, tasks)
    return _by_bar(done, left, tasks)


def _by_bar(
    done: Iterable[Simulated], left: Sequence[Task], tasks: Sequence[Task]
) -> Iterator[Simulated]:
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("networks"),
        bars.BarColumn(),
        bars.TextColumn("{task.description}"),
        bars.TimeRemainingColumn(),
    )
    total, before = _networks(tasks), _networks(tasks) - _networks(left)
    count, start = before, time.perf_counter()
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        # Work rather than networks: those of one width may take longer than those of another.
        bar = progress.add_task(f"{count}/{total}", total=_work(tasks))
        progress.reset(bar, completed=_work(tasks) - _work(left))
        for each in done:
            yield each
            count += len(each.task.trials)
            rate = (count - before) / (time.perf_counter() - start)
            text = f"{count}/{total} {rate:.3g}/s"
            progress.update(bar, advance=_work([each.task]), description=text)


def _by_lines(
    name: str, done: Iterable[Simulated], left: Sequence[Task], tasks: Sequence[Task]
) -> Iterator[Simulated]:
    total = _networks(tasks)
    count, work, worked = total - _networks(left), _work(left), 0
    start, ended = time.perf_counter(), threading.Event()

    def tell() -> None:
        while not ended.wait(_PERIOD):
            text = f"{name}: {count} of {total} networks"
            if worked:
                seconds = (time.perf_counter() - start) * (work / worked - 1)
                text += f", about {duration(seconds)} left"
            console.say(text)

    threading.Thread(target=tell, daemon=True).start()
    try:
        for each in done:
            yield each
            count += len(each.task.trials)
            worked += _work([each.task])
    finally:
        ended.set()


def duration(seconds: float) -> str:
    """A time in words: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _networks(tasks: Sequence[Task]) -> int:
    return sum(len(task.trials) for task in tasks)


def _work(tasks: Sequence[Task]) -> int:
    """Work in millionths of its unit: the bar takes no fractions."""
    return round(1e6 * sum(task.work for task in tasks))
