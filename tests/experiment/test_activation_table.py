"""Constants against the quadrature, and against PyTorch's table written out."""

import math
from typing import get_args

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.experiment.activation_table import (
    ALIASES,
    DEFAULT_FREQUENCIES,
    DEFAULT_SLOPES,
    TABLE,
    Nonlinearity,
)
from heinit_sim.experiment.initializers import pytorch_squared_gain, squared_gain
from heinit_sim.theory.infinite_width.quadrature import layer_moments

SLOPED = {
    **{name: {"negative_slope": 0.3} for name in DEFAULT_SLOPES},
    **{name: {"frequency": 1.7} for name in DEFAULT_FREQUENCIES},
}


def test_every_row_has_its_formula_and_every_formula_its_row() -> None:
    assert set(ACTIVATIONS) == set(TABLE)
    assert not set(ALIASES) & set(TABLE)
    for name, row in TABLE.items():  # an option is asked of a row exactly where the formula has it
        assert (name in SLOPED) == callable(row.moments)
        make_activation(name, SLOPED.get(name, {}))


@pytest.mark.parametrize("name", [*TABLE, *ALIASES])
def test_own_gains_are_those_of_the_quadrature(name: str) -> None:
    options = SLOPED.get(name, {})
    moments = layer_moments(make_activation(name, options), np.array(1.0))
    for word, expected in (("second_moment", moments.second), ("std", moments.variance)):
        found = squared_gain(word, name, options)  # type: ignore[arg-type]  # the words above
        assert found is not None
        np.testing.assert_allclose(1 / found, float(expected), rtol=1e-12, atol=0)
        with pytest.raises(AssertionError):  # a digit off in the twelfth place is seen
            np.testing.assert_allclose(1 / found, float(expected) * (1 + 3e-12), rtol=1e-12, atol=0)


# Of the documentation of torch.nn.init.calculate_gain.
PYTORCH = {
    "linear": 1,
    "sigmoid": 1,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.3**2)),
    "selu": 3 / 4,
}


def test_pytorchs_table_is_the_documented_one() -> None:
    assert set(get_args(Nonlinearity)) == set(PYTORCH)
    for name in ACTIVATIONS:
        square = squared_gain("pytorch", name, SLOPED.get(name, {}))
        assert (square is None) == (name not in PYTORCH)
        if square is not None:
            assert math.isclose(math.sqrt(square), PYTORCH[name], rel_tol=1e-15)
            assert square == pytorch_squared_gain(name, 0.3)


def test_slopes_that_differ_by_layer_have_no_gain() -> None:
    assert squared_gain("std", "leaky_relu", {"negative_slope": (0.1, 0.2)}) is None
