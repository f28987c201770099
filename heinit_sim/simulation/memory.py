"""Memory that this process may still take: of the machine, and of the container it runs in."""

import os
from pathlib import Path


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes left to this process; None where the system does not say.

    Args:
        root: Where `proc` and `sys` are.
    """
    left = [_machine_bytes(root), *_container_bytes(root)]
    return min((number for number in left if number is not None), default=None)


def _machine_bytes(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows; a Mac does not count free pages
        return None


def _container_bytes(root: Path) -> list[int]:
    """Return the memory that each control group above the process has left, of version 2 and 1."""
    left = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = base / path.lstrip("/")
        for directory in (group, *group.parents[: len(group.relative_to(base).parts)]):
            most, used = _text(directory / limit).strip(), _text(directory / usage).strip()
            if most.isdecimal() and used.isdecimal():  # else "max", or no such file
                left.append(max(int(most) - int(used) + _reclaimable(directory), 0))
    return left


def _reclaimable(directory: Path) -> int:
    """Bytes of files in a control group's cache, which give way when memory is short."""
    words = (line.split() for line in _text(directory / "memory.stat").splitlines())
    facts = {name: int(number) for name, number in words}
    return facts.get("inactive_file", facts.get("total_inactive_file", 0))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
