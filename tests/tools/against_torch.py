"""Initialisations against PyTorch itself: `python -m tests.tools.against_torch`.

Not part of the suite, for PyTorch is large; run it where torch is installed. A line per call of
`torch.nn.init`: the variance of what it draws over ours, with its error, and the distance from our
law. Each is held against a twin as well, 3 % off in scale, which must be found. Networks:
`tests.tools.torch_networks`.
"""

import importlib.util
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.initializers import TRUNCATED_STD, squared_gain
from heinit_sim.numerics.special_functions import cumulative

Array = np.ndarray
FAN_IN, FAN_OUT = 500, 300
C_IN, C_OUT = 60, 90
BOUND = 2.5  # P(√n D > 2.5) = 7e-6
CUT = 2 / TRUNCATED_STD

# torch.nn.init's call -> our init. The names of its arguments are ours.
CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "kaiming_normal_()": ("kaiming_normal_", {}, "{scheme: kaiming_normal}"),
    "kaiming_uniform_(a=√5)": (
        "kaiming_uniform_",
        {"a": math.sqrt(5)},
        f"{{scheme: kaiming_uniform, a: {math.sqrt(5)}}}",
    ),
    "kaiming_uniform_(mode=fan_out, nonlinearity=relu)": (
        "kaiming_uniform_",
        {"mode": "fan_out", "nonlinearity": "relu"},
        "{scheme: kaiming_uniform, mode: fan_out, nonlinearity: relu}",
    ),
    **{
        f"kaiming_normal_(nonlinearity={name})": (
            "kaiming_normal_",
            {"nonlinearity": name},
            f"{{scheme: kaiming_normal, nonlinearity: {name}}}",
        )
        for name in ("linear", "sigmoid", "tanh", "leaky_relu", "selu")
    },
    "xavier_normal_(gain=5/3)": (
        "xavier_normal_",
        {"gain": 5 / 3},
        f"{{scheme: xavier_normal, gain: {5 / 3}}}",
    ),
    "xavier_uniform_()": ("xavier_uniform_", {}, "{scheme: xavier_uniform}"),
    "trunc_normal_(std=0.02, a=−0.04, b=0.04)": (
        "trunc_normal_",
        {"std": 0.02, "a": -0.04, "b": 0.04},
        f"{{variance: {(0.02 * TRUNCATED_STD) ** 2}, distribution: truncated_normal}}",
    ),
    "Linear(500, 300)": ("Linear", {}, "{scheme: torch_linear_default}"),
    "orthogonal_(gain=2)": ("orthogonal_", {"gain": 2.0}, "{scheme: orthogonal, gain: 2}"),
}
LAWS: dict[str, tuple[Callable[[Array], Array], float, float]] = {
    # of variance 1: cumulative distribution, fourth moment, bound
    "normal": (cumulative, 3.0, math.inf),
    "uniform": (lambda z: np.clip(0.5 + z / math.sqrt(12), 0, 1), 9 / 5, math.sqrt(3)),
    "truncated_normal": (
        lambda z: (
            (cumulative(np.clip(z, -CUT, CUT) * TRUNCATED_STD) - cumulative(np.array(-2.0)))
            / (1 - 2 * cumulative(np.array(-2.0)))
        ),
        2.3655,
        CUT,
    ),
}


def main() -> int:
    """Print the table; 1 if a line does not hold, or its twin does."""
    if not importlib.util.find_spec("torch"):
        print("torch is not installed")
        return 1
    failed = [name for name in CALLS if not (_line(name, ()) and _line(name, (3, 3)))]
    failed += _gains()
    print(f"not held: {', '.join(failed)}" if failed else "all held, and no twin did")
    return int(bool(failed))


def _line(name: str, kernel: tuple[int, ...]) -> bool:
    """Print the line of the weights of a dense layer, or of a convolution's kernels."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    torch.manual_seed(0)
    function, arguments, init = CALLS[name]
    fan_out, fan_in = (C_OUT, C_IN) if kernel else (FAN_OUT, FAN_IN)
    network = f"width: {fan_out}, input_dim: {fan_in}"
    if kernel:
        network = f"kind: cnn, image: [4, 4], kernel: 3, channels: {fan_out}"
        network += f", input_channels: {fan_in}"
    if function == "Linear":
        layer = torch.nn.Conv2d(fan_in, fan_out, 3) if kernel else torch.nn.Linear(fan_in, fan_out)
        weights = layer.weight.detach()
    else:
        weights = torch.empty(fan_out, fan_in, *kernel)
        getattr(torch.nn.init, function)(weights, **arguments)
    text = f"name: a\nnetwork: {{depth: 1, {network}}}\ninit: {init}\n"
    (condition,) = parse_config(text).conditions
    law = condition.specs[0].weight_distribution
    z = weights.double().numpy().reshape(fan_out, -1) / math.sqrt(condition.weight_variances[0])
    test = _is_orthogonal if law == "orthogonal" else _is_drawn_from
    text, held = test(z, law)
    found = not test(1.03 * z, law)[1]
    if kernel:
        name = f"  kernels: {name.replace('Linear(500, 300)', 'Conv2d').removesuffix('()')}"
    print(f"{name:52}{law:18}{text}{'' if held and found else '  <-'}")
    return held and found


def _is_drawn_from(z: Array, law: str) -> tuple[str, bool]:
    exact, fourth, bound = LAWS[law]
    ratio, error = float((z**2).mean()), math.sqrt((fourth - 1) / z.size)
    ordered = np.sort(z.ravel())
    steps, below = np.arange(z.size + 1) / z.size, exact(ordered)
    distance = max(np.abs(below - steps[1:]).max(), np.abs(below - steps[:-1]).max())
    root = float(distance) * math.sqrt(z.size)
    largest = float(np.abs(z).max()) / bound  # PyTorch's numbers are float32
    held = abs(ratio - 1) < 5 * error and root < BOUND and largest < 1 + 1e-6
    held = held and (math.isinf(bound) or largest > 0.999)
    edge = "" if math.isinf(bound) else f", max {largest:.5f} of the bound"
    return f"{ratio:.4f} ± {error:.4f}, √n D = {root:.2f}{edge}", held


def _is_orthogonal(z: Array, _: str) -> tuple[str, bool]:
    gram = z @ z.T / z.shape[1]
    gap = float(np.abs(gram - np.eye(len(z))).max())
    return f"rows orthonormal to {gap:.0e}", gap < 1e-5  # PyTorch's numbers are float32


def _gains() -> list[str]:
    """The activations whose gain is not calculate_gain's."""
    import torch

    failed = []
    for name in ("linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        options = {"negative_slope": 0.2} if name == "leaky_relu" else {}
        expected = torch.nn.init.calculate_gain(name, 0.2 if options else None)
        found = math.sqrt(squared_gain("pytorch", name, options) or math.nan)
        print(f"calculate_gain({name}): {expected:.16g}, ours {found:.16g}")
        if not math.isclose(found, expected, rel_tol=1e-15):
            failed.append(f"calculate_gain({name})")
    return failed


if __name__ == "__main__":
    sys.exit(main())
