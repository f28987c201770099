import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from heinit_sim.config.load import parse_config
from heinit_sim.experiment.quantities import PASS_OF, Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import Condition, FigureConfig, SweepConfig
from heinit_sim.figures import axis_scales, curves
from heinit_sim.figures.axis_scales import decade_scale, layer_scale, swept_texts
from heinit_sim.figures.curves import QUANTITIES, curves_of, label_of
from heinit_sim.figures.draw import draw
from heinit_sim.figures.panels import SIDES, Panel, lay_out, saving
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep

Array = NDArray[np.float64]
VARIANCES = (0.001, 0.01, 0.02, 0.1, 1.0)  # of Figure 7.4


def walks(slope: float, depth: int, seed: int, n: int = 40) -> tuple[Array, Array]:
    """log10 variances of h_k and of ∂ℓ/∂h_k that drift by `slope` decades per layer of the pass."""
    rng = np.random.default_rng(seed)
    noise = np.cumsum(rng.normal(0, 0.1, (2, n, depth + 1)), axis=2)
    k = np.arange(depth + 1)
    forward = slope * k + noise[0]
    return forward, forward[:, -1:] + slope * (depth - k) + noise[1][:, ::-1] - 1.0


def sweep_result(
    logs: Sequence[tuple[Array, Array]],
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
        condition = Condition(
            index=i,
            swept=swept[i],
            widths=(100,) * (depth + 1) + (1,),
            activation="relu",
            activation_options={},
            weight_variances=(variance,) * (depth + 1),
            n_inputs=100,
            target=0.0,
        )
        networks: dict[Measure, Array] = {
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
            ConditionResult(condition, known, theory, mean_field, {}, 0, 1.0, networks)
        )
    config = SweepConfig(
        name="test",
        conditions=tuple(c.condition for c in conditions),
        sweep={},
        trials=len(logs[0][0]),
        seed=0,
        figure=figure or FigureConfig(),
    )
    return SweepResult(config, tuple(conditions))


def figure_7_4(figure: FigureConfig | None = None, *, exact: bool = True) -> SweepResult:
    return sweep_result(
        [walks(np.log10(50 * v), 50, seed) for seed, v in enumerate(VARIANCES)],
        swept=[{"init.variance": v} for v in VARIANCES],
        variances=VARIANCES,
        figure=figure,
        exact=exact,
    )


def near_equal(n: int) -> SweepResult:
    variances = [0.02 + 0.0001 * i for i in range(n)]
    return sweep_result(
        [walks(0.0001 * i, 50, seed=1) for i in range(n)],
        swept=[{"init.variance": v} for v in variances],
        variances=variances,
    )


def flat(n: int, depth: int = 10) -> SweepResult:
    level = np.zeros((5, depth + 1))
    return sweep_result([(level, level)] * n, swept=[{"network.width": 10 + i} for i in range(n)])


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
ACTIVATIONS = "network.activation: [relu, tanh, selu, {name: leaky_relu, negative_slope: 0.2}]"
KINDS = {  # what the figure is, what is swept
    "end, widths": ("end", "network.width: [200, 10, 20, 50, 100]"),
    "end, eight decades": ("end", "init.variance: [1.0e-8, 1.0e-4, 1]"),
    "end, less than a decade": ("end", "init.variance: [0.12, 0.25, 0.6]"),
    "end, below zero": ("end", "loss.target: [-1.5, 0, 1]"),
    "end, activations": ("end", f"network.depth: [2, 4, 20], {ACTIVATIONS}"),
    "end, 12 lines": ("end", f"init.variance: [0.01, 3], loss.target: [{', '.join('0123456789')}]"),
    "slopes, widths": ("slopes", "network.width: [5, 10, 20]"),
    "slopes, activations": ("slopes", f"init.variance: [0.01, 0.1, 1], {ACTIVATIONS}"),
    "spread, widths": ("spread", "network.width: [5, 10, 20, 40]"),
    "spread, depths": ("spread", "network.depth: [1, 3, 30]"),
    "spread": ("spread", "init.variance: [1]"),
}


def of_kind(name: str) -> SweepResult:
    kind, sweep = KINDS[name]
    text = f"""
name: x
network: {{depth: 6, width: 8, input_dim: 8}}
init: {{variance: 0.25}}
inputs: {{count: 3}}
sweep: {{{sweep}}}
trials: 20
figure: {{kind: {kind}}}
"""
    return run_sweep(parse_config(text))


def panels(figure: Figure) -> tuple[Axes, Axes]:
    first, second = figure.axes
    return first, second


def named(ax: Axes, name: str) -> Line2D:
    (line,) = (line for line in ax.lines if line.get_label() == name)
    return line


def has(ax: Axes, name: str) -> bool:
    return name in {line.get_label() for line in ax.lines}


def ys(line: Line2D) -> Array:
    return np.asarray(line.get_ydata(), dtype=float)


def xs(line: Line2D) -> Array:
    return np.asarray(line.get_xdata(), dtype=float)


def labels(ax: Axes) -> list[Annotation]:
    return [text for text in ax.texts if isinstance(text, Annotation)]


def caption(figure: Figure) -> str:
    (text,) = figure.texts
    return text.get_text()


def band(ax: Axes, index: int) -> tuple[Array, Array, Array]:
    """Layers, lower and upper edge of a band, from the corners of its polygons."""
    (filled,) = (c for c in ax.collections if c.get_label() == f"band {index}")
    corners = np.concatenate([path.vertices for path in filled.get_paths()])
    layers = np.unique(corners[:, 0])
    columns = [corners[corners[:, 0] == layer, 1] for layer in layers]
    return layers, np.array([c.min() for c in columns]), np.array([c.max() for c in columns])


def decade(label: str) -> float:
    """log10 of the number that a tick label shows."""
    if "^" not in label:
        return float(np.log10(float(label)))
    found = re.fullmatch(r"\$(?:([\d.]+)\\times)?10\^\{(-?\d+)\}\$", label)
    assert found is not None, label
    return float(np.log10(float(found[1] or 1))) + int(found[2])


def relative_luminance(color: ColorType) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def saved(result: SweepResult, suffix: str) -> bytes:
    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    figure = draw(result)
    buffer = io.BytesIO()
    with saving():
        figure.savefig(buffer, format=suffix, dpi=50, metadata=metadata)
    return buffer.getvalue()


@pytest.mark.parametrize("panel", [0, 1])
def test_medians_bands_and_theory_are_those_of_the_networks(panel: int) -> None:
    result = figure_7_4()
    ax = panels(draw(result))[panel]
    measure: Measure = ("activation", "variance") if panel == 0 else ("grad_activation", "variance")
    for i, one in enumerate(result.conditions):
        values = one.networks[measure]
        np.testing.assert_array_equal(xs(named(ax, f"median {i}")), np.arange(51))
        np.testing.assert_allclose(
            ys(named(ax, f"median {i}")), np.median(values, axis=0), rtol=0, atol=1e-12
        )
        layers, low, high = band(ax, i)
        np.testing.assert_array_equal(layers, np.arange(51))
        np.testing.assert_allclose(low, np.quantile(values, 0.05, axis=0), rtol=0, atol=1e-12)
        np.testing.assert_allclose(high, np.quantile(values, 0.95, axis=0), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ys(named(ax, f"theory {i}")), one.theory[measure])


def test_theory_known_on_some_layers_only_gives_way_to_infinite_width() -> None:
    result = figure_7_4(exact=False)
    figure = draw(result)
    for ax, quantity in zip(panels(figure), ("activation", "grad_activation"), strict=True):
        drawn = ys(named(ax, "theory 2"))
        measures = result.conditions[2].mean_field
        (expected,) = (v for m, v in measures.items() if m == (quantity, "variance"))
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("exact", "said"), [(True, "theory (exact mean)"), (False, "theory (infinite width)")]
)
def test_caption_says_which_theory_and_how_many_networks(exact: bool, said: str) -> None:
    text = caption(draw(figure_7_4(exact=exact)))
    assert said in text
    assert "median of 40 networks" in text
    assert "5–95 %" in text
    assert "Circles" not in text


