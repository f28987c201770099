"""Imports go to lower ranks only; a line of code knows its room."""

import ast
import re
from pathlib import Path

import pytest

import heinit_sim
from heinit_sim.activations import ACTIVATIONS
from heinit_sim.schema import config_schema

PACKAGE = Path(heinit_sim.__file__).parent
RANKS = [
    {"errors", "scalars", "normal", "initializers", "gain_constants", "scaled", "tails"}
    | {"input_options", "texts", "topology"},
    {"activations", "patches"},
    {"records", "documents", "gallery", "placement", "weight_laws", "convolutions"},
    {"data_sets", "kinds", "moments", "results"},
    {"input_laws", "input_facts", "sections", "network_kinds", "operations"},
    {"manifest", "pairing", "scale_law", "draws", "blocks", "quadrature", "network_options"}
    | {"theory", "log_law", "spread", "fates", "identities", "own_activations"}
    | {"scales", "strokes", "figure_kinds", "profiles"},
    {"weight_options", "pairs", "lsuv", "histograms", "network", "cosines"},
    {"wide_layers"},
    {"wide_networks"},
    {"schema", "layer_laws", "passes", "curves", "frames", "mean_field", "chain", "steps"}
    | {"common_scales", "mean_ratios", "verdict", "probes", "moment_rules", "critical"}
    | {"densities", "correlations"},
    {"series", "panes", "problems", "predictions", "expectations", "phase", "gains"}
    | {"layer_identities", "xavier_identities", "gradient_identities", "comparison"},
    {"drafts", "selection", "sweep", "tables", "exports", "checks", "verification"}
    | {"phase_labels", "layers", "ends", "slopes", "log_spreads", "ridges", "input_choice"}
    | {"angles"},
    {"grid", "figures"},
    {"config", "cost", "reports", "arrays", "identity_tables", "prediction_tables"}
    | {"phase_tables", "phase_figures", "gain_tables"},
    {"outputs"},
    {"terminal"},
    {"shell", "outcome"},
    {"cli", "analysis"},
    {"__init__", "__main__"},
]
RANK = {module: rank for rank, modules in enumerate(RANKS) for module in modules}
# Words that belong to one room (or, for NumPy and matplotlib, to the rooms that may load them).
HOMES = {
    r"^\s*(import|from) yaml\b": {"documents"},
    r"\bpydantic\b": {"kinds", "sections", "weight_options", "schema", "problems", "selection"}
    | {"network_kinds", "network_options"},
    r"\bnp\.maximum\(z": {"activations"},
    r"\bSeedSequence\(": {"draws"},
    r"\bThreadPoolExecutor\(": {"sweep"},
    r"\bax\.": {"frames", "strokes", "panes", "layers", "ridges", "slopes"}
    | {"phase_figures", "phase_labels"},
    r"\.savefig\(": {"exports"},
    r"\bmkdir\(": {"outputs", "placement"},
    r"\btyper\.Exit\b": {"shell"},
    r"\bprint\(": {"terminal"},
    r"\bpyplot\b": set(),
}


def modules() -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in PACKAGE.glob("*.py")}


def imported(source: str) -> set[str]:
    """The package's modules that this source imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
        if isinstance(node, ast.ImportFrom) and node.module == "heinit_sim":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("heinit_sim."):
            names.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            parts = (alias.name.split(".") for alias in node.names)
            names |= {part[1] for part in parts if part[0] == "heinit_sim" and len(part) > 1}
    return names


def test_every_module_has_a_rank() -> None:
    assert set(modules()) == set(RANK)


@pytest.mark.parametrize("module", sorted(RANK))
def test_imports_go_to_lower_ranks_only(module: str) -> None:
    upward = {
        (module, other) for other in imported(modules()[module]) if RANK[other] >= RANK[module]
    }
    assert not upward


def test_theory_and_network_do_not_know_each_other() -> None:
    assert "network" not in imported(modules()["theory"])
    assert "theory" not in imported(modules()["network"])


@pytest.mark.parametrize("pattern", HOMES)
def test_a_line_knows_its_room(pattern: str) -> None:
    found = {
        module for module, source in modules().items() if re.search(pattern, source, re.MULTILINE)
    }
    assert found == HOMES[pattern]


@pytest.mark.parametrize(
    "module",
    [
        "cli",
        "analysis",
        "shell",
        "terminal",
        "outcome",
        "config",
        "documents",
        "drafts",
        "problems",
        "schema",
        "kinds",
        "network_kinds",
        "network_options",
        "figure_kinds",
    ],
)
def test_reading_a_config_loads_neither_numpy_nor_matplotlib(module: str) -> None:
    top = ast.parse(modules()[module]).body
    at_top = [node for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    text = " ".join(ast.unparse(node) for node in at_top)
    assert not re.search(r"numpy|matplotlib|rich", text)


def test_activations_of_configs_are_those_that_can_be_simulated() -> None:
    assert all(f'"{name}"' in str(config_schema()).replace("'", '"') for name in ACTIVATIONS)


def test_public_names_are_all_there() -> None:
    assert heinit_sim.__all__ == sorted(heinit_sim.__all__)
    assert all(getattr(heinit_sim, name).__doc__ for name in heinit_sim.__all__)
