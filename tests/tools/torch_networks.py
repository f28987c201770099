"""Whole networks against PyTorch autograd: `python -m tests.tools.torch_networks`, where torch is.

The weights, biases and inputs of a few networks go to PyTorch, which takes the loss of one input at
a time in float64 and its gradients by f_k, h_k and all weights. Second moments and variances of all
five quantities, network by network, must be ours to rounding; twins are networks that differ in one
thing, and must be found.
"""

import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.architecture import Convolution, Residual, matrix_places
from heinit_sim.experiment.quantities import PASS_OF, Measure, Quantity
from heinit_sim.experiment.sweep_config import LayerSpec
from heinit_sim.sampling.streams import sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation.measure import Measured, biases_of, measure
from heinit_sim.simulation.plan import NetworkPass, plan_passes

Array = np.ndarray
Planted = Callable[[NetworkPass], NetworkPass]
DEPTH, N_NETWORKS, N_INPUTS, TARGET = 4, 2, 3, 0.3
# A number of a layer is a sum of n ≤ 64 products, which rounding leaves n^1.5 × 2^-53 off beside
# its size; forth and back there are 2 (2 K + 1) such layers, and a moment doubles what they leave.
ROUNDING = 2 * 2 * (2 * DEPTH + 1) * 64**1.5 * 2.0**-53
CNN = "kind: cnn, kernel: 3, channels: 4, input_channels: 2"
NETWORKS = {
    **{
        f"{len(image)}-D, {padding}, {readout}": f"{CNN}, image: {image}, padding: {padding}, "
        f"readout: {readout}"
        for image in ([5], [4, 3])
        for padding in ("circular", "zero")
        for readout in ("flatten", "mean")
    },
    **{
        f"residual, {layers} layers, norm {norm}": "width: 12, input_dim: 6, "
        f"residual: {{scale: 0.7, branch_layers: {layers}, norm: {norm}}}"
        for layers, norm in ((1, "none"), (2, "none"), (1, "before"), (2, "before"), (2, "inside"))
    },
    "residual, zero last": "width: 12, input_dim: 6, residual: {branch_layers: 2, zero_last: true}",
    "residual 2-D, zero, mean, norm before": f"{CNN}, image: [4, 3], padding: zero, readout: mean, "
    "residual: {scale: 1/sqrt(depth), branch_layers: 2, norm: before}",
}
LAWS = {
    "relu": "relu}\ninit: {scheme: he_normal}",
    "tanh, biases": "tanh}\ninit: {scheme: xavier_normal, bias: 0.1, bias_variance: 0.2}",
}


def main() -> int:
    """Print a line per network; 1 if its moments are not autograd's, or a twin is not found."""
    if not importlib.util.find_spec("torch"):
        print("torch is not installed")
        return 1
    failed = []
    for name, network in NETWORKS.items():
        for law, rest in LAWS.items():
            text = f"name: a\nnetwork: {{depth: {DEPTH}, output_dim: 2, {network}, activation: "
            given = f"inputs: {{count: {N_INPUTS}}}\nloss: {{target: {TARGET}}}\n"
            (network_pass,) = plan_passes(parse_config(f"{text}{rest}\n{given}"))
            expected = _torch(network_pass)
            off = _distance(_ours(network_pass), expected)
            missed = [
                planted
                for planted, plant in TWINS.items()
                if (twin := plant(network_pass)) != network_pass
                and not _distance(_ours(network_pass, twin), expected) > ROUNDING
            ]
            held = off < ROUNDING and not missed
            text = f"off by {off / 2.0**-53:.0f} × 2^-53{f', missed {missed}' if missed else ''}"
            print(f"{f'{name}, {law}':52}{text}{'' if held else '  <-'}")
            if not held:
                failed.append(f"{name}, {law}")
    print(f"not held: {'; '.join(failed)}" if failed else "all held, and no twin did")
    return int(bool(failed))


def _with_convolution(change: Callable[[Convolution], Convolution]) -> Planted:
    def plant(of: NetworkPass) -> NetworkPass:
        kept = of.draws.convolution
        return replace(of, draws=replace(of.draws, convolution=kept and change(kept)))

    return plant


def _with_residual(change: Callable[[Residual], Residual]) -> Planted:
    def plant(of: NetworkPass) -> NetworkPass:
        kept = of.draws.residual
        return replace(of, draws=replace(of.draws, residual=kept and change(kept)))

    return plant


def _widened(layer: LayerSpec) -> LayerSpec:
    return layer._replace(weight_variance=(1 + 2e-9) * layer.weight_variance)


def _shifted(layer: LayerSpec) -> LayerSpec:
    return layer._replace(bias_mean=(1 + 1e-9) * layer.bias_mean)


TWINS: dict[str, Planted] = {
    "other padding": _with_convolution(
        lambda c: c._replace(padding="zero" if c.padding == "circular" else "circular")
    ),
    "scale": _with_residual(lambda r: r._replace(scale=(1 + 1e-9) * r.scale)),
    "norm": _with_residual(lambda r: r._replace(norm="none" if r.norm != "none" else "before")),
    "σ of one layer": lambda of: replace(of, layers=(_widened(of.layers[0]), *of.layers[1:])),
    "biases": lambda of: replace(of, layers=tuple(map(_shifted, of.layers))),
    "target": lambda of: replace(of, target=(1 + 1e-9) * of.target),
}


