"""Commands on saved runs: `plot`, `page` and `show`."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from heinit_sim.cli import console, options
from heinit_sim.errors import ConfigError

Writer = Callable[[Path], tuple[str, ...]]


def _complete_figure(incomplete: str) -> list[str]:
    known = options.complete_override(incomplete)
    return [text for text in known if text.startswith("figure.")]


def _complete_formats(incomplete: str) -> list[str]:
    known = options.complete_override(f"figure.formats={incomplete}")
    values = [text.partition("=")[2] for text in known]
    return values + ["pptx"] * "pptx".startswith(incomplete)


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
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="A,B",
            help="png, svg, pdf or tex (pgfplots), as --set figure.formats=A,B; pptx, of which the "
            "config says nothing.",
            autocompletion=_complete_formats,
        ),
    ] = None,
    builds: Annotated[
        bool,
        typer.Option(
            "--builds",
            help="Step by step instead: the axes, one condition after the other, theory, bands.",
        ),
    ] = False,
    gif: Annotated[
        bool,
        typer.Option("--gif", help="In motion instead: both passes layer by layer, as a GIF."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where to write, each of several runs into a folder; default: the run directory.",
        ),
    ] = None,
) -> None:
    """Redraw the figure of saved runs, without simulating."""
    with options.errors():
        from heinit_sim import figures, runs
        from heinit_sim.config import Override

        replaced = options.overrides(sets)
        if any(not override.key.startswith("figure.") for override in replaced):
            raise ConfigError(["--set: error: plot takes figure.* only; the rest is simulated"])
        same = {"figure.formats", *(["figure.order"] if builds else [])}
        if out is None and any(override.key not in same for override in replaced):
            raise ConfigError(["--set: error: another figure than the run's own needs --out DIR"])
        asked = [text.strip() for text in formats.split(",")] if formats else []
        plain = [text for text in asked if text != "pptx"]
        if slides := plain != asked:
            runs.require_slides()
        if plain:
            replaced.append(Override("--format", "figure.formats", ",".join(plain)))
        pictures = bool(plain) or not (slides or (gif and not builds))
        folders = [directory.resolve().name for directory in run_dirs]
        twice = [name for name in folders if folders.count(name) > 1]
        if out is not None and twice:
            raise ConfigError([f"--out: error: several runs are called {twice[0]}; give one each"])
        for directory, folder in zip(run_dirs, folders, strict=True):
            result = runs.read_run(directory, replaced)
            target = directory if out is None else out / folder if len(run_dirs) > 1 else out
            others: list[Writer] = []
            if pictures and builds:
                if "tex" in result.config.figure.formats:
                    must = "must be png, svg, pdf or pptx"
                    raise ConfigError([f"--builds: error: no steps in LaTeX (tex), {must}"])
                figure = figures.draw(result)
                steps = figures.build_steps(figure, result)
                others.append(
                    partial(runs.write_builds, figure, steps, config=result.config.figure)
                )
            if slides:
                figure = figures.draw(figures.on_slide(result))
                steps = figures.build_steps(figure, result)
                shown = steps if builds else steps[-1:]
                others.append(partial(runs.write_slides, figure, shown, command=_command()))
            if gif:
                others.append(partial(runs.write_gif, figures.draw_motion(result)))
            names: tuple[str, ...] = ()
            if pictures and not builds:
                figure = figures.draw(result)
                if out is None:
                    names += runs.update_figure(figure, target, result.config)
                else:
                    write = partial(runs.write_figure, figure, config=result.config.figure)
                    others.insert(0, write)
            if others:
                put = runs.add_figures if out is None else runs.export
                names += put(target, partial(_write_all, others))
            console.say(f"Wrote {', '.join(names)} in {target}")


def _write_all(writers: Sequence[Writer], directory: Path) -> tuple[str, ...]:
    """Write all of some files into a directory, and return their names."""
    return tuple(name for write in writers for name in write(directory))


def _command() -> str:
    """Return what was typed, to be pasted."""
    words = ["heinit-sim", *sys.argv[1:]]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def page(
    run_dir: options.RunArgument,
    fragment: Annotated[
        bool,
        typer.Option("--fragment", help="One <figure> instead, to paste into a page of yours."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write; default: <name>.html."),
    ] = None,
) -> None:
    """Write a saved run as one HTML file, with a slider for the variance of the weights.

    It needs no network. Where the scale law holds, the run's own networks are exact at every
    variance; elsewhere the slider stops at the variances that were simulated.
    """
    with options.errors():
        from heinit_sim import reports, runs

        result = runs.read_run(run_dir, quantiles=False)
        path = out or Path(f"{result.config.name}.html")
        runs.check_page(path)
        text = reports.page.to_fragment(result) if fragment else reports.page.to_page(result)
        runs.put_text(path, text, "--out")
        console.say(f"Wrote {path}, {len(text.encode()) / 1000:.0f} kB")


def show(
    run_dir: options.RunArgument,
    form: options.FormatOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Print the summary table of a saved run."""
    with options.errors():
        asked = options.table_format(form, json_=json_)
        from heinit_sim import runs

        config, rows = runs.read_summary(run_dir)
        console.print_summary(config, rows, run_dir, form=asked)
