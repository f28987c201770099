"""Checkpoints are read as their frameworks wrote them; what is damaged is one line."""

import json
import math
import os
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from heinit_sim.errors import CheckpointError
from heinit_sim.numerics import FloatArray
from heinit_sim.runs import checkpoint as reader
from heinit_sim.runs import open_checkpoint
from tests.checkpoints import Bits, bfloat16, safetensors_bytes, write_safetensors


def read(path: Path, unit: int = 1) -> dict[str, FloatArray]:
    with open_checkpoint(path) as opened:
        return {
            tensor.name: np.concatenate([np.empty(0), *tensor.pieces(unit)]).reshape(tensor.shape)
            for tensor in opened.tensors
            if tensor.kind == "real"
        }


def test_safetensors_are_read_by_name_with_what_their_metadata_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {f"layers.{i}.weight": rng.standard_normal((3, i)) for i in (10, 9, 2)}
    stored = {name: array.astype(np.float32) for name, array in arrays.items()}
    steps = {"steps": np.array(7, np.int64)}
    path = write_safetensors(tmp_path / "a.safetensors", {**stored, **steps}, {"format": "pt"})
    with open_checkpoint(path) as opened:
        assert opened.framework == "pt"
        names = [(tensor.name, tensor.dtype, tensor.kind) for tensor in opened.tensors]
    ordered = [(f"layers.{i}.weight", "float32", "real") for i in (2, 9, 10)]
    assert names == [*ordered, ("steps", "int64", "integer")]
    for name, array in read(path).items():
        np.testing.assert_array_equal(array, stored[name])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_types_of_numpy_keep_their_numbers(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(2).standard_normal((5, 7)).astype(dtype)
    for path in (
        write_safetensors(tmp_path / "a.safetensors", {"w": array}),
        tmp_path / "a.npz",
    ):
        if path.suffix == ".npz":
            np.savez(path, w=array)
        np.testing.assert_array_equal(read(path)["w"], array)


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path: Path) -> None:
    exact = np.array([[1.0, -2.5, 3.140625, 2.0**-126, 1e38, 0.0]], np.float32)
    known = bfloat16(exact)
    assert known.bits[0, :2].tolist() == [0x3F80, 0xC020]
    path = write_safetensors(tmp_path / "a.safetensors", {"w": known})
    np.testing.assert_allclose(read(path)["w"], exact, rtol=2**-8, atol=0)
    np.testing.assert_array_equal(read(path)["w"][0, :4], exact[0, :4])
    np.savez(tmp_path / "b.npz", w=known.bits.view("V2"))  # as NumPy saves those of JAX
    np.testing.assert_array_equal(read(tmp_path / "b.npz")["w"], read(path)["w"])


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("F8_E4M3", {0x00: 0, 0x01: 2**-9, 0x08: 2**-6, 0x38: 1, 0x3C: 1.5, 0xB8: -1, 0x7E: 448}),
        (
            "F8_E5M2",
            {0x00: 0, 0x01: 2**-16, 0x04: 2**-14, 0x3C: 1, 0x3E: 1.5, 0xBC: -1, 0x7B: 57344},
        ),
    ],
)
def test_numbers_of_8_bits(tmp_path: Path, code: str, values: dict[int, float]) -> None:
    bits = np.array([list(values)], np.uint8)
    path = write_safetensors(tmp_path / "a.safetensors", {"w": Bits(code, bits)})
    assert read(path)["w"].tolist() == [list(values.values())]
    not_a_number = Bits(code, np.array([[0x7F, 0xFF]], np.uint8))
    path = write_safetensors(tmp_path / "a.safetensors", {"w": not_a_number})
    assert np.isnan(read(path)["w"]).all()


def test_arrays_are_read_in_whole_units_and_in_the_order_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_PIECE", 10)
    array = np.arange(42.0).reshape(6, 7)
    np.savez_compressed(tmp_path / "a.npz", c=array, f=np.asfortranarray(array))
    with open_checkpoint(tmp_path / "a.npz") as opened:
        sizes = [[piece.size for piece in tensor.pieces(7)] for tensor in opened.tensors]
        assert sizes == [[7] * 6, [42]]
        assert [piece.size for piece in opened.tensors[0].pieces(1)] == [10, 10, 10, 10, 2]
    for stored in read(tmp_path / "a.npz").values():
        np.testing.assert_array_equal(stored, array)


