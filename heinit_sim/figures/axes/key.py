"""The key of a figure: what each style stands for, as data, by a function for each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import ConditionResult, SweepPrediction, SweepResult
from heinit_sim.figures.axes.curves import Curve
from heinit_sim.figures.axes.lines import Line

Style = Literal[
    "median",
    "band",
    "outline",
    "theory",
    "predicted",
    "forward",
    "published",
    "stable",
    "ridge",
    "limit",
]
Where = Literal["both", "a", "b"]
ERRORS = 2  # standard errors that a band about a measured value reaches to either side
_LOOKS: Mapping[Style, str] = {
    "median": "Thick",
    "band": "Band",
    "outline": "Outline",
    "theory": "Thin",
    "predicted": "Dotted",
    "forward": "Dashed",
    "published": "Circles",
    "stable": "Grey",
    "ridge": "Each ridge",
    "limit": "Dashes and dots",
}
Lines = Mapping[Pass, Sequence[Line]]


@dataclass(frozen=True)
class KeyEntry:
    """One style and what it stands for."""

    style: Style
    text: str
    panel: Where = "both"

    @property
    def said(self) -> str:
        """The text, and the panel if it is of one alone."""
        return self.text if self.panel == "both" else f"{self.text} (in {self.panel})"


@dataclass(frozen=True)
class Key:
    """The meaning of the styles of a figure, and what else is to be known of it."""

    entries: tuple[KeyEntry, ...]
    notes: tuple[str, ...] = ()
    """Sentences without their full stop."""

    @property
    def sentence(self) -> str:
        """All of it in words, e.g. "Thick: median of 100 networks. Band: 5–95 %."."""
        texts = []
        for entry in self.entries:
            where = "" if entry.panel == "both" else f" in {entry.panel}"
            texts.append(f"{_LOOKS[entry.style]}{where}: {entry.text}.")
        return " ".join([*texts, *(f"{note}." for note in self.notes)])

    def with_outlines(self) -> "Key":
        """Return what is said where every band is but its outline."""
        entries = (
            replace(entry, style="outline") if entry.style == "band" else entry
            for entry in self.entries
        )
        return replace(self, entries=tuple(entries))

    def of_panels(self, panels: Sequence[Pass]) -> "Key":
        """Return what is said of these panels, with their letters only if there are two."""
        if len(panels) == 2:
            return self
        letter, other = ("a", "b") if panels[0] == "forward" else ("b", "a")
        return Key(
            tuple(
                replace(entry, panel="both")
                for entry in self.entries
                if entry.panel in ("both", letter)
            ),
            tuple(
                note.removeprefix(f"{letter}: ")
                for note in self.notes
                if not note.startswith(f"{other}: ")
            ),
        )


def layers_key(
    result: SweepResult | SweepPrediction,
    lines: Mapping[Pass, Sequence[Curve]],
    *,
    banded: bool,
) -> Key:
    """Return what the styles of `layers` stand for; `banded` if predicted bands are drawn."""
    entries = [*_curve_entries(result, lines, banded=banded)]
    entries.append(KeyEntry("forward", "forward pass", "b"))
    if result.config.figure.overlay:
        entries.append(KeyEntry("published", "as published"))
    if (limits := result.config.figure.limits) is not None:
        squared = "" if result.config.figure.quantity == "std" else ", squared"
        entries.append(KeyEntry("limit", f"largest and smallest normal {limits}{squared}"))
    return Key(tuple(entries), _narrow(result))


def end_key(
    result: SweepResult | SweepPrediction,
    curves: Mapping[Pass, Sequence[Curve]],
    lines: Lines,
    *,
    banded: bool,
) -> Key:
    """Return what the styles of `end` stand for; `banded` if predicted bands are drawn."""
    entries = _curve_entries(result, curves, banded=banded)
    return Key(tuple(entries), (*_narrow(result), *gap_notes(lines)))


def slopes_key(result: SweepResult | SweepPrediction, lines: Lines, *, shaded: bool) -> Key:
    """Return what the styles of `slopes` stand for; `shaded` where stable slopes are grey."""
    if isinstance(result, SweepPrediction):
        return Key((KeyEntry("median", "predicted, infinite width"),), gap_notes(lines))
    several = result.config.trials > 1
    thick = f"slope of the median of {result.config.trials} networks"
    entries = [KeyEntry("median", thick if several else "slope of one network")]
    entries += [KeyEntry("band", f"± {ERRORS} standard errors")] * several
    entries += [KeyEntry("theory", "infinite width")]
    entries += [KeyEntry("stable", "called stable")] * shaded
    return Key(tuple(entries), gap_notes(lines))


def spread_key(result: SweepResult | SweepPrediction, lines: Lines) -> Key:
    """Return what the styles of `spread` stand for."""
    theory = "theory of the second moment for one input"
    if isinstance(result, SweepPrediction):
        return Key((KeyEntry("median", theory),))
    entries = [KeyEntry("median", f"variance over {result.config.trials} networks")]
    entries += [KeyEntry("band", f"± {ERRORS} standard errors")]
    return Key((*entries, *_theory_entry(theory, lines)))


def cosine_key(result: SweepResult | SweepPrediction, lines: Lines) -> Key:
    """Return what the styles of `cosine` stand for."""
    if isinstance(result, SweepPrediction):
        return Key((KeyEntry("median", "theory, infinite width"),))
    entries = _measured_entries(result.config.trials)
    return Key((*entries, *_theory_entry("infinite width", lines)), gap_notes(lines))


def gradients_key(result: SweepResult | SweepPrediction, lines: Lines) -> Key:
    """Return what the styles of `gradients` stand for."""
    exact = all(
        outcome.exact_layers.get("grad_weight", 0) > outcome.condition.depth
        for outcome in result.conditions
    )
    measured = not isinstance(result, SweepPrediction)
    style: Style = "theory" if measured else "median"
    entries = _measured_entries(result.config.trials) if measured else []
    wide = "infinite width"
    if exact:
        entries += [KeyEntry(style, "exact mean", "a"), KeyEntry(style, wide, "b")]
    else:
        entries.append(KeyEntry(style, wide))
    return Key(tuple(entries), gap_notes(lines))


def units_key(result: SweepResult | SweepPrediction, lines: Lines) -> Key:
    """Return what the styles of `units` stand for."""
    saturated = KeyEntry("forward", "share of numbers that are saturated", "a")
    if isinstance(result, SweepPrediction):
        return Key((KeyEntry("median", "theory of wide layers"), saturated))
    entries = [*_measured_entries(result.config.trials), saturated]
    return Key((*entries, *_theory_entry("theory of wide layers", lines)), gap_notes(lines))


def update_key(result: SweepResult, lines: Lines) -> Key:
    """Return what the styles of `update` stand for."""
    return Key(tuple(_measured_entries(result.config.trials)), gap_notes(lines))


def spectrum_key(result: SweepResult | SweepPrediction, lines: Lines, *, cut: bool) -> Key:
    """Return what the styles of `spectrum` stand for; `cut` if peaks are cut off."""
    notes = ("b: Tallest peaks cut off",) * cut
    if isinstance(result, SweepPrediction):
        return Key((KeyEntry("median", "theory of wide layers"),), notes)
    networks = f"{result.config.trials} networks" if result.config.trials > 1 else "one network"
    a, *band = _measured_entries(result.config.trials)
    entries = [replace(a, panel="a"), KeyEntry("median", f"density over {networks}", "b")]
    entries += [replace(entry, panel="a") for entry in band]
    if any(np.isneginf(line.middle).any() for line in lines["forward"]):
        notes = ("a: Lines end where singular values are 0, or rounding hides them", *notes)
    return Key((*entries, *_theory_entry("theory of wide layers", lines)), notes)


def ridges_key(result: SweepResult, notes: Mapping[Pass, Sequence[str]], n_shown: int) -> Key:
    """Return what a ridge is, what `notes` say of each panel, and how many conditions are shown."""
    networks = f"{result.config.trials} networks" if result.config.trials > 1 else "one network"
    entry = KeyEntry("ridge", f"density over units, inputs and {networks}")
    said = [*_of_panels(notes["forward"], notes["backward"])]
    if n_shown < len(result.conditions):
        said.append(f"{n_shown} of {len(result.conditions)} conditions")
    return Key((entry,), ("One height scale in each panel", *said))


def gap_notes(lines: Lines) -> tuple[str, ...]:
    """Say how many points of each pass are missing, for networks died or left float range."""
    counts = []
    for drawn in lines.values():
        seen = np.concatenate([np.isfinite(line.middle) for line in drawn])
        count = f"Dead or out of range: {np.count_nonzero(~seen)} of {len(seen)} points"
        counts.append([] if seen.all() else [count])
    return tuple(_of_panels(*counts))


def _of_panels(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """Return what is said of both panels: once where it is the same, else after their letters."""
    both = [text for text in a if text in b]
    only = [
        f"{name}: {text}"
        for name, texts in (("a", a), ("b", b))
        for text in texts
        if text not in both
    ]
    return both + only


def _measured_entries(n_networks: int) -> list[KeyEntry]:
    if n_networks == 1:
        return [KeyEntry("median", "one network")]
    return [KeyEntry("median", f"median of {n_networks} networks"), KeyEntry("band", "5–95 %")]


def _theory_entry(text: str, lines: Lines) -> list[KeyEntry]:
    known = [line for drawn in lines.values() for line in drawn if np.isfinite(line.theory).any()]
    return [KeyEntry("theory", text)] if known else []


def _curve_entries(
    result: SweepResult | SweepPrediction,
    curves: Mapping[Pass, Sequence[Curve]],
    *,
    banded: bool,
) -> list[KeyEntry]:
    first = result.conditions[0]
    if isinstance(first, ConditionResult):
        entries = _measured_entries(len(next(iter(first.networks.values()))))
    else:
        known = {curve.typical for drawn in curves.values() for curve in drawn}
        words = {True: "predicted median for one input", False: "predicted mean"}
        entries = [KeyEntry("median", " or ".join(words[typical] for typical in sorted(known)))]
        entries += [KeyEntry("band", "5–95 % of networks")] * (True in known)
    kinds = {True: "exact mean", False: "infinite width"}
    a, b = (
        " or ".join(sorted({kinds[curve.exact] for curve in curves[direction]}))
        for direction in ("forward", "backward")
    )
    if a == b:
        entries.append(KeyEntry("theory", f"theory, {a}"))
    else:
        entries += [
            KeyEntry("theory", f"theory, {a}", "a"),
            KeyEntry("theory", f"theory, {b}", "b"),
        ]
    if banded:
        entries.append(KeyEntry("predicted", "predicted for one input"))
    return entries


def _narrow(result: SweepResult | SweepPrediction) -> tuple[str, ...]:
    narrow = any(outcome.misfit is not None for outcome in result.conditions)
    return ("Theory ends where layers are too narrow",) * narrow
