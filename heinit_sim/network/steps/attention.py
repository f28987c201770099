"""Attention, head by head: f_t = Σ_t' p_tt' v_t',   p_t = softmax over t' of q_t · k_t' / √d.

    ∂ℓ/∂v_t' = Σ_t p_tt' g_t,   ∂ℓ/∂p_tt' = g_t · v_t',   g = ∂ℓ/∂f
    ∂ℓ/∂s_tt' = p_tt' (∂ℓ/∂p_tt' − Σ_t" p_tt" ∂ℓ/∂p_tt"),   s = q · k / √d
    ∂ℓ/∂q_t = Σ_t' ∂ℓ/∂s_tt' k_t' / √d,   ∂ℓ/∂k_t' = Σ_t ∂ℓ/∂s_tt' q_t / √d

q = Ω_q z, k = Ω_k z and v = Ω_v z have d units for each head; T inputs next to each other are the
tokens t of a sequence, so that ∂ℓ/∂z of one input is that of the loss of the whole sequence. Where
it is causal p_tt' = 0 for t' > t. Source: Vaswani et al. 2017, eq. 1.
"""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.network.steps import operation
from heinit_sim.network.steps.operation import WeightGradients, largest
from heinit_sim.network.steps.weights import Weighted
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, plus

_LARGEST = 2.0**250  # of q, k and v: the products of two must stay in float range with a gradient


class Kept(NamedTuple):
    """All of the forward pass that the way back needs, (..., sequences, heads, d, T)."""

    query: FloatArray
    key: FloatArray
    value: FloatArray
    shares: FloatArray
    """p, (..., sequences, heads, T, T)."""
    entered: operation.Kept
    """Moments of z, or z itself, that ∂ℓ/∂Ω is made with."""


class Attended(NamedTuple):
    """Means of values, weighted by how well keys fit a query; in plain arithmetic."""

    query: Weighted
    """Ω_q."""
    key: Weighted
    """Ω_k."""
    value: Weighted
    """Ω_v."""
    heads: int
    causal: bool
    tokens: int
    """T."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """Σ_t' p_tt' v_t'."""
        results = [weighted.product(z, None) for weighted in (self.query, self.key, self.value)]
        lost = ~(np.max([largest(result.mantissa) for result in results], axis=0) < _LARGEST)
        for result in results:
            result.mantissa[lost] = 0.0  # no warning on the way to NaN
        query, key, value = (self._by_head(result.mantissa) for result in results)
        shares = np.matmul(query.swapaxes(-1, -2), key)
        shares /= math.sqrt(query.shape[-2])
        if self.causal:
            shares += np.triu(np.full((self.tokens, self.tokens), -np.inf), 1)
        shares -= shares.max(axis=-1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=-1, keepdims=True)
        f = np.empty_like(results[-1].mantissa) if out is None else out
        np.matmul(value, shares.swapaxes(-1, -2), out=self._by_head(f))
        f[lost] = np.nan
        return Scaled(f, z.exponent), Kept(query, key, value, shares, self.value.kept(z))

    def adjoint(
        self, gradient: Scaled, kept: Kept, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """Ω_qᵀ ∂ℓ/∂q + Ω_kᵀ ∂ℓ/∂k + Ω_vᵀ ∂ℓ/∂v."""
        query, key, value, shares, entered = kept
        g = self._by_head(gradient.mantissa)
        dl_dvalue = self._units(np.matmul(g, shares))
        dl_dscores = np.matmul(g.swapaxes(-1, -2), value)
        dl_dscores -= np.vecdot(dl_dscores, shares)[..., np.newaxis]
        dl_dscores *= shares
        dl_dscores /= math.sqrt(query.shape[-2])
        dl_dquery = self._units(np.matmul(key, dl_dscores.swapaxes(-1, -2)))
        dl_dkey = self._units(np.matmul(query, dl_dscores))
        total: Scaled | None = None
        for weighted, dl_dresult, into in (
            (self.query, dl_dquery, None),
            (self.key, dl_dkey, None),
            (self.value, dl_dvalue, out),
        ):
            dl_df = Scaled(dl_dresult, gradient.exponent)
            part = weighted.adjoint(dl_df, entered, into, found)
            total = part if total is None else plus(total, part, part.mantissa)
        assert total is not None
        return total

    def _by_head(self, units: FloatArray) -> FloatArray:
        """A view of (..., heads · d, sequences · T) as (..., sequences, heads, d, T)."""
        *leading, n_units, n_inputs = units.shape
        size, sequences = n_units // self.heads, n_inputs // self.tokens
        parts = units.reshape(*leading, self.heads, size, sequences, self.tokens)
        return np.moveaxis(parts, -2, -4)

    def _units(self, by_head: FloatArray) -> FloatArray:
        """Mirror `_by_head`, as a copy."""
        parts = np.moveaxis(by_head, -4, -2)
        *leading, heads, size, sequences, tokens = parts.shape
        return parts.reshape(*leading, heads * size, sequences * tokens)
