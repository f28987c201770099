"""Medians of resampled rows: what other samples might have shown."""

import numpy as np

from heinit_sim.numerics import FloatArray

_DRAWS = 400


def resampled_medians(values: FloatArray, n_rows: int) -> FloatArray:
    """Medians over rows that are drawn with replacement; the columns of a row keep together.

    The draws are the same each time.

    Args:
        values: One row per network, (n, m); -inf allowed, NaN not.
        n_rows: Rows of each sample.

    Returns:
        The medians of 400 samples, (400, m).

    Source: Efron 1979, the bootstrap.
    """
    n, m = values.shape
    rows = np.random.Generator(np.random.SFC64(0)).integers(n, size=(_DRAWS, n_rows))
    lower, upper = (n_rows - 1) // 2, n_rows // 2
    medians = np.empty((_DRAWS, m))
    for k in range(m):
        drawn = np.sort(values[:, k][rows], axis=1)
        medians[:, k] = (drawn[:, lower] + drawn[:, upper]) / 2
    return medians
