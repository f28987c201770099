"""`python -m heinit_sim` and the `heinit-sim` command."""

import gc
import io
import os
import signal
import sys
from pathlib import Path
from typing import TextIO


def main() -> None:
    """Run the command line."""
    if hasattr(signal, "SIGPIPE"):  # end quietly, like any filter, when nobody reads on
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for name in ("stdout", "stderr"):
        if _is_closed(getattr(sys, name)):  # by the caller
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # until the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # σ² where the terminal has no such letter
            stream.reconfigure(errors="replace")
    from heinit_sim.cli import interrupts

    interrupts.watch()
    gc.set_threshold(100_000)  # a start makes 35,000 objects that stay; to scan them took 7 % of it
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # to look for them scans all packages
    os.environ["MPLBACKEND"] = "agg"  # figures go to files, whatever the user draws with

    from heinit_sim.cli.app import app

    try:
        app(prog_name="heinit-sim")
    except OSError as error:  # `--help` to a full disk
        sys.exit(f"heinit-sim: {error}")


def _is_closed(stream: TextIO | None) -> bool:
    """Whether nothing can be written to a standard stream."""
    if stream is None:
        return True
    try:
        os.fstat(stream.fileno())
    except io.UnsupportedOperation:  # not of the system
        return False
    except OSError:
        return True
    return False


if __name__ == "__main__":
    main()
