import csv
import itertools
import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.typing import ColorType

import heinit_sim
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import FigureConfig, FigureQuantity
from heinit_sim.figures.axes.curves import QUANTITIES, curves_of
from heinit_sim.figures.draw import draw
from heinit_sim.figures.formats.builds import build_steps
from heinit_sim.figures.formats.pgfplots import to_pgfplots
from heinit_sim.numerics import FloatArray
from tests.figures.helpers import (
    RESULTS,
    SHEET,
    VARIANCES,
    caption,
    drawn,
    drawn_7_4,
    edges,
    figure_7_4,
    flat,
    has,
    labels,
    leader,
    named,
    panels,
    sweep_result,
    walks,
    xs,
    ys,
)


def relative_luminance(color: ColorType) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


@pytest.mark.parametrize("panel", [0, 1])
def test_medians_bands_and_theory_are_those_of_the_networks(panel: int) -> None:
    result = figure_7_4()
    ax = panels(drawn_7_4())[panel]
    measure: Measure = ("activation", "variance") if panel == 0 else ("grad_activation", "variance")
    for i, one in enumerate(result.conditions):
        values = one.networks[measure]
        np.testing.assert_array_equal(xs(ax, f"median {i}"), np.arange(51))
        np.testing.assert_allclose(
            ys(ax, f"median {i}"), np.median(values, axis=0), rtol=0, atol=1e-12
        )
        layers, low, high = edges(ax, f"band {i}")
        np.testing.assert_array_equal(layers, np.arange(51))
        np.testing.assert_allclose(low, np.quantile(values, 0.05, axis=0), rtol=0, atol=1e-12)
        np.testing.assert_allclose(high, np.quantile(values, 0.95, axis=0), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ys(ax, f"theory {i}"), one.theory[measure])


def test_theory_known_on_some_layers_only_gives_way_to_infinite_width() -> None:
    result = figure_7_4(exact=False)
    figure = draw(result)
    for ax, quantity in zip(panels(figure), ("activation", "grad_activation"), strict=True):
        drawn = ys(ax, "theory 2")
        measures = result.conditions[2].mean_field
        (expected,) = (v for m, v in measures.items() if m == (quantity, "variance"))
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("exact", "said"), [(True, "theory, exact mean"), (False, "theory, infinite width")]
)
def test_caption_says_which_theory_and_how_many_networks(exact: bool, said: str) -> None:
    text = caption(drawn_7_4(exact=exact))
    assert said in text
    assert "median of 40 networks" in text
    assert "5–95 %" in text
    assert "Circles" not in text


def test_caption_tells_apart_theories_that_differ_between_panels() -> None:
    result = figure_7_4()
    for one in result.conditions:
        one.theory["activation", "variance"][:] = np.nan
    text = caption(draw(result))
    assert "Thin in a: theory, infinite width. Thin in b: theory, exact mean." in text


def test_caption_does_not_call_one_network_a_median() -> None:
    text = caption(draw(sweep_result([walks(0.0, 10, seed=0, n=1)])))
    assert "one network" in text
    assert "median" not in text


def test_forward_medians_lie_dashed_and_thin_behind_the_backward_panel() -> None:
    first, second = panels(drawn_7_4())
    for i in range(5):
        front, behind = named(first, f"median {i}"), named(second, f"behind {i}")
        np.testing.assert_array_equal(ys(second, f"behind {i}"), ys(first, f"median {i}"))
        assert behind.get_color() is not None
        assert to_hex(behind.get_color()) == to_hex(front.get_color())
        assert behind.is_dashed()
        assert not named(second, f"median {i}").is_dashed()
        assert behind.get_linewidth() < named(second, f"median {i}").get_linewidth() / 2
        assert behind.get_zorder() < named(second, f"median {i}").get_zorder()


def test_theory_is_a_thin_line_on_top_of_the_median() -> None:
    for ax in panels(drawn_7_4()):
        median, theory = named(ax, "median 0"), named(ax, "theory 0")
        assert theory.get_zorder() > median.get_zorder()
        assert theory.get_linewidth() < median.get_linewidth() / 3


