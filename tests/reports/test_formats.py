"""Tables as Markdown and LaTeX: every cell comes out as it went in."""

import csv
import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heinit_sim.experiment.labels import printable
from heinit_sim.reports.formats import (
    TableFormat,
    latex_text,
    markdown_text,
    plain_table,
    to_latex,
    to_markdown,
)
from tests.commands import heinit_sim
from tests.configs import SMALL
from tests.rows import slow_but

# What TeX prints for each command, by the LaTeX Companion.
COMMANDS = {
    **{f"\\{character}": character for character in "_%$&#{}"},
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
}
_WORDS = ("a_b", "50%", "$x$", "R&D", "#1", "~/x", "^2", "C:\\dir", "\\\\", "{a}")
ODD = [*"_%$&#~^\\{}<>|", *_WORDS]


def typeset(source: str) -> str:
    """What TeX prints of text without mathematics; fails where it would do anything else."""
    printed = ""
    while source:
        command = next((known for known in COMMANDS if source.startswith(known)), source[0])
        assert command in COMMANDS or command not in "\\_%$&#{}~^", source
        printed += COMMANDS.get(command, command)
        source = source[len(command) :]
    return printed


@pytest.mark.parametrize("text", [*ODD, " ".join(ODD)])
def test_latex_prints_odd_characters(text: str) -> None:
    assert typeset(latex_text(text)) == text


@given(st.text("_%$&#~^\\{}<>|aé \n\x1b", max_size=20))
def test_latex_and_markdown_print_any_text(text: str) -> None:
    assert typeset(latex_text(text)) == printable(text)
    escaped = markdown_text(text)
    characters = re.findall(r"\\.|.", escaped)
    assert "".join(character[-1] for character in characters) == printable(text)
    assert not {*"|<`*_"}.intersection(characters)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("-1.301", "$-1.301$"),
        ("8.9e-66", r"$8.9\times10^{-66}$"),
        ("-1.330 (+0.000)", "$-1.330$ ($+0.000$)"),
        ("0.02", "0.02"),
        ("run-2", "run-2"),
        ("v1e-5.npy", "v1e-5.npy"),
        ("σ²_Ω", r"$\sigma^2_{\Omega}$"),
        ("Var h_50", "Var $h_{50}$"),
        ("E[f_K²]", "E[$f^2_{K}$]"),
        ("∂ℓ/∂h_0", r"$\partial \ell$/$\partial h_{0}$"),
        ("he_normal fan_in", r"he\_normal fan\_in"),
        ("h_norm.npy", r"h\_norm.npy"),
        ("$-1", r"\$$-1$"),
        ("½ hᵀ", r"$\frac12$ h$^T$"),
    ],
)
def test_latex_sets_numbers_and_symbols_as_mathematics(text: str, source: str) -> None:
    assert latex_text(text) == source


def test_a_latex_table_has_as_many_cells_in_each_line_between_the_rules_of_booktabs() -> None:
    table = plain_table(title="100 % R&D\n$x$", caption="a_b\n\\end{x}")
    table.add_column("name")
    table.add_column("a & b", justify="right")
    for n, odd in enumerate(ODD):
        table.add_row(odd, "-1\n2", end_section=n in (2, len(ODD) - 1))
    lines = to_latex([table, table]).splitlines()
    assert lines[0] == r"% \usepackage{booktabs}"
    assert lines[1 : len(lines) // 2 + 1] == lines[len(lines) // 2 + 1 :]
    code = [line.strip() for line in lines[1 : len(lines) // 2 + 1] if not line.startswith("%")]
    assert code[:2] == [r"\begin{tabular}{lr}", r"\toprule"]
    assert code[3] == r"\midrule"
    assert code[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert code.count(r"\addlinespace") == 1
    rows = [line for line in (code[2], *code[4:-2]) if line != r"\addlinespace"]
    assert len(rows) == 1 + len(ODD)
    for row, name in zip(rows, ("name", *ODD), strict=True):
        assert row.endswith(r" \\")
        first, second = re.split(r"(?<!\\) & ", row.removesuffix(r" \\"))
        assert typeset(first) == name
        assert second in (r"a \& b", "$-1$ 2")


@pytest.mark.parametrize("first", ["[4, 3]", "*"])
def test_no_cell_is_an_argument_of_the_line_end_before(first: str) -> None:
    table = plain_table()
    for _ in range(2):
        table.add_column("", justify="right")
    table.add_row("1", "2")
    table.add_row(first, "2")
    assert to_latex([table]).splitlines()[-3] == rf"  {{}}{first} & 2 \\"


def test_a_markdown_table_has_as_many_cells_in_each_line() -> None:
    table = plain_table(title="a|b", caption="c*")
    table.add_column("name")
    table.add_column("n", justify="right")
    for odd in ODD:
        table.add_row(odd, "1")
    lines = to_markdown([table]).splitlines()
    assert lines[:4] == [r"**a\|b**", "", "| name | n |", "| --- | ---: |"]
    assert lines[-2:] == ["", r"c\*"]
    for line, odd in zip(lines[4:-2], ODD, strict=True):
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)
        assert len(cells) >= 4
        assert line == f"| {markdown_text(odd)} | 1 |"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose conditions are called by names of files that each format must escape."""
    folder = tmp_path_factory.mktemp("formats")
    paths = [folder / name for name in ("50%_a & #1 $x$ ~^{}.npy", "b.npy")]
    for path in paths:
        np.save(path, np.arange(12.0).reshape(4, 3))
    swept = f"inputs.path={','.join(json.dumps(str(path)) for path in paths)}"
    text = SMALL.replace("count: 4", "count: 4, distribution: file").replace("dim: 5", "dim: 3")
    asked = ("run", "-", "--set", swept, "--no-plots", "-q", "--out", folder / "run")
    done = heinit_sim(*asked, stdin=text)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_show_prints_its_table_in_every_format(run: Path) -> None:
    found = {form: heinit_sim("show", run, "--format", form) for form in get_args(TableFormat)}
    assert {done.returncode for done in found.values()} == {0}
    printed = {form: done.stdout for form, done in found.items()}
    assert printed["table"] == heinit_sim("show", run).stdout
    assert printed["json"] == heinit_sim("show", run, "--json").stdout
    assert printed["csv"] == (run / "summary.csv").read_text("utf-8")
    name = r"50\%\_a \& \#1 \$x\$ \textasciitilde{}\textasciicircum{}\{\}.npy"
    assert f"{name} & " in printed["latex"]
    assert r"50%\_a \& \#1 $x$ \~^\{\}.npy |" in printed["markdown"]
    two = heinit_sim("show", run, "--json", "--format", "csv")
    assert two == (2, "", "--format: error: given beside --json; give one of the two\n")


TABLES = {"gains": ("relu",), "theory": ("-",), "verify": ("-", "--networks", 100)}


@pytest.mark.parametrize("command", slow_but(TABLES, "gains"))
def test_other_commands_take_the_same_formats(command: str) -> None:
    printed = {
        form: heinit_sim(command, *TABLES[command], "--format", form, stdin=SMALL).stdout
        for form in get_args(TableFormat)
    }
    assert printed["latex"].count(r"\begin{tabular}") == printed["latex"].count(r"\toprule") >= 1
    assert printed["latex"].startswith("% \\usepackage{booktabs}\n")
    assert "| ---" in printed["markdown"]
    document = json.loads(printed["json"])
    (rows,) = (value for value in document.values() if isinstance(value, list))
    csv_rows = list(csv.DictReader(printed["csv"].splitlines()))
    assert len(csv_rows) == len(rows)
    assert csv_rows[0].keys() == rows[0].keys()
