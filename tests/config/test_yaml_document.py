from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heinit_sim.config import yaml_document
from heinit_sim.config.yaml_document import MAX_BYTES, parse, read, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.labels import printable
from tests.rows import cases

# what YAML 1.1, or a careless float(), takes for something else than text
OTHER_TEXT = """
012 017 00 1:30 yes on off 1_000 0x1F 0o7 0o17 0b1 inf nan 2024-01-01 1e . 1e999 -1e999 1e-999
"""
quick = settings(max_examples=100, derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+3", 3),
        ("-12", -12),
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.50", -1.5),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("True", True),
        ("False", False),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        *((text, text) for text in OTHER_TEXT.split()),
        ("0e-999", 0.0),
        *((text, text) for text in ("9" * 309, "9" * 5000, "٣")),
        ("9" * 308, int("9" * 308)),
        ('"3"', "3"),
        ("'true'", "true"),
        ('""', ""),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(text: str, value: object) -> None:
    document = parse(f"- {text}")
    assert document.problems == []
    assert document.value == [value]
    assert isinstance(document.value, list)
    assert type(document.value[0]) is type(value)


def test_nan_is_a_number() -> None:
    document = parse("[.nan]")
    assert isinstance(document.value, list)
    assert math.isnan(document.value[0])


def test_values_and_keys_remember_line_and_column() -> None:
    document = parse('# ä\na: 1\nb:\n  c: [x, {d: 2}]\n  e:\n"f": |\n  text\n')
    assert document.value == {"a": 1, "b": {"c": ["x", {"d": 2}], "e": None}, "f": "text\n"}
    assert document.values == {
        (): (2, 1),
        ("a",): (2, 4),
        ("b",): (4, 3),
        ("b", "c"): (4, 6),
        ("b", "c", 0): (4, 7),
        ("b", "c", 1): (4, 10),
        ("b", "c", 1, "d"): (4, 14),
        ("b", "e"): (5, 5),
        ("f",): (6, 6),
    }
    assert document.keys == {
        ("a",): (2, 1),
        ("b",): (3, 1),
        ("b", "c"): (4, 3),
        ("b", "c", 1, "d"): (4, 11),
        ("b", "e"): (5, 3),
        ("f",): (6, 1),
    }


def test_a_byte_order_mark_is_no_column() -> None:
    document = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
    assert document.keys == {("a",): (1, 1), ("b",): (2, 1)}


TAB = "while scanning for the next token found character '\\t' that cannot start any token"
FLOW = "while parsing a flow sequence expected ',' or ']', but got ':'"
DEEP = "nested too deep, must be at most 20 levels"
# texts, and what is said of them with its place and its keys
PROBLEMS = [
    *cases(
        """
# nothing
> 1:1: empty, must be a mapping
---
> 1:1: empty, must be a mapping
a: 1
---
b: 2
> 2:1: a second document, must be one document
a: &x 1
b: *x
> 1:4: a: anchor (&x), must be written out
> 2:4: b: alias (*x), must be written out
a: !!int 3
b: !x [1]
c: ! 2
> 1:4: a: tag ('tag:yaml.org,2002:int'), must be a value without a tag
> 2:4: b: tag ('!x'), must be a value without a tag
> 3:4: c: tag ('!'), must be a value without a tag
a: 1
b: {c: 1, c: 2}
a: 3
> 2:11: b.c: duplicate key (first in line 2), must be given once
> 3:1: a: duplicate key (first in line 1), must be given once
? [1, 2]
: x
{a: 1}: y
> 1:3: a key is not text, must be a string
> 3:1: a key is not text, must be a string
a: [1, 2
b: 3
> 2:2: not YAML: $FLOW
""",
        globals(),
    ),
    ("", "1:1: empty, must be a mapping"),
    ("a:\n\tb: 1\n", f"2:1: not YAML: {TAB}; indent with spaces"),
    ('a: "\\uD800"\n', "1:4: lone surrogate (\\ud800), must be UTF-8"),
    ('a: "\\UFFFFFFFF"\n', "1:7: not YAML: a number is out of range"),
    (f"%YAML 1.{'9' * 5000}\n--- a\n", "1:9: not YAML: a number is out of range"),
    ("a: \ud800", "1:4: not UTF-8 (byte 0xed), must be UTF-8"),
    ("a: b\nc: \x07", "2:4: control character (U+0007), must be printable text"),
    ("a: \0", "1:4: control character (U+0000), must be printable text"),
    (b"a: 1\nb: \xff", "2:4: not UTF-8 (byte 0xff), must be UTF-8"),
    ("a: 1".encode("utf-16"), "1:1: not UTF-8 (byte 0xff), must be UTF-8"),
    ("[" * 30_000, f"1:21: {DEEP}"),
    ("{a: " * 30_000, f"1:81: {DEEP}"),
    ("- " * 30_000, f"1:41: {DEEP}"),
    ("#" * 2**21, "1:1: too large, must be at most 1048576 bytes"),
    ("ä" * 2**19 + "a", "1:1: too large, must be at most 1048576 bytes"),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_what_is_wrong_with_the_text(text: str | bytes, expected: str) -> None:
    messages = []
    for problem in parse(text).problems:
        place = ":".join(map(str, problem.mark))
        keys = ".".join(map(str, problem.keys))
        messages.append(": ".join(filter(None, (place, keys, problem.text))))
    assert " ".join(messages) == expected


def test_values_are_counted_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml_document.MAX_NODES == 200_000
    monkeypatch.setattr(yaml_document, "MAX_NODES", 200)
    assert parse(f"[{'1,' * 199}]").problems == []
    (problem,) = parse(f"[{'1,' * 200}]").problems
    assert (problem.mark, problem.text) == ((1, 400), "too many values, must be at most 200")


def test_the_deepest_allowed_nesting_is_read() -> None:
    assert parse("[" * 20 + "1" + "]" * 20).problems == []


def test_an_alias_bomb_is_never_built() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    assert len(parse(bomb).problems) == 10 + 9 * 10


def test_a_file_is_read_up_to_the_first_byte_too_many(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * 2 * MAX_BYTES)
    assert read(path) == (str(path), b"#" * (MAX_BYTES + 1))


def test_an_endless_file_is_read_up_to_the_first_byte_too_many() -> None:
    assert read("/dev/zero") == ("/dev/zero", b"\0" * (MAX_BYTES + 1))


def test_a_pipe_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a: 1")
    os.close(writer)
    assert read(f"/dev/fd/{reader}")[1] == b"a: 1"
    os.close(reader)


def run_read(script: str) -> str:
    """What `read("-")` does in a process whose standard input the shell sets up."""
    code = f"from {read.__module__} import read; print(read('-'))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["sh", "-c", f'{script} "$0" -c "$1"', sys.executable, code]
    run = subprocess.run(
        command, env=environment, input="a: 1", capture_output=True, text=True, check=False
    )
    return run.stdout + run.stderr


@pytest.mark.slow
def test_a_dash_is_standard_input() -> None:
    assert "('<stdin>', b'a: 1')" in run_read("exec")


def test_closed_standard_input_is_an_error() -> None:
    assert "ConfigError: <stdin>: error: cannot be read: it is closed" in run_read("exec <&-;")


def test_a_path_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    directory = str(tmp_path)
    for path, message in {
        "no/such.yaml": "no/such.yaml: error: cannot be read: No such file or directory",
        directory: f"{directory}: error: cannot be read: Is a directory",
        "a\0b": "a\\x00b: error: cannot be read: embedded null byte",
        "a\n\x1b\udcff": "a\\n\\x1b\\udcff: error: cannot be read: No such file or directory",
    }.items():
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert caught.value.problems == [message]
    with pytest.raises(ConfigError):
        read("")


def test_written_yaml_is_easy_to_read() -> None:
    document: dict[str, Any] = {
        "name": "a",
        "init": {},
        "sweep": {"init.variance": [0.001, 1e-05], "x": ["1e-3", "017", "yes", "ü", None, True]},
    }
    assert to_yaml(document) == (
        "name: a\n"
        "init: {}\n"
        "sweep:\n"
        "  init.variance: [0.001, 1.0e-05]\n"
        "  x: ['1e-3', '017', 'yes', ü, null, true]\n"
    )


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.from_regex(r"[-+.0-9eExo_:]{1,8}", fullmatch=True)
    | st.sampled_from(["null", "~", "true", "yes", "NO", ".inf", "<<", "=", "1e5", "- a", "&a"])
)
keys = st.text("ab.:1- ", max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=9,
)


@settings(quick, max_examples=40)
@given(st.dictionaries(st.text("abc", min_size=1), values, min_size=1))
def test_written_yaml_reads_back_as_the_same_values(document: dict[str, object]) -> None:
    text = to_yaml(document)
    back = parse(text)
    assert back.problems == []
    assert isinstance(back.value, dict)
    assert repr(back.value) == repr(document)
    assert to_yaml(back.value) == text
    assert "\r" not in text


PUNCTUATION = "[]{}:,-?!&*|>%@#'\"\\ \n\taA1.e~<=\ufeff\x85\u2028"
texts = (st.text() | st.text(PUNCTUATION)).map(lambda text: text.encode("utf-8", "surrogatepass"))


@settings(quick, max_examples=300)
@given(st.binary() | texts)
def test_any_bytes_give_a_value_or_problems(data: bytes) -> None:
    document = parse(data)
    assert document.problems or document.value is not None
    assert all(problem.text.isprintable() for problem in document.problems)


@quick
@given(st.text())
def test_printable_text_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    assert not text.isprintable() or printable(text) == text
