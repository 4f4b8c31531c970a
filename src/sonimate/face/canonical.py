"""MediaPipe's canonical face: vertices, triangles and the rigid basis, read from the bundled task file."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.face.regions import LEFT_EYE, MIRRORED_IRISES, RIGHT_EYE, VERTEX_COUNT

TASK_FILE = Path(str(files("sonimate"))) / "bundled" / "face" / "face_landmarker.task"


@dataclass(frozen=True)
class CanonicalFace:
    """vertices: float32 (468, 3) in cm, x to the viewer's right, y up, z toward the viewer.
    triangles: int32 (898, 3). rigid_weights: float32 (468,), zero outside the procrustes basis."""

    vertices: np.ndarray
    triangles: np.ndarray
    rigid_weights: np.ndarray


@lru_cache(maxsize=1)
def canonical_face() -> CanonicalFace:
    """Read the canonical face from `geometry_pipeline_metadata_landmarks.binarypb`."""
    with zipfile.ZipFile(TASK_FILE) as task:
        metadata = task.read("geometry_pipeline_metadata_landmarks.binarypb")
    numbers: list[float] = []
    indices: list[int] = []
    weights = np.zeros(VERTEX_COUNT, np.float32)
    for field, value in _protobuf_fields(metadata):
        if field == 1:
            mesh = list(_protobuf_fields(value))
            numbers += [number for mesh_field, number in mesh if mesh_field == 3]
            indices += [index for mesh_field, index in mesh if mesh_field == 4]
        elif field == 2:
            basis = dict(_protobuf_fields(value))
            weights[basis[1]] = basis[2]
    vertices = np.array(numbers, np.float32).reshape(VERTEX_COUNT, 5)[:, :3]
    return CanonicalFace(vertices, np.array(indices, np.int32).reshape(-1, 3), weights)


@lru_cache(maxsize=1)
def canonical_vertices() -> np.ndarray:
    """(478, 3) cm: the canonical face's vertices, and for all points of an iris the middle of its eye."""
    face = canonical_face().vertices.astype(np.float64)
    eyes = [face[list(contour)].mean(0) for contour in (RIGHT_EYE, LEFT_EYE)]
    return np.concatenate([face, np.repeat(eyes, 5, axis=0)])


@lru_cache(maxsize=1)
def mirror_partners() -> np.ndarray:
    """(478,) each landmark's counterpart on the other side; a landmark in the middle is its own."""
    face = canonical_face().vertices
    away = np.linalg.norm((face * [-1, 1, 1])[:, None] - face, axis=2)
    return np.concatenate([away.argmin(1), MIRRORED_IRISES])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _protobuf_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, int, float or bytes) of one protobuf message, of the wire types 0, 2 and 5."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        if wire_type == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        elif wire_type in (0, 2):
            value, at = _varint(data, at)
            if wire_type == 2:
                value, at = data[at : at + value], at + value
        else:
            raise ValueError(f"unexpected protobuf wire type {wire_type} in {TASK_FILE.name}")
        yield key >> 3, value
