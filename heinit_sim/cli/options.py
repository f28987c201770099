"""Arguments that commands share, and the one place where errors become exit codes."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from heinit_sim.cli import console, interrupts
from heinit_sim.errors import ConfigError, HeinitSimError

if TYPE_CHECKING:
    from heinit_sim.config import Overrides
    from heinit_sim.experiment.sweep_config import SweepConfig
    from heinit_sim.reports import TableFormat

ALPHA = 1e-3
"""Default of `--alpha`."""
FAILURES = (HeinitSimError, OSError, MemoryError)
"""Errors that are told in one line each; any other is a mistake of the program."""


def probability(value: float | None) -> float | None:
    """Refuse a number that is no probability between 0 and 1."""
    if value is not None and not 0 < value < 1:
        raise typer.BadParameter(f"{value:g} is not allowed, must be above 0 and below 1")
    return value


def complete_override(incomplete: str) -> list[str]:
    """The keys, and of some the values, that an override may go on with."""
    from heinit_sim.config import completions

    return completions(incomplete)


ConfigArgument = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="YAML file, manifest.json of a run, or - for stdin."),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Directory that `run` wrote.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value; KEY=A,B,C sweeps it.",
        autocompletion=complete_override,
    ),
]
SeedOption = Annotated[str | None, typer.Option("--seed", metavar="N", help="Replace the seed.")]
TrialsOption = Annotated[
    str | None, typer.Option("--trials", metavar="N", help="Replace the number of networks.")
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "-j", "--jobs", min=1, metavar="N", help="Threads or processes; default: as many as CPUs."
    ),
]
AlphaOption = Annotated[
    float | None,
    typer.Option(
        "--alpha",
        metavar="A",
        help=f"How often a correct simulation may fail by chance; default: {ALPHA:g}.",
        callback=probability,
    ),
]
JunitOption = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", help="Write what was checked as JUnit XML."),
]
RequireOption = Annotated[
    Literal["stable"] | None,
    typer.Option("--require", help="Exit 3 unless both passes of every condition are stable."),
]
ForceOption = Annotated[
    bool, typer.Option("-f", "--force", help="Replace the results in the run directory.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
PlotsOption = Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the figure.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
FormatOption = Annotated[
    Literal["table", "markdown", "latex", "csv", "json"] | None,
    typer.Option("--format", help="What to print the table as; LaTeX is for booktabs."),
]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Short for --format markdown.")]


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """The one place where known errors become one line each and an exit code."""
    try:
        yield
        sys.stdout.flush()
    except FAILURES as error:
        raise typer.Exit(say_error(error)) from None
    except BaseException:
        if number := interrupts.stopped_by():  # also where a library made another exception of it
            raise SystemExit(128 + number) from None
        raise


def say_error(error: HeinitSimError | OSError | MemoryError, of: str = "") -> int:
    """Say what is wrong, and where a run failed what is kept of it; return the exit code.

    Args:
        error: What is wrong.
        of: Comes before each line, to tell of which of several configs it is.
    """
    if isinstance(error, HeinitSimError):
        lines, code = error.lines, error.exit_code
    elif isinstance(error, MemoryError):
        lines, code = ("heinit-sim: out of memory; --dry-run estimates what a run takes",), 1
    else:
        lines, code = (f"heinit-sim: {error}",), 1
    if lines:  # else it was said before
        lines = (*lines[:-1], interrupts.with_hint(lines[-1]) if code == 1 else lines[-1])
    console.say(*(f"{of}{line}" for line in lines))
    return code


@contextlib.contextmanager
def refusals_of(command: str) -> Iterator[None]:
    """Put the command's name before each problem that the library finds in a config.

    Raises:
        ConfigError: The library raised it.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError([f"{command}: {problem}" for problem in error.problems]) from None


def load_config(source: str, replaced: "Overrides", *, quiet: bool = False) -> "SweepConfig":
    """Read a config, and say so where it is of a manifest that other versions wrote.

    Raises:
        ConfigError: See `config.load_config`.
    """
    from heinit_sim.config import load_config

    config = load_config(source, replaced)
    if config.made_by and not quiet:
        place = "<stdin>" if source == "-" else source
        console.say(f"{place}: made by {config.made_by}; bits may differ")
    return config


def check_look(config: "SweepConfig") -> None:
    """Refuse a look of the figure that matplotlib, which is loaded if need be, cannot draw.

    Raises:
        ConfigError: See `figures.check_look`.
    """
    look = config.figure
    if any((look.colors, look.style, look.font, look.title, look.labels)):
        from heinit_sim import figures

        figures.check_look(look)


def refuse(given: object, option: str, why: str) -> None:
    """Refuse an option that would do nothing.

    Raises:
        ConfigError: It is given.
    """
    if given not in (None, False):
        raise ConfigError([f"{option}: error: {why}"])


def table_format(
    form: "TableFormat | None", *, json_: bool, markdown: bool = False
) -> "TableFormat":
    """The one format that is asked for.

    Raises:
        ConfigError: Several are.
    """
    short: dict[str, TableFormat | None] = {
        "--json": "json" if json_ else None,
        "--markdown": "markdown" if markdown else None,
        "--format": form,
    }
    given = {flag: asked for flag, asked in short.items() if asked}
    if len(given) > 1:
        first, second, *_ = given
        raise ConfigError([f"{second}: error: given beside {first}; give one of the two"])
    return next(iter(given.values()), "table")


def overrides(sets: Sequence[str] | None, **flags: str | None) -> list[Any]:
    """Replacements in a config by `--set` and the short options, in this order."""
    from heinit_sim.config import Override, parse_override

    short = [Override(f"--{key}", key, text) for key, text in flags.items() if text is not None]
    return [parse_override("--set", text) for text in sets or ()] + short
