"""Networks as the package draws them, passed through in plain floats."""

import math
from collections.abc import Callable

import numpy as np

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.streams import sample_biases, sample_inputs, sample_weights
from heinit_sim.simulation.plan import draws_of

Array = np.ndarray
# a and a'
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: z * (z > 0), lambda z: 1.0 * (z > 0)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}


def plain_layers(seed: int, condition: Condition, trial: int) -> dict[Quantity, list[Array]]:
    """f_k, h_k and ∂ℓ/∂f_k of one fully connected network, (units, inputs) each."""
    draws = draws_of(condition)
    trials = range(trial, trial + 1)
    weights = sample_weights(seed, draws, trials, [])
    stds = [math.sqrt(variance) for variance in condition.weight_variances]
    omegas = [std * weights[k][0] for k, std in enumerate(stds)]
    biases = sample_biases(seed, draws, trials)
    spreads = condition.bias_variances
    betas = [math.sqrt(b) * beta[0] for b, beta in zip(spreads, biases, strict=True)]
    value, slope = ACTIVATIONS[str(condition.activates[0].function)]
    h, f = [sample_inputs(seed, draws, trials)[0]], []
    for k, (omega, beta) in enumerate(zip(omegas, betas, strict=True)):
        f.append(omega @ h[k] + beta)
        h.append(value(f[k]))
    dl_df = [2 * (f[-1] - condition.loss.target)]
    for k in reversed(range(1, len(omegas))):
        dl_df.append(slope(f[k - 1]) * (omegas[k].T @ dl_df[-1]))
    return {"preactivation": f, "activation": h[:-1], "grad_preactivation": dl_df[::-1]}
