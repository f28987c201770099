"""The list of tasks: what is in it, and what it does not depend on."""

import math
import time
from collections import defaultdict
from itertools import pairwise

import pytest

from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.simulation import cost, executors, tasks
from heinit_sim.simulation.plan import NetworkPass, block_size, families
from heinit_sim.simulation.sweep import iter_sweep
from heinit_sim.simulation.tasks import Task, task_list
from tests.configs import CNN, SMALL, parsed

BOOK = """\
name: book
network: {depth: 50, width: 100, input_dim: 100}
init: {variance: 0.02}
inputs: {count: 10}
sweep: {init.variance: [0.01, 0.02, 0.1]}
trials: 1000
"""
FAMILIES = f"{SMALL}draws: independent\nsweep: {{init.variance: [0.1, 1], network.width: [8, 90]}}"
CONFIGS = {
    "one family": BOOK,
    "independent draws": f"{BOOK}draws: independent",
    "one trial": BOOK.replace("1000", "1"),
    "networks of two sizes": FAMILIES.replace("trials: 4", "trials: 3000"),
    "convolutions": f"{CNN}trials: 700",
    "hours": BOOK.replace("width: 100", "width: 4096"),
}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> SweepConfig:
    return parsed(CONFIGS[request.param])


def by_family(listed: list[Task]) -> dict[tuple[NetworkPass, ...], list[Task]]:
    found = defaultdict(list)
    for task in listed:
        found[task.passes].append(task)
    return found


def test_every_trial_of_every_family_is_in_one_task(config: SweepConfig) -> None:
    listed = task_list(config)
    assert [task.number for task in listed] == list(range(len(listed)))
    assert {task.seed for task in listed} == {config.seed}
    found = by_family(listed)
    assert list(found) == families(config)
    for of_family in found.values():
        trials = [trial for task in of_family for trial in task.trials]
        assert trials == list(range(config.trials))


def test_tasks_are_of_whole_blocks(config: SweepConfig) -> None:
    for family, of_family in by_family(task_list(config)).items():
        block = block_size(family)
        assert all(task.trials.start % block == 0 for task in of_family)
        *others, last = of_family
        assert all(len(task.trials) % block == 0 for task in others)
        assert last.trials.stop == config.trials


def test_tasks_are_neither_long_nor_many(config: SweepConfig) -> None:
    listed = task_list(config)
    total = sum(task.work for task in listed)
    longest = min(max(total / 256, 0.02), 30)
    for family, of_family in by_family(listed).items():
        work = of_family[0].work / len(of_family[0].trials)
        block = block_size(family)
        assert all(task.work <= max(longest, block * work) * (1 + 1e-12) for task in of_family)
        # as long as they may be: another block would be too much
        assert all(task.work + block * work > longest for task in of_family[:-1])
        assert all(math.isclose(task.work, work * len(task.trials)) for task in of_family)
    if total < 256 * 30:
        assert len(listed) < 2 * 256 + len(families(config))


BOUNDS = [0, 171, 342, 513, 684, 855, 1000]


def bounds() -> list[int]:
    """Where the tasks of a family begin, and where the last one ends."""
    text = BOOK.replace("depth: 50", "depth: 3").replace("width: 100", "width: 20")
    listed = task_list(parsed(text))
    assert all(a.trials.stop == b.trials.start for a, b in pairwise(listed))
    return [task.trials.start for task in listed] + [listed[-1].trials.stop]


def test_another_machine_has_the_same_list(
    config: SweepConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = task_list(config)

    def measured(*_: object) -> float:
        raise AssertionError("a list of tasks was measured")

    for name in ("perf_counter", "process_time", "time", "monotonic"):
        monkeypatch.setattr(time, name, measured)
    monkeypatch.setattr(cost, "_best_seconds", measured)
    monkeypatch.setattr(executors, "usable_cpus", measured)
    assert task_list(config) == expected


def test_the_list_is_the_one_that_files_of_earlier_runs_are_numbered_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bounds() == BOUNDS
    monkeypatch.setattr(tasks, "_SECONDS_PER_MATRIX", 1.5 * tasks._SECONDS_PER_MATRIX)
    assert bounds() != BOUNDS


def test_any_number_of_jobs_does_the_same_tasks() -> None:
    small = parsed(FAMILIES)
    for jobs in (1, 2, 5):
        done = sorted((task for task, _ in iter_sweep(small, jobs)), key=lambda task: task.number)
        assert done == task_list(small)