def test_caption_tells_apart_theories_that_differ_between_panels() -> None:
    result = figure_7_4()
    for one in result.conditions:
        one.theory["activation", "variance"][:] = np.nan
    text = caption(draw(result))
    assert "theory (a: infinite width, b: exact mean)" in text


def test_caption_does_not_call_one_network_a_median() -> None:
    text = caption(draw(sweep_result([walks(0.0, 10, seed=0, n=1)])))
    assert "one network" in text
    assert "median" not in text


def test_forward_medians_lie_dashed_and_thin_behind_the_backward_panel() -> None:
    first, second = panels(draw(figure_7_4()))
    for i in range(5):
        front, behind = named(first, f"median {i}"), named(second, f"behind {i}")
        np.testing.assert_array_equal(ys(behind), ys(front))
        assert behind.get_color() is not None
        assert to_hex(behind.get_color()) == to_hex(front.get_color())
        assert behind.is_dashed()
        assert not named(second, f"median {i}").is_dashed()
        assert behind.get_linewidth() < named(second, f"median {i}").get_linewidth() / 2
        assert behind.get_zorder() < named(second, f"median {i}").get_zorder()


def test_theory_is_a_thin_line_on_top_of_the_median() -> None:
    for ax in panels(draw(figure_7_4())):
        median, theory = named(ax, "median 0"), named(ax, "theory 0")
        assert theory.get_zorder() > median.get_zorder()
        assert theory.get_linewidth() < median.get_linewidth() / 3


