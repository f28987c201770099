"""The command `shards`: the script of the jobs that compute a run together."""

from typing import Annotated, Literal

import typer

from heinit_sim.cli import options


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
