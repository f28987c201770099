"""The steps of one layer as a config has them -> their records, with all numbers in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from heinit_sim.config.arithmetic import NotArithmeticError, value_of
from heinit_sim.config.problem import Keys, WrongError
from heinit_sim.config.resolve_weights import init_of_step, with_law
from heinit_sim.config.schema import fields
from heinit_sim.config.schema.activation import Activation
from heinit_sim.config.schema.annotations import Formula, Limits
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.init import LayerInit
from heinit_sim.config.schema.network import Part
from heinit_sim.config.schema.steps import WEIGHTED, Step
from heinit_sim.experiment import steps
from heinit_sim.experiment.labels import flow_text, shortened
from heinit_sim.experiment.steps import Row, Weights, WeightSpec, Window


class Signal(NamedTuple):
    """The shape of what is between two steps."""

    channels: int
    """Units, where there is no image."""
    image: tuple[int, ...] = ()

    @property
    def positions(self) -> int:
        """Positions of one channel."""
        return math.prod(self.image)

    @property
    def units(self) -> int:
        """Numbers for one input."""
        return self.channels * self.positions

    @property
    def size(self) -> str:
        """The image in words, e.g. "8×8"."""
        return "×".join(map(str, self.image))

    def __str__(self) -> str:
        return f"{self.channels} channels of {self.size}" if self.image else str(self.channels)


class Layer(NamedTuple):
    """A layer with all of the config that its steps need."""

    config: Config
    part: Part
    k: int
    depth: int
    """K."""
    block: int
    """Place among the blocks of its part."""
    width: int
    """Units or channels that its last weights make."""
    width_keys: Keys
    """Way to them."""
    base: int
    """Units or channels that `expand` multiplies."""
    activation: Activation
    """Activation of a step that names none."""
    init: LayerInit
    init_keys: Keys
    """Way to the init."""

    @property
    def network(self) -> Any:
        """The section, which has all that is of its kind."""
        return self.config.network

    @property
    def is_cnn(self) -> bool:
        """Whether hidden layers are convolutions."""
        return self.config.network.kind == "cnn"

    @property
    def is_head(self) -> bool:
        """Whether the loss follows."""
        return self.k == self.depth

    @property
    def names(self) -> dict[str, float]:
        """Value of each name in arithmetic, but for `fan_in`."""
        return {"depth": self.depth, "width": self.width}


class _Site(NamedTuple):
    """Where a step stands."""

    layer: Layer
    keys: Keys
    """Way to its options."""
    entering: Signal
    last: bool
    """Whether no weights follow in the layer."""


Made = tuple[Signal, steps.Step]
"""A step, behind the shape of its result."""


def row_of(layer: Layer, signal: Signal) -> tuple[Signal, Row]:
    """Make the row of a layer: what leaves it, and the row.

    Args:
        layer: The layer.
        signal: What enters it.

    Raises:
        WrongError: It cannot be made.
    """
    given, way = layer.part.steps, ("network", *layer.part.keys)
    weighted = [n for n, step in enumerate(given) if step.word in WEIGHTED]
    if not weighted:
        must = f"must have {', '.join(WEIGHTED[:-1])} or {WEIGHTED[-1]}"
        raise WrongError(way, f"no weights ({steps_text(given)}), {must}")
    entered, branch = signal, 0
    row: list[steps.Step] = []
    for n, step in enumerate(given):
        if layer.is_head and n == weighted[0] and layer.is_cnn:
            is_mean = layer.network.readout == "mean"
            row += [steps.Pool(signal.positions)] * is_mean
            entered = signal = Signal(signal.channels if is_mean else signal.units)
        if layer.is_head and n > weighted[-1] and step.word != "activation":
            text = f"behind the last weights of the head ({step.word}), must be before them"
            raise WrongError((*way, n), f"{text}; only an activation of the output follows")
        site = _Site(layer, (*way, n, step.word), signal, n == weighted[-1])
        if step.word == "add":
            _check_add(site, entered, is_empty=branch == n)
            row.append(_add(site, step.options, steps.matrices(tuple(row))))
            entered, branch = signal, n + 1
        else:
            signal, made = _BUILDERS[step.word](site, step.options)
            row.append(made)
    return signal, tuple(row)


def _weights(site: _Site, given: Any) -> Made:
    weights = _matrix(site, given)
    image = weights.window.image_out if weights.window else ()
    return Signal(weights.channels[1], image), weights


def _activation(site: _Site, given: Activation | None) -> Made:
    return site.entering, _activate(given, site.layer)


def _norm(site: _Site, given: Any) -> Made:
    is_batch, positions = given.kind == "batch", site.entering.positions
    if is_batch and positions * site.layer.config.inputs.n_inputs == 1:
        text = "one input has no spread (batch), must be layer or rms"
        raise WrongError((*site.keys, "kind"), f"{text}; or give inputs.count: 2 or more")
    return site.entering, steps.Norm(given.kind, positions if is_batch else 1)


def _gate(site: _Site, given: Any) -> Made:
    weights = _matrix(site, given)
    activate = _activate(given.activation, site.layer)
    leaving = Signal(weights.channels[1], site.entering.image)
    return leaving, steps.Gate(weights, weights, activate)


def _dropout(site: _Site, given: Any) -> Made:
    return site.entering, steps.Dropout(float(given.rate))


def _attention(site: _Site, given: Any) -> Made:
    layer, tokens = site.layer, site.layer.config.inputs.tokens
    if layer.is_cnn:
        text = "of sequences, which images are not, must be in a network of kind: dense"
        raise WrongError(site.keys[:-1], f"{text}; or left out")
    if tokens is None:
        text = "of sequences, which inputs are not, must be beside inputs.tokens"
        raise WrongError(site.keys[:-1], f"{text}; or left out")
    width = layer.base if layer.is_head else layer.width
    if layer.is_head and site.last:
        text = "leads to no output_dim (attention), must be before weights"
        raise WrongError(site.keys[:-1], f"{text}; let weights follow")
    if width % given.heads:
        text = f"not a divisor of the width ({given.heads}), must divide {width}"
        raise WrongError((*site.keys, "heads"), text)
    weights = _drawn(site, Weights(WeightSpec(1.0), site.entering.units, width), None)
    made = steps.Attention(weights, weights, weights, given.heads, given.causal, tokens)
    return Signal(width), made


_BUILDERS: Mapping[str, Callable[[_Site, Any], Made]] = {
    "weights": _weights,
    "activation": _activation,
    "norm": _norm,
    "gate": _gate,
    "dropout": _dropout,
    "attention": _attention,
}
"""Word of each step but `add`, which sees what is before it -> its builder."""


def _add(site: _Site, given: Any, before: Sequence[Weights]) -> steps.Add:
    names = site.layer.names | ({"fan_in": before[-1].fans[0]} if before else {})
    factors = []
    for option in ("scale", "skip"):
        factor, at = getattr(given, option), (*site.keys, option)
        if isinstance(factor, list):
            n_blocks = site.layer.part.repeat
            if len(factor) != n_blocks:
                text = f"wrong length ({len(factor)}), must be one for each of the {n_blocks}"
                raise WrongError(at, f"{text} blocks")
            factor, at = factor[site.layer.block], (*at, site.layer.block)
        number = number_of(factor, at, fields.FACTOR, names)
        if 0 < abs(number) < fields.SMALLEST_FACTOR:
            raise WrongError(at, f"too small ({factor}), must be {fields.FACTOR}")
        factors.append(number)
    return steps.Add(*factors)


def _check_add(site: _Site, entered: Signal, *, is_empty: bool) -> None:
    """Refuse what cannot be added."""
    if is_empty:
        text = "nothing is before it to be added, must be behind the steps of a branch"
        raise WrongError(site.keys[:-1], text)
    if site.entering != entered:
        text = f"of unequal widths ({entered} enter, {site.entering} are added), must be equal"
        way = "give the layer where they change a stage or stem of its own, without add"
        raise WrongError(site.keys[:-1], f"{text}; {way}")


def _activate(given: Activation | None, layer: Layer) -> steps.Activate:
    if given is not None:
        return given.step()
    return layer.activation.step(min(layer.k, layer.depth - 1))


def _matrix(site: _Site, given: Any) -> Weights:
    """A matrix or a kernel, of `weights` or of a gate."""
    layer, keys, signal = site.layer, site.keys, site.entering
    count, count_keys = layer.width if site.last else layer.base, layer.width_keys
    if given.expand is not None:
        count_keys = (*keys, "expand")
        if site.last:
            text = f"the last weights return to the width ({_written(given.expand)})"
            raise WrongError(count_keys, f"{text}, must be left out; or let weights follow")
        count = round(number_of(given.expand, count_keys, fields.EXPAND, layer.names) * layer.base)
    for option in ("kernel", "stride", "groups"):
        value = getattr(given, option, None)
        if value is not None and not signal.image:
            way = "the head is fully connected" if layer.is_cnn else "it is of kind: cnn"
            text = f"not for fully connected weights ({value}), must be left out; {way}"
            raise WrongError((*keys, option), text)
    window = _window(site, given, count) if signal.image else None
    if count < 1:
        text = f"too small ({_written(given.expand)}), must leave a unit of the width {layer.base}"
        raise WrongError(count_keys, text)
    leaving = Signal(count, window.image_out if window else ())
    check_units(leaving, count_keys)
    weights = Weights(WeightSpec(1.0), signal.units, leaving.units, window)
    return _drawn(site, weights, getattr(given, "init", None))


def _drawn(site: _Site, weights: Weights, entry: Any) -> Weights:
    """Weights with the law of their layer, or with that of an entry of their own."""
    layer, init, keys = site.layer, site.layer.init, ("init", *site.layer.init_keys)
    activation = layer.network.activation
    if entry is not None:
        keys = (*site.keys, "init")
        init = init_of_step(init, entry, activation, keys)
    return with_law(weights, init, activation, layer.names, keys, first=layer.k == 0)


def _window(site: _Site, given: Any, count: int) -> Window:
    """How positions are connected."""
    network, image = site.layer.network, site.entering.image
    least, size = min(image), site.entering.size
    at: Keys = ("network", "kernel")
    kernel = network.kernel
    if getattr(given, "kernel", None) is not None:
        kernel, at = given.kernel, (*site.keys, "kernel")
    if kernel > 2 * least - 1:
        most = f"at most {2 * least - 1}, twice the image's least size less 1"
        where = "" if list(image) == network.image else f"; the image there is {size}"
        raise WrongError(at, f"too large ({kernel}), must be {most}{where}")
    stride = getattr(given, "stride", None) or 1
    if stride > least:
        text = f"too large ({stride}), must be at most {least}, the image's least size"
        raise WrongError((*site.keys, "stride"), f"{text}; the image there is {size}")
    groups = getattr(given, "groups", None) or 1
    for channels in (site.entering.channels, count):
        if channels % groups:
            text = f"not a divisor of the channels ({groups}), must divide {channels}"
            raise WrongError((*site.keys, "groups"), text)
    return Window(image, kernel, network.padding, stride, groups)


def number_of(given: Any, keys: Keys, limits: Limits, names: Mapping[str, float]) -> float:
    """The value of a number or of arithmetic, within limits.

    Args:
        given: The number or the arithmetic.
        keys: Way to it.
        limits: Its limits.
        names: Value of each name that it may have.

    Raises:
        WrongError: It has no such value.
    """
    if not isinstance(given, Formula):
        return float(given)
    try:
        number = value_of(given, names)
    except NotArithmeticError as error:
        raise WrongError(keys, f"{error}, must be {limits}") from None
    except KeyError:
        raise WrongError(keys, f"no fan_in here ({given}), must be of depth, width") from None
    bounds = limits.bounds
    if number <= bounds.get("gt", -math.inf) or number < bounds.get("ge", -math.inf):
        raise WrongError(keys, f"too small ({given} = {number:.6g}), must be {limits}")
    if number > bounds["le"]:
        raise WrongError(keys, f"too large ({given} = {number:.6g}), must be {limits}")
    return number


def check_units(signal: Signal, keys: Keys) -> None:
    """Refuse what is too large, its size given by those keys.

    Raises:
        WrongError: It is.
    """
    if not signal.image:
        most = fields.UNITS.bounds["le"]
        if signal.channels > most and keys[-1] == "expand":
            raise WrongError(keys, f"too many units ({signal.channels}), must be at most {most}")
        return
    most = fields.MAX_UNITS // signal.positions
    if signal.channels > most:
        text = f"too many units ({signal.channels} channels), must be at most {most} channels"
        raise WrongError(keys, f"{text} of {signal.size} positions")


def steps_text(given: Sequence[Step]) -> str:
    """Steps as a config writes them, not too long."""
    return shortened(flow_text([step.model_dump() for step in given]), 60)


def _written(given: float | str) -> str:
    return given if isinstance(given, str) else f"{given:g}"
