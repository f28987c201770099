"""Commands that check: a run or a config by itself, and one run against another."""

import math
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heinit_sim.cli import console, options
from heinit_sim.cli.compute import compute
from heinit_sim.errors import CheckFailed, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heinit_sim.experiment.results import Finding
    from heinit_sim.experiment.sweep_config import SweepConfig


def check(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A run directory, a config, or - for stdin.")
    ],
    sets: options.SetOption = None,
    seed: options.SeedOption = None,
    trials: options.TrialsOption = None,
    jobs: options.JobsOption = None,
    require: options.RequireOption = None,
    alpha: options.AlphaOption = None,
    junit: options.JunitOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Check a run, or a config without writing its run; exit 3 if something does not hold.

    On GitHub Actions, failures also become annotations and a step summary.
    """
    with options.errors():
        from heinit_sim import checks, reports, runs, simulation

        if junit is not None:
            runs.check_file(junit, "--junit")
        replaced = options.overrides(sets, seed=seed, trials=trials)
        if target != "-" and Path(target).is_dir():
            if replaced:
                raise ConfigError([f"{replaced[0].flag}: error: {target} is a run, not a config"])
            result = runs.read_run(target, quantiles=False)
            target = str(Path(target) / "config.yaml")
        else:
            config = options.load_config(target, replaced)
            jobs = jobs or simulation.usable_cpus()
            tasks = simulation.task_list(config)
            with closing(compute(config, tasks, tasks, jobs, quiet=False)) as done:
                result = simulation.collect(config, done, quantiles=False)
        stable = require == "stable"
        findings = checks.check_all(result, alpha or options.ALPHA, stable=stable)
        if json_:
            values = reports.findings.finding_values(findings)
            console.print_document({"name": result.config.name, "findings": values})
        report_findings(result.config, findings, target, junit, table=not json_)
        if not result.config.expect and not stable:
            console.say_unstable(result)


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Directory that `run` wrote.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another.")],
    rtol: Annotated[
        float,
        typer.Option(
            "--rtol", metavar="R", help="Up to this relative difference, numbers are the same."
        ),
    ] = 1e-6,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 if anything of a run was left out, too.")
    ] = False,
    json_: options.JsonOption = False,
) -> None:
    """Compare two runs; exit 3 if they differ.

    Runs of one config must agree in every number, up to --rtol. Of runs of two configs the typical
    networks are compared, the means over networks of log10: they differ where chance does not
    explain the difference. Conditions that only one run has are named and left out.
    """
    with options.errors():
        if not 0 <= rtol < math.inf:
            raise ConfigError([f"--rtol: error: {rtol} is not allowed, must be finite, 0 or more"])
        from heinit_sim import reports, runs

        comparison = runs.compare(run_a, run_b, rtol)
        verdict, *facts = reports.comparison.comparison_lines(comparison, rtol)
        if json_:
            console.print_document(reports.comparison.to_comparison_document(comparison))
        else:
            if comparison.rows:
                console.print_table(reports.comparison.to_comparison_table(comparison))
            console.tell(*[verdict] * comparison.held, *facts)
        if not comparison.held:
            raise CheckFailed(f"compare: {verdict}")
        if strict and comparison.left_out:
            raise CheckFailed(f"compare: left out: {'; '.join(comparison.left_out)}")


def report_findings(
    config: "SweepConfig",
    findings: "Sequence[Finding]",
    source: str,
    junit: Path | None,
    *,
    table: bool,
) -> None:
    """Say what held and what did not, to whoever is to know it; GitHub last, for it may refuse.

    Args:
        config: What was checked.
        findings: Each thing that was.
        source: Path of the config, or "-".
        junit: A file for JUnit XML, if any.
        table: Print a table; else only what failed, on stderr.

    Raises:
        CheckFailed: Something did not hold.
        WriteError: The file cannot be written.
    """
    from heinit_sim import checks, reports, runs

    failed = checks.failed(findings)
    summary = reports.findings.summary(findings)
    if table:
        untested = [f"not tested: {f.reason}" for f in findings if not f.tested]
        console.tell(f"{config.name}: {summary}", *untested)
        if failed or 0 < len(findings) <= reports.findings.LISTED:
            console.print_table(reports.findings.to_table(findings))
    if junit is not None:
        runs.put_text(junit, reports.findings.to_junit(findings, config.name), "--junit")
    github = os.environ.get("GITHUB_ACTIONS") == "true"
    if github:
        file = None if source == "-" else _from_root(Path(source))
        if failed:
            typer.echo(reports.findings.to_annotations(findings, file), nl=False, err=not table)
        _add_step_summary(reports.findings.to_markdown(findings, config.name))
    if failed:
        told = table or github
        lines = [] if told else [f"FAILED {finding.name}: {finding.reason}" for finding in failed]
        raise CheckFailed(*lines, f"check: {summary}")


def _from_root(path: Path) -> str:
    """A path as GitHub knows it, from the root of the repository, if it is inside."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
    path = path.resolve() if path.resolve().is_relative_to(root) else path
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _add_step_summary(text: str) -> None:
    """Append to the step summary, if any; that it cannot be written is no answer to a check."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        console.say(f"GITHUB_STEP_SUMMARY: warning: {path} not written ({reason})")
