"""What `import heinit_sim` offers."""

import subprocess
import sys
from pathlib import Path

import pytest

import heinit_sim


def test_public_names_are_all_there() -> None:
    assert heinit_sim.__all__ == sorted(heinit_sim.__all__)
    assert all(getattr(heinit_sim, name).__doc__ for name in heinit_sim.__all__)


CONFIG = str(Path(__file__).parents[1] / "configs" / "figure_7_4.yaml")


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("", {"numpy", "matplotlib", "rich", "pydantic", "yaml"}),
        (f"heinit_sim.load_config({CONFIG!r})", {"numpy", "matplotlib", "rich", "typer"}),
    ],
)
def test_import_and_reading_a_config_load_nothing_heavy(code: str, heavy: set[str]) -> None:
    command = [sys.executable, "-c", f"import heinit_sim, sys\n{code}\nprint(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not heavy & set(loaded.stdout.split())
