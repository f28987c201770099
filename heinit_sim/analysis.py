"""Commands that hold measurement against theory: predict, derive, check, compare.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from heinit_sim import terminal
from heinit_sim.errors import ConfigError
from heinit_sim.shell import JsonOption, SeedOption, SetOption, app, errors, overrides


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

        if markdown and json_:
            raise ConfigError(["--markdown: error: given beside --json; give one of the two"])
        from heinit_sim import verification

        replaced = overrides(sets, seed=seed)
        if config is None:
            found = parse_config(verification.DEFAULT_CONFIG, "default network", replaced)
        else:
            found = load_config(config, replaced)
        result = verification.verify(found.conditions[0], found.seed, networks)
        terminal.print_verification(result, markdown=markdown, json_=json_)
        verification.check(result)