def test_standard_deviations_are_half_the_decades_of_variances() -> None:
    shown = figure_7_4(FigureConfig("std"))
    for ax, twin in zip(
        panels(draw(shown)),
        panels(draw(figure_7_4())),
        strict=True,
    ):
        for name in ("median 4", "theory 4"):
            np.testing.assert_allclose(
                ys(named(ax, name)), ys(named(twin, name)) / 2, rtol=0, atol=1e-12
            )
        for half, whole in zip(band(ax, 4)[1:], band(twin, 4)[1:], strict=True):
            np.testing.assert_allclose(half, whole / 2, rtol=0, atol=1e-12)


def test_second_moments_are_not_variances() -> None:
    for ax, twin in zip(
        panels(draw(figure_7_4(FigureConfig("second_moment")))),
        panels(draw(figure_7_4())),
        strict=True,
    ):
        difference = ys(named(ax, "median 1")) - ys(named(twin, "median 1"))
        np.testing.assert_allclose(difference, 0.25, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("variance", "Variance of"),
        ("second_moment", "Second moment of"),
        ("std", "Standard deviation of"),
    ],
)
def test_axes_say_what_they_show(
    quantity: Literal["variance", "second_moment", "std"], words: str
) -> None:
    first, second = panels(draw(figure_7_4(FigureConfig(quantity))))
    assert first.get_ylabel() == f"{words} $h_k$"
    assert second.get_ylabel() == rf"{words} $\partial\ell/\partial h_k$"
    assert first.get_xlabel() == second.get_xlabel() == "Layer, $k$"
    assert "Forward pass" in first.get_title(loc="left")
    assert "Backward pass" in second.get_title(loc="right")


@pytest.mark.parametrize("panel", [0, 1])
@pytest.mark.parametrize("name", ["Figure 7.4", "different depths", "one layer"])
def test_arrow_heads_point_the_way_the_pass_goes(name: str, panel: int) -> None:
    result = RESULTS[name]
    ax = panels(draw(result))[panel]
    for i in range(len(result.conditions)):
        median, arrow = named(ax, f"median {i}"), named(ax, f"arrow {i}")
        points = ax.transData.transform(np.stack([xs(median), ys(median)], axis=1))
        points = points if panel == 0 else points[::-1]
        np.testing.assert_allclose(ax.transData.transform(arrow.get_xydata()), points[-1:])
        way = points[-1] - points[max(0, len(points) - 8)]
        corners = np.asarray(arrow.get_marker())
        tip = corners[np.argmax(np.hypot(*corners.T))]
        assert tip[0] > 0 if panel == 0 else tip[0] < 0
        # The last steps of a random walk turn a little away from the eight before.
        turned = np.arctan2(tip[1], tip[0]) - np.arctan2(way[1], way[0])
        assert abs(np.sin(turned)) < 0.25


def test_arrow_heads_are_equally_large_at_any_angle() -> None:
    first, second = panels(draw(figure_7_4()))
    lengths = []
    for ax, i in itertools.product((first, second), range(5)):
        arrow = named(ax, f"arrow {i}")
        corners = np.asarray(arrow.get_marker())
        unit = arrow.get_markersize() / 2 / abs(corners).max()  # what matplotlib scales by
        lengths.append(unit * np.hypot(*corners.T).max())
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-12)


