"""Averages over the positions of an image, of numbers kept as logarithms."""

import sys
from functools import lru_cache

import numpy as np

from heinit_sim.experiment.steps import Window
from heinit_sim.numerics import FloatArray


def position_shape(window: Window | None) -> tuple[int, ...]:
    """Shape of the moments of a layer: (positions,) with zero padding, else () for all alike."""
    if window is None or window.padding == "circular":
        return ()
    return (window.positions,)


@lru_cache(256)
def _taps_along(side: int, kernel: int, stride: int) -> FloatArray:
    """1 where the window of an output holds an input, (outputs, inputs), along one dimension."""
    first = stride * np.arange(-(-side // stride))[:, np.newaxis] - (kernel - 1) // 2
    place = np.arange(side) - first
    return ((place >= 0) & (place < kernel)).astype(float)


def window_means(ln: FloatArray, window: Window | None, *, back: bool = False) -> FloatArray:
    """(1/taps) Σ_δ r(p + δ) of each output position p, as logarithms of r.

    Args:
        ln: ln r(p) in the order of the image's positions, or one number for positions all alike.
        window: What an output sees: None sees all of what enters.
        back: Take the adjoint, (1/taps) times the sum over the outputs that see an input.
    """
    if window is None:
        return mean_over_positions(ln) if np.ndim(ln) and not back else ln
    if window.padding == "circular":
        dims = len(window.image)
        return ln - dims * np.log(window.stride) if back and window.stride > 1 else ln
    shift = ln.max()
    if not np.isfinite(shift):
        return np.full(window.positions if back else window.positions_out, shift)
    image = np.exp(ln - shift).reshape(window.image_out if back else window.image)
    for axis, n in enumerate(window.image):
        taps = _taps_along(n, window.kernel, window.stride)
        image = np.tensordot(taps.T if back else taps, image, (1, axis))
        image = np.moveaxis(image, 0, axis)
    averages: FloatArray = shift + np.log(image.ravel() / window.taps)
    return averages


def signed_window_means(
    sign: FloatArray, ln: FloatArray, window: Window | None, *, back: bool = False
) -> tuple[FloatArray, FloatArray]:
    """`window_means` of numbers of any sign: signs, and logarithms of sizes."""
    if not np.ndim(ln):
        return sign, window_means(ln, window, back=back)
    above, below = (
        window_means(np.where(s * sign > 0, ln, -np.inf), window, back=back) for s in (1, -1)
    )
    larger = np.maximum(np.maximum(above, below), -sys.float_info.max)  # of zeros alone
    difference = np.exp(above - larger) - np.exp(below - larger)
    return np.sign(difference), larger + np.log(np.abs(difference))


@lru_cache(256)
def unevenness(window: Window | None) -> float:
    """E[n²]/E[n]² of the n outputs of a circular window that see an input; 1 where all do alike."""
    if window is None or window.padding == "zero" or window.stride == 1:
        return 1.0
    uneven = 1.0
    for n in window.image:
        first = window.stride * np.arange(-(-n // window.stride))[:, np.newaxis]
        seen = (first - (window.kernel - 1) // 2 + np.arange(window.kernel)) % n
        counts = np.bincount(seen.ravel(), minlength=n)
        uneven *= float(np.mean(counts**2) / np.mean(counts) ** 2)
    return uneven


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
