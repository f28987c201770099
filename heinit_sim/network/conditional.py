"""Both passes of a dense network without its weights, exact in law: O(D N²) for each layer.

Let H = h_k, whose columns are the N inputs, be Q R, with orthonormal columns of Q and R
upper-triangular. Then Z = Ω Q / σ is standard normal, and what else Ω is, Ω (1 − Q Qᵀ), is
independent of f_k and of all that follows it, as is δ = ∂ℓ/∂f_k. So with W standard normal, too,

    f_k = β + σ Z R,    ∂ℓ/∂h_k = Ωᵀ δ = σ [Q Zᵀδ + (1 − Q Qᵀ) W S],    SᵀS = δᵀδ.

Since R is triangular, f_k of an input stays what it is when others are added behind it. Arrays are
as in `passes`, and both directions yield the same. They keep N × N numbers of each layer: on the
way back f_k is made of Z once more.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.steps import Activate, Row, Weights
from heinit_sim.network import batch_gradients
from heinit_sim.network.layers import empty_layers
from heinit_sim.network.passes import LayerName, Stack, alone
from heinit_sim.network.steps.activation import Slopes, value_and_slope, value_of
from heinit_sim.network.steps.operation import LARGEST, largest
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Exponents, Scaled, rescaled, scaled
from heinit_sim.numerics.triangular_root import TriangularRoot, triangular_root

_PIECE = 2**14  # numbers that stay in the cache


class Normals(Protocol):
    """Standard-normal numbers of the layers, a row for each input; the same at each look."""

    def ahead(self, k: int) -> FloatArray:
        """Zᵀ of layer k, (..., n_inputs, D_{k+1})."""
        ...

    def back(self, k: int) -> FloatArray:
        """Wᵀ of layer k, (..., n_inputs, D_k)."""
        ...


class Seen(NamedTuple):
    """All that is kept of a layer's forward pass for the way back."""

    span: TriangularRoot
    """Of h_k."""
    factor: FloatArray
    """σ R over a power of two."""
    lost: tuple[Mask, Mask]
    """Networks whose f_k, and whose h_{k+1}, is beyond float range."""
    exponent: Exponents
    """The exponent that f_k and h_{k+1} share."""


