"""Progress on stderr: a line at times through a pipe, a bar on a terminal."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from heinit_sim.cli import progress
from heinit_sim.errors import WriteError
from heinit_sim.runs import TaskFiles
from heinit_sim.simulation import Simulated, tasks
from tests.commands import files, heinit_sim, printed

CONFIG = """
name: small
network: {depth: 5, width: 12, input_dim: 8}
init: {scheme: he_normal}
trials: 200
"""
LINE = re.compile(r"(small|verify): (\d+) of (\d+) networks(?:, about (\d+) s left)?")


class Part(NamedTuple):
    networks: int
    work: float


class Clock:
    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, where lines come 30,000 times as often and tasks are short."""
    (tmp_path / "small.yaml").write_text(CONFIG, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_PERIOD", 0.001)
    monkeypatch.setattr(tasks, "_SHORTEST", 0.001)
    return tmp_path


def lines(stderr: str) -> list[tuple[str, ...]]:
    return [match.groups() for line in stderr.splitlines() if (match := LINE.fullmatch(line))]


NARROW, WIDE = Part(10, 1.0), Part(10, 16.0)


def test_the_time_left_goes_by_work_where_the_wide_networks_take_longest(clock: Clock) -> None:
    parts = [NARROW] * 4 + [WIDE] * 4
    meter = progress._Meter("sweep", parts, parts)
    assert str(meter) == "sweep: 0 of 80 networks"
    for n_done, part in enumerate(parts[:-1], 1):
        clock.now += 3 * part.work  # seconds of this machine
        meter.add(part)
        left = 3 * sum(part.work for part in parts[n_done:])
        text = progress._duration(left)
        assert str(meter) == f"sweep: {10 * n_done} of 80 networks, about {text} left"
    assert left == 48


def test_networks_of_before_count_as_done_but_say_nothing_of_the_speed(clock: Clock) -> None:
    parts = [Part(5, 1.0)] * 100
    meter = progress._Meter("resumed", parts[90:], parts)
    assert str(meter) == "resumed: 450 of 500 networks"
    clock.now += 2
    meter.add(parts[90])
    assert str(meter) == "resumed: 455 of 500 networks, about 18 s left"


def test_what_is_under_way_neither_slows_nor_ends_the_rest(clock: Clock) -> None:
    parts = [Part(1, 20.0)] * 3
    meter = progress._Meter("long", parts, parts)
    clock.now += 20
    meter.add(parts[0])
    for passed, left in ((0, 40), (15, 25), (100, 0)):
        clock.now = 120 + passed
        assert str(meter) == f"long: 1 of 3 networks, about {left} s left"


@pytest.mark.parametrize("name", ["short", "a_long_name_of_a_config_that_somebody_chose"])
def test_name_and_bar_give_way_to_the_words(name: str, clock: Clock) -> None:
    parts = [Part(10, 1.0)] * 100
    meter = progress._Meter(name, parts, parts)
    clock.now += 3600
    for part in parts[:30]:
        meter.add(part)
    words = " 300 of 1000 networks, about 2.3 h left"
    for width in (42, 60, 80, 200):
        (line,) = printed(meter, width)
        assert line.endswith(words)
        assert len(line) <= min(width, 24 + 1 + 40 + len(words))
    assert line.startswith(f"{name if name == 'short' else name[:23] + '…'} ━━")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (5399.0, "90 min"),
        (5400.0, "1.5 h"),
        (172799.0, "48.0 h"),
        (864000.0, "10.0 days"),
    ],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text


