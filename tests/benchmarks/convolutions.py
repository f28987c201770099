"""One window, side by side in one run: `python -m tests.benchmarks.convolutions`.

Forward, adjoint and the weight gradients' moments on one core, over the time of nothing but their
matrix products with patches that are there already: the package, the same by FFT (padding is
circular), and PyTorch (where torch is installed), whose weight gradients are those of single
inputs by `vmap`.
"""

import importlib.util
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from heinit_sim.experiment.steps import Window
from heinit_sim.network.convolution import convolve, convolve_adjoint
from heinit_sim.network.moments import kernel_moments
from heinit_sim.numerics.scaled_array import Scaled
from tests.benchmarks.timing import interleaved

Array = np.ndarray
Calls = dict[str, Callable[[], object]]
# Image, kernel, channels, networks, inputs.
SIZES: list[tuple[tuple[int, ...], int, int, int, int]] = [
    ((8, 8), 3, 16, 1, 10),
    ((8, 8), 3, 16, 4, 10),
    ((8, 8), 3, 16, 1, 100),
    ((8, 8), 3, 32, 32, 1),
    ((8, 8), 3, 32, 1, 10),
    ((8, 8), 3, 64, 1, 10),
    ((8, 8), 3, 64, 1, 100),
    ((8, 8), 5, 32, 1, 10),
    ((16, 16), 3, 16, 1, 10),
    ((16, 16), 3, 16, 1, 100),
    ((16, 16), 3, 32, 1, 10),
    ((16, 16), 3, 64, 1, 10),
    ((16, 16), 3, 64, 1, 100),
    ((32, 32), 3, 64, 1, 10),
    ((8, 8), 3, 128, 1, 100),
    ((64,), 3, 16, 1, 100),
    ((64,), 3, 64, 1, 10),
    ((256,), 5, 16, 1, 10),
    ((256,), 5, 64, 1, 100),
]
SECONDS = 0.2  # for each line of a table
BUFFER = 2**17  # numbers in the products that weight gradients are taken to, and thrown away


def main() -> None:
    """Print a table for each of the three products."""
    torch = importlib.util.find_spec("torch") is not None
    names = ["ours", "FFT", *(["torch"] if torch else [])]
    with threadpool_limits(limits=1, user_api="blas"):
        for title in ("forward", "adjoint", "weight gradients"):
            print(f"{title}: milliseconds of the bare products, and times that")
            header = f"{'image':9}{'kernel':>6}{'c':>5}{'networks':>9}{'inputs':>7}{'bare':>9}"
            print(header + "".join(f"{name:>8}" for name in names))
            for image, kernel, channels, networks, inputs in SIZES:
                window = Window(image, kernel)
                calls = _contenders(window, channels, networks, inputs)
                if torch:
                    calls = {**calls, **_torch(window, channels, networks, inputs)}
                of = {name: calls[f"{title}, {name}"] for name in ("bare", *names)}
                seconds = interleaved(of, seconds=SECONDS, clock=time.thread_time)
                bare = seconds["bare"]
                size = f"{'×'.join(map(str, image)):9}{kernel:6}{channels:5}{networks:9}{inputs:7}"
                ratios = "".join(f"{seconds[name] / bare:8.2f}" for name in names)
                print(f"{size}{1e3 * bare:9.2f}{ratios}", flush=True)
            print()


