"""Checkpoint files, read and written one tensor at a time: torch's archives and older pickles, safetensors.

Files may hold many gigabytes. Reading them never runs code that they contain. A safetensors file is the
length of its header (8 bytes, little endian), the header (JSON), and the values; those that are written here
also hold a CRC-32 of every tensor, which is compared when a model is loaded.
"""

from __future__ import annotations

import json
import math
import re
import struct
import warnings
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sonimate.errors import InvalidCheckpoint
from sonimate.media.files import replacing, write_errors

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name -> shape, in the file's order."""

ZIP_MAGIC = b"PK\x03\x04"
HEADER_LENGTH = struct.Struct("<Q")
METADATA, CHECKSUMS = "__metadata__", "crc32"
"""Keys in a safetensors header: of the metadata, and in it of the checksums (JSON, tensor name -> CRC-32)."""

ALIGNMENT = 8  # of the values in the file, in bytes
LARGEST_CRC32 = 2**32 - 1
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Types of weights, by their name in safetensors files."""

LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field, which the record's data follow

MAX_PICKLE_BYTES = 2 << 30
"""Files in torch's format from before 2020 are loaded whole, up to this size."""


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Names and shapes of a state dict, which may be on the meta device."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


class TensorFile(Protocol):
    """An open checkpoint: the shapes of its tensors, and their values on demand."""

    path: Path
    shapes: Shapes

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Yield each tensor once, in any order. Raises InvalidCheckpoint, naming the damaged tensor."""
        ...


def open_tensors(path: Path, wrappers: tuple[str, ...] = ()) -> TensorFile:
    """Open a file by its content. `wrappers`: keys that may hold the whole state dict of a pickle.

    Raises InvalidCheckpoint: it is damaged, holds anything but tensors, or would have to run code to load.
    """
    if path.suffix == ".safetensors":
        return SafetensorsFile(path)
    try:
        with path.open("rb") as file:
            zipped = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError as error:
        raise _damaged(path, error) from error
    return TorchArchive(path, wrappers) if zipped else OldPickle(path, wrappers)


class SafetensorsFile:
    """A safetensors file. checksums: CRC-32 by tensor name; empty for files of other programs.

    The library checks the header, but it maps the file into memory and keeps all that was read; so the values
    are read here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, framework="np"), path.open("rb") as file:
                (length,) = HEADER_LENGTH.unpack(file.read(HEADER_LENGTH.size))
                entries = json.loads(file.read(length))
        except (OSError, ValueError, SafetensorError) as error:
            raise _damaged(path, error) from error
        self._data = HEADER_LENGTH.size + length
        self._entries = {name: entry for name, entry in entries.items() if name != METADATA}
        self.shapes: Shapes = {name: tuple(entry["shape"]) for name, entry in self._entries.items()}
        self.checksums = self._read_checksums(entries.get(METADATA) or {})

    def _read_checksums(self, metadata: Mapping[str, str]) -> dict[str, int]:
        try:
            checksums: dict[str, int] = json.loads(metadata.get(CHECKSUMS, "{}"))
            if not checksums or checksums.keys() == self.shapes.keys():
                return checksums
            raise ValueError("checksums of other tensors")
        except (ValueError, AttributeError) as error:
            raise InvalidCheckpoint(
                f"{self.path} is damaged ({error}). Convert or copy the model again."
            ) from error

    def check(self, name: str, tensor: Tensor) -> None:
        """Compare a tensor with its checksum, if the file holds one. Raises InvalidCheckpoint."""
        if name in self.checksums and zlib.crc32(raw_bytes(tensor)) != self.checksums[name]:
            raise InvalidCheckpoint(
                f"{self.path} is damaged: {name} differs from its checksum. Convert or copy the model again."
            )

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        with self.path.open("rb") as file:
            for name in sorted(names, key=lambda name: self._entries[name]["data_offsets"]):
                kind, (begin, end) = self._entries[name]["dtype"], self._entries[name]["data_offsets"]
                if kind not in DTYPES:
                    raise InvalidCheckpoint(
                        f"{self.path}: {name} has the type {kind}, not a floating-point type. Give the "
                        "released file."
                    )
                try:
                    file.seek(self._data + begin)
                    values = bytearray(file.read(end - begin))
                except OSError as error:
                    raise _damaged(self.path, error) from error
                yield name, torch.frombuffer(values, dtype=DTYPES[kind]).view(self.shapes[name])


class OldPickle:
    """A file in torch's format from before 2020, loaded whole."""

    def __init__(self, path: Path, wrappers: tuple[str, ...]) -> None:
        self.path = path
        if path.stat().st_size > MAX_PICKLE_BYTES:
            raise InvalidCheckpoint(
                f"{path} is in torch's old format and too large to load whole. Save it anew with a current "
                "torch: torch.save(torch.load(path, weights_only=True), path)."
            )
        self._tensors = _state_dict(path, "cpu", wrappers)
        self.shapes = shapes_of(self._tensors)

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, self._tensors[name]) for name in names)


@dataclass(frozen=True)
class _View:
    """A tensor's place: the bytes [start, stop) of a record hold its values, in the strides of `layout`."""

    name: str
    record: ZipInfo
    start: int
    stop: int
    layout: Tensor


