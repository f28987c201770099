"""Test processes run beside each other: each takes one thread of BLAS, or they wait for theirs.

Tests that are collected stay to the end: the garbage collector does not look through them again.
"""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from heinit_sim.theory import predictions
from heinit_sim.theory.finite_width.norm_chain import predicted_quantiles

gc.disable()  # while tests are collected


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(autouse=True, scope="session")
def _laws_sampled_once() -> Iterator[None]:
    """Let all tests of a process share the networks that stand for a law: equal draws are kept."""
    known = dict[object, Any]()

    def sampled(condition: Any, slope: Any, n_networks: int, rng: np.random.Generator) -> Any:
        of = condition.widths, tuple(condition.weight_variances), condition.inputs, slope
        given = *of, n_networks, str(rng.bit_generator.state)
        if given not in known:
            found = predicted_quantiles(condition, slope, n_networks, rng)
            known[given] = found, rng.bit_generator.state
        found, rng.bit_generator.state = known[given]
        return {quantity: log10.copy() for quantity, log10 in found.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions, "predicted_quantiles", sampled)
        yield


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
