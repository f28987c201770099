"""Conditions for tests, from widths and laws of layers, one kind at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, cast

from heinit_sim.experiment.initializers import Distribution
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Norm,
    Padding,
    Pool,
    Readout,
    Row,
    Step,
    Weights,
    WeightSpec,
    Window,
)
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.sampling.streams import Draws
from heinit_sim.simulation.sweep import collect, iter_sweep


class Images(NamedTuple):
    """Hidden layers that are convolutions of stride 1; the output layer is fully connected."""

    image: tuple[int, ...]
    kernel: int
    channels: tuple[int, ...]
    padding: Padding = "circular"
    readout: Readout = "flatten"

    @property
    def positions(self) -> int:
        return prod(self.image)

    @property
    def window(self) -> Window:
        return Window(self.image, self.kernel, self.padding)

    def widths(self, outputs: int) -> tuple[int, ...]:
        return (*(self.positions * channels for channels in self.channels), outputs)


class Blocks(NamedTuple):
    """Layers 1 … K−1 are h + s f(h), f of one or two layers of weights behind activations."""

    scale: float = 1.0
    branch_layers: int = 1
    norm: str = "none"
    zero_last: bool = False

    def row(self, width: int, spec: WeightSpec, activate: Activate, window: Window | None) -> Row:
        weights = Weights(spec, width, width, window)
        last = weights
        if self.zero_last:
            last = weights._replace(spec=spec._replace(weight_variance=0.0))
        before: Row = (Norm(),) if self.norm == "before" else ()
        inside: Row = (Norm(),) if self.norm == "inside" else ()
        inner: Row = (weights, *inside, activate) if self.branch_layers == 2 else ()
        return (*before, activate, *inner, last, Add(self.scale))


def layer_specs(
    weight_variances: Iterable[float],
    weight_distributions: Sequence[Distribution] = (),
    bias_variances: Sequence[float] = (),
    bias_means: Sequence[float] = (),
) -> tuple[WeightSpec, ...]:
    """The layers 0 … K of these laws; an empty sequence stands for normal weights or no biases."""
    variances = tuple(weight_variances)
    none = (0.0,) * len(variances)
    normal = cast("tuple[Distribution, ...]", ("normal",) * len(variances))
    laws = (weight_distributions or normal, bias_variances or none, bias_means or none)
    return tuple(WeightSpec(*law) for law in zip(variances, *laws, strict=True))


def rows(
    widths: Sequence[int],
    specs: Sequence[WeightSpec],
    activation: Any = "relu",
    options: Mapping[str, Any] | None = None,
    images: Images | None = None,
    blocks: Blocks | None = None,
) -> tuple[Row, ...]:
    """Rows of steps of the layers 0 … K; layers that are alike are one object."""
    depth, alike = len(widths) - 2, dict[Row, Row]()
    layers = []
    for k, ((before, after), spec) in enumerate(zip(pairwise(widths), specs, strict=True)):
        given = {
            key: v[min(k, depth - 1)] if isinstance(v, tuple) else v
            for key, v in (options or {}).items()
        }
        activate = Activate(activation, tuple(sorted(given.items())))
        window = images.window if images and k < depth else None
        weights: Step = Weights(spec, before, after, window)
        row: Row = (weights,)
        if k == depth and images and images.readout == "mean":
            inputs = images.channels[-1]
            row = (Pool(images.positions), Weights(spec, inputs, after))
        elif blocks and 0 < k < depth:
            row = blocks.row(before, spec, activate, window)
        elif k < depth and not blocks:
            row = (weights, activate)
        layers.append(alike.setdefault(row, row))
    return tuple(layers)


def condition(
    widths: Sequence[int],
    variances: Sequence[float | WeightSpec] | float,
    activation: Any = "relu",
    n_inputs: int = 1,
    target: float = 0.0,
    *,
    index: int = 0,
    swept: Mapping[str, object] | None = None,
    options: Mapping[str, Any] | None = None,
    images: Images | None = None,
    blocks: Blocks | None = None,
    loss: Loss | None = None,
    lsuv: Any = None,
    inputs: Any = None,
    **laws: Any,
) -> Condition:
    """A condition with layers of one variance, or of one or one law each.

    Args:
        widths: D_0 … D_{K+1}.
        variances: σ²_Ω, or the laws of the layers.
        activation: a.
        n_inputs: Inputs in the batch.
        target: y of least squares.
        index: Place in the grid.
        swept: What is swept.
        options: Of the activation; a tuple has one for each hidden layer.
        images: What the hidden layers are, if not fully connected.
        blocks: How they add to what enters them, if they do.
        loss: Another loss.
        lsuv: As in `Condition`.
        inputs: As in `Condition`.
        laws: Other laws, as `layer_specs` takes them.
    """
    if isinstance(variances, int | float):
        variances = (float(variances),) * (len(widths) - 1)
    specs = [v if isinstance(v, WeightSpec) else WeightSpec(v) for v in variances]
    layers = rows(widths, specs, activation, options, images, blocks)
    more = {} if inputs is None else {"inputs": inputs}
    loss = loss or Loss(target=target)
    found = Condition(index, swept or {}, layers, n_inputs, loss, lsuv, **more)
    return with_layers(found, **laws) if laws else found


def with_layers(
    condition: Condition,
    *,
    weight_variances: Sequence[float] | None = None,
    weight_distributions: Sequence[Distribution] | None = None,
    bias_variances: Sequence[float] | None = None,
    bias_means: Sequence[float] | None = None,
    **changes: Any,
) -> Condition:
    """The condition with other laws of its layers; None keeps a law.

    Other changes are what `rows` takes (widths, activation, options, images, blocks), or fields.
    """
    laws: list[Any] = [weight_variances, weight_distributions, bias_variances, bias_means]
    kept: list[Any] = list(zip(*condition.specs, strict=True))[: len(laws)]
    if weight_variances is not None and len(weight_variances) != len(condition.layers):
        kept[1:] = [(), (), ()]  # laws of another depth
    specs = layer_specs(*(old if new is None else new for new, old in zip(laws, kept, strict=True)))
    of_rows = ("widths", "activation", "options", "images", "blocks")
    given = description(condition) | {"specs": specs}
    if "activation" in changes:
        given["options"] = {}
    given |= {name: changes.pop(name) for name in of_rows if name in changes}
    return replace(condition, layers=rows(**given), **changes)


def description(condition: Condition) -> dict[str, Any]:
    """What `rows` takes to make the layers of a condition that it has made."""
    first, last = condition.layers[0], condition.layers[-1]
    block = condition.layers[min(1, condition.depth - 1)]
    activates = [
        next((step for step in row if isinstance(step, Activate)), Activate("linear"))
        for row in condition.layers[:-1]
    ]
    options: dict[str, Any] = {
        key: values[0] if len(set(values)) == 1 else values
        for key in dict(activates[-1].options)
        for values in [tuple(dict(activate.options)[key] for activate in activates)]
    }
    assert isinstance(first[0], Weights)
    window, images, blocks = first[0].window, None, None
    if window is not None:
        channels = (first[0].channels[0], *(w.channels[1] for w in condition.weights[:-1]))
        readout: Readout = "mean" if isinstance(last[0], Pool) else "flatten"
        images = Images(window.image, window.kernel, channels, window.padding, readout)
    if isinstance(block[-1], Add):
        of_block = [step for step in block if isinstance(step, Weights)]
        zero_last = of_block[-1].spec.weight_variance == 0
        norm = "before" if isinstance(block[0], Norm) else "none"
        norm = "inside" if Norm() in block[1:] else norm
        blocks = Blocks(block[-1].scale, len(of_block), norm, zero_last)
    return {
        "widths": condition.widths,
        "specs": condition.specs,
        "activation": activates[-1].function,
        "options": options,
        "images": images,
        "blocks": blocks,
    }


def dense_draws(
    widths: Sequence[int],
    n_inputs: int,
    salt: tuple[int, ...] = (),
    law: Distribution = "normal",
    **changes: Any,
) -> Draws:
    """The draws of fully connected layers."""
    shapes = tuple((after, before) for before, after in pairwise(widths))
    return Draws(shapes, (law,) * len(shapes), widths[0], n_inputs, salt, **changes)


def unpredicted(config: SweepConfig, jobs: int = 1) -> SweepResult:
    """Simulate without predicting quantiles, which take long and which few tests read."""
    return collect(config, list(iter_sweep(config, jobs)), quantiles=False)
