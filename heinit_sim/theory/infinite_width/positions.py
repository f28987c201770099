"""Averages over the positions of an image, of numbers kept as logarithms."""

import sys

import numpy as np

from heinit_sim.experiment.architecture import Convolution
from heinit_sim.numerics import FloatArray


def position_shape(convolution: Convolution | None) -> tuple[int, ...]:
    """Shape of the moments of a layer: (positions,) with zero padding, else () for all alike."""
    if convolution is None or convolution.padding == "circular":
        return ()
    return (convolution.positions,)


def window_means(ln: FloatArray, convolution: Convolution | None) -> FloatArray:
    """(1/taps) Σ_δ r(p + δ) of each position, as logarithms of r; both (kept positions,).

    It is its own adjoint: the windows of p in which p' is are those of p' in which p is.

    Args:
        ln: ln r(p) in the order of the image's positions.
        convolution: Whose windows; None averages nothing, and so does circular padding.
    """
    if convolution is None or convolution.padding == "circular":
        return ln
    shift = ln.max()
    if not np.isfinite(shift):
        return np.full_like(ln, shift)
    image = np.exp(ln - shift).reshape(convolution.image)
    for axis, n in enumerate(convolution.image):
        near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= convolution.kernel // 2
        image = np.moveaxis(np.tensordot(near.astype(float), image, (1, axis)), 0, axis)
    averages: FloatArray = shift + np.log(image.ravel() / convolution.taps)
    return averages


def signed_window_means(
    sign: FloatArray, ln: FloatArray, convolution: Convolution | None
) -> tuple[FloatArray, FloatArray]:
    """`window_means` of numbers of any sign: signs, and logarithms of sizes."""
    if convolution is None or convolution.padding == "circular":
        return sign, ln
    above, below = (window_means(np.where(s * sign > 0, ln, -np.inf), convolution) for s in (1, -1))
    larger = np.maximum(np.maximum(above, below), -sys.float_info.max)  # of zeros alone
    difference = np.exp(above - larger) - np.exp(below - larger)
    return np.sign(difference), larger + np.log(np.abs(difference))


def mean_over_positions(ln: FloatArray) -> FloatArray:
    """The average of r(p) over the last axis, as logarithms of r; (…, positions) → (…)."""
    ln = np.atleast_1d(ln)
    average: FloatArray = np.logaddexp.reduce(ln, axis=-1) - np.log(ln.shape[-1])
    return average


def variance_over_units(
    ln_variance: FloatArray, ln_second: FloatArray, mean_share: FloatArray
) -> FloatArray:
    """Variance over all units, those of other positions included, as a logarithm.

    The average variance within a position and the variance of the means between them.

    Args:
        ln_variance: ln Var at each position, (…, positions).
        ln_second: ln E[h²] at each position, likewise.
        mean_share: E[h]/√E[h²] at each position, likewise.

    Returns:
        One number for each layer, (…).
    """
    within = mean_over_positions(ln_variance)
    shift = ln_second.max(axis=-1, keepdims=True)
    means = mean_share * np.exp((ln_second - shift) / 2)
    with np.errstate(divide="ignore"):  # of positions that are all alike
        between = shift[..., 0] + np.log(means.var(axis=-1))
    return np.where(np.isfinite(shift[..., 0]), np.logaddexp(within, between), within)
