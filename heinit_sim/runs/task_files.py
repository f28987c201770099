"""Finished tasks of a run that is not complete: one file each under `.tasks` of its directory.

A file is written under another name, synced and renamed. Its first line says of which run it is and
holds a checksum of the rest, arrays as `np.savez` writes them. So each file is whole, whatever ends
a process, and the run goes on from them: where it stopped, or where `merge` brings them together.
Tasks of two runs never share a folder, so that one of them never takes another's away.
"""

import hashlib
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from heinit_sim.config import document_hash, load_config, to_yaml
from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.experiment.quantities import COUNTED, MEASURES
from heinit_sim.experiment.sweep_config import STREAM_VERSION, SweepConfig
from heinit_sim.sampling.regular_file import read_regular
from heinit_sim.simulation import COSINE_QUANTITIES, PassResult, Simulated, Task, versions

TASKS = ".tasks"
"""Directory of the files, inside the run directory."""
_CONFIG = "config.yaml"
_FOLDER = re.compile(r"[0-9a-f]{12}")
_FILE = re.compile(r"\d{7}\.task")
_UNFINISHED = ".unfinished-"
_LARGEST_HEADER = 2**12
_DAMAGED = (OSError, ValueError, TypeError, RecursionError)


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

    def require_alone(self) -> None:
        """Refuse a directory with tasks of another run.

        Raises:
            RunDirectoryError: There are some; the message names one, and what it is of.
        """
        for folder in task_folders(self._run_directory):
            if folder != self._folder:
                files = _files(folder)
                header = _header(files[0]) if files else {}
                raise RunDirectoryError(
                    f"{files[0] if files else folder}: a task of {self._difference(header)}; "
                    "finish that run, or give --force to discard its tasks, or another --out"
                )

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
            first_line, _, body = read_regular(path, path.stat().st_size).partition(b"\n")
            header = json.loads(first_line)
            if header["sha256"] != hashlib.sha256(body).hexdigest():
                return None
            if difference := self._difference(header):
                raise RunDirectoryError(f"{path}: a task of {difference}; remove it")
            if header["task"] != task.number:
                return None
            with np.load(BytesIO(body), allow_pickle=False) as arrays:
                return Simulated(task, tuple(_results(task, arrays)))
        except (*_DAMAGED, KeyError, EOFError, BadZipFile, zlib.error):
            return None

    def begin(self) -> None:
        """Make the folder, with the config that its tasks are of.

        Raises:
            WriteError: It cannot be made.
        """
        self._put(self.config_path, to_yaml(self._config.document).encode())

    def write(self, done: Simulated, n_shards: int = 1) -> None:
        """Keep a finished task.

        Args:
            done: The task.
            n_shards: Into how many shards its run is cut.

        Raises:
            WriteError: The disk is full, …; tasks that were kept before stay.
        """
        buffer = BytesIO()
        np.savez(buffer, allow_pickle=False, **_arrays(done))
        body = buffer.getvalue()
        digest = hashlib.sha256(body).hexdigest()
        header = {"task": done.task.number, "shards": n_shards, **self._facts, "sha256": digest}
        self._put(self._path(done.task), json.dumps(header).encode() + b"\n" + body)

    def resume(
        self,
        tasks: Sequence[Task],
        compute: Callable[[list[Task]], Iterable[Simulated]],
        n_shards: int = 1,
    ) -> Iterator[Simulated]:
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
            others: Those of other runs too.
        """
        for folder in task_folders(self._run_directory):
            if others or folder == self._folder:
                with suppress(OSError):
                    for path in list(folder.iterdir()):
                        if _is_ours(path.name):
                            path.unlink(missing_ok=True)
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
                return f"{name} {found}, this is {expected}"
        return ""

    def _put(self, path: Path, content: bytes) -> None:
        """Put a file in its place, whole; make the folder, which another process may have removed.

        Raises:
            WriteError: It cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(unfinished).replace(path)
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise WriteError(
                f"{path.parent}: could not be written ({error.strerror or error}); finished tasks "
                "stay: make room, and the same command goes on"
            ) from error


def task_folders(directory: Path) -> list[Path]:
    """The folders of unfinished runs under a directory, one for each run."""
    try:
        folders = sorted((directory / TASKS).iterdir())
    except OSError:
        return []
    return [path for path in folders if _FOLDER.fullmatch(path.name) and path.is_dir()]


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
    if not folders or not (folders[0] / _CONFIG).is_file():
        raise RunDirectoryError(
            f"{directory}: holds no tasks of a run, must be a directory that `run --shard` wrote"
        )
    return load_config(folders[0] / _CONFIG)


def _facts(config: SweepConfig) -> dict[str, object]:
    """Facts that tasks must share to be put together; how they are drawn is none."""
    document = {key: value for key, value in config.document.items() if key != "figure"}
    facts = {"config": document_hash(document), "stream_version": STREAM_VERSION}
    return facts | versions()


def _files(folder: Path) -> list[Path]:
    """The files of tasks in a folder, in their order."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
    return [folder / name for name in names if _FILE.fullmatch(name)]


def _is_ours(name: str) -> bool:
    return bool(_FILE.fullmatch(name)) or name.startswith(_UNFINISHED) or name == _CONFIG


def _header(path: Path) -> Mapping[str, Any]:
    """The first line of a task's file; empty where it is damaged."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(_LARGEST_HEADER))
    except _DAMAGED:
        return {}
    return header if isinstance(header, dict) else {}


def _arrays(done: Simulated) -> dict[str, NDArray[Any]]:
    """The results of a task as few arrays, by the place of their pass."""
    arrays: dict[str, NDArray[Any]] = {}
    for place, result in enumerate(done.results):
        arrays[f"networks_{place}"] = np.stack([result.networks[m] for m in MEASURES])
        if result.tallies:
            arrays[f"tallies_{place}"] = np.stack([result.tallies[q] for q in COUNTED])
        if result.cosines:
            arrays[f"cosines_{place}"] = np.stack([result.cosines[q] for q in COSINE_QUANTITIES])
    return arrays


def _results(task: Task, arrays: Mapping[str, NDArray[Any]]) -> Iterator[PassResult]:
    """The results that `_arrays` made.

    Raises:
        ValueError: They are of another shape than the task's.
        KeyError: One is missing.
    """
    for place, network_pass in enumerate(task.passes):
        n_layers = len(network_pass.layers)
        networks = arrays[f"networks_{place}"]
        if networks.shape != (len(MEASURES), len(task.trials), n_layers):
            raise ValueError(f"{networks.shape}: not the networks of task {task.number}")
        tallies = arrays[f"tallies_{place}"] if network_pass.histograms else ()
        cosines = arrays[f"cosines_{place}"] if network_pass.cosine else ()
        yield PassResult(
            dict(zip(MEASURES, networks, strict=True)),
            dict(zip(COUNTED, tallies, strict=True)) if network_pass.histograms else {},
            dict(zip(COSINE_QUANTITIES, cosines, strict=True)) if network_pass.cosine else {},
        )