class GivenLayer(NamedTuple):
    """f_k = β + Ω h_k and h_{k+1} = a[f_k], with Ω given by no more than what it does."""

    k: int
    std: float
    """σ."""
    widths: tuple[int, int]
    """D_k and D_{k+1}."""
    activation: Activation | None
    """a; None in a last layer that ends with f_K."""
    normals: Normals
    biases: FloatArray | None
    """β, (..., D_{k+1}, 1) with 1 for any leading length."""
    holds_floats: bool
    """Whether layers are held as plain floats; networks out of their range become NaN."""

    def forward(self, h: Scaled) -> tuple[Scaled, Seen]:
        """f_k and h_{k+1}, stacked along a new first axis; f_K alone where nothing follows it."""
        span, exponent = triangular_root(h.mantissa), h.exponent
        factor = span.root * self.std
        if not self.holds_floats:
            shift = _shift(factor)
            factor, exponent = np.ldexp(factor, -shift), exponent + shift[..., 0, 0]
        stack = empty_layers(1 if self.activation is None else 2, h, self.widths[1])
        f = self._preactivation(self.normals.ahead(self.k), factor, stack[0])
        far = lost = self._lost(f, h.mantissa)
        f[lost] = np.nan
        if self.activation is not None:
            value_of(self.activation, f, stack[1])
            if self.holds_floats:
                far = ~(largest(stack[1]) < LARGEST)
                stack[1, far] = np.nan
        seen = Seen(span, factor, (lost, far), exponent)
        return Scaled(stack, np.array([exponent] * len(stack))), seen

    def again(self, seen: Seen, z: FloatArray) -> tuple[FloatArray, FloatArray | Mask]:
        """The mantissa of h_{k+1} that `forward` has made of the same numbers, and a'[f_k].

        Args:
            seen: From `forward`.
            z: Zᵀ, from `normals`.
        """
        f = np.empty((*seen.factor.shape[:-2], self.widths[1], seen.factor.shape[-1]))
        self._preactivation(z, seen.factor, f)
        lost, far = seen.lost
        f[lost] = np.nan
        assert self.activation is not None, "f_K alone has no use on the way back"
        h = np.empty_like(f)
        slope = value_and_slope(self.activation, f, h)
        h[far] = np.nan
        return h, slope

    def slopes(self, f: FloatArray) -> list[Slopes]:
        """a'[f_k] of the mantissa of f_k, taken once more on the way back."""
        assert self.activation is not None, "a last layer has no h_{k+1}"
        return [Slopes((self.activation,), self.activation.derivative(f))]

    def adjoint(
        self, dl_df: Scaled, z: FloatArray, h: FloatArray, span: TriangularRoot, out: FloatArray
    ) -> Exponents:
        """The mantissa of ∂ℓ/∂h_k, in `out`, and its exponents.

        Args:
            dl_df: ∂ℓ/∂f_k.
            z: Zᵀ, from `normals`.
            h: The mantissa of h_k.
            span: The factors of that.
            out: (..., D_k, n_inputs).
        """
        along, spread = z @ dl_df.mantissa, triangular_root(dl_df.mantissa).root * self.std
        w, columns = self.normals.back(self.k), span.span(h)
        within = span.inverse.swapaxes(-1, -2) @ ((w @ columns).swapaxes(-1, -2) @ spread)
        inside = span.inverse @ (self.std * along - within)
        shift = _shift(spread)
        spread, inside = np.ldexp(spread, -shift), np.ldexp(inside, -shift)
        _sum(out, (w.swapaxes(-1, -2), spread), (columns, inside))
        exponent: Exponents = dl_df.exponent + shift[..., 0, 0]
        return exponent

    def _preactivation(self, z: FloatArray, factor: FloatArray, out: FloatArray) -> FloatArray:
        f = _sum(out, (z.swapaxes(-1, -2), factor))
        if self.biases is not None:
            f += self.biases
        return f

    def _lost(self, f: FloatArray, h: FloatArray) -> Mask:
        """Which networks have left the range of plain floats, as where weights are formed."""
        if not self.holds_floats:
            return np.zeros(f.shape[:-2], bool)
        size = largest(f)
        lost: Mask = ~(size < LARGEST)
        small = size <= 1 / LARGEST
        if small.any() and self.std:
            entered = largest(h)
            lost |= small & (entered > 0) & (entered < 1 / LARGEST / self.std)
        return lost


class Trace(NamedTuple):
    """All that is kept of the forward pass for the way back."""

    x: Scaled
    """h_0."""
    layers: list[Seen]


def make_layers(
    rows: Sequence[Row], normals: Normals, biases: Sequence[FloatArray] | None = None
) -> list[GivenLayer]:
    """The layers 0 … K of a network; see `layers.make_layers`.

    Args:
        rows: The steps of the layers 0 … K: weights, and at most an activation behind them.
        normals: The random numbers of all layers.
        biases: β in the order of the layers, (..., D_{k+1}, 1).
    """
    behind = [activation_of(step) for row in rows for step in row[1:] if isinstance(step, Activate)]
    homogeneous = all(activation.negative_slope is not None for activation in behind)
    holds_floats = biases is not None or not homogeneous
    layers = []
    for k, row in enumerate(rows):
        weights, activate = (*row, Activate("linear") if k < len(rows) - 1 else None)[:2]
        assert isinstance(weights, Weights), "weights come first"
        assert activate is None or isinstance(activate, Activate), "nothing else is behind them"
        activation = None if activate is None else activation_of(activate)
        std, widths = weights.spec.weight_std, (weights.inputs, weights.outputs)
        beta = None if biases is None else biases[k]
        layers.append(GivenLayer(k, std, widths, activation, normals, beta, holds_floats))
    return layers


