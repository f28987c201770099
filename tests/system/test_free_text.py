"""Names that users give, shown where they could be taken for something else."""

import csv
import json
from pathlib import Path

import pytest

from heinit_sim.config import to_yaml
from heinit_sim.experiment.labels import digits_apart, printable
from tests.commands import heinit_sim

SWEPT = """\
name: small
network: {depth: 2, width: 9, input_dim: 2, activation: linear}
init: {scheme: he_normal}
inputs: {distribution: file, count: 2}
sweep: {inputs.path: PATHS}
trials: 2
figure: {formats: svg}
"""
NAMES = {  # -> as the table shows them
    "a[[b].csv": "a[[b].csv",
    "[bold]a[_bold].csv": "[bold]a[_bold].csv",
    "a$_$.csv": "a$_$.csv",
    "a$$.csv": "a$$.csv",
    ":smile:.csv": ":smile:.csv",
    "_a.csv": "_a.csv",
    "数 \N{GRINNING FACE}.csv": "数 \N{GRINNING FACE}.csv",
    "a\u202eb.csv": r"a\u202eb.csv",
    "=1+1.csv": "=1+1.csv",
    "@a.csv": "@a.csv",
    "'a.csv": "'a.csv",
    "##[error]a.csv": r"\x23#[error]a.csv",
}
ON_POSIX = {
    "a[/b].csv": "a[/b].csv",
    "a\x1b[31mb\x9b1m.csv": r"a\x1b[31mb\x9b1m.csv",
    "a\n::error::b.csv": r"a\n::error::b.csv",
    "::error::b.csv": r"\x3a:error::b.csv",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_config(*names: str) -> None:
    for n, path in enumerate(("plain.csv", *names)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"1,2\n3,{min(n, 1)}\n", "utf-8")
    paths = to_yaml({"paths": ["plain.csv", *names]}).removeprefix("paths: ").strip()
    Path("small.yaml").write_text(SWEPT.replace("PATHS", paths), "utf-8")


def test_a_name_of_a_file_is_shown_as_it_is(data: Path) -> None:
    check_shown({"a$_$.csv": NAMES["a$_$.csv"]})


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(NAMES), 6))  # `compare` shows so many conditions
def test_any_names_of_files_are_shown_as_they_are(start: int, data: Path) -> None:
    check_shown(dict([*NAMES.items()][start : start + 6]))


@pytest.mark.slow
@pytest.mark.skipif("os.name != 'posix'")
def test_so_are_those_that_windows_does_not_allow(data: Path) -> None:
    check_shown(ON_POSIX)


def check_shown(names: dict[str, str]) -> None:
    write_config(*names)
    ran = heinit_sim("run", "small.yaml", "--check")
    assert (ran.returncode, ran.stderr[:5]) == (0, "Wrote"), ran.stderr
    first = {line.strip().split("   ")[0] for line in ran.stdout.splitlines()}
    assert first >= {*names.values()}
    svg = Path("outputs/small/forward_backward.svg").read_text("utf-8")
    assert svg.count("<svg") == 1
    document = heinit_sim("show", "outputs/small", "--json").stdout
    summary = json.loads(document)["summary"][1:]
    assert [row["inputs.path"] for row in summary] == [*names]
    planned = heinit_sim("run", "small.yaml", "-n")
    for text in (ran.stdout, document, planned.stdout, ran.stderr):
        assert all(c == "\n" or c.isprintable() for c in text)
        assert "##[" not in text
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    other = ("run", "small.yaml", "--set", "init.gain=9", "--trials", "20", "--out", "other")
    assert heinit_sim(*other, "--no-plots").returncode == 0
    more = heinit_sim("run", "small.yaml", "--trials", "20", "--out", "more", "--no-plots")
    assert more.returncode == 0
    different = heinit_sim("compare", "more", "other").stdout
    for shown in names.values():
        assert any(line.strip().startswith(shown) for line in different.splitlines())
    with Path("outputs/small/summary.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["inputs.path"] for row in csv.DictReader(file)][1:]
    assert cells == [f"'{name}" if name[0] in "=+-@'" else name for name in names]


def test_a_directory_of_any_name_is_a_run_directory(data: Path) -> None:
    write_config("a.csv")
    for out in ("[/b]$_$", ":smile:", "\u202e"):
        ran = heinit_sim("run", "small.yaml", "--out", out, "--no-plots")
        assert ran.stderr.startswith(f"Wrote {printable(out)} in ")


@pytest.mark.parametrize(
    "stage", ["heinit_sim.figures.draw", "matplotlib.figure.Figure.savefig"], ids=["draw", "save"]
)
def test_no_fault_of_a_figure_costs_a_result(
    stage: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config("a.csv")

    def fault(*_: object, **__: object) -> None:
        raise ValueError("not\na figure")

    with monkeypatch.context() as patch:
        patch.setattr(stage, fault)
        failed = heinit_sim("run", "small.yaml")
    assert failed.returncode == 1
    assert "plain.csv" in failed.stdout
    files = "layers.csv, summary.csv, networks.npz, config.yaml, manifest.json"
    wrote, why, *more = failed.stderr.splitlines()
    assert wrote.endswith(f": {files}")
    again = "`heinit-sim plot outputs/small` tries again"
    assert why == f"outputs/small: holds all results, but no figure: not a figure; {again}"
    assert not more
    assert {path.name for path in Path("outputs/small").iterdir()} == set(files.split(", "))
    assert heinit_sim("show", "outputs/small").stdout == failed.stdout


def test_a_figure_that_is_missing_is_drawn_by_the_next_run(data: Path) -> None:
    write_config("a.csv")
    plain = heinit_sim("run", "small.yaml", "--no-plots")
    planned = heinit_sim("run", "small.yaml", "-n").stdout.splitlines()
    assert planned[-2] == "outputs/small is up to date, but for its figure"
    drawn = heinit_sim("run", "small.yaml")
    assert (drawn.returncode, drawn.stdout) == (0, plain.stdout)
    assert Path("outputs/small/forward_backward.svg").is_file()
    manifest = Path("outputs/small/manifest.json").read_bytes()
    assert heinit_sim("plot", "outputs/small").returncode == 0
    assert Path("outputs/small/manifest.json").read_bytes() == manifest
    assert heinit_sim("run", "small.yaml").stderr.endswith("give --force to simulate it again\n")


def test_two_numbers_never_look_alike(data: Path) -> None:
    sweep = "init.variance: [0.1, 0.1000000001, 0.3333333333333333]"
    text = SWEPT.replace("inputs.path: PATHS", sweep).replace("{scheme: he_normal}", "{}")
    Path("small.yaml").write_text(text.replace("distribution: file, ", ""), "utf-8")
    rows = heinit_sim("run", "small.yaml", "--no-plots").stdout.splitlines()
    assert [row.split()[0] for row in rows[4:7]] == ["0.1", "0.1000000001", "0.3333333333"]
    assert digits_apart([0.1, 1, "0.1000001", {"a": [0.10000001]}]) == 8
    assert digits_apart([0.1, 0.1 + 2**-56]) == 17
    assert digits_apart([1 / 3, 2 / 3]) == 6
