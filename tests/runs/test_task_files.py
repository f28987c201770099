"""Finished tasks on the disk: exact, whole or not there, and never those of another run."""

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.experiment.sweep_config import STREAM_VERSION, SweepConfig
from heinit_sim.runs import task_files
from heinit_sim.runs.task_files import TaskFiles, count_tasks, task_folders, unfinished_config
from heinit_sim.simulation import (
    Simulated,
    Task,
    iter_sweep,
    pack,
    packed_size,
    task_list,
    unpack,
    versions,
)
from tests.configs import parsed

TEXT = """\
name: kept
network: {depth: 3, width: 4, input_dim: 5}
draws: independent
init: {scheme: he_normal}
sweep: {network.activation: [relu, tanh], network.width: [4, 5]}
record: {histograms: decades, cosine: true}
inputs: {count: 2}
trials: 3
"""
CONFIG = parsed(TEXT)
DONE = list(iter_sweep(CONFIG, 1))
FIRST = DONE[0]
LISTED = [done.task for done in DONE]
linked = pytest.mark.skipif(os.name == "nt", reason="needs pipes, devices and links")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A directory with all tasks of the run."""
    files = TaskFiles(tmp_path, CONFIG)
    files.begin()
    for done in DONE:
        files.write(done)
    return tmp_path


def path_of(directory: Path, number: int = 0) -> Path:
    (path,) = directory.glob(f".tasks/*/{number:07}.task")
    return path


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def read(directory: Path, number: int = 0, config: SweepConfig = CONFIG) -> Simulated | None:
    return TaskFiles(directory, config).read(LISTED[number])


def same(found: Simulated | None, expected: Simulated) -> bool:
    return found is not None and found.task is expected.task and pack(found) == pack(expected)


def resumed(directory: Path, config: SweepConfig = CONFIG) -> list[int]:
    """The numbers of the tasks that are done again."""
    again: list[int] = []

    def compute(left: list[Task]) -> Iterator[Simulated]:
        again.extend(task.number for task in left)
        return iter(done for done in DONE if done.task in left)

    found = list(TaskFiles(directory, config).resume(LISTED, compute))
    assert sorted(each.task.number for each in found) == list(range(len(DONE)))
    assert all(same(each, DONE[each.task.number]) for each in found)
    return again


def test_every_number_is_read_as_it_was_written(tmp_path: Path) -> None:
    special = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7e308, np.nextafter(1, 2)]
    result, *others = FIRST.results
    networks = {m: np.resize(special, array.shape) for m, array in result.networks.items()}
    largest = 2**63 - 1
    tallies = {q: np.full_like(counts, largest) for q, counts in result.tallies.items()}
    done = FIRST._replace(results=(result._replace(networks=networks, tallies=tallies), *others))
    TaskFiles(tmp_path, CONFIG).write(done)
    found = read(tmp_path)
    assert found is not None
    assert same(found, done)
    for ours, theirs in zip(found.results, done.results, strict=True):
        for part in ("networks", "tallies", "ratios", "outputs"):
            a, b = getattr(ours, part), getattr(theirs, part)
            assert list(a) == list(b)
            for x, y in zip(a.values(), b.values(), strict=True):
                assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
                assert x.base is None  # the whole file would stay in memory with a part of it


def test_the_bytes_are_as_many_as_the_task_says() -> None:
    for done in DONE:
        assert len(pack(done)) == packed_size(done.task)
    with pytest.raises(ValueError, match="bytes, must be"):
        unpack(FIRST.task, pack(FIRST)[:-1])
    plain = next(iter_sweep(parsed(TEXT.replace("record:", "#")), 1))
    assert packed_size(plain.task) < packed_size(FIRST.task)
    assert same(unpack(plain.task, pack(plain)), plain)


def test_a_file_that_ends_early_is_no_task(kept: Path) -> None:
    path = path_of(kept)
    content = path.read_bytes()
    header = content.index(b"\n", 65) + 1
    for length in [
        *range(0, header + 100, 3),
        *range(header + 100, len(content), 1997),
        len(content) - 1,
    ]:
        path.write_bytes(content[:length])
        assert read(kept) is None, length
    path.write_bytes(content + b"\0")
    assert read(kept) is None
    path.write_bytes(content)
    assert same(read(kept), FIRST)


def test_a_bit_that_flips_anywhere_makes_it_no_task(kept: Path) -> None:
    path = path_of(kept)
    content = bytearray(path.read_bytes())
    header = content.index(b"\n", 65) + 1
    places = [*range(header + 20), *range(header + 20, len(content), 1009), len(content) - 1]
    for place in places:
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        assert read(kept) is None, place
        content[place] ^= 1 << place % 8
    path.write_bytes(content)
    assert same(read(kept), FIRST)


def with_header(line: bytes, body: bytes) -> bytes:
    """A file whose checksum is right, whatever it holds."""
    rest = line + b"\n" + body
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


HEADERS = {
    "empty": b"",
    "a list": b"[1]",
    "a number": b"1",
    "null": b"null",
    "deep": b"[" * 4000,
    "deep and cut": b'{"a":' * 100_000,
    "a huge number": b'{"task": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"task": "\xff"}',
    "another task": b'{"task": 1, ',
    "a task of another type": b'{"task": "0", ',
    "no task": b"{",
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_says_anything_else_makes_it_no_task(case: str, kept: Path) -> None:
    path = path_of(kept)
    _, line, body = path.read_bytes().split(b"\n", 2)
    given = HEADERS[case]
    if given.startswith(b"{") and "task" in case:  # with the facts of this run
        facts = {k: v for k, v in json.loads(line).items() if k != "task"}
        given += json.dumps(facts).encode()[1:]
    path.write_bytes(with_header(line, body))
    assert same(read(kept), FIRST)
    path.write_bytes(with_header(given, body))
    assert read(kept) is None
    assert TaskFiles(kept, CONFIG).n_shards() == {1}


def put(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.touch()
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(2**40)
    else:
        path.symlink_to({"device": "/dev/zero", "link": "nowhere", "loop": path.name}[kind])


@linked
@pytest.mark.parametrize("kind", ["directory", "pipe", "empty", "large", "device", "link", "loop"])
def test_what_lies_in_the_place_of_a_task_is_neither_read_nor_waited_for(
    kind: str, kept: Path
) -> None:
    put(path_of(kept), kind)
    assert read(kept) is None
    assert TaskFiles(kept, CONFIG).n_shards() == {1}
    if kind == "directory":
        with pytest.raises(WriteError, match=r"0000000\.task: could not be written \(Is a direc"):
            resumed(kept)
    else:
        assert resumed(kept) == [0]
        assert path_of(kept).is_file()
        assert not path_of(kept).is_symlink()
    assert not [name for name in names(kept) if ".unfinished-" in name]


def test_missing_and_damaged_tasks_alone_are_done_again(kept: Path) -> None:
    assert resumed(kept) == []
    path_of(kept, 1).unlink()
    path_of(kept, 3).write_bytes(path_of(kept, 3).read_bytes()[:-1])
    path_of(kept, 0).write_bytes(path_of(kept, 2).read_bytes())
    assert resumed(kept) == [0, 1, 3]
    assert resumed(kept) == []


OTHERS: dict[str, Callable[[pytest.MonkeyPatch], SweepConfig]] = {
    "another config": lambda _: parsed(TEXT, "seed=1"),
    "heinit-sim 9.9, this is {}": lambda patch: with_versions(patch, {"heinit-sim": "9.9"}),
    "numpy 9.9, this is {}": lambda patch: with_versions(patch, {"numpy": "9.9"}),
    "stream_version 9, this is {}": lambda patch: with_stream(patch, 9),
}


def with_versions(patch: pytest.MonkeyPatch, other: dict[str, str]) -> SweepConfig:
    here = versions()
    patch.setattr(task_files, "versions", lambda: {**here, **other})
    return CONFIG


def with_stream(patch: pytest.MonkeyPatch, version: int) -> SweepConfig:
    patch.setattr(task_files, "STREAM_VERSION", version)
    return CONFIG


@pytest.mark.parametrize("difference", OTHERS)
def test_tasks_of_another_run_are_refused_by_name(
    difference: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = TaskFiles(kept, CONFIG)
    words = {**versions(), "stream_version": STREAM_VERSION}
    said = difference.format(words.get(difference.split()[0]))
    with monkeypatch.context() as patch:
        theirs = TaskFiles(kept, OTHERS[difference](patch))
        theirs.begin()
        theirs.write(FIRST)
    with pytest.raises(RunDirectoryError) as caught:
        ours.require_alone("do this")
    assert str(caught.value) == f"{theirs.config_path.parent}: holds tasks of {said}; do this"
    copied = ours.config_path.with_name("0000000.task")
    copied.write_bytes(theirs.config_path.with_name("0000000.task").read_bytes())
    with pytest.raises(RunDirectoryError) as caught:
        ours.read(FIRST.task)
    assert str(caught.value) == f"{copied}: a task of {said}; remove it"
    with pytest.raises(RunDirectoryError, match=r"holds tasks of 2 runs \("):
        unfinished_config(kept)


def test_the_order_of_conditions_makes_another_run_but_figures_and_expectations_do_not() -> None:
    def folder(config: SweepConfig) -> Path:
        return TaskFiles(Path(), config).config_path

    text = TEXT.replace("[relu, tanh], network.width: [4, 5]", "[relu, tanh]")
    keys = ["network.activation=relu,tanh", "init.bias=0,1"]
    one, other = (parsed(text.replace("sweep:", "#"), *order) for order in (keys, keys[::-1]))
    assert [c.swept for c in one.conditions] != [c.swept for c in other.conditions]
    assert folder(one) != folder(other)
    assert folder(CONFIG) != folder(parsed(TEXT, "network.width=5,4"))
    assert folder(CONFIG) == folder(parsed(TEXT, "figure.quantity=std"))
    assert folder(CONFIG) == folder(parsed(f"{TEXT}expect: {{forward: stable}}"))
    assert folder(CONFIG) == folder(replace(CONFIG, made_by="somebody"))


def test_a_folder_without_tasks_is_nobodys(tmp_path: Path) -> None:
    folder = tmp_path / ".tasks" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / ".unfinished-0").touch()
    (folder / "notes.txt").touch()
    TaskFiles(tmp_path, CONFIG).require_alone("do this")
    with pytest.raises(RunDirectoryError, match="holds no tasks of a run"):
        unfinished_config(tmp_path)
    TaskFiles(tmp_path, parsed(TEXT, "seed=1")).begin()  # of which none is done
    with pytest.raises(RunDirectoryError, match="holds tasks of another run; do this"):
        TaskFiles(tmp_path, CONFIG).require_alone("do this")


def test_the_config_beside_the_tasks_is_theirs(kept: Path) -> None:
    assert TaskFiles(Path(), unfinished_config(kept)).config_path.parent.name == (
        path_of(kept).parent.name
    )
    path = TaskFiles(kept, CONFIG).config_path
    os.utime(path, (1, 1))
    TaskFiles(kept, CONFIG).begin()
    assert path.stat().st_mtime == 1  # as it was
    path.write_text("cut", "utf-8")
    TaskFiles(kept, CONFIG).begin()
    assert task_list(unfinished_config(kept)) == LISTED


def test_discarding_leaves_files_of_the_user(kept: Path) -> None:
    other = TaskFiles(kept, parsed(TEXT, "seed=1"))
    other.begin()
    other.write(FIRST)
    folder = path_of(kept, 1).parent
    (folder / ".unfinished-4711").touch()
    mine = [".tasks/notes.txt", f".tasks/{folder.name}/mine.txt", "layers.csv"]
    for name in mine:
        (kept / name).touch()
    assert count_tasks(kept) == len(DONE) + 1
    TaskFiles(kept, CONFIG).discard(others=True)
    assert count_tasks(kept) == len(DONE)
    assert resumed(kept) == []
    TaskFiles(kept, CONFIG).discard()
    assert names(kept) == sorted([".tasks", f".tasks/{folder.name}", *mine])
    for name in mine:
        (kept / name).unlink()
    TaskFiles(kept, CONFIG).discard()
    assert task_folders(kept) == []
    (kept / ".tasks" / folder.name).rmdir()
    TaskFiles(kept, CONFIG).discard()
    assert names(kept) == []


def test_whoever_clears_the_folder_another_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, replaced = TaskFiles(tmp_path, CONFIG), Path.replace
    cleared: list[Path] = []

    def late(path: Path, target: Path) -> Path:
        if not cleared:  # a process of the same run is done and clears up
            TaskFiles(tmp_path, CONFIG).discard()
            cleared.append(path)
        return replaced(path, target)

    files.begin()
    monkeypatch.setattr(Path, "replace", late)
    files.write(FIRST)
    assert cleared
    assert same(read(tmp_path), FIRST)


def test_two_writers_of_one_run_disturb_neither_each_other_nor_a_reader(tmp_path: Path) -> None:
    def write() -> None:
        for _ in range(20):
            TaskFiles(tmp_path, CONFIG).write(FIRST)

    threads = [threading.Thread(target=write) for _ in range(2)]
    TaskFiles(tmp_path, CONFIG).write(FIRST)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert same(read(tmp_path), FIRST)
    assert [name for name in names(tmp_path) if "unfinished" in name] == []


@pytest.mark.skipif(sys.platform == "win32", reason="this is done there")
def test_on_windows_a_task_that_another_process_reads_is_left_as_it_is(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(*_: object) -> None:
        raise PermissionError(13, "used by another process")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", shared)
        with pytest.raises(WriteError, match="used by another process"):
            TaskFiles(kept, CONFIG).write(FIRST)
    before = names(kept)
    path = path_of(kept)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", shared)
        patch.setattr(task_files, "_IS_WINDOWS", True)
        TaskFiles(kept, CONFIG).write(FIRST)
        path.unlink()
        with pytest.raises(WriteError, match="used by another process"):
            TaskFiles(kept, CONFIG).write(FIRST)
    assert names(kept) == [name for name in before if not name.endswith(path.name)]


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_tasks_can_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        TaskFiles(tmp_path, CONFIG).write(FIRST)
    finally:
        os.umask(before)
    assert path_of(tmp_path).stat().st_mode & 0o777 == 0o640
