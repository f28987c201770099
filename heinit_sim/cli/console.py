"""Output that commands share: messages on stderr; tables, summaries, plans, JSON on stdout."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from heinit_sim.experiment.labels import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from heinit_sim.experiment.results import Finding, SweepResult
    from heinit_sim.experiment.shard import Shard
    from heinit_sim.experiment.sweep_config import SweepConfig
    from heinit_sim.reports import Row, TableFormat
    from heinit_sim.simulation import Task


SCHEMA_VERSION = 1
"""Version of what `--json` prints; it grows when a field changes its name, type or meaning."""
_WORTH_TELLING = 2.0  # times that another engine would be shorter
_PIPED = 200  # columns through a pipe that names no other number
_FOLDED = 8  # the narrowest that a column may get that wraps
_UNBOUNDED = 100_000
_NOTES = 10  # the most that are shown


def say(*lines: str) -> None:
    """Write lines to stderr, if anybody can read it; see `tell`."""
    with contextlib.suppress(OSError):
        for line in lines:
            typer.echo(_harmless(line), err=True)


def tell(*lines: str) -> None:
    """Write lines to stdout; what would break one, or would be a command to CI, is escaped."""
    for line in lines:
        typer.echo(_harmless(line))


def _harmless(line: str) -> str:
    """A line that neither a terminal nor the log of GitHub Actions takes for a command.

    Source: `ActionCommand` of github.com/actions/runner: "::" first, or "##[" anywhere.
    """
    start = len(line) - len(line.lstrip())
    if line.startswith("::", start):
        line = f"{line[:start]}\\x3a{line[start + 1 :]}"
    return printable(line).replace("##[", "\\x23#[")


def print_summary(
    config: SweepConfig, rows: Sequence[Row], directory: Path, *, form: TableFormat = "table"
) -> None:
    """Print the summary of a run, with what there is to note."""
    from heinit_sim import reports

    width = columns(piped=80) if form == "table" else 80
    document = summary_document(config, rows, directory)
    print_report(form, lambda: [reports.to_summary_table(config, rows, width)], rows, document)
    if form != "json":
        say(*_few(reports.notes(config, rows)))


def summary_document(
    config: SweepConfig,
    rows: Sequence[Row],
    directory: Path,
    findings: Sequence[Finding] | None = None,
) -> dict[str, object]:
    """The summary of a run for JSON, with what was checked."""
    from heinit_sim import reports

    document = {
        "directory": str(directory),
        "name": config.name,
        "seed": config.seed,
        "sweep": {path: list(values) for path, values in config.sweep.items()},
        "summary": reports.to_json_values(rows),
        "notes": reports.notes(config, rows),
    }
    if findings is not None:
        document["findings"] = reports.findings.finding_values(findings)
    return document


def print_report(
    form: TableFormat,
    tables: Callable[[], Sequence[Table]],
    rows: Sequence[Row],
    document: Mapping[str, object],
) -> None:
    """Print what a command found.

    Args:
        form: As what.
        tables: Makes the tables of it.
        rows: The same as rows of CSV.
        document: The same for JSON.
    """
    from heinit_sim import reports

    if form == "json":
        print_document(document)
    elif form == "csv":
        keys = dict.fromkeys(key for row in rows for key in row)  # which some rows may lack
        aligned = [{key: row.get(key, math.nan) for key in keys} for row in rows]
        tell(*reports.to_csv(aligned).splitlines())
    elif form == "table":
        for table in tables():
            print_table(table)
    else:
        text = {"markdown": reports.to_markdown, "latex": reports.to_latex}[form](tables())
        tell(*text.splitlines())


def print_fates(result: SweepResult) -> None:
    """Say on stderr which networks died or left float range on the way."""
    from heinit_sim import checks

    lines = []
    for condition_result in result.conditions:
        label = condition_result.condition.label
        about = f"{label}: " if label else ""
        lines += [f"{about}{fate.text}" for fate in checks.fates(condition_result)]
    say(*_few(lines))


def print_width_slopes(result: SweepResult) -> None:
    """Say on stderr how the outputs grow with the width, and what a step of training changes."""
    from heinit_sim import reports

    say(*_few(reports.width_notes(result)))


def _few(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = [f"… and {len(lines) - _NOTES} more"] if len(lines) > _NOTES else []
    return [*lines[:_NOTES], *more]


def say_unstable(result: SweepResult) -> None:
    """Say in one line on stderr what of a result is not stable, and how to be held to that."""
    from heinit_sim import checks

    if names := checks.unstable(result):
        hint = "`expect:` in the config or --require stable decide whether that is a failure"
        say(f"{result.config.name}: not stable: {names}; {hint}")


def plan_document(
    config: SweepConfig,
    directory: Path,
    jobs: int | None,
    *,
    tasks: Sequence[Task],
    left: Sequence[Task],
    workers: str,
    keeps: bool,
    shard: Shard | None,
    files: Sequence[str],
    refusal: str = "",
    up_to_date: bool = False,
    alpha: float | None = None,
    junit: Path | None = None,
) -> dict[str, Any]:
    """What `run` would do, for JSON; what is in the directory is described.

    Args:
        config: The config.
        directory: The run directory.
        jobs: How many `workers` there would be; None where a cluster tells.
        tasks: All that it would simulate.
        left: Those of them that are not done yet.
        workers: "threads", "processes", or whose they are.
        keeps: Whether it would keep those that are done.
        shard: The part of the run that they are, if any.
        files: What it would write.
        refusal: Why it would do nothing.
        up_to_date: Whether it would not simulate, but maybe draw.
        alpha: At which level it would check, if it would.
        junit: Where it would write JUnit XML.
    """
    from heinit_sim import runs, simulation

    present = runs.description(directory)
    needs = None if up_to_date else simulation.estimate(config, jobs or 1, left)
    return {
        "name": config.name,
        "conditions": [dict(condition.swept) for condition in config.conditions],
        "trials": config.trials,
        "passes": needs.passes if needs else 0,
        "tasks": 0 if up_to_date else len(tasks),
        "kept_tasks": len(tasks) - len(left) if keeps and not up_to_date else None,
        "shard": None if shard is None else str(shard),
        "jobs": jobs,
        "workers": workers,
        "estimated_seconds": needs.seconds if needs else 0.0,
        "estimated_peak_bytes": needs.peak_bytes if needs else 0,
        "kept_bytes": dict(needs.kept) if needs else {},
        "conditional_gain": simulation.gain_without_weights(config, jobs or 1) if needs else None,
        "directory": str(directory),
        "present": present and present._asdict(),
        "refusal": refusal or None,
        "files": [] if refusal else list(files),
        "up_to_date": up_to_date,
        "check": alpha is not None,
        "alpha": alpha,
        "junit": None if junit is None else str(junit),
    }


def print_plan(config: SweepConfig, plan: Mapping[str, Any]) -> None:
    """Print a `plan_document` in words."""
    from heinit_sim import runs

    directory, jobs = plan["directory"], plan["jobs"]
    lines = [f"{config.name}: {plan_size(config)}"]
    lines += [f"  {c.index}: {c.label or 'as configured'}" for c in config.conditions]
    if plan["present"]:
        present = runs.Description(**plan["present"])
        lines += [f"{directory} holds {text}" for text in present.lines()]
    if plan["up_to_date"]:
        lines.append(f"{directory} is up to date" + ", but for its figure" * bool(plan["files"]))
    else:
        if plan["kept_tasks"] is not None:
            part = f"shard {plan['shard']}: " if plan["shard"] else ""
            done = f", {plan['kept_tasks']} of them done" * bool(plan["kept_tasks"])
            plural = "s" * (plan["tasks"] != 1)
            lines.append(f"{part}{plan['tasks']} task{plural}{done}; each is kept once it is done")
        workers = f"{jobs or 'the'} {plan['workers']}"
        if jobs == 1:
            workers = workers.replace("threads", "thread").replace("workers", "worker")
        time = f"{plan['estimated_seconds']:.1f} s" + " of one thread" * (jobs is None)
        mebibytes = plan["estimated_peak_bytes"] / 2**20
        lines.append(f"{plan['passes']} forward and backward passes on {workers}")
        lines.append(
            f"about {time} and {mebibytes:.0f} MiB" + ", before plots" * (not plan["shard"])
        )
        kept = ", ".join(f"{word} {size / 2**20:.1f}" for word, size in plan["kept_bytes"].items())
        lines.append(f"MiB that steps keep for the way back: {kept or 'none'}")
        if advice := engine_advice(config, plan["conditional_gain"]):
            lines.append(advice)
    if plan["files"]:
        lines.append(f"would write {directory}: {', '.join(plan['files'])}")
    if plan["check"]:
        lines.append(f"would check it (alpha {plan['alpha']:g})")
    if plan["junit"]:
        lines.append(f"would write {plan['junit']}: JUnit XML")
    tell(*lines)


def engine_advice(config: SweepConfig, conditional_gain: float | None) -> str:
    """Which engine would take far less time than the config's; empty if none would."""
    if conditional_gain is None:
        return ""
    here = config.engine == "conditional"
    other, gain = ("weights", 1 / conditional_gain) if here else ("conditional", conditional_gain)
    if gain < _WORTH_TELLING:
        return ""
    share = f"about 1/{gain:.0f} of the time"
    return f"--set engine={other} would take {share}: the same law, other draws"