def test_an_arrow_of_a_single_layer_points_the_way_of_its_pass() -> None:
    forward, backward = np.full((5, 11), -np.inf), np.full((5, 11), -np.inf)
    forward[:, 0] = 0.0  # only the input, and only the last gradient, are not zero
    backward[:, -1] = 0.0
    first, second = panels(draw(sweep_result([(forward, backward)])))
    for ax, layer, sign in ((first, 0, 1), (second, 10, -1)):
        arrow = named(ax, "arrow 0")
        np.testing.assert_array_equal(arrow.get_xydata(), [[layer, 0.0]])
        corners = np.asarray(arrow.get_marker())
        tip = corners[np.argmax(np.hypot(*corners.T))]
        assert tip[0] * sign > 0
        assert abs(tip[1]) < 1e-12


@pytest.mark.parametrize("name", [*RESULTS, *KINDS])
def test_labels_collide_with_nothing_and_stay_inside(name: str) -> None:
    result = RESULTS[name] if name in RESULTS else of_kind(name)
    figure = draw(result)
    figure.set_dpi(200)  # as a run saves it
    with saving():
        figure.draw_without_rendering()

    def box(text: Text) -> Bbox:
        with saving():  # the window extent of an annotation itself would include its leader
            return Text.get_window_extent(text)

    names = [label for ax in panels(figure) for label in labels(ax) if label.get_text()]
    assert len(names) == 2 * len(result.conditions) or name in KINDS
    # Title, axis, tick and caption texts: a missing or second tick label is there, but invisible.
    others = [text for text in figure.findobj(match=Text) if text not in names]
    texts = [text for text in (*names, *others) if text.get_visible() and text.get_text()]
    for text in texts:
        inside = box(text)
        assert inside.x0 >= figure.bbox.x0 + 6, text
        assert inside.y0 >= figure.bbox.y0 + 6, text
        assert inside.x1 <= figure.bbox.x1 - 6, text
        assert inside.y1 <= figure.bbox.y1 - 6, text
    boxes = [(text, box(text)) for text in texts]
    for (one, its), (other, others_box) in itertools.combinations(boxes, 2):
        assert not its.overlaps(others_box), (one, other)
    for label in names:
        for ax in panels(figure):
            assert not box(label).overlaps(ax.bbox), label  # the curves lie in there
    for ax, i in itertools.product(panels(figure), range(len(result.conditions))):
        if has(ax, f"arrow {i}"):
            tip = ax.transData.transform(labels(ax)[i].xy)
            assert not any(box(label).contains(*tip) for label in names)


def test_labels_stand_in_the_order_of_the_curves_ends() -> None:
    for ax, layer in zip(panels(draw(near_equal(12))), (-1, 0), strict=True):
        ends = [ys(named(ax, f"median {i}"))[layer] for i in range(12)]
        heights = [label.get_position()[1] for label in labels(ax)]
        assert np.all(np.diff(np.array(heights)[np.argsort(ends)]) > 0)


def test_only_labels_that_were_moved_have_leaders() -> None:
    apart = sweep_result([(np.full((5, 11), y), np.full((5, 11), y)) for y in (-50.0, 0.0, 50.0)])
    for ax in panels(draw(apart)):
        assert [label.arrow_patch for label in labels(ax)] == [None] * 3
    for ax in panels(draw(flat(4))):
        assert all(label.arrow_patch is not None for label in labels(ax))


def test_a_curve_that_ends_earlier_is_led_to_its_label() -> None:
    first, _ = panels(draw(depths()))
    leaders = [label.arrow_patch is not None for label in labels(first)]
    assert leaders[:3] == [True, True, True]
    for i, depth in enumerate((1, 5, 20, 50)):
        assert xs(named(first, f"median {i}"))[-1] == depth


