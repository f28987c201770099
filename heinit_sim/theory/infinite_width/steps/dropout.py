"""m z/(1 − p), m = 0 with probability p, else 1, independently of inputs and units.

E[z²] and E[g²] are divided by 1 − p; what two inputs or positions have in common stays, and so
their cosines are multiplied by 1 − p. Of ∂ℓ/∂(m z/(1 − p)) = c m z/(1 − p) + √u w, the part along z
is divided by (1 − p)², as the mask is the same both ways.
"""

import math

import numpy as np

from heinit_sim.experiment.steps import Dropout
from heinit_sim.theory.infinite_width.signals import Gradient, Law, Signal, along_shape


def forward(step: Dropout, z: Signal) -> Signal:
    """E[z²]/(1 − p)."""
    kept = 1 - step.rate
    ln_second = z.ln_second - math.log(kept)
    mean_share = z.mean_share * math.sqrt(kept)
    ln_variance = ln_second + np.log1p(-np.square(mean_share))
    ln_gap = math.nan if np.ndim(ln_second) else _dropped_gap(step.rate, z.ln_gap)
    law: Law = "other" if z.law == "other" or np.any(z.mean_share) else "symmetric"
    if step.rate == 0:
        return z
    return Signal(ln_second, ln_variance, mean_share, z.cosine * kept, ln_gap, law)


def _dropped_gap(rate: float, ln_gap: float) -> float:
    """Logarithm of p + (1 − p) d."""
    return float(np.logaddexp(math.log(rate), math.log1p(-rate) + ln_gap)) if rate else ln_gap


def back(step: Dropout, gradient: Gradient, z: Signal) -> Gradient:
    """E[g²]/(1 − p), of the part along z once more."""
    if step.rate == 0:
        return gradient
    kept = 1 - step.rate
    factor = 1 + gradient.tilt * (1 / kept - 1)
    ln = gradient.ln_second - math.log(kept) + np.log(factor)
    # E[g z] stays, of z instead of m z/(1 − p): both roots are 1 − p of what they were
    share = gradient.along / np.sqrt(factor)
    # so much more of what is along z, and of its mean
    mean = gradient.mean_share + gradient.along * z.mean_share * np.sqrt(kept) * (1 / kept - 1)
    mean_share = mean * np.sqrt(kept / factor)
    tilt = gradient.tilt / kept / factor
    more = np.square(gradient.along) * kept * (1 / kept**2 - 1)
    likeness = -math.expm1(z.ln_gap)
    cosine, between = (
        float(np.ravel(kept / factor * (shared + (more * alike if np.any(more) else 0.0)))[0])
        for shared, alike in ((gradient.cosine, z.cosine), (gradient.between, likeness))
    )
    along = share
    if z.law == "gaussian":
        slope = np.where(z.mean_share == 0, share, share - mean_share * z.mean_share)
        along = np.zeros(along_shape(z))
        along[0] = mean_share
        along[1] = slope / np.sqrt(np.maximum(1 - np.square(z.mean_share), 1e-300))
    return Gradient(ln, cosine, along, mean_share, tilt, between)
