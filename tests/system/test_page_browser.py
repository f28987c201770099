"""The page of a run as a reader meets it in Chromium: `pytest -m browser`.

It takes the dependency group `browser`, and a Chromium: `chromium` or `google-chrome` on the path,
or the one that the environment variable CHROMIUM names.
"""

import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heinit_sim.checks import trend
from heinit_sim.checks.verdict import word_of_theory
from heinit_sim.config import load_config, parse_config
from heinit_sim.experiment.quantities import Measure, Pass
from heinit_sim.experiment.results import SweepResult
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import page
from heinit_sim.simulation import run_sweep
from heinit_sim.theory import predict_sweep

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
SIGMA = "variance of the weights, sigma squared"
WIDTH, DEPTH = "width of the hidden layers", "number of hidden layers"
PASSES: dict[Pass, Measure] = {
    "forward": ("activation", "variance"),
    "backward": ("grad_activation", "variance"),
}
Open = Callable[..., Any]
# Name -> function in JavaScript that looks at a page.
PROBES = dict(
    re.findall(
        r"(?ms)^// (\w+):.*?\n(\([^\n]*\) => .*?^\})",
        Path(__file__).with_suffix(".js").read_text("utf-8"),
    )
)


def of_figure_7_4(variance: float | None = None) -> SweepResult:
    """Twenty networks of Figure 7.4, at the variances of the book or at another."""
    changed = {} if variance is None else {"init.variance": variance, "sweep": {}}
    return run_sweep(load_config(ROOT / "configs/figure_7_4.yaml", {"trials": 20, **changed}))


@cache
def figure_7_4() -> SweepResult:
    return of_figure_7_4()


