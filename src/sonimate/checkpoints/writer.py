"""Write safetensors files as a stream, with a CRC-32 of every tensor that loading can compare.

The format: length of the header (8 bytes, little endian), header (JSON), data of the tensors.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sonimate.checkpoints.archive import DTYPES, HEADER_LENGTH, METADATA
from sonimate.checkpoints.manifest import Shapes
from sonimate.errors import InvalidCheckpoint
from sonimate.media.files import replacing, write_errors

CHECKSUMS = "crc32"
"""Key of the file's metadata: JSON, tensor name -> CRC-32 of its bytes."""

_ALIGNMENT = 8
_LARGEST_CRC32 = 2**32 - 1


def write_tensors(
    path: Path, shapes: Shapes, dtype: torch.dtype, tensors: Iterable[tuple[str, Tensor]]
) -> None:
    """Write all of `shapes` as `dtype`, in any order, holding one at a time; nothing is left if one fails.

    Raises OutputNotWritable, and ValueError unless `tensors` are exactly `shapes`.
    """
    places = _places(shapes, dtype)
    # Checksums are known at the end; the header keeps room for the longest.
    room = len(_header(shapes, dtype, places, dict.fromkeys(shapes, _LARGEST_CRC32)))
    room += -room % _ALIGNMENT
    checksums: dict[str, int] = {}
    with replacing(path) as partial, partial.open("wb") as file:
        for name, tensor in tensors:
            if tuple(tensor.shape) != shapes[name] or tensor.dtype != dtype or name in checksums:
                raise ValueError(f"{name} was not expected as {tuple(tensor.shape)} {tensor.dtype}")
            values = raw_bytes(tensor)
            checksums[name] = zlib.crc32(values)
            with write_errors(path):
                file.seek(HEADER_LENGTH.size + room + places[name][0])
                file.write(values)
        if missing := shapes.keys() - checksums.keys():
            raise ValueError(f"no values for {sorted(missing)}")
        with write_errors(path):
            file.seek(0)
            file.write(HEADER_LENGTH.pack(room) + _header(shapes, dtype, places, checksums).ljust(room))
            file.flush()


def cast(tensor: Tensor, dtype: torch.dtype, source: str) -> Tensor:
    """`tensor` as `dtype`, on the CPU, as it may be written.

    Raises InvalidCheckpoint: it is not of floats, not finite, or beyond the type's range.
    """
    if not tensor.is_floating_point():
        raise InvalidCheckpoint(f"{source} is {tensor.dtype}, not of floats. Give the released file.")
    values = tensor.detach().to("cpu", dtype)
    if values.isfinite().all():
        return values
    if not tensor.isfinite().all():
        raise InvalidCheckpoint(f"{source} holds NaN or infinity. Get a whole copy of it.")
    raise InvalidCheckpoint(
        f"{source} holds {tensor.abs().max():.3g}, beyond {dtype}. Choose bfloat16 or float32 (--dtype)."
    )


def read_checksums(path: Path) -> dict[str, int]:
    """CRC-32 by tensor, empty for files of other writers. Raises InvalidCheckpoint."""
    try:
        with safe_open(path, framework="np") as file:
            checksums = json.loads((file.metadata() or {}).get(CHECKSUMS, "{}"))
            if not checksums or checksums.keys() == set(file.keys()):
                return checksums
            raise ValueError("checksums of other tensors")
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        raise InvalidCheckpoint(f"{path} is damaged ({error}). Convert or copy the model again.") from error


def check_crc32(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Compare tensors, as they were loaded from `path`, with the checksums that it holds, if any.

    Raises InvalidCheckpoint, naming the tensor.
    """
    checksums = read_checksums(path)
    for name, tensor in tensors.items():
        check_tensor(path, name, tensor, checksums)


def check_tensor(path: Path, name: str, tensor: Tensor, checksums: Mapping[str, int]) -> None:
    """Compare one tensor of `path` with `read_checksums`. Raises InvalidCheckpoint."""
    if name in checksums and zlib.crc32(raw_bytes(tensor)) != checksums[name]:
        raise InvalidCheckpoint(
            f"{path} is damaged: {name} differs from its checksum. Convert or copy the model again."
        )


def raw_bytes(tensor: Tensor) -> memoryview:
    """A tensor's values as bytes, in row-major order."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().data


def _places(shapes: Shapes, dtype: torch.dtype) -> dict[str, tuple[int, int]]:
    """First byte of each tensor, and the one after its last, in the file's data."""
    places, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        places[name] = (begin, end)
    return places


def _header(
    shapes: Shapes,
    dtype: torch.dtype,
    places: Mapping[str, tuple[int, int]],
    checksums: Mapping[str, int],
) -> bytes:
    metadata = {"format": "pt", CHECKSUMS: json.dumps(checksums)}
    kind = next(name for name, known in DTYPES.items() if known == dtype)
    entries = {
        name: {"dtype": kind, "shape": shape, "data_offsets": places[name]} for name, shape in shapes.items()
    }
    return json.dumps({METADATA: metadata, **entries}).encode()
