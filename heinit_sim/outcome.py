"""What a check found, told to whoever is to know it: the user, a JUnit file, GitHub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from heinit_sim.errors import CheckFailed
from heinit_sim.terminal import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heinit_sim.records import Finding, SweepConfig


def print_findings(config: SweepConfig, findings: Sequence[Finding]) -> None:
    """Print what was checked as one JSON document."""
    from heinit_sim import reports

    print_json({"name": config.name, "findings": reports.to_json_values(findings)})


def report(
    config: SweepConfig, findings: Sequence[Finding], junit: Path | None, *, table: bool
) -> None:
    """Say what held and what did not, to whoever is to know it; GitHub last, for it may refuse.

    Args:
        config: What was checked.
        findings: Each thing that was.
        junit: A file for JUnit XML, if any.
        table: Print a table; else only what failed, on stderr.

    Raises:
        CheckFailed: Something did not hold.
        WriteError: The file cannot be written.
    """
    from heinit_sim import placement, reports

    failed = reports.failed(findings)
    if table:
        typer.echo(f"{config.name}: {reports.summary(findings)}")
        if failed or 0 < len(findings) <= reports.LISTED:
            print_table(reports.to_table(findings))
    if junit is not None:
        placement.put_text(junit, reports.to_junit(findings, config.name), "--junit")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        if failed:
            typer.echo(reports.to_annotations(findings), nl=False, err=not table)
        _add_step_summary(reports.to_markdown(findings, config.name))
    if failed:
        lines = [] if table else [f"FAILED {finding.name}: {finding.reason}" for finding in failed]
        raise CheckFailed("\n".join([*lines, f"check: {reports.summary(findings)}"]))


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
        typer.echo(f"GITHUB_STEP_SUMMARY: warning: {path} not written ({reason})", err=True)
