import csv
import io
import math

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import PASS_OF
from heinit_sim.experiment.results import SweepPrediction
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import formats
from heinit_sim.reports.prediction import (
    prediction_layer_rows,
    prediction_rows,
    to_prediction_table,
)
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.commands import printed

CONFIG = """
name: predicted
network: {depth: 6, width: 30, input_dim: 30}
init: {scheme: he_normal}
inputs: {count: 1}
sweep: {init.bias_variance: [0, 0.1]}
trials: 400
"""


@pytest.fixture(scope="module")
def prediction() -> SweepPrediction:
    return predict_sweep(parse_config(CONFIG))


def test_each_layer_of_each_quantity_has_a_row_that_reads_back(prediction: SweepPrediction) -> None:
    text = formats.to_csv(prediction_layer_rows(prediction))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * len(PASS_OF) * 7
    assert [*rows[0]][-9:] == [
        *("theory_log10_second_moment", "theory_log10_variance"),
        "theory_log10_variance_between_inputs",
        *("predicted_log10_p05", "predicted_log10_median", "predicted_log10_p95"),
        *("predicted_mean_of_log10", "predicted_std_of_log10", "theory_kind"),
    ]
    exact, biased = (rows[35 * i + 7 + 3] for i in (0, 1))  # h_3
    assert (exact["quantity"], exact["layer"]) == ("activation", "3")
    one, other = prediction.conditions
    assert float(exact["predicted_log10_median"]) == formats.rounded(
        one.quantiles["activation"][1, 3]
    )
    assert float(exact["theory_log10_variance"]) == formats.rounded(
        one.theory["activation", "variance"][3]
    )
    # Hanin & Nica's first order: −(5/2n) and 5/n per layer in ln, the input's −1/n and 2/n beside.
    mean, std = (float(exact[f"predicted_{s}_of_log10"]) * math.log(10) for s in ("mean", "std"))
    assert abs(mean + 3 * 5 / 60 + 1 / 30) < 0.1 * 3 * 5 / 60
    assert abs(std - math.sqrt(3 * 5 / 30 + 2 / 30)) < 0.1 * std
    assert biased["predicted_mean_of_log10"] == biased["predicted_std_of_log10"] == ""
    assert (exact["theory_kind"], biased["theory_kind"]) == ("exact", "mean_field")
    assert biased["predicted_log10_median"] == ""
    expected = other.mean_field["activation", "second_moment"][3]
    assert float(biased["theory_log10_second_moment"]) == formats.rounded(expected)


def test_a_row_of_each_pass_tells_its_end_and_its_slope(prediction: SweepPrediction) -> None:
    forward, backward = prediction_rows(prediction)[:2]
    assert (forward["pass"], forward["quantity"], forward["layer"]) == ("forward", "activation", 6)
    ends = (backward["pass"], backward["quantity"], backward["layer"])
    assert ends == ("backward", "grad_activation", 0)
    assert abs(forward["theory_log10_second_moment"]) < 1e-14  # He, n = 30: kept
    assert abs(forward["theory_decades_per_layer"]) < 1e-14


def test_predicted_quantiles_are_those_of_a_simulation() -> None:
    config = parse_config(CONFIG)
    measured, predicted = run_sweep(config, 1).conditions[0], predict_sweep(config).conditions[0]
    for quantity in PASS_OF:
        log10 = measured.networks[quantity, "second_moment"]
        low, median, high = predicted.quantiles[quantity]
        n = len(log10)
        # Counts below a quantile are binomial, of n and of the networks behind it; five
        # errors each, over 5 quantities, 7 layers and 3 quantiles.
        for share, bound in ((0.05, low), (0.5, median), (0.95, high)):
            error = math.sqrt(share * (1 - share) * (1 / n + 1 / predicted.sampled))
            assert np.abs((log10 < bound).mean(axis=0) - share).max() < 5 * error
        wrong = spread(log10 + 0.5).median  # half a decade off is found
        assert np.abs((log10 < wrong).mean(axis=0) - 0.5).max() > 5 * 0.5 / math.sqrt(n)


def test_the_table_fits_eighty_columns(prediction: SweepPrediction) -> None:
    lines = printed(to_prediction_table(prediction.config, prediction_rows(prediction)))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "1.0e+00" in text
    assert "mean field" in text
    assert "—" in text
    assert "…" not in text


def test_where_nothing_is_known_no_kind_of_theory_is_named() -> None:
    text = CONFIG.replace("{depth: 6", "{activation: gelu, depth: 6")
    text = text.replace("{scheme: he_normal}", "{variance: 1.0e+305}")
    found = predict_sweep(parse_config(text.replace("[0, 0.1]", "[0]")))
    ends = [row for row in prediction_layer_rows(found) if row["quantity"] == "activation"]
    ends = [row for row in ends if row["layer"] in (0, 6)]
    assert [row["theory_kind"] for row in ends] == ["mean_field", ""]
    assert math.isnan(ends[1]["theory_log10_second_moment"])
    forward, _ = prediction_rows(found)
    assert forward["theory_kind"] == ""


def test_the_law_of_logarithms_is_known_of_activations_alone(prediction: SweepPrediction) -> None:
    names = ("predicted_mean_of_log10", "predicted_std_of_log10")
    for row in prediction_layer_rows(prediction):
        biased = row["init.bias_variance"] > 0
        known = row["quantity"] == "activation" and (row["layer"] == 0 or not biased)
        assert [math.isfinite(row[name]) for name in names] == [known, known], row
    # the input is that of a chi-squared law whatever the biases
    exact, other = (
        row
        for row in prediction_layer_rows(prediction)
        if (row["quantity"], row["layer"]) == ("activation", 0)
    )
    assert [exact[name] for name in names] == [other[name] for name in names]


def test_cells_of_the_table_are_the_numbers_under_their_heads(prediction: SweepPrediction) -> None:
    rows = prediction_rows(prediction)
    table = to_prediction_table(prediction.config, rows)
    cells = {str(column.header): list(column.cells) for column in table.columns}
    names = {
        "mean": "theory_log10_second_moment",
        "median": "predicted_log10_median",
        "5 %": "predicted_log10_p05",
        "95 %": "predicted_log10_p95",
    }
    for header, name in names.items():
        texts = ["—" if math.isnan(r[name]) else formats.power_text(r[name]) for r in rows]
        assert cells[header] == texts
    for i in (0, 1):  # both passes of the network without biases
        low, median, high = (float(str(cells[header][i])) for header in ("5 %", "median", "95 %"))
        assert low < median < high


@pytest.mark.slow
def test_as_many_networks_are_sampled_whatever_stands_beside() -> None:
    text = CONFIG.replace("depth: 6, width: 30", "depth: 50, width: 5")
    text = text.replace("init.bias_variance: [0, 0.1]", "network.depth: [DEPTHS]")
    alone, beside = (
        predict_sweep(parse_config(text.replace("DEPTHS", depths))).conditions[0]
        for depths in ("50", "50, 2")
    )
    assert (alone.sampled, beside.sampled) == (40_000, 40_000)
    for quantity, log10 in alone.quantiles.items():
        assert np.array_equal(log10, beside.quantiles[quantity])
