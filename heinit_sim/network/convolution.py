"""One convolution of stride 1 that keeps the size of images, forth and back: pure functions.

    f[o, p] = Σ_{δ,i} Ω[o, δ, i] h[i, p + δ − centre]

Cross-correlation, as frameworks have it; beyond the edge is the opposite edge, or 0. Activations
are (..., units, n_inputs); leading axes run over independent networks. The units of a layer are its
channels one after another, each with its positions in row-major order, (c, height, width), as
frameworks flatten an image. Weights are (..., c_out, taps, c_in), taps in row-major order.

The products are matrix products with overlapping views of a copy that holds the padded images once
for each column of the kernel, shifted; the rows of the kernel are lines further on in it. It is
made in blocks that stay in the cache. No network's numbers depend on the others in the stack.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from heinit_sim.experiment.architecture import Convolution
from heinit_sim.network.image_patches import BLOCK, borrowed, pad, parts, plane_of, share
from heinit_sim.numerics import FloatArray


def convolve(
    weights: FloatArray, h: FloatArray, convolution: Convolution, out: FloatArray | None = None
) -> FloatArray:
    """f[o, p] = Σ_{δ,i} Ω[o, δ, i] h[i, p + δ − centre].

    Args:
        weights: Ω, (..., c_out, taps, c_in).
        h: Activations, (..., c_in · positions, n_inputs).
        convolution: Its image, kernel and padding.
        out: Where f goes, C-contiguous; default: a new array.

    Returns:
        f, (..., c_out · positions, n_inputs).
    """
    *leading, c_out, taps, c_in = weights.shape
    n_inputs, plane = h.shape[-1], plane_of(convolution)
    if out is None:
        out = np.empty((*leading, c_out * convolution.positions, n_inputs))
    elif not out.flags.c_contiguous:
        raise ValueError("out must be C-contiguous: what is written to a copy of it is lost")
    images = h.reshape(-1, c_in, plane.height, plane.width, n_inputs).transpose(0, 2, 3, 1, 4)
    kernels = weights.reshape(-1, 1, c_out, taps * c_in)
    f = out.reshape(-1, c_out, plane.height, plane.width * n_inputs).swapaxes(1, 2)

    # A patch matrix has a row for each of the taps · c_in weights, a column for each position of
    # one line and each input.
    margin, side = plane.kernel_height - 1, plane.kernel_width - 1
    column = plane.kernel_width * c_in * n_inputs
    width = share(plane.width, BLOCK // (column * min(plane.height + margin, 2 * margin + 1)))
    height = share(plane.height, BLOCK // (column * width) - margin)
    count = share(len(images), BLOCK // (column * width * (height + margin)))
    padded_shape = (count, height + margin, c_in, width + side, n_inputs)
    copy_shape = (count, height + margin, plane.kernel_width, c_in, width * n_inputs)
    with borrowed(padded_shape, copy_shape) as (padded, copy):
        for networks, lines, columns in product(
            parts(len(images), count), parts(plane.height, height), parts(plane.width, width)
        ):
            n, y, x = (part.stop - part.start for part in (networks, lines, columns))
            target = padded[:n, : y + margin, :, : x + side].swapaxes(2, 3)
            pad(target, images[networks], plane, lines.start, columns.start)
            network, line, channel, shift, number = padded.strides
            shape = (n, y + margin, plane.kernel_width, c_in, x * n_inputs)
            steps = (network, line, shift, channel, number)
            shifted = np.ndarray(shape, float, padded, 0, steps)
            copy[:n, : y + margin, ..., : x * n_inputs] = shifted
            network, line, _, row, number = copy.strides
            patch = (n, y, taps * c_in, x * n_inputs)
            patches = np.ndarray(patch, float, copy, 0, (network, line, row, number))
            numbers = slice(columns.start * n_inputs, columns.stop * n_inputs)
            np.matmul(kernels[networks], patches, out=f[networks, lines, :, numbers])
    return out


def convolve_adjoint(
    weights: FloatArray, dl_df: FloatArray, convolution: Convolution, out: FloatArray | None = None
) -> FloatArray:
    """∂ℓ/∂h[i, q] = Σ_{δ,o} Ω[o, δ, i] ∂ℓ/∂f[o, q − δ + centre].

    It is the convolution whose kernels are turned by 180° and lead from o to i.

    Args:
        weights: Ω, (..., c_out, taps, c_in).
        dl_df: ∂ℓ/∂f, (..., c_out · positions, n_inputs).
        convolution: Its image, kernel and padding.
        out: Where ∂ℓ/∂h goes, C-contiguous; default: a new array.

    Returns:
        ∂ℓ/∂h, (..., c_in · positions, n_inputs).
    """
    turned = weights[..., ::-1, :].swapaxes(-1, -3)
    return convolve(turned, dl_df, convolution, out)


def iter_weight_gradients(
    dl_df: FloatArray, h: FloatArray, convolution: Convolution
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Yield ∂ℓ/∂Ω[o, δ, i] = Σ_p ∂ℓ/∂f[o, p] h[i, p + δ − centre] of each input, in blocks.

    Args:
        dl_df: ∂ℓ/∂f, (..., c_out · positions, n_inputs).
        h: Activations, (..., c_in · positions, n_inputs).
        convolution: Its image, kernel and padding.

    Yields:
        Which networks, counted through all leading axes; which inputs; and their gradients,
        (networks, inputs, c_out, taps · c_in), good until the next are asked for.
    """
    n_inputs, plane = h.shape[-1], plane_of(convolution, upright=True)
    c_out, c_in = (layer.shape[-2] // convolution.positions for layer in (dl_df, h))
    images = h.reshape(-1, c_in, plane.height, plane.width, n_inputs).transpose(0, 2, 3, 4, 1)
    errors = dl_df.reshape(-1, c_out, convolution.positions, n_inputs).transpose(0, 3, 1, 2)

    # A patch matrix has a row for each position, a column for each of the kernel_width · c_in
    # weights of one line of the kernel.
    lines, columns = plane.height + plane.kernel_height - 1, plane.kernel_width * c_in
    shapes = (
        (lines, plane.width + plane.kernel_width - 1, c_in),  # padded image
        (lines, plane.width, columns),  # its copy
        (c_out, convolution.positions),  # ∂ℓ/∂f
        (c_out, plane.kernel_height, columns),  # ∂ℓ/∂Ω
    )
    numbers = sum(map(prod, shapes))
    batch = share(n_inputs, BLOCK // numbers)
    count = share(len(images), BLOCK // (numbers * batch))
    with borrowed(*((count, batch, *shape) for shape in shapes)) as arrays:
        padded, copy, error, gradients = arrays
        for networks, inputs in product(parts(len(images), count), parts(n_inputs, batch)):
            n, m = (part.stop - part.start for part in (networks, inputs))
            pad(padded[:n, :m].transpose(0, 2, 3, 1, 4), images[networks, :, :, inputs], plane)
            shifted = np.ndarray((n, m, *shapes[1]), float, padded, 0, padded.strides)
            copy[:n, :m] = shifted
            error[:n, :m] = errors[networks, inputs]
            patch = (n, m, plane.kernel_height, convolution.positions, columns)
            network, image, line, row, number = copy.strides
            patches = np.ndarray(patch, float, copy, 0, (network, image, line, row, number))
            np.matmul(error[:n, :m, np.newaxis], patches, out=gradients[:n, :m].swapaxes(2, 3))
            yield networks, inputs, gradients[:n, :m].reshape(n, m, c_out, -1)


def to_units(channels: FloatArray, convolution: Convolution) -> FloatArray:
    """Repeat each channel at all its positions, (..., c, n) -> (..., c · positions, n)."""
    return np.repeat(channels, convolution.positions, axis=-2)


def channel_means(units: FloatArray, convolution: Convolution) -> FloatArray:
    """Mean of each channel over its positions, (..., c · positions, n) -> (..., c, n)."""
    *leading, n_units, n = units.shape
    channels = n_units // convolution.positions
    means: FloatArray = units.reshape(*leading, channels, convolution.positions, n).mean(axis=-2)
    return means


def channel_means_adjoint(dl_dmeans: FloatArray, convolution: Convolution) -> FloatArray:
    """∂ℓ/∂units from ∂ℓ/∂means, spread evenly, (..., c, n) -> (..., c · positions, n)."""
    return to_units(dl_dmeans / convolution.positions, convolution)
