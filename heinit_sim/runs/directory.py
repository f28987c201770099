"""The only writer of run directories, and their reader."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from heinit_sim import checks
from heinit_sim.checks import Comparison
from heinit_sim.config import Overrides, load_config, to_yaml
from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.labels import printable
from heinit_sim.experiment.records import RATIO_FILES
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.experiment.width_groups import WIDTH_SLOPES_FILE, has_width_slopes
from heinit_sim.reports import Row, csv_files, summary_rows_from_csv
from heinit_sim.reports.page import MADE
from heinit_sim.runs import atomic_write, journal, manifest
from heinit_sim.runs.arrays import from_arrays, read_arrays, to_arrays
from heinit_sim.runs.figure_files import FIGURES, OTHERS, figure_names, later_steps, write_figure
from heinit_sim.runs.manifest import MANIFEST, checked_file
from heinit_sim.runs.task_files import TASKS, count_tasks
from heinit_sim.simulation import with_theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = 10
"""Most files that are named."""
_TABLES = ("layers.csv", "summary.csv", "networks.npz", "config.yaml")
_ALL = (*_TABLES, *RATIO_FILES.values(), WIDTH_SLOPES_FILE, *FIGURES, MANIFEST)
"""Whatever a run may hold, the file that makes it complete last."""


def _is_of_run(name: str) -> bool:
    return name in _ALL or bool(OTHERS.fullmatch(name))


def run_files(config: SweepConfig, *, plots: bool) -> tuple[str, ...]:
    """The names of the files that a run of the config writes."""
    recorded = [RATIO_FILES[name] for name in config.record.ratio_records]
    recorded += [WIDTH_SLOPES_FILE] * has_width_slopes(config)
    figures = figure_names(config.figure) if plots else ()
    return (*_TABLES, *recorded, *figures, MANIFEST)


def redrawn_files(directory: Path, config: SweepConfig) -> tuple[str, ...]:
    """The names of the files that are written where the figure of a saved run is drawn anew.

    Raises:
        RunDirectoryError: It is not a run directory.
    """
    same = manifest.read_manifest(directory).get("config_sha256") == manifest.config_hash(config)
    return (*figure_names(config.figure), *([] if same else ["config.yaml"]), MANIFEST)


def check_target(
    directory: Path, names: Sequence[str], *, force: bool, difference: str = ""
) -> set[str]:
    """Refuse a target that cannot be written, or whose results or other files a run would replace.

    Args:
        directory: The target.
        names: The files that the run writes.
        force: Whether results may be replaced.
        difference: How they differ from the run's, for the message.

    Returns:
        The files of the run that is there, which `force` gives up.

    Raises:
        RunDirectoryError: The directory holds results and `force` is not given, or a file of one
            of the names that is no run's, or has no place on the disk.
    """
    directory = directory.resolve()
    present = atomic_write.entries(directory)
    files: set[str] = set()
    if MANIFEST in present:
        listed = {MANIFEST, *manifest.read_manifest(directory)["files"]}
        files = {name for name in filter(_is_of_run, listed) if not (directory / name).is_dir()}
        if not force:
            results = f"results ({difference})" if difference else "results"
            raise RunDirectoryError(
                f"{directory}: already holds {results}; give --force to replace them or --out for "
                "another directory"
            )
    if taken := present.intersection(names) - files:
        raise RunDirectoryError(
            f"{directory / min(taken)}: is no run's file, so no run replaces it; move it or give "
            "another --out"
        )
    return files


def check_file(path: Path, option: str, run: Path | None = None) -> None:
    """Refuse a file that `put_text` could not write, or that is one of a run's own.

    Args:
        path: The file.
        option: The option that names it.
        run: A run directory that will be written before the file.

    Raises:
        RunDirectoryError: It is a directory, in none that can be written, or in a run's place.
    """
    try:
        target = path.resolve()
        if path.is_dir() or (run is not None and target in (run.resolve(), *run.resolve().parents)):
            raise RunDirectoryError(f"{option}: error: {path} is a directory, must be a file")
        if not path.exists() or path.is_file():
            atomic_write.writable(target.parent, option)
        elif not os.access(path, os.W_OK):
            raise RunDirectoryError(f"{path}: cannot be written; give another {option}")
    except (OSError, RuntimeError) as error:  # a name too long; a loop of links
        reason = getattr(error, "strerror", None) or error
        raise RunDirectoryError(f"{path}: {reason}; give another {option}") from None
    of_run = (target.parent / MANIFEST).is_file() or (run and target.parent == run.resolve())
    if of_run and _is_of_run(target.name):
        raise RunDirectoryError(f"{option}: error: {path} is a result of the run, must be another")


def check_page(path: Path) -> None:
    """Refuse a file that a page may not go to: see `check_file`, and no other page is there.

    Raises:
        RunDirectoryError: It cannot be written, or is there and no page of heinit-sim.
    """
    check_file(path, "--out")
    if path.is_file():
        with path.open("rb") as file:
            if MADE.encode() not in file.read(200):
                raise RunDirectoryError(f"{path}: is no page of heinit-sim; give another --out")


class Description(NamedTuple):
    """The content of a directory."""

    run: str | None
    """Name of the run, if it holds one."""
    version: str | None
    """Version of heinit-sim that wrote it."""
    finished: str | None
    """When that was."""
    run_files: list[str]
    """Files of that run, which another one would replace with --force."""
    other_files: list[str]
    """Everything else; it stays."""
    kept_tasks: int
    """Finished tasks of a run that is not complete."""

    def lines(self) -> list[str]:
        """The content in words."""
        by = f" by heinit-sim {self.version}" if self.version else ""
        at = f", {self.finished}" if self.finished else ""
        run = [f"run {self.run}{by}{at}: {', '.join(self.run_files)}"] if self.run else []
        few = ", ".join(self.other_files[:_NAMED])
        more = f" and {len(self.other_files) - _NAMED} more" * (len(self.other_files) > _NAMED)
        plural = "s" * (self.kept_tasks != 1)
        tasks = [f"{self.kept_tasks} finished task{plural} of a run that is not complete"]
        others = [f"files of yours, which stay: {few}{more}"]
        return run + tasks * bool(self.kept_tasks) + others * bool(self.other_files)


def description(directory: Path) -> Description | None:
    """Return what is in a directory; None where there is none, or nothing in it.

    Raises:
        RunDirectoryError: It holds a manifest that is none of heinit-sim.
    """
    present = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    if not present:
        return None
    saved = manifest.read_manifest(directory) if MANIFEST in present else {}
    of_run = present.intersection([MANIFEST, *saved.get("files", ())]) if saved else set()
    return Description(
        run=str(saved.get("name", "")) if saved else None,
        version=saved["versions"].get("heinit-sim") if saved else None,
        finished=dict(saved.get("run") or {}).get("finished"),
        run_files=sorted(of_run),
        other_files=sorted(present - of_run - {TASKS}),
        kept_tasks=count_tasks(directory),
    )


def difference(directory: Path, config: SweepConfig) -> str | None:
    """How a directory differs from one that holds this very run, whatever figure it has.

    Args:
        directory: The run directory, which need not be there.
        config: What the run simulates, and what it expects.

    Returns:
        The difference in words; None if there is none.

    Raises:
        RunDirectoryError: It holds a manifest that is none of heinit-sim.
    """
    journal.finish(directory)
    if not (directory / MANIFEST).is_file():
        return "no run"
    saved = manifest.read_manifest(directory)
    digests, writer = saved["files"], saved["versions"].get("heinit-sim")
    as_drawn = manifest.with_figure_of(directory, config)
    if saved.get("config_sha256") != manifest.config_hash(as_drawn):
        return "of another config"
    if writer != version("heinit-sim"):
        return f"by version {writer} of heinit-sim"
    for name, digest in digests.items():
        if OTHERS.fullmatch(name):  # which may be moved to where they are shown
            continue
        if not (directory / name).is_file():
            return f"{name} is missing"
        if journal.digest_of(directory / name) != digest:
            return f"{name} was changed"
    if missing := sorted(set(run_files(config, plots=False)) - {MANIFEST} - digests.keys()):
        return f"without {', '.join(missing)}"
    stored = manifest.stored_config(directory)
    if stored is None or stored.conditions != config.conditions:  # the sweep in another order
        return "of another config"
    if stored.expect != config.expect:
        return "with other expectations"
    return None


def is_complete(directory: Path) -> bool:
    """Whether a directory holds a run and no tasks of one."""
    return (directory / MANIFEST).is_file() and not count_tasks(directory)


def has_figure(directory: Path, config: SweepConfig) -> bool:
    """Whether the directory of a run of the config holds the figure that the config asks for."""
    saved = manifest.read_manifest(directory)
    same = saved.get("config_sha256") == manifest.config_hash(config)
    return same and set(figure_names(config.figure)) <= saved["files"].keys()


def write_run(
    result: SweepResult,
    directory: str | os.PathLike[str],
    *,
    figure: "Figure | None",
    force: bool = False,
    run: Mapping[str, object] | None = None,
) -> None:
    """Write a complete run directory: all of its files or none, see `journal`.

    Args:
        result: What the run measured.
        directory: The run directory.
        figure: The two-panel figure, or None for no figures.
        force: Replace the results that are there.
        run: What changes from run to run (times, host): a block of its own in the manifest.

    Raises:
        RunDirectoryError: See `check_target`; or the activation was given from Python.
        WriteError: The disk is full, …; what was there before stays.
    """
    directory = Path(directory).resolve()
    names = run_files(result.config, plots=figure is not None)
    check_target(directory, names, force=force)
    activates = (activate for c in result.config.conditions for activate in c.activates)
    if not all(isinstance(activate.function, str) for activate in activates):
        raise RunDirectoryError(
            f"{directory}: no config.yaml could name an activation that was given from Python; "
            "save the arrays of result.conditions"
        )
    with journal.staging(directory) as staged:
        _write_results(result, staged)
        if figure is not None:
            write_figure(figure, staged, result.config.figure)
        manifest.write_manifest(result.config, staged, run or {})
        replaced = check_target(directory, names, force=force)  # of whoever was quicker
        journal.commit(directory, staged, names, replaced)


def update_figure(figure: "Figure", directory: Path, config: SweepConfig) -> tuple[str, ...]:
    """Write the figure of a saved run anew, and what the run says of it: all or nothing.

    Its files in other formats go, and those of its steps where it looks otherwise now, unless they
    were changed since.

    Args:
        figure: The figure.
        directory: The run directory.
        config: The config of the run, with the figure that it asks for now.

    Returns:
        The names of the files that are written.

    Raises:
        RunDirectoryError: It is not a run directory, or has a file in the figure's place that is
            no run's.
        WriteError: It cannot be written.
    """
    directory = directory.resolve()
    saved = manifest.read_manifest(directory)
    names = redrawn_files(directory, config)
    before = manifest.with_figure_of(directory, config).figure
    look = replace(before, formats=config.figure.formats, order=config.figure.order)
    old = [
        name
        for name in saved["files"]
        if name in FIGURES or (OTHERS.fullmatch(name) and look != config.figure)
    ]
    _check_free(directory, names, saved)
    with journal.staging(directory) as staged:
        write_figure(figure, staged, config.figure)
        if "config.yaml" in names:
            text = to_yaml(config.document)
            (staged / "config.yaml").write_text(text, "utf-8", newline="\n")
        facts = saved | manifest.config_facts(config)
        _commit(directory, staged, facts, names, old)
    return names


def add_figures(directory: Path, write: Callable[[Path], tuple[str, ...]]) -> tuple[str, ...]:
    """Add other figures than the one that its config asks for to a run: all of them or none.

    Of an earlier, longer series of steps those that follow the new ones go, unless they were
    changed since.

    Args:
        directory: The run directory.
        write: Writes files into a directory and returns their names.

    Returns:
        The names of the files that are written.

    Raises:
        RunDirectoryError: It is not a run directory, or has a file in the place of one of these
            that is no run's.
        WriteError: They cannot be written.
    """
    directory = directory.resolve()
    saved = manifest.read_manifest(directory)
    with journal.staging(directory) as staged:
        names = (*write(staged), MANIFEST)
        _check_free(directory, names, saved)
        _commit(directory, staged, saved, names, later_steps(names, saved["files"]))
    return names


def _check_free(directory: Path, names: Sequence[str], saved: Mapping[str, Any]) -> None:
    """Refuse to write where a file is that is no run's."""
    there = {name for name in names if os.path.lexists(directory / name)}
    if taken := there - saved["files"].keys() - {MANIFEST}:
        raise RunDirectoryError(f"{directory / min(taken)}: is no run's file; move it")


