"""What each kind of figure needs of a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from heinit_sim.experiment.sweep_config import FigureKind, SweepConfig

ONLY_FOR: dict[str, tuple[FigureKind, ...]] = {"decades": ("layers", "end"), "overlay": ("layers",)}
"""Key of the figure -> the kinds that heed it."""


def swept_number(sweep: Mapping[str, Sequence[object]]) -> str | None:
    """The first path of a sweep with two or more values that are all numbers; None without one.

    A width that is given layer by layer is no number, nor is true or false.
    """
    for path, values in sweep.items():
        if len(values) > 1 and all(map(_is_number, values)):
            return path
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def misfit(config: SweepConfig) -> str | None:
    """Why the figure cannot be of its config's kind: what is wrong, given and allowed."""
    kind = config.figure.kind
    return _NEEDS[kind](config) if kind in _NEEDS else None


def _number(config: SweepConfig) -> str | None:
    if swept_number(config.sweep):
        return None
    kind = config.figure.kind
    return f"no number is swept ({kind}), must have two or more numbers under a key of sweep"


def _slopes(config: SweepConfig) -> str | None:
    if min(condition.depth for condition in config.conditions) == 1:
        return "one hidden layer has no slope (slopes), must have 2 or more in every condition"
    return _number(config)


def _networks(config: SweepConfig) -> str | None:
    if config.trials > 1:
        return None
    return "one network has no spread (spread), must have trials of 2 or more"


def _histograms(config: SweepConfig) -> str | None:
    if config.histograms:
        return None
    return "no histograms are recorded (ridges), must have record.histograms, decades or std"


def _cosine(config: SweepConfig) -> str | None:
    if config.cosine:
        return None
    return "no cosines are recorded (cosine), must have record.cosine: true"


_NEEDS: Mapping[FigureKind, Callable[[SweepConfig], str | None]] = {
    "end": _number,
    "slopes": _slopes,
    "spread": _networks,
    "ridges": _histograms,
    "cosine": _cosine,
}
