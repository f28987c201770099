"""What the manifest says of the inputs."""

import json
from pathlib import Path

import numpy as np
import pytest

from heinit_sim.config import load_config, parse_config, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.runs import directory
from heinit_sim.runs.manifest import config_hash, input_facts
from heinit_sim.simulation.sweep import run_sweep

TEXT = """
name: x
network: {depth: 2, width: 4, input_dim: 3}
init: {variance: 0.25}
inputs: {count: 2, INPUTS}
sweep: {inputs.normalisation: [none, global, per_component]}
trials: 2
"""
ROWS = np.array([[1.0, 2.0, 7.0], [3.0, -4.0, 7.0], [5.5, 0.0, 7.0], [0.0, 8.0, 7.0]])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "rows.npy", ROWS)
    return tmp_path / "rows.npy"


def of_file(path: Path) -> str:
    return TEXT.replace("INPUTS", f"distribution: file, path: {path}")


def test_statistics_that_normalised_a_file_stand_in_the_manifest(path: Path) -> None:
    run = path.parent / "run"
    directory.write_run(run_sweep(parse_config(of_file(path))), run, figure=None)
    plain, whole, each = json.loads((run / "manifest.json").read_text("utf-8"))["inputs"]
    digest = parse_config(of_file(path)).conditions[0].inputs.sha256
    for index, facts in enumerate((plain, whole, each)):
        assert facts["conditions"] == [index]
        assert (facts["examples"], facts["sha256"], facts["path"]) == (4, digest, str(path))
    assert [f["normalisation"] for f in (plain, whole, each)] == ["none", "global", "per_component"]
    assert "mean" not in plain
    rtol = 4 * 12 * np.finfo(float).eps  # two means of 12 numbers, half of which cancels
    expected = [ROWS.mean(), ROWS.std()]
    np.testing.assert_allclose([whole["mean"], whole["std"]], expected, rtol=rtol, atol=0)
    np.testing.assert_allclose(each["mean"], ROWS.mean(axis=0), rtol=rtol, atol=0)
    np.testing.assert_allclose(each["std"], [*ROWS.std(axis=0)[:2], 1.0], rtol=rtol, atol=0)


def test_statistics_of_a_law_are_its_own_and_plain_inputs_have_none() -> None:
    text = TEXT.replace("INPUTS", "distribution: normal, mean: 5, std: 3")
    plain, whole, _ = input_facts(parse_config(text))
    assert plain == {"conditions": [0], "distribution": "normal", "normalisation": "none"}
    assert (whole["mean"], whole["std"]) == (5.0, 3.0)
    standard = TEXT.replace(", INPUTS", "").replace("[none, global, per_component]", "[none]")
    assert input_facts(parse_config(standard)) == []


def test_the_bytes_of_the_file_are_part_of_the_identity_of_a_run(path: Path) -> None:
    before = parse_config(of_file(path))
    saved = path.parent / "config.yaml"
    saved.write_text(to_yaml(before.document), "utf-8")
    assert load_config(saved) == before
    np.save(path, ROWS + 1)
    assert config_hash(parse_config(of_file(path))) != config_hash(before)
    with pytest.raises(ConfigError, match=r"inputs\.path: not the file of inputs\.sha256"):
        load_config(saved)
    path.unlink()
    assert load_config(saved, read_data=False) == before
