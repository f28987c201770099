"""Configs of small networks for tests, and what is said of a wrong config."""

import pytest

from heinit_sim.config import Override, parse_config, parse_override
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.sweep_config import SweepConfig

DENSE = """\
name: small
network:
  depth: 3
  width: 4
  input_dim: 5
init:
  variance: 0.5
"""
SMALL = """
name: small
network: {depth: 3, width: 8, input_dim: 5}
init: {variance: 0.25}
inputs: {count: 4}
trials: 4
"""
CNN = """\
name: small
network:
  kind: cnn
  depth: 3
  image: [4, 6]
  kernel: 3
  channels: 8
init:
  scheme: he_normal
"""


def parsed(text: str | bytes, *overrides: str | Override) -> SweepConfig:
    """The config of `c.yaml` after these overrides; texts are those of `--set`."""
    given = [parse_override("--set", o) if isinstance(o, str) else o for o in overrides]
    return parse_config(text, "c.yaml", given)


def problems(text: str | bytes, *overrides: str | Override) -> list[str]:
    """What is wrong, with its place."""
    with pytest.raises(ConfigError) as caught:
        parsed(text, *overrides)
    return caught.value.problems


def unplaced_problems(text: str, *sets: str) -> list[str]:
    """What is wrong, without where."""
    return [problem.partition("error: ")[2] for problem in problems(text, *sets)]
