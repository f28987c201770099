"""Activations that no scale law serves, and histograms: `python -m tests.benchmarks.curves`.

Figure 7.4's work with other activations: five variances, 50 hidden layers of 100, 100 inputs, all
quantities and statistics, per trial on one core. Beside the package: the same written in NumPy with
the five variances in one array, and the floor, which draws the weights once, takes the products of
both passes and the values of the activation, and measures nothing. GELU takes Φ from the package on
every side, for NumPy has none. Then how much longer histograms make the passes. Processor time,
taking turns. Aims: at most 0.75 of NumPy and 1.6 floors; histograms at most twice the passes.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim import load_config
from heinit_sim.activations import make_activation
from heinit_sim.experiment.quantities import Bins
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.sweep_config import Loss, SweepConfig
from heinit_sim.numerics.special_functions import cumulative_and_density
from heinit_sim.sampling.streams import sample_weights
from heinit_sim.simulation.sweep import iter_sweep
from tests.benchmarks.timing import interleaved
from tests.conditions import dense_draws

CONFIG = Path(__file__).parent.parent.parent / "configs" / "figure_7_4.yaml"
VARIANCES = np.array([0.001, 0.01, 0.02, 0.1, 1.0]).reshape(-1, 1, 1)
DEPTH, WIDTH, N_INPUTS, N_TRIALS = 50, 100, 100, 6
SECONDS = 12.0  # of processor time for each table's line
Array = np.ndarray


def main() -> None:
    """Print both tables."""
    print(f"{'one trial, five variances':28}{'ms':>8}{'/ NumPy':>9}{'/ floor':>9}")
    with threadpool_limits(limits=1, user_api="blas"):
        for name in CURVES:
            calls: dict[str, Callable[[], object]] = {
                "ours": _sweep(name),
                "numpy": partial(_batched_trials, CURVES[name]),
                "floor": _floor(name),
            }
            seconds = interleaved(calls, seconds=SECONDS, clock=time.process_time)
            ours = seconds["ours"]
            ratios = "".join(f"{ours / seconds[side]:9.2f}" for side in ("numpy", "floor"))
            print(f"{name:28}{1e3 * ours / N_TRIALS:8.2f}{ratios}", flush=True)
        print(f"\n{'histograms':28}{'':8}{'/ none':>9}")
        for name in ("relu", *CURVES):
            for bins in ("std", "decades"):
                both: dict[str, Callable[[], object]] = {
                    "with": _sweep(name, bins),
                    "without": _sweep(name, one_by_one=True),
                }
                seconds = interleaved(both, seconds=SECONDS, clock=time.process_time)
                print(f"{f'{name}, {bins}':36}{seconds['with'] / seconds['without']:9.2f}")


def _sweep(
    name: str, bins: Bins | None = None, *, one_by_one: bool = False
) -> Callable[[], object]:
    """The package; of the scale law only one pass, unless another target asks for each."""
    config = load_config(CONFIG, {"network.activation": name, "trials": N_TRIALS})
    config = replace(config, record=Records(histograms=bins))
    if one_by_one:  # the scale law would have one pass serve all
        conditions = (replace(c, loss=Loss(target=1e-300)) for c in config.conditions)
        config = replace(config, conditions=tuple(conditions))
    return lambda: _drain(config)


def _drain(config: SweepConfig) -> None:
    for _ in iter_sweep(config, 1):
        pass


def _tanh(z: Array) -> tuple[Array, Array]:
    h = np.tanh(z)
    return h, 1 - h * h


def _silu(z: Array) -> tuple[Array, Array]:
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(-z))
    h = z * s
    return h, s + h * (1 - s)


def _gelu(z: Array) -> tuple[Array, Array]:
    below, density = cumulative_and_density(z)
    return z * below, below + z * density


CURVES = {"tanh": _tanh, "silu": _silu, "gelu": _gelu}


def _batched_trials(both: Callable[[Array], tuple[Array, Array]]) -> None:
    for trial in range(N_TRIALS):
        _batched(both, trial)


def _batched(both: Callable[[Array], tuple[Array, Array]], trial: int) -> list[Array]:
    """Plain NumPy: the variances along the first axis of every array, all statistics taken."""
    rng, std = np.random.default_rng(trial), np.sqrt(VARIANCES)
    shapes = [(WIDTH, WIDTH)] * DEPTH + [(1, WIDTH)]
    omegas = [rng.standard_normal(shape) for shape in shapes]
    h = np.repeat(rng.standard_normal((1, WIDTH, N_INPUTS)), len(VARIANCES), axis=0)
    found, entered, slopes = _statistics(h, between=True), [_by_input(h)], []
    for k, omega in enumerate(omegas):
        f = std * (omega @ h)
        found += _statistics(f, between=True)
        if k < DEPTH:
            h, slope = both(f)
            found += _statistics(h, between=True)
            slopes.append(slope)
            entered.append(_by_input(h))
    dl_df = 2 * f
    for k in reversed(range(DEPTH + 1)):
        found += _statistics(dl_df, between=False)
        (mean, square), (mean_h, square_h) = _by_input(dl_df), entered[k]
        second = square * square_h
        found += [second.mean(axis=-1), second.mean(axis=-1) - (mean * mean_h).mean(axis=-1) ** 2]
        dl_dh = std * (omegas[k].T @ dl_df)
        found += _statistics(dl_dh, between=False)
        dl_df = slopes[k - 1] * dl_dh
    return found


def _by_input(z: Array) -> tuple[Array, Array]:
    return z.mean(axis=1), (z * z).mean(axis=1)


def _statistics(z: Array, *, between: bool) -> list[Array]:
    """Second moment and variance of all numbers, second moment of one input; between inputs."""
    found = [(z**2).mean(axis=(1, 2)), z.var(axis=(1, 2)), (z[..., 0] ** 2).mean(axis=1)]
    return [*found, z.var(axis=2).mean(axis=1)] if between else found


def _floor(name: str) -> Callable[[], None]:
    """Draw the weights, multiply both ways and evaluate the activation; nothing is measured."""
    draws = dense_draws((WIDTH,) * (DEPTH + 1) + (1,), N_INPUTS)
    f = np.random.default_rng(0).standard_normal((len(VARIANCES), WIDTH, N_INPUTS))
    value, out, spare = make_activation(name, {}).value, np.empty_like(f), list[list[Array]]()

    def run() -> None:
        for trial in range(N_TRIALS):
            weights = sample_weights(0, draws, range(trial, trial + 1), spare)
            assert isinstance(weights, list)
            for omega in weights[:-1]:
                np.matmul(omega, f)
                value(f, out)
            for omega in weights[-2::-1]:
                np.matmul(omega.swapaxes(-1, -2), f)
            spare.append(weights)

    return run


if __name__ == "__main__":
    main()
