import csv
import io
import json
import math

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import PASS_OF
from heinit_sim.experiment.results import SweepResult
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import formats, run
from heinit_sim.simulation import run_sweep
from tests.conditions import unpredicted
from tests.reports.configs import CLASSES, SMALL


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return unpredicted(parse_config(SMALL))


def test_layers_csv_has_the_columns_of_the_contract_in_order(result: SweepResult) -> None:
    statistics = ("second_moment", "variance", "variance_between_inputs")
    names = ("mean", "se", "median", "p05", "p95")
    expected = ["condition", "init.variance", "pass", "quantity", "layer", "networks"]
    expected += [f"log10_{s}_{name}" for s in statistics for name in names]
    expected += [*(f"theory_log10_{s}" for s in statistics), "theory_kind"]
    text = formats.to_csv(list(run.layer_rows(result)))
    assert next(csv.reader(io.StringIO(text))) == expected


def test_layers_csv_reads_back_to_rounded_numbers_with_defaults(result: SweepResult) -> None:
    text = formats.to_csv(list(run.layer_rows(result)))
    assert "\r" not in text
    assert not text.startswith("#")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * len(PASS_OF) * 4
    assert not {None, ""} & {name for row in rows for name in row}
    by_place = {(r["condition"], r["quantity"], r["layer"]): r for r in rows}
    assert len(by_place) == len(rows)
    for of in result.conditions:
        for quantity, direction in PASS_OF.items():
            expected = spread(of.networks[quantity, "variance"])
            for k in range(4):
                row = by_place[str(of.condition.index), quantity, str(k)]
                assert row["pass"] == direction
                assert row["networks"] == "6"
                assert float(row["init.variance"]) == of.condition.swept["init.variance"]
                assert float(row["log10_variance_median"]) == formats.rounded(expected.median[k])
                assert row["log10_variance_se"] == formats._cell(formats.rounded(expected.se[k]))
                theory = formats.rounded(of.theory[quantity, "variance"][k])
                assert row["theory_log10_variance"] == ("" if math.isnan(theory) else repr(theory))


def test_nan_is_empty_and_zero_is_minus_infinity() -> None:
    assert formats.to_csv([{"a": math.nan, "b": -math.inf, "c": 0.1}]) == "a,b,c\n,-inf,0.1\n"
    assert formats.to_json_values([{"a": math.nan, "b": -math.inf}]) == [{"a": None, "b": None}]


@pytest.mark.parametrize(
    ("value", "to_decades", "to_digits"),
    [
        (-65.759403428827, "-65.75940343", "-65.75940343"),
        (12345.678901234567, "12345.67890123", "12345.6789"),
        (1.23456789012e-12, "0.0", "1.23456789e-12"),
        (-1e-17, "0.0", "-1e-17"),  # no sign of a zero
        (-0.0, "0.0", "0.0"),
        (-math.inf, "-inf", "-inf"),
        (math.nan, "nan", "nan"),
        (0.1 + 0.2, "0.3", "0.3"),
    ],
)
def test_processors_differences_are_rounded(value: float, to_decades: str, to_digits: str) -> None:
    assert repr(formats.rounded(value)) == to_decades
    assert repr(formats.ten_digits(value)) == to_digits


def test_every_number_of_a_run_is_rounded_but_the_swept_ones() -> None:
    swept = "sweep: {init.variance: [0.25, 0.123456789012]}\nrecord: {cosine: true}"
    text = SMALL.replace("sweep: {init.variance: [0.25, 0.5]}", swept)
    result = unpredicted(parse_config(text))
    rows = [*run.layer_rows(result), *run.ratio_rows(result, "cosine"), *run.summary_rows(result)]
    assert {row["init.variance"] for row in rows} == {0.25, 0.123456789012}
    numbers = [
        value
        for row in rows
        for column, value in row.items()
        if isinstance(value, float) and column != "init.variance" and not math.isnan(value)
        if "loss" not in column
    ]
    assert len(numbers) > 500
    assert [formats.rounded(number) for number in numbers] == numbers
    losses = [row[column] for row in rows for column in row if column.startswith("loss_")]
    assert len(losses) == 10
    assert [formats.ten_digits(loss) for loss in losses] == losses


