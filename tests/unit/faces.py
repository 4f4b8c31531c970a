"""Faces with known landmarks: the canonical one in any pose, and the example portraits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_mesh_codec
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.face.canonical import canonical_vertices, mirror_partners
from sonimate.face.mesh import FaceMesh, landmark_box
from sonimate.face.pose import Pose, fit_pose, relative_motion, rotation_matrix, to_canonical, to_image
from sonimate.inputs import read_portrait
from sonimate.types import Face, Portrait

PORTRAITS = Path(__file__).parents[2] / "examples" / "portraits"
NAMES = ["astronaut_collins", "mona_lisa", "obama", "vigee_lebrun"]


@lru_cache(maxsize=1)
def mesh() -> FaceMesh:
    return FaceMesh(num_threads=1)


@lru_cache(maxsize=1)
def codec() -> MeshCodec:
    """The bundled model's codec."""
    return load_mesh_codec(BUNDLED / "compact" / "codec")


def encode(mesh_codec: MeshCodec, landmarks: np.ndarray, reference: np.ndarray) -> Tensor:
    """Latents of tracked landmarks (n, 478, 3) px, with the motion against `reference` (478, 3)."""
    pose, still = fit_pose(landmarks), fit_pose(reference[None])
    change = to_canonical(landmarks, pose) - to_canonical(reference[None], still)
    return mesh_codec.to_latents(Motion(mesh_codec.project(change), relative_motion(pose, still)))


@lru_cache(maxsize=8)
def example(name: str, size: int = 384) -> Portrait:
    return read_portrait(PORTRAITS / f"{name}.jpg", size=size, mesh=mesh())


def portrait_of(pixels: np.ndarray, landmarks: np.ndarray) -> Portrait:
    return Portrait(pixels, Face(landmark_box(landmarks), landmarks.astype(np.float32), 1.0))


def cut(portrait: Portrait, x0: int, y0: int, x1: int, y1: int) -> Portrait:
    """A part of a picture; the face may lie across its edges."""
    pixels = np.ascontiguousarray(portrait.pixels[y0:y1, x0:x1])
    return portrait_of(pixels, portrait.face.landmarks - [x0, y0, 0])


def mirrored_landmarks(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Landmarks (..., 478, 3) px in the mirrored picture."""
    return landmarks[..., mirror_partners(), :] * [-1, 1, 1] + [width, 0, 0]


def poses(count: int, rng: np.random.Generator, *, turn: float = 0.5, scale_px: float = 10.0) -> Pose:
    """Random heads, turned by about `turn` rad around each axis."""
    return Pose(
        scale_px * np.exp(rng.normal(size=count) * 0.3),
        rotation_matrix(rng.normal(size=(count, 3)) * turn),
        rng.normal(size=(count, 3)) * [100, 100, 0],
    )


def canonical_landmarks(pose: Pose, displacement: np.ndarray | float = 0.0) -> np.ndarray:
    """(n, 478, 3) px of the canonical face, its vertices displaced by `displacement` cm."""
    return to_image(canonical_vertices() + np.broadcast_to(displacement, (len(pose.scale), 478, 3)), pose)
