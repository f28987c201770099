"""Xavier's initialisation: what a linear layer demands of σ²_Ω, and the compromise.

The probe is one rectangular layer f′ = Ω h of independent weights, h ~ N(0, I), and a gradient
∂ℓ/∂f′ drawn independently of both. The activation plays no part.
"""

import numpy as np
from numpy.random import Generator

from heinit_sim.derivation.identity import Identity, Sampler, Sides, identity
from heinit_sim.derivation.probes import Networks, mean_square, n_draws, sample_networks
from heinit_sim.experiment.initializers import Mode, weight_variance
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray

RECTANGLE = (60, 140)
"""fan_in and fan_out: unequal, or the two demands would agree."""
_XAVIER = (
    "Xavier: a linear layer, D = {} → D′ = {} units".format(*RECTANGLE),
    "Glorot & Bengio 2010, eq. 10–12",
)
_FORWARD_FACTOR, _BACKWARD_FACTOR = (2 * fan / sum(RECTANGLE) for fan in RECTANGLE)


def _rectangle(mode: Mode) -> Sampler[Networks]:
    """Draw the layer with σ²_Ω = 1/fan."""

    def sample(condition: Condition, rng: Generator, n: int) -> Networks:
        variance = weight_variance(1.0, mode, *RECTANGLE)
        return sample_networks(rng, n, RECTANGLE, [variance], condition)

    return Sampler(sample, lambda _condition: n_draws(RECTANGLE))


def _mean_squares(networks: Networks) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean squares of f′, h, ∂ℓ/∂h and ∂ℓ/∂f′, each one number per network."""
    (h,), (f,) = networks.forward()
    (dl_dh,), (dl_df,) = networks.backward([f], networks.dl_df)
    return mean_square(f), mean_square(h), mean_square(dl_dh), mean_square(dl_df)


@identity("Xavier forward", "E[f′²]", "E[h²]", _XAVIER, _rectangle("fan_in"))
def _xavier_forward(networks: Networks) -> Sides:
    """At σ²_Ω = 1/D, by fan_in, the signal keeps its size."""
    f, h, _, _ = _mean_squares(networks)
    return Sides(f, h)


@identity("Xavier backward", "E[(∂ℓ/∂h)²]", "E[(∂ℓ/∂f′)²]", _XAVIER, _rectangle("fan_out"))
def _xavier_backward(networks: Networks) -> Sides:
    """At σ²_Ω = 1/D′, by fan_out, the gradient keeps its size."""
    _, _, dl_dh, dl_df = _mean_squares(networks)
    return Sides(dl_dh, dl_df)


_COMPROMISE = _rectangle("fan_avg")


@identity("compromise forward", "E[f′²]", "2D/(D+D′) E[h²]", _XAVIER, _COMPROMISE)
def _compromise_forward(networks: Networks) -> Sides:
    """At σ²_Ω = 2/(D+D′), by the mean of the fans, the signal shrinks: ×0.6."""
    f, h, _, _ = _mean_squares(networks)
    return Sides(f, _FORWARD_FACTOR * h)


@identity("compromise backward", "E[(∂ℓ/∂h)²]", "2D′/(D+D′) E[(∂ℓ/∂f′)²]", _XAVIER, _COMPROMISE)
def _compromise_backward(networks: Networks) -> Sides:
    """At the same σ²_Ω the gradient grows on its way back: ×1.4."""
    _, _, dl_dh, dl_df = _mean_squares(networks)
    return Sides(dl_dh, _BACKWARD_FACTOR * dl_df)


@identity("compromise both", "forward factor + backward factor", "2", _XAVIER, _COMPROMISE)
def _compromise_both(networks: Networks) -> Sides:
    """One pass gains what the other loses; in a square layer both are 1."""
    f, h, dl_dh, dl_df = _mean_squares(networks)
    left = f / h + dl_dh / dl_df
    return Sides(left, np.full_like(left, 2.0))


XAVIER: tuple[Identity[Networks], ...] = (
    *(_xavier_forward, _xavier_backward),
    *(_compromise_forward, _compromise_backward, _compromise_both),
)
