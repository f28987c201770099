"""Shares of numbers outside of formats, against casts of NumPy's and plain loops."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim import compare
from heinit_sim.config import parse_config
from heinit_sim.experiment.number_formats import FORMATS, PARTS, range_ratio
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.records import RANGED
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.reports.number_range import FLOAT32_LAYERS, float32_layers
from heinit_sim.reports.run import csv_files, summary_rows, summary_rows_from_csv
from heinit_sim.runs import read_run, write_run
from heinit_sim.runs.manifest import config_hash
from heinit_sim.sampling.streams import sample_inputs, sample_weights
from heinit_sim.simulation.number_range import range_shares
from heinit_sim.simulation.plan import draws_of, plan_passes
from heinit_sim.simulation.sweep import run_sweep
from tests.simulation.plain_networks import plain_layers

Array = np.ndarray
# Exponents of the smallest normal number and of the smallest of all, bits behind the point of the
# largest, its exponent: as the formats' own documents have them.
TABLE = {
    "float16": (-14, -24, 10, 15),
    "bfloat16": (-126, -133, 7, 127),
    "float8_e4m3": (-6, -9, 2, 8),  # 1.75 · 2^8: 1.875 · 2^8 stands for NaN
    "float8_e5m2": (-14, -16, 2, 15),
    "float32": (-126, -149, 23, 127),
}


def plain_shares(numbers: list[Fraction], name: str) -> list[float]:
    """Shares below, to zero and above, one number at a time."""
    normal, smallest, bits, exponent = TABLE[name]
    largest = (2 - Fraction(1, 2**bits)) * 2**exponent
    if name == "float8_e4m3":
        assert largest == 448
    sizes = [abs(number) for number in numbers if number]
    if not sizes:
        return [math.nan] * 3
    below = sum(size < Fraction(2) ** normal for size in sizes)
    zero = sum(size <= Fraction(2) ** (smallest - 1) for size in sizes)
    above = sum(size > largest for size in sizes)
    return [count / len(sizes) for count in (below, zero, above)]


def shares_of(found: dict[str, Array], name: str) -> Array:
    return np.array([found[f"{name}_{part}"] for part in PARTS])


def spread_numbers(seed: int) -> Array:
    """Numbers over all decades that formats have, on their very ends, and zeros: (2, 3, 8, 10)."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((2, 3, 8, 10)) * 2.0 ** rng.integers(-160, 140, (2, 3, 8, 10))
    z[0] = rng.standard_normal((3, 8, 10)) * 2.0 ** rng.integers(-28, 18, (3, 8, 10))
    ends = []
    for normal, smallest, bits, exponent in TABLE.values():
        largest = (2 - 2.0**-bits) * 2.0**exponent
        ends += [2.0**normal, 2.0**smallest, 2.0 ** (smallest - 1), largest]
    z[1, 0, 0], z[1, 0, 1] = ends[:10], ends[10:]
    z[1, 0, 2], z[1, 0, 3] = np.nextafter(ends[:10], np.inf), np.nextafter(ends[10:], np.inf)
    z[1, 0, 4], z[1, 0, 5] = -np.nextafter(ends[:10], 0), -np.nextafter(ends[10:], 0)
    z[0, 1, ::2] = 0.0
    z[1, 2] = 0.0
    return z


