"""Commands that hold measurement against theory: predict, derive, check, compare.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations

import math
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
    SeedOption,
    SetOption,
    TrialsOption,
    app,
    errors,
    overrides,
    refuse,
)

_ONE_OUTPUT = "given beside --json; give one of the two"


@app.command()
def check(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A run directory, a config, or - for stdin.")
    ],
    sets: SetOption = None,
    seed: SeedOption = None,
    trials: TrialsOption = None,
    jobs: JobsOption = None,
    alpha: AlphaOption = None,
    junit: JunitOption = None,
    json_: JsonOption = False,
) -> None:
    """Check a run, or a config without writing its run; exit 3 if something does not hold.

    On GitHub Actions, failures also become annotations and a step summary.
    """
    with errors():
        from heinit_sim import outputs, placement, reports, sweep
        from heinit_sim.config import load_config

        if junit is not None:
            placement.check_file(junit, "--junit")
        replaced = overrides(sets, seed=seed, trials=trials)
        if target != "-" and Path(target).is_dir():
            if replaced:
                raise ConfigError([f"{replaced[0].flag}: error: {target} is a run, not a config"])
            result = outputs.read_run(Path(target), quantiles=False)
        else:
            config = load_config(target, replaced)
            result = terminal.simulate(config, jobs or sweep.usable_cpus(), quiet=False)
        findings = reports.find(result, alpha or ALPHA)
        if json_:
            outcome.print_findings(result.config, findings)
        outcome.report(result.config, findings, junit, table=not json_)


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Directory that `run` wrote.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another.")],
    rtol: Annotated[
        float,
        typer.Option("--rtol", metavar="R", help="Relative difference that is none."),
    ] = 1e-6,
    json_: JsonOption = False,
) -> None:
    """Compare two runs; exit 3 if they differ.

    Of the same config every number must agree; of others the means over networks of log10, beyond
    chance.
    """
    with errors():
        if not 0 <= rtol < math.inf:
            raise ConfigError([f"--rtol: error: {rtol} is not allowed, must be finite, 0 or more"])
        from heinit_sim import comparison, outputs

        first, second = (
            outputs.read_run(run, complete=False, quantiles=False) for run in (run_a, run_b)
        )
        found = comparison.compare(first, second, rtol)
        terminal.print_comparison(found, rtol, json_=json_)


@app.command()
def verify(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="Config whose first condition is the network; default: 5 layers of 100, He.",
        ),
    ] = None,
    sets: SetOption = None,
    seed: SeedOption = None,
    networks: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=10**6,
            metavar="N",
            help="Networks of each row; default: by width.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead.")] = False,
    json_: JsonOption = False,
) -> None:
    """Check the lectures' derivation step by step, by simulation."""
    with errors():
        from heinit_sim.config import load_config, parse_config

        refuse(markdown and json_, "--markdown", _ONE_OUTPUT)
        from heinit_sim import verification

        replaced = overrides(sets, seed=seed)
        if config is None:
            found = parse_config(verification.DEFAULT_CONFIG, "default network", replaced)
        else:
            found = load_config(config, replaced)
        result = verification.verify(found.conditions[0], found.seed, networks)
        terminal.print_verification(result, markdown=markdown, json_=json_)
        verification.raise_if_failed(result)


@app.command()
def theory(
    config: ConfigArgument,
    phase: Annotated[
        bool, typer.Option("--phase", help="The edge of chaos of infinitely wide networks instead.")
    ] = False,
    sets: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the table as CSV and the figure there."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace these files.")] = False,
    json_: JsonOption = False,
) -> None:
    """Predict a config without simulating it: means, medians and spread over networks."""
    with errors():
        if out is None:
            refuse(force, "--force", "there is nothing to replace without --out")
        from heinit_sim.config import load_config

        found = load_config(config, overrides(sets))
        from heinit_sim import tables

        if phase:
            from heinit_sim import phase_tables

            rows = phase_tables.phase_rows(found)
            table = phase_tables.to_phase_table(found, rows)
        else:
            from heinit_sim import prediction_tables
            from heinit_sim.predictions import predict_sweep

            prediction = predict_sweep(found)
            rows = prediction_tables.prediction_rows(prediction)
            table = prediction_tables.to_prediction_table(found, rows)
        if out is not None:
            from heinit_sim import exports

            if phase:
                from heinit_sim.phase_figures import draw_phase_diagram

                text, figure = tables.to_csv(rows), draw_phase_diagram(found)
            else:
                from heinit_sim.figures import draw

                text = tables.to_csv(prediction_tables.prediction_layer_rows(prediction))
                figure = draw(prediction)
            name = "phase" if phase else "theory"
            names = exports.write_prediction(name, text, figure, out, found, force=force)
            typer.echo(f"Wrote {', '.join(names)} in {out}", err=True)
        if json_:
            key = "phase" if phase else "theory"
            terminal.print_json({"name": found.name, key: tables.to_json_values(rows)})
        else:
            terminal.print_table(table)


@app.command()
def gains(
    activation: Annotated[
        str | None,
        typer.Argument(metavar="ACTIVATION", help="Everything on one activation; default: all."),
    ] = None,
    json_: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as Markdown instead.")
    ] = False,
) -> None:
    """Print the gains of activations in three conventions, and their effect on both passes."""
    with errors():
        refuse(markdown and json_, "--markdown", _ONE_OUTPUT)

        from heinit_sim import gain_tables
        from heinit_sim.gains import all_gains, gains_of

        found = [gains_of(activation)] if activation else all_gains()
        if json_:
            terminal.print_json({"gains": gain_tables.gain_rows(found)})
        elif markdown:
            typer.echo(gain_tables.to_gain_markdown(found))
        elif activation:
            head, table, notes = gain_tables.gain_page(found[0])
            typer.echo(head)
            terminal.print_table(table)
            typer.echo(notes)
        else:
            terminal.print_table(gain_tables.to_gain_table(found))
