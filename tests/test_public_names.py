"""What `import heinit_sim` offers."""

import subprocess
import sys

import heinit_sim


def test_public_names_are_all_there() -> None:
    assert heinit_sim.__all__ == sorted(heinit_sim.__all__)
    assert all(getattr(heinit_sim, name).__doc__ for name in heinit_sim.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import heinit_sim, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "matplotlib", "rich", "pydantic", "yaml"} & set(loaded)
