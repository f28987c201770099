"""Norms in infinitely wide layers, against plain arithmetic on random numbers."""

import math

import numpy as np
import pytest

from heinit_sim.experiment.steps import Norm
from heinit_sim.theory.infinite_width.signals import Gradient, Signal, identity_along
from heinit_sim.theory.infinite_width.steps.norm import Batch, back, forward

UNITS = 50_000
ZERO = np.array(0.0)[()]


def mean_square_behind_batch_norm(n: int, shared: float, along: float) -> tuple[float, float]:
    """That of ∂ℓ/∂z, by theory and of random units: a share of g is common, another along z."""
    z = Signal(ZERO, ZERO, ZERO, math.nan, ln_gap=0.0, law="gaussian")
    of_z = identity_along(z) * math.sqrt(along)
    g = Gradient(ZERO, 0.0, of_z, ZERO, np.array(along)[()], between=shared)
    normed = forward(Norm("batch"), z, batch := Batch(n, alike=True))
    theory = math.exp(back(Norm("batch"), g, z, normed, batch).ln_second)
    rng = np.random.default_rng(n)
    numbers, rest = rng.standard_normal((2, UNITS, n))
    common = rng.standard_normal((UNITS, 1))
    gradient = math.sqrt(shared) * common + math.sqrt(along) * numbers
    gradient += math.sqrt(1 - shared - along) * rest
    centred = numbers - numbers.mean(1, keepdims=True)
    s = np.sqrt(np.square(centred).mean(1, keepdims=True))
    centred /= s
    gradient -= gradient.mean(1, keepdims=True)
    gradient -= centred * (gradient * centred).mean(1, keepdims=True)
    return theory, float(np.square(gradient / s).mean())


@pytest.mark.parametrize(("shared", "along"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.6), (0.5, 0.3)])
@pytest.mark.parametrize("n", [10, 30])
def test_batch_norm_takes_two_directions_from_what_inputs_do_not_share(
    n: int, shared: float, along: float
) -> None:
    theory, seen = mean_square_behind_batch_norm(n, shared, along)
    assert theory == pytest.approx(seen, rel=0.02)  # of ten inputs units tell it to 0.4 %


def test_gradients_that_all_inputs_share_end_at_batch_norm() -> None:
    theory, seen = mean_square_behind_batch_norm(4, 1.0, 0.0)
    assert theory == 0.0
    assert seen < 1e-20
