"""Checkpoints, `.safetensors` and `.npz`: read a piece at a time, and nothing in them executed."""

import importlib.util
import json
import math
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.errors import CheckpointError
from heinit_sim.experiment.tensors import Checkpoint, Tensor, TensorKind
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.regular_file import regular_status

LARGEST_HEADER = 2**25
"""Bytes of a safetensors header at most; one of ten thousand tensors has a million."""
LARGEST_EXPANSION = 16
"""Bytes of arrays for each byte of an `.npz` file, beyond the first GiB: zeros shrink more."""
_FREE = 2**30
_PIECE = 2**18  # numbers
_LARGEST_TURNED = 2**27  # numbers of an array in the order of columns, which is read whole
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
_FORMS = "must be a .safetensors or .npz file"


class _Type(NamedTuple):
    """How the numbers of a type lie in a file."""

    name: str
    kind: TensorKind
    raw: str = "u1"
    decode: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray


def _bfloat16(raw: NDArray[Any]) -> NDArray[Any]:
    """The upper half of a float32."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(raw: NDArray[Any]) -> NDArray[Any]:
    """The upper half of a float16."""
    return (raw.astype(np.uint16) << 8).view(np.float16)


def _float8_e4m3(raw: NDArray[Any]) -> NDArray[Any]:
    """Sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinity, NaN where all 7 are set.

    Source: Micikevicius et al. 2022, FP8 formats for deep learning.
    """
    byte = np.arange(256)
    exponent, fraction = (byte >> 3) & 15, (byte & 7) / 8
    size = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7))
    size[byte & 127 == 127] = np.nan
    values: FloatArray = np.where(byte < 128, size, -size)
    return np.take(values, raw)


_SAFETENSORS_TYPES: dict[str, _Type] = {
    "F64": _Type("float64", "real", "<f8"),
    "F32": _Type("float32", "real", "<f4"),
    "F16": _Type("float16", "real", "<f2"),
    "BF16": _Type("bfloat16", "real", "<u2", _bfloat16),
    "F8_E4M3": _Type("float8_e4m3", "real", "u1", _float8_e4m3),
    "F8_E5M2": _Type("float8_e5m2", "real", "u1", _float8_e5m2),
    "BOOL": _Type("bool", "integer"),
    **{
        f"{letter}{n}": _Type(f"{word}{n}", "integer")
        for letter, word in (("I", "int"), ("U", "uint"))
        for n in (8, 16, 32, 64)
    },
}


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a checkpoint; the pieces of its tensors can be read until it is closed.

    Raises:
        CheckpointError: It is none, is damaged, or needs a library that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".safetensors", ".npz"):
        why = " (a pickle may execute code; save it with safetensors)" if suffix in _PICKLED else ""
        raise CheckpointError(f"{path}: not a checkpoint that can be read{why}, {_FORMS}")
    with ExitStack() as stack:
        try:
            size = regular_status(path).st_size
            file = stack.enter_context(path.open("rb"))
            checkpoint = (_npz if suffix == ".npz" else _safetensors)(file, path, size)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(f"{path}: cannot be read ({reason}), {_FORMS}") from None
        if not checkpoint.tensors:
            raise CheckpointError(f"{path}: holds no arrays, {_FORMS}")
        yield checkpoint


@contextmanager
def _damage(path: Path, name: str = "") -> Iterator[None]:
    """Say of what file and tensor it is that a library could not read.

    Raises:
        CheckpointError: It could not.
    """
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # whatever libraries make of a file that is none
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        where = f"{path}: {name}" if name else str(path)
        raise CheckpointError(f"{where}: damaged ({reason}), {_FORMS}") from None


def _safetensors(file: IO[bytes], path: Path, size: int) -> Checkpoint:
    """Have the library check the file, then read bytes where its header says that they are.

    The library hands tensors to NumPy, which has neither bfloat16 nor 8-bit numbers.
    """
    if importlib.util.find_spec("safetensors") is None:
        install = "pip install 'heinit-sim[weights]' brings it"
        raise CheckpointError(f"{path}: needs safetensors, not installed; {install}")
    start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= size - 8:
        raise CheckpointError(f"{path}: damaged (no header of a safetensors file), {_FORMS}")
    if length > LARGEST_HEADER:
        must = f"must have at most {LARGEST_HEADER}"
        raise CheckpointError(f"{path}: its header is too large ({length} bytes), {must}")
    with _damage(path):
        from safetensors import safe_open

        with safe_open(str(path), framework="numpy"):
            pass  # the header is read, and held against the size of the file
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", None) or {}
        tensors = [
            _stored(file, path, 8 + length, name, entry)
            for name, entry in sorted(header.items(), key=lambda item: _natural(item[0]))
        ]
    return Checkpoint(metadata.get("format"), tuple(tensors))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, in which layer 10 comes after layer 9."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _stored(file: IO[bytes], path: Path, start: int, name: str, entry: dict[str, Any]) -> Tensor:
    """A tensor of a safetensors file whose data begin at `start`."""
    code, shape = entry["dtype"], tuple(map(int, entry["shape"]))
    type_ = _SAFETENSORS_TYPES.get(code, _Type(code.lower(), "unsupported"))
    place = start + int(entry["data_offsets"][0])

    def pieces(unit: int) -> Iterator[FloatArray]:
        def read(n_bytes: int) -> bytes:
            return file.read(n_bytes)

        with _damage(path, name):
            file.seek(place)
            yield from _decoded(read, type_, math.prod(shape), unit)

    return Tensor(name, shape, type_.name, type_.kind, pieces)


def _decoded(
    read: Callable[[int], bytes], type_: _Type, count: int, unit: int
) -> Iterator[FloatArray]:
    """The next numbers of a file, in pieces of whole units."""
    raw = np.dtype(type_.raw)
    most = max(_PIECE // unit, 1) * unit
    for first in range(0, count, most):
        n_bytes = min(most, count - first) * raw.itemsize
        content = read(n_bytes)
        if len(content) != n_bytes:
            raise EOFError("the file ends within it")
        yield type_.decode(np.frombuffer(content, raw)).astype(float)


def _npz(file: IO[bytes], path: Path, size: int) -> Checkpoint:
    """Read the members of a ZIP file that are arrays, and refuse one that would not end."""
    with _damage(path):
        archive = zipfile.ZipFile(file)
    members = [member for member in archive.filelist if member.filename.endswith(".npy")]
    declared = sum(member.file_size for member in members)
    if declared > _FREE + LARGEST_EXPANSION * size:
        most = f"must be at most {LARGEST_EXPANSION} times the file, beyond 1 GiB"
        raise CheckpointError(f"{path}: {declared} bytes of arrays, {most}")
    return Checkpoint(None, tuple(_member(archive, path, member) for member in members))


def _member(archive: zipfile.ZipFile, path: Path, member: zipfile.ZipInfo) -> Tensor:
    """An array of a `.npz` file."""
    name = member.filename.removesuffix(".npy")
    with _damage(path, name):
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("neither stored nor deflated")
        with archive.open(member) as stream:
            shape, by_columns, dtype = _npy_header(stream)
        type_ = _npy_type(dtype)
        count = math.prod(shape)
        if by_columns and len(shape) > 1 and count > _LARGEST_TURNED:
            raise ValueError(f"{count} numbers in the order of columns, must be of rows")

    def pieces(unit: int) -> Iterator[FloatArray]:
        with _damage(path, name), archive.open(member) as stream:
            _npy_header(stream)
            parts = _decoded(partial(_read_whole, stream), type_, count, unit)
            if by_columns and len(shape) > 1:
                yield np.concatenate([*parts]).reshape(shape[::-1]).T.ravel()
            else:
                yield from parts
            if stream.read(1):
                raise ValueError("longer than its shape says")

    return Tensor(name, shape, type_.name, type_.kind, pieces)


def _read_whole(stream: IO[bytes], n_bytes: int) -> bytes:
    """So many bytes, which a ZIP stream may hand out in several parts."""
    parts = []
    while n_bytes and (part := stream.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of a `.npy` file."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of the .npy format")


def _npy_type(dtype: np.dtype[Any]) -> _Type:
    """How to read a type of NumPy; bfloat16, which it does not know, is saved as two bytes."""
    if dtype.kind in "biu":
        return _Type(dtype.name, "integer")
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return _Type(dtype.name, "real", dtype.str)
    if dtype.str == "|V2":
        return _Type("bfloat16", "real", "<u2", _bfloat16)
    return _Type(dtype.name, "unsupported")