@pytest.mark.parametrize(
    ("swept", "label"),
    [
        ({}, r"$\sigma^2_\Omega$ = 0.02"),
        ({"init.variance": 1.0}, r"$\sigma^2_\Omega$ = 1"),
        ({"init.variance": 1e-05}, r"$\sigma^2_\Omega$ = $10^{-5}$"),
        ({"init.variance": 2.5e-07}, r"$\sigma^2_\Omega$ = $2.5\times10^{-7}$"),
        ({"network.width": 1000000}, "width = 1000000"),
        ({"network.input_dim": 7}, "input dim = 7"),
        ({"network.activation": "tanh"}, "activation = tanh"),
        (
            {"network.activation": {"name": "leaky_relu", "negative_slope": 0.2}},
            "activation = leaky_relu 0.2",
        ),
        ({"network.width": [100, 50, 25]}, "width = 100 50 25"),
        ({"network.width": list(range(100, 130))}, "width = 100 101 102 103 104 105…"[:31] + "…"),
        (
            {"init.variance": 0.02, "network.width": 50, "network.activation": "relu"},
            r"$\sigma^2_\Omega$=0.02, width=50, relu",
        ),
    ],
)
def test_labels_say_what_was_swept(swept: Mapping[str, object], label: str) -> None:
    result = sweep_result([walks(0.0, 5, seed=0)], swept=[swept])
    for ax in panels(draw(result)):
        assert [text.get_text() for text in labels(ax)] == [label]


LONG = {"scheme": "variance_scaling", "scale": 2, "mode": "fan_in"}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([LONG, "relu"], ["variance_scaling scale=…", "relu"]),
        (
            [LONG, LONG | {"scale": 1}, {"scheme": "lsuv"}, LONG],
            ["…scale=2 fan_in", "…scale=1 fan_in", "lsuv", "…scale=2 fan_in"],
        ),
        (
            [LONG, LONG | {"distribution": "uniform"}],
            ["…fan_in", "…fan_in uniform"],
        ),
        ([[0.25] * 9 + [end] * 9 for end in (0.1, 1)], [f"…{'0.1 ' * 5}0.…", "…1 1 1 1 1 1 1 1 1"]),
    ],
)
def test_values_too_long_to_be_told_apart_begin_where_they_differ(
    values: list[object], texts: list[str]
) -> None:
    assert swept_texts("init", values) == texts


@pytest.mark.parametrize("kind", ["layers", "spread"])
def test_no_two_conditions_have_the_same_label(kind: Literal["layers", "spread"]) -> None:
    swept: list[Mapping[str, object]] = [
        {"init": LONG | {"scale": scale}, "network.width": width}
        for scale, width in itertools.product((1, 2), (5, 6))
    ]
    sweep = [walks(0.0, 5, seed=n) for n in range(4)]
    result = sweep_result(sweep, swept=swept, figure=FigureConfig(kind=kind))
    for ax in panels(draw(result)):
        assert {text.get_text() for text in labels(ax)} == {
            f"…scale={scale} fan_in, width={width}" for scale in (1, 2) for width in (5, 6)
        }


def test_a_range_of_variances_is_rounded() -> None:
    result = sweep_result([walks(0.0, 5, seed=0)])
    of = result.conditions[0].condition
    variances = (2 / 21, *of.weight_variances[1:])
    assert label_of(replace(of, weight_variances=variances)) == (
        r"$\sigma^2_\Omega$ = 0.02–0.09524"
    )


def test_layers_of_zeros_leave_a_gap() -> None:
    result = dying()
    for ax in panels(draw(result)):
        bottom = ax.get_ylim()[0]
        assert np.isnan(ys(named(ax, "median 0"))).all()
        assert not has(ax, "arrow 0")
        assert labels(ax)[0].get_text().endswith("(all zero)")
        np.testing.assert_array_equal(np.isnan(ys(named(ax, "median 1"))), np.arange(51) >= 20)
        assert np.isfinite(ys(named(ax, "median 2"))).all()
        # 4 of 40 networks are zero: the lower end of the band is below any scale.
        layers, low, high = band(ax, 2)
        np.testing.assert_array_equal(layers, np.arange(51))
        assert np.all(low[30:] == bottom)
        assert np.all(low[:30] > bottom)
        assert np.all(high > bottom)