class TorchArchive:
    """A file of torch.save: a zip archive of a pickle and one record per storage.

    On the meta device torch.load notes where each storage begins in the file, and reads none.
    """

    def __init__(self, path: Path, wrappers: tuple[str, ...]) -> None:
        self.path = path
        self._tensors = _state_dict(path, "meta", wrappers)
        self.shapes = shapes_of(self._tensors)
        try:
            self._records = _records_by_offset(path)
        except (OSError, BadZipFile, struct.error) as error:
            raise _damaged(path, error) from error

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        with ZipFile(self.path) as archive:
            for views in _passes([self._view(name) for name in names]):
                try:
                    yield from _read_pass(archive, views)
                except (OSError, EOFError, RuntimeError, BadZipFile) as error:
                    raise InvalidCheckpoint(
                        f"{self.path} is damaged at {', '.join(view.name for view in views)} ({error}). "
                        "Download it again."
                    ) from error

    def _view(self, name: str) -> _View:
        tensor = self._tensors[name]
        record = self._records.get(getattr(tensor.untyped_storage(), "_checkpoint_offset", -1))
        first = int(tensor.storage_offset())
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        last = first + sum((size - 1) * step for size, step in steps)
        start, stop = first * tensor.itemsize, (last + 1) * tensor.itemsize
        if record is None or record.compress_type != ZIP_STORED or stop > record.file_size:
            raise InvalidCheckpoint(f"{self.path} does not hold the values of {name}. Download it again.")
        return _View(name, record, start, stop, tensor)


def _records_by_offset(path: Path) -> dict[int, ZipInfo]:
    """Records of a zip archive by the position of their data."""
    records = {}
    with ZipFile(path) as archive, path.open("rb") as file:
        for record in archive.infolist():
            file.seek(record.header_offset)
            lengths = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
            records[record.header_offset + LOCAL_HEADER.size + sum(lengths)] = record
    return records


def _passes(views: list[_View]) -> list[list[_View]]:
    """Group views that one pass through one record can read: in its order, none overlapping another."""
    passes: list[list[_View]] = []
    for view in sorted(views, key=lambda view: (view.record.header_offset, view.start)):
        last = passes[-1][-1] if passes else None
        if last and last.record is view.record and last.stop <= view.start:
            passes[-1].append(view)
        else:
            passes.append([view])
    return passes


def _read_pass(archive: ZipFile, views: list[_View]) -> Iterator[tuple[str, Tensor]]:
    """Read a record to its end, where zipfile compares its CRC-32, and yield the tensors on the way."""
    with archive.open(views[0].record) as record:
        position = 0
        for view in views:
            record.read(view.start - position)
            values = bytearray(record.read(view.stop - view.start))
            position = view.stop
            layout = view.layout
            flat = torch.frombuffer(values, dtype=layout.dtype)
            yield view.name, flat.as_strided(layout.shape, layout.stride())
        record.read()


def _state_dict(path: Path, device: str, wrappers: tuple[str, ...]) -> dict[str, Tensor]:
    """A pickle's tensors by name."""
    loaded = _unpickle(path, device)
    for wrapper in wrappers:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict):
        raise InvalidCheckpoint(f"{path} holds no tensors by name. Give the released file.")
    for name, value in loaded.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided):
            raise InvalidCheckpoint(
                f"{path} holds {name!r}, which is no plain tensor. Give the file of the weights alone."
            )
    return loaded


def _unpickle(path: Path, device: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on TorchScript, which is then refused
            return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged pickle fails in any of its instructions, with any error
        if wanted := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise InvalidCheckpoint(
                f"{path} is unsafe or damaged: loading it would run {wanted[1]}. Get the weights from their "
                "publisher, and never load such a file by other means."
            ) from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InvalidCheckpoint:
    reason = str(error).partition(". ")[0] or type(error).__name__
    return InvalidCheckpoint(f"{path} is no checkpoint, or is damaged ({reason}). Download it again.")


def write_tensors(
    path: Path, shapes: Shapes, dtype: torch.dtype, tensors: Iterable[tuple[str, Tensor]]
) -> None:
    """Write a safetensors file of `shapes`, all in `dtype`. `tensors` come in any order, and only one is in
    memory at a time. If one fails, no file is left.

    Raises OutputNotWritable, and ValueError unless `tensors` are exactly `shapes`.
    """
    places = _places(shapes, dtype)
    # Checksums are known at the end; the header has room for the longest ones.
    room = len(_header(shapes, dtype, places, dict.fromkeys(shapes, LARGEST_CRC32)))
    room += -room % ALIGNMENT
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
    """`tensor` in `dtype`, on the CPU, ready to be written. `source` names it in errors.

    Raises InvalidCheckpoint: its type is no floating-point type, or a value is not finite or out of range.
    """
    if not tensor.is_floating_point():
        raise InvalidCheckpoint(
            f"{source} has the type {tensor.dtype}, not a floating-point type. Give the released file."
        )
    values = tensor.detach().to("cpu", dtype)
    if values.isfinite().all():
        return values
    if not tensor.isfinite().all():
        raise InvalidCheckpoint(f"{source} holds NaN or infinity. Download or copy it again.")
    raise InvalidCheckpoint(
        f"{source} holds {tensor.abs().max():.3g}, beyond {dtype}. Choose bfloat16 or float32 (--dtype)."
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
