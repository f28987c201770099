"""A run as a page of its own, or as a figure to paste into one: both passes under sliders.

The files of `data/page` draw it, in the browser; here is what they are given: quantiles over
networks, theory, verdicts, and how each follows σ².
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from string import Template
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heinit_sim.checks import ALLOWED_DECADES, trend, words_by_scale
from heinit_sim.experiment.activation_table import TABLE
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.labels import is_number, swept_text, to_text
from heinit_sim.experiment.quantities import Measure, Pass, Statistic
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import spread
from heinit_sim.reports.formats import SYMBOLS, Row, power_text, slopes_text, swept_heads
from heinit_sim.reports.run import summary_rows
from heinit_sim.reports.summary_table import swept_cells
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory import assumptions
from heinit_sim.theory.finite_width import slope_moments

MADE = "made by heinit-sim page"
"""Stands near the top of each page, which another one may replace."""

_SIGMA, _WIDTH, _DEPTH = "init.variance", "network.width", "network.depth"
_QUANTITIES: Mapping[Pass, Any] = {"forward": "activation", "backward": "grad_activation"}
_WORDS = {"variance": "Variance", "second_moment": "Second moment", "std": "Standard deviation"}
_PROPER_NAMES: Mapping[str, Mapping[str, str]] = {
    "network.activation": {name: row.name for name, row in TABLE.items()},
    "init.scheme": {name: scheme.name for name, scheme in SCHEMES.items()},
}
_MOST_LAYERS = 250
_MARGIN = 0.5  # decades of σ² beyond what was simulated, or is marked
_ESCAPES = str.maketrans(
    {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}  # none of which can end a script
)


def to_page(result: SweepResult) -> str:
    """One HTML document that needs nothing else, nor asks for it."""
    return _file("document.html").substitute(name=_title(result.config), figure=to_fragment(result))


def to_fragment(result: SweepResult) -> str:
    """Write the page as one `<figure>`, which has neither ids nor global names."""
    config = result.config
    version = metadata.version("heinit-sim")
    return _file("figure.html").substitute(
        name=_title(config),
        css=_file("figure.css").template,
        js=_file("figure.js").template,
        data=_to_json(page_data(result)),
        table=_summary_table(config, summary_rows(result)),
        source=f"Simulated by heinit-sim {version}, seed {config.seed}.",
    )


def _title(config: SweepConfig) -> str:
    return html.escape(config.figure.title or config.name)


def page_data(result: SweepResult) -> dict[str, Any]:
    """Return what the script of the page is given, of log10 values, where None is not known.

    Conditions that differ in σ² alone are one network; the other swept keys are controls.
    """
    config, outcomes = result.config, result.conditions
    scale = _scale(config.conditions)
    sigmas = scale == "variance" and _all_numbers(config.sweep.get(_SIGMA, ()))
    sized = {path for path in (_WIDTH, _DEPTH) if _all_numbers(config.sweep.get(path, ()))}
    keys = [path for path in config.sweep if path not in sized | ({_SIGMA} if sigmas else set())]
    texts = _swept_texts(config)
    groups: dict[tuple[object, ...], list[int]] = {}
    for n, condition in enumerate(config.conditions):
        choices = [config.sweep[path].index(condition.swept[path]) for path in keys]
        sizes = [condition.swept.get(path) for path in (_WIDTH, _DEPTH) if path in sized]
        groups.setdefault((*choices, *sizes), []).append(n)
    networks = []
    for place, members in groups.items():
        labels = [texts[_SIGMA][n] if sigmas else "" for n in members]
        network = _network([outcomes[n] for n in members], labels, scale, config)
        networks.append({"choices": place[: len(keys)], **network})
    marks = [at["at"] for network in networks for at in network["swept"]]
    if scale == "variance":
        marks += [-math.log10(network["fan_in"]) for network in networks if network["fan_in"]]
    low, high = min([0.0, *marks] if scale == "fan_in" else marks), max(marks)
    return {
        "quantity": config.figure.quantity,
        "word": _WORDS[config.figure.quantity],
        "decades": config.figure.decades,
        "decimal": config.figure.decimal,
        "trials": config.trials,
        "scale": scale,
        "unit": "fan_in" if any(c.is_convolutional for c in config.conditions) else "D",
        "range": [low - _MARGIN, high + _MARGIN] if scale != "factor" else [-2.0, 2.0],
        "zoom": len(outcomes) == 1,
        "allowed_decades": ALLOWED_DECADES,
        "controls": [
            {
                "name": head if path in SYMBOLS else head.replace("_", " "),
                "texts": _texts_of_values(config, path, texts[path]),
                "numeric": _all_numbers(config.sweep[path]),
            }
            for path, head in zip(keys, swept_heads(keys), strict=True)
        ],
        "networks": networks,
        "start": _start(outcomes, list(groups.values())),
    }


def _scale(conditions: Sequence[Condition]) -> Literal["variance", "fan_in", "factor"]:
    """Return what the slider shows: σ² itself, σ² times fan_in, or a factor of every layer's."""
    variances = [set(condition.weight_variances) for condition in conditions]
    if any(0.0 in values for values in variances):  # of no decade
        return "factor"
    by_fan = [_times_fan_in(condition) for condition in conditions]
    scheme = len({scaled for values in by_fan for scaled in values}) == 1
    if all(len(values) == 1 for values in variances) and not (
        scheme and len(set.union(*variances)) > 1
    ):
        return "variance"
    return "fan_in" if all(len(values) == 1 for values in by_fan) else "factor"


