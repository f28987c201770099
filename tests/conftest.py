"""Test processes run beside each other: each takes one thread of BLAS, or they wait for theirs.

Tests that are collected stay to the end: the garbage collector does not look through them again.
"""

import gc
from collections.abc import Iterator

import numpy as np  # noqa: F401  # loaded, so that there is a BLAS to limit
import pytest
from threadpoolctl import threadpool_limits

gc.disable()  # while tests are collected


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