def _commit(
    directory: Path,
    staged: Path,
    saved: Mapping[str, Any],
    names: Sequence[str],
    old: Sequence[str],
) -> None:
    """Put figures and their manifest in place; old ones go, unless they were changed since."""
    digests, gone = saved["files"], set(old).difference(names)
    kept = {name: digest for name, digest in digests.items() if name not in gone}
    written = {name: journal.digest_of(staged / name) for name in names if name != MANIFEST}
    facts = {**saved, "files": dict(sorted((kept | written).items()))}
    (staged / MANIFEST).write_text(manifest.to_json(facts), "utf-8", newline="\n")
    stale = [
        name
        for name in gone
        if (directory / name).is_file() and journal.digest_of(directory / name) == digests[name]
    ]
    journal.commit(directory, staged, names, stale)


def read_run(
    directory: str | os.PathLike[str],
    overrides: Overrides = (),
    *,
    complete: bool = True,
    quantiles: bool = True,
) -> SweepResult:
    """Read a saved run back, with its theory.

    Args:
        directory: The run directory.
        overrides: What replaces values of its config's `figure`, as `load_config` takes it.
        complete: Refuse a run that lacks measures, as one of another version may.
        quantiles: Predict quantiles over networks too, which figures show.

    Raises:
        RunDirectoryError: The run is missing, incomplete or not what its manifest says.
    """
    directory = Path(directory)
    config = load_config(checked_file(directory, "config.yaml"), overrides)
    path = checked_file(directory, "networks.npz")
    try:
        measurements = from_arrays(read_arrays(path, config), config, complete=complete)
    except Exception as error:
        raise _not_of_config(path, "numbers", error) from error
    return with_theory(config, measurements, quantiles=quantiles)


