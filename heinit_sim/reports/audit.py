"""The audit of a checkpoint as rows, as a table, and for JSON."""

import math
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Literal

from heinit_sim.checks.checkpoints.audit import Audit, TensorAudit
from heinit_sim.checks.checkpoints.tensor_scheme import Match
from heinit_sim.reports.formats import Row, plain_table, to_json_values

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("tensor", "left"),
    ("shape", "left"),
    ("dtype", "left"),
    ("fans", "left"),
    ("mean", "right"),
    ("std", "right"),
    ("kurtosis", "right"),
    ("law", "left"),
    ("nearest", "left"),
    ("gain", "right"),
    ("forward", "right"),
    ("backward", "right"),
)
_ROOMY = ("shape", "dtype", "fans", "mean", "kurtosis")
"""Columns that a narrow table leaves out."""
_ROOM = 114  # characters of all columns but the names


def audit_rows(audit: Audit) -> list[Row]:
    """One row per tensor, in the order of the file."""
    return [_row(tensor) for tensor in audit.tensors]


def _row(tensor: TensorAudit) -> Row:
    found, fans, law, near = tensor.found, tensor.fans, tensor.law, tensor.nearest
    n, variance = (found.n, found.variance) if found else (0, math.nan)
    kurtosis = found.excess_kurtosis if found else math.nan
    std = math.sqrt(variance)
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "role": tensor.role,
        "layout": tensor.place.layout if tensor.place else None,
        "layout_told_by": tensor.place.reason if tensor.place else None,
        "fan_in": fans.fan_in if fans else None,
        "fan_out": fans.fan_out if fans else None,
        "n": math.prod(tensor.shape),
        "n_not_finite": found.n_not_finite if found else None,
        "n_zeros": found.n_zeros if found else None,
        "mean": found.mean if found else math.nan,
        "mean_error": std / math.sqrt(n) if n else math.nan,
        "std": std,
        "std_error": std * math.sqrt(max(kurtosis + 2, 0.0) / n) / 2 if n else math.nan,
        "excess_kurtosis": kurtosis,
        "law": law.law if law else None,
        "possible_laws": list(law.possible) if law else None,
        "law_p_values": dict(law.p_values) if law else None,
        "nearest": near.scheme if near else None,
        "agrees": near.agrees if near else None,
        "agreeing": list(tensor.agreeing) if near else None,
        "gain": near.gain if near else math.nan,
        "gain_error": near.gain_error if near else math.nan,
        "of_required": tensor.required.agrees if tensor.required else None,
        "forward": tensor.forward,
        "backward": tensor.backward,
    }


def to_audit_document(audit: Audit, source: str) -> Row:
    """The audit for JSON."""
    chain, others = audit.chain, len(audit.tensors) - len(audit.weights)
    factors = {w.name: (w.forward, w.backward) for w in audit.weights}
    document: Row = {
        "checkpoint": source,
        "framework": audit.framework,
        "activation": audit.activation,
        "level": audit.level,
        "level_of_each_test": audit.alpha,
        "n_weights": len(audit.weights),
        "n_others": others,
        "required": audit.required,
        "not_of_required": audit.failed,
        "chain": None,
        "tensors": to_json_values(audit_rows(audit)),
    }
    if chain is not None:
        forward, backward = (
            math.fsum(map(_log10, column))
            for column in zip(*(factors[name] for name in chain.names), strict=True)
        )
        totals = {"forward_log10": forward, "backward_log10": backward}
        names = {"names": list(chain.names), "left_out": list(chain.left_out)}
        document["chain"] = names | to_json_values([totals])[0]
    return document


def _log10(factor: float) -> float:
    return math.log10(factor) if factor > 0 else -math.inf


def to_audit_table(audit: Audit, source: str, width: int) -> "Table":
    """A row for each tensor, those that are not judged without a scheme.

    Args:
        audit: What was found.
        source: Name of the file.
        width: Characters of a line. Where they are too few for all columns, some are left out.
    """
    from rich.text import Text

    longest = max((len(tensor.name) for tensor in audit.tensors), default=0)
    narrow = width < _ROOM + longest
    table = plain_table(title=Text(f"{source}: {_counts(audit)}"))
    shown = [not narrow or header not in _ROOMY for header, _ in _COLUMNS]
    for header, justify in compress(_COLUMNS, shown):
        table.add_column(header, justify=justify, no_wrap=header != "tensor")
    for tensor in audit.tensors:
        table.add_row(*map(Text, compress(_cells(tensor), shown)))
    more = " A wider terminal, a pipe and --json have shapes, types, fans, means and kurtosis, too."
    table.caption = Text(_caption(audit) + more * narrow)
    table.caption_justify = "left"
    return table


def _counts(audit: Audit) -> str:
    n, others = len(audit.weights), len(audit.tensors) - len(audit.weights)
    text = f"{n} weight tensor{'s' * (n != 1)}"
    return f"{text}, {others} other{'s' * (others != 1)} (not judged)" if others else text


def _caption(audit: Audit) -> str:
    return (
        f"Tests of law, mean and variance at level {audit.level:g} over all weights. Law: the most "
        "likely one of those not rejected, ? if there are several. Nearest: +N as many more agree, "
        "≈ none does. Gain: root mean square over that of the scheme, ± standard error. Forward, "
        "backward: what such a layer multiplies the second moments of signals and of gradients by, "
        f"with {audit.activation} at pre-activations of variance 1."
    )


def _cells(tensor: TensorAudit) -> Sequence[str]:
    found, law, near = tensor.found, tensor.law, tensor.nearest
    shape = "×".join(map(str, tensor.shape)) or "scalar"
    fans = f"{tensor.fans.fan_in} → {tensor.fans.fan_out}" if tensor.fans else "—"
    numbers = (found.mean, math.sqrt(found.variance)) if found else (math.nan, math.nan)
    kurtosis = found.excess_kurtosis if found else math.nan
    words = "—", "—", "—"
    if found and found.n_not_finite:
        words = f"{found.n_not_finite} not finite", "—", "—"
    elif law and near:
        doubt = "?" * (len(law.possible) > 1)
        more = f" +{len(tensor.agreeing) - 1}" * (len(tensor.agreeing) > 1)
        scheme = f"{near.scheme}{more}" if near.agrees else f"≈ {near.scheme}"
        words = f"{law.law}{doubt}", scheme, _gain(near)
    moments = (*(_number(x, ".3g") for x in numbers), _number(kurtosis, "+.2f"))
    factors = (_number(tensor.forward, ".3g"), _number(tensor.backward, ".3g"))
    return tensor.name, shape, tensor.dtype, fans, *moments, *words, *factors


def _gain(match: Match) -> str:
    """A gain with its error, to as many digits as that tells."""
    if math.isnan(match.gain):
        return "—"
    if not match.gain_error:
        return f"{match.gain:.4g}"
    digits = min(max(1 - math.floor(math.log10(match.gain_error)), 0), 6)
    return f"{match.gain:.{digits}f} ± {match.gain_error:.{digits}f}"


def _number(value: float, form: str) -> str:
    return "—" if math.isnan(value) else f"{value:{form}}"
