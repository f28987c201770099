"""Job scripts, and those of configs/clusters.md, executed."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests import clusters
from tests.clusters import REAL, ROOT, STAND_IN
from tests.commands import heinit_sim
from tests.rows import slow_but

pytestmark = pytest.mark.skipif(os.name == "nt", reason="job scripts are for bash")

PAGE = (ROOT / "configs" / "clusters.md").read_text("utf-8")
NAMES = ["my.yaml", "configs/it's $(my) $run.yaml"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def script(scheduler: str, count: int, *config: str) -> str:
    ran = heinit_sim("shards", count, *config, "--for", scheduler)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def with_config(folder: Path, config: str) -> Path:
    path = folder / config
    path.parent.mkdir(parents=True)
    path.touch()
    return folder


def merged(folder: Path) -> list[str]:
    return (folder / "merged").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("257 --for github", "N: error: 257 is not allowed, must be 1 to 256: a matrix of GitHub"),
        ("0 --for slurm", "N: error: 0 is not allowed, must be 1 to 1000: MaxArraySize of Slurm"),
        ("3 - --for slurm", "CONFIG: error: '-' is not allowed, must be the path of a file"),
    ],
)
def test_a_script_that_could_not_work_is_refused_in_one_line(arguments: str, problem: str) -> None:
    ran = heinit_sim("shards", *arguments.split())
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith(problem)


@pytest.mark.parametrize("config", slow_but(NAMES, NAMES[1]))
def test_slurm_starts_every_shard_and_then_the_merge(config: str, tmp_path: Path) -> None:
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    work = with_config(tmp_path / "work", config)
    job = script("slurm", 3, config)
    (work / "job.sh").write_text(job, "utf-8")
    commands = re.findall(r"^#   (.*)", job, re.M)
    clusters.shell("\n".join(commands), work, environ)
    *runs, merge = clusters.calls(environ)
    out = f"outputs/{'my' if config == 'my.yaml' else 'it_s_my_run'}"
    assert runs == [["run", config, "--out", out, "--shard", "auto/3", "-j", "1"]] * 3
    assert merge == ["merge", out]
    assert merged(work / out) == ["1 of 3", "2 of 3", "3 of 3"]


def test_slurm_repeats_the_shards_that_are_asked_for(tmp_path: Path) -> None:
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    work = with_config(tmp_path / "work", "config.yaml")
    (work / "job.sh").write_text(script("slurm", 16), "utf-8")
    (comment,) = re.findall(r"sbatch --array=\S+ job.sh", script("slurm", 16))
    clusters.shell(comment.replace("3,7", "7-8"), work, environ)
    tasks = work / "outputs" / "config" / ".tasks"
    assert sorted(path.name for path in tasks.iterdir()) == ["7 of 16", "8 of 16"]


@pytest.mark.parametrize("config", slow_but(NAMES, NAMES[1]))
def test_kubernetes_starts_every_shard(config: str, tmp_path: Path) -> None:
    environ = clusters.environment(tmp_path / "bin", STAND_IN) | {"my": "not this"}
    work = with_config(tmp_path / "work", config)
    text = script("kubernetes", 3, config)
    clusters.start_job(text, work, environ)
    (command,) = re.findall(r"volume: (heinit-sim merge .*)", text)
    clusters.shell(command, work, environ)
    *runs, merge = clusters.calls(environ)
    out = f"outputs/{'my' if config == 'my.yaml' else 'it_s_my_run'}"
    assert runs == [["run", config, "--out", out, "--shard", "auto/3", "-j", "1"]] * 3
    assert merge == ["merge", out]
    assert merged(work / out) == ["1 of 3", "2 of 3", "3 of 3"]


@pytest.mark.parametrize("config", slow_but([*NAMES, ""], NAMES[1], ""))
def test_a_workflow_shards_merges_checks_and_uploads(config: str, tmp_path: Path) -> None:
    """The workflow that is printed; that of the page without a name."""
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    clone = with_config(tmp_path / "clone", config or "my.yaml")
    (workflow,) = [script("github", 2, config)] if config else blocks("yaml")
    count = 2 if config else 4
    artifacts = clusters.start_workflow(workflow, clone, tmp_path / "work", environ)
    *runs, merge, check = clusters.calls(environ)
    out = "outputs/my" if config in ("", "my.yaml") else "outputs/it_s_my_run"
    name = config or "my.yaml"
    indices = range(1, count + 1)
    shards = [f"{index}/{count}" for index in indices]
    assert runs == [["run", name, "--out", out, "--shard", shard] for shard in shards]
    assert merge == ["merge", *(f"parts/part-{index}" for index in indices), "--out", out]
    assert check[:2] == ["check", out]
    left = artifacts["run"] if config else artifacts["run"] / out
    assert merged(left) == [f"{index} of {count}" for index in indices]
    assert (artifacts["run"] / "report.xml").exists() == (not config)


def test_without_hidden_files_a_workflow_has_nothing_to_merge(tmp_path: Path) -> None:
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    clone = with_config(tmp_path / "clone", "my.yaml")
    planted = script("github", 2, "my.yaml").replace("include-hidden-files: true", "")
    with pytest.raises(Exception, match="merge"):
        clusters.start_workflow(planted, clone, tmp_path / "work", environ)


def test_the_page_shows_what_the_command_prints() -> None:
    assert script("slurm", 16, "my.yaml") in blocks("bash")
    for line in re.findall(r"^    (heinit-sim shards .*)", PAGE, re.M):
        _, command, count, config, option, scheduler, *_ = line.split()
        ran = heinit_sim(command, count, config, option, scheduler)
        assert ran.returncode == 0
        assert "outputs/my" in ran.stdout


@pytest.mark.parametrize(
    ("scheduler", "variables"),
    [
        ("PBS", {"PBS_ARRAY_INDEX": "{}", "PBS_O_WORKDIR": "."}),
        ("\\$", {f"SGE_TASK_{name}": "{}" for name in ("ID", "FIRST", "LAST")}),
    ],
)
def test_the_scripts_of_the_page_start_every_shard(
    scheduler: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (job,) = [text for text in blocks("bash") if re.search(rf"^#{scheduler} ", text, re.M)]
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    work = with_config(tmp_path / "work", "my.yaml")
    for index in (1, 16):
        told = {name: value.format(index) for name, value in variables.items()}
        clusters.shell(job, work, environ | told)
    (merge,) = re.findall("`(heinit-sim merge .*)`", PAGE)
    clusters.shell(merge, work, environ)
    assert merged(work / "outputs" / "my") == ["1 of 16", "16 of 16"]


def test_shards_by_hand(tmp_path: Path) -> None:
    environ = clusters.environment(tmp_path / "bin", STAND_IN)
    work = with_config(tmp_path / "work", "my.yaml")
    run, *_ = re.findall(r"^    (heinit-sim run .*)", PAGE, re.M)
    once, apart = re.findall(r"^    (heinit-sim merge .*)", PAGE, re.M)
    clusters.shell(f"{run} --out outputs/my", work, environ)
    clusters.shell(once, work, environ)
    assert merged(work / "outputs" / "my") == ["3 of 16"]
    shutil.rmtree(work / "outputs")
    for index in (1, 2):
        clusters.shell(f"{run.replace('3/', f'{index}/')} --out parts/{index}", work, environ)
    clusters.shell(apart, work, environ)
    assert merged(work / "outputs" / "my") == ["1 of 16", "2 of 16"]


SMALL = {
    "trials": 10,
    "inputs": {"count": 10},
    "figure": {"formats": ["svg"]},
    "sweep": {"init.variance": [0.01, 0.02]},
}


def contents(run: Path) -> dict[str, object]:
    """The files of a run as bytes, but of its manifest only what is not of when and where."""
    files: dict[str, object] = {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file()
    }
    manifest = json.loads((run / "manifest.json").read_bytes())
    del manifest["versions"]["blas"]  # scikit-learn's too, where an earlier test took its digits
    return {**files, "manifest.json": {k: v for k, v in manifest.items() if k != "run"}}


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a small config, and the run of it that one process wrote."""
    clone = tmp_path_factory.mktemp("clone")
    document = yaml.safe_load((ROOT / "configs" / "figure_7_4.yaml").read_text("utf-8"))
    (clone / "my.yaml").write_text(json.dumps({**document, **SMALL}), "utf-8")
    ran = heinit_sim("run", clone / "my.yaml", "--out", clone / "one", "-q")
    assert (ran.returncode, ran.stderr) == (0, "")
    return clone


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["slurm", "kubernetes", "github", "page"])
def test_shards_of_a_script_give_the_bytes_of_one_run(
    scheduler: str, one_run: Path, tmp_path: Path
) -> None:
    environ = clusters.environment(tmp_path / "bin", REAL)
    work = tmp_path / "work"
    if scheduler in ("github", "page"):
        (workflow,) = blocks("yaml") if scheduler == "page" else [script("github", 3, "my.yaml")]
        clone = tmp_path / "clone"
        clone.mkdir()
        shutil.copy(one_run / "my.yaml", clone)
        artifacts = clusters.start_workflow(workflow, clone, work, environ)
        written = artifacts["run"] / ("outputs/my" if scheduler == "page" else "")
    else:
        work.mkdir()
        shutil.copy(one_run / "my.yaml", work)
        text = script(scheduler, 3, "my.yaml")
        written = work / "outputs" / "my"
        if scheduler == "slurm":
            (work / "job.sh").write_text(text, "utf-8")
            clusters.shell("\n".join(re.findall(r"^#   (.*)", text, re.M)), work, environ)
        else:
            clusters.start_job(text, work, environ)
            (command,) = re.findall(r"volume: (heinit-sim merge .*)", text)
            clusters.shell(command, work, environ)
    assert contents(written) == contents(one_run / "one")
