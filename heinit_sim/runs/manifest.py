"""The manifest of a run directory, and whether its files are as it says."""

import json
import platform
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from heinit_sim.config import MANIFEST_VERSION, MAX_MANIFEST, document_hash, load_config
from heinit_sim.errors import HeinitSimError, RunDirectoryError
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.sweep_config import STREAM_VERSION, SweepConfig
from heinit_sim.runs import journal
from heinit_sim.runs.task_files import count_tasks
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.regular_file import read_regular

MANIFEST = "manifest.json"
AGAIN = "run config.yaml of the directory again"


def config_hash(config: SweepConfig) -> str:
    """SHA-256 of the resolved config, whatever its layout, comments and expectations."""
    return document_hash(config.document)


def config_facts(config: SweepConfig) -> dict[str, object]:
    """Entries of a manifest on the config of the run: its hash, its streams, and the whole of it.

    `load_config` takes a manifest for that config.
    """
    return {
        "config_sha256": config_hash(config),
        "seed": config.seed,
        "stream_version": STREAM_VERSION,
        "config": dict(config.document),
    }


def stored_config(directory: Path) -> SweepConfig | None:
    """The config of a run; None where it is missing, was changed, or is of another version."""
    try:
        return load_config(checked_file(directory, "config.yaml"), read_data=False)
    except HeinitSimError:
        return None


def with_figure_of(directory: Path, config: SweepConfig) -> SweepConfig:
    """The config with the figure that a run has, by which alone no run is another.

    Raises:
        RunDirectoryError: There is no run.
    """
    if read_manifest(directory).get("config_sha256") == config_hash(config):
        return config
    stored = stored_config(directory)
    if stored is None:
        return config
    figure = stored.document["figure"]
    return replace(config, figure=stored.figure, document={**config.document, "figure": figure})


def is_run_of(directory: Path, config: SweepConfig) -> bool:
    """Whether the run in a directory is one of a config, whatever figures they ask for.

    Raises:
        RunDirectoryError: There is no run.
    """
    digest = config_hash(with_figure_of(directory, config))
    return bool(read_manifest(directory).get("config_sha256") == digest)


def run_facts(engine: str, jobs: int | None, seconds: float) -> dict[str, object]:
    """Facts that change from run to run: when, how long, by what, on how many threads and where."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "simulation_seconds": round(seconds, 3),
        "engine": engine,
        "jobs": jobs,
        "host": platform.node(),
    }


def write_manifest(config: SweepConfig, directory: Path, run: Mapping[str, object]) -> None:
    """Write the manifest of the files that are there, and of what made them."""
    blas = [
        " ".join(str(library.get(key)) for key in ("internal_api", "version", "architecture"))
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    manifest = {
        "schema_version": MANIFEST_VERSION,
        "name": config.name,
        **config_facts(config),
        **({"inputs": inputs} if (inputs := input_facts(config)) else {}),
        "versions": {
            "heinit-sim": version("heinit-sim"),
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "matplotlib": version("matplotlib"),
            "blas": sorted(blas),  # in another order each time where scikit-learn has its own
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "files": {path.name: journal.digest_of(path) for path in sorted(directory.iterdir())},
        "run": dict(run),
    }
    (directory / MANIFEST).write_text(to_json(manifest), "utf-8", newline="\n")


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises:
        RunDirectoryError: There is none, or it is not one.
    """
    path = directory / MANIFEST
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "no such directory"
        raise RunDirectoryError(f"{directory}: {what}, must be one that `run` wrote")
    journal.finish(directory)
    try:
        manifest = json.loads(read_regular(path, MAX_MANIFEST))
        files = manifest["files"]
    except FileNotFoundError:
        text = f"no {MANIFEST}, so not a run directory"
        if count := count_tasks(directory):
            rest = f"`heinit-sim merge {shlex.quote(str(directory))}` says what is missing"
            text = f"a run that is not complete, {count} of its tasks are done; {rest}"
        raise RunDirectoryError(f"{directory}: {text}") from None
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunDirectoryError(
            f"{path}: not a manifest of heinit-sim ({error}); give another directory"
        ) from error
    versions = manifest.get("versions")
    tables = isinstance(files, dict) and isinstance(versions, dict)
    if not tables or manifest.get("schema_version") != MANIFEST_VERSION:
        raise RunDirectoryError(
            f"{path}: not a manifest of schema version {MANIFEST_VERSION}; give another directory"
        )
    return dict(manifest)


def checked_file(directory: Path, name: str) -> Path:
    """The path of a file of a run, known to be the one its manifest names.

    Raises:
        RunDirectoryError: It is missing or was changed, or there is no manifest.
    """
    digest = read_manifest(directory)["files"].get(name)
    path = directory / name
    if not path.is_file():
        state = "not a regular file" if path.exists() else "missing"
        raise RunDirectoryError(f"{path}: {state}; {AGAIN}")
    if journal.digest_of(path) != digest:
        raise RunDirectoryError(f"{path}: changed since the run (SHA-256 differs); run it again")
    return path


def to_json(manifest: Mapping[str, object]) -> str:
    """The text of a manifest."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def input_facts(config: SweepConfig) -> list[dict[str, object]]:
    """One entry per distinct inputs, of which plain standard-normal ones need none."""
    conditions: dict[Inputs, list[int]] = {}
    for condition in config.conditions:
        conditions.setdefault(condition.inputs, []).append(condition.index)
    conditions.pop(Inputs(), None)
    entries = []
    for inputs, places in conditions.items():
        facts: dict[str, object] = {"conditions": places, "distribution": inputs.distribution}
        facts["normalisation"] = inputs.normalisation
        data = data_sets.is_data_set(inputs)
        if data:
            facts["examples"] = len(data_sets.examples(inputs))
        if inputs.path:
            facts |= {"path": inputs.path, "sha256": inputs.sha256}
        if inputs.normalisation != "none":
            known = data_sets.statistics(inputs) if data else None
            facts["mean"] = known.mean.tolist() if known else inputs.mean
            facts["std"] = known.std.tolist() if known else inputs.std
        entries.append(facts)
    return entries
