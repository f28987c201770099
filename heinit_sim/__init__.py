"""heinit-sim: see how weight initialisation makes signals vanish or explode.

>>> from heinit_sim import load_config, run_sweep
>>> result = run_sweep(load_config("configs/figure_7_4.yaml"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heinit_sim.activations import own_activation, with_activation
    from heinit_sim.checks import Comparison, check, check_expectations, compare
    from heinit_sim.config.load import load_config, parse_config
    from heinit_sim.errors import ConfigError, HeinitSimError, RunDirectoryError
    from heinit_sim.experiment.results import (
        ConditionResult,
        Finding,
        Prediction,
        SweepPrediction,
        SweepResult,
    )
    from heinit_sim.experiment.sweep_config import Condition, Expectation, SweepConfig
    from heinit_sim.figures import draw
    from heinit_sim.numerics.spread import Spread, spread
    from heinit_sim.runs import read_run, write_run
    from heinit_sim.simulation import run_sweep
    from heinit_sim.theory.predictions import predict_sweep

# Where each public name lives; looked up at first use, so that `--help` never loads NumPy.
_HOME = {
    "Comparison": "checks",
    "Condition": "experiment.sweep_config",
    "ConditionResult": "experiment.results",
    "ConfigError": "errors",
    "Expectation": "experiment.sweep_config",
    "Finding": "experiment.results",
    "HeinitSimError": "errors",
    "Prediction": "experiment.results",
    "RunDirectoryError": "errors",
    "Spread": "numerics.spread",
    "SweepConfig": "experiment.sweep_config",
    "SweepPrediction": "experiment.results",
    "SweepResult": "experiment.results",
    "check": "checks",
    "check_expectations": "checks",
    "compare": "checks",
    "draw": "figures",
    "load_config": "config.load",
    "own_activation": "activations",
    "parse_config": "config.load",
    "predict_sweep": "theory.predictions",
    "read_run": "runs",
    "run_sweep": "simulation",
    "spread": "numerics.spread",
    "with_activation": "activations",
    "write_run": "runs",
}
__all__ = [
    "Comparison",
    "Condition",
    "ConditionResult",
    "ConfigError",
    "Expectation",
    "Finding",
    "HeinitSimError",
    "Prediction",
    "RunDirectoryError",
    "Spread",
    "SweepConfig",
    "SweepPrediction",
    "SweepResult",
    "check",
    "check_expectations",
    "compare",
    "draw",
    "load_config",
    "own_activation",
    "parse_config",
    "predict_sweep",
    "read_run",
    "run_sweep",
    "spread",
    "with_activation",
    "write_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'heinit_sim' has no attribute '{name}'")
    return getattr(import_module(f"heinit_sim.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