def iter_forward(
    layers: Sequence[GivenLayer], x: FloatArray, traces: list[Trace]
) -> Iterator[Stack]:
    """Yield h_0, then f_k with h_{k+1} for k = 0 … K−1, then f_K; see `passes.iter_forward`."""
    h = Scaled(x, np.zeros(x.shape[:-2], np.int64)) if layers[0].holds_floats else scaled(x)
    trace = Trace(h, [])
    traces.append(trace)
    yield alone(("activation", 0), h)
    for k, layer in enumerate(layers):
        numbers, seen = layer.forward(h)
        trace.layers.append(seen)
        h = Scaled(numbers.mantissa[-1], numbers.exponent[-1])
        if k == len(layers) - 1:
            f = Scaled(numbers.mantissa[0], numbers.exponent[0])
            yield alone(("preactivation", k), f)._replace(end=h)
        else:
            names: tuple[LayerName, ...] = ("preactivation", k), ("activation", k + 1)
            slopes = partial(layer.slopes, numbers.mantissa[0])
            yield Stack(names, numbers, slopes=slopes)


def iter_backward(
    layers: Sequence[GivenLayer],
    dl_dend: Scaled,
    traces: list[Trace],
    *,
    batch_gradient: bool = False,
) -> Iterator[Stack]:
    """Yield ∂ℓ/∂f_K, then ∂ℓ/∂h_k with ∂ℓ/∂f_{k−1} for k = K … 1, then ∂ℓ/∂h_0.

    See `passes.iter_backward`; numbers of a layer are made again one layer before they are needed.
    """
    trace = traces.pop()
    last = len(layers) - 1
    z = layers[last].normals.ahead(last)
    dl_df = dl_dend
    if layers[last].activation is not None:
        _, slope = layers[last].again(trace.layers[last], z)
        dl_df = Scaled(slope * dl_dend.mantissa, dl_dend.exponent)
    yield alone(("grad_preactivation", last), dl_df)
    for k in reversed(range(len(layers))):
        mantissa = empty_layers(2 if k else 1, dl_df, layers[k].widths[0])
        span, names = trace.layers.pop().span, list[LayerName]([("grad_activation", k)])
        arrived, h = dl_df, trace.x
        if k == 0:
            exponent = layers[0].adjoint(dl_df, z, h.mantissa, span, mantissa[0])
        else:
            below, seen = layers[k - 1].normals.ahead(k - 1), trace.layers[-1]
            again, slope = layers[k - 1].again(seen, below)
            h = Scaled(again, seen.exponent)
            exponent = layers[k].adjoint(dl_df, z, again, span, mantissa[0])
            dl_df, z = Scaled(np.multiply(slope, mantissa[0], out=mantissa[1]), exponent), below
            names.append(("grad_preactivation", k - 1))
        batch = None
        if batch_gradient:
            batch = batch_gradients.of_outer_products(rescaled(arrived), rescaled(h))
        numbers = Scaled(mantissa, np.array([exponent] * len(mantissa)))
        yield Stack(tuple(names), numbers, batch_gradient=batch)


def _shift(factor: FloatArray) -> Exponents:
    """Exponents of the largest number of each matrix, (..., 1, 1)."""
    size = np.abs(factor).max(axis=(-1, -2), keepdims=True)
    shift: Exponents = np.where(np.isnan(size), 0, np.frexp(size)[1])
    return shift


def _sum(out: FloatArray, *products: tuple[FloatArray, FloatArray]) -> FloatArray:
    """The sum of products with square matrices, in `out`, some rows after others.

    They stay in the cache. Numbers of one input are only multiplied, which is quicker.
    """
    n_units, n_inputs = out.shape[-2:]
    product = np.multiply if n_inputs == 1 else np.matmul
    for start in range(0, n_units, n_rows := max(_PIECE // n_inputs, 1)):
        rows = slice(start, start + n_rows)
        into = out[..., rows, :]
        for place, (a, b) in enumerate(products):
            if place == 0:
                product(a[..., rows, :], b, out=into)
            else:
                into += product(a[..., rows, :], b)
    return out
