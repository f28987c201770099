"""The identities of one layer: forward, backward, and He's choice of σ²_Ω.

The networks are the condition's middle layer Ω and the one before it, which gives the
pre-activations: x ~ N(0, I), f = Ω₋x, h = a[f], f′ = Ω h. One step is light-tailed at any width,
which a deep network is not. The gradient ∂ℓ/∂f′ is drawn independently of the forward pass, as the
textbooks assume; with it their backward identities are exact. (With ℓ = f² they would not be.)
"""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from heinit_sim.derivation.identity import Identity, Sampler, Sides, identity
from heinit_sim.derivation.probes import Networks, mean_square, n_draws, sample_networks
from heinit_sim.experiment.initializers import Mode, weight_variance
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray

_FORWARD = "Forward pass", "Prince 2023, ch. 7.5"
_BACKWARD = "Backward pass", "Prince 2023, ch. 7.5"
_HE = "He et al. 2015, sec. 2.2"


def _step(condition: Condition) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Widths and variances of the middle layer and the one before it."""
    k = (condition.depth + 1) // 2
    return condition.widths[k - 1 : k + 2], condition.weight_variances[k - 1 : k + 1]


def _cost(condition: Condition) -> int:
    return n_draws(_step(condition)[0])


def _sample_step(condition: Condition, rng: Generator, n: int) -> Networks:
    return sample_networks(rng, n, *_step(condition), condition)


def _he(mode: Mode) -> Sampler[Networks]:
    """Draw the step, its second layer with He's variance 1/(p₂ fan)."""

    def sample(condition: Condition, rng: Generator, n: int) -> Networks:
        networks = _sample_step(condition, rng, n)
        fans = networks.weights[1].shape[:0:-1]
        critical = weight_variance(1 / networks.p2, mode, *fans)
        return replace(networks, variances=(networks.variances[0], critical))

    return Sampler(sample, _cost)


_STEP = Sampler(_sample_step, _cost)


@identity("mean of f′", "E[f′_i]", "0", _FORWARD, _STEP)
def _mean_is_zero(networks: Networks) -> Sides:
    """Weights have mean 0 and are independent of h: rules 3 and 4."""
    _, (_, f) = networks.forward()
    left = f.mean(axis=1)
    return Sides(left, np.zeros_like(left))


@identity("variance of f′", "σ²_f′", "σ²_Ω Σ_j E[h_j²]", _FORWARD, _STEP)
def _variance_from_activations(networks: Networks) -> Sides:
    """Products with E[Ω_ij] = 0: what counts of h is E[h²], not its variance."""
    (_, h), (_, f) = networks.forward()
    return Sides(mean_square(f), networks.variances[1] * (h**2).sum(axis=1))


@identity("activation", "E[{a}(f)²]", "{p2} σ²_f", _FORWARD, _STEP)
def _activation_halves(networks: Networks) -> Sides:
    """f is symmetric about 0: {why}."""  # noqa: D403  # f is a symbol
    (_, h), (f, _) = networks.forward()
    return Sides(mean_square(h), networks.p2 * mean_square(f))


@identity("forward step", "σ²_f′", "D_h σ²_Ω {p2} σ²_f", _FORWARD, _STEP)
def _forward_step(networks: Networks) -> Sides:
    """The two above together: one layer forward, a factor {p2} D_h σ²_Ω."""
    _, (before, f) = networks.forward()
    factor = before.shape[1] * networks.variances[1] * networks.p2
    return Sides(mean_square(f), factor * mean_square(before))


@identity("He forward", "σ²_f′", "σ²_f", (_FORWARD[0], _HE), _he("fan_in"))
def _he_forward(networks: Networks) -> Sides:
    """At He's σ²_Ω = {he_in}, by fan_in, the signal keeps its size."""
    _, (before, f) = networks.forward()
    return Sides(mean_square(f), mean_square(before))


def _gradients(networks: Networks) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean squares of ∂ℓ/∂f, ∂ℓ/∂h and ∂ℓ/∂f′, each one number per network."""
    _, f = networks.forward()
    (_, dl_dh), (dl_df, dl_df_next) = networks.backward(f, networks.dl_df)
    return mean_square(dl_df), mean_square(dl_dh), mean_square(dl_df_next)


@identity("through the weights", "E[(∂ℓ/∂h)²]", "D_h′ σ²_Ω E[(∂ℓ/∂f′)²]", _BACKWARD, _STEP)
def _through_weights(networks: Networks) -> Sides:
    """∂ℓ/∂h = Ωᵀ ∂ℓ/∂f′, for a ∂ℓ/∂f′ drawn independently of the forward pass."""
    _, dl_dh, after = _gradients(networks)
    return Sides(dl_dh, networks.variances[1] * networks.dl_df.shape[1] * after)


@identity("through the activation", "E[(∂ℓ/∂f)²]", "{p2} E[(∂ℓ/∂h)²]", _BACKWARD, _STEP)
def _mask_halves(networks: Networks) -> Sides:
    """∂ℓ/∂f = a′(f) ∂ℓ/∂h: {why_slope}."""
    dl_df, dl_dh, _ = _gradients(networks)
    return Sides(dl_df, networks.p2 * dl_dh)


@identity("backward step", "E[(∂ℓ/∂f)²]", "D_h′ σ²_Ω {p2} E[(∂ℓ/∂f′)²]", _BACKWARD, _STEP)
def _backward_step(networks: Networks) -> Sides:
    """The forward step's twin: D_h′, the width of the next layer, replaces D_h."""
    dl_df, _, after = _gradients(networks)
    factor = networks.dl_df.shape[1] * networks.variances[1] * networks.p2
    return Sides(dl_df, factor * after)


@identity("He backward", "E[(∂ℓ/∂f)²]", "E[(∂ℓ/∂f′)²]", (_BACKWARD[0], _HE), _he("fan_out"))
def _he_backward(networks: Networks) -> Sides:
    """At He's σ²_Ω = {he_out}, by fan_out, the gradient keeps its size."""
    dl_df, _, after = _gradients(networks)
    return Sides(dl_df, after)


LAYERS: tuple[Identity[Networks], ...] = (
    *(_mean_is_zero, _variance_from_activations, _activation_halves, _forward_step, _he_forward),
    *(_through_weights, _mask_halves, _backward_step, _he_backward),
)
