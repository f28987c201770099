"""Figure 7.4's work, side by side in one run: `python -m tests.benchmarks`.

Five variances, 50 hidden layers of 100, 100 inputs, all five quantities, per trial on one core:
the package, the same written plainly in NumPy, PyTorch autograd on the same networks (where torch
is installed), and the floor: drawing the weights once plus the 2K matrix products of one pass.
Then other activations and histograms (`curves`), networks without weights, threads, the memory of a
default and of large runs, and the start of the commands. Networks of other kinds:
`python -m tests.benchmarks.passes`; a figure of how time grows: `tests.benchmarks.growth`.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim import load_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.sampling.streams import sample_weights
from heinit_sim.simulation.sweep import iter_sweep
from tests.benchmarks import curves
from tests.benchmarks.timing import interleaved
from tests.conditions import dense_draws, with_layers

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "configs" / "figure_7_4.yaml"
VARIANCES = (0.001, 0.01, 0.02, 0.1, 1.0)
DEPTH, WIDTH, N_INPUTS = 50, 100, 100
ROUNDS = 5
Array = np.ndarray


def main() -> None:
    """Print the tables."""
    with threadpool_limits(limits=1, user_api="blas"):
        _print_trials()
        curves.main()
        _print_wide()
        _print_threads()
    _print_memory()
    _print_start()


def _print_trials() -> None:
    config = load_config(CONFIG)
    n_trials = 30
    contenders: dict[str, Callable[[], object]] = {
        "heinit-sim": lambda: _drain(replace(config, trials=n_trials), jobs=1),
        "floor": lambda: _floor(n_trials),
        "plain NumPy": lambda: [_plain_numpy(trial) for trial in range(n_trials // 5)],
    }
    trials = {"heinit-sim": n_trials, "floor": n_trials, "plain NumPy": n_trials // 5}
    if importlib.util.find_spec("torch"):
        contenders["PyTorch autograd"] = lambda: [_torch(trial) for trial in range(n_trials // 5)]
        trials["PyTorch autograd"] = n_trials // 5
    seconds = interleaved(contenders, rounds=ROUNDS)
    print(f"{'one trial on one core':28}{'ms':>9}{'ratio to heinit-sim':>22}")
    ours = seconds["heinit-sim"] / trials["heinit-sim"]
    for name, total in seconds.items():
        each = total / trials[name]
        print(f"{name:28}{1e3 * each:9.2f}{each / ours:22.2f}")


def _print_wide() -> None:
    """Networks without weights, beside the drawing of their random numbers alone."""
    print(f"\n{'one trial, 50 layers, no weights':40}{'s':>9}{'/ draws':>9}")
    for width, inputs in ((1000, 10), (100_000, 10), (1_000_000, 1)):
        for activation in ("relu", "tanh"):
            overrides: dict[str, object] = {"network.width": width, "network.input_dim": width}
            overrides |= {"inputs.count": inputs, "init.variance": 2 / width, "trials": 1}
            overrides |= {"network.activation": activation, "engine": "conditional"}
            calls = {
                "ours": partial(_drain, load_config(CONFIG, overrides), 1),
                "draws": partial(_draw_normals, width, inputs),
            }
            seconds = interleaved(calls, rounds=3, clock=time.process_time)
            name = f"{width:,} units, {inputs} inputs, {activation}"
            print(f"{name:40}{seconds['ours']:9.3f}{seconds['ours'] / seconds['draws']:9.2f}")


def _draw_normals(width: int, n_inputs: int) -> None:
    """Draw as many numbers as both passes of one network need."""
    rng, numbers = np.random.Generator(np.random.SFC64(0)), np.empty((n_inputs, width))
    for _ in range(2 * DEPTH):
        rng.standard_normal(out=numbers)


def _print_threads() -> None:
    config = load_config(CONFIG)
    print(f"\n{'two threads':28}{'speed-up':>9}")
    for width, trials in ((WIDTH, 200), (300, 30), (1000, 4)):
        wide = _widened(config, width, trials)
        both = {str(jobs): partial(_drain, wide, jobs) for jobs in (1, 2)}
        seconds = interleaved(both, rounds=ROUNDS)
        print(f"{f'width {width}':28}{seconds['1'] / seconds['2']:9.2f}")


def _print_memory() -> None:
    print(f"\n{'peak memory of run -j 1':28}{'MiB':>9}")
    large = ["network.depth=200", "network.width=1000", "network.input_dim=1000"]
    million = ["network.width=1000000", "network.input_dim=1000000", "inputs.count=1"]
    million += ["engine=conditional", "trials=1", "init.variance=2e-6"]
    sizes = {"default config": [], "200 layers of 1000": large, "1,000,000 units": million}
    for name, sets in sizes.items():
        arguments = ["--trials", "2"] if sets else []
        for text in sets:
            arguments += ["--set", text]
        print(f"{name:28}{_peak_mebibytes(arguments):9.0f}")


def _print_start() -> None:
    print(f"\n{'start':28}{'ms':>9}{'ratio':>9}")
    commands = {
        "import typer, rich, pydantic": ["-c", "import typer, rich.console, pydantic"],
        "--help": ["-m", "heinit_sim", "--help"],
        "validate": ["-m", "heinit_sim", "validate", str(CONFIG)],
    }
    with tempfile.TemporaryDirectory() as folder:  # compiled once, as it is for a user
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        calls = {
            name: partial(_run_python, arguments, environment)
            for name, arguments in commands.items()
        }
        interleaved(calls, rounds=1)
        seconds = interleaved(calls, rounds=15)
    base = seconds["import typer, rich, pydantic"]
    for name, one in seconds.items():
        print(f"{name:28}{1e3 * one:9.0f}{one / base:9.2f}")


def _run_python(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def _drain(config: SweepConfig, jobs: int) -> None:
    for _ in iter_sweep(config, jobs):
        pass


def _floor(n_trials: int) -> None:
    """Draw the weights once, one forward and one backward chain of products; nothing measured."""
    draws = dense_draws((WIDTH,) * (DEPTH + 1) + (1,), N_INPUTS)
    spare: list[list[Array]] = []
    x = np.random.default_rng(0).standard_normal((1, WIDTH, N_INPUTS))
    for trial in range(n_trials):
        weights = sample_weights(0, draws, range(trial, trial + 1), spare)
        assert isinstance(weights, list)
        for omega in weights[:-1]:
            np.matmul(omega, x)
        for omega in weights[-2::-1]:
            np.matmul(omega.swapaxes(-1, -2), x)
        spare.append(weights)


def _plain_numpy(trial: int) -> list[tuple[float, float]]:
    """The book's notebook: reseed, loop over variances and layers, keep everything."""
    found = []
    for variance in VARIANCES:
        rng = np.random.default_rng(trial)
        h = [rng.standard_normal((WIDTH, N_INPUTS))]
        shapes = [(WIDTH, WIDTH)] * DEPTH + [(1, WIDTH)]
        omegas = [np.sqrt(variance) * rng.standard_normal(shape) for shape in shapes]
        f = []
        for k in range(DEPTH + 1):
            f.append(omegas[k] @ h[k])
            if k < DEPTH:
                h.append(np.maximum(f[k], 0))
        dl_df = 2 * f[-1]
        for k in reversed(range(DEPTH + 1)):
            dl_dh = omegas[k].T @ dl_df
            squares = np.sum(dl_df**2, axis=0) @ np.sum(h[k] ** 2, axis=0)
            sums = np.sum(dl_df, axis=0) @ np.sum(h[k], axis=0)
            size = omegas[k].size * N_INPUTS
            found.append((squares / size, squares / size - (sums / size) ** 2))
            found += [(np.mean(z**2), np.var(z)) for z in (h[k], f[k], dl_df, dl_dh)]
            if k > 0:
                dl_df = (f[k - 1] > 0) * dl_dh
    return found


