"""heinit-sim: see how weight initialisation makes signals vanish or explode.

>>> from heinit_sim import load_config, run_sweep
>>> result = run_sweep(load_config("configs/figure_7_4.yaml"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heinit_sim.checks import check
    from heinit_sim.comparison import Comparison, compare
    from heinit_sim.config import load_config, parse_config
    from heinit_sim.errors import ConfigError, HeinitSimError, RunDirectoryError
    from heinit_sim.expectations import check_expectations
    from heinit_sim.figures import draw
    from heinit_sim.outputs import read_run, write_run
    from heinit_sim.own_activations import own_activation, with_activation
    from heinit_sim.predictions import predict_sweep
    from heinit_sim.records import Condition, Expectation, Finding, SweepConfig
    from heinit_sim.results import ConditionResult, Prediction, SweepPrediction, SweepResult
    from heinit_sim.spread import Spread, spread
    from heinit_sim.sweep import run_sweep

# Where each public name lives; looked up at first use, so that `--help` never loads NumPy.
_HOME = {
    "Comparison": "comparison",
    "Condition": "records",
    "ConditionResult": "results",
    "ConfigError": "errors",
    "Expectation": "records",
    "Finding": "records",
    "HeinitSimError": "errors",
    "Prediction": "results",
    "RunDirectoryError": "errors",
    "Spread": "spread",
    "SweepConfig": "records",
    "SweepPrediction": "results",
    "SweepResult": "results",
    "check": "checks",
    "check_expectations": "expectations",
    "compare": "comparison",
    "draw": "figures",
    "load_config": "config",
    "own_activation": "own_activations",
    "parse_config": "config",
    "predict_sweep": "predictions",
    "read_run": "outputs",
    "run_sweep": "sweep",
    "spread": "spread",
    "with_activation": "own_activations",
    "write_run": "outputs",
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