def _ours(network_pass: NetworkPass, twin: NetworkPass | None = None) -> Measured:
    """What the twin measures on the weights of the network."""
    draws, trials = network_pass.draws, range(N_NETWORKS)
    weights, x = sample_weights(0, draws, trials, []), sample_inputs(0, draws, trials)
    twin = twin or network_pass
    biases = biases_of(twin, sample_biases(0, draws, trials))
    return measure(twin, weights, x, biases).networks


def _distance(found: Measured, expected: Measured) -> float:
    """The largest relative difference of two moments; none of what is zero in both."""
    with np.errstate(invalid="ignore"):
        gaps = [np.where(found[m] == e, 0.0, np.abs(found[m] - e)) for m, e in expected.items()]
    return float(np.max(gaps)) * math.log(10)


def _torch(of: NetworkPass) -> Measured:
    """log10 of second moments and variances by autograd, each (n_networks, K+1)."""
    draws, trials = of.draws, range(N_NETWORKS)
    weights, x = sample_weights(0, draws, trials, []), sample_inputs(0, draws, trials)
    betas = biases_of(of, sample_biases(0, draws, trials))
    moments: dict[Measure, list[list[float]]] = {}
    for trial in trials:
        omegas = [weights[place][trial] for place in range(len(draws.shapes))]
        biases = [beta[trial] for beta in betas] if betas else [np.zeros((1, 1))] * len(omegas)
        inputs = [_one_input(of, omegas, biases, x[trial, :, n]) for n in range(N_INPUTS)]
        for quantity in PASS_OF:
            layers = [
                np.stack(numbers) for numbers in zip(*(i[quantity] for i in inputs), strict=True)
            ]
            squares = [float(np.mean(layer**2)) for layer in layers]
            moments.setdefault((quantity, "second_moment"), []).append(squares)
            variances = [float(np.var(layer)) for layer in layers]
            moments.setdefault((quantity, "variance"), []).append(variances)
    with np.errstate(divide="ignore"):
        return {measure: np.log10(found) for measure, found in moments.items()}


def _one_input(
    of: NetworkPass, weights: list[Array], biases: list[Array], x: Array
) -> dict[Quantity, list[Array]]:
    """All five quantities of the layers 0 … K, each layer flat."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    functional, convolution, residual = torch.nn.functional, of.draws.convolution, of.draws.residual
    depth = len(of.stds) - 1
    a = {"relu": torch.relu, "tanh": torch.tanh}[str(of.activation)]
    h, f = [torch.tensor(x, requires_grad=True)], []
    omegas: list[list[Any]] = []

    def weighted(place: int, std: float, z: Any) -> Any:
        omega = std * weights[place]
        beta = torch.tensor(biases[place][:, 0])
        if omega.ndim == 2:
            omegas[-1].append(torch.tensor(omega, requires_grad=True))
            return omegas[-1][-1] @ z + beta
        assert convolution is not None
        dimensions, (c_out, _, c_in) = len(convolution.image), omega.shape
        kernel = (convolution.kernel,) * dimensions
        frameworks = omega.swapaxes(1, 2).reshape(c_out, c_in, *kernel)
        omegas[-1].append(torch.tensor(frameworks, requires_grad=True))
        mode = "circular" if convolution.padding == "circular" else "constant"
        images = z.reshape(1, c_in, *convolution.image)
        padded = functional.pad(images, [convolution.kernel // 2] * (2 * dimensions), mode=mode)
        apply = functional.conv1d if dimensions == 1 else functional.conv2d
        return apply(padded, omegas[-1][-1], beta.expand(c_out)).flatten()

    for k, places in enumerate(matrix_places(depth, residual)):
        omegas.append([])
        z = h[k]
        if residual is None or k in (0, depth):
            if k == depth and convolution is not None and convolution.readout == "mean":
                z = z.reshape(-1, convolution.positions).mean(dim=1)
            f.append(weighted(places[0], of.stds[k], z))
            if k < depth:
                h.append(a(f[k]) if residual is None else f[k] + 0.0)
            continue
        if residual.norm == "before":
            z = functional.layer_norm(z, z.shape, eps=0.0)
        for n, place in enumerate(places):
            if n and residual.norm == "inside":
                z = functional.layer_norm(z, z.shape, eps=0.0)
            last = residual.zero_last and n == len(places) - 1
            z = weighted(place, 0.0 if last else of.stds[k], a(z))
        f.append(z)
        h.append(h[k] + residual.scale * z)

    loss = ((f[-1] - of.target) ** 2).sum()
    flat = [omega for own in omegas for omega in own]
    gradients = iter(g.numpy().ravel() for g in torch.autograd.grad(loss, [*f, *h, *flat]))
    return {
        "preactivation": [layer.detach().numpy() for layer in f],
        "activation": [layer.detach().numpy() for layer in h],
        "grad_preactivation": [next(gradients) for _ in f],
        "grad_activation": [next(gradients) for _ in h],
        "grad_weight": [np.concatenate([next(gradients) for _ in own]) for own in omegas],
    }


if __name__ == "__main__":
    sys.exit(main())
