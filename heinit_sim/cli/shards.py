"""Commands of runs that several jobs compute: the script that starts them, and the merge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heinit_sim.cli import console, options
from heinit_sim.cli.finish import Request, finish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heinit_sim.reports import TableFormat


def shards(
    count: Annotated[int, typer.Argument(metavar="N", help="Number of shards; each is a job.")],
    scheduler: Annotated[
        Literal["slurm", "kubernetes", "github"],
        typer.Option("--for", help="What starts the jobs."),
    ],
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML file, as the jobs will find it.")
    ] = "config.yaml",
) -> None:
    """Print a job script that computes a run in N shards and says how to merge them.

    What the jobs compute goes into outputs/ and the name of the file, without its suffix.
    """
    with options.errors():
        from heinit_sim import reports

        typer.echo(reports.job_scripts.job_script(scheduler, count, config), nl=False)


def merge(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help="Directories that `run --shard` wrote."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Run directory; default the only DIR, or outputs/<name>."
        ),
    ] = None,
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
    plots: options.PlotsOption = True,
) -> None:
    """Put the shards of a run together, or name the commands that make what is missing.

    The run is the one that a single process would have written, byte for byte on one kind of
    machine. Shards of several configs or versions are refused.
    """
    with options.errors():
        from heinit_sim import runs

        directory = directories[0] if len(directories) == 1 else None
        if directory and out in (None, directory) and runs.is_complete(directory):
            config, rows = runs.read_summary(directory)
            if json_ or not quiet:
                form: TableFormat = "json" if json_ else "table"
                console.print_summary(config, rows, directory, form=form)
            if not quiet:
                console.say(f"{directory} is up to date: it holds no shards, but the whole run")
            return
        parts = runs.Parts(directories)
        config = parts.config
        directory = out or directory or Path("outputs") / config.name
        request = Request(out=out, jobs=1, force=force, quiet=quiet, json_=json_, plots=plots)
        documents: list[Mapping[str, object]] = []
        difference = "" if force else runs.difference(directory, config)
        done = None
        if difference is not None:
            files = runs.run_files(config, plots=plots)
            runs.check_target(directory, files, force=force, difference=difference)
            done = parts.tasks()
        finish(config, done, directory, "-", request, documents)
        for document in documents:
            console.print_document(document)
