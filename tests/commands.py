"""What tests type, see and find on disk: commands, tables of a terminal, files of a directory."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main
from rich.console import Console, RenderableType

import heinit_sim.__main__ as command_line

PLAIN = {"COLUMNS": "", "GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": ""}
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
_click_command = cache(typer.main.get_command)  # made of all signatures anew for each call


class Ran(NamedTuple):
    returncode: object
    stdout: str
    stderr: str


def heinit_sim(*arguments: object, stdin: str = "", **environment: str) -> Ran:
    """Run the command in this process, which saves half a second of imports."""
    stdout, stderr = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(typer.main, "get_command", _click_command)
        patch.setattr(sys, "argv", ["heinit-sim", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        for name, value in {**PLAIN, **environment}.items():
            patch.setenv(name, value)
        code: object = None
        try:
            command_line.main()
        except SystemExit as end:
            code = end.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return Ran(code, stdout.getvalue(), stderr.getvalue())


def process(
    *arguments: object, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `code` runs before it."""
    start = f"{code}\nfrom {command_line.__name__} import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", start, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **PLAIN, **environment},
        timeout=120,
        check=False,
    )


def printed(shown: RenderableType, width: int = 80) -> list[str]:
    """Lines of a terminal of so many columns, without spaces at their ends."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(shown)
    return [line.rstrip() for line in capture.get().splitlines()]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