def test_decades_fix_both_panels_and_the_curves_end_where_they_leave() -> None:
    figure = draw(figure_7_4(FigureConfig(decades=(-20, 20))))
    first, second = panels(figure)
    for ax in (first, second):
        assert ax.get_ylim() == (-20, 20)
        for i in range(5):
            assert -20 <= ys(named(ax, f"arrow {i}"))[0] <= 20
    median = ys(named(first, "median 4"))
    last = np.flatnonzero(median <= 20)[-1]
    np.testing.assert_array_equal(named(first, "arrow 4").get_xydata(), [[last, median[last]]])
    # Backward, σ² = 1 is above the scale from end to end: its head stands at the corner.
    np.testing.assert_array_equal(named(second, "arrow 4").get_xydata(), [[0, 20]])


@pytest.mark.parametrize("name", ["Figure 7.4", "12 nearly equal", "12 equal", "2,000 layers"])
def test_a_fitted_range_is_shared_and_holds_every_band(name: str) -> None:
    result = RESULTS[name]
    first, second = panels(draw(result))
    assert first.get_ylim() == second.get_ylim()
    low, high = first.get_ylim()
    edges = [band(ax, i) for ax in (first, second) for i in range(len(result.conditions))]
    assert low < min(lower.min() for _, lower, _ in edges)
    assert high > max(upper.max() for _, _, upper in edges)
    assert high - low >= 0.3 - 1e-12


@pytest.mark.parametrize("level", [0.0, -np.inf])
def test_a_figure_of_one_value_or_of_zeros_only_still_has_a_scale(level: float) -> None:
    result = flat(2)
    for one in result.conditions:
        for values in (*one.networks.values(), *one.theory.values(), *one.mean_field.values()):
            values[:] = level
    for ax in panels(draw(result)):
        np.testing.assert_allclose(ax.get_ylim(), (-0.15, 0.15), rtol=0, atol=1e-12)
        assert len(ax.get_yticks()) >= 3


@pytest.mark.parametrize(
    "decades",
    [
        (-7000.0, 7000.0),
        (-100.0, 100.0),
        (-143.2, 187.9),
        (-3.0, 4.5),
        (-1.3, 1.2),
        (-1.2, 1.25),
        (0.2, 1.3),
        (-0.4, 0.5),
        (-0.15, 0.15),
        (-0.02, 0.01),
        (-5000.4, -5000.1),
        (6999.2, 7000.4),
        (-30000.0, 5.0),
    ],
)
def test_ticks_are_few_unique_and_say_where_they_stand(decades: tuple[float, float]) -> None:
    result = sweep_result([walks(0.0, 5, seed=0)], figure=FigureConfig(decades=decades))
    for ax in panels(draw(result)):
        places = ax.get_yticks()
        texts = [text.get_text() for text in ax.get_yticklabels()]
        assert 2 <= len(texts) <= 10
        assert len(set(texts)) == len(texts)
        np.testing.assert_allclose([decade(text) for text in texts], places, rtol=0, atol=1e-9)
        assert places.min() >= decades[0]
        assert places.max() <= decades[1]
        if decades[1] - decades[0] >= 2.5:
            assert all(re.fullmatch(r"\$10\^\{-?\d+\}\$", text) for text in texts)


def test_layer_ticks_are_whole_layers_of_the_network() -> None:
    for name, last in (("one layer", 1), ("Figure 7.4", 50), ("2,000 layers", 2000)):
        for ax in panels(draw(RESULTS[name])):
            places = ax.get_xticks()
            assert places[0] == 0
            assert places[-1] == last
            texts = [text.get_text() for text in ax.get_xticklabels()]
            assert [int(text.replace(",", "")) for text in texts] == places.tolist()


@pytest.mark.parametrize("depth", [2, 50, 200, 3000, 6000, 100_000])
@pytest.mark.parametrize("name", ["a", "a label as long as any that fits (all zero)"])
def test_layer_ticks_leave_room_between_their_labels(depth: int, name: str) -> None:
    y = decade_scale((-300.0, 300.0))
    with saving():
        figure = lay_out({of: Panel(layer_scale(depth, of), y, "x", "y") for of in SIDES}, [name])
        figure.draw_without_rendering()
    space = figure.dpi / 72 * 13 / 4  # that of a font of 13 points
    for ax in panels(figure):
        boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert len(boxes) >= 2
        assert all(left.x1 + space < right.x0 for left, right in itertools.pairwise(boxes))


