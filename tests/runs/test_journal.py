import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.runs import journal

OLD = {"a.csv": "old a", "b.csv": "old b", "gone.csv": "old"}
NEW = {"a.csv": "new a", "b.csv": "new b", "more.csv": "new"}
MINE = {"notes.txt": "mine", "cosines.csv": "mine too"}
STEPS = ("link", "rename", "replace", "unlink", "fsync", "mkdir")
"""Functions of `os` that change a disk or wait for it."""


class Killed(BaseException):
    """The process ends here: nothing after it reaches the disk."""


def texts(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


def replace_files(directory: Path) -> None:
    with journal.staging(directory) as staged:
        for name, text in NEW.items():
            (staged / name).write_text(text)
        journal.commit(directory, staged, tuple(NEW), OLD)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    for name, text in (OLD | MINE).items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bool], list[str]]]:
    """Break the n-th call that changes a disk: an error once, or the end of the process."""

    def broken(number: int, killed: bool) -> list[str]:
        calls: list[str] = []

        def wrap(step: str) -> None:
            original = getattr(os, step)

            def counted(*args: object, **kwargs: object) -> object:
                calls.append(step)
                if killed and len(calls) >= number:
                    raise Killed
                if len(calls) == number:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return original(*args, **kwargs)

            monkeypatch.setattr(os, step, counted)

        for step in STEPS:
            wrap(step)
        if killed:  # nor does any cleaning up
            monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
            monkeypatch.setattr(os, "rmdir", lambda *_, **__: None)
        return calls

    yield broken
    monkeypatch.undo()


def test_files_are_replaced_and_no_other_is_touched(directory: Path) -> None:
    (directory / "a.csv").chmod(0o640)
    inode = (directory / "notes.txt").stat().st_ino
    replace_files(directory)
    assert texts(directory) == NEW | MINE
    assert stat.S_IMODE((directory / "a.csv").stat().st_mode) == 0o640
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (directory / "notes.txt").stat().st_ino == inode
    assert len(list(directory.iterdir())) == len(NEW | MINE)  # no staging is left


@pytest.mark.parametrize("killed", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("number", range(1, 19))
def test_whatever_fails_the_files_are_the_old_ones_or_the_new_ones(
    number: int, killed: bool, directory: Path, at_step: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    at_step(number, killed)
    raised: BaseException | None = None
    try:
        replace_files(directory)
    except (WriteError, Killed) as error:
        raised = error
    monkeypatch.undo()
    committed = (directory / journal.JOURNAL).exists() or texts(directory) == NEW | MINE
    if isinstance(raised, WriteError):
        assert ("nothing there was changed" in str(raised)) == (not committed)
    journal.finish(directory)
    found = texts(directory)
    assert found in (OLD | MINE, NEW | MINE)
    assert (found == NEW | MINE) == committed
    assert raised is not None or found == NEW | MINE


def test_the_faults_reach_the_last_step(directory: Path, at_step: Callable[..., list[str]]) -> None:
    calls = at_step(10**6, False)
    replace_files(directory)
    assert 10 < len(calls) <= 18


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{" * 10_000,
        "[" * 60_000,
        json.dumps({"staging": ".heinit-sim-x", "files": {"../a": "0"}, "obsolete": []}),
        json.dumps({"staging": ".heinit-sim-x", "files": {"a.csv": "0"}, "obsolete": ["/etc/x"]}),
        json.dumps({"staging": ".heinit-sim-x", "files": {}, "obsolete": [".."]}),
        json.dumps({"staging": ".heinit-sim-x", "files": {"": "0"}, "obsolete": []}),
        json.dumps({"staging": "x", "files": {}, "obsolete": []}),
        json.dumps({"staging": ".heinit-sim-x", "files": {"a.csv": "0" * 64}, "obsolete": []}),
        json.dumps({"staging": ".heinit-sim-x", "files": {"a.csv": 1}, "obsolete": []}),
        "x" * 70_000,
    ],
)
def test_a_journal_that_cannot_be_finished_is_refused_and_changes_nothing(
    content: str, directory: Path
) -> None:
    (directory / journal.JOURNAL).write_text(content)
    before = texts(directory)
    with pytest.raises(RunDirectoryError, match=r"journal\.json: says .* cannot be finished"):
        journal.finish(directory)
    assert texts(directory) == before


def test_a_second_writer_is_refused_while_a_journal_is_there(directory: Path) -> None:
    with journal.staging(directory) as staged:
        (staged / "a.csv").write_text("other")
        (directory / journal.JOURNAL).write_text("of somebody else")
        with pytest.raises(RunDirectoryError, match="another process writes there"):
            journal.commit(directory, staged, ("a.csv",))
    assert (directory / "a.csv").read_text() == "old a"
    assert [path.name for path in directory.iterdir() if path.is_dir()] == []


def test_what_was_made_and_not_filled_goes_again(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match="No space left"),
        journal.staging(tmp_path / "deep" / "run"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gone", [True, False])
def test_another_process_may_finish_a_replacement_first(
    *, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / journal.JOURNAL).write_text(
        '{"staging": ".heinit-sim-a", "files": {}, "obsolete": []}'
    )

    def overtaken(directory: Path, _steps: object) -> None:
        if gone:
            (directory / journal.JOURNAL).unlink()
        raise FileNotFoundError

    monkeypatch.setattr(journal, "_carry_out", overtaken)
    with nullcontext() if gone else pytest.raises(RunDirectoryError, match="cannot be finished"):
        journal.finish(tmp_path)
