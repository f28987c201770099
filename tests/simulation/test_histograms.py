"""Counts of numbers in bins, against a slow loop and against the normal law."""

import math
from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim.config import parse_config
from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.quantities import COUNTED, MEASURES, Bins, Quantity
from heinit_sim.experiment.results import Histogram
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.network.passes import LayerName, Stack
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.runs import directory
from heinit_sim.sampling import streams
from heinit_sim.simulation import histograms, plan, sweep, tasks
from heinit_sim.simulation.histograms import GRIDS, counted
from tests.conditions import unpredicted, with_layers
from tests.rows import slow_but
from tests.simulation.plain_networks import plain_layers

Array = NDArray[Any]

NAMES: list[tuple[LayerName, ...]] = [
    (("activation", 0),),
    (("preactivation", 0), ("activation", 1)),
    (("preactivation", 1),),
]
SMALL = """
name: small
network: {depth: 3, width: [6, 5, 4], input_dim: 7, output_dim: 2, activation: relu}
init: {variance: 0.3}
inputs: {count: 5}
trials: 9
"""


def config(text: str, bins: Bins | None, **changes: object) -> SweepConfig:
    lines = "".join(f"{key}: {value}\n" for key, value in changes.items())
    return parse_config(text + lines + (f"record: {{histograms: {bins}}}\n" if bins else ""))


def counts_of(histogram: Histogram) -> Array:
    """All that is counted, (K+1, n_bins + 3): zeros, below, bin by bin, above."""
    ends = [part[:, np.newaxis] for part in (histogram.zero, histogram.below, histogram.above)]
    return np.concatenate([*ends[:2], histogram.counts, ends[2]], axis=1)


def slow_counts(of: SweepConfig, bins: Bins) -> dict[Quantity, Array]:
    """The same counts, number by number."""
    edges = [n / 10 for n in range(-400, 401)]
    if bins == "std":
        edges = [n / 20 for n in range(-100, 101)]
    counts: Counter[tuple[Quantity, int, int]] = Counter()
    for trial in range(of.trials):
        layers = plain_layers(of.seed, of.conditions[0], trial)
        units: dict[Quantity, float] = {
            "preactivation": layers["preactivation"][0].std(),
            "activation": layers["activation"][1].std(),
            "grad_preactivation": layers["grad_preactivation"][-2].std(),
        }
        for quantity, arrays in layers.items():
            for k, array in enumerate(arrays):
                for z in array.ravel().tolist():
                    if bins == "std" and units[quantity] == 0:
                        continue
                    if z == 0:
                        counts[quantity, k, 0] += 1
                    else:
                        place = z / units[quantity] if bins == "std" else math.log10(abs(z))
                        counts[quantity, k, 1 + bisect_right(edges, place)] += 1
    n_layers = of.conditions[0].depth + 1
    shape = (n_layers, len(edges) + 2)
    return {
        q: np.array([[counts[q, k, i] for i in range(shape[1])] for k in range(n_layers)])
        for q in COUNTED
    }


CASES = {
    "relu": {},
    "tanh": {"sweep": "{network.activation: [tanh]}"},
    "biases and a target": {"sweep": "{init.bias_variance: [0.2], loss.target: [0.7]}"},
    "vanishing": {"sweep": "{init.variance: [1.0e-25]}"},
    "exploding": {"sweep": "{init.variance: [1.0e+25]}"},
    "dead": {"sweep": "{network.width: [1]}"},
}


@pytest.mark.parametrize("bins", GRIDS)
@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_of_a_slow_loop(case: str, bins: Bins) -> None:
    of = config(SMALL, bins, **CASES[case])
    found = unpredicted(of).conditions[0].histograms
    expected = slow_counts(of, bins)
    assert len(expected) == 3
    for quantity, counts in expected.items():
        np.testing.assert_array_equal(counts_of(found[quantity]), counts)
    if case == "dead" and bins == "std":  # a network whose unit is zero has no scale
        assert 0 < counts_of(found["grad_preactivation"])[0].sum() < 9 * 5


