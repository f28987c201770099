"""The names of what is measured."""

from typing import Literal

Pass = Literal["forward", "backward"]
Quantity = Literal[
    "preactivation", "activation", "grad_preactivation", "grad_activation", "grad_weight"
]
Statistic = Literal["second_moment", "variance", "input_0_second_moment"]
Measure = tuple[Quantity, Statistic]
Bins = Literal["decades", "std"]
Growth = Literal["vanishing", "stable", "exploding"]

PASS_OF: dict[Quantity, Pass] = {
    "preactivation": "forward",
    "activation": "forward",
    "grad_preactivation": "backward",
    "grad_activation": "backward",
    "grad_weight": "backward",
}
STATISTICS: tuple[Statistic, ...] = ("second_moment", "variance")
"""Statistics that the tables show, over all inputs of a batch together."""
INPUT_0: Statistic = "input_0_second_moment"
"""Over the units alone, for the first input of the batch: its law is known step by step."""
MEASURES: tuple[Measure, ...] = tuple((q, s) for q in PASS_OF for s in (*STATISTICS, INPUT_0))
COUNTED: tuple[Quantity, ...] = ("preactivation", "activation", "grad_preactivation")
"""Quantities that histograms are taken of."""