def plan_size(config: SweepConfig) -> str:
    """How much there is to simulate."""
    conditions, trials = len(config.conditions), config.trials
    networks = f"{trials} network{'s' * (trials != 1)}"
    return f"{conditions} condition{'s' * (conditions != 1)} × {networks}"


def print_document(document: Mapping[str, object]) -> None:
    """Print the one JSON document of a command, with the version of its schema."""
    print_json({"schema_version": SCHEMA_VERSION, **document})


def print_json(document: object) -> None:
    """Print one JSON document; what a terminal or CI would take for a command is escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    escaped = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    typer.echo(escaped.replace("##[", "\\u0023#["))


def columns(piped: int = _PIPED) -> int:
    """The width of a terminal, or COLUMNS; `piped` through a pipe that names no other number."""
    asked = os.environ.get("COLUMNS", "").isdecimal()
    return _console().width if sys.stdout.isatty() or asked else piped


def print_table(table: Table) -> None:
    """Print a table; through a pipe as plain text, in COLUMNS, else as wide as it needs to be."""
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
    width = columns()
    for padding in (table.padding, (0, 1, 0, 0), 0):  # rather than fold within a word
        table.padding = padding
        if _least_width(table, whole_words=True) <= width:
            break
    for column in table.columns:
        column.overflow = "fold"  # never an ellipsis
    console = _console(
        file=StringIO(),
        width=max(width, _least_width(table)),
        force_terminal=not plain,
        color_system=None if plain else "auto",
    )
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    tell(*lines) if plain else typer.echo("\n".join(lines))


def _console(**options: Any) -> Console:
    """A console of Rich that takes no text for markup, nor any part of it for an emoji."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)


def _least_width(table: Table, *, whole_words: bool = False) -> int:
    """The width below which a number would be cut; columns that may wrap fold to `_FOLDED`.

    With `whole_words` not to less than their longest word.
    """
    console = _console(file=StringIO(), width=_UNBOUNDED)
    width = console.measure(table).maximum
    for column in table.columns:
        if not column.no_wrap:
            measures = [console.measure(cell) for cell in (column.header, *column.cells)]
            longest_word = max(measure.minimum for measure in measures) if whole_words else 0
            widest = max(measure.maximum for measure in measures)
            width -= max(widest - max(_FOLDED, longest_word), 0)
    return width