COMMANDS = {
    "run": ("run", "small.yaml", "--no-plots"),
    "threads": ("run", "small.yaml", "--no-plots", "-j", 2),
    "shard": ("run", "small.yaml", "--shard", "2/2"),
    "check": ("check", "small.yaml"),
    "verify": ("verify", "--networks", 100),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_gets_lines_and_stdout_none_of_them(command: str, folder: Path) -> None:
    found = heinit_sim(*COMMANDS[command])
    assert found.returncode == 0, found.stderr
    told = lines(found.stderr)
    counts = [int(line[1]) for line in told]
    assert counts == sorted(counts)
    (total,) = {line[2] for line in told}
    if command == "shard":
        assert 75 < int(total) < 125
    elif command != "verify":
        assert int(total) == 200
    assert any(line[3] for line in told)
    assert lines(found.stdout) == []
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_quiet_says_nothing_and_json_stays_one_document(folder: Path) -> None:
    run = ("run", "small.yaml", "--no-plots", "--trials", 100, "--force", "--json")
    loud, quiet = heinit_sim(*run), heinit_sim(*run, "-q")
    assert lines(loud.stderr)
    assert quiet.stderr == ""
    assert loud.stdout == quiet.stdout
    assert json.loads(loud.stdout)["name"] == "small"


def test_a_resumed_run_counts_the_networks_of_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heinit_sim.cli.run._KEPT_FROM", 0.0)
    write = TaskFiles.write
    kept: list[Simulated] = []

    def until_full(self: TaskFiles, done: Simulated, *rest: int) -> None:
        if len(kept) == 5:
            raise WriteError("no space")
        kept.append(done)
        write(self, done, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TaskFiles, "write", until_full)
        failed = heinit_sim("run", "small.yaml", "--no-plots", "-j", 1)
    assert failed.returncode == 1
    assert not any(thread.name == "progress" for thread in threading.enumerate())
    n_before = sum(done.task.networks for done in kept)
    assert 0 < n_before < 200
    resumed = heinit_sim("run", "small.yaml", "--no-plots", "-j", 1)
    assert resumed.returncode == 0
    counts = [int(line[1]) for line in lines(resumed.stderr)]
    assert min(counts) >= n_before


terminals = pytest.mark.skipif(os.name == "nt", reason="Windows has other terminals")


class Terminal:
    """A command on a terminal of some columns, and what that shows."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self._end, other = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "heinit_sim", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=other,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "80", **environment},
        )
        os.close(other)
        self.shown = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)

    def wait(self, until: bytes = b"") -> str:
        """Everything that is shown until some bytes are, or until the command ends."""
        with contextlib.suppress(OSError):  # the other end is gone
            while (not until or until not in self.shown) and (part := os.read(self._end, 65536)):
                self.shown += part
        return self.shown.decode()


@pytest.mark.slow
@terminals
def test_a_terminal_gets_a_bar_that_leaves_nothing_and_changes_no_number(folder: Path) -> None:
    run = ("run", "small.yaml", "--no-plots", "--out")
    assert heinit_sim(*run, "piped").returncode == 0
    with Terminal(*run, "shown") as terminal:
        shown = terminal.wait()
        assert terminal.process.wait() == 0
    frames = [re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", frame) for frame in re.split("[\r\n]+", shown)]
    bars = [frame for frame in frames if "━" in frame]
    assert re.match(r"small ━+ \d+ of 200 networks", bars[0])
    assert any(re.search(r" 200 of 200 networks, about 0 s left$", bar) for bar in bars)
    assert all(len(bar) <= 80 for bar in bars)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert "━" not in shown[shown.rindex("\x1b[2K") :]
    runs = [files(folder / out) for out in ("piped", "shown")]
    for name in ("networks.npz", "layers.csv"):
        assert runs[0][name] == runs[1][name]


@terminals
@pytest.mark.slow
def test_a_signal_gives_the_cursor_back_and_a_narrow_terminal_keeps_the_time(folder: Path) -> None:
    arguments = ("run", "small.yaml", "--trials", 200_000, "-j", 1)
    with Terminal(*arguments, COLUMNS="60") as terminal:
        terminal.wait(b" left")
        for _ in range(3):  # as of someone who has no patience
            terminal.process.send_signal(signal.SIGINT)
            time.sleep(0.03)
        shown = terminal.wait()
        assert terminal.process.wait() == 130
    assert re.search(r"of 200000 networks, about \d+ (s|min) left", shown)
    assert shown.count("stopped by SIGINT") == 1
    assert "Traceback" not in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@terminals
@pytest.mark.slow
@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_animation_a_terminal_gets_lines(variable: dict[str, str], folder: Path) -> None:
    with Terminal("run", "small.yaml", "--no-plots", **variable) as terminal:
        shown = terminal.wait()
    assert "\x1b" not in shown
    assert "━" not in shown
