"""Figures as files, alone or with a table: the same bytes each time."""

import re
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.sweep_config import FigureConfig, FigureFormat, SweepConfig
from heinit_sim.runs import atomic_write, journal
from heinit_sim.runs.manifest import MANIFEST, is_run_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heinit_sim.figures import Step

NAME = "forward_backward"
"""The name of the two-panel figure's files, without their suffixes."""
STEP = re.compile(rf"{NAME}-step-(\d+)\.(png|svg)")
"""The file of one step."""
BUILDS = re.compile(rf"{STEP.pattern}|{NAME}-builds\.pdf")
"""Whatever files the figure step by step may have."""


def _files(suffix: FigureFormat, name: str) -> tuple[str, ...]:
    """Return the files of one format: of LaTeX, the document and the table that it reads."""
    return (f"{name}.{suffix}", *([f"{name}_lines.csv"] if suffix == "tex" else []))


FIGURES = tuple(file for suffix in get_args(FigureFormat) for file in _files(suffix, NAME))
"""Whatever files the two-panel figure may have."""


def figure_names(config: FigureConfig, name: str = NAME) -> tuple[str, ...]:
    """The files of a figure, in the formats that its config asks for."""
    return tuple(file for suffix in config.formats for file in _files(suffix, name))


def write_figure(
    figure: "Figure", directory: Path, config: FigureConfig, name: str = NAME
) -> tuple[str, ...]:
    """Write a figure in the formats of its config, byte for byte the same for the same figure.

    Returns:
        The names of its files.
    """
    from heinit_sim.figures import METADATA, to_pgfplots

    for suffix in config.formats:
        path, *tables = (directory / file for file in _files(suffix, name))
        if suffix in METADATA:
            figure.savefig(path)
        for table in tables:
            document, numbers = to_pgfplots(figure, table.name)
            path.write_text(document, "utf-8", newline="\n")
            table.write_text(numbers, "utf-8", newline="\n")
    return figure_names(config, name)


def write_builds(
    figure: "Figure", steps: "Sequence[Step]", directory: Path, config: FigureConfig
) -> tuple[str, ...]:
    """Write a figure step by step: a file for each, or of a PDF a page for each.

    Returns:
        The names of the files.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    from heinit_sim.figures import METADATA, saving, showing

    names = []
    for suffix in config.formats:
        if suffix == "pdf":
            names.append(f"{NAME}-builds.pdf")
            path = directory / names[-1]
            with saving(config), PdfPages(path, metadata=METADATA["pdf"]) as pages:
                for step in steps:
                    with showing(steps, step):
                        figure.savefig(pages, format="pdf")
            continue
        for number, step in enumerate(steps):
            names.append(f"{NAME}-step-{number}.{suffix}")
            with showing(steps, step):
                figure.savefig(directory / names[-1])
    return tuple(names)


def later_steps(names: Iterable[str], present: Container[str]) -> list[str]:
    """Return the files of an earlier, longer series that follow the steps among `names`."""
    last: dict[str, int] = {}
    for step in filter(None, map(STEP.fullmatch, names)):
        last[step[2]] = max(int(step[1]), last.get(step[2], 0))
    following = (
        takewhile(present.__contains__, (f"{NAME}-step-{n}.{suffix}" for n in count(number + 1)))
        for suffix, number in last.items()
    )
    return [name for series in following for name in series]


def export(directory: Path, write: Callable[[Path], tuple[str, ...]]) -> tuple[str, ...]:
    """Write figures into a directory that is not a run's.

    Args:
        directory: The directory, which need not be there. Of an earlier series of more steps,
            those that follow the new ones go.
        write: Writes files into a directory and returns their names.

    Returns:
        The names of its files.

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
        names = write(staged)
        journal.commit(
            directory, staged, names, later_steps(names, atomic_write.entries(directory))
        )
    return names


def write_prediction(
    name: str, text: str, figure: "Figure", directory: Path, config: SweepConfig, *, force: bool
) -> tuple[str, ...]:
    """Write `name`.csv and the figure under that name too, each of them whole.

    Raises:
        RunDirectoryError: One of them is there and `force` is not given, or a run of another config
            than what is predicted.
        WriteError: They cannot be written.
    """
    directory = directory.resolve()
    names = (f"{name}.csv", *figure_names(config.figure, name))
    journal.finish(directory)
    there = atomic_write.entries(directory)
    if MANIFEST in there and not is_run_of(directory, config):
        raise RunDirectoryError(f"{directory}: is a run of another config; give another --out")
    present = there.intersection(names)
    if present and not force:
        raise RunDirectoryError(f"{directory / min(present)}: exists; give --force to replace it")
    with journal.staging(directory) as staged:
        (staged / names[0]).write_text(text, "utf-8", newline="\n")
        write_figure(figure, staged, config.figure, name)
        journal.commit(directory, staged, names)
    return names
