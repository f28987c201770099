"""Checkpoints that tests write, in the formats of frameworks but without them."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32"}


class Bits:
    """Numbers of a type that NumPy does not know, by their bits."""

    def __init__(self, code: str, bits: NDArray[Any]) -> None:
        self.code, self.bits = code, bits


def bfloat16(numbers: NDArray[Any]) -> Bits:
    """To the nearest bfloat16, ties to even, as PyTorch rounds."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return Bits("BF16", rounded.astype("<u2"))


def safetensors_bytes(
    tensors: Mapping[str, NDArray[Any] | Bits], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The file: length of the header, the header, the tensors one after the other."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    data = b""
    for name, tensor in tensors.items():
        bits = tensor.bits if isinstance(tensor, Bits) else tensor
        code = tensor.code if isinstance(tensor, Bits) else CODES[tensor.dtype.name]
        raw = np.ascontiguousarray(bits).tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": code, "shape": list(bits.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_safetensors(
    path: Path,
    tensors: Mapping[str, NDArray[Any] | Bits],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    path.write_bytes(safetensors_bytes(tensors, metadata))
    return path