def test_standard_deviations_are_half_the_decades_of_variances() -> None:
    shown = figure_7_4(FigureConfig("std"))
    for ax, twin in zip(panels(draw(shown)), panels(drawn_7_4()), strict=True):
        for name in ("median 4", "theory 4"):
            np.testing.assert_allclose(ys(ax, name), ys(twin, name) / 2, rtol=0, atol=1e-12)
        for half, whole in zip(edges(ax, "band 4")[1:], edges(twin, "band 4")[1:], strict=True):
            np.testing.assert_allclose(half, whole / 2, rtol=0, atol=1e-12)


def test_second_moments_are_not_variances() -> None:
    for ax, twin in zip(
        panels(draw(figure_7_4(FigureConfig("second_moment")))),
        panels(drawn_7_4()),
        strict=True,
    ):
        difference = ys(ax, "median 1") - ys(twin, "median 1")
        np.testing.assert_allclose(difference, 0.25, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("variance", "Variance of"),
        ("second_moment", "Second moment of"),
        ("std", "Standard deviation of"),
    ],
)
def test_axes_say_what_is_shown(
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
    ax = panels(drawn(name))[panel]
    for i in range(len(result.conditions)):
        arrow = named(ax, f"arrow {i}")
        curve = np.stack([xs(ax, f"median {i}"), ys(ax, f"median {i}")], axis=1)
        points = ax.transData.transform(curve)
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
    first, second = panels(drawn_7_4())
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


def test_labels_stand_in_the_order_of_the_curves_ends() -> None:
    both = panels(drawn("12 nearly equal"))
    ends = [
        ax.transData.transform((0, ys(ax, f"median {i}")[layer]))[1]
        for ax, layer in zip(both, (-1, 0), strict=True)
        for i in range(12)
    ]
    heights = [label.get_position()[1] for label in labels(both[0])]
    assert len(heights) == 12
    order = np.argsort(np.reshape(ends, (2, 12)).mean(0))
    assert np.all(np.diff(np.array(heights)[order]) > 0)


def test_only_labels_that_were_moved_have_leaders() -> None:
    apart = sweep_result([(np.full((5, 11), y), np.full((5, 11), y)) for y in (-50.0, 0.0, 50.0)])
    for ax in panels(draw(apart)):
        assert [leader(ax, i) for i in range(3)] == [None] * 3
    for ax in panels(draw(flat(4))):
        assert all(leader(ax, i) is not None for i in range(4))


def test_a_curve_that_ends_earlier_is_led_to_its_label() -> None:
    first, _ = panels(drawn("different depths"))
    leaders = [leader(first, i) is not None for i in range(4)]
    assert leaders[:3] == [True, True, True]
    for i, depth in enumerate((1, 5, 20, 50)):
        assert xs(first, f"median {i}")[-1] == depth


def test_layers_of_zeros_leave_a_gap() -> None:
    both = panels(drawn("dying"))
    assert labels(both[0])[0].get_text().endswith("(all zero)")
    for ax in both:
        bottom = ax.get_ylim()[0]
        assert np.isnan(ys(ax, "median 0")).all()
        assert not has(ax, "arrow 0")
        np.testing.assert_array_equal(np.isnan(ys(ax, "median 1")), np.arange(51) >= 20)
        assert np.isfinite(ys(ax, "median 2")).all()
        # 4 of 40 networks are zero: the lower end of the band is below any scale.
        layers, low, high = edges(ax, "band 2")
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
            assert -20 <= ys(ax, f"arrow {i}")[0] <= 20
    median = ys(first, "median 4")
    last = np.flatnonzero(median <= 20)[-1]
    np.testing.assert_array_equal(named(first, "arrow 4").get_xydata(), [[last, median[last]]])
    # Backward, σ² = 1 is above the scale from end to end: its head stands at the corner.
    np.testing.assert_array_equal(named(second, "arrow 4").get_xydata(), [[0, 20]])


@pytest.mark.parametrize("name", ["Figure 7.4", "12 nearly equal", "12 equal", "2,000 layers"])
def test_a_fitted_range_is_shared_and_holds_every_band(name: str) -> None:
    result = RESULTS[name]
    first, second = panels(drawn(name))
    assert first.get_ylim() == second.get_ylim()
    low, high = first.get_ylim()
    curves = [curve for direction in QUANTITIES for curve in curves_of(result, direction, SHEET)]
    assert low < min(curve.low.min() for curve in curves)
    assert high > max(curve.high.max() for curve in curves)
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


def test_layer_ticks_are_whole_layers_of_the_network() -> None:
    for name, last in (("one layer", 1), ("Figure 7.4", 50), ("2,000 layers", 2000)):
        for ax in panels(drawn(name)):
            places = ax.get_xticks()
            assert places[0] == 0
            assert places[-1] == last
            texts = [text.get_text() for text in ax.get_xticklabels()]
            assert [int(text.replace(",", "")) for text in texts] == places.tolist()


def test_ten_thousand_layers_are_thinned_out_but_not_changed() -> None:
    forward, backward = walks(-1.3, 10_000, seed=0, n=5)
    for ax, values in zip(
        panels(draw(sweep_result([(forward, backward)]))), (forward, backward), strict=True
    ):
        layers = xs(ax, "median 0").astype(int)
        assert len(layers) == 1001
        assert (layers[0], layers[-1]) == (0, 10_000)
        assert set(np.diff(layers)) == {10}
        np.testing.assert_array_equal(ys(ax, "median 0"), np.median(values, axis=0)[layers])


def published(panel: str, variance: float) -> FloatArray:
    path = Path(heinit_sim.__file__).parent / "data" / "figure_7_4_published.csv"
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
    assert caption(figure).endswith("Circles: as published.")
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
            color = to_hex(named(ax, f"published {variance:g}").get_markeredgecolor())
            assert (color == SHEET.grey(0.5)) == (variance != 0.02)


def test_no_overlay_unless_asked_for() -> None:
    for ax in panels(drawn_7_4()):
        assert not any(str(line.get_label()).startswith("published") for line in ax.lines)


@pytest.mark.parametrize(
    ("quantity", "factor"), [("variance", 2), ("second_moment", 2), ("std", 1)]
)
def test_limits_are_those_of_the_format_in_the_unit_of_the_quantity(
    quantity: FigureQuantity, factor: int
) -> None:
    result = sweep_result([walks(0.0, 20, seed=0)], figure=FigureConfig(quantity, limits="float16"))
    figure = draw(result)
    ends = np.finfo(np.float16)
    expected = {"smallest": float(ends.smallest_normal), "largest": float(ends.max)}
    for ax in panels(figure):
        low, high = ax.get_ylim()
        for name, end in expected.items():
            (first, last) = ys(ax, f"limit {name}")
            assert first == last
            assert abs(first - factor * math.log10(end)) < 1e-12
            assert low < first < high
    squared = "" if factor == 1 else ", squared"
    assert f"Dashes and dots: largest and smallest normal float16{squared}." in caption(figure)


def test_limits_beyond_a_range_that_is_given_are_left_out_of_it() -> None:
    given = FigureConfig("std", (-2, 1), limits="bfloat16")
    for ax in panels(draw(sweep_result([walks(0.0, 20, seed=0)], figure=given))):
        assert ax.get_ylim() == (-2, 1)


def test_limits_are_there_in_every_step_and_in_latex() -> None:
    result = sweep_result([walks(0.0, 20, seed=0)], figure=FigureConfig(limits="float16"))
    figure = draw(result)
    steps = build_steps(figure, result)
    moving = {str(artist.get_gid()) for artist in steps[-1].shown}
    assert not any("limit" in gid for gid in moving)
    document, _ = to_pgfplots(figure, "x_lines.csv")
    for direction in ("forward", "backward"):
        for name in ("smallest", "largest"):
            assert document.count(f"% {direction}-limit-{name}\n") == 1


@pytest.mark.parametrize("n", [2, 5, 8, 12, 20])
def test_colours_differ_in_lightness_and_labels_are_readable_on_white(n: int) -> None:
    first, second = panels(draw(flat(n)))
    colors = [to_hex(named(first, f"median {i}").get_color()) for i in range(n)]
    assert colors == [to_hex(named(second, f"median {i}").get_color()) for i in range(n)]
    steps = np.diff([relative_luminance(color) for color in colors])
    assert np.all(steps[:-1] > 0.1 / n)  # a grey print, or a colour-blind eye, keeps the order
    assert steps[-1] > 0  # of the last, which is as light as it may be
    for label in labels(first):
        assert 1.05 / (relative_luminance(label.get_color()) + 0.05) > 4.5  # WCAG AA
