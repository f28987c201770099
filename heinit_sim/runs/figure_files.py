"""Figures as files, alone or with a table: the same bytes each time."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.sweep_config import FigureConfig, FigureFormat, SweepConfig
from heinit_sim.runs import atomic_write, journal
from heinit_sim.runs.manifest import MANIFEST, is_run_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heinit_sim.figures import Picture, Step

NAME = "forward_backward"
"""The name of the two-panel figure's files, without their suffixes."""
STEP = re.compile(rf"{NAME}-step-(\d+)\.(png|svg)")
"""The file of one step."""
OTHERS = re.compile(rf"{STEP.pattern}|{NAME}-builds\.(pdf|pptx)|{NAME}\.(gif|pptx)")
"""Whatever files the figure may have beside its own: step by step, in motion, as slides."""
_COLORS = 128  # of a GIF


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

    from heinit_sim.figures import METADATA, lean_fonts, saving, showing

    names = []
    for suffix in config.formats:
        if suffix == "pdf":
            names.append(f"{NAME}-builds.pdf")
            path = directory / names[-1]
            with (
                saving(config),
                lean_fonts(),
                PdfPages(path, metadata=METADATA["pdf"]) as pages,  # writes fonts at its end
            ):
                for step in steps:
                    with showing(steps, step):
                        figure.savefig(pages, format="pdf")
            continue
        for number, step in enumerate(steps):
            names.append(f"{NAME}-step-{number}.{suffix}")
            with showing(steps, step):
                figure.savefig(directory / names[-1])
    return tuple(names)


def write_gif(pictures: "Iterable[Picture]", directory: Path) -> tuple[str, ...]:
    """Write pictures of one size as a GIF that begins again at its end, in colours of the last.

    Returns:
        The name of its file.
    """
    from PIL import Image

    changes: list[tuple[slice, slice, NDArray[np.uint8]]] = []
    durations, before = [], None
    for picture in pictures:
        rows, columns = _changed(picture.pixels, before)
        changes.append((rows, columns, picture.pixels[rows, columns]))
        durations.append(picture.duration)
        before = picture.pixels
    assert before is not None
    colors = Image.fromarray(before).quantize(_COLORS)
    palette = np.reshape(np.array(colors.getpalette(), np.uint8), (-1, 3))
    palette[np.asarray(colors)[0, 0]] = before[0, 0]  # the ground, which is wide, as it is
    colors.putpalette(palette.tobytes())

    def frames() -> Iterator[Image.Image]:
        indices = np.zeros(before.shape[:2], np.uint8)
        for rows, columns, pixels in changes:
            part = Image.fromarray(pixels).quantize(palette=colors, dither=Image.Dither.NONE)
            indices[rows, columns] = np.asarray(part)
            frame = Image.fromarray(indices.copy(), "P")
            frame.putpalette(palette.tobytes())
            yield frame

    first, *others = frames()
    name = f"{NAME}.gif"
    options: dict[str, Any] = {"duration": durations, "loop": 0, "disposal": 1, "optimize": False}
    first.save(directory / name, save_all=True, append_images=others, **options)
    return (name,)


def _changed(
    pixels: "NDArray[np.uint8]", before: "NDArray[np.uint8] | None"
) -> tuple[slice, slice]:
    """Return the rows and columns in which a picture differs from the one before it."""
    if before is None or not (differs := (pixels != before).any(2)).any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


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
