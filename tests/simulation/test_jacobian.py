"""`record.jacobian`: its numbers in a sweep, beside their theory and through files."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.records import LARGEST_SPECTRUM, Output
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import csv_files, summary_rows, summary_rows_from_csv
from heinit_sim.runs import read_run, write_run
from heinit_sim.simulation import estimate, iter_sweep, pack, packed_size, run_sweep, unpack
from heinit_sim.theory import predict
from tests.conditions import unpredicted
from tests.rows import slow_but

Array = np.ndarray
SECOND: Output = "log10_jacobian_second_moment"
VALUES: Output = "log10_singular_values"
BOTH = SECOND, VALUES
SMALL = """
name: small
network: {depth: 3, width: 6, input_dim: 4, output_dim: 3, activation: relu}
init: {scheme: he_normal}
inputs: {count: 2}
trials: 5
record: {jacobian: true}
"""


def test_it_is_that_of_the_first_input_of_the_batch() -> None:
    one, two = (
        run_sweep(parse_config(SMALL, "test", {"inputs.count": n})).conditions[0].outputs
        for n in (1, 2)
    )
    # The same draws; products of another shape may round the last digit otherwise.
    for name in BOTH:
        assert_allclose(one[name], two[name], rtol=0, atol=1e-12)
    assert two[SECOND].shape == (5, 1)
    assert two[VALUES].shape == (5, 3)
    squares = (10 ** (2 * two[VALUES])).sum(axis=1) / 12
    assert_allclose(squares, 10 ** two[SECOND][:, 0], rtol=1e-12, atol=0)


def test_other_numbers_are_as_without_it() -> None:
    with_it, without = (
        run_sweep(parse_config(SMALL, "test", {"record.jacobian": flag})).conditions[0]
        for flag in (True, False)
    )
    assert set(with_it.outputs) - set(without.outputs) == {SECOND, VALUES}
    for measure, log10 in without.networks.items():
        assert_array_equal(with_it.networks[measure], log10)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_no_network_depends_on_those_beside_it(activation: str) -> None:
    overrides = {"network.activation": activation, "trials": 9}
    text = SMALL.replace("scheme: he_normal", "variance: 1")
    swept = text + "sweep: {init.variance: [0.1, 0.3, 1]}"
    result = run_sweep(parse_config(swept, "test", overrides), jobs=2)
    for outcome in result.conditions:
        (variance,) = outcome.condition.swept.values()
        alone = parse_config(text, "test", overrides | {"init.variance": variance})
        outputs = run_sweep(alone, jobs=1).conditions[0].outputs
        for name in BOTH:
            assert_array_equal(outcome.outputs[name], outputs[name])


def test_the_scale_law_carries_it_beyond_float_range() -> None:
    tiny, one = (
        run_sweep(parse_config(SMALL, "test", {"init": {"variance": v}})).conditions[0].outputs
        for v in (1e-250, 1.0)
    )
    alive = np.isfinite(one[VALUES])
    assert_allclose(tiny[SECOND] - one[SECOND], -1000.0, rtol=0, atol=1e-11)
    assert_allclose(tiny[VALUES][alive] - one[VALUES][alive], -500.0, rtol=0, atol=1e-11)


def test_it_goes_through_tasks_files_and_tables(tmp_path: Path) -> None:
    config = parse_config(SMALL)
    for done in iter_sweep(config):
        packed = pack(done)
        assert len(packed) == packed_size(done.task)
        for one, other in zip(done.results, unpack(done.task, packed).results, strict=True):
            assert_array_equal(one.outputs[VALUES], other.outputs[VALUES])
    result = run_sweep(config)
    write_run(result, tmp_path / "small", figure=None)
    back = read_run(tmp_path / "small")
    for name in BOTH:
        ours, theirs = (r.conditions[0].outputs[name] for r in (result, back))
        assert_array_equal(theirs, ours)
    (row,) = summary_rows(result)
    assert_equal(row, summary_rows_from_csv(csv_files(result)["summary.csv"], config)[0])
    expected = spread(result.conditions[0].outputs[VALUES][:, :1])
    assert row["log10_largest_singular_value_median"] == pytest.approx(expected.median[0], abs=1e-7)


def test_large_ones_have_no_singular_values() -> None:
    side = math.isqrt(LARGEST_SPECTRUM)
    overrides = {"network.depth": 1, "network.width": 2, "network.activation": "linear"}
    overrides |= {"trials": 1, "network.input_dim": side + 1, "network.output_dim": side}
    config = parse_config(SMALL, "test", overrides)
    result = unpredicted(config)
    assert set(result.conditions[0].outputs) == {"log10_loss", SECOND}
    assert math.isfinite(result.conditions[0].outputs[SECOND][0, 0])
    assert estimate(config, 1).peak_bytes > 2**23


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"engine": "conditional"}, "engine: conditional"),
        ({"network.block": ["weights", {"norm": {"kind": "batch"}}, "activation"]}, "batch norm"),
        (
            {
                "network.block": [{"attention": {"heads": 2}}, "activation"],
                "network.stem": ["weights"],
                "inputs": {"tokens": 2, "count": 1},
            },
            "attention",
        ),
    ],
)
def test_networks_without_one_are_refused_where_it_is_asked_for(
    overrides: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(SMALL, "file.yaml", overrides)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("file.yaml:7:20: error: record.jacobian: not for " + why)
    assert line.endswith("(true), must be false")


MEANS = {
    "relu": "activation: relu, width: [7, 8, 6]",
    "leaky": "activation: {name: leaky_relu, negative_slope: 0.2}, width: 4",
    "activated output": "activation: relu, width: 5, head: [weights, activation]",
}
LAWS = ("normal", "uniform", "orthogonal")


def mean_squares(name: str, law: str, trials: int) -> tuple[Array, float]:
    network = MEANS[name]
    text = f"""
