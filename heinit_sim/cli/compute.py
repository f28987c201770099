"""The simulation as commands take it: whoever does the tasks, with progress shown."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from heinit_sim.cli import progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from heinit_sim.experiment.sweep_config import SweepConfig
    from heinit_sim.simulation import Simulated, Task

_LONG = 8.0
"""Seconds from which on processes are worth their start; from then on they lose less to waiting
for each other than threads do."""


def compute(
    config: SweepConfig,
    left: Sequence[Task],
    tasks: Sequence[Task],
    jobs: int,
    *,
    quiet: bool,
) -> Generator[Simulated, None, None]:
    """Simulate tasks and yield them as they are done.

    Args:
        config: The config.
        left: The tasks that are to be done.
        tasks: All of them, those that were done before too.
        jobs: Threads or processes.
        quiet: Show no progress.
    """
    from heinit_sim import simulation

    with (
        _executor(config, left, jobs) as executor,
        progress.shown(config.name, left, tasks, quiet=quiet) as tell,
    ):
        for done in simulation.iter_sweep(config, jobs, executor=executor, tasks=left):
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


def _executor(
    config: SweepConfig, left: Sequence[Task], jobs: int
) -> AbstractContextManager[Executor | None]:
    """Start processes, or leave it to threads: None."""
    from heinit_sim import simulation

    if on_processes(config, left, jobs):
        return simulation.process_pool(min(jobs, len(left)))
    return nullcontext()
