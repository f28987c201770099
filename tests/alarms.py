"""How often runs without an error may alarm a check."""

import math


def most_alarms(runs: int, level: float = 0.05) -> int:
    """Smallest k with P(Binomial(runs, level) > k) < 1e-4."""

    def chance(k: int) -> float:
        ways = math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1)
        return math.exp(ways + k * math.log(level) + (runs - k) * math.log(1 - level))

    chances = [chance(k) for k in range(runs + 1)]
    return next(k for k in range(runs) if math.fsum(chances[k + 1 :]) < 1e-4)
