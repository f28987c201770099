"""The page of a run, as text; tests/system/test_page_browser.py reads it in a browser."""

import html.parser
import json
import math
import re
from dataclasses import replace
from functools import cache
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from heinit_sim.checks import trend
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure, Pass
from heinit_sim.experiment.results import SweepResult
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import page
from heinit_sim.simulation import run_sweep

CONFIG = """
name: small
network: {depth: 4, width: 20, input_dim: 5, output_dim: 2}
init: {variance: 0.1}
inputs: {count: 3}
trials: 30
"""
SIGMAS = "sweep: {init.variance: [0.02, 0.1, 0.5]}"
MEASURES: dict[Pass, Measure] = {
    "forward": ("activation", "variance"),
    "backward": ("grad_activation", "variance"),
}
WIDTHS = "sweep: {network.width: [5, 10], init.variance: [0.1, 0.4]}\n"
MIXED = "sweep: {network.activation: [relu, tanh], init.variance: [0.1, 0.4]}\n"
RUNS = {  # what is added -> whether the scale law holds, networks, samples of each
    SIGMAS: ([True], 1, 1),
    f"{SIGMAS}\ndraws: independent": ([True], 1, 3),
    f"{SIGMAS}\nloss: {{target: 1}}": ([False], 1, 3),
    f"{SIGMAS}\nloss: {{name: probe}}": ([True], 1, 1),
    f"{SIGMAS}\nloss: {{name: cross_entropy}}": ([False], 1, 3),
    f"{SIGMAS}\nfigure: {{quantity: std}}": ([True], 1, 1),
    "trials: 1": ([True], 1, 1),
    WIDTHS: ([True] * 2, 2, 1),
    "sweep: {network.width: [5, [5, 4, 3, 2]]}": ([True] * 2, 2, 1),
    "sweep: {init.bias_variance: [0, 0.1]}": ([True, False], 2, 1),
}


@cache
def result_of(added: str = SIGMAS) -> SweepResult:
    lines = [line for line in CONFIG.splitlines() if line.split(":")[0] != added.split(":")[0]]
    return run_sweep(parse_config("\n".join([*lines, added]) + "\n"), jobs=1)


def numbers(values: list[Any]) -> Any:
    return np.array([np.nan if value is None else float(value) for value in values])


@pytest.mark.parametrize("added", RUNS)
def test_every_condition_is_reached_from_the_numbers_of_the_page(added: str) -> None:
    result = result_of(added)
    data = page.page_data(result)
    laws, count, samples = RUNS[added]
    assert [network["law"] for network in data["networks"]] == laws
    assert len(data["networks"]) == count
    factor = 0.5 if data["quantity"] == "std" else 1.0
    reached = 0
    for network in data["networks"]:
        assert len(network["samples"]) == samples
        depth, k = network["depth"], np.array(network["layers"])
        for swept in network["swept"]:
            sample = min(network["samples"], key=lambda s: abs(s["at"] - swept["at"]))
            shift = swept["at"] - sample["at"]
            outcome = result.conditions[reached]
            reached += 1
            for direction, measure in MEASURES.items():
                times = 1 if network["probe"] else 2
                power = k if direction == "forward" else times * (depth + 1) - k
                seen = spread(factor * outcome.networks[measure])
                for name, wanted in (("low", seen.p05), ("median", seen.median)):
                    found = numbers(sample[direction][name]) + factor * shift * power
                    np.testing.assert_allclose(found, wanted, rtol=0, atol=6e-7)  # six decimals
                fit = trend(outcome, direction)
                found_slope = sample[direction]["slope"]
                if not math.isnan(fit.decades_per_layer):
                    assert abs(found_slope + shift - fit.decades_per_layer) < 6e-7
                words = sample[direction]["words"]
                assert next(w for upper, w, _ in words if upper is None or shift <= upper) == (
                    fit.word
                )
    assert reached == len(result.conditions)


