"""The simulation as commands take it: whoever does the tasks, with progress shown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from heinit_sim.cli import console, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from heinit_sim.experiment.sweep_config import SweepConfig
    from heinit_sim.simulation import Simulated, Task

_LONG = 8.0
"""Seconds from which on processes, which do not wait for each other, are worth their start."""


def compute(
    config: SweepConfig,
    left: Sequence[Task],
    tasks: Sequence[Task],
    jobs: int | None,
    *,
    quiet: bool,
    dask: str | None = None,
    begin: Callable[[], None] = lambda: None,
) -> Generator[Simulated, None, None]:
    """Simulate tasks and yield them as they are done.

    Args:
        config: The config.
        left: The tasks that are to be done.
        tasks: All of them, those that were done before too.
        jobs: Threads or processes; None where those of a cluster are taken.
        quiet: Show no progress.
        dask: Address of Dask's scheduler, or "local".
        begin: Is called once they are there.
    """
    if not left:
        begin()
        return
    with (
        _begun(config, left, jobs, dask, quiet=quiet) as results,
        progress.shown(config.name, left, tasks, quiet=quiet) as tell,
    ):
        begin()
        for done in results:
            yield done
            tell(done.task)


def seconds_of(config: SweepConfig, tasks: Sequence[Task], jobs: int) -> float:
    """About how long some tasks of a config will take, of a second and more by a probe."""
    from heinit_sim import simulation

    nominal = sum(task.work for task in tasks)
    if nominal < 1:  # of a machine that may be some times faster than this one
        return nominal
    return simulation.estimate(config, jobs, tasks).seconds


def on_processes(config: SweepConfig, left: Sequence[Task], jobs: int) -> bool:
    """Whether processes are worth their start, or threads do."""
    jobs = min(jobs, len(left))
    return jobs > 1 and seconds_of(config, left, jobs) > _LONG


@contextmanager
def _begun(
    config: SweepConfig,
    left: Sequence[Task],
    jobs: int | None,
    dask: str | None,
    *,
    quiet: bool,
) -> Iterator[Iterable[Simulated]]:
    """Start whoever does the tasks: Dask, processes where they are worth that, else threads."""
    from heinit_sim import simulation

    busy = min(jobs or 1, len(left))
    if dask:
        tell = (lambda text: None) if quiet else console.say
        with simulation.dask_client(dask, busy) as client:
            yield simulation.simulated_by_dask(client, left, tell)
    elif on_processes(config, left, busy):
        with simulation.process_pool(busy) as executor:
            yield simulation.iter_sweep(config, busy, executor=executor, tasks=left)
    else:
        yield simulation.iter_sweep(config, busy, tasks=left)