def small(text: str, activation: str = "relu") -> SweepResult:
    network = f"{{depth: 4, width: 6, input_dim: 5, activation: {activation}, output_dim: 3}}"
    return run_sweep(parse_config(f"name: small\nnetwork: {network}\ntrials: 10\n{text}\n"), jobs=1)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    names = (os.environ.get("CHROMIUM"), "chromium", "google-chrome")
    path = next(filter(None, (shutil.which(name) for name in names if name)), None)
    assert path, "no Chromium: install chromium, or name one by CHROMIUM"
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        arguments = [*QUIET, *["--no-sandbox"] * root]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a text as a file, and hold that it asked for nothing and said nothing."""
    wrong: list[str] = []
    contexts: list[Any] = []

    def open_page(text: str, width: int = 1600, scheme: str = "light", **options: Any) -> Any:
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(text, "utf-8")
        size = {"width": width, "height": 900}
        context = chromium.new_context(viewport=size, color_scheme=scheme, **options)
        contexts.append(context)
        shown = context.new_page()
        address = file.resolve().as_uri()
        shown.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.on("request", lambda r: None if r.url == address else wrong.append(r.url))
        shown.goto(address)
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def slider(shown: Any, name: str = SIGMA) -> Any:
    return shown.get_by_role("slider", name=name, exact=True)


def move(shown: Any, name: str, value: float) -> None:
    """Move a slider to the stop that stands nearest to a value."""
    slider(shown, name).evaluate(PROBES["move"], value)


def table(shown: Any) -> dict[str, Any]:
    """The table twin: column -> its log10 values."""
    twin = shown.locator(".heinit-twin").first
    if twin.get_attribute("open") is None:
        twin.locator("summary").click()
    twin.locator("tbody tr").first.wait_for()
    heads = twin.locator("thead th").all_inner_texts()
    rows = twin.locator("tbody tr").all_inner_texts()
    columns = zip(*(row.split("\t") for row in rows), strict=True)
    return {
        head: np.array([_log10(text) for text in column])
        for head, column in zip(heads, columns, strict=True)
    }


def _log10(text: str) -> float:
    mantissa, _, exponent = text.partition("e")
    if text == "not known":
        return math.nan
    return math.log10(float(mantissa)) + int(exponent or 0) if float(mantissa) else -math.inf


# The table has two digits, of which the second is rounded: by 0.05 of 1.0 at most.
TWO_DIGITS = math.log10(1.0501)


def words(shown: Any) -> list[str]:
    texts: list[str] = shown.locator(".heinit-word").all_inner_texts()
    return texts


def check_numbers(shown: Any, result: SweepResult, index: int = 0) -> None:
    """Hold the table and the words of the page to networks simulated at that variance."""
    outcome = result.conditions[index]
    found = table(shown)
    trends = {direction: trend(outcome, direction) for direction in PASSES}
    assert words(shown) == [fit.word for fit in trends.values()]
    for (direction, measure), facts in zip(
        PASSES.items(), shown.locator(".heinit-facts").all_inner_texts(), strict=True
    ):
        seen = spread(outcome.networks[measure])
        for name, wanted in {"5 %": seen.p05, "median": seen.median, "95 %": seen.p95}.items():
            column = found[f"{direction}, {name}"]
            np.testing.assert_allclose(column, wanted, rtol=0, atol=TWO_DIGITS)
        theory, _ = outcome.theory_shown(measure)
        column = found[f"{direction}, theory"]
        np.testing.assert_allclose(column, theory, rtol=0, atol=TWO_DIGITS)
        slope = re.search(r"([+−]\d\.\d{3})(?: ± (\d\.\d{3}))? decades", facts)
        assert slope, facts
        fit = trends[direction]
        assert abs(float(slope[1].replace("−", "-")) - fit.decades_per_layer) < 5.1e-4
        assert abs(float(slope[2]) - fit.error) < 5.1e-4


def test_the_slider_moves_by_keyboard_to_variances_that_were_not_simulated(opened: Open) -> None:
    shown = opened(page.to_page(figure_7_4()))
    found = slider(shown)
    check_numbers(shown, figure_7_4(), 2)
    assert found.get_attribute("aria-valuetext") == (
        "0.02, 2 over D, as simulated; forward stable, backward stable"
    )
    found.focus()
    seen = set()
    for presses in (3, -24):
        for _ in range(abs(presses)):
            found.press("ArrowRight" if presses > 0 else "ArrowLeft")
        variance = 10 ** float(found.get_attribute("data-at"))
        assert variance not in (0.001, 0.01, 0.02, 0.1, 1)
        check_numbers(shown, of_figure_7_4(variance))
        forward, backward = words(shown)
        spoken = found.get_attribute("aria-valuetext")
        assert spoken == f"{variance:.3g}; forward {forward}, backward {backward}"
        seen.add(forward)
    assert seen == {"exploding", "vanishing"}


def test_the_slider_moves_by_mouse_and_stops_at_what_was_simulated(opened: Open) -> None:
    shown = opened(page.to_page(figure_7_4()))
    box = slider(shown).bounding_box()
    x, y = box["x"] + box["width"] * 0.452, box["y"] + box["height"] / 2
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    shown.mouse.up()
    variance = 10 ** float(slider(shown).get_attribute("data-at"))
    assert 1 < variance < 2
    assert words(shown) == ["exploding", "exploding"]
    check_numbers(shown, of_figure_7_4(variance))
    for index, mark in enumerate(("0.001", "0.01", "0.02", "0.1", "1")):
        shown.locator(".heinit-marks").first.get_by_text(mark, exact=True).click()
        assert math.isclose(10 ** float(slider(shown).get_attribute("data-at")), float(mark))
        check_numbers(shown, figure_7_4(), index)


FREE = {  # quantity, inputs, activation: mean field; exact of one input; exact of any
    "variance of many": ("quantity: variance", 3, "relu"),
    "variance of one": ("quantity: variance", 1, "{name: leaky_relu, negative_slope: 0.3}"),
    "second moment": ("quantity: second_moment", 3, "relu"),
    "std": ("quantity: std", 1, "relu"),
    "linear": ("quantity: variance", 3, "linear"),
}


SIZED = [(name, "{variance: 0.3}") for name in FREE] + [("std", "{scheme: he_normal}")]


@pytest.mark.parametrize(("name", "init"), SIZED)
def test_other_widths_and_depths_have_the_theory_of_python(
    name: str, init: str, opened: Open
) -> None:
    quantity, n_inputs, activation = FREE[name]
    text = f"init: {init}\ninputs: {{count: {n_inputs}}}\nfigure: {{{quantity}}}"
    shown = opened(page.to_page(small(text, activation)))
    for width, depth in ((2, 3), (50, 40)):  # nearly too narrow for "stable"
        move(shown, WIDTH, width)
        move(shown, DEPTH, depth)
        network = f"{{depth: {depth}, width: {width}, input_dim: 5, activation: {activation}, "
        config = parse_config(f"name: small\nnetwork: {network}output_dim: 3}}\n{text}\n")
        wanted = predict_sweep(config).conditions[0]
        found = table(shown)
        assert list(found) == ["layer k", "forward, theory", "backward, theory"]
        statistic = "second_moment" if "second" in quantity else "variance"
        for direction, (measured, _) in PASSES.items():
            theory, exact = wanted.theory_shown((measured, statistic))  # type: ignore[arg-type]  # a literal
            factor = 0.5 if "std" in quantity else 1.0
            column = found[f"{direction}, theory"]
            np.testing.assert_allclose(column, factor * theory, rtol=0, atol=TWO_DIGITS)
            facts = shown.locator(".heinit-facts").all_inner_texts()[direction == "backward"]
            assert ("exact mean" if exact else "infinite width") in facts
        slope = float(np.diff(wanted.mean_field["activation", "second_moment"])[1])
        drift = -(wanted.log_norm_spread or 0.0) / 2 / depth / math.log(10)
        assert words(shown) == [f"{word_of_theory(slope, drift, depth)} (theory)"] * 2
        note = shown.locator(".heinit-note").inner_text()
        assert note == f"Theory alone: {depth} layers of {width} units were not simulated."
    move(shown, WIDTH, 6)
    move(shown, DEPTH, 4)
    assert shown.locator(".heinit-note").inner_text() == ""
    assert "forward, median" in table(shown)


def test_numbers_have_the_decimal_mark_of_the_figure(opened: Open) -> None:
    result = small("init: {variance: 0.3}\nfigure: {decimal: ','}")
    shown = opened(page.to_page(result))
    assert shown.locator(".heinit-value").first.inner_text() == "0,3"
    told = shown.locator(".heinit-panel").all_inner_texts()
    assert not re.search(r"\d\.\d", "".join(told))
    assert re.search(r"[+−]\d,\d{3} ± \d,\d{3} decades", told[0])


def test_where_the_law_does_not_hold_the_slider_stops_at_what_was_simulated(opened: Open) -> None:
    swept = "sweep: {network.activation: [tanh, relu], init.variance: [0.1, 0.3, 1]}"
    result = small(f"init: {{variance: 1}}\n{swept}")
    shown = opened(page.to_page(result))
    choice = shown.get_by_role("combobox")
    choice.select_option("tanh")
    for index in range(3):
        slider(shown).press("Home")
        for _ in range(index):
            slider(shown).press("ArrowRight")
        check_numbers(shown, result, index)
    slider(shown).press("ArrowRight")
    check_numbers(shown, result, 2)
    choice.select_option("ReLU")
    check_numbers(shown, result, 5)
    slider(shown).press("ArrowLeft")
    assert 0.9 < 10 ** float(slider(shown).get_attribute("data-at")) < 1


def test_no_theory_is_said_to_hold_where_none_does(opened: Open) -> None:
    network = "network: {depth: 30, width: 2, input_dim: 5, activation: gelu}"
    text = f"name: small\n{network}\ninit: {{variance: 1}}\ntrials: 10\n"
    narrow = run_sweep(parse_config(text), jobs=1)
    assert narrow.conditions[0].misfit is not None
    shown = opened(page.to_page(narrow))
    assert "No theory is known here" in shown.locator(".heinit-facts").first.inner_text()


@contextmanager
def in_both_themes(opened: Open, text: str) -> Iterator[list[Any]]:
    yield [opened(text, width, scheme) for width in (400, 1600) for scheme in ("light", "dark")]


def test_nothing_overlaps_or_is_cut_and_all_is_legible_wherever_the_slider_is(opened: Open) -> None:
    with in_both_themes(opened, page.to_page(figure_7_4())) as pages:
        for shown in pages:
            for zoomed in (False, True):
                shown.get_by_label("Zoom in on the curve").set_checked(zoomed)
                slider(shown).press("Home")
                for _ in range(11):
                    assert shown.evaluate(PROBES["overlaps"]) == []
                    texts, lines = shown.evaluate(PROBES["contrasts"])
                    assert texts >= 4.5
                    assert lines >= 3
                    slider(shown).press("PageUp")
            for name, value in ((WIDTH, 1000), (DEPTH, 200)):
                move(shown, name, value)
                assert shown.evaluate(PROBES["overlaps"]) == []


def test_two_of_one_fragment_live_on_one_page_and_know_nothing_of_each_other(opened: Open) -> None:
    fragment = page.to_fragment(figure_7_4())
    shown = opened(f"<!doctype html><meta charset=utf-8><body>{fragment}<hr>{fragment}")
    first, second = slider(shown).all()
    first.press("End")
    assert words(shown) == ["exploding", "exploding", "stable", "stable"]
    second.press("Home")
    assert words(shown) == ["exploding", "exploding", "vanishing", "vanishing"]
    ids = shown.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    blank = opened("<!doctype html>")
    names = "Object.getOwnPropertyNames(window).sort()"
    assert shown.evaluate(names) == blank.evaluate(names)
    outside = "getComputedStyle(document.querySelector('hr')).cssText"
    assert opened("<!doctype html><hr>").evaluate(outside) == shown.evaluate(outside)


def test_it_is_a_figure_with_words_for_a_screen_reader(opened: Open) -> None:
    shown = opened(page.to_page(figure_7_4()))
    for name in (SIGMA, WIDTH, DEPTH):
        assert slider(shown, name).count() == 1
    for name in ("Forward pass: stable", "Backward pass: stable"):
        drawing = shown.get_by_role("img", name=name)
        assert "decades of variance per layer" in drawing.locator("desc").text_content()
    simulated = shown.locator(".heinit-run table")
    shown.get_by_text("All that was simulated, as a table").click()
    assert simulated.locator("tr").count() == 6
    assert simulated.locator("th[scope=col]").count() == 7
    shown.keyboard.press("Shift+Tab")
    reached = shown.evaluate("document.activeElement.textContent")
    assert reached == "These curves as a table"


def test_it_is_printed_in_light_colours_without_sliders_and_moves_only_if_asked(
    opened: Open,
) -> None:
    shown = opened(page.to_page(figure_7_4()), scheme="dark", reduced_motion="reduce")
    duration = "getComputedStyle(document.querySelector('.heinit-word')).transitionDuration"
    assert shown.evaluate(duration) == "0s"
    ground = "getComputedStyle(document.querySelector('figure')).backgroundColor"
    assert shown.evaluate(ground) != "rgb(255, 255, 255)"
    shown.emulate_media(media="print")
    assert shown.evaluate(ground) == "rgb(255, 255, 255)"
    assert not slider(shown).is_visible()
    assert shown.get_by_text("0.02 = 2/D").is_visible()
    shown.wait_for_function(
        "document.querySelector('svg svg path').getAttribute('fill') === 'rgb(157, 28, 158)'"
        " || getComputedStyle(document.querySelector('svg svg path')).fill.startsWith('rgb(1')"
    )
    texts, lines = shown.evaluate(PROBES["contrasts"])
    assert texts >= 4.5
    assert lines >= 3


def test_without_scripts_the_page_says_so(opened: Open) -> None:
    shown = opened(page.to_page(figure_7_4()), java_script_enabled=False)
    assert shown.get_by_text("which does not run here").is_visible()
    shown.get_by_text("All that was simulated, as a table").click()
    assert shown.get_by_role("cell", name="exploding").count() == 2
