"""Whole passes, side by side in one run: `python -m tests.benchmarks.passes`.

A trial of each network, its weights drawn, all five quantities measured, on one core: the package;
the floor, which draws the weights once and takes nothing but the bare matrix products of both
passes (and of each input's weight gradients, where kernels have them; patches are there already);
PyTorch autograd doing the same (where torch is installed). Processor time, taking turns.
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
from heinit_sim.experiment.architecture import matrix_places, matrix_shapes
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.sampling.streams import Draws, sample_weights
from heinit_sim.simulation.plan import NetworkPass, block_size, plan_passes
from heinit_sim.simulation.sweep import iter_sweep
from tests.benchmarks.timing import interleaved

Array = np.ndarray
DENSE = "network: {depth: 50, width: 100, input_dim: 100}\ninputs: {count: 100}"
CNN = (
    "network: {{kind: cnn, depth: 30, image: [{side}, {side}], kernel: 3, channels: {channels}, "
    "input_channels: {channels}, padding: {padding}}}\ninputs: {{count: 10}}"
)
RESIDUAL = (
    "network: {{depth: 200, width: 100, input_dim: 100, residual: {{scale: 1/sqrt(depth), "
    "branch_layers: {layers}, norm: {norm}}}}}\ninputs: {{count: {inputs}}}"
)
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
        f"residual {layers} × 200, {inputs} inputs, norm {norm}": RESIDUAL.format(
            layers=layers, norm=norm, inputs=inputs
        )
        for layers, inputs, norm in (
            (1, 100, "none"),
            (2, 100, "none"),
            (1, 100, "before"),
            (2, 100, "before"),
            (1, 10, "before"),
        )
    },
}
SECONDS = 2.0  # of processor time for each line
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
            trials = min(block_size(network_pass.draws), MAX_TRIALS)
            _print_line(name, network_pass, replace(config, trials=trials))


def _print_line(name: str, network_pass: NetworkPass, config: SweepConfig) -> None:
    draws, condition = network_pass.draws, config.conditions[0]
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: list(iter_sweep(config, 1)),
        "floor": _floor(draws),
    }
    if importlib.util.find_spec("torch"):
        calls["torch"] = lambda: _torch(condition)
    seconds = interleaved(calls, seconds=SECONDS, clock=time.process_time)
    ours = seconds.pop("ours") / config.trials
    each = 1e6 * ours / len(draws.shapes)
    ratios = "".join(f"{ours / other:8.2f}" for other in seconds.values())
    print(f"{name:42}{config.trials:9}{1e3 * ours:9.2f}{each:10.1f}{ratios}", flush=True)


def _floor(draws: Draws) -> Callable[[], None]:
    """Draw the weights of one network and multiply; nothing is laid out, nothing measured."""
    rng = np.random.default_rng(0)
    positions, n = draws.convolution.positions if draws.convolution else 1, draws.n_inputs
    products = []
    for shape in draws.shapes:
        rows, columns = shape[0], math.prod(shape[1:])
        place = positions if len(shape) == 3 else 1
        back = columns // shape[-1] * rows  # taps · c_out, which the adjoint sums over
        patches, errors = (rng.standard_normal((size, place * n)) for size in (columns, back))
        turned = rng.standard_normal((shape[-1], back))
        single = [rng.standard_normal(of) for of in ((n, rows, place), (n, place, columns))]
        products.append((rows, columns, patches, turned, errors, single if place > 1 else []))
    spare: list[list[Array]] = []

    def run() -> None:
        weights = sample_weights(0, draws, range(1), spare)
        assert isinstance(weights, list)
        for omega, (rows, columns, patches, turned, errors, single) in zip(
            weights, products, strict=True
        ):
            np.matmul(omega.reshape(rows, columns), patches)
            np.matmul(turned, errors)
            if single:
                np.matmul(*single)
        spare.append(weights)

    return run


def _torch(condition: Condition) -> list[float]:
    """The same pass with autograd: float64, one thread, weight gradients input by input."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    functional = torch.nn.functional
    torch.set_num_threads(1)
    convolution, residual, n = condition.convolution, condition.residual, condition.n_inputs
    places = matrix_places(condition.depth, residual)
    shapes = iter(matrix_shapes(condition.widths, convolution, residual))
    linear: list[list[tuple[Any, Any, Any]]] = []  # z, Ω and what became of them, layer by layer

    def weighted(k: int, z: Any) -> Any:
        shape = next(shapes)
        std = math.sqrt(condition.weight_variances[k])
        if len(shape) == 3:
            assert convolution is not None
            c_out, _, c_in = shape
            size = [convolution.kernel] * 2
            omega = std * torch.randn(c_out, c_in, *size, dtype=torch.float64)
            around = [convolution.kernel // 2] * 4
            z = z.reshape(n, c_in, *convolution.image)
            mode = "circular" if convolution.padding == "circular" else "constant"
            padded = functional.pad(z, around, mode=mode)
            f = functional.conv2d(padded, omega)
            linear[k].append((padded, omega, f))
        else:
            omega = std * torch.randn(*shape, dtype=torch.float64)
            z = z.reshape(n, -1)
            f = z @ omega.T
            linear[k].append((z, omega, f))
        return f

    h = [torch.randn(n, condition.widths[0], dtype=torch.float64, requires_grad=True)]
    f = []
    for k, own in enumerate(places):
        linear.append([])
        z = h[k]
        block = residual is not None and 0 < k < condition.depth
        if residual is not None and block and residual.norm == "before":
            z = functional.layer_norm(z, z.shape[1:], eps=0.0)
        for _ in own:
            z = weighted(k, torch.relu(z) if block else z)
        f.append(z)
        if k < condition.depth:
            if residual is None:
                h.append(torch.relu(z))
            else:
                h.append(h[k] + residual.scale * z if block else z + 0.0)
    outputs = [f_own for own in linear for *_, f_own in own]
    gradients = torch.autograd.grad((f[-1] ** 2).sum(), [*f, *h, *outputs])
    dl_df, dl_dh = gradients[: len(f)], gradients[len(f) : 2 * len(f)]
    dl_dout = iter(gradients[2 * len(f) :])
    found = []
    for k in range(len(f)):
        for values in (h[k], f[k], dl_df[k], dl_dh[k]):
            found += [(values**2).mean(), values.var(correction=0)]
        for z, omega, _ in linear[k]:
            error = next(dl_dout)
            if omega.ndim == 4:
                assert convolution is not None
                patches = functional.unfold(z, convolution.kernel)
                each = torch.bmm(error.flatten(2), patches.transpose(1, 2))
                found += [(each**2).mean(), each.var(correction=0)]
            else:
                found.append((error**2).sum(dim=1) @ (z**2).sum(dim=1))
                found.append(error.sum(dim=1) @ z.sum(dim=1))
    return [number.item() for number in found]


if __name__ == "__main__":
    main()
