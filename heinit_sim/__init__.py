"""heinit-sim: see how weight initialisation makes signals vanish or explode.

>>> from heinit_sim import load_config, run_sweep
>>> result = run_sweep(load_config("configs/figure_7_4.yaml"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Module -> the public names it holds; looked up at first use, so that `--help` never loads NumPy.
_NAMES = {
    "activations": ("own_activation", "with_activation"),
    "checks": ("Comparison", "check", "check_expectations"),
    "config": ("load_config", "parse_config"),
    "errors": ("ConfigError", "HeinitSimError", "RunDirectoryError"),
    "experiment.results": (
        *("ConditionResult", "Finding", "Prediction"),
        *("SweepPrediction", "SweepResult"),
    ),
    "experiment.sweep_config": ("Condition", "Expectation", "SweepConfig"),
    "figures": ("draw",),
    "numerics.spread": ("Spread", "spread"),
    "runs": ("compare", "read_run", "write_run"),
    "simulation": ("run_sweep",),
    "theory.predictions": ("predict_sweep",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOME)

if TYPE_CHECKING:  # the same for type checkers
    from heinit_sim.activations import own_activation as own_activation
    from heinit_sim.activations import with_activation as with_activation
    from heinit_sim.checks import Comparison as Comparison
    from heinit_sim.checks import check as check
    from heinit_sim.checks import check_expectations as check_expectations
    from heinit_sim.config import load_config as load_config
    from heinit_sim.config import parse_config as parse_config
    from heinit_sim.errors import ConfigError as ConfigError
    from heinit_sim.errors import HeinitSimError as HeinitSimError
    from heinit_sim.errors import RunDirectoryError as RunDirectoryError
    from heinit_sim.experiment.results import ConditionResult as ConditionResult
    from heinit_sim.experiment.results import Finding as Finding
    from heinit_sim.experiment.results import Prediction as Prediction
    from heinit_sim.experiment.results import SweepPrediction as SweepPrediction
    from heinit_sim.experiment.results import SweepResult as SweepResult
    from heinit_sim.experiment.sweep_config import Condition as Condition
    from heinit_sim.experiment.sweep_config import Expectation as Expectation
    from heinit_sim.experiment.sweep_config import SweepConfig as SweepConfig
    from heinit_sim.figures import draw as draw
    from heinit_sim.numerics.spread import Spread as Spread
    from heinit_sim.numerics.spread import spread as spread
    from heinit_sim.runs import compare as compare
    from heinit_sim.runs import read_run as read_run
    from heinit_sim.runs import write_run as write_run
    from heinit_sim.simulation import run_sweep as run_sweep
    from heinit_sim.theory.predictions import predict_sweep as predict_sweep


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'heinit_sim' has no attribute '{name}'")
    return getattr(import_module(f"heinit_sim.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
