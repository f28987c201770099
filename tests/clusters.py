"""Slurm, Kubernetes and GitHub Actions on one machine, as far as job scripts need them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from tests.commands import PLAIN

ROOT = Path(__file__).parents[1]
REAL = "from heinit_sim.__main__ import main\nmain()\n"
"""The program `heinit-sim`."""
STAND_IN = """\
import json, os, shutil, sys
from pathlib import Path
from heinit_sim.experiment.shard import parse_shard

command, *words = sys.argv[1:]
with Path(os.environ["CALLS"]).open("a", encoding="utf-8") as calls:
    calls.write(json.dumps([command, *words]) + "\\n")
out = Path(words[words.index("--out") + 1] if "--out" in words else words[0])
if command == "run":
    Path(words[0]).read_bytes()
    shard = parse_shard(words[words.index("--shard") + 1], os.environ)
    (out / ".tasks").mkdir(parents=True, exist_ok=True)
    (out / ".tasks" / f"{shard.index} of {shard.count}").touch()
elif command == "merge":
    folders = words[: words.index("--out")] if "--out" in words else words
    names = sorted(path.name for folder in folders for path in Path(folder, ".tasks").iterdir())
    out.mkdir(parents=True, exist_ok=True)
    (out / "merged").write_text("\\n".join(names))
    shutil.rmtree(out / ".tasks", ignore_errors=True)
else:
    (out / "merged").read_bytes()
    if "--junit" in words:
        Path(words[words.index("--junit") + 1]).touch()
"""
"""A program that keeps its calls, and of shards no more than that they were computed."""
_SBATCH = """\
import os, re, subprocess, sys
from pathlib import Path

words = sys.argv[1:]
given = " ".join(words)
if "--dependency" in given and "--dependency=afterok:36" not in words:
    sys.exit(f"sbatch: no such job: {given}")
if "--wrap" in words:
    sys.exit(subprocess.run(["sh", "-c", words[words.index("--wrap") + 1]]).returncode)
script = Path(words[-1]).read_text()
comments = re.match("#!/bin/bash\\n((?:#.*\\n)+)", script)[1]
options = re.findall("^#SBATCH (.*)", comments, re.M) + words[:-1]
array = [option for option in options if option.startswith("--array=")][-1]
first, _, last = array.removeprefix("--array=").partition("-")
jobs = range(int(first), int(last or first) + 1)
names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "STEP", "COUNT")]
values = [map(str, (job, jobs[0], jobs[-1], 1, len(jobs))) for job in jobs]
environs = [os.environ | dict(zip(names, told)) for told in values]
start = ["bash", words[-1]]
started = [subprocess.Popen(start, env=environ, stdout=sys.stderr) for environ in environs]
if any([process.wait() for process in started]):
    sys.exit(f"sbatch: a job of {start} failed")
