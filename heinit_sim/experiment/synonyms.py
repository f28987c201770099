"""Words of a config that are two names of one thing."""

from __future__ import annotations

from collections.abc import Mapping

from heinit_sim.experiment.activation_table import ALIASES

_AUTHORS = {"kaiming": "he", "glorot": "xavier"}
_SCHEMES = {
    f"{other}_{kind}": f"{name}_{kind}"
    for other, name in _AUTHORS.items()
    for kind in ("normal", "uniform")
}
# Last key of a setting -> second name of a value -> first name.
_SYNONYMS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("activation", "name", "nonlinearity"), ALIASES),
    "scheme": _SCHEMES,
    "distribution": {"untruncated_normal": "normal"},
}


def first_names(value: object, path: str = "") -> object:
    """A plain value of a config, in which whatever has two names goes by the first.

    Args:
        value: What is set at the path.
        path: Dotted.
    """
    if isinstance(value, Mapping):
        return {key: first_names(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [first_names(inner, path) for inner in value]
    names = _SYNONYMS.get(path.rpartition(".")[2], {})
    return names.get(value, value) if isinstance(value, str) else value