def _torch(trial: int) -> list[tuple[float, float]]:
    """The same with PyTorch: autograd takes the gradients, in float64, on one thread."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    torch.set_num_threads(1)
    found = []
    for variance in VARIANCES:
        torch.manual_seed(trial)
        h = [torch.randn(N_INPUTS, WIDTH, dtype=torch.float64, requires_grad=True)]
        shapes = [(WIDTH, WIDTH)] * DEPTH + [(1, WIDTH)]
        omegas = [variance**0.5 * torch.randn(*shape, dtype=torch.float64) for shape in shapes]
        f = []
        for k in range(DEPTH + 1):
            f.append(h[k] @ omegas[k].T)
            if k < DEPTH:
                h.append(torch.relu(f[k]))
        gradients = torch.autograd.grad((f[-1] ** 2).sum(), [*f, *h])
        for k in range(DEPTH + 1):
            dl_df, dl_dh = gradients[k], gradients[DEPTH + 1 + k]
            squares = (dl_df**2).sum(dim=1) @ (h[k] ** 2).sum(dim=1)
            sums = dl_df.sum(dim=1) @ h[k].sum(dim=1)
            size = omegas[k].numel() * N_INPUTS
            mean_square = squares.item() / size
            found.append((mean_square, mean_square - (sums.item() / size) ** 2))
            layers = (h[k], f[k], dl_df, dl_dh)
            found += [((z**2).mean().item(), z.var(correction=0).item()) for z in layers]
    return found


def _widened(config: SweepConfig, width: int, trials: int) -> SweepConfig:
    """The sweep with other hidden widths, at He's variance times the swept ones'."""
    depth = DEPTH if width == WIDTH else 10
    conditions = tuple(
        with_layers(
            condition,
            widths=(width,) * (depth + 1) + (1,),
            weight_variances=condition.weight_variances[: depth + 1],
        )
        for condition in config.conditions
    )
    return replace(config, conditions=conditions, trials=trials)


def _peak_mebibytes(arguments: list[str]) -> float:
    """Peak resident memory of a whole run, plots included, as Linux tells it."""
    with tempfile.TemporaryDirectory() as folder:
        run = [str(CONFIG), "-q", "-j", "1", "--out", str(Path(folder, "run")), *arguments]
        code = (
            "from heinit_sim.cli.app import app\n"
            f"try: app({['run', *run]!r})\n"
            "except SystemExit as end: assert not end.code\n"
            "status = open('/proc/self/status').read()\n"  # its own peak; rusage has the parent's
            "print(status.split('VmHWM:')[1].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
        )
    return int(done.stdout) / 1024


if __name__ == "__main__":
    main()
