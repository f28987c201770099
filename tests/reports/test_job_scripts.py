import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.shard import MOST_SHARDS
from heinit_sim.reports.job_scripts import Scheduler, job_script

SCHEDULERS: list[Scheduler] = ["slurm", "kubernetes", "github"]
MOST: dict[Scheduler, int] = {"slurm": 1000, "kubernetes": MOST_SHARDS, "github": 256}
# Names as files may have them, each of which a shell, YAML or a scheduler could take for more.
NAMES = """
my.yaml
configs/my run.yaml
it's.yaml
"quoted".yaml
$HOME.yaml
$(date).yaml
`date`.yaml
$$(HOME).yaml
a\\b.yaml
a&b|c;d>e<f.yaml
*.yaml
[a]{b}?.yaml
~root.yaml
-n.yaml
--help
#.yaml
a: b.yaml
a, b #c.yaml
%A.yaml
größe σ².yaml
no
..
.yaml
1e3.yaml
!x.yaml
${{.yaml
""".strip().splitlines()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_script_is_short_for_any_number_of_shards(scheduler: Scheduler) -> None:
    for count in (1, 16, MOST[scheduler]):
        text = job_script(scheduler, count, "my.yaml")
        assert len(text.splitlines()) <= 15
        assert text.endswith("\n")
        assert text.isascii()
        assert all(len(line) <= 110 for line in text.splitlines() if f"{count - 1}, " not in line)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("beyond", [-1, 0, None])
def test_more_jobs_than_a_scheduler_takes_are_refused(
    scheduler: Scheduler, beyond: int | None
) -> None:
    count = MOST[scheduler] + 1 if beyond is None else beyond
    with pytest.raises(ConfigError) as caught:
        job_script(scheduler, count, "my.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"N: error: {count} is not allowed, must be 1 to {MOST[scheduler]}: ")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("config", ["", "-", "a\nb.yaml", "a\tb", "\x1b[31m", "a\ud800", "\u202ea"])
def test_a_config_that_is_no_file_or_hides_what_it_is_called_is_refused(
    scheduler: Scheduler, config: str
) -> None:
    with pytest.raises(ConfigError, match=r"^CONFIG: error: .* must be the path of a file"):
        job_script(scheduler, 3, config)


def test_what_github_would_evaluate_is_refused() -> None:
    with pytest.raises(ConfigError, match="GitHub would evaluate"):
        job_script("github", 3, "${{ secrets.A }}.yaml")


@pytest.mark.parametrize("config", NAMES)
def test_yaml_says_what_was_meant(config: str) -> None:
    job = yaml.safe_load(job_script("kubernetes", 3, config))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    name = job["metadata"]["name"]
    assert name.replace("-", "").isalnum()
    assert name.isascii()
    assert name == name.lower().strip("-")
    assert len(f"{name}-{MOST_SHARDS}") <= 63  # the name of a host
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 3
    pod = job["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert mount["mountPath"] == container["workingDir"]
    if "${{" in config:
        return
    workflow = yaml.safe_load(job_script("github", 3, config))
    assert workflow["jobs"]["shard"]["strategy"]["matrix"] == {"shard": [1, 2, 3]}
    assert workflow["jobs"]["merge"]["needs"] == "shard"
    uploads = [job["steps"][-1]["with"]["path"] for job in workflow["jobs"].values()]
    assert uploads[0] == uploads[1]
    assert isinstance(uploads[0], str)


shellcheck = pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck, of the dependency group dev, is missing"
)


def linted(folder: Path, **scripts: str) -> str:
    for name, script in scripts.items():
        (folder / name).write_text(script, "utf-8")
    command = ["shellcheck", "--shell=bash", "--enable=quote-safe-variables", *scripts]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    ).stdout


@shellcheck
@pytest.mark.parametrize("config", NAMES)
def test_shellcheck_finds_nothing_in_the_scripts(config: str, tmp_path: Path) -> None:
    job = job_script("slurm", 3, config)
    commands = [line.lstrip("#") for line in job.splitlines() if line.startswith("#   ")]
    assert len(commands) == 2
    workflow = yaml.safe_load(job_script("github", 3, config.replace("{", "")))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = [step["run"].replace("${{ matrix.shard }}", "3") for step in steps if "run" in step]
    assert len(runs) == 2
    assert not linted(tmp_path, job=job, submit="\n".join(commands), steps="\n".join(runs))


@shellcheck
def test_shellcheck_finds_a_name_that_is_not_quoted(tmp_path: Path) -> None:
    job = job_script("slurm", 3, "my.yaml")
    assert "SC2086" in linted(tmp_path, job=job.replace("my.yaml", "$HOME"))