def test_ten_thousand_layers_are_thinned_out_but_not_changed() -> None:
    forward, backward = walks(-1.3, 10_000, seed=0, n=5)
    for ax, values in zip(
        panels(draw(sweep_result([(forward, backward)]))),
        (forward, backward),
        strict=True,
    ):
        median = named(ax, "median 0")
        layers = xs(median).astype(int)
        assert len(layers) == 1001
        assert (layers[0], layers[-1]) == (0, 10_000)
        assert set(np.diff(layers)) == {10}
        np.testing.assert_array_equal(ys(median), np.median(values, axis=0)[layers])


def published(panel: str, variance: float) -> Array:
    path = Path(curves.__file__).parents[1] / "data" / "figure_7_4_published.csv"
    with path.open(encoding="utf-8") as lines:
        rows = [
            (float(row["layer"]), float(row["log10_value"]))
            for row in csv.DictReader(lines)
            if row["panel"] == panel and float(row["weight_variance"]) == variance
        ]
    return np.array(rows)


def test_overlay_shows_the_published_points_in_the_ink_of_their_condition() -> None:
    config = FigureConfig("std", (-100, 100), "figure_7_4_published")
    figure = draw(figure_7_4(config))
    assert caption(figure).endswith("Circles: curves as published.")
    for ax, panel in zip(panels(figure), ("forward", "backward"), strict=True):
        for i, variance in enumerate(VARIANCES):
            circles = named(ax, f"published {variance:g}")
            expected = published(panel, variance)
            assert len(expected) > 40
            np.testing.assert_array_equal(circles.get_xydata(), expected[::4])
            assert circles.get_linestyle() == "None"
            ink = to_hex(named(ax, f"theory {i}").get_color())
            assert to_hex(circles.get_markeredgecolor()) == ink


def test_published_points_agree_with_standard_deviations_not_variances() -> None:
    for variance in VARIANCES:
        points = published("forward", variance)
        slope = np.polyfit(points[:, 0], points[:, 1], 1)[0]
        theory = np.log10(50 * variance)
        assert abs(slope - theory / 2) < 0.04
        if abs(theory) > 0.1:
            assert abs(slope - theory) > 0.1


def test_published_points_without_a_condition_are_grey() -> None:
    config = FigureConfig("std", (-100, 100), "figure_7_4_published")
    result = sweep_result([walks(0.0, 50, seed=0)], variances=[0.02], figure=config)
    for ax in panels(draw(result)):
        for variance in VARIANCES:
            color = to_rgb(named(ax, f"published {variance:g}").get_markeredgecolor())
            assert (color == (0.5, 0.5, 0.5)) == (variance != 0.02)


def test_no_overlay_unless_asked_for() -> None:
    for ax in panels(draw(figure_7_4())):
        assert not any(str(line.get_label()).startswith("published") for line in ax.lines)


@pytest.mark.parametrize("n", [2, 5, 8, 12, 20])
def test_colours_differ_in_lightness_and_labels_are_readable_on_white(n: int) -> None:
    first, second = panels(draw(flat(n)))
    colors = [to_hex(named(first, f"median {i}").get_color()) for i in range(n)]
    assert colors == [to_hex(named(second, f"median {i}").get_color()) for i in range(n)]
    steps = np.diff([relative_luminance(color) for color in colors])
    assert np.all(steps > 0.1 / n)  # a grey print, or a colour-blind eye, keeps the order
    for label in labels(first):
        assert 1.05 / (relative_luminance(label.get_color()) + 0.05) > 4.5  # WCAG AA


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_result_gives_the_same_bytes_whatever_the_users_settings(suffix: str) -> None:
    plain = saved(figure_7_4(), suffix)
    assert saved(figure_7_4(), suffix) == plain
    own: dict[Any, Any] = {
        "font.size": 31.0,
        "font.family": ["DejaVu Serif"],
        "mathtext.fontset": "cm",
        "lines.linewidth": 9.0,
        "axes.facecolor": "black",
        "axes.grid": True,
        "axes.unicode_minus": False,
        "figure.dpi": 37.0,
        "savefig.bbox": "tight",
        "savefig.facecolor": "red",
        "svg.fonttype": "none",
        "svg.hashsalt": "mine",
        "pdf.fonttype": 3,
        "ytick.direction": "in",
    }
    with matplotlib.rc_context(own):
        before = dict(matplotlib.rcParams)
        assert saved(figure_7_4(), suffix) == plain
        assert dict(matplotlib.rcParams) == before
    assert saved(flat(3), suffix) != plain


