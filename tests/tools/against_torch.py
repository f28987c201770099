"""Initialisations and convolutions against PyTorch itself: `python -m tests.tools.against_torch`.

Not part of the suite, for PyTorch is large; run it where torch is installed. A line per call of
`torch.nn.init`: the variance of what it draws over ours, with its error, and the distance from our
law. Each is held against a twin as well, 3 % off in scale, which must be found. A line per kind of
convolution: how far its output and its gradients are from autograd's, in units of rounding; the
twins have the other padding, or a kernel turned by 180°. Whole networks:
`tests.tools.torch_networks`.
"""

import importlib.util
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.architecture import Convolution, Padding
from heinit_sim.experiment.initializers import TRUNCATED_STD, squared_gain
from heinit_sim.network.convolution import convolve, convolve_adjoint, iter_weight_gradients
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
    failed += _gains() + _convolutions()
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
    law = (condition.weight_distributions or ("normal",))[0]
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


def _convolutions() -> list[str]:
    """The convolutions whose output or gradients are not those of autograd."""
    paddings: tuple[Padding, Padding] = ("circular", "zero")
    failed = []
    for image, kernel in (((9,), 1), ((9,), 5), ((8, 6), 3), ((7, 8), 5), ((5, 5), 9)):
        for padding, other in (paddings, paddings[::-1]):
            name = f"conv{len(image)}d {image}, kernel {kernel}, {padding}"
            convolution = Convolution(image, kernel, (5, 4), padding)
            rng = np.random.default_rng(0)
            weights = rng.standard_normal((4, convolution.taps, 5))
            h = rng.standard_normal((5 * convolution.positions, 3))
            dl_df = rng.standard_normal((4 * convolution.positions, 3))
            expected = _torch_convolution(weights, h, dl_df, convolution)
            found = _convolution(weights, h, dl_df, convolution)
            off = [
                float(np.abs(f - e).max() / np.sqrt((e**2).mean())) / 2.0**-53
                for f, e in zip(found, expected, strict=True)
            ]
            turned = _convolution(weights[:, ::-1], h, dl_df, convolution)
            twins = [
                _convolution(weights, h, dl_df, convolution._replace(padding=other)),
                (*turned[:2], found[2][:, :, ::-1]),
            ]
            # One tap has nothing to pad and nothing to turn.
            missed = kernel > 1 and any(
                _agree(f, e) for twin in twins for f, e in zip(twin, expected, strict=True)
            )
            held = all(_agree(f, e) for f, e in zip(found, expected, strict=True)) and not missed
            texts = zip(("f", "∂h", "∂Ω"), off, strict=True)
            text = ", ".join(f"{symbol} off by {size:.0f} × 2^-53" for symbol, size in texts)
            print(f"{name:40}{text}{'' if held else '  <-'}")
            if not held:
                failed.append(name)
    return failed


def _agree(found: Array, expected: Array) -> bool:
    """Equal but for rounding: n ≤ 405 products of size 1 make n² × 2^-53 beside √n."""
    rounding = 405**1.5 * 2.0**-53
    return bool(np.abs(found - expected).max() < rounding * np.sqrt((expected**2).mean()))


def _convolution(
    weights: Array, h: Array, dl_df: Array, convolution: Convolution
) -> tuple[Array, Array, Array]:
    """Output, ∂ℓ/∂h and ∂ℓ/∂Ω of each input, (n_inputs, c_out, taps, c_in)."""
    blocks = iter_weight_gradients(dl_df, h, convolution)
    gradients = np.concatenate([gradient[0].copy() for _, _, gradient in blocks])
    return (
        convolve(weights, h, convolution),
        convolve_adjoint(weights, dl_df, convolution),
        gradients.reshape(-1, *weights.shape),
    )


def _torch_convolution(
    weights: Array, h: Array, dl_df: Array, convolution: Convolution
) -> tuple[Array, Array, Array]:
    """The same by PyTorch: its layer, padded as it pads, and autograd input by input."""
    import torch

    c_out, taps, c_in = weights.shape
    image, kernel = convolution.image, (convolution.kernel,) * len(convolution.image)
    kind = torch.nn.Conv1d if len(image) == 1 else torch.nn.Conv2d
    mode = "circular" if convolution.padding == "circular" else "zeros"
    around = convolution.kernel // 2
    layer = kind(
        c_in, c_out, kernel, padding=around, padding_mode=mode, bias=False, dtype=torch.float64
    )
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights.swapaxes(1, 2).reshape(c_out, c_in, *kernel)))
    outputs, by_unit, by_weight = [], [], []
    for n in range(h.shape[1]):
        x = torch.tensor(h[:, n].reshape(1, c_in, *image), requires_grad=True)
        f = layer(x)
        dl_dout = torch.tensor(dl_df[:, n].reshape(f.shape))
        dl_dx, dl_dw = torch.autograd.grad(f, [x, layer.weight], dl_dout)
        outputs.append(f.detach().numpy().ravel())
        by_unit.append(dl_dx.numpy().ravel())
        by_weight.append(dl_dw.numpy().reshape(c_out, c_in, taps).swapaxes(1, 2))
    return np.stack(outputs, 1), np.stack(by_unit, 1), np.stack(by_weight)


if __name__ == "__main__":
    sys.exit(main())
