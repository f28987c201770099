"""An end within a second of SIGINT, SIGTERM or SIGHUP, with one line and exit code 128+n.

The signal becomes a `SystemExit` in the main thread, so that whatever is half written is removed.
A product of large matrices keeps the main thread from seeing it, worker threads keep the process
from ending, and an import may swallow it: a thread that waits for the signal ends the process then.
"""

import os
import signal
import sys
import threading
import time
from functools import cache
from typing import NoReturn

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_PATIENCE = 0.6  # seconds for an orderly end
_stopped_by: list[int] = []
_hint = ""


@cache
def watch() -> None:
    """Make the three signals end the process, from the start of the program on, in its main thread.

    One that the caller had ignored, as `nohup` does, stays ignored.
    """
    receiver, sender = os.pipe()
    if os.name == "posix":  # Windows takes the pipe as it is
        os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    threading.Thread(target=_end, args=(receiver,), daemon=True).start()


def stopped_by() -> int | None:
    """The signal that stops the process, if one came."""
    return _stopped_by[0] if _stopped_by else None


def hint(text: str) -> None:
    """What is said where the process stops from now on: what is kept, and how to go on."""
    global _hint
    _hint = text


def with_hint(text: str) -> str:
    """Why the process stops, and the hint, if there is one."""
    return f"{text}; {_hint}" if _hint else text


def _stop(number: int, _frame: object) -> NoReturn:
    for further in _SIGNALS:  # change nothing: the end is near
        signal.signal(further, signal.SIG_IGN)
    if not _stopped_by:
        _say(number)
    raise SystemExit(128 + number)


def _say(number: int) -> None:
    _stopped_by.append(number)
    try:
        text = with_hint(f"heinit-sim: stopped by {signal.Signals(number).name}")
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, RuntimeError, ValueError):
        pass  # nobody can read it: stderr is closed, or was in the middle of a line


def _end(receiver: int) -> None:
    """Wait for a signal, then end the process if the main thread does not."""
    while (number := os.read(receiver, 1)[0]) not in _SIGNALS:
        pass
    time.sleep(_PATIENCE)
    if not _stopped_by:  # the main thread is still in a call of its own
        _say(number)
    os._exit(128 + number)
