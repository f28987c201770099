"""The `record.update` of a config -> the learning rate of each matrix of the network."""

from __future__ import annotations

from collections.abc import Sequence

from heinit_sim.config.problem import Problem, WrongError
from heinit_sim.config.resolve_steps import number_of
from heinit_sim.config.schema import fields
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.update import Update
from heinit_sim.experiment import sweep_config
from heinit_sim.experiment.steps import Row, matrices

_Rates = list[tuple[float, float]]


def choose_update(config: Config, rows: Sequence[Row]) -> sweep_config.Update | Problem | None:
    """The step of training that a config asks for, if it does; or what is wrong with it.

    Args:
        config: The config at one point of the grid.
        rows: The steps of the layers 0 … K.
    """
    given = config.record and config.record.update
    if not given:
        return None
    known: dict[tuple[int, str], _Rates] = {}
    rates: _Rates = []
    for k, row in enumerate(rows):
        end = {0: "first", len(rows) - 1: "last"}.get(k, "")
        key = id(row), end
        try:
            if key not in known:
                known[key] = _rates(given, row, end, len(rows) - 1)
        except WrongError as error:
            return error.problem
        rates += known[key]
    of_weights, of_biases = zip(*rates, strict=True)
    return sweep_config.Update(given.optimiser, of_weights, of_biases)


def _rates(given: Update, row: Row, end: str, depth: int) -> _Rates:
    """The rates of each matrix of a layer and of the biases beside it."""
    rates = []
    width = matrices(row)[-1].channels[1]
    for weights in matrices(row):
        names = {"depth": depth, "width": width, "fan_in": weights.fans[0]}
        own = end if end and getattr(given, end) is not None else "learning_rate"
        biases = own if given.biases is None else "biases"
        values = (
            number_of(getattr(given, key), ("record", "update", key), fields.RATE, names)
            for key in (own, biases)
        )
        rates.append((next(values), next(values)))
    return rates