name: mean
network: {{depth: 3, input_dim: 5, output_dim: 3, {network}}}
init: {{variance: 0.3, distribution: {law}}}
trials: {trials}
record: {{jacobian: true}}
"""
    config = parse_config(text)
    outputs = unpredicted(config).conditions[0].outputs
    (prediction,) = predict(config.conditions, 0, config.record)
    return outputs[SECOND][:, 0], float(prediction.theory_outputs[SECOND][0])


@pytest.mark.parametrize(("name", "law"), slow_but([*product(MEANS, LAWS)], ("relu", "normal")))
def test_the_mean_square_is_exact_at_any_width(name: str, law: str) -> None:
    log10, theory = mean_squares(name, law, 3000)
    squares = 10**log10
    error = squares.std(ddof=1) / math.sqrt(len(squares))
    assert abs(squares.mean() - 10**theory) < 4.5 * error
    p2 = 0.52 if name == "leaky" else 0.5
    widths = {"relu": (7, 8, 6), "leaky": (4, 4, 4), "activated output": (5, 5, 5)}[name]
    expected = 0.3**4 * math.prod(widths) * p2 ** (4 if name == "activated output" else 3)
    assert 10**theory == pytest.approx(expected, rel=1e-10)
    # a twin whose σ² is 12 % larger in each of the four layers
    assert abs(squares.mean() - 1.12**4 * 10**theory) > 4.5 * error


def test_tanh_has_the_mean_square_of_wide_layers() -> None:
    text = """
name: tanh
network: {depth: 10, width: 300, input_dim: 300, output_dim: 300, activation: tanh}
init: {variance: 1.5/fan_in, bias_variance: 0.1}
trials: 10
record: {jacobian: true}
"""
    config = parse_config(text)
    (outcome,) = run_sweep(config).conditions
    seen = outcome.outputs[SECOND][:, 0]
    theory = float(outcome.theory_outputs[SECOND][0])
    error = seen.std(ddof=1) / math.sqrt(len(seen))
    # To first order in 1/width layers of this recursion are off by less than depth/width.
    bias = 10 / 300 / math.log(10)
    assert abs(seen.mean() - theory) < 4 * error + bias
    assert abs(seen.mean() - (theory + 10 * math.log10(1.05))) > 4 * error + bias
    assert np.isnan(outcome.theory_outputs[VALUES]).all()


SQUARE = """
name: square
network: {depth: 4, width: 100, input_dim: 100, output_dim: 100, activation: linear}
init: {scheme: orthogonal}
trials: 2
record: {jacobian: true}
"""


def test_orthogonal_linear_networks_are_isometric() -> None:
    (outcome,) = run_sweep(parse_config(SQUARE)).conditions
    assert_allclose(outcome.outputs[VALUES], 0.0, rtol=0, atol=1e-12)
    assert_allclose(outcome.theory_outputs[VALUES], 0.0, rtol=0, atol=1e-12)


def test_tanh_is_isometric_where_inputs_are_small() -> None:
    """With q → 0 orthogonal tanh networks keep all lengths; normal ones do not.

    Slopes are 1 − O(q): of five layers 1 − s is at most 4 max f², and f² stays below 30 q.
    """
    overrides = {"network.activation": "tanh", "inputs": {"distribution": "normal", "std": 1e-3}}
    (tanh,) = run_sweep(parse_config(SQUARE, "test", overrides)).conditions
    assert np.abs(tanh.outputs[VALUES]).max() < 4 * 30e-6
    (normal,) = run_sweep(
        parse_config(SQUARE, "test", overrides | {"init.scheme": "lecun_normal"})
    ).conditions
    assert np.ptp(normal.outputs[VALUES], axis=1).min() > 1
    (large,) = run_sweep(parse_config(SQUARE, "test", overrides | {"inputs.std": 1.0})).conditions
    assert np.ptp(large.outputs[VALUES], axis=1).min() > 0.1


def test_normal_linear_networks_end_at_the_edge() -> None:
    """The largest singular value of 400 units is where Tracy and Widom have it.

    At a soft edge a share 1/n begins (3π/2)^(2/3) = 2.81 units below it, and the largest is at
    −1.21 ± 1.27 of them (β = 1).
    """
    overrides = {"network.depth": 2, "init.scheme": "lecun_normal", "trials": 4}
    overrides |= {f"network.{key}": 400 for key in ("width", "input_dim", "output_dim")}
    (outcome,) = run_sweep(parse_config(SQUARE, "test", overrides)).conditions
    edge = math.log10(4**4 / 3**3) / 2
    assert outcome.theory_outputs[VALUES][0] == pytest.approx(edge, abs=1e-5)
    largest, theory = outcome.outputs[VALUES][:, 0], outcome.theory_outputs[VALUES]
    unit = (theory[0] - theory[1]) / 2.81
    allowed = 4.5 * 1.27 * unit / math.sqrt(len(largest))
    assert abs(largest.mean() - (edge - 1.21 * unit)) < allowed
    other = math.log10(3**3 / 2**2) / 2
    assert abs(largest.mean() - (other - 1.21 * unit)) > allowed
