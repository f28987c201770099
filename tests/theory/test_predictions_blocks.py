"""What is predicted of convolutional and residual conditions, beside plain small networks."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heinit_sim.checks.fates import fates
from heinit_sim.checks.verdict import trend
from heinit_sim.cli.console import print_table
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import MEASURES, PASS_OF
from heinit_sim.experiment.records import Output
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.steps import Padding, Readout
from heinit_sim.experiment.sweep_config import Condition, Lsuv, SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.reports.prediction import (
    prediction_layer_rows,
    prediction_rows,
    to_prediction_table,
)
from heinit_sim.reports.run import layer_rows, summary_rows
from heinit_sim.reports.summary_table import to_summary_table
from heinit_sim.theory.assumptions import chain_slope, exact_layers
from heinit_sim.theory.predictions import predict, predicted_variance_of_ln
from tests.conditions import Blocks, Images, condition, description, with_layers
from tests.rows import slow_but

Array = np.ndarray
DENSE = condition((12, 9, 9, 9, 2), (0.2, 0.2, 0.3, 0.4))


def images(padding: Padding = "circular", readout: Readout = "flatten") -> Condition:
    shape = Images((2, 3), 3, (2, 3, 2, 3), padding, readout)
    return with_layers(DENSE, widths=(12, 18, 12, 18, 2), images=shape)


CONDITIONS = {
    "circular": images(),
    "zeros": images("zero"),
    "circular, averaged": images("circular", "mean"),
    "zeros, averaged": images("zero", "mean"),
    "blocks": with_layers(DENSE, blocks=Blocks(0.5, 2, "inside")),
    "blocks of zeros": with_layers(DENSE, blocks=Blocks(zero_last=True)),
}


def predicted(of: Condition) -> Prediction:
    (prediction,) = predict([of])
    return prediction


# ----- exact at any width


def second_moments(of: Condition, slope: float, n: int) -> dict[str, Array]:
    """E[f_k²] and E[h_k²] of each of n networks, (n, K+1), their images (n, 2, 3, channels)."""
    rng, shape = np.random.default_rng(5), description(of)["images"]
    h = rng.standard_normal((n, 2, 3, shape.channels[0]))
    if of.inputs.distribution == "sparse":
        h *= (rng.random(h.shape) < of.inputs.density) / math.sqrt(of.inputs.density)
    seen: dict[str, list[Array]] = {"activation": [], "preactivation": []}
    for k, variance in enumerate(of.weight_variances):
        seen["activation"].append((h**2).mean(axis=(1, 2, 3)))
        if k < of.depth:
            mode = "wrap" if shape.padding == "circular" else "constant"
            padded = np.pad(h, [(0, 0), (1, 1), (1, 1), (0, 0)], mode)  # type: ignore[call-overload]  # one of its modes
            windows = [padded[:, i : i + 2, j : j + 3] for i in range(3) for j in range(3)]
            h = np.concatenate(windows, axis=-1)
        else:
            h = h.reshape(n, 1, 1, -1)
        fan_out = shape.channels[k + 1] if k < of.depth else of.widths[-1]
        omega = rng.standard_normal((n, 1, h.shape[-1], fan_out)) * math.sqrt(variance)
        f = h @ omega
        seen["preactivation"].append((f**2).mean(axis=(1, 2, 3)))
        h = np.where(f > 0, f, slope * f)
    return {quantity: np.array(layers).T for quantity, layers in seen.items()}


def largest(networks: dict[str, Array], of: Condition) -> float:
    theory = predicted(of).theory
    worst = []
    for quantity, values in networks.items():
        error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
        expected = 10 ** theory[quantity, "second_moment"]  # type: ignore[index]  # their names
        worst.append(np.abs(values.mean(axis=0) - expected) / error)
    return float(np.max(worst))


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_the_forward_pass_of_two_or_three_channels_is_exact(padding: Padding, slope: float) -> None:
    of = images(padding)
    if slope:
        of = with_layers(of, activation="leaky_relu", options={"negative_slope": slope})
        of = replace(of, inputs=Inputs(distribution="sparse", density=0.4))
    networks = second_moments(of, slope, 100_000)
    assert predicted(of).exact_layers == {"preactivation": 4, "activation": 4}
    # 8 means in each of four: 32 · P(|z| > 4.8) < 1e-4
    assert largest(networks, of) < 4.8
    other: Padding = "zero" if padding == "circular" else "circular"
    assert largest(networks, images(other)) > 4.8
    assert largest(networks, with_layers(of, activation="linear")) > 4.8
    variances = (*of.weight_variances[:2], 1.05 * 0.3, 0.4)
    assert largest(networks, with_layers(of, weight_variances=variances)) > 4.8


@pytest.mark.parametrize(
    ("of", "layers"),
    [
        (images("circular", "mean"), {"preactivation": 3, "activation": 4}),
        (with_layers(images(), activation="tanh"), {}),
        (with_layers(images(), bias_variances=(0.1,) * 4), {}),
        (with_layers(images(), weight_distributions=("uniform",) * 4), {}),
        (with_layers(images(), blocks=Blocks()), {}),
        (CONDITIONS["blocks"], {}),
    ],
)
def test_exact_is_only_what_is_known_to_be(of: Condition, layers: dict[str, int]) -> None:
    found = predicted(of)
    assert found.exact_layers == layers
    assert (dict(found.quantiles), found.log_norm_spread) == ({}, None)
    for quantity in PASS_OF:
        n = layers.get(quantity, 0)
        kinds = [found.theory_kind(quantity, k) for k in range(4)]
        assert kinds == ["exact"] * n + ["mean_field"] * (4 - n)
        # Beside an exact second moment no other variance stands; the recursion keeps them all.
        assert np.isnan(found.theory[quantity, "variance"][:n]).all()
        wide = found.mean_field[quantity, "second_moment"]
        assert np.array_equal(found.theory[quantity, "second_moment"], wide)


def test_what_is_exact_goes_by_inputs_positions_and_lsuv_too() -> None:
    whole = {"preactivation": 4, "activation": 4}
    digits = Inputs("digits")  # whose pixels are not alike, as a window at the edge sees
    assert exact_layers(replace(images("circular"), inputs=digits)) == whole
    assert exact_layers(replace(images("zero"), inputs=digits)) == {}
    point = Images((1,), 1, (2, 3, 2, 3), readout="mean")  # which is its own average
    assert exact_layers(with_layers(DENSE, widths=(2, 3, 2, 3, 2), images=point)) == whole
    assert exact_layers(replace(images(), lsuv=Lsuv())) == {}


def test_only_fully_connected_networks_without_blocks_are_chains() -> None:
    assert chain_slope(DENSE) == 0.0
    for of in CONDITIONS.values():
        assert chain_slope(of) is None
        for direction in ("forward", "backward"):
            assert np.isnan(predicted_variance_of_ln(predicted(of), direction)).all()


# ----- the word, and what befell networks


def shown(of: Condition, h: Array, **others: Array) -> ConditionResult:
    """Networks of these log10 second moments of h_k and, if not given, of all else."""
    networks = dict.fromkeys(MEASURES, h)
    for measure in MEASURES:
        networks[measure] = others.get(measure[0], h)
    losses: dict[Output, Array] = {"log10_loss": h[:, -1:]}
    return ConditionResult(**vars(predicted(of)), networks=networks, outputs=losses)


def walks(depth: int, n_networks: int, spread: float) -> Array:
    """log10 of norms whose mean stays 1 as the variance of ln grows by `spread` each layer."""
    rng = np.random.default_rng(3)
    steps = math.sqrt(spread) * rng.standard_normal((n_networks, depth)) - spread / 2
    return np.pad(np.cumsum(steps, axis=1), [(0, 0), (1, 0)]) / math.log(10)


def deep(**changes: Any) -> Condition:
    return with_layers(condition((8,) * 41 + (2,), 0.25), **changes)


DEEP = [deep(blocks=Blocks()), deep(images=Images((2,), 1, (4,) * 41))]


@pytest.mark.parametrize("of", slow_but(DEEP, DEEP[0]))
def test_the_drift_of_the_median_is_no_more_than_networks_show(of: Condition) -> None:
    h = walks(40, 400, 0.1)  # the median falls by 2 nats, 0.022 decades per layer
    found = trend(shown(of, h), "forward")
    ln = h[:, -1] * math.log(10)
    half = ln.var(ddof=1) / 4 / 40 / math.log(10)  # anything from no drift to twice that
    assert math.isclose(found.drift, -half, rel_tol=1e-12)
    assert math.isclose(found.allowed, 1 / 40 + half, rel_tol=1e-12)
    falling = h - 0.01 * np.arange(41)
    assert trend(shown(of, falling), "forward").word == "stable"
    # Without it the same networks would be called another name.
    assert trend(shown(deep(activation="tanh"), falling), "forward").word == "vanishing"
    assert trend(shown(of, h - 0.1 * np.arange(41)), "forward").word == "vanishing"
    wide = walks(40, 400, 0.3)  # by 2.6 decades in all: too narrow to tell
    assert trend(shown(of, wide), "forward").word == "undecided"
    assert trend(shown(of, h[:1]), "forward").drift == 0.0


def test_blocks_that_add_nothing_are_not_dead() -> None:
    of = CONDITIONS["blocks of zeros"]
    f = np.array([[0.0, -np.inf, -np.inf, 0.0]] * 5)
    result = shown(of, np.zeros((5, 4)), preactivation=f)
    assert fates(result) == []
    assert trend(result, "forward").word == trend(result, "backward").word == "stable"


def test_what_is_lost_is_too_large_or_too_small_by_its_fan() -> None:
    # E[f²] = 2.5 · 27 · 0.02 > 1 of what fan_in sees; of the layer's 18 units it would be less
    of = with_layers(images(), activation="gelu", weight_variances=(0.02,) * 4)
    assert of.fans[1][0] == 27
    h = np.log10([[1.0, 2.5, np.nan, np.nan]])
    f = np.log10([[1.0, np.nan, np.nan, np.nan]])
    assert [fate.word for fate in fates(shown(of, h, preactivation=f))] == ["overflow"]
    h -= 1.0
    assert [fate.word for fate in fates(shown(of, h, preactivation=f))] == ["underflow"]


# ----- tables and figures say what is known


def swept() -> SweepConfig:
    conditions = tuple(
        replace(of, index=i, swept={"network.kind": name})
        for i, (name, of) in enumerate(CONDITIONS.items())
    )
    return SweepConfig("connected", conditions, {"network.kind": tuple(CONDITIONS)}, 5, 0)


def test_tables_and_figures_of_predictions_say_what_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = swept()
    prediction = SweepPrediction(config, tuple(predict(config.conditions)))
    kinds = {}
    for row in prediction_layer_rows(prediction):
        kinds[row["network.kind"], row["quantity"], row["layer"]] = row["theory_kind"]
    assert kinds["circular", "activation", 3] == "exact"
    assert kinds["circular, averaged", "preactivation", 3] == "mean_field"
    assert kinds["zeros, averaged", "preactivation", 3] == ""
    assert kinds["zeros, averaged", "grad_activation", 0] == ""
    assert kinds["blocks", "activation", 3] == "mean_field"
    rows = prediction_rows(prediction)
    assert all(math.isnan(row["predicted_log10_median"]) for row in rows)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(to_prediction_table(config, rows))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    figure = draw(prediction)
    figure.draw_without_rendering()
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "zeros, averaged (not known in b)" in texts


def test_tables_and_figures_of_results_stand_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    config = swept()
    rng = np.random.default_rng(0)
    results = [shown(of, rng.standard_normal((5, 4))) for of in config.conditions]
    result = SweepResult(config, tuple(results))
    kinds = [row["theory_kind"] for row in layer_rows(result) if row["layer"] == 3]
    assert kinds[:5] == ["exact", "exact", "mean_field", "mean_field", "mean_field"]
    rows = summary_rows(result)
    assert math.isnan(rows[3]["theory_backward_decades_per_layer"])
    np.testing.assert_allclose(rows[5]["theory_forward_decades_per_layer"], 0, rtol=0, atol=1e-14)
    print_table(to_summary_table(config, rows))
    assert "blocks of zeros" in capsys.readouterr().out
    draw(result).draw_without_rendering()