def _times_fan_in(condition: Condition) -> set[float]:
    """The different σ² fan_in of the layers, to rounding."""
    pairs = zip(condition.weight_variances, condition.fans, strict=True)
    return {float(f"{variance * fan_in:.12g}") for variance, (fan_in, _) in pairs}


def _all_numbers(values: Sequence[object]) -> bool:
    return bool(values) and all(map(is_number, values))


def _swept_texts(config: SweepConfig) -> dict[str, list[str]]:
    """Swept path -> its value in each condition, in words: the config's labels, or proper names."""
    rows: list[Row] = [dict(condition.swept) for condition in config.conditions]
    texts: dict[str, list[str]] = {path: [] for path in config.sweep}
    for row, cells in zip(rows, swept_cells(config, rows), strict=True):
        for (path, value), cell in zip(row.items(), cells, strict=True):
            name = _PROPER_NAMES.get(path, {}).get(str(value), cell)
            if isinstance(value, float):
                name = name.replace(".", config.figure.decimal)
            texts[path].append(config.figure.labels.get(swept_text(path, value, to_text), name))
    return texts


def _texts_of_values(config: SweepConfig, path: str, texts: Sequence[str]) -> list[str]:
    """The words for each value of a swept path."""
    places = [condition.swept[path] for condition in config.conditions]
    return [texts[places.index(value)] for value in config.sweep[path]]


def _start(outcomes: Sequence[ConditionResult], groups: Sequence[Sequence[int]]) -> list[int]:
    """Where the page begins: at the condition whose steeper pass is the most level."""

    def steepness(n: int) -> float:
        slopes = [trend(outcomes[n], direction).decades_per_layer for direction in _QUANTITIES]
        return math.inf if any(map(math.isnan, slopes)) else max(map(abs, slopes))

    level = min((n for members in groups for n in members), key=steepness)
    group = next(group for group, members in enumerate(groups) if level in members)
    return [group, groups[group].index(level)]


def _network(
    outcomes: Sequence[ConditionResult], labels: Sequence[str], scale: str, config: SweepConfig
) -> dict[str, Any]:
    """Networks that differ in σ² alone: those simulated, or one of them that leads to all."""
    first = outcomes[0].condition
    law = all(assumptions.obeys_scale_law(outcome.condition) for outcome in outcomes)
    ats = [_at(outcome.condition, scale) for outcome in outcomes]
    steps = min(first.depth, _MOST_LAYERS)
    layers = np.linspace(0, first.depth, steps + 1).round().astype(int)
    kept = outcomes[:1] if law and config.draws == "common" else outcomes
    fans = {fan_in for fan_in, _ in first.fans[1:]}
    plain = not first.is_convolutional and len(set(first.widths[1:-1])) == 1
    return {
        "width": first.widths[1] if plain else None,
        "depth": first.depth,
        "fan_in": fans.pop() if len(fans) == 1 else None,
        "law": law,
        "probe": first.loss.name == "probe",
        "layers": layers.tolist(),
        "swept": [{"at": at, "text": text} for at, text in zip(ats, labels, strict=True)],
        "samples": [
            {"at": at, **_sample(outcome, layers, config, law=law)}
            for at, outcome in zip(ats, kept, strict=False)
        ],
        "free": _free(outcomes[0], config) if law and plain and scale != "factor" else None,
    }


