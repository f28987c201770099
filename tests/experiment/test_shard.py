import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.shard import MOST_SHARDS, Shard, parse_shard

quick = settings(max_examples=100, derandomize=True, deadline=None, database=None)
Variables = dict[str, str]


def slurm(**values: object) -> Variables:
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def sge(**values: object) -> Variables:
    return {f"SGE_TASK_{name}": str(value) for name, value in values.items()}


def pbs(index: object) -> Variables:
    return {"PBS_ARRAY_INDEX": str(index)}


def kubernetes(index: object) -> Variables:
    return {"JOB_COMPLETION_INDEX": str(index)}


def refusal(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_shard(text, environ)
    (problem,) = caught.value.problems
    assert problem.isprintable()
    assert caught.value.exit_code == 2
    return problem


@pytest.mark.parametrize(
    ("text", "environ", "shard"),
    [
        ("3/16", {}, "3/16"),
        ("1/1", {}, "1/1"),
        ("03/016", {}, "3/16"),
        (f"{MOST_SHARDS}/{MOST_SHARDS}", {}, f"{MOST_SHARDS}/{MOST_SHARDS}"),
        ("3/16", slurm(ID=""), "3/16"),  # who types a shard means it
        ("auto", slurm(ID=3, COUNT=16, MIN=1, MAX=16, STEP=1), "3/16"),
        ("auto", slurm(ID=3, COUNT=16), "3/16"),
        ("auto", slurm(ID=3, COUNT=16, MIN=0), "4/16"),
        ("auto", slurm(ID=3, MIN=1, MAX=16), "3/16"),
        ("auto", slurm(ID=0, COUNT=16, MIN=0, MAX=15), "1/16"),
        ("auto", slurm(ID=5, COUNT=4, MIN=1, MAX=7, STEP=2), "3/4"),
        ("auto", slurm(ID=5, COUNT=4, MIN=1, MAX=8, STEP=2), "3/4"),
        ("auto", slurm(ID=7, COUNT=1, MIN=7, MAX=7), "1/1"),
        ("auto", sge(ID=4, FIRST=2, LAST=10, STEPSIZE=2), "2/5"),
        ("auto", sge(ID=8, FIRST=2, LAST=9, STEPSIZE=3), "3/3"),
        ("auto", slurm(ID=2, COUNT=4) | sge(ID="undefined", FIRST="undefined"), "2/4"),
        ("auto", slurm(ID=2, COUNT=4) | sge(ID=2, FIRST=1, LAST=4, STEPSIZE=1), "2/4"),
        ("auto/16", slurm(ID=7, COUNT=2, MIN=3, MAX=7, STEP=4), "7/16"),  # some submitted again
        ("auto/16", slurm(ID=16), "16/16"),
        ("auto/16", sge(ID=9, FIRST=9, LAST=9, STEPSIZE=1), "9/16"),
        ("auto/16", pbs(1), "1/16"),
        ("auto/16", kubernetes(0), "1/16"),
        ("auto/16", kubernetes(15), "16/16"),
        ("auto/16", kubernetes(3) | slurm(ID=4), "4/16"),
    ],
)
def test_a_shard_is_as_typed_or_as_the_scheduler_says(
    text: str, environ: Variables, shard: str
) -> None:
    assert str(parse_shard(text, environ)) == shard
    assert parse_shard(text, environ | {"PATH": "", "SLURM_JOB_ID": "7"}) == Shard(
        *map(int, shard.split("/"))
    )


NO_SHARDS = """
0/16 17/16 3/0 0/0 3 /16 3/ / 3/16/2 -3/16 +3/16 3/+16 3/-16 3.0/16 1e1/16 ٣/16 ３/16 3/１６ 1_0/16
0x3/16 three/16 3/100001 1/999999999 1/9999999999 AUTO Auto auto/ auto/0 auto/-1 auto/100001
auto/auto auto16 auto/3/16 automatic a 3:16 3\\16 3of16 1/00000000001
"""


@pytest.mark.parametrize(
    "text",
    [
        *NO_SHARDS.split(),
        *(
            "",
            " ",
            "3 / 16",
            " 3/16",
            "3/16 ",
            "3/16\n",
            "3\n/16",
            "3/16\x00",
            "auto ",
            "auto / 16",
        ),
        *("9" * 5000 + "/16", "3/" + "9" * 5000, "\x1b[31m3/16", "3/16\ud800"),
    ],
)
def test_what_is_no_shard_is_refused_with_what_is(text: str) -> None:
    problem = refusal(text, slurm(ID=1, COUNT=1))
    assert problem.startswith("--shard: error: ")
    allowed = "must be I/N with 1 <= I <= N <= 100000, auto or auto/N"
    assert problem.endswith(f" is no shard, {allowed}")
    assert len(problem) < 200


INDICES = ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID", "JOB_COMPLETION_INDEX")
SUBMIT = "submit an array of 1-16, or give auto"
DIGITS = "must be a number of 1 to 9 digits"


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        (
            "auto",
            {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_JOB_ID": "3"},
            f"auto: none of {', '.join(INDICES)} is set; give I/N",
        ),
        ("auto/4", sge(ID="undefined"), "auto: none of SLURM_ARRAY_TASK_ID, "),
        ("auto", slurm(ID="", COUNT=4), f"SLURM_ARRAY_TASK_ID is '', {DIGITS}"),
        ("auto/4", pbs(""), f"PBS_ARRAY_INDEX is '', {DIGITS}"),
        ("auto", sge(ID=""), f"SGE_TASK_ID is '', {DIGITS}"),
        ("auto/4", kubernetes(""), f"JOB_COMPLETION_INDEX is '', {DIGITS}"),
        ("auto", slurm(ID=1, COUNT=""), f"SLURM_ARRAY_TASK_COUNT is '', {DIGITS}"),
        ("auto", slurm(ID=1, COUNT=4, STEP=""), f"SLURM_ARRAY_TASK_STEP is '', {DIGITS}"),
        ("auto/4", slurm(ID=1, MIN=""), f"SLURM_ARRAY_TASK_MIN is '', {DIGITS}"),
        ("auto/4", pbs(" 1"), f"PBS_ARRAY_INDEX is ' 1', {DIGITS}"),
        ("auto/4", pbs("-1"), f"PBS_ARRAY_INDEX is '-1', {DIGITS}"),
        ("auto/4", pbs("٣"), f"PBS_ARRAY_INDEX is '٣', {DIGITS}"),
        ("auto/4", pbs("undefined"), f"PBS_ARRAY_INDEX is 'undefined', {DIGITS}"),
        ("auto/4", slurm(ID="4294967294"), f"SLURM_ARRAY_TASK_ID is '4294967294', {DIGITS}"),
        ("auto", pbs(3), "auto: PBS_ARRAY_INDEX is 3, but nothing says of how many; give auto/N"),
        ("auto", kubernetes(3), "auto: JOB_COMPLETION_INDEX is 3, but nothing says of how many"),
        ("auto", slurm(ID=3), "auto: SLURM_ARRAY_TASK_ID is 3, but nothing says of how many"),
        ("auto", slurm(ID=3, MIN=1), "auto: SLURM_ARRAY_TASK_ID is 3, but nothing says of how"),
        ("auto", slurm(ID=3, MAX=4), "auto: SLURM_ARRAY_TASK_ID is 3, but nothing says of how"),
        (
            "auto",
            slurm(ID=3, COUNT=2, MIN=3, MAX=5, STEP=1),
            "auto: SLURM_ARRAY_TASK_COUNT is 2, but 3 to 5 in steps of 1 are 3; give auto/N",
        ),
        (
            "auto",
            slurm(ID=6, COUNT=4, MIN=1, MAX=7, STEP=2),
            "auto: SLURM_ARRAY_TASK_ID is 6, must be one of 1 to 7 in steps of 2",
        ),
        ("auto", slurm(ID=0, COUNT=4), "auto: SLURM_ARRAY_TASK_ID is 0, must be one of 1 to 4 in"),
        ("auto", slurm(ID=1, COUNT=0), "auto: SLURM_ARRAY_TASK_ID is 1, must be one of 1 to 0 in"),
        ("auto", slurm(ID=1, MIN=1, MAX=4, STEP=0), "auto: SLURM_ARRAY_TASK_ID is 1, must be one"),
        ("auto", sge(ID=9, FIRST=1, LAST=8), "auto: SGE_TASK_ID is 9, must be one of 1 to 8 in"),
        (
            "auto",
            slurm(ID=1, MIN=1, MAX=100_001),
            "auto: an array of 100001 jobs, must be at most 100000",
        ),
        ("auto/16", slurm(ID=17), "auto/16: SLURM_ARRAY_TASK_ID is 17, must be 1 to 16"),
        ("auto/16", pbs(0), "auto/16: PBS_ARRAY_INDEX is 0, must be 1 to 16"),
        ("auto/16", kubernetes(16), "auto/16: JOB_COMPLETION_INDEX is 16, must be 0 to 15"),
        (
            "auto/16",
            slurm(ID=3, COUNT=16, MIN=0, MAX=15),
            f"auto/16: SLURM_ARRAY_TASK_MIN is 0, must be 1 or more: {SUBMIT}",
        ),
        (
            "auto/16",
            slurm(ID=3) | kubernetes(3),
            "auto: SLURM_ARRAY_TASK_ID says 3/16, JOB_COMPLETION_INDEX says 4/16; give I/N",
        ),
        ("auto", slurm(ID=3, COUNT=16) | kubernetes(2), "auto: JOB_COMPLETION_INDEX is 2, but"),
    ],
)
def test_a_scheduler_that_does_not_say_which_shard_is_an_error_that_names_its_variable(
    text: str, environ: Variables, problem: str
) -> None:
    assert refusal(text, environ).startswith(f"--shard: error: {problem}")


