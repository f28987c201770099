"""What a user of the library gives and gets: paths, overrides, texts, rows."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heinit_sim import (
    ConfigError,
    SweepResult,
    compare,
    load_config,
    predict_sweep,
    read_run,
    run_sweep,
    write_run,
)
from tests.configs import SMALL


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, "utf-8")
    return path


@pytest.fixture
def result(config: Path) -> SweepResult:
    return run_sweep(load_config(config))


def test_runs_are_read_and_compared_by_text_path_or_result(
    result: SweepResult, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    write_run(result, str(run), figure=None)
    assert read_run(str(run)).config == read_run(run).config
    assert read_run(run, {"figure.quantity": "std"}).config.figure.quantity == "std"
    for first, second in ((str(run), run), (run, result), (result, str(run))):
        found = compare(first, second)
        assert (found.exact, found.held) == (True, True)


def test_overrides_may_be_a_mapping_or_texts_of_any_plain_kind(config: Path) -> None:
    given: dict[str, Any] = {"trials": np.int64(3), "init.variance": np.float64(0.25)}
    for overrides in (given, ["trials=3", "init.variance=0.25"], ("trials=3", "init.variance=.25")):
        loaded = load_config(str(config), overrides)
        assert (loaded.trials, loaded.conditions[0].weight_variances[0]) == (3, 0.25)
    assert load_config(config, "trials=3").trials == 3
    assert load_config(config, {"sweep": {"network.width": [3, 4]}}).conditions[1].widths[1] == 4
    assert load_config(config, {"network.width": np.array([3, 4, 5])}).conditions[0].depth == 3
    data = {"inputs": {"distribution": "file", "path": Path("none.csv")}}
    with pytest.raises(ConfigError, match=r"none\.csv"):
        load_config(config, data)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (5, "overrides: error: not overrides (5), must be a mapping from dotted paths"),
        (None, "overrides: error: not overrides (null), must be"),
        ([5], "overrides: error: not overrides (a list), must be"),
        (b"trials=3", "overrides: error: not overrides (b'trials=3'), must be"),
        ({3: 4}, "overrides: error: 3 is a key, must be a mapping from dotted paths"),
        (["trials"], "overrides: error: no value is given ('trials'), must be KEY=VALUE"),
        ({"trials": object}, "overrides: error: trials: no value of a config (type <class"),
        ({"trials": b"3"}, "overrides: error: trials: no value of a config (bytes b'3'), must be"),
        ({"trials": math.nan}, "overrides: error: trials: no value of a config (float nan), must"),
        ({"trials": {1j}}, "overrides: error: trials: no value of a config (set {1j}), must be"),
        ({"trials": "3"}, "overrides trials=\"3\": error: trials: not an integer ('3'), must be"),
    ],
)
def test_overrides_of_a_wrong_type_are_refused(overrides: Any, message: str, config: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(config, overrides)
    (problem,) = raised.value.problems
    assert problem.startswith(message)


def test_what_is_printed_has_a_few_lines(result: SweepResult, config: Path) -> None:
    many = load_config(config, {"sweep": {"network.width": [*range(1, 101)]}})
    many_layers = load_config(config, {"network.depth": 3000, "network.width": [5] * 3000})
    for shown in (
        *(result, result.config, result.conditions[0], result.conditions[0].condition),
        *(predict_sweep(result.config), predict_sweep(result.config).conditions[0]),
        *(many, many.conditions[99], many_layers, many_layers.conditions[0]),
    ):
        lines = repr(shown).splitlines()
        assert len(lines) <= 7
        assert all(len(line) <= 160 for line in lines)
        assert lines[0].startswith(type(shown).__name__)
    assert repr(many).endswith("Condition 4: network.width = 5\n  … and 95 more")
    assert repr(result).startswith("SweepResult of SweepConfig small: ")


def test_rows_are_those_of_the_table_and_all_alike(result: SweepResult, tmp_path: Path) -> None:
    write_run(result, tmp_path / "run", figure=None)
    with (tmp_path / "run/layers.csv").open(encoding="utf-8") as file:
        saved = list(csv.DictReader(file))
    rows = result.to_rows()
    assert len(rows) == len(saved) > 0
    assert {tuple(row) for row in rows} == {tuple(row) for row in saved} == {tuple(saved[0])}
    for row, line in zip(rows, saved, strict=True):
        for key, value in row.items():
            if isinstance(value, float) and not math.isnan(value):
                assert math.isclose(value, float(line[key]), rel_tol=0, abs_tol=0.6e-8)
            else:
                assert str(value) == line[key] or (value != value and line[key] == "")
