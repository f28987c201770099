"""Records that a run keeps beside its moments, and the names of the numbers that each holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from heinit_sim.experiment.number_formats import FORMATS, PARTS, range_ratio
from heinit_sim.experiment.quantities import (
    BATCH_PASS_OF,
    MEASURES,
    PASS_OF,
    UPDATE_PASS_OF,
    Bins,
    Measure,
    Pass,
    Quantity,
)

Ratio = str
"""Name of a number without unit, of one layer of one network, that is no log10."""
RatioMeasure = tuple[Quantity, Ratio]
Output = Literal["log10_loss", "log10_jacobian_second_moment", "log10_singular_values"]
"""Numbers of one network that are of no layer."""
RatioRecord = Literal["cosine", "units", "range"]
"""A key of `record` that asks for ratios."""
MeasureRecord = Literal["batch_gradient", "update"]
"""A key of `record` that asks for moments of more quantities."""
RANGED: tuple[Quantity, ...] = (
    "preactivation",
    "activation",
    "grad_preactivation",
    "grad_activation",
)
"""Quantities whose numbers are held against the ends of formats."""
QUANTITIES: Mapping[MeasureRecord, dict[Quantity, Pass]] = {
    "batch_gradient": BATCH_PASS_OF,
    "update": UPDATE_PASS_OF,
}
"""Record -> the quantities that it adds, of which the second moment is taken, and their passes."""
RATIOS: Mapping[RatioRecord, tuple[RatioMeasure, ...]] = {
    "cosine": (("preactivation", "cosine"), ("activation", "cosine")),
    "units": (
        ("activation", "off_share"),
        ("activation", "saturated_share"),
        ("preactivation", "participation_ratio"),
        ("activation", "participation_ratio"),
    ),
    "range": tuple(
        (quantity, range_ratio(name, part))
        for quantity in RANGED
        for name in FORMATS
        for part in PARTS
    ),
}
"""Record -> the ratios that it holds."""
RATIO_FILES: Mapping[RatioRecord, str] = {
    "cosine": "cosines.csv",
    "units": "units.csv",
    "range": "range.csv",
}
"""Record -> the file of a run that shows its ratios."""


class Records(NamedTuple):
    """The section `record` of a config: what a run keeps beside its moments."""

    histograms: Bins | None = None
    """Bins in which the numbers of every layer are counted; None counts nothing."""
    cosine: bool = False
    """Whether the cosines between inputs are taken, layer by layer."""
    units: bool = False
    """Whether it is counted which units are off or saturated, and how many directions are left."""
    range: bool = False
    """Whether numbers are counted that formats of fewer bits cannot hold, in both passes."""
    jacobian: bool = False
    """Whether the Jacobian ∂f_K/∂x of the first input is taken."""
    batch_gradient: bool = False
    """Whether the gradient of the mean of the loss over the batch is taken, layer by layer."""
    update: bool = False
    """Whether one step of training is taken; each condition has its own."""

    @property
    def pass_of(self) -> Mapping[Quantity, Pass]:
        """The quantities that are measured, and the pass of each."""
        asked = (QUANTITIES[name] for name in QUANTITIES if getattr(self, name))
        return PASS_OF | {q: direction for more in asked for q, direction in more.items()}

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that is measured of each network and layer."""
        added = (quantity for quantity in self.pass_of if quantity not in PASS_OF)
        return (*MEASURES, *((quantity, "second_moment") for quantity in added))

    @property
    def ratio_records(self) -> tuple[RatioRecord, ...]:
        """The records of ratios that are asked for."""
        return tuple(name for name in RATIOS if getattr(self, name))

    @property
    def ratios(self) -> tuple[RatioMeasure, ...]:
        """The ratios that are taken of each network and layer."""
        return tuple(measure for name in self.ratio_records for measure in RATIOS[name])

    @property
    def follows_scale_law(self) -> bool:
        """Whether all that is kept of a network follows from that of another scale of weights.

        Numbers do not move by whole bins, formats end where they do, and a step of training changes
        weights by what is no multiple of them.
        """
        return self.histograms is None and not self.range and not self.update


NOTHING = Records()
"""The moments alone."""
LARGEST_SPECTRUM = 2**20
"""Elements of the largest Jacobian whose singular values are taken."""
SCALE_POWERS: Mapping[Output, float] = {
    "log10_loss": 1.0,
    "log10_jacobian_second_moment": 1.0,
    "log10_singular_values": 0.5,
}
"""Numbers that are of no layer -> the power of Π_k σ²_k that they grow as by the scale law."""


def output_sizes(record: Records, widths: Sequence[int]) -> dict[Output, int]:
    """The numbers of no layer that are kept -> how many of them one network has.

    Args:
        record: What is asked for.
        widths: D_0 … D_{K+1}.
    """
    sizes: dict[Output, int] = {"log10_loss": 1}
    if record.jacobian:
        sizes["log10_jacobian_second_moment"] = 1
        if widths[0] * widths[-1] <= LARGEST_SPECTRUM:
            sizes["log10_singular_values"] = min(widths[0], widths[-1])
    return sizes
