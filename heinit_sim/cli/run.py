"""Commands that simulate, show and check: arguments in, one library call per stage, Rich out.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from heinit_sim.cli import console
from heinit_sim.cli.check import report_findings
from heinit_sim.cli.options import (
    ALPHA,
    AlphaOption,
    ConfigArgument,
    JobsOption,
    JsonOption,
    JunitOption,
    SeedOption,
    SetOption,
    TrialsOption,
    errors,
    overrides,
    refuse,
)


def run(
    config: ConfigArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run directory; default outputs/<name>."),
    ] = None,
    sets: SetOption = None,
    seed: SeedOption = None,
    trials: TrialsOption = None,
    jobs: JobsOption = None,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace the results in the run directory.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done and what it takes.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
    json_: JsonOption = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the figure.")] = True,
    check: Annotated[
        bool, typer.Option("--check", help="Then check it; exit 3 if something does not hold.")
    ] = False,
    alpha: AlphaOption = None,
    junit: JunitOption = None,
) -> None:
    """Simulate a config, print its summary and write its run."""
    with errors():
        if not check:
            refuse(junit, "--junit", "there is nothing to write without --check")
            refuse(alpha, "--alpha", "there is nothing to check without --check")
        from heinit_sim.config.load import load_config

        sweep_config = load_config(config, overrides(sets, seed=seed, trials=trials))
        directory = out or Path("outputs") / sweep_config.name

        from heinit_sim.checks import findings as checks_findings
        from heinit_sim.figures.draw import draw
        from heinit_sim.reports import run as reports_run
        from heinit_sim.runs import atomic_write, manifest
        from heinit_sim.runs import directory as runs_directory
        from heinit_sim.simulation import sweep

        if junit is not None:
            atomic_write.check_file(junit, "--junit", directory)
        runs_directory.check_target(directory, sweep_config, force=force)
        jobs = jobs or sweep.usable_cpus()
        if dry_run:
            console.print_plan(
                *(sweep_config, directory, jobs),
                plots=plots,
                json_=json_,
                alpha=(alpha or ALPHA) if check else None,
                junit=junit,
            )
            return
        start = time.perf_counter()
        result = console.simulate(sweep_config, jobs, quiet=quiet)
        facts = manifest.run_facts(jobs, time.perf_counter() - start)
        figure = draw(result) if plots else None
        runs_directory.write_run(result, directory, figure=figure, force=force, run=facts)
        rows = reports_run.summary_rows(result)
        findings = checks_findings.find(result, alpha or ALPHA) if check else None
        if json_ or not quiet:
            console.print_summary(sweep_config, rows, directory, json_=json_, findings=findings)
        if not quiet:
            console.print_fates(result)
            seconds = time.perf_counter() - start
            names = ", ".join(runs_directory.run_files(sweep_config, plots=plots))
            typer.echo(f"Wrote {directory} in {seconds:.1f} s: {names}", err=True)
        if findings is not None:
            report_findings(sweep_config, findings, junit, table=not (json_ or quiet))
