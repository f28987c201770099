"""Every option changes a number of the result, beside every other option, or is refused."""

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations
from typing import Any

import pytest

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from tests.conditions import unpredicted
from tests.rows import slow_but

# Option -> values that mean different things, the default (of the network below) left out.
TRUNCATED = ["truncated_normal", "truncated_normal_uncorrected"]
INIT: dict[str, list[Any]] = {
    "init.variance": [0.05],
    "init.scheme": ["he_normal", "torch_linear_default", "variance_scaling", "orthogonal", "lsuv"],
    "init.mode": ["fan_out", "fan_avg"],
    "init.scale": [1.7],
    "init.gain": [0.6, "second_moment", "std"],
    "init.a": [0.4],
    "init.nonlinearity": ["tanh", "selu"],
    "init.distribution": ["uniform", *TRUNCATED, "orthogonal"],
    "init.tolerance": [0.9],
    "init.bias": [0.3],
    "init.bias_variance": [0.2],
}
FEW = {key: INIT[key] for key in ("init.variance", "init.scheme", "init.gain", "init.bias")}
DENSE = INIT | {
    "network.depth": [4],
    "network.width": [7],
    "network.input_dim": [4],
    "network.output_dim": [3],
    "network.activation": ["relu", "leaky_relu", {"name": "leaky_relu", "negative_slope": 0.3}],
    "network.block": [
        ["activation", "weights", "add"],
        ["activation", "weights", {"add": {"scale": 0.5}}],
        ["activation", "weights", {"add": {"skip": 0.5}}],
        ["norm", "activation", "weights", "add"],
        [{"norm": {"kind": "rms"}}, "activation", "weights", "add"],
        [{"norm": {"kind": "batch"}}, "activation", "weights", "add"],
        ["activation", "weights", "norm", "activation", "weights", "add"],
        [{"weights": {"expand": 2}}, "activation", "weights", "add"],
        ["activation", {"weights": {"init": {"scheme": "zeros"}}}, "add"],
        ["activation", {"dropout": {"rate": 0.5}}, "weights", "add"],
        ["gate", "weights", "add"],
        [{"gate": {"activation": "tanh"}}, "activation", "weights", "add"],
        [{"attention": {"heads": 2}}, "weights", "add"],
        [{"attention": {"heads": 2, "causal": True}}, "weights", "add"],
    ],
    "network.stem": [["weights", "activation", "norm"]],
    "network.head": [["norm", "weights"]],
    "inputs.tokens": [2],
    "inputs.distribution": ["uniform", "constant", "sparse", "pair"],
    "inputs.mean": [0.4],
    "inputs.std": [2.0],
    "inputs.density": [0.6],
    "inputs.cosine": [0.2],
    "inputs": [
        {"distribution": "normal", "mean": 0.4},
        {"distribution": "normal", "mean": 0.4, "normalisation": "global"},
    ],
    "inputs.count": [2],
    "loss.target": [0.7],
    "loss.name": ["cross_entropy", "probe"],
    "trials": [4],
    "seed": [1],
    "engine": ["conditional"],
    "record.cosine": [True],
    "record.units": [True],
    "record.range": [True],
    "record.jacobian": [True],
    "record.batch_gradient": [True],
    "record.update": [{"learning_rate": 0.1}, {"learning_rate": 0.1, "optimiser": "adam"}],
}
CNN = INIT | {
    "network.image": [[6], [2, 2]],
    "network.kernel": [1],
    "network.channels": [4],
    "network.input_channels": [2],
    "network.padding": ["circular"],
    "network.readout": ["mean"],
    "network.block": [
        ["activation", "weights", "add"],
        ["weights", {"weights": {"kernel": 2}}, "activation"],
        [{"weights": {"stride": 2}}, "activation"],
        [{"weights": {"groups": 3}}, "activation"],
        ["weights", {"norm": {"kind": "batch"}}, "activation"],
    ],
    "init.distribution": [*INIT["init.distribution"], "delta_orthogonal"],
}
BASES = {
    "dense": {"depth": 3, "width": 6, "input_dim": 5, "activation": "gelu"},
    "cnn": {
        "kind": "cnn",
        "depth": 2,
        "image": [5],
        "kernel": 3,
        "channels": 3,
        "activation": "gelu",
    },
}
# What says nothing new, and may.
ALIKE = {
    "init.distribution: nothing is truncated_normal beside ('init.scheme', 'variance_scaling')",
    "inputs.count: nothing is 2 beside ('inputs.distribution', 'constant')",
    "inputs.tokens: nothing is 2 beside ('inputs.distribution', 'constant')",
    "network.padding: nothing is circular beside ('network.kernel', 1)",  # which sees no edge
    "init.distribution: orthogonal is delta_orthogonal beside ('network.kernel', 1)",
}


