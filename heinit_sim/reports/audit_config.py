"""The config of a plain network whose weights have the fans, variances and laws of a checkpoint."""

import math
import re
from collections.abc import Iterator

from heinit_sim.checks.checkpoints.audit import Audit, TensorAudit
from heinit_sim.checks.checkpoints.tensor_chain import Chain
from heinit_sim.checks.checkpoints.tensor_law import Law
from heinit_sim.checks.checkpoints.tensor_statistics import TensorStatistics
from heinit_sim.experiment.labels import flow_text, printable

_SIDE = 8  # of an image that the weights do not tell
_DISTRIBUTED: tuple[Law, ...] = ("uniform", "truncated_normal", "orthogonal")
_Z = 4.0  # standard errors from which on a mean is one


def to_config_text(audit: Audit, chain: Chain, source: str) -> str:
    """A config that `run` takes: a layer for each weight tensor of a chain, in its order.

    Args:
        audit: Of the checkpoint.
        chain: Of its weights.
        source: Path of the checkpoint, for the comment and the name.
    """
    tensors = {tensor.name: tensor for tensor in audit.tensors}
    weights = [tensors[name] for name in chain.names]
    lines = [f"# Weights as they are in {printable(source)}, as a plain network: what a file of"]
    lines += ["# weights does not tell (activations, norms, additions, strides) is not in it."]
    for name in chain.left_out:
        lines.append(f"# Left out, as it follows none of these: {printable(name)}")
    lines += [f"name: {_run_name(source)}", "network:"]
    lines += [f"  {line}" for line in _network(weights, chain, audit.activation)]
    lines.append("init:")
    for tensor in weights:
        bias = tensors.get(tensor.place.bias or "") if tensor.place else None
        lines.append(f"  - {flow_text(_init(tensor, bias))} # {_remark(tensor)}")
    if chain.n_convolutions == len(weights):
        lines.append("  - {scheme: lecun_normal} # an output layer, which the file does not have")
    return "\n".join([*lines, "figure: {quantity: second_moment}", ""])


def _run_name(source: str) -> str:
    """The name of the file as one of a run."""
    stem = re.split(r"[/\\]", source)[-1].rpartition(".")[0]
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip("._-")[:64]
    return name if re.search("[A-Za-z]", name) else f"weights_{name}"[:64]


def _network(weights: list[TensorAudit], chain: Chain, activation: str) -> Iterator[str]:
    """The lines of `network`."""
    fans = [tensor.fans for tensor in weights if tensor.fans]
    n = chain.n_convolutions
    if not n:
        yield f"depth: {len(fans) - 1}"
        yield f"width: {flow_text([one.n_out for one in fans[:-1]])}"
        yield f"input_dim: {fans[0].n_in}"
    else:
        kernels = [one.kernel[0] for one in fans[:n]]
        side = max(_SIDE, max(kernels))
        image = chain.image or (side,) * len(fans[0].kernel)
        told = " # not told by the weights" * (chain.image is None)
        yield "kind: cnn"
        yield f"depth: {n}"
        yield f"image: {flow_text(list(image))}{told}"
        yield f"kernel: {kernels[0]}"
        yield f"channels: {flow_text([one.n_out for one in fans[:n]])}"
        yield f"input_channels: {fans[0].n_in}"
        if chain.image is None:
            yield "readout: mean"
        if len(set(kernels)) > 1:
            yield "block:"
            for kernel in kernels:
                yield f"  - {{block: [{{weights: {{kernel: {kernel}}}}}, activation]}}"
    yield f"output_dim: {fans[-1].n_out if n < len(fans) else 1}"
    yield f"activation: {activation}"


def _init(tensor: TensorAudit, bias: TensorAudit | None) -> dict[str, object]:
    """The entry of `init` of a layer, with its biases if there are any but zeros."""
    found, law = tensor.found, tensor.law
    assert found is not None  # of weights in a chain
    assert law is not None
    init: dict[str, object]
    if law.law == "zeros":
        init = {"scheme": "zeros"}
    elif law.law == "constant":
        init = {"scheme": "constant", "mean": found.mean}
    elif _has_mean(found) and law.law == "other":
        init = {"variance": _digits(found.variance), "mean": _digits(found.mean)}
    else:
        init = {"variance": _digits(found.second_moment)}
    if law.law in _DISTRIBUTED:
        init["distribution"] = law.law
    if bias is not None and bias.found is not None and bias.is_finite and bias.found.largest_size:
        init |= _biases(bias.found)
    return init


def _biases(found: TensorStatistics) -> dict[str, object]:
    """Constant biases, random ones, or random ones about a mean."""
    if found.smallest == found.largest:
        return {"bias": _digits(found.mean)}
    if _has_mean(found):
        return {"bias": _digits(found.mean), "bias_variance": _digits(found.variance)}
    return {"bias_variance": _digits(found.second_moment)}


def _has_mean(found: TensorStatistics) -> bool:
    """Whether the mean of numbers is not 0 by chance."""
    return abs(found.mean) > _Z * math.sqrt(found.variance / found.n)


def _digits(value: float) -> float:
    return float(f"{value:.8g}")


def _remark(tensor: TensorAudit) -> str:
    near, law = tensor.nearest, tensor.law
    assert near is not None
    assert law is not None
    name = printable(tensor.name)
    if near.agrees:
        return f"{name}: {near.scheme}"
    known = law.law if law.law != "other" else "law not known, written as normal"
    return f"{name}: {known}, nearest {near.scheme} times {near.gain:.4g}"
