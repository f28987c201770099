"""The command `run`: a config in, its run directory out."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heinit_sim.cli import console, interrupts, options
from heinit_sim.cli.check import report_findings
from heinit_sim.errors import RunDirectoryError

if TYPE_CHECKING:
    from heinit_sim.experiment.results import SweepResult
    from heinit_sim.reports import TableFormat


def run(
    config: options.ConfigArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run directory; default outputs/<name>."),
    ] = None,
    sets: options.SetOption = None,
    seed: options.SeedOption = None,
    trials: options.TrialsOption = None,
    jobs: options.JobsOption = None,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace the results in the run directory.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done and what it takes.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
    json_: options.JsonOption = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the figure.")] = True,
    check: Annotated[
        bool, typer.Option("--check", help="Then check it; exit 3 if something does not hold.")
    ] = False,
    require: options.RequireOption = None,
    alpha: options.AlphaOption = None,
    junit: options.JunitOption = None,
) -> None:
    """Simulate a config, print its summary and write its run.

    A directory that holds this very run is up to date: it is read, and nothing is written but a
    figure that it lacks.
    """
    with options.errors():
        if not check:
            options.refuse(junit, "--junit", "there is nothing to write without --check")
            options.refuse(alpha, "--alpha", "there is nothing to check without --check")
            options.refuse(require, "--require", "there is nothing to check without --check")
        replaced = options.overrides(sets, seed=seed, trials=trials)
        sweep_config = options.load_config(config, replaced, quiet=quiet)
        if plots:
            options.check_look(sweep_config)
        directory = out or Path("outputs") / sweep_config.name

        from heinit_sim import checks, reports, runs, simulation

        if junit is not None:
            runs.check_file(junit, "--junit", directory)
        difference = "" if force else runs.difference(directory, sweep_config)
        up_to_date = difference is None
        draws = plots and not (up_to_date and runs.has_figure(directory, sweep_config))
        files = runs.redrawn_files(directory, sweep_config) if up_to_date and draws else ()
        refusal = None
        if not up_to_date:
            files = runs.run_files(sweep_config, plots=plots)
            try:
                runs.check_target(directory, files, force=force, difference=difference or "")
            except RunDirectoryError as error:
                if not dry_run:
                    raise
                refusal = error
        jobs = jobs or simulation.usable_cpus()
        if dry_run:
            console.print_plan(
                *(sweep_config, directory, jobs),
                json_=json_,
                up_to_date=up_to_date,
                files=files,
                refusal=str(refusal or ""),
                alpha=(alpha or options.ALPHA) if check else None,
                junit=junit,
            )
            if refusal:
                raise refusal
            return
        if not (up_to_date or force):
            simulation.require_memory(sweep_config, jobs)
        start = time.perf_counter()
        if up_to_date:
            result = replace(runs.read_run(directory, quantiles=draws), config=sweep_config)
        else:
            result = console.simulate(sweep_config, jobs, quiet=quiet)
            facts = runs.run_facts(jobs, time.perf_counter() - start)
            try:
                runs.write_run(result, directory, figure=None, force=force, run=facts)
            except RunDirectoryError:  # unless another process was quicker to write the same
                if force or runs.difference(directory, sweep_config) is not None:
                    raise
                up_to_date = True
        drawn, failure = _draw(result, directory) if draws else ((), "")
        findings = None
        if check:
            stable = require == "stable"
            findings = checks.check_all(result, alpha or options.ALPHA, stable=stable)
        if json_ or not quiet:
            rows = reports.summary_rows(result)
            form: TableFormat = "json" if json_ else "table"
            console.print_summary(sweep_config, rows, directory, form=form, findings=findings)
        if not quiet:
            console.print_fates(result)
            simulated = runs.run_files(sweep_config, plots=bool(drawn))
            files = drawn if up_to_date else simulated
            seconds = time.perf_counter() - start
            wrote = f"Wrote {directory} in {seconds:.1f} s: {', '.join(files)}"
            held = f"{directory} is up to date; give --force to simulate it again"
            console.say(wrote if files else held)
        if failure:
            again = f"`heinit-sim plot {directory}` tries again"
            console.say(f"{directory}: holds all results, but no figure: {failure}; {again}")
        if findings is not None:
            report_findings(sweep_config, findings, config, junit, table=not (json_ or quiet))
            if not (quiet or sweep_config.expect or require):
                console.say_unstable(result)
        if failure:
            raise typer.Exit(1)


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
