"""Check the files of a model: names and shapes, finite values, checksums."""

from __future__ import annotations

from pathlib import Path

import torch

from sonimate.checkpoints.architecture import expected_shapes
from sonimate.checkpoints.archive import SafetensorsFile
from sonimate.checkpoints.component_layout import Class, read_index, weights_path
from sonimate.checkpoints.manifest import check_shapes
from sonimate.checkpoints.network import read_config
from sonimate.checkpoints.saved import load_codec
from sonimate.checkpoints.writer import check_tensor, read_checksums
from sonimate.errors import InvalidCheckpoint
from sonimate.types import Progress, no_progress


def verify_model(folder: Path, progress: Progress = no_progress) -> dict[str, int]:
    """Check every component of a model folder and count its tensors with a checksum, by component.

    Raises InvalidCheckpoint or FileMissing, naming the file and the tensor.
    """
    return {
        name: verify_component(folder / name, kind, progress) for name, kind in read_index(folder).items()
    }


def open_component(folder: Path, kind: Class) -> SafetensorsFile:
    """One component's tensors, unread, whose names and shapes are those that its config.json describes.

    Raises as `verify_model` does.
    """
    library, class_name = kind
    file = SafetensorsFile(weights_path(folder, library))
    if class_name == "MeshCodec":
        load_codec(folder)
    else:
        expected = expected_shapes(kind, read_config(folder), str(folder))
        check_shapes(file.shapes, expected, str(file.path))
    return file


def verify_component(
    folder: Path, kind: Class, progress: Progress = no_progress, dtype: torch.dtype | None = None
) -> int:
    """Check one component, of type `dtype` if given, and count its tensors with a checksum.

    Raises as `verify_model` does.
    """
    file = open_component(folder, kind)
    checksums = read_checksums(file.path)
    for done, (name, tensor) in enumerate(file.read(file.shapes), start=1):
        if dtype not in (None, tensor.dtype):
            raise InvalidCheckpoint(f"{file.path}: {name} is {tensor.dtype}, not {dtype}. Convert it again.")
        if not tensor.isfinite().all():
            raise InvalidCheckpoint(f"{file.path} is damaged: {name} holds NaN or infinity. Copy it again.")
        check_tensor(file.path, name, tensor, checksums)
        progress(folder.name, done, len(file.shapes))
    return len(checksums)
