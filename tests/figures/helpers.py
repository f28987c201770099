"""What the tests of figures share: results with known numbers, and readers of drawn artists."""

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from heinit_sim.experiment.quantities import PASS_OF, Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig, SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.figures.look.sheet import drawing, saving
from heinit_sim.numerics import FloatArray
from tests.conditions import condition

with drawing(FigureConfig()) as SHEET:
    """The sheet of the default figure."""

VARIANCES = (0.001, 0.01, 0.02, 0.1, 1.0)  # of Figure 7.4


def walks(slope: float, depth: int, seed: int, n: int = 40) -> tuple[FloatArray, FloatArray]:
    """log10 variances of h_k and of ∂ℓ/∂h_k that drift by `slope` decades per layer of the pass."""
    rng = np.random.default_rng(seed)
    noise = np.cumsum(rng.normal(0, 0.1, (2, n, depth + 1)), axis=2)
    k = np.arange(depth + 1)
    forward = slope * k + noise[0]
    return forward, forward[:, -1:] + slope * (depth - k) + noise[1][:, ::-1] - 1.0


def sweep_result(
    logs: Sequence[tuple[FloatArray, FloatArray]],
    *,
    swept: Sequence[Mapping[str, object]] | None = None,
    variances: Sequence[float] = (),
    figure: FigureConfig | None = None,
    exact: bool = True,
) -> SweepResult:
    """A result that shows these log10 variances; second moments lie 0.25 decades above."""
    swept = swept or [{} for _ in logs]
    conditions = []
    for i, (forward, backward) in enumerate(logs):
        depth = forward.shape[1] - 1
        variance = variances[i] if variances else 0.02
        widths = (100,) * (depth + 1) + (1,)
        network = condition(widths, variance, n_inputs=100, index=i, swept=swept[i])
        networks: dict[Measure, FloatArray] = {
            ("activation", "variance"): forward,
            ("activation", "second_moment"): forward + 0.25,
            ("grad_activation", "variance"): backward,
            ("grad_activation", "second_moment"): backward + 0.25,
        }
        line = 0.01 * np.arange(depth + 1)
        theory = {measure: line + 0.1 * i for i, measure in enumerate(networks)}
        if not exact:
            for values in theory.values():
                values[-1] = np.nan
        mean_field = {measure: line - 0.1 * i - 0.05 for i, measure in enumerate(networks)}
        known = dict.fromkeys(PASS_OF, depth + 1)
        conditions.append(
            ConditionResult(network, known, theory, mean_field, {}, 0, 1.0, networks=networks)
        )
    shown = tuple(result.condition for result in conditions)
    figure = figure or FigureConfig()
    config = SweepConfig("test", shown, {}, len(logs[0][0]), seed=0, figure=figure)
    return SweepResult(config, tuple(conditions))


def flat(n: int, depth: int = 10) -> SweepResult:
    """A result of so many conditions, all of them level and alike."""
    level = np.zeros((5, depth + 1))
    return sweep_result([(level, level)] * n, swept=[{"network.width": 10 + i} for i in range(n)])


def figure_7_4(figure: FigureConfig | None = None, *, exact: bool = True) -> SweepResult:
    return sweep_result(
        [walks(np.log10(50 * v), 50, seed) for seed, v in enumerate(VARIANCES)],
        swept=[{"init.variance": v} for v in VARIANCES],
        variances=VARIANCES,
        figure=figure,
        exact=exact,
    )


@cache
def drawn_7_4(*, exact: bool = True) -> Figure:
    """Draw it once for all tests, none of which changes it."""
    return draw(figure_7_4(exact=exact))


def near_equal(n: int) -> SweepResult:
    variances = [0.02 + 0.0001 * i for i in range(n)]
    return sweep_result(
        [walks(0.0001 * i, 50, seed=1) for i in range(n)],
        swept=[{"init.variance": v} for v in variances],
        variances=variances,
    )


def depths() -> SweepResult:
    sizes = (1, 5, 20, 50)
    return sweep_result(
        [walks(0.1, depth, seed=depth) for depth in sizes],
        swept=[{"network.depth": depth} for depth in sizes],
    )


