"""Seconds of calls that are compared with each other."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 3,
    seconds: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, so that a busy moment hits them all.

    Args:
        calls: What is timed, by name.
        rounds: So many turns at least.
        seconds: So long at least, all calls together.
        clock: Tells the seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    start = clock()
    while clock() - start < seconds or any(len(taken) < rounds for taken in times.values()):
        for name, call in calls.items():
            before = clock()
            call()
            times[name].append(clock() - before)
    return {name: statistics.median(taken) for name, taken in times.items()}
