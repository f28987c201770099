"""Commands on configs: `validate`, `schema`, `init` with its gallery of starter configs."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heinit_sim.cli import console, options
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.labels import printable
from heinit_sim.experiment.spelling import correction

if TYPE_CHECKING:
    from rich.table import Table

    from heinit_sim.experiment.sweep_config import SweepConfig


def validate(
    config: options.ConfigArgument,
    sets: options.SetOption = None,
    seed: options.SeedOption = None,
    trials: options.TrialsOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Check a config; say what is wrong with it, all at once."""
    with options.errors():
        place = "<stdin>" if config == "-" else config
        try:
            replaced = options.overrides(sets, seed=seed, trials=trials)
            sweep_config = options.load_config(config, replaced)
            options.check_look(sweep_config)
        except ConfigError as error:
            if not json_:
                raise
            problems = [_problem_values(problem, printable(place)) for problem in error.problems]
            console.print_document({**_validity(place, None), "problems": problems})
            raise typer.Exit(error.exit_code) from None
        if json_:
            console.print_document({**_validity(place, sweep_config), "problems": []})
            return
        console.tell(f"{place}: valid: {console.plan_size(sweep_config)}")


def _validity(place: str, config: "SweepConfig | None") -> dict[str, object]:
    """Return what `validate --json` says of a config, which is None where it is not valid."""
    return {
        "config": place,
        "valid": config is not None,
        "name": config.name if config else None,
        "n_conditions": len(config.conditions) if config else None,
        "trials": config.trials if config else None,
    }


def _problem_values(problem: str, place: str) -> dict[str, object]:
    """A problem with its line and column, which are null where it is none of the file's text."""
    marked = re.fullmatch(rf"{re.escape(place)}:(\d+):(\d+): error: (.*)", problem, re.DOTALL)
    line, column, message = marked.groups() if marked else (None, None, problem)
    return {
        "line": int(line) if line else None,
        "column": int(column) if column else None,
        "message": message,
    }


def schema() -> None:
    """Print the JSON Schema of configs."""
    with options.errors():
        from heinit_sim.config import config_schema

        console.print_json(config_schema())


def init(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A config of the gallery.", autocompletion=lambda: [*gallery()]
        ),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace NAME.yaml.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the gallery.")] = False,
) -> None:
    """Write a starter config from the gallery.

    NAME.yaml in this directory; without a name, figure_7_4.yaml.
    """
    with options.errors():
        if list_:
            console.print_table(to_gallery_table())
            return
        name = name or "figure_7_4"
        text = gallery_text(name)
        path = Path(f"{name}.yaml")
        try:
            with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError:
            raise ConfigError([f"{path}: exists; give --force to replace it"]) from None
        console.say(f"Wrote {path}; now: heinit-sim run {path}")


def gallery() -> dict[str, Path]:
    """Name -> path of every config of the gallery."""
    package = Path(__file__).parents[1]
    installed = package / "gallery"  # where a wheel carries the repository's configs/
    folder = installed if installed.is_dir() else package.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def gallery_text(name: str) -> str:
    """The text of one config of the gallery.

    Raises:
        ConfigError: The gallery has no config of that name.
    """
    configs = gallery()
    if name not in configs:
        meant = correction(name, configs)
        hint = f"; did you mean {meant!r}?" if meant else ""
        known = f"must be one of {', '.join(configs)}"
        raise ConfigError([f"NAME: error: no such config in the gallery ({name!r}), {known}{hint}"])
    return configs[name].read_text("utf-8")


def to_gallery_table() -> "Table":
    """Two columns without a head: each name, and what the first line of its config says."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for name in gallery():
        first = gallery_text(name).partition("\n")[0]
        table.add_row(name, Text(first.removeprefix("#").strip()))
    return table