@pytest.mark.parametrize("bins", GRIDS)
def test_every_number_of_every_network_is_counted_once(bins: Bins) -> None:
    found = unpredicted(config(SMALL, bins)).conditions[0].histograms
    assert tuple(found) == COUNTED
    for quantity, units in zip(COUNTED, [(6, 5, 4, 2), (7, 6, 5, 4), (6, 5, 4, 2)], strict=True):
        totals = counts_of(found[quantity]).sum(axis=1)
        np.testing.assert_array_equal(totals, [n * 5 * 9 for n in units])
    assert found["activation"].zero[1] > 0.3 * 6 * 5 * 9
    assert found["preactivation"].zero[0] == 0


def test_edges_are_decimal_fractions() -> None:
    decades, stds = (GRIDS[bins].edges for bins in ("decades", "std"))
    assert decades.tolist() == [n / 10 for n in range(-400, 401)]
    assert stds.tolist() == [n / 20 for n in range(-100, 101)]


@pytest.mark.parametrize("bins", slow_but(GRIDS, "std"))
def test_threads_blocks_chunks_and_redrawing_change_nothing(
    bins: Bins, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = config(SMALL, bins, sweep="{init.variance: [0.3, 2.0]}")
    expected = unpredicted(of).conditions

    def same() -> bool:
        return all(
            np.array_equal(counts_of(one.histograms[q]), counts_of(other.histograms[q]))
            for jobs in (1, 2, 5)
            for one, other in zip(unpredicted(of, jobs).conditions, expected, strict=True)
            for q in COUNTED
        )

    monkeypatch.setattr(plan, "_BLOCK_BYTES", 600)  # one or two networks a block
    monkeypatch.setattr(tasks, "_SHORTEST", 0.0)
    assert all(len(task.trials) <= 2 for task in tasks.task_list(of))
    assert same()
    monkeypatch.setattr(histograms, "_CHUNK", 11)  # cuts through layers
    assert same()
    monkeypatch.setattr(streams, "_KEPT_BYTES", 0)
    assert same()


def test_each_task_has_the_counts_of_its_own_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_BLOCK_BYTES", 600)
    monkeypatch.setattr(tasks, "_SHORTEST", 0.0)
    of = config(SMALL, "decades")
    for jobs in (1, 2):
        done = list(sweep.iter_sweep(of, jobs))
        assert len(done) > 3
        for task, (result,) in done:
            numbers = len(task.trials) * 7 * 5  # of h_0 of each network
            assert result.tallies["activation"][0].sum() == numbers


def test_each_condition_has_counts_of_its_own() -> None:
    both = unpredicted(config(SMALL, "decades", sweep="{init.variance: [0.3, 30.0]}"))
    for variance, of in zip((0.3, 30.0), both.conditions, strict=True):
        alone = unpredicted(config(SMALL, "decades", sweep=f"{{init.variance: [{variance}]}}"))
        for q in COUNTED:
            one, other = of.histograms[q], alone.conditions[0].histograms[q]
            np.testing.assert_array_equal(counts_of(one), counts_of(other))
    # σ² times 100 is one decade, ten bins, in every layer of f on the way
    small, large = (of.histograms["preactivation"].counts for of in both.conditions)
    for k in range(3):
        shifted = np.roll(small[k], 10 * (k + 1))
        assert np.abs(np.cumsum(shifted - large[k])).max() <= 2  # but for numbers at an edge


@pytest.mark.parametrize("bins", GRIDS)
def test_counting_changes_no_moment_by_more_than_rounding(bins: Bins) -> None:
    without, with_it = (unpredicted(config(SMALL, b)).conditions[0] for b in (None, bins))
    assert without.histograms == {}
    for measure in MEASURES:
        np.testing.assert_allclose(
            with_it.networks[measure], without.networks[measure], rtol=1e-12, atol=1e-13
        )


def stacks(*layers: Array, exponent: int = 0) -> list[Stack]:
    """The layers h_0, (f_0, h_1), f_1 of one network, (units, inputs) each."""
    numbers = np.ldexp(np.stack(layers)[:, np.newaxis], -exponent)
    exponents = np.full((4, 1), exponent)
    return [
        Stack(names, Scaled(numbers[which], exponents[which]))
        for names, which in zip(NAMES, (slice(0, 1), slice(1, 3), slice(3, 4)), strict=True)
    ]


def count(layers: list[Stack], bins: Bins) -> dict[LayerName, Array]:
    counts: dict[LayerName, Array] = {}
    for passed, stack in zip(counted(iter(layers), bins, counts), layers, strict=True):
        assert passed is stack
    return counts


@pytest.mark.parametrize("bins", GRIDS)
def test_counts_do_not_depend_on_how_mantissa_and_exponent_share_a_number(bins: Bins) -> None:
    rng = np.random.default_rng(0)
    layers = [10.0 ** rng.uniform(-6, 6) * rng.standard_normal((30, 7)) for _ in range(4)]
    expected = count(stacks(*layers), bins)
    for exponent in (-400, 3, 400):
        for name, counts in count(stacks(*layers, exponent=exponent), bins).items():
            np.testing.assert_array_equal(counts, expected[name])


@pytest.mark.parametrize("decades", [-3_000_000, -300, 300, 3_000_000])
def test_a_layer_far_from_its_unit_is_at_the_centre_or_outside(decades: int) -> None:
    layers = stacks(*np.array([[[-1.0, 1.0]]] * 4))
    shift = np.full((1, 1), round(decades * math.log2(10)))
    layers[2] = layers[2]._replace(numbers=Scaled(layers[2].numbers.mantissa, shift))
    counts = count(layers, "std")
    first, far = counts["preactivation", 0], counts["preactivation", 1]
    np.testing.assert_array_equal(np.flatnonzero(first), [2 + 80, 2 + 120])  # −1 and 1
    near = [2 + 99, 2 + 100]  # the bins beside 0
    outside = [1, 202]
    np.testing.assert_array_equal(np.flatnonzero(far), near if decades < 0 else outside)
    far = count(layers, "decades")["preactivation", 1]
    np.testing.assert_array_equal(np.flatnonzero(far), [1 if decades < 0 else 802])


@pytest.mark.parametrize("bins", GRIDS)
def test_networks_that_left_float_range_are_left_out_silently(bins: Bins) -> None:
    rng = np.random.default_rng(0)
    mantissas = [rng.standard_normal((len(names), 3, 30, 7)) for names in NAMES]
    for mantissa in mantissas[1:]:
        mantissa[:, 0] = np.nan
    zeros = [np.zeros(mantissa.shape[:2], np.int64) for mantissa in mantissas]
    ill, healthy = (
        [Stack(*stack) for stack in zip(NAMES, map(Scaled, *of), strict=True)]
        for of in ((mantissas, zeros), ([z[:, 1:] for z in mantissas], [z[:, 1:] for z in zeros]))
    )
    expected = count(healthy, bins)
    for name, counts in count(ill, bins).items():
        if name != ("activation", 0) or bins == "std":
            np.testing.assert_array_equal(counts, expected[name])
        else:  # h_0 was still finite, and log10 needs no unit
            assert counts.sum() - expected[name].sum() == 30 * 7


@pytest.mark.parametrize("bins", GRIDS)
def test_layers_count_the_networks_that_are_still_defined(bins: Bins) -> None:
    leaving = "{network.depth: [21], network.width: [6], init.variance: [2.6e+13]}"
    of = config(SMALL, bins, sweep=leaving).conditions[0]
    with_biases = with_layers(of, bias_variances=(1.0,) * 22)  # else ReLU is carried past any range
    result = unpredicted(replace(config(SMALL, bins), conditions=(with_biases,))).conditions[0]
    for quantity in COUNTED:
        units = of.widths[:-1] if quantity == "activation" else of.widths[1:]
        defined = (~np.isnan(result.networks[quantity, "second_moment"])).sum(axis=0)
        totals = counts_of(result.histograms[quantity]).sum(axis=1)
        np.testing.assert_array_equal(totals, defined * units * 5)
        assert quantity == "activation" or 0 < defined[-1] < 9  # some were lost at f_K


WIDE = """
name: wide
network: {depth: 1, width: 1000, input_dim: 300, activation: linear}
init: {scheme: lecun_normal}
inputs: {count: 1}
trials: 60
record: {histograms: BINS}
"""


def excess_over_normal(histogram: Histogram, bins: Bins, scale: float) -> float:
    """χ² of the counts of f_0 against N(0, scale²), as a standard-normal number.

    Of one input the units of a layer are independent, and so are networks: Pearson's law holds.
    Bins are joined until 50 numbers are expected; Wilson & Hilferty's cube root makes it normal.
    """
    law = NormalDist(0, scale)
    if bins == "std":
        below = np.array([law.cdf(edge) for edge in histogram.edges])
    else:
        below = np.array([2 * law.cdf(10**edge) - 1 for edge in histogram.edges])
    counts = np.concatenate([histogram.below[:1], histogram.counts[0], histogram.above[:1]])
    expected = np.diff(below, prepend=0.0, append=1.0) * counts.sum()
    chi2, n_bins, o, e = 0.0, 0, 0.0, 0.0
    for observed, wanted in zip(counts, expected, strict=True):
        o, e = o + observed, e + wanted
        if e >= 50:
            chi2, n_bins, o, e = chi2 + (o - e) ** 2 / e, n_bins + 1, 0.0, 0.0
    freedom = n_bins - 1
    spread = 2 / (9 * freedom)
    return float(((chi2 / freedom) ** (1 / 3) - 1 + spread) / math.sqrt(spread))


@pytest.mark.slow
@pytest.mark.parametrize("bins", GRIDS)
def test_preactivations_of_the_first_layer_are_normal_and_a_wrong_scale_is_seen(bins: Bins) -> None:
    # 60 000 independent numbers. Scales of ‖x‖ (decades) average to 0.5 % over the networks, which
    # adds 2 N 0.005² = 3 to a χ² of about 100 or more; 4 % add 2 N 0.04² = 192.
    histogram = unpredicted(parse_config(WIDE.replace("BINS", bins))).conditions[0].histograms
    assert abs(excess_over_normal(histogram["preactivation"], bins, 1.0)) < 4
    assert excess_over_normal(histogram["preactivation"], bins, 1.04) > 4
    assert excess_over_normal(histogram["preactivation"], bins, 0.96) > 4


@pytest.mark.parametrize("bins", GRIDS)
def test_a_run_directory_gives_its_histograms_back(bins: Bins, tmp_path: Path) -> None:
    result = unpredicted(config(SMALL, bins))
    directory.write_run(result, tmp_path / "small", figure=None)
    back = directory.read_run(tmp_path / "small")
    assert back.config.record.histograms == bins
    for quantity in COUNTED:
        ours, theirs = (r.conditions[0].histograms[quantity] for r in (result, back))
        for part, array in vars(ours).items():
            np.testing.assert_array_equal(getattr(theirs, part), array)
            assert getattr(theirs, part).dtype == array.dtype
    with np.load(tmp_path / "small" / "networks.npz") as arrays:
        added = {key for key in arrays if "histogram" in key}
    parts = ("edges", "counts", "below", "above", "zero")
    assert added == {f"condition_0.{q}.histogram_{part}" for q in COUNTED for part in parts}


def test_a_run_that_lost_its_histograms_is_refused(tmp_path: Path) -> None:
    result = unpredicted(config(SMALL, "std"))
    without = unpredicted(config(SMALL, None))
    mixed = type(result)(result.config, without.conditions)
    directory.write_run(mixed, tmp_path / "small", figure=None)
    with pytest.raises(RunDirectoryError, match="histogram_edges"):
        directory.read_run(tmp_path / "small")
    assert directory.read_run(tmp_path / "small", complete=False).conditions[0].histograms == {}


def test_nothing_of_histograms_is_written_unless_asked_for(tmp_path: Path) -> None:
    for text in (SMALL, SMALL + "record: null\n", SMALL + "record: {histograms: null}\n"):
        of = parse_config(text)
        assert of.record.histograms is None
        assert "record" not in of.document
    directory.write_run(unpredicted(of), tmp_path / "small", figure=None)
    with np.load(tmp_path / "small" / "networks.npz") as arrays:
        assert not any("histogram" in key for key in arrays)
    assert parse_config(SMALL + "record: {histograms: std}\n").document["record"] == {
        "histograms": "std"
    }
