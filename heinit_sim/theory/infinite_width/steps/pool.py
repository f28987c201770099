"""The mean over P positions of each channel.

E[z²] (1 + (P−1) ρ)/P, ρ the cosine of two positions. Each position is handed 1/P of the gradient of
the mean, the same for all; along z it has what the mean has in common with z.
"""

import math

import numpy as np

from heinit_sim.experiment.steps import Pool
from heinit_sim.theory.infinite_width.positions import mean_over_positions
from heinit_sim.theory.infinite_width.signals import Gradient, Signal, ln_of, orders


def forward(step: Pool, z: Signal) -> Signal:
    """The mean of all positions; its cosine between inputs is not known."""
    if step.positions == 1:
        return z
    ln_mean = float(mean_over_positions(z.ln_second))
    ln_second = np.array(ln_mean + ln_of((1 + (step.positions - 1) * z.cosine) / step.positions))
    mean_share = np.nan
    if np.ndim(z.mean_share) == 0:
        mean_share = z.mean_share * np.exp((z.ln_second - ln_second) / 2)
    ln_variance = ln_second + np.log1p(-np.square(mean_share))
    return Signal(ln_second, ln_variance, np.array(mean_share)[()], math.nan, law=z.law)


def back(step: Pool, gradient: Gradient, z: Signal) -> Gradient:
    """1/P of the gradient."""
    if step.positions == 1:
        return gradient
    shape, mean = np.zeros(np.shape(z.ln_second))[()], forward(step, z)
    ln = shape + gradient.ln_second - 2 * math.log(step.positions)
    kept = np.exp(mean.ln_second - z.ln_second)
    if z.law == "gaussian":
        kept = np.exp(mean.ln_variance - z.ln_variance)
        along = gradient.along.reshape(-1, *[1] * np.ndim(kept))  # of each order, at all positions
        along = along * np.sqrt(kept) ** orders(along)
    else:
        along = gradient.along * np.sqrt(kept)
    tilt, mean_share = gradient.tilt * kept, shape + gradient.mean_share
    return Gradient(ln, 1.0, along, mean_share, tilt, gradient.between)
