"""Manifests in the place of configs: which are taken, which are refused, and where."""

import io
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from heinit_sim.config import document_hash, load_config, parse_config
from heinit_sim.config.yaml_document import MAX_BYTES
from heinit_sim.errors import ConfigError
from tests.configs import DENSE, problems

EXPECTING = """
sweep: {network.depth: [2, 3], init.variance: [0.5, 1e-3]}
expect: [{forward: stable, when: {init.variance: 0.5}}]
"""
CONFIG = parse_config(DENSE + EXPECTING)


def manifest(**fields: object) -> dict[str, object]:
    """What a manifest has for a config to be found in it; None leaves a field out."""
    whole = {
        "schema_version": 1,
        "name": "small",
        "config_sha256": document_hash(CONFIG.document),
        "config": CONFIG.document,
        "versions": {name: version(name) for name in ("heinit-sim", "numpy", "matplotlib")},
        **fields,
    }
    return {key: value for key, value in whole.items() if value is not None}


def text_of(whole: Mapping[str, object]) -> str:
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def changed(**settings: object) -> dict[str, object]:
    return {**CONFIG.document, **settings}


@pytest.mark.parametrize(
    "text",
    [
        text_of(manifest()),
        "\ufeff\n" + text_of(manifest()),  # a byte order mark
        json.dumps(manifest()),  # on one line
        text_of(dict(sorted(manifest().items()))),
    ],
)
def test_a_manifest_is_the_config_that_it_holds(text: str) -> None:
    found = parse_config(text.encode())
    assert found == CONFIG
    assert (found.document, found.made_by) == (CONFIG.document, "")
    assert [*found.sweep] == ["network.depth", "init.variance"]
    assert parse_config(text.encode(), overrides={"trials": 7}).trials == 7


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ({"config": None}, "1:1", "an older manifest without the config itself; give its config."),
        ({"config": changed(seed=1)}, "5:3", "config: changed by hand (it is not as config_sha256"),
        ({"config": changed(draws=None)}, "5:3", "config: changed by hand"),
        ({"config": changed(stream_version=2)}, "5:3", "config: changed by hand"),
        ({"config": []}, "5:3", "config: changed by hand"),
        ({"config_sha256": 3}, "5:3", "config: changed by hand"),
        ({"config": {"name": "\ud800"}}, "5:3", "config: changed by hand"),
        ({"schema_version": 2}, "5:3", "config: a manifest of schema version 2, must be of vers"),
    ],
)
def test_a_manifest_that_does_not_tell_its_config_is_refused(
    fields: dict[str, object], place: str, said: str
) -> None:
    (problem,) = problems(json.dumps(manifest(**fields), indent=2))
    assert problem.startswith(f"c.yaml:{place}: error: {said}")
    assert problem.endswith(("config.yaml", "give config.yaml, or --set"))


def test_what_this_version_does_not_draw_is_refused_where_the_config_begins() -> None:
    later = changed(stream_version=2)
    digest = document_hash(later)
    assert digest != document_hash(CONFIG.document)
    text = text_of(manifest(config=later, config_sha256=digest, stream_version=2))
    (problem,) = problems(text)
    streams = "streams of version 2, this heinit-sim draws version 1; install the version"
    assert problem.startswith(f"c.yaml:5:3: error: stream_version: {streams}")


def test_expectations_and_the_first_streams_are_no_part_of_the_hash() -> None:
    plain = {key: value for key, value in CONFIG.document.items() if key != "expect"}
    older = {key: value for key, value in plain.items() if key != "stream_version"}
    assert document_hash(older) == document_hash(plain) == document_hash(CONFIG.document)
    assert document_hash({**older, "stream_version": 2}) != document_hash(older)
    assert document_hash({**older, "note": None}) != document_hash(older)
    without = replace(CONFIG, expect=(), document=plain)
    assert parse_config(text_of(manifest(config=older))) == without


def test_other_texts_that_begin_with_a_brace_are_configs() -> None:
    braced = "{name: a, network: {depth: 1, width: 2, input_dim: 3}, init: {variance: 1}}"
    assert parse_config(braced).name == "a"
    document = parse_config(braced).document
    assert parse_config(json.dumps(document)).document == document
    (problem,) = problems(json.dumps({**document, "config_sha256": "0"}))
    assert "config_sha256: unknown key" in problem
    for encoded in (text_of(manifest()).encode("utf-16-le"), b'{"a": "\xed\xa0\x80",'):
        (problem,) = problems(encoded + text_of(manifest()).encode()[1:])
        assert "not UTF-8" in problem or "control character" in problem
    for broken in ("{", "{]", "{" * 5000, "{\udcff"):
        assert problems(broken)


def test_versions_that_decide_about_bits_are_named_where_they_are_others() -> None:
    others = {"heinit-sim": "0.0.9", "numpy": "1.26", "python": "3.8", "blas": ["mkl"]}
    config = parse_config(text_of(manifest(versions=others)))
    here = f"(here {version('heinit-sim')})", f"(here {version('numpy')})"
    assert config.made_by == f"heinit-sim 0.0.9 {here[0]}, NumPy 1.26 {here[1]}"
    odds: list[object] = [{"numpy": version("numpy")}, {}, [], None, "2"]
    for odd in odds:
        assert parse_config(text_of(manifest(versions=odd))).made_by == ""


def test_manifests_may_be_larger_than_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = [{"mean": [0.1234567890123456789] * (MAX_BYTES // 20), "std": 1.0}]
    path = tmp_path / "renamed.txt"
    for order in (manifest(inputs=means), {"inputs": means, **manifest()}):
        path.write_text(text_of(order), "utf-8")
        assert path.stat().st_size > MAX_BYTES + 1
        assert load_config(path) == CONFIG
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        assert load_config("-") == CONFIG
    path.write_text("{" + " " * MAX_BYTES + "}", "utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"too large, must be at most {MAX_BYTES}")):
        load_config(path)
