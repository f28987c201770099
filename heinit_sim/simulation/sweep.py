"""A grid of conditions simulated task by task, and the results put together."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.records import SCALE_POWERS
from heinit_sim.experiment.results import ConditionResult, Measurements, Prediction, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.simulation import plan
from heinit_sim.simulation.executors import one_blas_thread, simulated, usable_cpus
from heinit_sim.simulation.histograms import Counts, to_histograms
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.tasks import Simulated, Task, joined, simulate, task_list
from heinit_sim.theory import BESIDE_A_RUN, predict
from heinit_sim.theory.finite_width import scale_law

_WINDOW = 256  # tasks that an executor has at a time which does not say how many it can do


def run_sweep(
    config: SweepConfig, jobs: int | None = None, *, executor: Executor | None = None
) -> SweepResult:
    """Simulate every condition of the sweep.

    Args:
        config: What to simulate, from `load_config`.
        jobs: Threads over trials; default: the CPUs this process may use. The result has the
            same bits for any number.
        executor: Does the tasks instead, with the same bits on the same kind of machine: a
            `ProcessPoolExecutor`, or what a cluster has in its place.

    Returns:
        One number per network, layer, quantity and statistic, with theory beside it.

    Raises:
        WorkerError: The executor's workers have other versions of heinit-sim or NumPy.
    """
    return collect(config, iter_sweep(config, jobs, executor=executor))


def iter_sweep(
    config: SweepConfig,
    jobs: int | None = None,
    *,
    executor: Executor | None = None,
    tasks: Sequence[Task] | None = None,
) -> Generator[Simulated, None, None]:
    """Simulate the tasks of a sweep and yield them as they are done.

    Args:
        config: What to simulate.
        jobs: Threads; default: the CPUs this process may use.
        executor: Does the tasks instead.
        tasks: Some tasks of `task_list`; default: all.
    """
    tasks = task_list(config) if tasks is None else tasks
    window = 2 * jobs if jobs else _WINDOW
    jobs = min(jobs or usable_cpus(), len(tasks))
    with one_blas_thread():
        if executor is not None:
            yield from simulated(executor, tasks, lambda: window)
        elif jobs <= 1:
            for task in tasks:
                yield Simulated(task, simulate(task))
        else:
            yield from _simulated_by_threads(tasks, jobs)


def _simulated_by_threads(tasks: Sequence[Task], jobs: int) -> Generator[Simulated, None, None]:
    pool = ThreadPoolExecutor(jobs)
    wait = True
    try:
        yield from simulated(pool, tasks, lambda: 2 * jobs)
    except (KeyboardInterrupt, SystemExit):  # a signal waits for no task under way
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def collect(
    config: SweepConfig,
    done: Iterable[Simulated],
    *,
    quantiles: bool = True,
    theory: Callable[[], Sequence[Prediction]] | None = None,
) -> SweepResult:
    """Put all tasks of a sweep together, theory beside measurement.

    Histograms are added up on the way, so that those of one task at a time are in memory.

    Args:
        config: The sweep.
        done: Its tasks, in any order.
        quantiles: Whether to predict quantiles over networks too, which takes a while.
        theory: Gives what `theory_beside` does, where that was begun before.
    """
    parts: dict[plan.NetworkPass, dict[int, PassResult]] = defaultdict(dict)
    tallies: dict[plan.NetworkPass, dict[Quantity, Counts]] = defaultdict(dict)
    for task, results in done:
        for network_pass, result in zip(task.passes, results, strict=True):
            for quantity, counts in result.tallies.items():
                before = tallies[network_pass].get(quantity, 0)
                tallies[network_pass][quantity] = counts + before
            parts[network_pass][task.trials.start] = result._replace(tallies={})
    whole = {p: joined([found[start] for start in sorted(found)]) for p, found in parts.items()}
    measurements = []
    for condition, network_pass in zip(config.conditions, plan.plan_passes(config), strict=True):
        result = whole[network_pass]
        networks, outputs = result.networks, result.outputs
        if plan.shares_pass(config, condition):
            shifts = scale_law(condition.weight_variances, condition.loss)
            networks = {measure: log10 + shifts[measure[0]] for measure, log10 in networks.items()}
            # ℓ = Σ f_K² grows as f_K² does, and so do squares of ∂f_K/∂x
            end = shifts["preactivation"][-1]
            outputs = {name: z + SCALE_POWERS[name] * end for name, z in outputs.items()}
        measurements.append(
            Measurements(
                networks=networks,
                histograms=to_histograms(tallies[network_pass], config.record.histograms),
                ratios=result.ratios,
                outputs=outputs,
            )
        )
    predictions = theory() if theory else theory_beside(config, quantiles=quantiles)
    return _put_together(config, predictions, measurements)


def theory_beside(config: SweepConfig, *, quantiles: bool = True) -> list[Prediction]:
    """Predict what is set beside the numbers of a sweep; see `collect`."""
    return predict(config.conditions, BESIDE_A_RUN if quantiles else 0, config.record)


def with_theory(
    config: SweepConfig,
    measurements: Sequence[Measurements],
    *,
    quantiles: bool = True,
) -> SweepResult:
    """Set theory beside the numbers of all networks of a sweep.

    Args:
        config: The sweep.
        measurements: What they showed, condition by condition.
        quantiles: Whether to predict quantiles over networks too, which takes a while.
    """
    predictions = theory_beside(config, quantiles=quantiles)
    return _put_together(config, predictions, measurements)


def _put_together(
    config: SweepConfig,
    predictions: Sequence[Prediction],
    measurements: Sequence[Measurements],
) -> SweepResult:
    results = [
        ConditionResult(**vars(prediction), **vars(measured))
        for prediction, measured in zip(predictions, measurements, strict=True)
    ]
    return SweepResult(config, tuple(results))
