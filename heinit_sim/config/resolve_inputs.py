"""The inputs that a config asks for, held against its network and its data file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from heinit_sim.config.problem import Keys, Problem
from heinit_sim.config.schema.config import Config
from heinit_sim.errors import DataError
from heinit_sim.experiment.inputs import DIGITS_SHAPE, INPUT_OPTIONS, Inputs


def choose_inputs(
    config: Config, digests: dict[str, str], *, read_data: bool = True
) -> Inputs | Problem:
    """The inputs of one point of the grid.

    Args:
        config: The config there.
        digests: Path -> SHA-256 of the data files seen so far; a new one is added.
        read_data: Look at data files, else believe what the config says of them.
    """
    given = config.inputs
    options: dict[str, Any] = dict(INPUT_OPTIONS[given.distribution])
    values = {option: getattr(given, option) for option in options}
    options |= {option: value for option, value in values.items() if value is not None}
    inputs = Inputs(given.distribution, given.normalisation, **options)
    dim, keys, _ = _size(config)
    if given.distribution == "pair" and dim < 2:
        return Problem(keys, f"too small ({dim}), must be at least 2 for pairs")
    if given.distribution == "digits":
        return _digits(config, inputs)
    if given.distribution == "file":
        return _file(config, inputs, digests, read_data=read_data)
    return inputs


def _size(config: Config) -> tuple[int, Keys, str]:
    """Components of one input, the setting to blame for them, and the product that they are."""
    dim = config.network.input_units
    if config.network.kind == "dense":
        return dim, ("network", "input_dim"), ""
    return dim, ("network", "image"), "positions · input_channels"


def _digits(config: Config, inputs: Inputs) -> Inputs | Problem:
    from heinit_sim.sampling import data_sets  # loads NumPy, which drawn inputs do not need here

    n_examples, n_components = DIGITS_SHAPE
    dim, keys, product = _size(config)
    if dim != n_components:
        text = f"not that of digits ({dim}), must be {n_components}"
        return Problem(keys, f"{text} = {product}" if product else text)
    try:
        data_sets.require_digits()
    except DataError as error:
        return Problem(("inputs", "distribution"), str(error))
    return _counted(config, inputs, n_examples)


def _file(
    config: Config, inputs: Inputs, digests: dict[str, str], *, read_data: bool
) -> Inputs | Problem:
    expected = (config.inputs.sha256 or {}).get(inputs.path)
    if not read_data:
        return replace(inputs, sha256=expected or "")
    from heinit_sim.sampling import data_sets

    try:
        if inputs.path not in digests:
            digests[inputs.path] = data_sets.sha256(inputs.path)
        digest = digests[inputs.path]
        if expected not in (None, digest):
            text = f"not the file of inputs.sha256 (SHA-256 {digest[:8]}…), "
            return Problem(("inputs", "path"), text + f"must be the one of {expected[:8]}…")
        inputs = replace(inputs, sha256=digest)
        n_examples, n_components = data_sets.examples(inputs).shape
    except DataError as error:
        return Problem(("inputs", "path"), str(error))
    dim, _, product = _size(config)
    if n_components != dim:
        must = f"must be {product or 'network.input_dim'}, {dim}"
        return Problem(("inputs", "path"), f"wrong number of columns ({n_components}), {must}")
    return _counted(config, inputs, n_examples)


def _counted(config: Config, inputs: Inputs, n_examples: int) -> Inputs | Problem:
    """The inputs, if there are as many examples as a batch takes, and they vary."""
    if (count := config.inputs.n_inputs) > n_examples:
        text = f"more than there are examples ({count}), must be at most {n_examples}"
        return Problem(("inputs", "count"), text)
    if inputs.distribution == "file" and inputs.normalisation != "none":
        from heinit_sim.sampling import data_sets

        try:
            data_sets.statistics(inputs)
        except DataError as error:
            return Problem(("inputs", "normalisation"), f"{error}, must be none")
    return inputs
