from pathlib import Path

import pytest

from heinit_sim.simulation.memory import available_bytes

GIB = 2**30


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    return root


MACHINE: dict[str, object] = {
    "proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {8 * GIB // 1024} kB\n"
}
V2: dict[str, object] = {"proc/self/cgroup": "0::/job/step\n"}
V1: dict[str, object] = {"proc/self/cgroup": "9:cpu:/x\n4:cpuset,memory:/job\n0::/\n"}
GROUPS: dict[str, tuple[dict[str, object], int]] = {
    "machine alone": ({}, 8 * GIB),
    "no limit": (V2 | {"sys/fs/cgroup/job/step/memory.max": "max"}, 8 * GIB),
    "limit of the group": (
        V2
        | {
            "sys/fs/cgroup/job/step/memory.max": 3 * GIB,
            "sys/fs/cgroup/job/step/memory.current": 2 * GIB,
            "sys/fs/cgroup/job/step/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
        },
        3 * GIB // 2,
    ),
    "limit of the group above": (
        V2
        | {
            "sys/fs/cgroup/job/step/memory.max": "max",
            "sys/fs/cgroup/job/memory.max": GIB,
            "sys/fs/cgroup/job/memory.current": 2 * GIB,
        },
        0,
    ),
    "version 1": (
        V1
        | {
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": 2 * GIB,
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": GIB,
            "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 7\n",
        },
        GIB + 7,
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_smallest_limit_counts(name: str, tmp_path: Path) -> None:
    files, expected = GROUPS[name]
    assert available_bytes(write(tmp_path, MACHINE | files)) == expected


def test_a_system_that_does_not_say_sets_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.sysconf", raising=False)
    assert available_bytes(tmp_path) is None


def test_this_machine_has_memory_left() -> None:
    left = available_bytes()
    assert left is None or left > 2**20
