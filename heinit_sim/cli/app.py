"""The application: its commands, in the order of `--help`.

Commands import what they call inside their bodies: `--help` loads neither NumPy nor matplotlib.
"""

from typing import Annotated

import typer

from heinit_sim.cli import check, config, run, runs, theory

app = typer.Typer(
    help="Simulate weight initialisation: forward and backward variance of deep networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for _command in (
    *(run.run, runs.plot, runs.show),
    *(theory.theory, check.check, check.compare, theory.verify, theory.gains),
    *(config.validate, config.schema, config.init),
):
    app.command()(_command)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"heinit-sim {installed('heinit-sim')}")
        raise typer.Exit
