"""Who does the tasks of a sweep, side by side in one run: `python -m tests.benchmarks.engines`.

Figure 7.4's networks at several widths, some seconds of work each: one thread, two threads, two
processes with their start, and Dask on this machine where it is installed. Then the default run
with its tasks kept as files against the same without. One core has to be free for each of two.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from heinit_sim import load_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.runs import TaskFiles
from heinit_sim.simulation import LOCAL, dask_client, process_pool, simulated_by_dask, task_list
from heinit_sim.simulation.sweep import iter_sweep
from tests.benchmarks.timing import interleaved

CONFIG = Path(__file__).parent.parent.parent / "configs" / "figure_7_4.yaml"
TRIALS = {30: 1000, 100: 400, 300: 60, 1000: 6}
"""Width -> networks of some seconds on one core."""


def main() -> None:
    """Print the tables."""
    _print_engines()
    _print_files()


def _print_engines() -> None:
    print(f"{'two at a time, speed-up':28}{'threads':>10}{'processes':>10}{'dask':>10}")
    for width, trials in TRIALS.items():
        sizes = {"network.width": width, "network.input_dim": width, "trials": trials}
        config = load_config(CONFIG, sizes)
        calls: dict[str, Callable[[], object]] = {
            "one": partial(_drain, config, 1),
            "threads": partial(_drain, config, 2),
            "processes": partial(_drain_by_processes, config),
        }
        if importlib.util.find_spec("distributed"):
            calls["dask"] = partial(_drain_by_dask, config)
        seconds = interleaved(calls, rounds=3)
        one = seconds.pop("one")
        ratios = "".join(f"{one / each:10.2f}" for each in seconds.values())
        print(f"{f'width {width}, {one:.1f} s':28}{ratios}", flush=True)


def _print_files() -> None:
    config = load_config(CONFIG)
    calls = {"kept": partial(_keep, config), "not kept": partial(_drain, config, 2)}
    seconds = interleaved(calls, rounds=15)
    ratio = seconds["kept"] / seconds["not kept"]
    print(f"\n{'default run, tasks kept':28}{ratio:10.3f} times the same without")


def _drain(config: SweepConfig, jobs: int) -> None:
    for _ in iter_sweep(config, jobs):
        pass


def _keep(config: SweepConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = TaskFiles(Path(folder), config)
        files.begin()
        tasks = task_list(config)
        for _ in files.resume(tasks, lambda left: iter_sweep(config, 2, tasks=left)):
            pass


def _drain_by_processes(config: SweepConfig) -> None:
    with process_pool(2) as executor:
        for _ in iter_sweep(config, 2, executor=executor):
            pass


def _drain_by_dask(config: SweepConfig) -> None:
    with dask_client(LOCAL, 2) as client:
        for _ in simulated_by_dask(client, task_list(config), print):
            pass


if __name__ == "__main__":
    main()
