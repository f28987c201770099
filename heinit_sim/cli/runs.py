"""Commands on saved runs: `plot` and `show`."""

from pathlib import Path
from typing import Annotated

import typer

from heinit_sim.cli import console, options
from heinit_sim.errors import ConfigError


def _complete_figure(incomplete: str) -> list[str]:
    known = options.complete_override(incomplete)
    return [text for text in known if text.startswith("figure.")]


def plot(
    run_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN_DIR", help="Directories that `run` wrote.")
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="figure.KEY=VALUE",
            help="Draw it otherwise; needs --out.",
            autocompletion=_complete_figure,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: the run directory."),
    ] = None,
) -> None:
    """Redraw the figure of saved runs, without simulating."""
    with options.errors():
        from heinit_sim import figures, runs

        replaced = options.overrides(sets)
        if any(not override.key.startswith("figure.") for override in replaced):
            raise ConfigError(["--set: error: plot takes figure.* only; the rest is simulated"])
        if replaced and out is None:
            raise ConfigError(["--set: error: another figure than the run's own needs --out DIR"])
        if out is not None and len(run_dirs) > 1:
            raise ConfigError(["--out: error: takes one RUN_DIR at a time"])
        for directory in run_dirs:
            figure = figures.draw(runs.read_run(directory, replaced))
            if out is None:
                runs.update_figure(figure, directory)
            else:
                runs.export_figure(figure, out)
            console.say(f"Wrote forward_backward.png, .svg, .pdf in {out or directory}")


def show(run_dir: options.RunArgument, json_: options.JsonOption = False) -> None:
    """Print the summary table of a saved run."""
    with options.errors():
        from heinit_sim import runs

        config, rows = runs.read_summary(run_dir)
        console.print_summary(config, rows, run_dir, json_=json_)
