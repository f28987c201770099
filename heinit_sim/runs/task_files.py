"""Finished tasks of a run that is not complete: one file each under `.tasks` of its directory.

A file is written under another name, synced and renamed. Its first line is a checksum of the rest,
its second says of which run it is, and the numbers follow. So each file is whole, whatever ends a
process, and the run goes on from them: where it stopped, or where `merge` brings them together.
Tasks of two runs never share a folder, so that one of them never takes another's away.
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from heinit_sim.config import document_hash, load_config, to_yaml
from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.experiment.labels import shortened
from heinit_sim.experiment.sweep_config import STREAM_VERSION, SweepConfig
from heinit_sim.sampling.regular_file import read_regular
from heinit_sim.simulation import Simulated, Task, pack, packed_size, unpack, versions

TASKS = ".tasks"
"""Directory of the files, inside the run directory."""
_CONFIG = "config.yaml"
_FOLDER = re.compile(r"[0-9a-f]{12}")
_FILE = re.compile(r"\d{7}\.task")
_UNFINISHED = ".unfinished-"
_CHECKSUM = 65
"""Bytes of the first line."""
_LARGEST_HEADER = 2**12
_LARGEST_CONFIG = 2**21
_IS_WINDOWS = os.name == "nt"
_ATTEMPTS = 5  # to write into a folder that processes of the same run, done with it, take away


class TaskFiles:
    """The files of one run's finished tasks under one directory."""

    def __init__(self, directory: Path, config: SweepConfig) -> None:
        """Say where they are; nothing is read or written yet.

        Args:
            directory: The run directory.
            config: What the run simulates.
        """
        self._run_directory, self._config = directory, config
        self._facts = _facts(config)
        text = json.dumps(self._facts, sort_keys=True)
        self._folder = directory / TASKS / hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def config_path(self) -> Path:
        """The file of the config that the tasks are of."""
        return self._folder / _CONFIG

    def require_alone(self, advice: str) -> None:
        """Refuse a directory with tasks of another run.

        Args:
            advice: What to do then, for the message.

        Raises:
            RunDirectoryError: There are some; the message names them, and what they are of.
        """
        for folder in task_folders(self._run_directory):
            if folder != self._folder:
                headers = (header for path in _files(folder) if (header := _header(path)))
                header = next(headers, {})  # where a run has only begun there is none
                difference = (self._difference(header) if header else "") or "another run"
                raise RunDirectoryError(f"{folder}: holds tasks of {difference}; {advice}")

    def numbers(self) -> set[int]:
        """The tasks that have a file here, whole or not."""
        return {int(path.stem) for path in _files(self._folder)}

    def n_shards(self) -> set[int]:
        """Into how many shards the run was cut that made the files; 1 is of none."""
        cuts = {_header(path).get("shards") for path in _files(self._folder)}
        return {cut for cut in cuts if isinstance(cut, int) and cut > 0}

    def read(self, task: Task) -> Simulated | None:
        """A task that was finished; None where its file is missing or damaged.

        Raises:
            RunDirectoryError: It is a file of another run, in the place of this one's.
        """
        path = self._path(task)
        try:
            content = memoryview(read_regular(path, _LARGEST_HEADER + packed_size(task)))
            checksum, rest = bytes(content[:_CHECKSUM]), content[_CHECKSUM:]
            if checksum != _checksum(rest):
                return None
            line = bytes(rest[:_LARGEST_HEADER]).partition(b"\n")[0]
            header = _parsed(line)
            if header.get("task") == task.number and not self._difference(header):
                return unpack(task, rest[len(line) + 1 :])
        except (OSError, ValueError):
            return None
        if difference := self._difference(header):
            raise RunDirectoryError(f"{path}: a task of {difference}; remove it")
        return None

    def begin(self) -> None:
        """Make the folder, with the config that its tasks are of.

        Raises:
            WriteError: It cannot be made.
        """
        content = to_yaml(self._config.document).encode()
        with suppress(OSError):
            if read_regular(self.config_path, _LARGEST_CONFIG) == content:
                return
        self._put(self.config_path, content)

    def write(self, done: Simulated, n_shards: int = 1) -> None:
        """Keep a finished task.

        Args:
            done: The task.
            n_shards: Into how many shards its run is cut.

        Raises:
            WriteError: The disk is full, …; tasks that were kept before stay.
        """
        header = {"task": done.task.number, "shards": n_shards, **self._facts}
        line, body = json.dumps(header).encode() + b"\n", pack(done)
        self._put(self._path(done.task), _checksum(line, body), line, body)

    def resume(
        self,
        tasks: Sequence[Task],
        compute: Callable[[list[Task]], Iterable[Simulated]],
        n_shards: int = 1,
    ) -> Generator[Simulated, None, None]:
        """Yield the tasks that are kept, then the others as they are done and kept.

        Args:
            tasks: What is wanted.
            compute: Simulates those that are not kept, in any order.
            n_shards: Into how many shards the run is cut.

        Raises:
            RunDirectoryError: A file is of another run.
            WriteError: A task cannot be kept.
        """
        left = []
        for task in tasks:
            if (done := self.read(task)) is None:
                left.append(task)
            else:
                yield done
        for done in compute(left):
            self.write(done, n_shards)
            yield done

    def discard(self, *, others: bool = False) -> None:
        """Remove the tasks; files that are no tasks stay where they are.

        Args:
            others: Those of all other runs instead.
        """
        for folder in task_folders(self._run_directory):
            if (folder != self._folder) == others:
                for path in filter(_is_ours, _entries(folder)):
                    with suppress(OSError):  # a directory, or gone by now
                        path.unlink()
                with suppress(OSError):
                    folder.rmdir()
        with suppress(OSError):
            (self._run_directory / TASKS).rmdir()

    def _path(self, task: Task) -> Path:
        return self._folder / f"{task.number:07}.task"

    def _difference(self, header: Mapping[str, object]) -> str:
        """How a task's run is another than this one; empty if it is not."""
        for name, expected in self._facts.items():
            if (found := header.get(name)) != expected:
                if name == "config" or found is None:
                    return "another config"
                return f"{name} {shortened(str(found), 40)}, this is {expected}"
        return ""

    def _put(self, path: Path, *pieces: bytes) -> None:
        """Put a file in its place, whole; its folder is made where there is none.

        Raises:
            WriteError: It cannot be written.
        """
        try:
            for left in reversed(range(_ATTEMPTS)):
                try:
                    _put_whole(path, pieces)
                    return
                except FileNotFoundError:  # another process of this run, done with it, cleared up
                    if not left:
                        raise
        except OSError as error:
            raise WriteError(
                f"{path}: could not be written ({error.strerror or error}); mend that"
            ) from error


