"""Xavier's initialisation: what a linear layer demands of σ²_Ω, and the compromise.

The probe is one rectangular layer f′ = Ω h of independent weights, h ~ N(0, I), and a gradient
∂ℓ/∂f′ drawn independently of both. The activation plays no part.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from heinit_sim.derivation.identity import Identity, Sampler, Sides
from heinit_sim.derivation.probes import (
    Networks,
    backward,
    forward,
    mean_square,
    n_draws,
    sample_networks,
)
from heinit_sim.experiment.initializers import Mode, weight_variance
from heinit_sim.experiment.sweep_config import Condition

RECTANGLE = (60, 140)
"""fan_in and fan_out: unequal, or the two demands would agree."""


def _rectangle(mode: Mode) -> Sampler[Networks]:
    """Draw the layer with σ²_Ω = 1/fan."""

    def sample(condition: Condition, rng: Generator, n: int) -> Networks:
        variance = weight_variance(1.0, mode, *RECTANGLE)
        return sample_networks(rng, n, RECTANGLE, [variance], condition)

    return Sampler(sample, lambda _condition: n_draws(RECTANGLE))


def _forward_sides(factor: float) -> Callable[[Networks], Sides]:
    """Both sides of E[f′²] = fan_in σ²_Ω E[h²], given that factor."""

    def sides(networks: Networks) -> Sides:
        (h,), (f,) = forward(networks)
        return Sides(mean_square(f), factor * mean_square(h))

    return sides


def _backward_sides(factor: float) -> Callable[[Networks], Sides]:
    """Both sides of E[(∂ℓ/∂h)²] = fan_out σ²_Ω E[(∂ℓ/∂f′)²], given that factor."""

    def sides(networks: Networks) -> Sides:
        _, f = forward(networks)
        (dl_dh,), (dl_df,) = backward(networks, f, networks.dl_df)
        return Sides(mean_square(dl_dh), factor * mean_square(dl_df))

    return sides


def _sum_of_factors(networks: Networks) -> Sides:
    (h,), (f,) = forward(networks)
    (dl_dh,), (dl_df,) = backward(networks, [f], networks.dl_df)
    left = mean_square(f) / mean_square(h) + mean_square(dl_dh) / mean_square(dl_df)
    return Sides(left, np.full_like(left, 2.0))


_GROUP = "Xavier: a linear layer, D = {} → D′ = {} units".format(*RECTANGLE)
_SOURCE = "Glorot & Bengio 2010, eq. 10–12"
_FORWARD_FACTOR, _BACKWARD_FACTOR = (2 * fan / sum(RECTANGLE) for fan in RECTANGLE)

XAVIER: tuple[Identity[Networks], ...] = (
    Identity(
        "Xavier forward",
        _GROUP,
        "E[f′²]",
        "E[h²]",
        "At σ²_Ω = 1/D, by fan_in, the signal keeps its size.",
        _SOURCE,
        _rectangle("fan_in"),
        _forward_sides(1.0),
    ),
    Identity(
        "Xavier backward",
        _GROUP,
        "E[(∂ℓ/∂h)²]",
        "E[(∂ℓ/∂f′)²]",
        "At σ²_Ω = 1/D′, by fan_out, the gradient keeps its size.",
        _SOURCE,
        _rectangle("fan_out"),
        _backward_sides(1.0),
    ),
    Identity(
        "compromise forward",
        _GROUP,
        "E[f′²]",
        "2D/(D+D′) E[h²]",
        "At σ²_Ω = 2/(D+D′), by the mean of the fans, the signal shrinks: ×0.6.",
        _SOURCE,
        _rectangle("fan_avg"),
        _forward_sides(_FORWARD_FACTOR),
    ),
    Identity(
        "compromise backward",
        _GROUP,
        "E[(∂ℓ/∂h)²]",
        "2D′/(D+D′) E[(∂ℓ/∂f′)²]",
        "At the same σ²_Ω the gradient grows on its way back: ×1.4.",
        _SOURCE,
        _rectangle("fan_avg"),
        _backward_sides(_BACKWARD_FACTOR),
    ),
    Identity(
        "compromise both",
        _GROUP,
        "forward factor + backward factor",
        "2",
        "What one pass loses the other gains; in a square layer both are 1.",
        _SOURCE,
        _rectangle("fan_avg"),
        _sum_of_factors,
    ),
)
