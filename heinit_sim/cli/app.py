"""The application: its commands, in the order of `--help`.

Commands import what they call inside their bodies: `--help` loads neither NumPy nor matplotlib. Of
the commands themselves only the one that is given is loaded.
"""

from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from heinit_sim.experiment.spelling import correction

# Command -> the file of `cli` that has a function of its name.
_HOME = {
    "run": "run",
    "plot": "runs",
    "page": "runs",
    "show": "runs",
    "merge": "shards",
    "shards": "shards",
    "theory": "theory",
    "check": "check",
    "compare": "check",
    "verify": "theory",
    "gains": "theory",
    "audit": "audit",
    "validate": "config",
    "schema": "config",
    "init": "config",
}


class _Suggesting:
    """Suggests an option where one was misspelt, and no other that only looks alike."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        base: Any = super()
        try:
            return list(base.parse_args(ctx, args))
        except Exception as error:
            if hasattr(error, "possibilities"):
                parameters = ctx.command.get_params(ctx)
                known = [name for parameter in parameters for name in parameter.opts]
                meant = correction(getattr(error, "option_name", ""), known)
                error.possibilities = [meant] if meant else None
            raise


class _Command(_Suggesting, TyperCommand):
    """A command."""


class _Commands(_Suggesting, TyperGroup):
    """All commands; one is suggested where it was misspelt."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(_HOME)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name) if cmd_name in _HOME else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.suggest_commands = False
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            meant = correction(args[0], _HOME)
            if hasattr(error, "possibilities"):
                error.possibilities = [meant] if meant else None
            elif meant and hasattr(error, "message"):
                error.message += f" Did you mean {meant!r}?"
            raise


_PLAIN: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}

app = typer.Typer(
    cls=_Commands,
    help="Simulate weight initialisation: forward and backward variance of deep networks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    **_PLAIN,
)


@cache
def _command(name: str) -> Any:
    """Load a command."""
    alone = typer.Typer(add_completion=False, **_PLAIN)
    module = import_module(f"heinit_sim.cli.{_HOME[name]}")
    alone.command(name, cls=_Command)(getattr(module, name))
    return typer.main.get_command(alone)


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