@given(st.integers(0, 50), st.integers(0, 60), st.integers(1, 9), st.booleans(), st.booleans())
@quick
def test_the_jobs_of_an_array_are_all_shards_once(
    first: int, span: int, step: int, counted: bool, rounded: bool
) -> None:
    indices = list(range(first, first + span + 1, step))
    last = indices[-1] if rounded else first + span  # as schedulers round it, or do not
    count = {"COUNT": len(indices)} if counted else {}
    environs = [slurm(ID=i, MIN=first, MAX=last, STEP=step, **count) for i in indices]
    if first and not counted:
        environs = [sge(ID=i, FIRST=first, LAST=last, STEPSIZE=step) for i in indices]
    shards = [parse_shard("auto", environ) for environ in environs]
    assert shards == [Shard(i, len(indices)) for i in range(1, len(indices) + 1)]


@pytest.mark.parametrize(("job", "start"), [(pbs, 1), (kubernetes, 0)])
def test_with_a_count_the_index_is_that_of_the_shard(
    job: Callable[[object], Variables], start: int
) -> None:
    shards = [parse_shard("auto/7", job(start + i)) for i in range(7)]
    assert shards == [Shard(i, 7) for i in range(1, 8)]


def test_shards_are_read_without_numpy() -> None:
    code = "import sys, heinit_sim.experiment.shard; print('numpy' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