def numbers(kind: str, *given: tuple[str, Any]) -> tuple[bytes, ...] | None:
    """Every number of the networks of a small config with these options; None if it is refused."""
    config: dict[str, Any] = {
        "name": "small",
        "network": dict(BASES[kind]),
        "init": {"variance": 0.3},
        "inputs": {"count": 4},
        "trials": 3,
    }
    if "init.scheme" in dict(given) and "init.variance" not in dict(given):
        config["init"] = {}
    for path, value in given:
        *sections, key = path.split(".")
        at = config
        for section in sections:
            at = at.setdefault(section, {})
        at[key] = deepcopy(value)
    try:
        parsed = parse_config(json.dumps(config))
    except ConfigError:
        return None
    (condition,) = unpredicted(parsed).conditions
    kept = (condition.networks, condition.ratios, condition.outputs)
    return tuple(array.round(9).tobytes() for arrays in kept for array in arrays.values())


def without_effect(kind: str, options: dict[str, list[Any]]) -> Iterator[str]:
    """Yield what is accepted and yet changes no number, or means what another value means."""
    settings = [(path, value) for path, values in options.items() for value in values]
    seen = {frozenset[int](): numbers(kind)}
    alone = {i: numbers(kind, setting) for i, setting in enumerate(settings)}
    seen |= {frozenset({i}): found for i, found in alone.items()}
    for i, j in combinations(range(len(settings)), 2):
        if not settings[i][0].startswith(settings[j][0]):
            seen[frozenset({i, j})] = numbers(kind, settings[i], settings[j])
    for beside in ((), *((j,) for j in range(len(settings)))):
        for path in options:
            context = settings[beside[0]] if beside else None
            if context and (context[0].startswith(path) or path.startswith(context[0])):
                continue  # one replaces the other
            places = [i for i, (name, _) in enumerate(settings) if name == path]
            cases: dict[str, tuple[bytes, ...] | None] = {"nothing": seen[frozenset(beside)]}
            cases |= {str(settings[i][1]): seen[frozenset({i, *beside})] for i in places}
            accepted = [case for case in cases.items() if case[1] is not None]
            for (one, found), (other, again) in combinations(accepted, 2):
                if found == again:
                    yield f"{path}: {one} is {other} beside {context}"


@pytest.mark.parametrize(
    ("kind", "options"),
    slow_but([("dense", FEW), ("dense", DENSE), ("cnn", CNN)], ("dense", FEW)),
    ids=["few", "dense", "cnn"],
)
def test_every_option_changes_a_number_or_is_refused(
    kind: str, options: dict[str, list[Any]]
) -> None:
    assert set(without_effect(kind, options)) <= ALIKE


def test_an_option_without_effect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heinit_sim.experiment.initializers.kept_share", lambda *_: 1.0)
    said = "init.distribution: truncated_normal is truncated_normal_uncorrected beside None"
    assert list(without_effect("dense", {"init.distribution": TRUNCATED})) == [said]