print("36" if "--parsable" in words else "Submitted batch job 36")
"""


def environment(folder: Path, program: str) -> dict[str, str]:
    """Variables of a shell that finds `heinit-sim`, `sbatch`, `pip` and `pipx` in a new folder.

    Args:
        folder: Where they are put, with the calls of a stand-in.
        program: Code of `heinit-sim`; the last two do nothing.
    """
    folder.mkdir()
    for name, code in {"heinit-sim": program, "sbatch": _SBATCH, "pip": "", "pipx": ""}.items():
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{code}", "utf-8")
        path.chmod(0o755)
    searched = os.pathsep.join([str(folder), os.environ["PATH"]])
    ours = {"PATH": searched, "PYTHONPATH": str(ROOT), "CALLS": str(folder / "calls")}
    return {**os.environ, **PLAIN, **ours}


def calls(environ: Mapping[str, str]) -> list[list[str]]:
    """What a stand-in was called with, without its name."""
    return [json.loads(line) for line in Path(environ["CALLS"]).read_text("utf-8").splitlines()]


def shell(command: str, folder: Path, environ: Mapping[str, str]) -> None:
    """Run a command as a step of GitHub Actions is run; it must end well."""
    subprocess.run(["bash", "-e", "-c", command], cwd=folder, env=environ, check=True)


def start_job(text: str, folder: Path, environ: Mapping[str, str]) -> None:
    """Run the pods of an Indexed Job of Kubernetes, one after another, in its volume."""
    spec = yaml.safe_load(text)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["completionMode"] == "Indexed"
    for index in range(spec["completions"]):
        variables = {**environ, "JOB_COMPLETION_INDEX": str(index)}
        command = [_expanded(word, variables) for word in container["command"]]
        subprocess.run(command, cwd=folder, env=variables, check=True)


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """A word as Kubernetes expands it: $(NAME), where there is such a variable, and $$ as $."""
    return re.sub(
        r"\$\$|\$\(([^)]*)\)",
        lambda match: "$" if match[0] == "$$" else variables.get(match[1], match[0]),
        word,
    )


def start_workflow(
    text: str, clone: Path, folder: Path, environ: Mapping[str, str]
) -> dict[str, Path]:
    """Run a workflow of GitHub Actions, each job in a directory of its own.

    Args:
        text: Its YAML.
        clone: The directory that is checked out.
        folder: An empty directory, for jobs and artifacts.
        environ: Variables of the runner.

    Returns:
        The artifacts that it left, by their names.
    """
    workflow = yaml.safe_load(text)
    variables = workflow.get("env", {})
    artifacts: dict[str, Path] = {}
    ended: set[str] = set()
    for name, job in workflow["jobs"].items():
        assert {job["needs"]} <= ended if "needs" in job else True
        ended.add(name)
        shards: Sequence[object] = job.get("strategy", {}).get("matrix", {}).get("shard", [None])
        for shard in shards:
            workspace = folder / f"{name}-{shard}"
            workspace.mkdir(parents=True)
            values = {f"env.{key}": value for key, value in variables.items()}
            values |= {"matrix.shard": shard, "strategy.job-total": len(shards)}
            for step in job["steps"]:
                said = _evaluated(step, {**values, "!cancelled()": True})
                if "run" in said:
                    shell(said["run"], workspace, {**environ, **variables})
                else:
                    _use(said["uses"], said.get("with", {}), workspace, clone, artifacts)
    return artifacts


def _evaluated(value: Any, values: Mapping[str, object]) -> Any:
    """A step with its expressions, such as ${{ matrix.shard }}, replaced."""
    if isinstance(value, dict):
        return {key: _evaluated(part, values) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: str(values[match[1]]), value)


def _use(
    action: str,
    inputs: Mapping[str, Any],
    workspace: Path,
    clone: Path,
    artifacts: dict[str, Path],
) -> None:
    """Do what an action of GitHub's does, see its README."""
    if action.startswith("actions/checkout@"):
        shutil.copytree(clone, workspace, dirs_exist_ok=True)
    elif action.startswith("actions/upload-artifact@"):
        roots = [workspace / line for line in inputs["path"].split()]
        root = roots[0] if len(roots) == 1 and roots[0].is_dir() else workspace
        found = [path for top in roots for path in (top, *top.rglob("*")) if path.is_file()]
        if not inputs.get("include-hidden-files"):
            hidden = [path for path in found if "/." in f"/{path.relative_to(workspace)}"]
            found = [path for path in found if path not in hidden]
        if inputs.get("if-no-files-found") == "error":
            assert found
        assert inputs["name"] not in artifacts
        artifacts[inputs["name"]] = workspace.parent / f"artifact-{inputs['name']}"
        for path in found:
            target = artifacts[inputs["name"]] / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    elif action.startswith("actions/download-artifact@"):
        for name, path in artifacts.items():
            if fnmatch(name, inputs["pattern"]) and path.is_dir():
                shutil.copytree(path, workspace / inputs["path"] / name)
    else:
        assert action.startswith("actions/setup-python@")
