"""Job scripts that compute a run in shards and say how to merge them, each of 15 lines at most."""

import json
import re
from pathlib import PurePath
from string import Template
from typing import Literal, NamedTuple

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.shard import MOST_SHARDS

Scheduler = Literal["slurm", "kubernetes", "github"]
"""What starts the jobs."""


class _Script(NamedTuple):
    """A script with $PLACEHOLDERS, the most jobs that it can have, and the limit that this is."""

    most: int
    limit: str
    text: str


_SCRIPTS: dict[Scheduler, _Script] = {
    "slurm": _Script(
        1000,
        "MaxArraySize of Slurm is 1001 by default",
        """\
#!/bin/bash
# Submit this from a directory that all nodes see, with heinit-sim on PATH, and then the merge:
#   job=$$(sbatch --parsable job.sh)
#   sbatch --dependency="afterok:$$job" --wrap 'heinit-sim merge $out'
# Options of your cluster go before job.sh, as in: sbatch --partition=NAME --time=4:00:00 job.sh
# Repeat what failed: sbatch --array=3,7 job.sh; what is complete is not computed again.
#SBATCH --job-name=$name
#SBATCH --array=1-$count
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --open-mode=append
exec heinit-sim run $config --out $out --shard auto/$count -j 1
""",
    ),
    "kubernetes": _Script(
        MOST_SHARDS,
        "an Indexed Job of Kubernetes runs no more pods at a time",
        """\
# image: yours, with heinit-sim in it; claim: a volume that many nodes may write, with the config.
# Then, in a pod with the same volume: heinit-sim merge $out
apiVersion: batch/v1
kind: Job
metadata: {name: $job}
spec:
  completionMode: Indexed
  completions: $count
  parallelism: $count
  backoffLimit: $retries
  template: {spec: {restartPolicy: Never, containers: [{
    name: shard, image: heinit-sim, resources: {requests: {cpu: 1}},
    command: $command,
    workingDir: /work, volumeMounts: [{name: work, mountPath: /work}]}],
    volumes: [{name: work, persistentVolumeClaim: {claimName: heinit-sim}}]}}
""",
    ),
    "github": _Script(
        256,
        "a matrix of GitHub Actions has no more jobs",
        """\
on: workflow_dispatch # in a clone of heinit-sim; elsewhere write: pipx install git+URL-OF-A-CLONE
jobs:
  shard:
    runs-on: ubuntu-latest
    strategy: {fail-fast: false, matrix: {shard: $indices}}
    steps:
    - uses: actions/checkout@v5
    - run: $run
    - uses: actions/upload-artifact@v7
      with: {name: "part-$${{ matrix.shard }}", path: $out, include-hidden-files: true}
  merge: {needs: shard, runs-on: ubuntu-latest, steps: [
    {uses: actions/checkout@v5},
    {uses: actions/download-artifact@v8, with: {path: parts, pattern: "part-*"}},
    {run: "pipx install . && heinit-sim merge parts/* --out $out && heinit-sim check $out"},
    {uses: actions/upload-artifact@v7, with: {name: run, path: $out}, if: always()}]}
""",
    ),
}


def job_script(scheduler: Scheduler, count: int, config: str) -> str:
    """Write the script that computes a run in shards, into `outputs/` and the name of its config.

    Args:
        scheduler: What starts the jobs.
        count: Number of shards; each is a job.
        config: Path of the config, as the jobs find it.

    Raises:
        ConfigError: There cannot be so many jobs, or the script cannot name such a path.
    """
    most, limit, text = _SCRIPTS[scheduler]
    if not 1 <= count <= most:
        raise ConfigError([f"N: error: {count} is not allowed, must be 1 to {most}: {limit}"])
    if config == "-" or not config or not config.isprintable():
        must = "must be the path of a file, without control characters"
        raise ConfigError([f"CONFIG: error: {config!r} is not allowed, {must}"])
    if scheduler == "github" and "${{" in config:
        raise ConfigError([f"CONFIG: error: {config!r}: GitHub would evaluate ${{{{; rename it"])
    config = f"./{config}" if config.startswith(("-", "~")) else config
    stem = re.sub("[^A-Za-z0-9._-]+", "_", PurePath(config).stem).strip(".")[:64]
    out = f"outputs/{stem or 'run'}"
    label = re.sub("[^a-z0-9]+", "-", f"heinit-sim-{stem}".lower())
    shard = f"--out {out} --shard ${{{{ matrix.shard }}}}/{count}"
    step = f"pipx install . && heinit-sim run {_shell_word(config)} {shard}"
    pod = ["heinit-sim", "run", config, "--out", out, "--shard", f"auto/{count}", "-j", "1"]
    return Template(text).substitute(
        command=json.dumps([word.replace("$", "$$") for word in pod], ensure_ascii=False),
        config=_shell_word(config),
        count=count,
        indices=list(range(1, count + 1)),
        name=stem or "run",
        job=label[:50].strip("-"),
        out=out,
        retries=max(count, 6),
        run=json.dumps(step, ensure_ascii=False),
    )


def _shell_word(text: str) -> str:
    """The text as one word of a shell; quoted so that linters of shells take it as meant."""
    plain = re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", text)
    return text if plain else '"' + re.sub(r'([\\$`"])', r"\\\1", text) + '"'