@pytest.mark.parametrize("exponent", [0, 3, -40, 150, -150, 100_000, -100_000])
def test_shares_are_those_of_a_plain_loop_at_any_magnitude(exponent: int) -> None:
    z = spread_numbers(1)
    exponents = np.full((2, 3), exponent) + np.arange(3)
    found = range_shares(Scaled(z, exponents))
    assert set(found) == {range_ratio(name, part) for name in FORMATS for part in PARTS}
    for i in range(2):
        for j in range(3):
            unit = Fraction(2) ** (min(max(exponent, -3000), 3000) + j)
            numbers = [Fraction(float(x)) * unit for x in z[i, j].ravel()]
            for name in TABLE:
                expected = plain_shares(numbers, name)
                assert_allclose(shares_of(found, name)[:, i, j], expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize(("name", "kind"), [("float16", np.float16), ("float32", np.float32)])
def test_numbers_that_become_zero_or_infinite_are_those_of_a_cast(name: str, kind: type) -> None:
    z = spread_numbers(2)
    found = range_shares(Scaled(z, np.zeros((2, 3), np.int64)))
    with np.errstate(over="ignore", under="ignore"):
        cast: Array = z.astype(kind)
    counts = np.count_nonzero(z, axis=(-1, -2))
    zero = np.count_nonzero((cast == 0) & (z != 0), axis=(-1, -2))
    # what is less than half a step beyond the largest number is rounded to it
    largest, tiny = (float(end) for end in (np.finfo(kind).max, np.finfo(kind).tiny))
    above = np.count_nonzero(np.isinf(cast) | (np.abs(z) > largest), axis=(-1, -2))
    below = np.count_nonzero((np.abs(z) < tiny) & (z != 0), axis=(-1, -2))
    with np.errstate(invalid="ignore"):
        assert_allclose(shares_of(found, name), np.array([below, zero, above]) / counts, rtol=1e-15)


def test_a_network_that_is_nan_has_no_shares_and_changes_no_other() -> None:
    z = spread_numbers(3)
    alone = range_shares(Scaled(z[:1], np.zeros((1, 3), np.int64)))
    z[1, 1, 2, 3] = np.nan
    found = range_shares(Scaled(z, np.zeros((2, 3), np.int64)))
    for ratio, shares in found.items():
        assert math.isnan(shares[1, 1])
        assert_array_equal(shares[:1], alone[ratio])


SMALL = """
name: small
network: {depth: 3, width: [6, 5, 4], input_dim: 7, output_dim: 2, activation: relu}
init: {variance: 0.001}
inputs: {count: 5}
trials: 6
"""
RECORD = "record: {range: true}\n"


def config(text: str = "", record: str = RECORD) -> SweepConfig:
    return parse_config(f"{SMALL}{text}\n{record}")


@pytest.mark.parametrize("text", ["", "loss: {target: 1}", "sweep: {network.activation: [tanh]}"])
def test_networks_show_the_shares_of_a_plain_pass(text: str) -> None:
    of = config(text)
    (result,) = run_sweep(of).conditions
    assert set(result.ratios) == set(of.record.ratios)
    seen: tuple[Quantity, ...] = ("preactivation", "activation", "grad_preactivation")
    for trial in range(of.trials):
        layers = plain_layers(of.seed, of.conditions[0], trial)
        for quantity in seen:
            for k, z in enumerate(layers[quantity]):
                numbers = [Fraction(float(x)) for x in z.ravel()]
                for name in TABLE:
                    found = [result.ratios[quantity, f"{name}_{p}"][trial, k] for p in PARTS]
                    expected = plain_shares(numbers, name)
                    assert_allclose(found, expected, rtol=1e-14, atol=0)
    assert any(np.nanmax(result.ratios[q, "float16_below"]) > 0 for q in seen)


def test_asking_for_ranges_changes_no_other_number_but_for_rounding() -> None:
    swept = "sweep: {init.variance: [0.1, 0.3]}"
    with_, without = run_sweep(config(swept)), run_sweep(config(swept, record=""))
    assert len(set(plan_passes(with_.config))) == 2  # ends do not move as weights do
    for one, other in zip(with_.conditions, without.conditions, strict=True):
        for measure, log10 in one.networks.items():
            assert_allclose(log10, other.networks[measure], rtol=0, atol=1e-12)


def product(width: int, depth: int, trials: int, variance: float = 1.0) -> SweepConfig:
    return parse_config(f"""
name: product
network:
  {{depth: {depth}, width: {width}, input_dim: {width}, output_dim: {width}, activation: linear}}
init: {{variance: {variance}}}
inputs: {{count: 2}}
trials: {trials}
record: {{range: true}}
""")


def float32_fates(of: SweepConfig, trial: int, std: float) -> tuple[float, float]:
    """The layers k of h_k or f_k at which a plain product of matrices is infinite, and 0."""
    draws = draws_of(of.conditions[0])
    weights = sample_weights(of.seed, draws, range(trial, trial + 1), [])
    z = sample_inputs(of.seed, draws, range(trial, trial + 1))[0].astype(np.float32)
    infinite, zero = math.nan, math.nan
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k in range(of.conditions[0].depth + 1):
            z = (std * weights[k][0]).astype(np.float32) @ z
            if math.isnan(infinite) and not np.isfinite(z).all():
                infinite = k  # of f_k, which is h_{k+1} as well
            if math.isnan(zero) and not z.any():
                zero = k
    return infinite, zero


def test_a_hundred_products_of_normal_matrices_leave_float32_at_ten_to_the_38_and_a_half() -> None:
    of = product(100, 100, trials=5)
    result = run_sweep(of)
    (outcome,) = result.conditions
    above = outcome.ratios["preactivation", "float32_above"] > 0
    first = above.argmax(axis=1)
    plain = [float32_fates(of, trial, 1.0)[0] for trial in range(5)]
    assert_array_equal(first, plain)
    # a decade each: the largest of 200 numbers is three times a standard deviation of 10^(k+1)
    assert float32_layers(outcome)["forward_float32_overflow_layer"] == np.median(first)
    assert set(first) <= {36, 37, 38}
    log10_largest = outcome.networks["preactivation", "second_moment"][:, first - 1] / 2
    assert (log10_largest.diagonal() < 38.54).all()
    assert math.isnan(float32_layers(outcome)["forward_float32_zero_layer"])
    # the gradient begins at 10^101
    assert float32_layers(outcome)["backward_float32_overflow_layer"] == 100


def test_products_of_small_matrices_end_at_zero_where_float32_does() -> None:
    of = product(20, 30, trials=5, variance=1e-4 / 20)
    (outcome,) = run_sweep(of).conditions
    lost = outcome.ratios["preactivation", "float32_zero"] == 1
    plain = [float32_fates(of, trial, math.sqrt(1e-4 / 20))[1] for trial in range(5)]
    # numbers that float32 holds with few bits differ from ours by as much: a layer at most
    assert (np.abs(lost.argmax(axis=1) - plain) <= 1).all()
    found = float32_layers(outcome)["forward_float32_zero_layer"]
    assert abs(found - np.median(plain)) <= 1
    assert found == np.median(lost.argmax(axis=1))


def test_ranges_have_files_and_columns_of_their_own(tmp_path: Path) -> None:
    result = run_sweep(config("sweep: {init.variance: [0.1, 1.0e+40]}"))
    files = csv_files(result)
    head, *rows = files["range.csv"].splitlines()
    columns = ["condition", "init.variance", "quantity", "layer", "format", "networks"]
    columns += [f"{p}_{s}" for p in PARTS for s in ("mean", "se", "median", "p05", "p95")]
    assert head.split(",") == [*columns, *(f"theory_{part}" for part in PARTS)]
    assert len(rows) == 2 * len(RANGED) * 4 * len(FORMATS)
    again = summary_rows_from_csv(files["summary.csv"], result.config)
    for row, other in zip(summary_rows(result), again, strict=True):
        assert [str(row[column]) for column in FLOAT32_LAYERS] == [
            str(other[column]) for column in FLOAT32_LAYERS
        ]
    assert again[1]["forward_float32_overflow_layer"] == 1
    write_run(result, tmp_path / "run", figure=None)
    back = read_run(tmp_path / "run")
    for written, read in zip(result.conditions, back.conditions, strict=True):
        for measure, shares in written.ratios.items():
            assert_array_equal(read.ratios[measure], shares)
    assert compare(result, back).held
    without = csv_files(run_sweep(config(record="")))
    assert not any(column in without["summary.csv"] for column in FLOAT32_LAYERS)


def test_what_is_not_asked_for_leaves_no_trace() -> None:
    plain = config(record="")
    for text in ("record: {range: false}", "record: {range: null, units: false}"):
        assert config(record=text).document == plain.document
    assert config_hash(config()) != config_hash(plain)
    limits = config("figure: {limits: null}", record="")
    assert config_hash(limits) == config_hash(plain)


def test_wide_layers_have_the_shares_of_theory() -> None:
    (of,) = run_sweep(
        parse_config("""
name: wide
network: {depth: 3, width: 1000, input_dim: 1000}
init: {variance: 0.002, bias: 4.0e-5, first: {variance: 4.0e-12}}
inputs: {count: 3}
trials: 25
engine: conditional
record: {range: true}
""")
    ).conditions
    for name in ("float16", "float8_e5m2"):
        for part in PARTS:
            seen = of.ratios["preactivation", f"{name}_{part}"][:, :3]
            error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
            theory = of.theory_ratios["preactivation", f"{name}_{part}"][:3]
            # what infinite width leaves out is of order 1/D
            assert (np.abs(seen.mean(axis=0) - theory) <= 4 * error + 2 / 1000).all()
    seen = of.ratios["preactivation", "float16_below"][:, :3]
    error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
    without_bias = math.erf(2.0**-14 / math.sqrt(2 * 4e-9))  # in all layers
    assert (np.abs(seen.mean(axis=0) - without_bias) > 4 * error + 2 / 1000).all()
