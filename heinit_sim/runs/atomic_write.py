"""How a directory gets to its place on the disk: all of it or none, and nothing of others lost."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from heinit_sim.errors import RunDirectoryError, WriteError

HOLDS_RESULTS = "already holds {}; give --force to replace them or --out for another directory"


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


@contextmanager
def writing(target: Path, parent: Path, option: str = "--out") -> Iterator[Path]:
    """A temporary directory in `parent`, and one word for whatever goes wrong with the disk.

    `option` is what names another target on the command line.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".heinit-sim-", dir=parent, ignore_cleanup_errors=True
        ) as temporary:
            yield Path(temporary)
    except OSError as error:
        reason = f"could not be written ({error.strerror or error}); nothing there was changed"
        raise WriteError(f"{target}: {reason}; make room or give another {option}") from error


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
        path.write_text(text, "utf-8", newline="\n")
        return
    target = path.resolve()
    with writing(path, target.parent, option) as temporary:
        fresh = temporary / "new"
        fresh.write_text(text, "utf-8", newline="\n")
        fresh.replace(target)


def put(directory: Path, fresh: Path, names: Sequence[str]) -> None:
    """Put a directory where there is none, or an empty one.

    Args:
        directory: Its place.
        fresh: The directory, on the same disk.
        names: The files it may hold, the one that makes it complete last.

    Raises:
        RunDirectoryError: Somebody else was quicker.
    """
    with suppress(OSError):
        directory.rmdir()  # one that is empty: Windows renames to no directory that is there
    try:
        fresh.rename(directory)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise RunDirectoryError(f"{directory}: {HOLDS_RESULTS.format('results')}") from None
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        for name in names:  # a mount point, empty: it cannot be renamed
            if (fresh / name).exists():
                shutil.move(fresh / name, directory / name)


def replace(directory: Path, fresh: Path, old: Path, names: Sequence[str]) -> None:
    """Put a directory in the place of another; what is there beside these names is kept.

    Args:
        directory: The place, and what is there now.
        fresh: The new directory, on the same disk.
        old: Where the old one goes; the caller removes it.
        names: The files that are replaced or removed.
    """
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, fresh / path.name, symlinks=True)
        elif path.name not in names:
            shutil.copy2(path, fresh / path.name, follow_symlinks=False)
    try:
        directory.rename(old)
        fresh.rename(directory)
    finally:  # whatever came between the two
        if old.exists() and not directory.exists():
            old.rename(directory)
