"""Where files may go, and one text file that goes there whole or not at all."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.runs import journal


def entries(directory: Path) -> set[str]:
    """Names in a directory that is there or could be made.

    Raises:
        RunDirectoryError: It could not be written.
    """
    nearest = writable(directory, "--out")
    return {path.name for path in directory.iterdir()} if nearest == directory else set()


def writable(directory: Path, option: str) -> Path:
    """The nearest directory that is there.

    Args:
        directory: A directory, which need not be there.
        option: The option that names it.

    Raises:
        RunDirectoryError: It cannot be written.
    """
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if not nearest.is_dir():
        raise RunDirectoryError(f"{directory}: {nearest} is not a directory; give another {option}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunDirectoryError(f"{directory}: {nearest} cannot be written; give another {option}")
    return nearest


def put_text(path: Path, text: str, option: str) -> None:
    """Write a text file: all of it or none, what was there before stays until then.

    Args:
        path: The file; a pipe or a device is written as it is.
        text: What it holds.
        option: The option that names it.

    Raises:
        WriteError: It cannot be written.
    """
    if path.exists() and not path.is_dir() and not path.is_file():
        _put_into_pipe(path, text, option)
        return
    target = path.resolve()
    with journal.staging(target.parent, option) as staged:
        fresh = staged / target.name
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, fresh)
        fresh.replace(target)


def _put_into_pipe(path: Path, text: str, option: str) -> None:
    """Write to a pipe or a device; a pipe that nobody reads is refused, as it would wait for ever.

    Raises:
        WriteError: It cannot be written.
    """

    def opened(name: str, flags: int) -> int:
        if not hasattr(os, "O_NONBLOCK"):  # Windows
            return os.open(name, flags)
        descriptor = os.open(name, flags | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        return descriptor

    try:
        with open(path, "w", encoding="utf-8", newline="\n", opener=opened) as file:
            file.write(text)
    except OSError as error:
        reason = "nobody reads it" if error.errno == errno.ENXIO else error.strerror or error
        text = f"{path}: could not be written ({reason}); give another {option}"
        raise WriteError(text) from None