def compare(
    first: SweepResult | str | os.PathLike[str],
    second: SweepResult | str | os.PathLike[str],
    rtol: float = 1e-6,
) -> Comparison:
    """Compare two runs, each a result or the directory of a saved one; see `checks.compare`.

    Raises:
        RunDirectoryError: A run cannot be read, or nothing of the two can be compared.
    """
    runs = [
        run if isinstance(run, SweepResult) else read_run(run, complete=False, quantiles=False)
        for run in (first, second)
    ]
    return checks.compare(runs[0], runs[1], rtol)


def read_summary(directory: Path) -> tuple[SweepConfig, list[Row]]:
    """Read the config and the summary rows of a saved run, whose data files may be gone.

    Raises:
        RunDirectoryError: There is none, or not the one its manifest names.
    """
    config = load_config(checked_file(directory, "config.yaml"), read_data=False)
    path = checked_file(directory, "summary.csv")
    try:
        return config, summary_rows_from_csv(path.read_text("utf-8"), config)
    except Exception as error:
        raise _not_of_config(path, "summary", error) from error


def _not_of_config(path: Path, content: str, error: Exception) -> RunDirectoryError:
    """The one line that any reader's exception becomes."""
    reason = printable(" ".join(str(error).split())[:200]) or type(error).__name__
    return RunDirectoryError(
        f"{path}: not the {content} of its config.yaml ({reason}); {manifest.AGAIN}"
    )


def _write_results(result: SweepResult, directory: Path) -> None:
    texts = csv_files(result) | {"config.yaml": to_yaml(result.config.document)}
    for name, text in texts.items():
        (directory / name).write_text(text, "utf-8", newline="\n")
    np.savez(directory / "networks.npz", allow_pickle=False, **to_arrays(result))
