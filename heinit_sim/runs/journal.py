"""Files of a directory, replaced all at once: staged inside it, committed by one journal.

A writer fills a staging directory inside the target and syncs it. The journal, put in its place in
one step, commits: it lists what replaces what. Then each file is renamed into its place, and the
journal goes last. Cut before the journal the old files are whole; cut after it, whoever opens the
directory next finishes the replacement (`finish`). No other file is moved, copied or removed.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.sampling.regular_file import read_regular

JOURNAL = ".heinit-sim-journal.json"
_STAGING = ".heinit-sim-"
_LARGEST_JOURNAL = 2**16


class _Journal(NamedTuple):
    """The steps of a committed replacement, name by name, in this order."""

    staging: str
    files: dict[str, str]
    """Name -> SHA-256 of the file that comes."""
    obsolete: list[str]
    """Names that go."""


@contextmanager
def staging(directory: Path, option: str = "--out") -> Iterator[Path]:
    """Make a staging directory inside a directory, which is made where there is none.

    What is not committed by the end is removed again, the directory too where it was made here.

    Args:
        directory: The directory whose files will be replaced.
        option: The option that names another one on the command line, for messages.

    Raises:
        WriteError: The disk is full, …
    """
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    staged = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=_STAGING, dir=directory))
        yield staged
    except OSError as error:
        committed = staged is not None and _commits(directory, staged)
        state = (
            "the new files are complete, and whatever command reads the directory next puts them "
            "into their places"
            if committed
            else f"nothing there was changed; make room or give another {option}"
        )
        raise WriteError(
            f"{directory}: could not be written ({error.strerror or error}); {state}"
        ) from error
    finally:
        if staged is not None and not _commits(directory, staged):
            shutil.rmtree(staged, ignore_errors=True)
        with suppress(OSError):  # until one that is not empty
            for path in made:
                path.rmdir()


def commit(
    directory: Path, staged: Path, names: Sequence[str], obsolete: Iterable[str] = ()
) -> None:
    """Replace files of a directory by staged ones: from one step on, for good.

    Args:
        directory: The directory.
        staged: Its staging directory.
        names: The staged files, in the order in which they come; their modes stay.
        obsolete: Files of the directory that go.

    Raises:
        RunDirectoryError: Another process replaces files there at this moment.
        OSError: The disk failed.
    """
    for name in names:
        with suppress(FileNotFoundError):
            shutil.copymode(directory / name, staged / name, follow_symlinks=False)
        with (staged / name).open("rb+") as file:
            os.fsync(file.fileno())
    journal = _Journal(
        staging=staged.name,
        files={name: digest_of(staged / name) for name in names},
        obsolete=sorted(set(obsolete).difference(names)),
    )
    fresh = staged / JOURNAL
    with fresh.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(journal._asdict(), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(staged)
    try:
        os.link(fresh, directory / JOURNAL)  # fails where there is one, which a rename would not
    except FileExistsError:
        raise RunDirectoryError(f"{directory}: another process writes there; try again") from None
    except OSError:  # a disk without hard links
        fresh.rename(directory / JOURNAL)
    _sync_directory(directory)
    _carry_out(directory, journal)


def finish(directory: Path) -> None:
    """Finish a replacement that was cut after its commit, if there is one.

    Raises:
        RunDirectoryError: It cannot be finished; the message says why.
    """
    path = directory / JOURNAL
    if not os.path.lexists(path):
        return
    try:
        journal = _read(path)
        _carry_out(directory, journal)
    except (OSError, ValueError) as error:
        if not os.path.lexists(path):  # another process finished it meanwhile
            return
        raise RunDirectoryError(
            f"{path}: says that files were to be replaced, and this cannot be finished "
            f"({getattr(error, 'strerror', None) or error}); mend that, or remove the journal and "
            "run again with --force"
        ) from None


def _carry_out(directory: Path, journal: _Journal) -> None:
    """Do what the journal lists and was not done; another process may do the same meanwhile."""
    staged = directory / journal.staging
    for name, digest in journal.files.items():
        try:
            (staged / name).replace(directory / name)
        except FileNotFoundError:
            if not (directory / name).is_file() or digest_of(directory / name) != digest:
                missing = f"{name} is missing in {journal.staging}"
                raise FileNotFoundError(errno.ENOENT, missing) from None
    for name in journal.obsolete:
        (directory / name).unlink(missing_ok=True)
    _sync_directory(directory)
    (directory / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(staged, ignore_errors=True)


def _read(path: Path) -> _Journal:
    """Read a journal.

    Raises:
        ValueError: It is not one.
        OSError: It cannot be read.
    """
    content = read_regular(path, _LARGEST_JOURNAL)
    try:
        journal = _Journal(**json.loads(content))
        names = [journal.staging, *journal.files, *journal.obsolete]
        plain = all(name == Path(name).name and name.strip(".") for name in names)
        digests = all(isinstance(digest, str) for digest in journal.files.values())
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)[:200]) from None
    if not plain or not digests or not journal.staging.startswith(_STAGING):
        raise ValueError("names that are not of files beside it")
    return journal


def _commits(directory: Path, staged: Path) -> bool:
    """Whether the directory's journal commits the staged files."""
    try:
        return _read(directory / JOURNAL).staging == staged.name
    except (OSError, ValueError):
        return False


def _sync_directory(directory: Path) -> None:
    """Put a directory's entries on the disk, on systems that have this."""
    with suppress(OSError):  # Windows opens no directory
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
