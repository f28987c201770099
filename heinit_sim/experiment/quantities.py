"""The names of what is measured."""

from typing import Literal

Pass = Literal["forward", "backward"]
Quantity = Literal[
    "preactivation",
    "activation",
    "grad_preactivation",
    "grad_activation",
    "grad_weight",
    "grad_weight_batch",
    "grad_bias_batch",
    "preactivation_update",
    "activation_update",
]
Statistic = Literal["second_moment", "variance", "variance_between_inputs", "input_0_second_moment"]
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
"""The quantities that are always measured, those of gradients by input."""
BATCH_PASS_OF: dict[Quantity, Pass] = {
    "grad_weight_batch": "backward",
    "grad_bias_batch": "backward",
}
"""Gradients of the mean of the loss over the batch, which a record asks for."""
UPDATE_PASS_OF: dict[Quantity, Pass] = {
    "preactivation_update": "forward",
    "activation_update": "forward",
}
"""Changes by one step of training, which a record asks for."""
EVERY_PASS_OF: dict[Quantity, Pass] = PASS_OF | BATCH_PASS_OF | UPDATE_PASS_OF
BETWEEN_INPUTS: Statistic = "variance_between_inputs"
"""Over the inputs of a batch, of each unit, averaged over the units: how much of what the inputs
tell apart a layer still does. Forward only, and NaN for one input."""
ALIKE_DECADES = 28
"""So far below the second moment, a variance between inputs may be rounding alone."""
STATISTICS: tuple[Statistic, ...] = ("second_moment", "variance", BETWEEN_INPUTS)
"""Statistics that the tables show, over all inputs of a batch together."""
INPUT_0: Statistic = "input_0_second_moment"
"""Over the units alone, for the first input of the batch: its law is known step by step."""
MEASURES: tuple[Measure, ...] = tuple(
    (quantity, statistic)
    for quantity, direction in PASS_OF.items()
    for statistic in (*STATISTICS, INPUT_0)
    if direction == "forward" or statistic != BETWEEN_INPUTS
)
"""All that is always measured of each network and layer."""
BATCH_MEASURES: tuple[Measure, ...] = tuple((q, "second_moment") for q in BATCH_PASS_OF)
"""All that is measured of gradients of the batch's mean."""
COUNTED: tuple[Quantity, ...] = ("preactivation", "activation", "grad_preactivation")
"""Quantities that histograms are taken of."""
