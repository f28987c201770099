"""The `network` and `init` of a config -> the rows of steps of the layers 0 … K."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from heinit_sim.config.problem import Keys, Problem, WrongError
from heinit_sim.config.resolve_steps import Layer, Signal, check_units, row_of, steps_text
from heinit_sim.config.resolve_weights import lsuv_of, wrong_inits, wrong_lsuv
from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import located
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.init import layers_of
from heinit_sim.config.schema.network import Network, Part
from heinit_sim.config.schema.steps import Step
from heinit_sim.experiment.engines import why_no_jacobian, why_not_conditional
from heinit_sim.experiment.steps import Row


def layer_rows(config: Config) -> tuple[Row, ...] | list[Problem]:
    """The rows of the layers 0 … K, equal ones one object; or what is wrong with them."""
    depth = config.network.n_hidden
    problems = [*_wrong_lists(config.network, depth), *wrong_inits(config, depth)]
    problems += _too_wide(config)
    if config.network.kind == "cnn" and config.inputs.tokens is not None:
        text = f"images are no sequences ({config.inputs.tokens}), must be left out"
        problems.append(Problem(("inputs", "tokens"), f"{text}; they are of kind: dense"))
    if problems:
        return problems
    signal = _input(config)
    try:
        check_units(signal, ("network", "input_channels"))
    except WrongError as error:
        problems.append(error.problem)
    rows: list[Row] = []
    alike: dict[Row, Row] = {}
    known: dict[object, tuple[Signal, Row]] = {}
    for layer, told_apart_by in _layers(config):
        key = signal, told_apart_by
        if key not in known:
            try:
                after, row = row_of(layer, signal)
                known[key] = after, alike.setdefault(row, row)
            except WrongError as error:
                problems.append(error.problem)
                known[key] = Signal(layer.width, signal.image), ()
        signal, row = known[key]
        rows.append(row)
    problems = problems or [*wrong_lsuv(config, rows), *_wrong_engine(config, rows)]
    return problems or [*_wrong_record(config, rows)] or tuple(rows)


def _input(config: Config) -> Signal:
    network: Any = config.network  # the model has all that is of its kind
    if network.kind == "cnn":
        return Signal(network.input_channels, tuple(network.image))
    return Signal(network.input_dim)


def _layers(config: Config) -> Iterator[tuple[Layer, object]]:
    """The layers 0 … K, each with a key: equal ones have equal rows where the same enters."""
    network: Any = config.network  # the model has all that is of its kind
    parts, depth = [*network.hidden_parts], network.n_hidden
    key = "channels" if network.kind == "cnn" else "width"
    widths = _for_layers(getattr(network, key), parts, depth)
    activations = _for_layers(network.activation, parts, depth)
    has_slopes = any(isinstance(given.negative_slope, list) for _, given in activations[:1])
    inits = layers_of(config.init, depth + 1)
    k = 0
    for part in parts:
        by_block = _is_by_block(part)
        for block in range(part.repeat):
            (at, width), (_, activation), (init_at, init) = widths[k], activations[k], inits[k]
            at, places = ("network", key, *at), (k, depth, block)
            layer = Layer(config, part, *places, width, at, width, activation, init, init_at)
            place = k if has_slopes else 0, block if by_block else 0
            yield layer, (part.keys, id(init), id(activation), width, place)
            k += 1
    head = Part(network.head_steps, ("head",), 1)
    (_, width), (_, activation), (init_at, init) = widths[-1], activations[-1], inits[k]
    ends = network.output_dim, ("network", "output_dim"), width
    yield Layer(config, head, k, depth, 0, *ends, activation, init, init_at), head.keys


def _is_by_block(part: Part) -> bool:
    """Whether any step of a part has a number for each block."""
    adds = (step.options for step in part.steps if step.word == "add")
    return any(isinstance(factor, list) for add in adds for factor in (add.scale, add.skip))


def _for_layers(given: Any, parts: Sequence[Part], depth: int) -> list[tuple[Keys, Any]]:
    """The value of each layer 0 … K − 1 and its way, given one for all, each layer or stage."""
    if not isinstance(given, list):
        return [((), given)] * depth
    if len(given) == depth:
        return [((k,), value) for k, value in enumerate(given)]
    places = [part.stage for part in parts for _ in range(part.repeat)]
    return [((place,), given[place]) for place in places]


def _wrong_lists(network: Network, depth: int) -> Iterator[Problem]:
    """Lists of one for each layer that are of another length."""
    given: Any = network
    key = "channels" if network.kind == "cnn" else "width"
    stages = len(network.stages) if network.has_stages else depth
    if isinstance(units := getattr(given, key), list) and len(units) not in (depth, stages):
        text = f"wrong length ({len(units)}), must be one for each of the {depth} layers"
        or_stages = f" or {stages} stages" if network.has_stages else ""
        yield Problem(("network", key), f"{text}{or_stages}")
    values: Any = network.activation
    at: Keys = ("network", "activation")
    if not isinstance(values, list):
        values, at = values.negative_slope, (*at, "negative_slope")
    else:
        for n, one in enumerate(values):
            if isinstance(one.negative_slope, list):
                text = "an activation of one layer has one slope, must be a number"
                yield Problem((*at, n, "negative_slope"), text)
    if not isinstance(values, list):
        return
    if len(values) != depth:
        text = f"wrong length ({len(values)}), must be one for each of the {depth} layers"
        yield Problem(at, text)
    for part in network.hidden_parts:
        if not any(map(_takes_activation, part.steps)):
            text = f"no such activation is in network.{'.'.join(map(str, part.keys))}"
            must = "must be one for all layers; or give the step activation there"
            yield Problem(at, f"{text} ({steps_text(part.steps)}), {must}")
            return


def _too_wide(config: Config) -> Iterator[Problem]:
    """Layers that are too wide to form their weights."""
    network, most = config.network, fields.UNITS.bounds["le"]
    if config.engine == "conditional":
        return
    for key in ("input_dim", "width", "output_dim"):
        for at, width in located(getattr(network, key)):
            if width is not None and width > most:
                text = f"too large ({width}) for engine: weights, must be at most {most}"
                way = f"engine: conditional goes to {fields.WIDTH.bounds['le']}"
                yield Problem(("network", key, *at), f"{text}; {way}")


def _wrong_engine(config: Config, rows: Sequence[Row]) -> Iterator[Problem]:
    """Refuse networks that only their weights can simulate."""
    if config.engine == "conditional" and (why := why_not_conditional(rows, lsuv_of(config.init))):
        text = f"not for {why} (conditional), must be weights"
        yield Problem(("engine",), f"{text}; or give dense layers of normal weights")


def _wrong_record(config: Config, rows: Sequence[Row]) -> Iterator[Problem]:
    """Refuse the Jacobian of networks that have none of one input alone."""
    asked = config.record is not None and config.record.jacobian
    if asked and (why := why_no_jacobian(rows, config.engine)):
        yield Problem(("record", "jacobian"), f"not for {why} (true), must be false")


def _takes_activation(step: Step) -> bool:
    """Whether a step has no activation of its own but that of the network."""
    if step.word == "activation":
        return step.options is None
    return step.word == "gate" and step.options.activation is None
