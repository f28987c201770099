"""Derivatives that need no backward pass, and what they tell of one that has gone wrong."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.derivation.gradients import GRADIENTS, derivatives
from heinit_sim.derivation.identity import Identity, Sides
from heinit_sim.derivation.probes import Networks, sample_networks
from heinit_sim.derivation.verify import verify
from heinit_sim.experiment.sweep_config import Condition
from tests.conditions import with_layers

Array = np.ndarray


def condition(activation: str = "relu") -> Condition:
    text = f"name: x\nnetwork: {{depth: 5, width: 10, input_dim: 10, activation: {activation}}}\n"
    return parse_config(text + "init: {variance: 0.03}\n").conditions[0]


@pytest.mark.parametrize("identity", GRADIENTS[:2], ids=lambda identity: identity.name)
def test_transposed_weights_turn_the_exact_rows_red(identity: Identity[Networks]) -> None:
    def transposed(networks: Networks) -> Sides:
        other = replace(networks, weights=[w.swapaxes(1, 2) for w in networks.weights])
        right = identity.sides(networks)
        return Sides(identity.sides(other).left, right.right, right.rounding)

    square = with_layers(condition(), widths=(10,) * 7)
    assert verify(square, 0, identities=[identity]).rows[0].held
    assert not verify(square, 0, identities=[replace(identity, sides=transposed)]).rows[0].held


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_derivatives_without_a_backward_pass_are_difference_quotients(alpha: float) -> None:
    rng = np.random.default_rng(3)
    leaky = condition(f"{{name: leaky_relu, negative_slope: {alpha}}}")
    networks = sample_networks(rng, 2, (5, 4, 3, 2), (0.3, 0.5, 0.7), leaky)

    def loss(n: int, k: int, moved: Array) -> float:
        """The loss of network n once f_k has moved, by plain loops."""
        h = [float(v) for v in networks.x[n]]
        for layer, (omega, v) in enumerate(zip(networks.weights, networks.variances, strict=True)):
            f = [math.sqrt(v) * sum(a * b for a, b in zip(row, h, strict=True)) for row in omega[n]]
            if layer == k:
                f = [a + float(b) for a, b in zip(f, moved, strict=True)]
            h = [max(a, alpha * a) for a in f]
        return float(sum((a - 1.0) ** 2 for a in f))

    step = 2.0**-17
    for k, width in enumerate((4, 3, 2)):
        directions = rng.standard_normal((2, width, 3))
        found = derivatives(networks, k, directions)
        for n in range(2):
            for m in range(3):
                up, down = (loss(n, k, sign * step * directions[n, :, m]) for sign in (1, -1))
                # ℓ is piecewise quadratic: the quotient is exact but for rounding.
                assert abs((up - down) / (2 * step) - found[n, m]) < 1e-14 * (1 + up) / step