def dying() -> SweepResult:
    """Condition 0 is all zero; 1 dies at layer 20 in most networks, 2 at layer 30 in a few."""
    result = figure_7_4()
    for values in result.conditions[0].networks.values():
        values[:] = -np.inf
    for values in result.conditions[1].networks.values():
        values[:30, 20:] = -np.inf
    for values in result.conditions[2].networks.values():
        values[:4, 30:] = -np.inf
    return result


def grid() -> SweepResult:
    points = list(itertools.product((0.01, 0.02, 0.04), (50, 200)))
    return sweep_result(
        [walks(np.log10(50 * v), 50, seed) for seed, (v, _) in enumerate(points)],
        swept=[{"init.variance": v, "network.width": w} for v, w in points],
    )


def deep() -> SweepResult:
    return sweep_result(
        [walks(slope, 2000, seed=3, n=10) for slope in (-3.5, -1.0, 0.0, 1.0, 3.5)],
        swept=[{"init.variance": v} for v in (1e-5, 0.001, 0.02, 0.1, 1.0)],
    )


RESULTS = {
    "Figure 7.4": figure_7_4(),
    "Figure 7.4 as published": figure_7_4(FigureConfig("std", (-100, 100), "figure_7_4_published")),
    "off the scale": figure_7_4(FigureConfig(decades=(-20, 20))),
    "12 nearly equal": near_equal(12),
    "20 nearly equal": near_equal(20),
    "12 equal": flat(12),
    "one": sweep_result([walks(0.0, 50, seed=0)]),
    "different depths": depths(),
    "dying": dying(),
    "grid": grid(),
    "2,000 layers": deep(),
    "one layer": flat(3, depth=1),
}


@cache
def drawn(name: str) -> Figure:
    """Draw a result once for all tests that change nothing of it."""
    return draw(RESULTS[name])


def panels(figure: Figure) -> tuple[Axes, Axes]:
    first, second = figure.axes
    return first, second


def named(ax: Axes, name: str) -> Line2D:
    (line,) = (line for line in ax.lines if line.get_label() == name)
    return line


def has(ax: Axes, name: str) -> bool:
    return name in {line.get_label() for line in ax.lines}


def xs(ax: Axes, name: str) -> FloatArray:
    return np.asarray(named(ax, name).get_xdata(), dtype=float)


def ys(ax: Axes, name: str) -> FloatArray:
    return np.asarray(named(ax, name).get_ydata(), dtype=float)


def edges(ax: Axes, name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x, lower and upper edge of a filled area, from the corners of its polygons."""
    (area,) = (c for c in ax.collections if c.get_label() == name)
    corners = np.concatenate([np.asarray(path.vertices) for path in area.get_paths()])
    x = np.unique(corners[:, 0])
    columns = [corners[corners[:, 0] == place, 1] for place in x]
    return x, np.array([c.min() for c in columns]), np.array([c.max() for c in columns])


def labels(ax: Axes) -> list[Text]:
    """The names beside a panel, or between the panels if it is the first."""
    return [text for text in ax.texts if "-name" in str(text.get_gid())]


def named_below(figure: Figure) -> list[Text]:
    """The names that stand below the panels."""
    return [text for text in figure.texts if re.match(r"condition-\d+-name", str(text.get_gid()))]


def leader(ax: Axes, i: int) -> FloatArray | None:
    """The ends of the line from the name of a condition to its tip, in points; None without one."""
    found = [line for line in ax.lines if line.get_label() == f"leader {i}"]
    return np.asarray(found[0].get_xydata(), float) if found else None


def caption(figure: Figure) -> str:
    """The key and the notes in words."""
    return str(figure.get_label())


def saved(figure: Figure, suffix: str = "svg") -> bytes:
    """The bytes of a figure in a file of that kind."""
    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    buffer = io.BytesIO()
    with saving():
        figure.savefig(buffer, format=suffix, dpi=50, metadata=metadata)
    return buffer.getvalue()
