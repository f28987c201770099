"""Floating-point formats that networks are trained in: the ends of what each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

FormatName = Literal["float16", "bfloat16", "float8_e4m3", "float8_e5m2", "float32"]


class NumberFormat(NamedTuple):
    """A format of numbers; below its smallest normal number digits are lost one by one."""

    smallest_normal: int
    """Exponent e of 2^e."""
    smallest: int
    """Exponent of the smallest number above 0: what is less than half of it becomes 0."""
    largest: float
    """The largest finite number."""


FORMATS: Mapping[FormatName, NumberFormat] = {
    "float16": NumberFormat(-14, -24, 65504.0),
    "bfloat16": NumberFormat(-126, -133, (2 - 2.0**-7) * 2.0**127),
    "float8_e4m3": NumberFormat(-6, -9, 448.0),
    "float8_e5m2": NumberFormat(-14, -16, 57344.0),
    "float32": NumberFormat(-126, -149, (2 - 2.0**-23) * 2.0**127),
}
"""Formats by name: IEEE 754-2019 binary16 and binary32; bfloat16; both of FP8 as the Open Compute
Project has them (OCP 8-bit floating point specification 1.0, 2023)."""
PARTS = ("below", "zero", "above")
"""Numbers that are not 0 and below the smallest normal number; of these, those that become 0; those
above the largest finite number."""


def range_ratio(name: FormatName, part: str) -> str:
    """Name of the ratio that tells which share of numbers is there, e.g. "float16_zero"."""
    return f"{name}_{part}"