@pytest.mark.parametrize("name", ["end, activations", "slopes, widths", "spread"])
def test_other_kinds_give_the_same_bytes_as_well(name: str) -> None:
    result = of_kind(name)
    plain = saved(result, "svg")
    axis_scales.text_width.cache_clear()
    with matplotlib.rc_context({"font.size": 31.0, "font.family": ["DejaVu Serif"]}):
        assert saved(result, "svg") == plain


def test_a_result_is_drawn_at_its_size() -> None:
    figure = draw(figure_7_4())
    assert isinstance(figure, Figure)
    np.testing.assert_allclose(figure.get_size_inches(), [12, 5.4], rtol=0.01)


def simulated(
    *, width: int = 8, variances: str = "[0.25]", quantity: str = "variance", end: str = ""
) -> str:
    return f"""
name: x
network: {{depth: 6, width: {width}, input_dim: {width}}}
init: {{}}
inputs: {{count: 3}}
sweep: {{init.variance: {variances}}}
figure: {{quantity: {quantity}}}
trials: 20
{end}"""


@pytest.mark.parametrize(
    ("quantity", "share", "factor"),
    [
        ("variance", np.log10(1 - 1 / np.pi), 1.0),
        ("second_moment", 0.0, 1.0),
        ("std", np.log10(1 - 1 / np.pi), 0.5),
    ],
)
def test_predicted_bands_are_of_the_statistic_that_is_shown(
    quantity: str, share: float, factor: float
) -> None:
    # z ~ N(0, 1): E[max(z, 0)²] = 1/2, E[max(z, 0)]² = 1/(2π); the inputs have mean 0
    result = run_sweep(parse_config(simulated(quantity=quantity)))
    (curve,) = curves_of(result, "forward")
    assert curve.predicted is not None
    shares = curve.predicted / factor - result.conditions[0].quantiles["activation"]
    expected = np.broadcast_to(np.where(np.arange(7) > 0, share, 0.0), (3, 7))
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)  # of numbers below 10
    (alone,) = curves_of(predict_sweep(result.config), "forward")
    exact = predict_sweep(result.config).conditions[0].quantiles["activation"]
    shares = np.array([alone.seen.p05, alone.seen.median, alone.seen.p95]) / factor - exact
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)


def test_predicted_lines_are_the_quantiles_from_low_to_high() -> None:
    result = run_sweep(parse_config(simulated()))
    for ax, direction in zip(panels(draw(result)), QUANTITIES, strict=True):
        (curve,) = curves_of(result, direction)
        assert curve.predicted is not None
        low, median, high = curve.predicted
        assert ((low < median) & (median < high)).all()
        for name, values in (("p05", low), ("p50", median), ("p95", high)):
            assert np.array_equal(ys(named(ax, f"predicted {name} 0")), values)


@pytest.mark.parametrize(
    ("width", "variances", "shown"), [(8, "[0.25]", True), (100, "[1.0e-6, 1.0e+3]", False)]
)
def test_predicted_bands_are_drawn_and_explained_where_they_can_be_told_from_their_median(
    width: int, variances: str, shown: bool
) -> None:
    figure = draw(run_sweep(parse_config(simulated(width=width, variances=variances))))
    for ax in panels(figure):
        dotted = [line for line in ax.get_lines() if str(line.get_label()).startswith("predicted")]
        assert bool(dotted) == shown
    assert ("Dotted: predicted median" in caption(figure)) == shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("", ""), "predicted median for one input; band: 5–95 % of networks"),
        (("trials", "loss: {target: 1}\ntrials"), "predicted mean, or median and 5–95 % band"),
        (("{depth", "{activation: tanh, depth"), "predicted mean. Thin"),
    ],
    ids=["relu", "a target", "tanh"],
)
def test_the_caption_of_a_prediction_says_where_it_is_a_mean(
    change: tuple[str, str], said: str
) -> None:
    figure = draw(predict_sweep(parse_config(simulated().replace(*change))))
    assert f"Thick: {said}" in caption(figure)
