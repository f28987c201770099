"""Whole passes, side by side in one run: `python -m tests.benchmarks.passes`.

A trial of each network, its weights drawn, all five quantities measured, on one core: the package;
the floor, which draws the weights once and takes nothing but the bare matrix products of both
passes (of attention those of queries, keys and values too, and of each input's weight gradients,
where kernels have them; patches are there already); PyTorch autograd doing the same (where torch is
installed). Processor time, taking turns. Blocks should stay within 1.6 floors, attention within 2.
"""

import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.config import parse_config
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Pool,
    Weights,
    matrices,
    place_of_f,
    weights_in,
)
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.sampling.streams import sample_weights
from heinit_sim.simulation.plan import NetworkPass, block_size, plan_passes
from heinit_sim.simulation.sweep import iter_sweep
from tests.benchmarks.timing import interleaved

Array = np.ndarray
DENSE = "network: {depth: 50, width: 100, input_dim: 100}\ninputs: {count: 100}"
CNN = (
    "network: {{kind: cnn, depth: 30, image: [{side}, {side}], kernel: 3, channels: {channels}, "
    "input_channels: {channels}, padding: {padding}}}\ninputs: {{count: 10}}"
)
BLOCKS = (
    "network: {{depth: {depth}, width: {width}, input_dim: {width}, block: [{block}]}}\n"
    "inputs: {{count: {inputs}}}"
)
ADD = "{add: {scale: 1/sqrt(depth)}}"
MLP = "norm, {weights: {expand: 4}}, activation, weights, add"
RESIDUAL = {
    "1 layer": (f"activation, weights, {ADD}", 100),
    "2 layers": (f"activation, weights, activation, weights, {ADD}", 100),
    "1 layer, norm": (f"norm, activation, weights, {ADD}", 100),
    "2 layers, norm": (f"norm, activation, weights, activation, weights, {ADD}", 100),
    "1 layer, norm, 10 inputs": (f"norm, activation, weights, {ADD}", 10),
}
STEPS = {
    "expanded": MLP,
    "RMS norm at the end": MLP.removeprefix("norm, ") + ", {norm: {kind: rms}}",
    "batch norm": MLP.replace("norm", "{norm: {kind: batch}}"),
    "dropout": MLP.replace("add", "{dropout: {rate: 0.1}}, add"),
    "GELU": MLP.replace("activation", "{activation: gelu}"),
    "gate": "norm, {gate: {activation: silu, expand: 8/3}}, weights, add",
    "attention": "norm, {attention: {heads: 12}}, weights, add",
}
NETWORKS = {
    "dense, Figure 7.4": DENSE,
    **{
        f"CNN {side}×{side}, {channels} channels, {padding}": CNN.format(
            side=side, channels=channels, padding=padding
        )
        for side, channels, padding in (
            (8, 16, "circular"),
            (8, 32, "circular"),
            (8, 64, "circular"),
            (8, 64, "zero"),
            (16, 32, "circular"),
            (16, 32, "zero"),
            (16, 64, "circular"),
        )
    },
    **{
        f"200 blocks of 100, {name}": BLOCKS.format(
            depth=200, width=100, block=block, inputs=inputs
        )
        for name, (block, inputs) in RESIDUAL.items()
    },
    **{
        f"{depth} blocks of {width}, {name}": BLOCKS.format(
            depth=depth,
            width=width,
            block=block,
            inputs="2, tokens: 128" if "attention" in block else "256",
        )
        for depth, width in ((24, 192), (6, 768))
        for name, block in STEPS.items()
    },
}
SECONDS = 3.0  # of processor time for each line
MAX_TRIALS = 8


def main() -> None:
    """Print the table."""
    names = ["floor", *(["torch"] if importlib.util.find_spec("torch") else [])]
    header = f"{'one trial on one core':42}{'in block':>9}{'ms':>9}{'µs/layer':>10}"
    print(header + "".join(f"{'/ ' + name:>8}" for name in names))
    with threadpool_limits(limits=1, user_api="blas"):
        for name, text in NETWORKS.items():
            config = parse_config(f"name: a\ninit: {{scheme: he_normal}}\n{text}\n")
            (network_pass,) = plan_passes(config)
            trials = min(block_size((network_pass,)), MAX_TRIALS)
            _print_line(name, network_pass, replace(config, trials=trials))


def _print_line(name: str, network_pass: NetworkPass, config: SweepConfig) -> None:
    draws, condition = network_pass.draws, config.conditions[0]
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: list(iter_sweep(config, 1)),
        "floor": _floor(network_pass),
    }
    if importlib.util.find_spec("torch"):
        calls["torch"] = lambda: _torch(condition)
    seconds = interleaved(calls, seconds=SECONDS, clock=time.process_time)
    ours = seconds.pop("ours") / config.trials
    each = 1e6 * ours / len(draws.shapes)
    ratios = "".join(f"{ours / other:8.2f}" for other in seconds.values())
    print(f"{name:42}{config.trials:9}{1e3 * ours:9.2f}{each:10.1f}{ratios}", flush=True)