def _contenders(window: Window, c: int, networks: int, inputs: int) -> Calls:
    taps, positions = window.taps, window.positions
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((networks, c, taps, c))
    h, dl_df = rng.standard_normal((2, networks, c * positions, inputs))
    layers = [Scaled(layer, np.zeros(networks, np.int64)) for layer in (dl_df, h)]
    out = np.empty_like(h)

    kernels = weights.reshape(networks, c, taps * c)
    patches = rng.standard_normal((networks, taps * c, positions * inputs))
    product = np.empty((networks, c, positions * inputs))
    single = rng.standard_normal((networks * inputs, positions, taps * c))
    errors = rng.standard_normal((networks * inputs, c, positions))
    gradients = np.empty((min(len(errors), max(1, BUFFER // (c * taps * c))), c, taps * c))

    def bare_gradients() -> None:
        for i in range(0, len(errors), len(gradients)):
            part = slice(i, i + len(gradients))
            np.matmul(errors[part], single[part], out=gradients[: len(errors[part])])

    def bare() -> Array:
        return np.matmul(kernels, patches, out=product)

    calls: Calls = {
        "forward, bare": bare,
        "forward, ours": lambda: convolve(weights, h, window, out),
        "forward, FFT": lambda: _fft_convolve(weights, h, window),
        "adjoint, bare": bare,
        "adjoint, ours": lambda: convolve_adjoint(weights, dl_df, window, out),
        "adjoint, FFT": lambda: _fft_adjoint(weights, dl_df, window),
        "weight gradients, bare": bare_gradients,
        "weight gradients, ours": lambda: kernel_moments(layers[0], layers[1], window),
        "weight gradients, FFT": lambda: _fft_gradients(dl_df, h, window),
    }
    # The contenders do the same.
    f, dl_dh = convolve(weights, h, window), convolve_adjoint(weights, dl_df, window)
    np.testing.assert_allclose(_fft_convolve(weights, h, window), f, rtol=0, atol=1e-9)
    np.testing.assert_allclose(_fft_adjoint(weights, dl_df, window), dl_dh, rtol=0, atol=1e-9)
    variance = kernel_moments(layers[0], layers[1], window).variance
    np.testing.assert_allclose(_fft_gradients(dl_df, h, window)[1], variance, rtol=1e-9)
    return calls


def _spectrum(layer: Array, window: Window) -> Array:
    """(networks, units, n) -> (networks, frequencies, c, n)."""
    networks, _, n = layer.shape
    image = window.image
    spectrum = np.fft.rfftn(layer.reshape(networks, -1, *image, n), axes=range(2, 2 + len(image)))
    flat = spectrum.reshape(*spectrum.shape[:2], -1, n)
    return np.ascontiguousarray(flat.swapaxes(1, 2))


def _kernel_spectrum(weights: Array, window: Window) -> Array:
    """(networks, c_out, taps, c_in) -> (networks, frequencies, c_out, c_in), conjugate."""
    networks, c_out, _, c_in = weights.shape
    image = window.image
    padded = np.zeros((networks, *image, c_out * c_in))
    for tap, place in enumerate(np.ndindex(*(window.kernel for _ in image))):
        at = [(t - window.kernel // 2) % size for t, size in zip(place, image, strict=True)]
        padded[(slice(None), *at)] += weights[:, :, tap].reshape(networks, -1)
    spectrum = np.fft.rfftn(padded, axes=range(1, 1 + len(image)))
    return np.conj(spectrum.reshape(networks, -1, c_out, c_in))


def _images(spectrum: Array, window: Window) -> Array:
    """(networks, frequencies, c, n) -> (networks, c · positions, n)."""
    networks, _, c, n = spectrum.shape
    *rest, last = window.image
    full = spectrum.swapaxes(1, 2).reshape(networks, c, *rest, last // 2 + 1, n)
    axes = range(2, 2 + len(window.image))
    return np.fft.irfftn(full, s=window.image, axes=axes).reshape(networks, -1, n)


def _fft_convolve(weights: Array, h: Array, window: Window) -> Array:
    kernels = _kernel_spectrum(weights, window)
    return _images(kernels @ _spectrum(h, window), window)


def _fft_adjoint(weights: Array, dl_df: Array, window: Window) -> Array:
    kernels = np.conj(_kernel_spectrum(weights, window)).swapaxes(-1, -2)
    return _images(kernels @ _spectrum(dl_df, window), window)


def _fft_gradients(dl_df: Array, h: Array, window: Window) -> tuple[Array, Array]:
    """Mean and variance of the weight gradients, input by input."""
    errors, images = np.conj(_spectrum(dl_df, window)), _spectrum(h, window)
    networks, _, c_out, n = errors.shape
    c_in = images.shape[2]
    mean, variance = np.empty((2, networks, n))
    axes = [(np.arange(window.kernel) - window.kernel // 2) % size for size in window.image]
    for i in range(n):
        outer = errors[:, :, :, np.newaxis, i] * images[:, :, np.newaxis, :, i]
        pairs = outer.reshape(networks, -1, c_out * c_in, 1)
        found = _images(pairs, window).reshape(networks, -1, *window.image)
        every = [np.arange(size) for size in found.shape[:2]]
        taps = found[np.ix_(*every, *axes)].reshape(networks, -1)
        mean[:, i], variance[:, i] = taps.mean(axis=1), taps.var(axis=1)
    return mean, variance


def _torch(window: Window, c: int, networks: int, inputs: int) -> Calls:
    """Each network a group of channels; weight gradients of single inputs as groups likewise."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = window.image
    kernel = (window.kernel,) * len(image)
    apply = torch.nn.functional.conv1d if len(image) == 1 else torch.nn.functional.conv2d
    around = [window.kernel // 2] * (2 * len(image))
    weights = torch.randn(networks * c, c, *kernel, dtype=torch.float64)
    h = torch.randn(inputs, networks * c, *image, dtype=torch.float64)

    def forward(of: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(of, around, mode="circular")
        return apply(padded, weights, groups=networks)

    def gradients() -> tuple[torch.Tensor, torch.Tensor]:
        # Input by input and channel by channel an image of its own, correlated with the error.
        padded = torch.nn.functional.pad(h, around, mode="circular")
        singles = padded.reshape(inputs * networks, c, *padded.shape[2:]).transpose(0, 1)
        errors = h.reshape(inputs * networks * c, 1, *image)
        found = apply(singles, errors, groups=inputs * networks)
        of_input = found.reshape(c, inputs * networks, -1)
        return of_input.mean(dim=(0, 2)), of_input.var(dim=(0, 2), correction=0)

    return {
        "forward, torch": lambda: forward(h),
        "adjoint, torch": lambda: forward(h),  # as with kernels that are turned already
        "weight gradients, torch": gradients,
    }


if __name__ == "__main__":
    main()
