"""Commands on what is known without a run: `verify`, `theory` and `gains`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from heinit_sim.cli import console, options, progress
from heinit_sim.errors import CheckFailed, ConfigError
from heinit_sim.experiment.activation_table import ALIASES, TABLE


def verify(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="Config whose first condition is the network; default: 5 layers of 100, He.",
        ),
    ] = None,
    sets: options.SetOption = None,
    seed: options.SeedOption = None,
    networks: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=10**6,
            metavar="N",
            help="Networks to average over; default: more where layers are narrow.",
        ),
    ] = None,
    form: options.FormatOption = None,
    markdown: options.MarkdownOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Check each step of the lectures' derivation by simulation; exit 3 if one does not hold.

    The two sides of every identity are means over simulated networks. They may differ by as much as
    chance explains.
    """
    with options.errors():
        from heinit_sim.config import parse_config

        asked = options.table_format(form, json_=json_, markdown=markdown)
        from heinit_sim import derivation, reports

        replaced = options.overrides(sets, seed=seed)
        if config is None:
            sweep = parse_config(derivation.DEFAULT_CONFIG, "default network", replaced)
        else:
            sweep = options.load_config(config, replaced)
        with options.refusals_of("verify"):
            shown = partial(progress.shown, "verify")
            result = derivation.verify(sweep.conditions[0], sweep.seed, networks, shown=shown)
        document = reports.derivation.to_identity_document(result)
        if asked == "table":
            console.print_table(reports.derivation.to_identity_page(result))
        else:
            tables = partial(reports.derivation.to_identity_tables, result)
            console.print_report(asked, tables, document["rows"], document)
        failed = [row.name for row in result.rows if not row.held]
        if failed:
            count = f"{len(failed)} of {len(result.rows)} identities did not hold"
            raise CheckFailed(f"verify: {count}: {', '.join(failed)}")


def theory(
    config: options.ConfigArgument,
    phase: Annotated[
        bool,
        typer.Option(
            "--phase",
            help="The edge of chaos of infinitely wide networks, or growth where blocks add.",
        ),
    ] = False,
    sets: options.SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the table as CSV and the figure there."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace these files.")] = False,
    form: options.FormatOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Predict a config without simulating it: means, medians and spread over networks."""
    with options.errors():
        asked = options.table_format(form, json_=json_)
        if out is None:
            options.refuse(force, "--force", "there is nothing to replace without --out")
        sweep = options.load_config(config, options.overrides(sets))
        from heinit_sim import reports
        from heinit_sim.theory import predict_sweep

        if phase:
            grows = reports.phase.shows_growth(sweep)
            if out is not None and "tex" in sweep.figure.formats and not grows:
                must = "must be png, svg or pdf"
                raise ConfigError([f"theory --phase: error: no diagram in LaTeX (tex), {must}"])
            with options.refusals_of("theory --phase: error"):
                rows = reports.phase.phase_rows(sweep)
            table = reports.phase.to_phase_table(sweep, rows)
        else:
            prediction = predict_sweep(sweep)
            rows = reports.prediction.prediction_rows(prediction)
            table = reports.prediction.to_prediction_table(sweep, rows)
        name = "phase" if phase else "theory"
        if out is not None:
            from heinit_sim import figures, runs

            if phase:
                file_rows = rows
                draw_phases = figures.draw_phase_diagram
                figure = figures.draw(predict_sweep(sweep)) if grows else draw_phases(sweep)
            else:
                file_rows = list(reports.prediction.prediction_layer_rows(prediction))
                figure = figures.draw(prediction)
            text = reports.to_csv(file_rows)
            names = runs.write_prediction(name, text, figure, out, sweep, force=force)
            console.say(f"Wrote {', '.join(names)} in {out}")
        document = {"name": sweep.name, name: reports.to_json_values(rows)}
        console.print_report(asked, lambda: [table], rows, document)


def gains(
    activation: Annotated[
        str | None,
        typer.Argument(
            metavar="ACTIVATION",
            help="Everything on one activation; default: all.",
            autocompletion=lambda: [*TABLE, *ALIASES],
        ),
    ] = None,
    form: options.FormatOption = None,
    json_: options.JsonOption = False,
    markdown: options.MarkdownOption = False,
) -> None:
    """Print the gains of activations in three conventions, and their effect on both passes."""
    with options.errors():
        asked = options.table_format(form, json_=json_, markdown=markdown)
        from heinit_sim import reports
        from heinit_sim.theory.infinite_width.gains import all_gains, gains_of

        with options.refusals_of("ACTIVATION: error"):
            gains_by_activation = [gains_of(activation)] if activation else all_gains()
        if activation and asked == "table":
            head, table, notes = reports.gains.gain_page(gains_by_activation[0])
            typer.echo(head)
            console.print_table(table)
            typer.echo(notes)
            return
        rows = reports.gains.gain_rows(gains_by_activation)
        table = reports.gains.to_gain_table(gains_by_activation)
        console.print_report(asked, lambda: [table], rows, {"gains": rows})
