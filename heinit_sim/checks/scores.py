"""The average of some ratios of single layers, held against what theory says of it."""

import math
from typing import NamedTuple

from heinit_sim.numerics.p_values import student_tail

# Averages of skewed ratios go beyond what Student's t allows up to twice as often: `mean_ratios`.
_SKEWED = 2.0


class Score(NamedTuple):
    """The average of some ratios over what it should be, and how far chance alone goes as well."""

    relative: float
    """Average of the ratios over what theory says; its standard error follows."""
    error: float
    z: float
    """Deviation as a standard normal score; Student's t if `freedom` is finite. 0 within a range
    from `least` to `most`."""
    n_ratios: int
    """Number of ratios: layers of networks."""
    freedom: float = math.inf
    """Degrees of freedom of Student's t, where the error is that of networks."""
    least: float = 1.0
    """Smallest value that `relative` may have."""
    most: float = 1.0
    """Largest."""
    bound: float | None = None
    """Bound of p, where that is all that is known of the law."""

    @property
    def p(self) -> float:
        """Probability that correct code deviates as much, to either side."""
        if self.bound is not None:
            return self.bound
        if math.isinf(self.freedom):
            return math.erfc(abs(self.z) / math.sqrt(2.0))
        return min(_SKEWED * student_tail(self.z, self.freedom), 1.0)

    @property
    def text(self) -> str:
        """The numbers, e.g. "1.0012 ± 0.0010 of theory, z = +1.2"."""
        name = "z" if math.isinf(self.freedom) else "t"
        may_be, far = "", f"{name} = {self.z:+.1f}"
        if self.most > 1:
            may_be = ", which may be 1 or more"
        elif self.least < 1:
            may_be = f", which may be {self.least:.3g} … 1"
        if self.bound is not None:
            return f"{self.relative:.4f} of theory{may_be}, p ≤ {self.bound:.1g}"
        return f"{self.relative:.4f} ± {self.error:.4f} of theory{may_be}, {far}"


Scores = dict[int | None, Score]
"""Layer -> the score of its ratios, over networks; None -> that of all layers together."""