def _floor(network_pass: NetworkPass) -> Callable[[], None]:
    """Draw the weights of one network and multiply; nothing is laid out, nothing measured."""
    rng = np.random.default_rng(0)
    draws, n = network_pass.draws, network_pass.draws.n_inputs
    products: list[tuple[int, int, list[tuple[Array, Array]]]] = []
    for weights in (weights for row in network_pass.layers for weights in matrices(row)):
        shape, place = weights.shape, weights.window.positions_out if weights.window else 1
        rows, columns = shape[0], math.prod(shape[1:])
        back = columns // shape[-1] * rows  # taps · c_out, which the adjoint sums over
        patches, errors = (rng.standard_normal((size, place * n)) for size in (columns, back))
        others = [(rng.standard_normal((shape[-1], back)), errors)]
        if place > 1:  # each input's gradients
            single = (rng.standard_normal(of) for of in ((n, rows, place), (n, place, columns)))
            others.append((next(single), next(single)))
        products.append((columns, rows, [(np.empty(0), patches), *others]))
    means = []
    for step in (step for row in network_pass.layers for step in row):
        if isinstance(step, Attention):  # scores and means, and on the way back two of each
            size, heads = n // step.tokens * step.heads, step.query.outputs // step.heads
            keys = rng.standard_normal((size, heads, step.tokens))
            shares = rng.standard_normal((size, step.tokens, step.tokens))
            means += [(keys.swapaxes(1, 2), keys), (keys, shares)] * 3
    spare: list[list[Array]] = []

    def run() -> None:
        weights = sample_weights(0, draws, range(1), spare)
        assert isinstance(weights, list)
        for omega, (columns, rows, ((_, patches), *others)) in zip(weights, products, strict=True):
            np.matmul(omega.reshape(rows, columns), patches)
            for pair in others:
                np.matmul(*pair)
        for pair in means:
            np.matmul(*pair)
        spare.append(weights)

    return run


def _torch(condition: Condition) -> list[float]:
    """The same pass with autograd: float64, one thread, weight gradients input by input."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    functional, n = torch.nn.functional, condition.n_inputs
    torch.set_num_threads(1)
    applied = {"relu": torch.relu, "silu": functional.silu}
    linear: list[tuple[Any, Any, Any]] = []  # z, Ω and what became of them

    def weighted(weights: Weights, z: Any) -> Any:
        std, window, shape = weights.spec.weight_std, weights.window, weights.shape
        if window is None:
            omega = std * torch.randn(*shape, dtype=torch.float64)
            linear.append((z, omega, z @ omega.T))
            return linear[-1][-1]
        omega = std * torch.randn(shape[0], shape[-1], *[window.kernel] * 2, dtype=torch.float64)
        around = [window.kernel // 2] * 4
        mode = "circular" if window.padding == "circular" else "constant"
        padded = functional.pad(z.reshape(n, -1, *window.image), around, mode=mode)
        linear.append((padded, omega, functional.conv2d(padded, omega)))
        return linear[-1][-1].reshape(n, -1)

    def attended(step: Attention, z: Any) -> Any:
        heads = (-1, step.tokens, step.heads, step.query.outputs // step.heads)
        parts = [weighted(w, z).reshape(heads).transpose(1, 2) for w in weights_in(step)]
        f = functional.scaled_dot_product_attention(*parts, is_causal=step.causal)
        return f.transpose(1, 2).reshape(n, -1)

    def normalised(kind: str, z: Any) -> Any:
        axis = 0 if kind == "batch" else 1
        z = z if kind == "rms" else z - z.mean(dim=axis, keepdim=True)
        return z / (z**2).mean(dim=axis, keepdim=True).sqrt()

    h = [torch.randn(n, condition.widths[0], dtype=torch.float64, requires_grad=True)]
    f = []
    for row in condition.layers:
        entered = z = h[-1]
        for place, step in enumerate(row):
            match step:
                case Weights():
                    z = weighted(step, z)
                case Gate(gate, value, activate):
                    z = applied[str(activate.function)](weighted(gate, z)) * weighted(value, z)
                case Attention():
                    z = attended(step, z)
                case Activate(function):
                    z = applied[str(function)](z)
                case Norm(kind):
                    z = normalised(kind, z)
                case Dropout(rate):
                    z = functional.dropout(z, rate)
                case Add(scale, skip):
                    entered = z = skip * entered + scale * z
                case Pool():
                    raise TypeError(step)  # no network here has a mean over positions
            if place == place_of_f(row):
                f.append(z)
        h.append(z + 0.0)
    outputs = [output for *_, output in linear]
    gradients = torch.autograd.grad((f[-1] ** 2).sum(), [*f, *h[:-1], *outputs])
    dl_df, dl_dh = gradients[: len(f)], gradients[len(f) : 2 * len(f)]
    found = []
    for layers in zip(h[:-1], f, dl_df, dl_dh, strict=True):
        for values in layers:
            found += [(values**2).mean(), values.var(correction=0)]
    for (z, omega, _), error in zip(linear, gradients[2 * len(f) :], strict=True):
        if omega.ndim == 4:
            patches = functional.unfold(z, omega.shape[-1])
            each = torch.bmm(error.flatten(2), patches.transpose(1, 2))
            found += [(each**2).mean(), each.var(correction=0)]
        else:
            found.append((error**2).sum(dim=1) @ (z**2).sum(dim=1))
            found.append(error.sum(dim=1) @ z.sum(dim=1))
    return [number.item() for number in found]


if __name__ == "__main__":
    main()
