"""Commands that simulate, show and check: arguments in, one library call per stage, Rich out.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from heinit_sim import outcome, terminal
from heinit_sim.errors import ConfigError
from heinit_sim.shell import (
    ALPHA,
    AlphaOption,
    ConfigArgument,
    JobsOption,
    JsonOption,
    JunitOption,
    RunArgument,
    SeedOption,
    SetOption,
    TrialsOption,
    app,
    errors,
    overrides,
    refuse,
)


@app.command()
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
        from heinit_sim.config import load_config

        sweep_config = load_config(config, overrides(sets, seed=seed, trials=trials))
        directory = out or Path("outputs") / sweep_config.name

        from heinit_sim import manifest, outputs, placement, reports, sweep, tables
        from heinit_sim.figures import draw

        if junit is not None:
            placement.check_file(junit, "--junit", directory)
        outputs.check_target(directory, sweep_config, force=force)
        jobs = jobs or sweep.usable_cpus()
        if dry_run:
            terminal.print_plan(
                *(sweep_config, directory, jobs),
                plots=plots,
                json_=json_,
                alpha=(alpha or ALPHA) if check else None,
                junit=junit,
            )
            return
        start = time.perf_counter()
        result = terminal.simulate(sweep_config, jobs, quiet=quiet)
        facts = manifest.run_facts(jobs, time.perf_counter() - start)
        figure = draw(result) if plots else None
        outputs.write_run(result, directory, figure=figure, force=force, run=facts)
        rows = tables.summary_rows(result)
        findings = reports.find(result, alpha or ALPHA) if check else None
        if json_ or not quiet:
            terminal.print_summary(sweep_config, rows, directory, json_=json_, findings=findings)
        if not quiet:
            terminal.print_fates(result)
            seconds = time.perf_counter() - start
            names = ", ".join(outputs.run_files(sweep_config, plots=plots))
            typer.echo(f"Wrote {directory} in {seconds:.1f} s: {names}", err=True)
        if findings is not None:
            outcome.report(sweep_config, findings, junit, table=not (json_ or quiet))


@app.command()
def plot(
    run_dirs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_DIR", help="Directories that `run` wrote."),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="figure.KEY=VALUE", help="Draw it otherwise; needs --out."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: the run directory."),
    ] = None,
) -> None:
    """Redraw the figure of saved runs, without simulating."""
    with errors():
        from heinit_sim import exports, outputs
        from heinit_sim.figures import draw

        replaced = overrides(sets)
        if any(not override.key.startswith("figure.") for override in replaced):
            raise ConfigError(["--set: error: plot takes figure.* only; the rest is simulated"])
        if replaced and out is None:
            raise ConfigError(["--set: error: another figure than the run's own needs --out DIR"])
        if out is not None and len(run_dirs) > 1:
            raise ConfigError(["--out: error: takes one RUN_DIR at a time"])
        for directory in run_dirs:
            figure = draw(outputs.read_run(directory, replaced))
            if out is None:
                outputs.update_figure(figure, directory)
            else:
                exports.export_figure(figure, out)
            typer.echo(f"Wrote forward_backward.png, .svg, .pdf in {out or directory}", err=True)


@app.command()
def show(run_dir: RunArgument, json_: JsonOption = False) -> None:
    """Print the summary table of a saved run."""
    with errors():
        from heinit_sim import outputs

        config, rows = outputs.read_summary(run_dir)
        terminal.print_summary(config, rows, run_dir, json_=json_)


@app.command()
def validate(
    config: ConfigArgument,
    sets: SetOption = None,
    seed: SeedOption = None,
    trials: TrialsOption = None,
) -> None:
    """Check a config; say what is wrong with it, all at once."""
    with errors():
        from heinit_sim.config import load_config

        found = load_config(config, overrides(sets, seed=seed, trials=trials))
        typer.echo(f"{'<stdin>' if config == '-' else config}: valid: {terminal.plan_size(found)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of configs."""
    with errors():
        from heinit_sim.config import config_schema

        terminal.print_json(config_schema())


@app.command()
def init(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A config of the gallery.")
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace NAME.yaml.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the gallery.")] = False,
) -> None:
    """Write a starter config from the gallery.

    NAME.yaml in this directory; without a name, figure_7_4.yaml.
    """
    with errors():
        from heinit_sim.gallery import gallery_text, to_gallery_table

        if list_:
            terminal.print_table(to_gallery_table())
            return
        name = name or "figure_7_4"
        text = gallery_text(name)
        path = Path(f"{name}.yaml")
        try:
            with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError:
            raise ConfigError([f"{path}: exists; give --force to replace it"]) from None
        typer.echo(f"Wrote {path}; now: heinit-sim run {path}", err=True)