def test_an_npz_file_keeps_its_order_and_says_what_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(path, z=np.ones(2), a=np.arange(3), o=objects, c=np.ones(1, complex))
    with open_checkpoint(path) as opened:
        kinds = {tensor.name: tensor.kind for tensor in opened.tensors}
    assert list(kinds.items()) == [
        *(("z", "real"), ("a", "integer"), ("o", "unsupported"), ("c", "unsupported"))
    ]


GOOD = safetensors_bytes({"w": np.ones((4, 4), np.float32)})


def with_header(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no header of a safetensors file"),
        (GOOD[:7], "no header of a safetensors file"),
        (GOOD[:40], "no header of a safetensors file"),
        (GOOD[:-1], "damaged"),
        (GOOD + b"more", "damaged"),
        (struct.pack("<Q", 2**62) + b"{}", "no header of a safetensors file"),
        (with_header(b"{" + b" " * 30 + b"]"), "damaged"),
        (with_header(b"\xff" * 40), "damaged"),
        (with_header(b"[" * 40_000), "damaged"),
        (
            with_header({"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}),
            "damaged",
        ),
        (with_header({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), "damaged"),
        (with_header({"w": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}), "damaged"),
        (with_header({"w": 3}), "damaged"),
    ],
)
def test_damaged_safetensors_are_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_header_of_more_than_32_mib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**25 + 1))
        file.truncate(2**26)
    with pytest.raises(CheckpointError, match="header is too large"):
        read(path)


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(shape: tuple[int, ...], data: bytes, descr: str = "<f4") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (b"", "a.npz: w: damaged"),
        (b"no array", "magic string is not correct"),
        (npy((2, 2), b"\0" * 15), "the file ends within it"),
        (npy((2, 2), b"\0" * 17), "longer than its shape says"),
        (npy((2**40, 2**40), b"\0" * 16), "the file ends within it"),
        (npy((-1,), b"\0" * 16), "damaged"),
        (npy((2,), b"", "__import__('os').system('false')"), "damaged"),
    ],
)
def test_damaged_arrays_are_one_line(tmp_path: Path, member: bytes, problem: str) -> None:
    path = npz(tmp_path / "a.npz", w=member)
    with pytest.raises(CheckpointError) as raised:
        read(path)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_damaged_zip_file_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", w=np.random.default_rng(1).standard_normal((40, 40)))
    good = (tmp_path / "good.npz").read_bytes()
    spoilt = bytearray(good)
    spoilt[1000] ^= 1
    path = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04", good[:-30], bytes(spoilt)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged"):
            read(path)


def test_a_zip_file_without_arrays_is_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(CheckpointError, match="holds no arrays"):
        read(tmp_path / "a.npz")


def test_a_checkpoint_of_metadata_alone_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    header = b'{"__metadata__":{"format":"pt"}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CheckpointError, match="holds no arrays"):
        read(path)


def test_a_zip_bomb_is_refused_by_what_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FREE", 1000)
    path = npz(tmp_path / "a.npz", w=npy((10**5,), b"\0" * (4 * 10**5)))
    with pytest.raises(CheckpointError, match="bytes of arrays, must be at most 16 times"):
        read(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(CheckpointError, match="Is a directory"):
        read(tmp_path / "d.npz")
    with pytest.raises(CheckpointError, match="No such file"):
        read(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read(tmp_path / "nul\0.npz")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "p.npz")
        with pytest.raises(CheckpointError, match="not a regular file"):
            read(tmp_path / "p.npz")


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.h5", "a", "a.npy"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"must be a \.safetensors or \.npz file") as raised:
        read(tmp_path / name)
    assert ("a pickle may execute code" in str(raised.value)) == (name in ("a.pt", "a.bin"))


def test_without_the_library_it_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = write_safetensors(tmp_path / "a.safetensors", {"w": np.ones((2, 2))})
    with pytest.raises(CheckpointError, match=r"pip install 'heinit-sim\[weights\]' brings it"):
        read(path)


def test_an_error_of_the_caller_is_left_as_it_is(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"w": np.ones((2, 2))})
    with pytest.raises(ValueError, match="of the caller"), open_checkpoint(path):
        raise ValueError("of the caller")
    assert math.prod(read(path)["w"].shape) == 4