def _at(condition: Condition, scale: str) -> float:
    """log10 of what the slider of σ² shows."""
    if scale == "factor":
        return 0.0
    values = _times_fan_in(condition) if scale == "fan_in" else set(condition.weight_variances)
    return math.log10(values.pop())


def _sample(
    outcome: ConditionResult, layers: NDArray[np.int64], config: SweepConfig, *, law: bool
) -> dict[str, Any]:
    """Both passes of simulated networks: quantiles, theory, slopes and the words for them."""
    measured: dict[str, Any] = {}
    for direction in _QUANTITIES:
        measure = _measure(direction, config)
        factor = 0.5 if config.figure.quantity == "std" else 1.0
        seen = spread(factor * outcome.networks[measure][:, layers])
        theory, exact = outcome.theory_shown(measure)
        fit = trend(outcome, direction)
        doubt = fit.doubt.partition(":")[0]
        words = words_by_scale(outcome, direction) if law else [(math.inf, fit.word, doubt)]
        measured[direction] = {
            "low": _numbers(seen.p05),
            "median": _numbers(seen.median),
            "high": _numbers(seen.p95),
            "theory": _numbers(factor * theory[layers]),
            "exact": exact,
            "slope": _number(fit.decades_per_layer),
            "error": _number(fit.error),
            "theory_slope": _number(fit.theory_decades_per_layer),
            "stable": fit.stable,
            "fate": fit.fate,
            "words": [
                (upper if math.isfinite(upper) else None, word, why) for upper, word, why in words
            ],
        }
    return measured


def _measure(direction: Pass, config: SweepConfig) -> Measure:
    second = config.figure.quantity == "second_moment"
    statistic: Statistic = "second_moment" if second else "variance"
    return _QUANTITIES[direction], statistic


def _free(outcome: ConditionResult, config: SweepConfig) -> dict[str, Any] | None:
    """Return what theory takes to go on to other widths and depths; None where none does."""
    condition = outcome.condition
    alpha = assumptions.chain_slope(condition)
    if not isinstance(alpha, float | int):
        return None
    moments = slope_moments(np.array(float(alpha)))
    dim = condition.widths[0]
    return {
        "input_dim": dim,
        "output_dim": condition.widths[-1],
        "n_inputs": condition.n_inputs,
        "probe": condition.loss.name == "probe",
        "input_second": _log10(norm_moments(condition.inputs, dim)[0] / dim),
        "input_variance": _log10(component_variance(condition.inputs)),
        "mean": float(moments.a),
        "p2": float(moments.p2),
        "p4": float(moments.p4),
        "exact": {
            direction: outcome.theory_shown(_measure(direction, config))[1]
            for direction in _QUANTITIES
        },
    }


def _log10(value: float) -> float | str:
    return math.log10(value) if value > 0 else "-Infinity"


def _numbers(values: FloatArray) -> list[float | str | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | str | None:
    """A logarithm or a slope for JSON, which has no word for log10 of 0."""
    if math.isnan(value):
        return None
    return round(value, 6) + 0.0 if math.isfinite(value) else "-Infinity"


def _summary_table(config: SweepConfig, rows: Sequence[Row]) -> str:
    """The summary of the run as an HTML table."""
    heads = swept_heads(config.sweep)
    heads += ["networks", "Var h₁", "Var h_K", "forward (theory)", "backward (theory)", "verdict"]
    lines = [_table_row("th", heads, ' scope="col"')]
    for row, texts in zip(rows, swept_cells(config, rows), strict=True):
        slopes = [
            slopes_text(row[f"{d}_decades_per_layer"], row[f"theory_{d}_decades_per_layer"])
            for d in _QUANTITIES
        ]
        powers = [power_text(row[f"log10_variance_{end}"]) for end in ("first", "last")]
        cells = [*texts, str(row["networks"]), *powers, *slopes, row["verdict"]]
        lines.append(_table_row("td", cells))
    caption = "<caption>Medians over networks; forward, backward: decades per layer</caption>"
    return "\n".join(["<table>", caption, *lines, "</table>"])


def _table_row(tag: str, cells: Sequence[str], attributes: str = "") -> str:
    written = (f"<{tag}{attributes}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{''.join(written)}</tr>"


def _to_json(data: Mapping[str, Any]) -> str:
    """JSON in which no text can end the script that it stands in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _file(name: str) -> Template:
    path = resources.files("heinit_sim") / "data" / "page" / name
    return Template(path.read_text("utf-8"))
