"""The names of what inputs can be, and the options of each with their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

InputDistribution = Literal[
    "standard_normal", "normal", "uniform", "constant", "sparse", "pair", "digits", "file"
]
Normalisation = Literal["none", "global", "per_component"]

INPUT_OPTIONS: Mapping[InputDistribution, Mapping[str, float | str]] = {
    "standard_normal": {},
    "normal": {"mean": 0.0, "std": 1.0},
    "uniform": {"mean": 0.0, "std": 1.0},
    "constant": {"mean": 1.0},
    "sparse": {"density": 0.1},
    "pair": {"cosine": 0.5},
    "digits": {},
    "file": {"path": ""},
}
"""Distribution -> what it takes and the default; the path of a file has none."""

DIGITS_SHAPE = (1797, 64)
"""Examples and components of scikit-learn's digits."""


@dataclass(frozen=True)
class Inputs:
    """The law of the inputs, or the data set they are drawn from; what one lacks is as here."""

    distribution: InputDistribution = "standard_normal"
    normalisation: Normalisation = "none"
    mean: float = 0.0
    """Mean of every component, before normalisation."""
    std: float = 1.0
    density: float = 1.0
    """Probability that a component is not zero."""
    cosine: float = 0.0
    """Cosine of the angle between the two of a pair."""
    path: str = ""
    """Path of the data file."""
    sha256: str = ""
    """SHA-256 of the bytes of the data file; empty for none."""
