"""How the time of one trial grows: `python -m tests.benchmarks.growth FILE.png`.

One panel each for width, depth, inputs, conditions and trials, on log axes: processor seconds of
the simulation alone, all else as in a network of 20 layers of 100, 10 inputs, one condition. ReLU
has the scale law, tanh passes side by side, and `conditional` forms no weights. Drawn by hand.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from threadpoolctl import threadpool_limits

from heinit_sim import load_config
from heinit_sim.simulation.sweep import iter_sweep

CONFIG = Path(__file__).parent.parent.parent / "configs" / "figure_7_4.yaml"
VALUES: Mapping[str, tuple[int, ...]] = {
    "width": (10, 30, 100, 300, 1000, 3000),
    "depth": (10, 30, 100, 300, 1000, 3000),
    "inputs": (1, 3, 10, 30, 100, 300, 1000),
    "conditions": (1, 2, 5, 10, 20, 50),
    "trials": (1, 3, 10, 30, 100, 300),
}
KINDS = {
    "ReLU": "network.activation=relu",
    "tanh": "network.activation=tanh",
    "ReLU, conditional": "engine=conditional",
}
SECONDS = 0.3  # of processor time for each point, at least one run


def main() -> None:
    """Measure and draw."""
    (path,) = sys.argv[1:]
    figure, axes = plt.subplots(
        1, len(VALUES), figsize=(15, 3.2), sharey=True, layout="constrained"
    )
    for axis, (name, values) in zip(axes, VALUES.items(), strict=True):
        for label, kind in KINDS.items():
            times = [_seconds(name, value, kind) for value in values]
            axis.loglog(values, times, marker=".", label=label)
            print(f"{name:12}{label:20}" + "".join(f"{1e3 * t:10.2f}" for t in times), flush=True)
        axis.set_xlabel(name)
    axes[0].set_ylabel("processor seconds")
    axes[0].legend()
    figure.savefig(path)


def _seconds(name: str, value: int, kind: str) -> float:
    overrides = ["network.depth=20", "inputs.count=10", "trials=1", kind, "init.variance=0.02"]
    overrides += {
        "width": [f"network.width={value}", f"network.input_dim={value}"],
        "depth": [f"network.depth={value}"],
        "inputs": [f"inputs.count={value}"],
        "conditions": ["init.variance=" + ",".join(f"{0.02 + k / 1e4}" for k in range(value))],
        "trials": [f"trials={value}"],
    }[name]
    config = load_config(CONFIG, overrides)
    best, spent = float("inf"), 0.0
    with threadpool_limits(limits=1, user_api="blas"):
        while spent < SECONDS:
            before = time.process_time()
            for _ in iter_sweep(config, 1):
                pass
            taken = time.process_time() - before
            best, spent = min(best, taken), spent + taken
    return best


if __name__ == "__main__":
    main()
