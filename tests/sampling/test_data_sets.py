"""Data sets as inputs: what is read, what is refused, how it is drawn and normalised."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError, DataError
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.streams import sample_inputs
from tests.conditions import dense_draws
from tests.configs import problems

Array = np.ndarray
TEXT = """\
name: x
network: {depth: 1, width: 2, input_dim: 3}
init: {variance: 1}
inputs: {distribution: file, count: 2, path: FILE}
"""
FORMS = "must be a .npy file of shape (examples, components) or a .csv file"
ROWS = np.array([[1.0, 2.0, 7.0], [3.0, -4.0, 7.0], [5.5, 0.0, 7.0], [0.0, 8.0, 7.0]])
# A mean of the 12 numbers, and a mean of squares about it: so many roundings, of sizes whose sum is
# at most twice what is left of it.
ROUNDING = 2 * 2 * 12 * np.finfo(float).eps


def npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def loaded(directory: Path, name: str, data: bytes) -> Array:
    path = directory / name
    path.write_bytes(data)
    return data_sets.examples(Inputs("file", path=str(path), sha256=data_sets.sha256(str(path))))


def of_rows(directory: Path, rows: Array, normalisation: str = "none") -> Inputs:
    path = directory / "rows.npy"
    path.write_bytes(npy(rows))
    digest = data_sets.sha256(str(path))
    return Inputs("file", normalisation, path=str(path), sha256=digest)  # type: ignore[arg-type]  # a name of those that are


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_npy_files_of_any_real_numbers_are_read(tmp_path: Path, dtype: type) -> None:
    array: Array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    found = loaded(tmp_path, "rows.npy", npy(array))
    assert found.dtype == np.float64
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5\n-3,4e-1\n",
        "a,b\n1,2.5\n-3,0.4",
        "\ufeffa,b\r\n1,2.5\r\n\r\n-3,0.4\r\n",
        '"a, first",b\n"1", 2.5\n-3,.4\n',
    ],
)
def test_csv_files_are_read_with_or_without_a_header(tmp_path: Path, text: str) -> None:
    found = loaded(tmp_path, "rows.csv", text.encode())
    assert np.array_equal(found, [[1.0, 2.5], [-3.0, 0.4]])


BAD: dict[str, tuple[str, bytes | Callable[[], bytes], str]] = {
    "another kind": ("a.txt", b"1,2,3", f"not a data file (PATH), {FORMS}"),
    "not npy": (
        "a.npy",
        b"1,2,3\n4,5,6\n",
        (
            r"not numbers of a .npy file (the magic string is not correct; "
            rf"expected b'\x93NUMPY', got b'1,2,3\n'), {FORMS}"
        ),
    ),
    "objects": (
        "a.npy",
        lambda: npy(np.array([[1, "a", None]], object)),
        "not numbers of a .npy file (Object arrays cannot be loaded when allow_pickle=False), "
        + FORMS,
    ),
    "cut off": ("a.npy", lambda: npy(ROWS)[:-8], "not numbers of a .npy file ("),
    "complex": ("a.npy", lambda: npy(ROWS + 0j), f"not real numbers (dtype complex128), {FORMS}"),
    "text": ("a.npy", lambda: npy(np.array([["a"]])), f"not real numbers (dtype <U1), {FORMS}"),
    "one dimension": ("a.npy", lambda: npy(np.ones(3)), f"wrong shape ((3,)), {FORMS}"),
    "three dimensions": (
        "a.npy",
        lambda: npy(np.ones((2, 3, 1))),
        f"wrong shape ((2, 3, 1)), {FORMS}",
    ),
    "no rows": ("a.npy", lambda: npy(np.ones((0, 3))), "empty, must have an example"),
    "nan": (
        "a.npy",
        lambda: npy(np.where(ROWS == 8, np.nan, ROWS)),
        "not finite or too large (nan in example 4, component 2), must be at most 1e+60 in size",
    ),
    "infinite": ("a.csv", b"1,2,inf\n", "not finite or too large (inf in example 1, component 3)"),
    "wide": (
        "a.npy",
        lambda: npy(np.ones((2, 4))),
        "wrong number of columns (4), must be network.input_dim, 3",
    ),
    "empty csv": ("a.csv", b"", "empty, must have an example"),
    "only a header": ("a.csv", b"a,b,c\n", "empty, must have an example"),
    "ragged": ("a.csv", b"1,2,3\n4,5\n", f"not a table (2 columns in line 2, 3 before), {FORMS}"),
    "word": (
        "a.csv",
        b"a,b,c\n1,2,x\n",
        "not a number ('x' in line 2), must be numbers with commas between, below one header line",
    ),
    "semicolons": (
        "a.csv",
        b"1;2;3\n4;5;6\n",
        "not a number ('4;5;6' in line 2), must be numbers with commas between",
    ),
    "too small": (
        "a.npy",
        lambda: npy(1e-200 * ROWS),
        "too small (8e-200 is the largest), must have 1e-60 or more in size, or zeros",
    ),
    "header with a number": ("a.csv", b"a,b,3\n1,2,3\n", "not a number ('a' in line 1)"),
    "missing value": ("a.csv", b"1,2,\n", "not a number ('' in line 1)"),
    "not utf-8": ("a.csv", b"1,2,\xff\n", "not a table ('utf-8' codec can't decode byte 0xff"),
    "bad quotes": ("a.csv", b'1,2,"3\n', "not a table (unexpected end of data)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_no_use_is_told_with_the_place_of_its_key(tmp_path: Path, name: str) -> None:
    file, data, expected = BAD[name]
    path = tmp_path / file
    path.write_bytes(data() if callable(data) else data)
    (problem,) = problems(TEXT.replace("FILE", str(path)))
    prefix = "c.yaml:4:46: error: inputs.path: "
    assert problem.startswith(prefix + expected.replace("PATH", repr(str(path))))
    assert problem.isprintable()


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "a.npy"
    path.write_bytes(pickle.dumps(ROWS))
    with pytest.raises(ConfigError, match="not numbers of a"):
        parse_config(TEXT.replace("FILE", str(path)), "c.yaml")


def test_a_batch_has_at_most_as_many_inputs_as_there_are_examples(tmp_path: Path) -> None:
    text = TEXT.replace("FILE", of_rows(tmp_path, ROWS).path)
    assert parse_config(text.replace("count: 2", "count: 4")).conditions[0].n_inputs == 4
    expected = "more than there are examples (5), must be at most 4"
    more = text.replace("count: 2", "count: 5")
    assert problems(more) == [f"c.yaml:4:37: error: inputs.count: {expected}"]


def test_data_that_never_vary_cannot_be_normalised(tmp_path: Path) -> None:
    text = TEXT.replace("FILE", of_rows(tmp_path, np.full((4, 3), 0.1)).path)
    assert parse_config(text).conditions[0].inputs.normalisation == "none"
    for normalisation in ("global", "per_component"):
        asked = text.replace("file,", f"file, normalisation: {normalisation},")
        expected = "no spread to divide by, as nothing varies in the data, must be none"
        assert problems(asked) == [f"c.yaml:4:45: error: inputs.normalisation: {expected}"]


def test_a_changed_file_is_told_by_its_digest(tmp_path: Path) -> None:
    path = of_rows(tmp_path, ROWS).path
    text = TEXT.replace("FILE", f"{path}, sha256: {{{path}: {data_sets.sha256(path)}}}")
    assert parse_config(text).document == parse_config(TEXT.replace("FILE", path)).document
    Path(path).write_bytes(npy(2 * ROWS))
    with pytest.raises(ConfigError, match=r"4:46: error: inputs\.path: not the file of inputs"):
        parse_config(text, "c.yaml")
    assert parse_config(text, read_data=False).conditions[0].inputs.sha256 in text


def test_a_file_that_changes_between_config_and_simulation_is_told(tmp_path: Path) -> None:
    inputs = of_rows(tmp_path, ROWS + 1)
    Path(inputs.path).write_bytes(npy(ROWS + 2))
    with pytest.raises(DataError, match=r"rows\.npy: changed since the config was read"):
        data_sets.examples(inputs)


@pytest.mark.parametrize("axis", [None, 0])
def test_normalised_examples_have_mean_zero_and_std_one(tmp_path: Path, axis: int | None) -> None:
    inputs = of_rows(tmp_path, ROWS, "global" if axis is None else "per_component")
    found = data_sets.normalised_rows(inputs)
    if axis is None:
        assert abs(found.mean()) < ROUNDING
        np.testing.assert_allclose(found.std(), 1.0, rtol=ROUNDING, atol=0)
    else:
        assert np.abs(found.mean(axis=0)).max() < ROUNDING
        assert (found[:, 2] == 0).all()  # it never varies
        np.testing.assert_allclose(found[:, :2].std(axis=0), 1.0, rtol=ROUNDING, atol=0)


def test_a_component_that_never_varies_becomes_zero_whatever_its_mean(tmp_path: Path) -> None:
    rows = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    assert rows[:, 0].mean() != 0.1
    assert (data_sets.normalised_rows(of_rows(tmp_path, rows, "per_component"))[:, 0] == 0).all()


def test_statistics_are_those_of_the_whole_data_set(tmp_path: Path) -> None:
    columns = ROWS.T.tolist()
    mean, std = data_sets.statistics(of_rows(tmp_path, ROWS, "per_component"))
    means = [sum(column) / 4 for column in columns]
    squares = [
        sum((x - m) ** 2 for x in column) / 4 for column, m in zip(columns, means, strict=True)
    ]
    np.testing.assert_allclose(mean, means, rtol=ROUNDING, atol=0)
    np.testing.assert_allclose(std, [*np.sqrt(squares[:2]), 1.0], rtol=ROUNDING, atol=0)
    flat = ROWS.ravel().tolist()
    mean, std = data_sets.statistics(of_rows(tmp_path, ROWS, "global"))
    expected = sum(flat) / 12
    np.testing.assert_allclose(mean, expected, rtol=ROUNDING, atol=0)
    deviations = sum((x - expected) ** 2 for x in flat) / 12
    np.testing.assert_allclose(std, np.sqrt(deviations), rtol=ROUNDING, atol=0)


def test_a_trial_draws_without_replacement_and_more_begin_with_the_fewer(tmp_path: Path) -> None:
    inputs = of_rows(tmp_path, ROWS)
    more, fewer = (
        sample_inputs(0, dense_draws((3, 1), n, inputs=inputs), range(4000)) for n in (4, 2)
    )
    assert np.array_equal(more[..., :2], fewer)
    assert (np.sort(more[:, 0], axis=-1) == np.sort(ROWS[:, 0])).all()
    # each example comes first in a quarter of the trials
    firsts = [(fewer[:, 0, 0] == x).mean() for x in ROWS[:, 0]]
    assert max(abs(share - 0.25) for share in firsts) < 5 * np.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.slow
def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    found = data_sets.examples(Inputs("digits"))
    assert found.shape == (1797, 64)
    assert np.array_equal(found, load_digits().data)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for module in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, module)
    text = TEXT.replace("input_dim: 3", "input_dim: 64").replace("file", "digits")
    assert problems(text.replace(", path: FILE", "")) == [
        (
            "c.yaml:4:24: error: inputs.distribution: scikit-learn is not installed, which has "
            "the digits; pip install 'heinit-sim[data]' brings it"
        )
    ]
