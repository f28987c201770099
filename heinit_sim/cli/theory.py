"""Commands that hold measurement against theory: predict, derive, check, compare.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heinit_sim.cli import console
from heinit_sim.cli.options import (
    ONE_OUTPUT,
    ConfigArgument,
    JsonOption,
    SeedOption,
    SetOption,
    errors,
    overrides,
    refuse,
)


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
        from heinit_sim.config.load import load_config, parse_config

        refuse(markdown and json_, "--markdown", ONE_OUTPUT)
        from heinit_sim.derivation import verify as derivation_verify

        replaced = overrides(sets, seed=seed)
        if config is None:
            found = parse_config(derivation_verify.DEFAULT_CONFIG, "default network", replaced)
        else:
            found = load_config(config, replaced)
        result = derivation_verify.verify(found.conditions[0], found.seed, networks)
        console.print_verification(result, markdown=markdown, json_=json_)
        derivation_verify.raise_if_failed(result)


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
        from heinit_sim.config.load import load_config

        found = load_config(config, overrides(sets))
        from heinit_sim.reports import formats

        if phase:
            from heinit_sim.reports import phase as reports_phase

            rows = reports_phase.phase_rows(found)
            table = reports_phase.to_phase_table(found, rows)
        else:
            from heinit_sim.reports import prediction as reports_prediction
            from heinit_sim.theory.predictions import predict_sweep

            prediction = predict_sweep(found)
            rows = reports_prediction.prediction_rows(prediction)
            table = reports_prediction.to_prediction_table(found, rows)
        if out is not None:
            from heinit_sim.runs import figure_files

            if phase:
                from heinit_sim.figures.phase_diagram import draw_phase_diagram

                text, figure = formats.to_csv(rows), draw_phase_diagram(found)
            else:
                from heinit_sim.figures.draw import draw

                text = formats.to_csv(reports_prediction.prediction_layer_rows(prediction))
                figure = draw(prediction)
            name = "phase" if phase else "theory"
            names = figure_files.write_prediction(name, text, figure, out, found, force=force)
            typer.echo(f"Wrote {', '.join(names)} in {out}", err=True)
        if json_:
            key = "phase" if phase else "theory"
            console.print_json({"name": found.name, key: formats.to_json_values(rows)})
        else:
            console.print_table(table)


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
        refuse(markdown and json_, "--markdown", ONE_OUTPUT)

        from heinit_sim.reports import gains as reports_gains
        from heinit_sim.theory.infinite_width.gains import all_gains, gains_of

        found = [gains_of(activation)] if activation else all_gains()
        if json_:
            console.print_json({"gains": reports_gains.gain_rows(found)})
        elif markdown:
            typer.echo(reports_gains.to_gain_markdown(found))
        elif activation:
            head, table, notes = reports_gains.gain_page(found[0])
            typer.echo(head)
            console.print_table(table)
            typer.echo(notes)
        else:
            console.print_table(reports_gains.to_gain_table(found))
