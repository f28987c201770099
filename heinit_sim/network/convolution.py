"""One convolution, forth and back: pure functions.

    f[o, p] = Σ_{δ,i} Ω[o, δ, i] h[i, s p + δ − centre],   centre = (k − 1) // 2, s the stride

Cross-correlation, as frameworks have it; beyond the edge is the opposite edge, or 0. Of n positions
along a side, ⌈n/s⌉ come out. In groups, the channels of each are connected with those of the same
group alone. Activations are (..., units, n_inputs); leading axes run over independent networks. The
units of a layer are its channels one after another, each with its positions in row-major order,
(c, height, width), as frameworks flatten an image. Weights are (..., c_out, taps, c_in/groups),
taps in row-major order.

The products are matrix products with overlapping views of a copy that holds the padded images once
for each column of the kernel, shifted; the rows of the kernel are lines further on in it. It is
made in blocks that stay in the cache. Groups are products of their own, as networks are. Where
there is a stride, the way back is that of stride 1, with zeros between the gradients. No network's
numbers depend on the others in the stack.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from heinit_sim.experiment.steps import Window
from heinit_sim.network.image_patches import (
    BLOCK,
    Plane,
    borrowed,
    pad,
    parts,
    plane_of,
    share,
)
from heinit_sim.numerics import FloatArray


def convolve(
    weights: FloatArray, h: FloatArray, window: Window, out: FloatArray | None = None
) -> FloatArray:
    """f[o, p] = Σ_{δ,i} Ω[o, δ, i] h[i, s p + δ − centre].

    Args:
        weights: Ω, (..., c_out, taps, c_in/groups).
        h: Activations, (..., c_in · positions, n_inputs).
        window: Its image, kernel, padding, stride and groups.
        out: Where f goes, C-contiguous; default: a new array.

    Returns:
        f, (..., c_out · positions that come out, n_inputs).
    """
    return _convolve(_by_group(weights, window), h, plane_of(window), out)


def _by_group(weights: FloatArray, window: Window) -> FloatArray:
    """Weights with an axis for the groups, (..., groups, c_out/groups, taps, c_in/groups)."""
    *leading, c_out, taps, c_in = weights.shape
    return weights.reshape(*leading, window.groups, c_out // window.groups, taps, c_in)


def _convolve(
    weights: FloatArray, h: FloatArray, plane: Plane, out: FloatArray | None
) -> FloatArray:
    """Do `convolve` with weights that have an axis for the groups."""
    *leading, groups, c_out, taps, c_in = weights.shape
    n_inputs, stride = h.shape[-1], plane.stride
    high, wide = plane.shape_out
    if out is None:
        out = np.empty((*leading, groups * c_out * high * wide, n_inputs))
    elif not out.flags.c_contiguous:
        raise ValueError("out must be C-contiguous: what is written to a copy of it is lost")
    images = h.reshape(-1, c_in, plane.height, plane.width, n_inputs).transpose(0, 2, 3, 1, 4)
    kernels = weights.reshape(-1, 1, c_out, taps * c_in)
    f = out.reshape(-1, c_out, high, wide * n_inputs).swapaxes(1, 2)

    # A patch matrix has a row for each of the taps · c_in weights, a column for each position of
    # one line and each input.
    margin, side = plane.kernel_height - stride, plane.kernel_width - stride
    column = plane.kernel_width * c_in * n_inputs
    lines_of_one = min(high * stride + margin, 2 * (plane.kernel_height - 1) + 1)
    width = share(wide, BLOCK // (column * lines_of_one))
    height = share(high, (BLOCK // (column * width) - margin) // stride)
    count = share(len(images), BLOCK // (column * width * (height * stride + margin)))
    padded_shape = (count, height * stride + margin, c_in, width * stride + side, n_inputs)
    copy_shape = (count, height * stride + margin, plane.kernel_width, c_in, width * n_inputs)
    with borrowed(padded_shape, copy_shape) as (padded, copy):
        for networks, lines, columns in product(
            parts(len(images), count), parts(high, height), parts(wide, width)
        ):
            n, y, x = (part.stop - part.start for part in (networks, lines, columns))
            tall = y * stride + margin
            target = padded[:n, :tall, :, : x * stride + side].swapaxes(2, 3)
            pad(target, images[networks], plane, lines.start * stride, columns.start * stride)
            network, line, channel, shift, number = padded.strides
            shape: tuple[int, ...] = (n, tall, plane.kernel_width, c_in, x * n_inputs)
            steps: tuple[int, ...] = (network, line, shift, channel, number)
            if stride > 1:
                shape = (*shape[:-1], x, n_inputs)
                steps = (*steps[:-1], stride * shift, number)
            shifted = np.ndarray(shape, float, padded, 0, steps)
            copy[:n, :tall, ..., : x * n_inputs].reshape(shape)[...] = shifted
            network, line, _, row, number = copy.strides
            patch = (n, y, taps * c_in, x * n_inputs)
            patches = np.ndarray(patch, float, copy, 0, (network, stride * line, row, number))
            numbers = slice(columns.start * n_inputs, columns.stop * n_inputs)
            np.matmul(kernels[networks], patches, out=f[networks, lines, :, numbers])
    return out


def convolve_adjoint(
    weights: FloatArray, dl_df: FloatArray, window: Window, out: FloatArray | None = None
) -> FloatArray:
    """∂ℓ/∂h[i, q] = Σ_{δ,o,p} Ω[o, δ, i] ∂ℓ/∂f[o, p] where s p + δ − centre is q.

    It is the convolution whose kernels are turned by 180° and lead from o to i.

    Args:
        weights: Ω, (..., c_out, taps, c_in/groups).
        dl_df: ∂ℓ/∂f, (..., c_out · positions that come out, n_inputs).
        window: Its image, kernel, padding, stride and groups.
        out: Where ∂ℓ/∂h goes, C-contiguous; default: a new array.

    Returns:
        ∂ℓ/∂h, (..., c_in · positions, n_inputs).
    """
    turned = _by_group(weights, window)[..., ::-1, :].swapaxes(-1, -3)
    plane = plane_of(window)
    spread = dl_df if plane.stride == 1 else _spread(dl_df, plane)
    return _convolve(turned, spread, plane._replace(stride=1, turned=True), out)


def _spread(dl_df: FloatArray, plane: Plane) -> FloatArray:
    """∂ℓ/∂f at the positions that it is of, and zeros between."""
    *leading, units, n_inputs = dl_df.shape
    high, wide = plane.shape_out
    channels = units // (high * wide)
    spread = np.zeros((*leading, channels, plane.height, plane.width, n_inputs))
    images = dl_df.reshape(*leading, channels, high, wide, n_inputs)
    spread[..., :: plane.stride, :: plane.stride, :] = images
    return spread.reshape(*leading, -1, n_inputs)


def iter_weight_gradients(
    dl_df: FloatArray, h: FloatArray, window: Window
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Yield ∂ℓ/∂Ω[o, δ, i] = Σ_p ∂ℓ/∂f[o, p] h[i, s p + δ − centre] of each input, in blocks.

    Args:
        dl_df: ∂ℓ/∂f, (..., c_out · positions that come out, n_inputs).
        h: Activations, (..., c_in · positions, n_inputs).
        window: Its image, kernel, padding, stride and groups.

    Yields:
        Which networks, counted through all leading axes, each with its groups one after another;
        which inputs; and their gradients, (networks · groups, inputs, c_out/groups,
        taps · c_in/groups), good until the next are asked for.
    """
    n_inputs, plane, stride = h.shape[-1], plane_of(window, upright=True), window.stride
    c_out = dl_df.shape[-2] // window.positions_out // window.groups
    c_in = h.shape[-2] // window.positions // window.groups
    images = h.reshape(-1, c_in, plane.height, plane.width, n_inputs).transpose(0, 2, 3, 4, 1)
    errors = dl_df.reshape(-1, c_out, window.positions_out, n_inputs).transpose(0, 3, 1, 2)

    # A patch matrix has a row for each position, a column for each of the kernel_width · c_in
    # weights of one line of the kernel. Lines that a stride leaves out are not to be passed over
    # by a product: there each line of the kernel has a copy of its own.
    (high, wide), columns = plane.shape_out, plane.kernel_width * c_in
    lines = high + plane.kernel_height - 1 if stride == 1 else high * plane.kernel_height
    shapes = (
        (
            high * stride + plane.kernel_height - stride,  # padded image
            wide * stride + plane.kernel_width - stride,
            c_in,
        ),
        (lines, wide, columns),  # its copy
        (c_out, window.positions_out),  # ∂ℓ/∂f
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
            if stride == 1:
                shifted = np.ndarray((n, m, *shapes[1]), float, padded, 0, padded.strides)
                copy[:n, :m] = shifted
            else:
                network, image, line, column, number = padded.strides
                shape = (n, m, plane.kernel_height, high, wide, columns)
                steps = (network, image, line, stride * line, stride * column, number)
                shifted = np.ndarray(shape, float, padded, 0, steps)
                copy[:n, :m].reshape(shape)[...] = shifted
            error[:n, :m] = errors[networks, inputs]
            patch = (n, m, plane.kernel_height, window.positions_out, columns)
            network, image, line, row, number = copy.strides
            line *= 1 if stride == 1 else high
            patches = np.ndarray(patch, float, copy, 0, (network, image, line, row, number))
            np.matmul(error[:n, :m, np.newaxis], patches, out=gradients[:n, :m].swapaxes(2, 3))
            yield networks, inputs, gradients[:n, :m].reshape(n, m, c_out, -1)


def weight_gradient(dl_df: FloatArray, h: FloatArray, window: Window) -> FloatArray:
    """The sum over inputs of ∂ℓ/∂Ω, (..., c_out, taps, c_in/groups); arguments as above."""
    *leading, units, _ = dl_df.shape
    c_out = units // window.positions_out
    c_in = h.shape[-2] // window.positions // window.groups
    total = np.zeros((prod(leading) * window.groups, c_out // window.groups, window.taps * c_in))
    for networks, _, gradients in iter_weight_gradients(dl_df, h, window):
        total[networks] += gradients.sum(axis=1)
    return total.reshape(*leading, c_out, window.taps, c_in)


def to_units(channels: FloatArray, positions: int) -> FloatArray:
    """Repeat each channel at all its positions, (..., c, n) -> (..., c · positions, n)."""
    return np.repeat(channels, positions, axis=-2)


def channel_means(units: FloatArray, positions: int) -> FloatArray:
    """Mean of each channel over its positions, (..., c · positions, n) -> (..., c, n)."""
    *leading, n_units, n = units.shape
    channels = n_units // positions
    means: FloatArray = units.reshape(*leading, channels, positions, n).mean(axis=-2)
    return means


def channel_means_adjoint(dl_dmeans: FloatArray, positions: int) -> FloatArray:
    """∂ℓ/∂units from ∂ℓ/∂means, spread evenly, (..., c, n) -> (..., c · positions, n)."""
    return to_units(dl_dmeans / positions, positions)