def test_lists_and_mappings_of_a_sweep_are_one_json_cell() -> None:
    text = formats.to_csv([{"w": (3, 4), "a": {"name": "leaky_relu"}}])
    assert next(iter(csv.DictReader(io.StringIO(text)))) == {
        "w": json.dumps([3, 4]),
        "a": json.dumps({"name": "leaky_relu"}),
    }


def test_the_loss_stands_beside_theory_and_ln_v() -> None:
    config = parse_config(CLASSES.replace("VARIANCE", "0.02"))
    (outcome,) = run_sweep(config, jobs=1).conditions
    (row,) = run.summary_rows(SweepResult(config, (outcome,)))
    losses = 10 ** outcome.outputs["log10_loss"][:, 0]
    assert math.isclose(row["loss_mean"], losses.mean(), rel_tol=1e-9)
    assert math.isclose(row["loss_se"], losses.std(ddof=1) / math.sqrt(10), rel_tol=1e-9)
    assert math.isclose(row["loss_median"], np.median(losses), rel_tol=1e-3)
    assert row["loss_p05"] < row["loss_median"] < row["loss_p95"]
    assert row["uniform_loss"] == formats.ten_digits(math.log(50))
    # The recursion is off by some 1/width of q/2; errors of networks beside it.
    assert abs(row["theory_loss"] - losses.mean()) < 4 * row["loss_se"] + 0.02


def test_losses_that_are_no_floats_or_have_any_sign_are_empty() -> None:
    text = CLASSES.replace("VARIANCE", "0.02").replace("tanh", "relu")
    probe = parse_config(text.replace("cross_entropy", "probe"))
    far = parse_config(
        text.replace("cross_entropy", "least_squares"), "c", {"init": {"variance": 1e200}}
    )
    for config in (probe, far):
        (row,) = run.summary_rows(run_sweep(config, jobs=1))
        assert all(math.isnan(row[c]) for c in row if "loss" in c)


def test_summary_reads_back(result: SweepResult) -> None:
    rows = run.summary_rows(result)
    back = run.summary_rows_from_csv(formats.to_csv(rows), result.config)
    assert formats.to_json_values(back) == formats.to_json_values(rows)  # NaN is not itself
    with pytest.raises(ValueError, match="no column"):
        run.summary_rows_from_csv("a,b\n1,2\n", result.config)


def test_summary_holds_the_medians_of_the_first_and_last_hidden_layer(result: SweepResult) -> None:
    for of, row in zip(result.conditions, run.summary_rows(result), strict=True):
        median = np.median(of.networks["activation", "variance"], axis=0)
        ends = (row["log10_variance_first"], row["log10_variance_last"])
        assert ends == (formats.rounded(median[1]), formats.rounded(median[3]))
        slope = math.log10(4 * of.condition.weight_variances[0])
        # rounded to 1e-8, and of logarithms of size 1, whose own rounding is 1e-16
        assert abs(row["theory_forward_decades_per_layer"] - slope) < 0.51e-8


@pytest.mark.parametrize(
    ("log10_value", "text"),
    [
        (-65.759, "1.7e-66"),
        (0.0, "1.0e+00"),
        (7379.98, "9.5e+7379"),
        (-0.0001, "1.0e+00"),
        (-math.inf, "0"),
        (math.nan, "—"),
    ],
)
def test_variances_print_at_any_magnitude(log10_value: float, text: str) -> None:
    assert formats.power_text(log10_value) == text


def test_a_slope_of_nothing_but_rounding_has_no_minus() -> None:
    assert formats.slopes_text(-1e-17, -0.0) == "+0.000 (+0.000)"
    assert formats.slopes_text(-0.0006, math.nan) == "-0.001 (—)"


@pytest.mark.parametrize(("activation", "kind"), [("tanh", "mean_field"), ("relu", "exact")])
def test_rows_say_which_theory_stands_beside_them(activation: str, kind: str) -> None:
    text = SMALL.replace("network: {", f"network: {{activation: {activation}, ")
    rows = list(run.layer_rows(unpredicted(parse_config(text))))
    assert {row["theory_kind"] for row in rows} == {kind}
