"""The part of a run that one process computes: `--shard`, as typed or as a scheduler numbers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.labels import shortened

MOST_SHARDS = 100_000
"""The most parts of a run."""
_ALLOWED = f"must be I/N with 1 <= I <= N <= {MOST_SHARDS}, auto or auto/N"


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a run, the first of which has index 1; as text "3/16"."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def of(cls, number: int, count: int) -> Shard:
        """The shard, one of `count`, that the task of a number (from 0 on) is in."""
        return cls(number % count + 1, count)


class _Scheduler(NamedTuple):
    """The variables in which a scheduler tells a job its place in an array; "" where it does not.

    `job` holds the index of the job among `first`, `first + step`, … up to `last`, which are
    `size`. With `auto/N` the job of index `start` computes the first shard.
    """

    job: str
    first: str = ""
    last: str = ""
    step: str = ""
    size: str = ""
    start: int = 1


# Sources: sbatch(1) of Slurm; qsub(1B) of PBS Professional; submit(1) of Grid Engine, where a job
# outside of arrays has "undefined"; the reference of batch/v1 Job of Kubernetes.
_SCHEDULERS = (
    _Scheduler(
        "SLURM_ARRAY_TASK_ID",
        first="SLURM_ARRAY_TASK_MIN",
        last="SLURM_ARRAY_TASK_MAX",
        step="SLURM_ARRAY_TASK_STEP",
        size="SLURM_ARRAY_TASK_COUNT",
    ),
    _Scheduler("PBS_ARRAY_INDEX"),
    _Scheduler(
        "SGE_TASK_ID", first="SGE_TASK_FIRST", last="SGE_TASK_LAST", step="SGE_TASK_STEPSIZE"
    ),
    _Scheduler("JOB_COMPLETION_INDEX", start=0),
)


def parse_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """Read `--shard`: "3/16", or "auto" or "auto/16" for what the scheduler says of this job.

    With "auto" the shards are the jobs of the array, counted from its first. With "auto/16" the
    index of a job is that of its shard (from 0 on Kubernetes): a few jobs of an array that are
    submitted again compute the same shards as before.

    Args:
        text: As typed.
        environ: The variables of the process.

    Raises:
        ConfigError: The text is none of these, or the scheduler does not say which shard.
    """
    match = re.fullmatch(r"(auto|[0-9]{1,9}(?=/))(?:/([0-9]{1,9}))?", text)
    index, count = match.groups() if match else ("0", None)
    typed = Shard(1 if index == "auto" else int(index), int(count or 1))
    if not 1 <= typed.index <= typed.count <= MOST_SHARDS:
        raise _error(f"{shortened(text, 40)!r} is no shard, {_ALLOWED}")
    if index != "auto":
        return typed
    shards = {}
    for scheduler in _SCHEDULERS:
        if (job := _number(environ, scheduler.job)) is not None:
            place = (scheduler, job, environ)
            shards[scheduler.job] = _counted(*place, typed.count) if count else _in_array(*place)
    if not shards:
        names = ", ".join(scheduler.job for scheduler in _SCHEDULERS)
        raise _error(f"auto: none of {names} is set; give I/N")
    if len(set(shards.values())) > 1:
        said = ", ".join(f"{name} says {shard}" for name, shard in shards.items())
        raise _error(f"auto: {said}; give I/N")
    return shards.popitem()[1]


def _counted(scheduler: _Scheduler, job: int, environ: Mapping[str, str], count: int) -> Shard:
    """The shard, one of `count`, whose index is the job's."""
    start = scheduler.start
    if not start <= job < start + count:
        must = f"must be {start} to {start + count - 1}"
        raise _error(f"auto/{count}: {scheduler.job} is {job}, {must}")
    first = _number(environ, scheduler.first)
    if first is not None and first < start:
        must = f"must be {start} or more: submit an array of {start}-{count}, or give auto"
        raise _error(f"auto/{count}: {scheduler.first} is {first}, {must}")
    return Shard(job - start + 1, count)


def _in_array(scheduler: _Scheduler, job: int, environ: Mapping[str, str]) -> Shard:
    """The shard that a job is by its place in an array, one of as many as that has jobs."""
    first, last, step, size = (_number(environ, name) for name in scheduler[1:5])
    told = f"auto: {scheduler.job} is {job}"
    if size is None and (first is None or last is None):
        raise _error(f"{told}, but nothing says of how many; give auto/N")
    first = scheduler.start if first is None else first
    step = 1 if step is None else step
    last = first + ((size or 0) - 1) * step if last is None else last
    jobs = range(first, last + 1, step or 1)
    array = f"{first} to {last} in steps of {step}"
    if size not in (None, len(jobs)):
        raise _error(f"auto: {scheduler.size} is {size}, but {array} are {len(jobs)}; give auto/N")
    if job not in jobs or step == 0:
        raise _error(f"{told}, must be one of {array}")
    if len(jobs) > MOST_SHARDS:
        raise _error(f"auto: an array of {len(jobs)} jobs, must be at most {MOST_SHARDS}")
    return Shard(jobs.index(job) + 1, len(jobs))


def _number(environ: Mapping[str, str], name: str) -> int | None:
    """The value of a variable, or None where the scheduler has none."""
    value = environ.get(name)
    if value is None or (value == "undefined" and name.startswith("SGE_")):
        return None
    if not re.fullmatch("[0-9]{1,9}", value):
        raise _error(f"{name} is {shortened(value, 40)!r}, must be a number of 1 to 9 digits")
    return int(value)


def _error(problem: str) -> ConfigError:
    return ConfigError([f"--shard: error: {problem}"])