def test_what_the_page_computes_theory_with() -> None:
    leaky = "network: {depth: 4, width: 20, input_dim: 5, activation: leaky_relu}"
    free = page.page_data(result_of(leaky))["networks"][0]["free"]
    a = 0.01
    assert (free["p2"], free["p4"]) == ((1 + a**2) / 2, (1 + a**4) / 2)
    assert math.isclose(free["mean"], (1 - a) / math.sqrt(2 * math.pi), rel_tol=1e-15)
    assert free["exact"] == {"forward": False, "backward": False}
    one = page.page_data(result_of("inputs: {count: 1}"))["networks"][0]["free"]
    assert one["exact"] == {"forward": True, "backward": True}
    assert (one["input_second"], one["input_variance"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    "added",
    [
        "network: {depth: 4, width: 20, input_dim: 5, activation: tanh}",
        "network: {depth: 3, width: [6, 5, 4], input_dim: 5}",
        "init: {scheme: he_uniform}",
        "init: {scheme: he_normal, first: {scheme: lecun_normal}}",
        "loss: {target: 1}",
    ],
)
def test_no_other_size_is_offered_where_no_formula_holds(added: str) -> None:
    assert page.page_data(result_of(added))["networks"][0]["free"] is None


@pytest.mark.parametrize(
    ("added", "scale"),
    [
        (SIGMAS, "variance"),
        ("init: {scheme: he_normal}", "fan_in"),  # of layers with 5 and 20 inputs
        ("init: {scheme: xavier_normal}", "factor"),
        ("init: {scheme: constant, mean: 0.1}", "factor"),  # of no variance
    ],
)
def test_what_the_slider_of_variance_shows(added: str, scale: str) -> None:
    assert page.page_data(result_of(added))["scale"] == scale


class Tags(html.parser.HTMLParser):
    """The tags of a page, its attributes, and the texts within scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1][0] if self.tags else "", []).append(data)


HOSTILE = "</script><img src=x onerror=alert(1)>\u2028&amp;\"'"


def test_no_name_becomes_markup() -> None:
    result = result_of("sweep: {network.activation: [relu, linear]}")
    names = (HOSTILE, "linear")
    conditions = tuple(
        replace(outcome, condition=replace(outcome.condition, swept={"network.activation": name}))
        for outcome, name in zip(result.conditions, names, strict=True)
    )
    config = replace(
        result.config,
        name=HOSTILE,
        sweep={"network.activation": names},
        conditions=tuple(outcome.condition for outcome in conditions),
    )
    tags = Tags(page.to_page(SweepResult(config, conditions)))
    assert not [tag for tag, _ in tags.tags if tag == "img"]
    assert [tag for tag, _ in tags.tags].count("script") == 2
    data = json.loads(tags.texts["script"][0])
    assert data["controls"][0]["texts"][0] == HOSTILE.replace("\u2028", r"\u2028")  # printable
    assert tags.texts["title"][0] == HOSTILE


def test_a_page_asks_for_nothing_and_leaves_no_name_behind() -> None:
    result = result_of()
    text, fragment = page.to_page(result), page.to_fragment(result)
    assert text == page.to_page(result)
    assert fragment in text
    for tag, attributes in Tags(text).tags:
        assert not {"id", "src", "href", "srcset", "style"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    addresses = re.findall(r"[a-z]+://[^\"']*", text)
    assert addresses == ["http://www.w3.org/2000/svg"]  # a name, which nothing opens
    assert not re.search(r"@import|url\(|\bimport\b|\beval\b|innerHTML", text)
    assert Tags(fragment).tags[0][0] == "figure"
    assert fragment.endswith("</figure>\n")
    for selectors in re.findall(r"(?m)^ *([^@{}/]+) \{", re.sub(r"@media[^{]*", "", fragment)):
        if selectors.startswith("."):
            assert all(
                s.strip().startswith(".heinit") for s in re.split(r",(?![^(]*\))", selectors)
            )
    policy = next(a["content"] for t, a in Tags(text).tags if t == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def test_figure_7_4_is_80_kb_at_most() -> None:
    from heinit_sim.config import load_config

    result = run_sweep(load_config("configs/figure_7_4.yaml", {"trials": 4}), jobs=1)
    assert len(page.to_page(result).encode()) <= 80_000


def test_colours_are_those_of_figures() -> None:
    script = page.to_fragment(result_of())
    plasma = matplotlib.colormaps["plasma"]
    for theme, first in (("light", 1), ("dark", 4)):
        colours = re.search(rf"{theme}: \[(.*?)\]", script)
        assert colours
        wanted = [to_hex(plasma(n / 10)) for n in range(first, first + 6)]
        assert re.findall("#[0-9a-f]{6}", colours[1]) == wanted


def test_dead_and_unknown_layers_are_told_apart() -> None:
    dead = "network: {depth: 30, width: 1, input_dim: 5}"
    data = page.page_data(result_of(dead))
    assert data["networks"][0]["samples"][0]["forward"]["median"][-1] == "-Infinity"
    assert "-Infinity" in page.to_page(result_of(dead))
    overflow = "network: {depth: 200, width: 8, input_dim: 5, activation: linear}"
    biased = run_sweep(
        parse_config(
            f"name: small\n{overflow}\ninit: {{variance: 2000, bias_variance: 1}}\ntrials: 2\n"
        ),
        jobs=1,
    )
    passes = page.page_data(biased)["networks"][0]["samples"][0]
    assert passes["backward"]["median"] == [None] * len(passes["backward"]["median"])
    assert passes["backward"]["words"][0][1] == "undefined"


def test_deep_networks_show_some_of_their_layers() -> None:
    layers = page.page_data(result_of("network: {depth: 301, width: 1, input_dim: 5}"))
    shown = layers["networks"][0]["layers"]
    assert len(shown) == 251
    assert (shown[0], shown[-1]) == (0, 301)


def test_values_have_the_labels_of_the_figure_or_their_proper_names() -> None:
    labelled = "sweep: {network.activation: [silu, relu], init.variance: [0.02, 0.1]}\nfigure: "
    data = page.page_data(result_of(f"{labelled}{{labels: {{0.1: 'He, 2/D'}}, title: Layers}}"))
    assert data["controls"] == [{"name": "activation", "texts": ["SiLU", "ReLU"], "numeric": False}]
    assert [at["text"] for at in data["networks"][0]["swept"]] == ["0.02", "He, 2/D"]
    comma = page.page_data(result_of(f"{SIGMAS}\nfigure: {{decimal: ','}}"))
    assert comma["decimal"] == ","
    assert [at["text"] for at in comma["networks"][0]["swept"]] == ["0,02", "0,1", "0,5"]
    assert "<title>Layers</title>" in page.to_page(result_of("figure: {title: Layers}"))


def test_the_page_begins_where_the_passes_are_most_level() -> None:
    assert page.page_data(result_of())["start"] == [0, 1]  # 2/D
    assert page.page_data(result_of("sweep: {init.variance: [0.3, 0.5]}"))["start"] == [0, 0]
    one_layer = "network: {depth: 1, width: 20, input_dim: 5}"
    assert page.page_data(result_of(one_layer))["start"] == [0, 0]
