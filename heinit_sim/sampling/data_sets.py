"""Data sets that inputs are drawn from: files and scikit-learn's digits, read once, normalised."""

import csv
import hashlib
import importlib.util
import io
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from heinit_sim.errors import DataError
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.labels import printable
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.regular_file import read_regular

# Fourth powers of norms stay within float range.
_LARGEST = 1e60
_SMALLEST = 1e-60
_LARGEST_FILE = 2**32
_FORMS = "must be a .npy file of shape (examples, components) or a .csv file"


class Statistics(NamedTuple):
    """Mean and standard deviation to normalise by: scalars, or one number per component."""

    mean: FloatArray
    std: FloatArray


def is_data_set(inputs: Inputs) -> bool:
    """Whether inputs are drawn from given examples rather than from a law."""
    return inputs.distribution in ("digits", "file")


def sha256(path: str) -> str:
    """SHA-256 of a data file.

    Raises:
        DataError: It cannot be read.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


def require_digits() -> None:
    """See that scikit-learn is there, without importing it, which is slow.

    Raises:
        DataError: It is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        install = "pip install 'heinit-sim[data]' brings it"
        raise DataError(f"scikit-learn is not installed, which has the digits; {install}")


def examples(inputs: Inputs) -> FloatArray:
    """The examples of a data set as they are given, (n, D_0).

    Raises:
        DataError: It cannot be read, or is not what it was, or not a table of finite numbers.
    """
    return _digits() if inputs.distribution == "digits" else _rows(inputs.path, inputs.sha256)


@lru_cache(maxsize=64)
def statistics(inputs: Inputs) -> Statistics:
    """Mean and standard deviation (ddof 0) over the examples; 0 and 1 for no normalisation.

    Source: Fleuret, EE-559, lecture 5.5, data normalisation.

    Raises:
        DataError: Nothing varies, so there is nothing to divide by.
    """
    rows = examples(inputs)
    if inputs.normalisation == "none":
        return Statistics(np.array(0.0), np.array(1.0))
    axis = 0 if inputs.normalisation == "per_component" else None
    std = np.std(rows, axis=axis)
    varies = (np.ptp(rows, axis=axis) > 0) & (std > 0)  # rounding may leave a std where none is
    if not varies.any():
        raise DataError("no spread to divide by, as nothing varies in the data")
    mean = np.where(varies, np.mean(rows, axis=axis), rows[0] if axis == 0 else 0.0)
    return Statistics(mean, np.where(varies, std, 1.0))


@lru_cache(maxsize=64)
def normalised_rows(inputs: Inputs) -> FloatArray:
    """The examples as inputs of the network, (n, D_0); a component that never varies is 0."""
    mean, std = statistics(inputs)
    rows: FloatArray = (examples(inputs) - mean) / std
    rows.setflags(write=False)
    return rows


def fill_examples(out: FloatArray, rng: Generator, inputs: Inputs) -> None:
    """Fill `out` with examples drawn without replacement: the first of a permutation."""
    rows = normalised_rows(inputs)
    out[...] = rows[rng.permutation(len(rows))[: len(out)]]


def log_norms(inputs: Inputs) -> FloatArray:
    """The logarithm ln ‖x‖² of every example, (n,); -inf where all components are zero."""
    rows = normalised_rows(inputs)
    largest = np.abs(rows).max(axis=1)
    with np.errstate(divide="ignore"):
        unit = rows / np.where(largest > 0, largest, 1.0)[:, np.newaxis]
        ln: FloatArray = 2 * np.log(largest) + np.log(np.vecdot(unit, unit))
    return ln


@lru_cache(maxsize=1)
def _digits() -> FloatArray:
    require_digits()
    from sklearn.datasets import load_digits

    rows = np.array(load_digits().data, float)
    rows.setflags(write=False)
    return rows


@lru_cache(maxsize=64)
def _rows(path: str, digest: str) -> FloatArray:
    data = _bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(f"{printable(path)}: changed since the config was read; start again")
    rows = _table(path, data)
    rows.setflags(write=False)
    return rows


def _bytes(path: str) -> bytes:
    if Path(path).suffix.lower() not in (".npy", ".csv"):
        raise DataError(f"not a data file ({path[-100:]!r}), {_FORMS}")
    try:
        return read_regular(path, _LARGEST_FILE)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read ({path[:100]!r}): {reason}; {_FORMS}") from None


def _table(path: str, data: bytes) -> FloatArray:
    """The numbers of a file, checked."""
    rows = _from_npy(data) if path.lower().endswith(".npy") else _from_csv(data)
    if rows.ndim != 2:
        raise DataError(f"wrong shape ({rows.shape}), {_FORMS}")
    if not rows.size:
        raise DataError("empty, must have an example of a component or more")
    beyond = ~(np.abs(rows) <= _LARGEST)
    if beyond.any():
        row, column = (int(place[0]) for place in np.nonzero(beyond))
        given = f"{rows[row, column]:g} in example {row + 1}, component {column + 1}"
        raise DataError(f"not finite or too large ({given}), must be at most {_LARGEST:g} in size")
    largest = float(np.abs(rows).max())
    if 0 < largest < _SMALLEST:
        given = f"{largest:g} is the largest"
        raise DataError(f"too small ({given}), must have {_SMALLEST:g} or more in size, or zeros")
    return rows


def _from_npy(data: bytes) -> FloatArray:
    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # noqa: BLE001  # whatever NumPy makes of a file that is none
        reason = printable(" ".join(str(error).split())[:200])
        raise DataError(f"not numbers of a .npy file ({reason}), {_FORMS}") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"not real numbers (dtype {array.dtype}), {_FORMS}")
    with np.errstate(over="ignore"):  # a wider float becomes infinite, and is refused
        return array.astype(float)


def _from_csv(data: bytes) -> FloatArray:
    """Numbers with commas between; a first line without any number is a header."""
    try:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(lines.line_num, [_number(cell) for cell in line]) for line in lines if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a table ({printable(str(error))}), {_FORMS}") from None
    if rows and not any(isinstance(cell, float) for cell in rows[0][1]):
        del rows[0]
    for line, cells in rows:
        if len(cells) != len(rows[0][1]):
            given = f"{len(cells)} columns in line {line}, {len(rows[0][1])} before"
            raise DataError(f"not a table ({given}), {_FORMS}")
        wrong = [cell for cell in cells if isinstance(cell, str)]
        if wrong:
            given = f"{wrong[0][:40]!r} in line {line}"
            must = "must be numbers with commas between, below one header line"
            raise DataError(f"not a number ({given}), {must}")
    return np.array([cells for _, cells in rows], float, ndmin=2)


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
