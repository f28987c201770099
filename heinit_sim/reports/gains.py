"""Gains as rows, as a table, and as a page on one activation."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from heinit_sim.experiment.activation_table import TABLE
from heinit_sim.reports.formats import Row, plain_table
from heinit_sim.theory.infinite_width.gains import CONVENTIONS, LAYERS, PUBLISHED, Gain, Gains

if TYPE_CHECKING:
    from rich.table import Table

_HEADERS = ("activation", "convention", "gain", "χ₁", "forward", "from 1.1", "backward")
_ALIGN: tuple[Literal["left", "right"], ...] = ("left", "left", *("right",) * 2, *("left",) * 3)
_CAPTION = f"""\
Weights of variance gain²/fan_in, zero biases. χ₁: growth of the squared
gradient per layer. Forward, backward: what {LAYERS} layers make of the
pre-activations' variance (from 1 on) and of the squared gradient. From 1.1:
what is left of a variance 10 % too large. Where 1 repels, 10 % become decades:
such a gain keeps nothing in a network of finite width.
χ₁ holds at variance 1; for linear, relu, leaky_relu (slope 0.01) and prelu
(0.25) at any.
1/√E[a²]: He et al. 2015. 1/std[a]: Brock et al. 2021, whose centred weights
keep the variance; forward is with plain ones. PyTorch: calculate_gain."""


def gain_rows(all_gains: Sequence[Gains]) -> list[Row]:
    """One row per activation and convention that has a gain for it."""
    return [
        {
            "activation": gains.activation,
            **dict(gains.options),
            "homogeneous": gains.homogeneous,
            "mean": gains.mean,
            "second_moment": gains.second_moment,
            "slope_second_moment": gains.slope,
            "convention": gain.convention,
            "gain": gain.value,
            "forward_per_layer": gain.forward,
            "chi1": gain.chi1,
            "layers": LAYERS,
            "forward_over_layers": gain.forward_over_layers,
            "backward_over_layers": gain.backward_over_layers,
            "length_slope": gain.length_slope,
            "fixed_point": gain.fixed_point,
            "forward_from_0.9": gain.forward_from_less,
            "forward_from_1.1": gain.forward_from_more,
            "meaning": f"{meaning(gain)}; {fixed_point(gain)}",
            "source": CONVENTIONS[gain.convention].source,
        }
        for gains in all_gains
        for gain in gains.gains
    ]


def meaning(gain: Gain) -> str:
    """Say in words what a gain does to both passes."""
    forward, backward = _forward(gain), _times(gain.backward_over_layers)
    first = "" if backward == "kept" else f" (×{gain.chi1:.3f} at first)"
    return f"over {LAYERS} layers: forward {forward}, gradient² {backward}{first}"


def fixed_point(gain: Gain) -> str:
    """Say in words whether a variance of 1 holds, and what becomes of one that is 10 % off."""
    words = {
        "": "1 is not kept",
        "attracts": "1 attracts",
        "neutral": "any stays",
        "repels": "1 repels",
    }
    less, more = (f"{q:.3g}" for q in (gain.forward_from_less, gain.forward_from_more))
    slope = f"slope {gain.length_slope:.3f}"
    return f"variance: {words[gain.fixed_point]} ({slope}); 0.9 ends at {less}, 1.1 at {more}"


def to_gain_table(all_gains: Sequence[Gains]) -> "Table":
    """The table of gains, 80 columns wide; a section per activation."""
    from rich.text import Text

    table = plain_table()
    for header, justify in zip(_HEADERS, _ALIGN, strict=True):
        table.add_column(header, justify=justify, no_wrap=True)
    previous = ""
    for activation, *cells in _table_rows(all_gains):
        table.add_row("" if activation == previous else activation, *map(Text, cells))
        previous = activation
    if len(all_gains) > 1:
        table.caption = Text(_CAPTION)
        table.caption_justify = "left"
    return table


def gain_page(gains: Gains) -> tuple[str, "Table", str]:
    """A page on one activation: a head, the table of gains, and where the gains come from."""
    scope = (
        "Positively homogeneous: the numbers hold at any variance of the pre-activations."
        if gains.homogeneous
        else "Not homogeneous: gains and χ₁ hold for pre-activations of variance 1."
    )
    slopes = "".join(f", α = {slope:g}" for slope in gains.options.values())
    moments = f"E[a] = {gains.mean:.6f}, E[a²] = {gains.second_moment:.7g}"
    head = [
        f"{gains.activation}: a(z) = {TABLE[gains.activation].formula}{slopes}",
        f"{moments}, E[a'²] = {gains.slope:.7g} for z ~ N(0, 1)",
        scope,
    ]
    notes = [
        "Weights of variance gain²/fan_in, zero biases. χ₁ = gain² E[a'²]: growth of the",
        f"squared gradient per layer. Forward, backward: what {LAYERS} layers make of the",
        "pre-activations' variance, from 1 on, and of the squared gradient.",
    ]
    for key, convention in CONVENTIONS.items():
        gain = next((gain for gain in gains.gains if gain.convention == key), None)
        if gain is None:
            notes += ["", f"{convention.source} has no gain for {gains.activation}"]
            continue
        notes += ["", f"{convention.formula} = {gain.value:.6g}", f"  {convention.source}"]
        notes += [f"  {text}" for text in (convention.remark, meaning(gain), fixed_point(gain))]
        if key == "std" and gains.activation in PUBLISHED:
            published = PUBLISHED[gains.activation]
            notes += [f"  published as {published:.4f}, from samples; this is the exact integral"]
    return "\n".join(head), to_gain_table([gains]), "\n".join(notes)


def _table_rows(all_gains: Sequence[Gains]) -> Iterator[tuple[str, ...]]:
    for gains in all_gains:
        for gain in gains.gains:
            formula = CONVENTIONS[gain.convention].formula
            numbers = f"{gain.value:.4f}", f"{gain.chi1:.3f}"
            ends = _forward(gain), f"{gain.forward_from_more:.3g}"
            yield gains.activation, formula, *numbers, *ends, _times(gain.backward_over_layers)


def _forward(gain: Gain) -> str:
    text = _times(gain.forward_over_layers)
    return f"{text}, repels" if gain.fixed_point == "repels" else text


def _times(factor: float) -> str:
    """A factor; kept if it is 1 to three digits."""
    size = f"{factor:.3g}" if 1e-3 <= factor < 1e4 else f"{factor:.1e}"
    return "kept" if size == "1" else f"×{size}"
