import importlib
import subprocess
import sys

import pytest
import typer

from heinit_sim.cli.app import _HOME, app


@pytest.mark.parametrize("name", _HOME)
def test_every_command_is_the_function_of_its_name(name: str) -> None:
    group = typer.main.get_command(app)
    context = typer.Context(group)
    command = group.get_command(context, name)  # type: ignore[attr-defined]  # of a group
    function = getattr(importlib.import_module(f"heinit_sim.cli.{_HOME[name]}"), name)
    assert command.name == name
    assert command.help.partition("\n")[0] == function.__doc__.partition("\n")[0]
    assert group.get_command(context, f"{name}s?") is None  # type: ignore[attr-defined]  # as above


def test_only_the_command_that_is_given_is_loaded() -> None:
    code = """
import sys
from heinit_sim.cli.app import app
try:
    app(["validate", "--help"], prog_name="heinit-sim")
except SystemExit:
    print(*(name for name in sys.modules if name.startswith("heinit_sim.cli.")), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "heinit_sim.cli.config" in loaded
    assert loaded.isdisjoint(
        f"heinit_sim.cli.{home}" for home in _HOME.values() if home != "config"
    )
