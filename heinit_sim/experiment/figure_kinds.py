"""The kinds of figure: what each needs of a config, and which keys of `figure` it heeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

from heinit_sim.experiment.labels import is_number
from heinit_sim.experiment.records import LARGEST_SPECTRUM, output_sizes
from heinit_sim.experiment.sweep_config import FigureQuantity, SweepConfig


class Need(NamedTuple):
    """Something that a config must have for a kind of figure."""

    met: Callable[[SweepConfig], bool]
    missing: str
    """Description of a config without it, e.g. "no cosines are recorded"."""
    wanted: str
    """Name of the thing, as one asks for it, e.g. "record.cosine: true"."""


class FigureKind(NamedTuple):
    """A kind of figure: a row of `FIGURE_KINDS`."""

    needs: tuple[Need, ...] = ()
    quantities: tuple[FigureQuantity, ...] = get_args(FigureQuantity)
    """The values of `figure.quantity` that it can show."""
    why_no_quantity: str = ""
    """Why `figure.quantity` must be left out, for kinds that it says nothing about; else empty."""
    options: frozenset[str] = frozenset()
    """The keys of `figure` beside kind and quantity that it heeds."""
    of_predictions: bool = True
    """Whether it shows a prediction too; if not, the layers are drawn in its place."""


def swept_number(sweep: Mapping[str, Sequence[object]]) -> str | None:
    """The first path of a sweep with two or more values that are all numbers; None without one.

    A width that is given layer by layer is no number, nor is true or false.
    """
    for path, values in sweep.items():
        if len(values) > 1 and all(map(is_number, values)):
            return path
    return None


_NUMBER = Need(
    lambda config: swept_number(config.sweep) is not None,
    "no number is swept",
    "two or more numbers under a key of sweep",
)
_SLOPES = Need(
    lambda config: min(condition.depth for condition in config.conditions) > 1,
    "one hidden layer has no slope",
    "2 or more in every condition",
)
_NETWORKS = Need(
    lambda config: config.trials > 1, "one network has no spread", "trials of 2 or more"
)
_HISTOGRAMS = Need(
    lambda config: config.record.histograms is not None,
    "no histograms are recorded",
    "record.histograms, decades or std",
)
_COSINES = Need(
    lambda config: config.record.cosine, "no cosines are recorded", "record.cosine: true"
)

_UNITS = Need(lambda config: config.record.units, "no units are recorded", "record.units: true")
_UPDATES = Need(
    lambda config: config.record.update, "no step of training is recorded", "record.update"
)
_SPECTRA = Need(
    lambda config: all(
        "log10_singular_values" in output_sizes(config.record, condition.widths)
        for condition in config.conditions
    ),
    "no singular values are recorded",
    f"record.jacobian: true, and inputs times outputs of {LARGEST_SPECTRUM} or fewer",
)
_BATCH_GRADIENTS = Need(
    lambda config: config.record.batch_gradient,
    "no gradients of the batch are recorded",
    "record.batch_gradient: true",
)

FIGURE_KINDS: Mapping[str, FigureKind] = {
    "layers": FigureKind(options=frozenset({"decades", "overlay", "limits"})),
    "end": FigureKind(needs=(_NUMBER,), options=frozenset({"decades"})),
    "slopes": FigureKind(needs=(_SLOPES, _NUMBER), quantities=("variance", "std")),
    "spread": FigureKind(needs=(_NETWORKS,)),
    "ridges": FigureKind(
        needs=(_HISTOGRAMS,),
        quantities=("variance",),
        why_no_quantity="they are of the numbers themselves",
        of_predictions=False,
    ),
    "gradients": FigureKind(
        needs=(_BATCH_GRADIENTS,),
        quantities=("variance",),
        why_no_quantity="they are mean squares",
        options=frozenset({"decades"}),
    ),
    "cosine": FigureKind(
        needs=(_COSINES,),
        quantities=("variance",),
        why_no_quantity="it is of the directions themselves",
    ),
    "units": FigureKind(
        needs=(_UNITS,), quantities=("variance",), why_no_quantity="it is of shares and directions"
    ),
    "update": FigureKind(
        needs=(_NUMBER, _UPDATES),
        quantities=("variance",),
        why_no_quantity="it is of root mean squares",
        options=frozenset({"decades"}),
        of_predictions=False,
    ),
    "spectrum": FigureKind(
        needs=(_SPECTRA,),
        quantities=("variance",),
        why_no_quantity="it is of singular values",
        options=frozenset({"decades"}),
    ),
}
"""`figure.kind` -> what it needs and heeds; `figures.draw` has the function that draws it."""


def along_number(kind: str) -> bool:
    """Whether the lines of a kind run along the swept number; else each is a condition."""
    return _NUMBER in FIGURE_KINDS[kind].needs


def unmet_need(config: SweepConfig) -> str | None:
    """Why the figure cannot be of its config's kind: what is wrong, given and allowed."""
    kind = config.figure.kind
    for need in FIGURE_KINDS[kind].needs:
        if not need.met(config):
            return f"{need.missing} ({kind}), must have {need.wanted}"
    return None


def refused_quantity(kind: str, quantity: FigureQuantity) -> str | None:
    """Why a kind of figure cannot show a quantity; None if it can."""
    row = FIGURE_KINDS[kind]
    if quantity in row.quantities:
        return None
    allowed = " or ".join(row.quantities)
    if row.why_no_quantity:
        allowed = f"left out or {allowed}; {row.why_no_quantity}"
    return f"not for kind: {kind} ({quantity}), must be {allowed}"


def refused_option(kind: str, option: str, value: object) -> str | None:
    """Why a kind of figure does not take a key of `figure`; None if it heeds it."""
    heeding = [name for name, row in FIGURE_KINDS.items() if option in row.options]
    if kind in heeding:
        return None
    kinds = ", ".join([*heeding[:-2], " and ".join(heeding[-2:])])
    return f"not for kind: {kind} ({value}), only for {kinds}; null takes it back"