def task_folders(directory: Path) -> list[Path]:
    """The folders of unfinished runs under a directory, one for each run."""
    folders = [path for path in _entries(directory / TASKS) if _FOLDER.fullmatch(path.name)]
    return [path for path in folders if (path / _CONFIG).is_file() or _files(path)]


def count_tasks(directory: Path) -> int:
    """The finished tasks of all unfinished runs under a directory."""
    return sum(len(_files(folder)) for folder in task_folders(directory))


def unfinished_config(directory: Path) -> SweepConfig:
    """The config of the only unfinished run under a directory.

    Raises:
        RunDirectoryError: There is none, or more than one.
        ConfigError: The config cannot be read, see `load_config`.
    """
    folders = task_folders(directory)
    if len(folders) > 1:
        names = " and ".join(folder.name for folder in folders[:2])
        raise RunDirectoryError(
            f"{directory / TASKS}: holds tasks of {len(folders)} runs ({names}); remove one of them"
        )
    require_tasks(directory)
    return load_config(folders[0] / _CONFIG)


def require_tasks(directory: Path) -> None:
    """Refuse a directory that holds no tasks.

    Raises:
        RunDirectoryError: It holds none.
    """
    if not task_folders(directory):
        raise RunDirectoryError(
            f"{directory}: holds no tasks of a run, must be a directory that `run --shard` wrote"
        )


def _facts(config: SweepConfig) -> dict[str, object]:
    """Facts that tasks must share to be put together; how they are drawn is none."""
    document = {key: value for key, value in config.document.items() if key != "figure"}
    # In the order of the conditions, which the hash of a config leaves out, tasks are numbered.
    grid = [[*condition.swept.items()] for condition in config.conditions]
    digest = hashlib.sha256(json.dumps([document_hash(document), grid]).encode()).hexdigest()
    return {"config": digest, "stream_version": STREAM_VERSION, **versions()}


def _put_whole(path: Path, pieces: Sequence[bytes]) -> None:
    """Write a file under another name and rename it.

    Raises:
        OSError: It cannot be written; then nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
    try:
        with unfinished.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        try:
            unfinished.replace(path)
        except PermissionError:  # on Windows, while another process of the same run reads it
            if not (_IS_WINDOWS and path.is_file()):
                raise
    finally:
        unfinished.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """The files of tasks in a folder, in their order."""
    return [path for path in _entries(folder) if _FILE.fullmatch(path.name)]


def _entries(folder: Path) -> list[Path]:
    """Whatever is in a folder, in the order of names; nothing where there is none."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_ours(path: Path) -> bool:
    name = path.name
    return bool(_FILE.fullmatch(name)) or name.startswith(_UNFINISHED) or name == _CONFIG


def _checksum(*pieces: bytes | memoryview) -> bytes:
    """The first line of a file: SHA-256 of the rest."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest().encode() + b"\n"


def _header(path: Path) -> Mapping[str, Any]:
    """The line of a task's file that says what it is, if it does; its numbers are not read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return {}
        with path.open("rb") as file:
            file.seek(_CHECKSUM)
            return _parsed(file.readline(_LARGEST_HEADER))
    except (OSError, ValueError):
        return {}


def _parsed(line: bytes) -> Mapping[str, Any]:
    """The header that a line holds.

    Raises:
        ValueError: It holds none.
    """
    try:
        header = json.loads(line)
    except RecursionError as error:
        raise ValueError("no header") from error
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header
