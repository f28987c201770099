"""Figures as files, alone or with a table: PNG, SVG and PDF, the same bytes each time."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.runs import atomic_write, journal
from heinit_sim.runs.manifest import MANIFEST, config_hash, read_manifest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# No date in any of them: the same figure gives the same bytes.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FIGURES = tuple(f"forward_backward.{suffix}" for suffix in _METADATA)
"""The files of the two-panel figure."""


def write_figure(figure: "Figure", directory: Path, names: Sequence[str] = FIGURES) -> None:
    """Write PNG, SVG and PDF, byte for byte the same for the same figure."""
    from heinit_sim.figures import saving

    with saving():
        for name in names:
            suffix = name.rpartition(".")[2]
            figure.savefig(directory / name, dpi=200, metadata=_METADATA[suffix])


def export_figure(figure: "Figure", directory: Path) -> None:
    """Write the figure as PNG, SVG and PDF into a directory that is not a run's.

    Raises:
        RunDirectoryError: It is a run directory, whose figure is that of its config.
        WriteError: It cannot be written.
    """
    directory = directory.resolve()
    if (directory / MANIFEST).exists():
        raise RunDirectoryError(
            f"{directory}: is a run with a figure of its own; give another --out"
        )
    with journal.staging(directory) as staged:
        write_figure(figure, staged)
        journal.commit(directory, staged, FIGURES)


def write_prediction(
    name: str, text: str, figure: "Figure", directory: Path, config: SweepConfig, *, force: bool
) -> tuple[str, ...]:
    """Write `name`.csv and the figure as `name`.png, .svg and .pdf, each of them whole.

    Raises:
        RunDirectoryError: One of them is there and `force` is not given, or a run of another config
            than what is predicted.
        WriteError: They cannot be written.
    """
    directory = directory.resolve()
    figures = tuple(f"{name}.{suffix}" for suffix in _METADATA)
    names = (f"{name}.csv", *figures)
    journal.finish(directory)
    there = atomic_write.entries(directory)
    if MANIFEST in there and read_manifest(directory).get("config_sha256") != config_hash(config):
        raise RunDirectoryError(f"{directory}: is a run of another config; give another --out")
    present = there.intersection(names)
    if present and not force:
        raise RunDirectoryError(f"{directory / min(present)}: exists; give --force to replace it")
    with journal.staging(directory) as staged:
        (staged / names[0]).write_text(text, "utf-8", newline="\n")
        write_figure(figure, staged, figures)
        journal.commit(directory, staged, names)
    return names
