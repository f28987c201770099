"""The end of a run: its results written and drawn, checked and printed."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from heinit_sim.cli import console, interrupts, options
from heinit_sim.cli.ahead import ahead
from heinit_sim.cli.check import report_findings
from heinit_sim.errors import CheckFailed, RunDirectoryError, WriteError

if TYPE_CHECKING:
    from heinit_sim.experiment.results import SweepResult
    from heinit_sim.experiment.shard import Shard
    from heinit_sim.experiment.sweep_config import FigureFormat, SweepConfig
    from heinit_sim.simulation import Simulated


@dataclass(frozen=True, kw_only=True)
class Request:
    """All that is asked of every config alike; the fields are options of `run` and `merge`."""

    out: Path | None
    jobs: int | None
    """None where those of a cluster do the tasks."""
    force: bool
    quiet: bool
    json_: bool
    plots: bool
    dry_run: bool = False
    shard: "Shard | None" = None
    dask: str | None = None
    check: bool = False
    require: Literal["stable"] | None = None
    alpha: float | None = None
    junit: Path | None = None


def finish(
    config: "SweepConfig",
    done: "Iterable[Simulated] | None",
    directory: Path,
    source: str,
    request: Request,
    documents: list[Mapping[str, object]],
) -> None:
    """Put the tasks of a run together, write and draw it, check it and print its summary.

    Args:
        config: The config.
        done: All tasks, in any order; None where the directory holds this very run.
        directory: The run directory.
        source: Path of the config, or "-".
        request: The options.
        documents: Takes what `--json` prints of it.

    Raises:
        RunDirectoryError: The directory holds other results.
        WriteError: It cannot be written; or all but its figure is.
        CheckFailed: Something does not hold.
    """
    from heinit_sim import checks, runs, simulation

    start = time.perf_counter()
    up_to_date = done is None
    draws = request.plots and not (up_to_date and runs.has_figure(directory, config))
    if done is None:
        result = replace(runs.read_run(directory, quantiles=draws), config=config)
    else:
        theory = ahead(partial(simulation.theory_beside, config))
        if draws:
            ahead(partial(_load, config.figure.formats))
        result = simulation.collect(config, done, theory=theory)
        engine = "dask" if request.dask else "heinit-sim"
        facts = runs.run_facts(engine, request.jobs, time.perf_counter() - start)
        try:
            runs.write_run(result, directory, figure=None, force=request.force, run=facts)
        except RunDirectoryError:  # unless another process was quicker to write the same
            if request.force or runs.difference(directory, config) is not None:
                raise
            up_to_date = True
        interrupts.hint("")
    runs.TaskFiles(directory, config).discard()
    drawn, failure = _draw(result, directory) if draws else ((), "")
    findings = None
    if request.check:
        stable = request.require == "stable"
        findings = checks.check_all(result, request.alpha or options.ALPHA, stable=stable)
    if request.json_ or not request.quiet:
        _, rows = runs.read_summary(directory)  # as it was written; to judge takes a while
        if request.json_:
            documents.append(console.summary_document(config, rows, directory, findings))
        else:
            console.print_summary(config, rows, directory)
    if not request.quiet:
        console.print_width_slopes(result)
        console.print_fates(result)
        simulated = runs.run_files(config, plots=bool(drawn))
        files = drawn if up_to_date else simulated
        seconds = time.perf_counter() - start
        wrote = f"Wrote {directory} in {seconds:.1f} s: {', '.join(files)}"
        held = f"{directory} is up to date; give --force to simulate it again"
        console.say(wrote if files else held)
    if failure:
        again = f"`heinit-sim plot {directory}` tries again"
        console.say(f"{directory}: holds all results, but no figure: {failure}; {again}")
    if findings is not None:
        table = not (request.json_ or request.quiet)
        try:
            report_findings(config, findings, source, request.junit, table=table)
        except CheckFailed as error:
            if not failure:
                raise
            console.say(*error.lines)
        if not (request.quiet or config.expect or request.require):
            console.say_unstable(result)
    if failure:
        raise WriteError  # it is said already


def _load(formats: "Sequence[FigureFormat]") -> None:
    """Load what draws a figure and writes it, which takes as long as some of the simulation."""
    from heinit_sim import figures  # noqa: F401  # loaded once for all

    for suffix in formats:
        if suffix in ("svg", "pdf"):
            import_module(f"matplotlib.backends.backend_{suffix}")


def _draw(result: "SweepResult", directory: Path) -> tuple[tuple[str, ...], str]:
    """Draw the figure of a run that is written: the files, and the reason if that fails."""
    from heinit_sim import figures, runs  # loads matplotlib, which the rest does without

    try:
        return runs.update_figure(figures.draw(result), directory, result.config), ""
    except Exception as error:  # whatever it is, it must cost no result
        if interrupts.stopped_by():
            raise
        if runs.has_figure(directory, result.config):  # another process drew it meanwhile
            return (), ""
        return (), " ".join(str(error).split()) or type(error).__name__
