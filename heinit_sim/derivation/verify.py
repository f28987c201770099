"""Sample and judge identities: which network they are held against, and how many of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from heinit_sim.derivation.expectation_rules import RULES
from heinit_sim.derivation.gradients import GRADIENTS
from heinit_sim.derivation.identity import Identity, Row, judge, largest_z
from heinit_sim.derivation.layer_rules import LAYERS
from heinit_sim.derivation.probes import second_moment, slope_of
from heinit_sim.derivation.xavier import XAVIER
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.steps import Activate, dense_layers
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.inputs import is_standard
from heinit_sim.sampling.streams import verification_rng
from heinit_sim.theory import assumptions

IDENTITIES: tuple[Identity[Any], ...] = (*RULES, *LAYERS, *XAVIER, *GRADIENTS)

DEFAULT_CONFIG = """
name: default
network: {depth: 5, width: 100, input_dim: 100}
init: {scheme: he_normal}
"""
_EXACT_NETWORKS = 8
_DRAWS_PER_ROW = 15 * 10**6  # an eighth of a second
_DRAWS_PER_BLOCK = 2**21  # 16 MiB
_NETWORKS = 200, 100_000  # of a row, at least and at most
# What a condition is cut to: the identities hold for any network, of any size.
_DEPTH, _WIDTH = 5, 300
# σ²_Ω times either fan stays within 1e±20: gradients of six layers, squared, stay within 1e±250.
_DECADES = 20


class Block(NamedTuple):
    """Some of the networks that one identity is held against."""

    place: int
    """That of the identity in the list of all."""
    networks: int
    """How many."""
    work: int
    """Random numbers that they take."""


@dataclass(frozen=True)
class Verification:
    """All rows of `verify`, and what they were held against."""

    condition: Condition
    """The condition whose network was asked for."""
    probe: Condition
    """The network the identities were held against: that of the condition, cut to size."""
    slope: float
    """α, the slope of its activation below zero."""
    seed: int
    rows: tuple[Row, ...]
    bound: float
    """Largest |z| that holds."""


def probe_condition(condition: Condition) -> Condition:
    """The condition's network, cut to what verifies in seconds: 5 hidden layers of 300 units.

    Raises:
        ConfigError: Its σ²_Ω would leave float range.
    """
    depth = min(condition.depth, _DEPTH)
    widths = *condition.widths[: depth + 1], condition.widths[-1]
    variances = *condition.weight_variances[:depth], condition.weight_variances[-1]
    widths = tuple(min(width, _WIDTH) for width in widths)
    for variance, *fans in zip(variances, widths, widths[1:], strict=False):
        if not all(10.0**-_DECADES <= variance * fan <= 10.0**_DECADES for fan in fans):
            allowed = f"σ²_Ω times a fan must lie between 1e-{_DECADES} and 1e{_DECADES}"
            raise ConfigError([f"init: σ²_Ω = {variance:g} is out of range, {allowed}"])
    activate = next(iter(condition.activates), Activate("linear"))
    layers = dense_layers(widths, variances, activate)  # as identities draw them
    return replace(condition, layers=layers, lsuv=None)


def verify(
    condition: Condition,
    seed: int,
    n_networks: int | None = None,
    identities: Sequence[Identity[Any]] = IDENTITIES,
    shown: Callable[
        [Sequence[Block]], AbstractContextManager[Callable[[Block], None]]
    ] = lambda blocks: nullcontext(lambda block: None),
) -> Verification:
    """Sample both sides of each identity and judge them.

    Args:
        condition: The network to hold them against, cut as `probe_condition` says.
        seed: Seed of the draws; each identity has a stream of its own.
        n_networks: Independent networks of each sampled row, at least 100; default: as many as an
            eighth of a second draws, 200 or more.
        identities: What to verify.
        shown: Takes all blocks while they are simulated, and each of them when it is done; by
            default it shows nothing.

    Returns:
        One row per identity, in order.

    Raises:
        ConfigError: The identities are not derived for its layers or its activation, σ²_Ω is out
            of range, or its inputs are not standard normal.
    """
    if not assumptions.has_fresh_layers(condition):
        given = "kind: cnn" if condition.is_convolutional else "other blocks"
        text = f"network: identities are held for plain dense networks only ({given})"
        raise ConfigError([f"{text}; give a config of one"])
    if not is_standard(condition.inputs):
        given = condition.inputs.distribution
        text = f"inputs: identities are held for standard-normal ones only ({given})"
        raise ConfigError([f"{text}; give a config with such inputs"])
    probe, slope = probe_condition(condition), slope_of(condition)
    counts = [_count(identity, probe, n_networks) for identity in identities]
    sampled = [n for n, identity in zip(counts, identities, strict=True) if identity.sampler.cost]
    bound = largest_z(len(sampled), min(sampled)) if sampled else 0.0
    blocks = [
        block
        for place, (identity, n) in enumerate(zip(identities, counts, strict=True))
        for block in _blocks(place, identity, probe, n)
    ]
    rows = []
    with threadpool_limits(limits=1, user_api="blas"), shown(blocks) as tell:
        for place, group in groupby(blocks, lambda block: block.place):
            identity, sides = identities[place], []
            rng = verification_rng(seed, identity.name)
            for block in group:
                sides.append(identity.sides(identity.sampler.sample(probe, rng, block.networks)))
                tell(block)
            rows.append(judge(identity, sides, bound, _symbols(condition, slope)))
    return Verification(condition, probe, slope, seed, tuple(rows), bound)


def _count(identity: Identity[Any], condition: Condition, n_networks: int | None) -> int:
    if identity.sampler.cost is None:
        return _EXACT_NETWORKS
    fewest, most = _NETWORKS
    return n_networks or min(max(_DRAWS_PER_ROW // identity.sampler.cost(condition), fewest), most)


def _blocks(
    place: int, identity: Identity[Any], condition: Condition, count: int
) -> Iterator[Block]:
    """Cut the networks of an identity into blocks that fit into memory."""
    cost = identity.sampler.cost(condition) if identity.sampler.cost else 1
    size = _DRAWS_PER_BLOCK // cost + 1
    for start in range(0, count, size):
        n = min(size, count - start)
        yield Block(place, n, n * cost)


def _symbols(condition: Condition, slope: float) -> dict[str, str]:
    """Words for {a}, {p2} and so on: the lectures' own if the activation is ReLU."""
    if condition.activates and condition.activates[0].function == "relu":
        return {
            "a": "ReLU",
            "p2": "½",
            "he_in": "2/D_h",
            "he_out": "2/D_h′",
            "why": "ReLU keeps one half of its second moment",
            "why_slope": "the mask, 0 or 1, lets one half through",
        }
    p2 = f"p₂ = (1+α²)/2 = {second_moment(slope):.4g}"
    return {
        "a": "a",
        "p2": "p₂",
        "he_in": "1/(p₂D_h)",
        "he_out": "1/(p₂D_h′)",
        "why": p2,
        "why_slope": p2,
    }
