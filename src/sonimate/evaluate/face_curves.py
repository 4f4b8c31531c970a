"""Landmarks of a talking face -> curves of its mouth, eyes and head. Units: face heights and degrees, at
25 fps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import fit_pose, relative_motion
from sonimate.face.regions import CHIN, FOREHEAD, VERTEX_COUNT, mouth_opening

EYES = ((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373))
"""Outer corner, two points of the upper lid, inner corner, the two of the lower lid below them."""


@dataclass(frozen=True)
class FaceCurves:
    """One face over n frames.

    mouth: (n,) inner-lip gap in face heights. eyes: (n,) aspect ratio. rotation: (n, 3) rotation vector
    against the first frame, degrees. translation: (n, 2) against the first frame, face heights. points:
    (n, 468, 2) mesh landmarks, face heights. face_height_px: median over the frames.
    """

    mouth: np.ndarray
    eyes: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    points: np.ndarray
    face_height_px: float

    def __len__(self) -> int:
        return len(self.mouth)

    def __getitem__(self, frames: slice) -> FaceCurves:
        names = ("mouth", "eyes", "rotation", "translation", "points")
        return replace(self, **{name: getattr(self, name)[frames] for name in names})


def measure_face(landmarks: np.ndarray) -> FaceCurves:
    """Curves of landmarks (n, 478, 3) px at 25 fps without gaps, tracked or generated."""
    landmarks = landmarks.astype(np.float64)
    pose = fit_pose(landmarks)
    head = relative_motion(pose, pose[:1])
    height = float(np.median(np.linalg.norm(landmarks[:, FOREHEAD] - landmarks[:, CHIN], axis=1)))
    return FaceCurves(
        mouth_opening(landmarks),
        eye_opening(landmarks),
        np.degrees(head[:, :3]),
        head[:, 3:5] / canonical_face_height_cm(),
        landmarks[:, :VERTEX_COUNT, :2] / height,
        height,
    )


def eye_opening(landmarks: np.ndarray) -> np.ndarray:
    """Eye aspect ratio (Soukupova and Cech 2016), mean of both eyes: (n, 478, 3) px -> (n,); 0.3 or so is
    open."""
    ratios = []
    for outer, upper_1, upper_2, inner, lower_2, lower_1 in EYES:
        lids = _distance(landmarks, upper_1, lower_1) + _distance(landmarks, upper_2, lower_2)
        ratios.append(lids / (2 * _distance(landmarks, outer, inner)))
    return np.mean(ratios, axis=0)


def generated_landmarks(codec: MeshCodec, motion: Motion, warp: PortraitWarp) -> np.ndarray:
    """Landmarks (n, 478, 3) px of a portrait under a motion at the video's rate, as it is drawn."""
    return codec.resolve(motion, warp).landmarks


def canonical_face_height_cm() -> float:
    """Forehead to chin of the canonical face."""
    face = canonical_vertices()
    return float(np.linalg.norm(face[FOREHEAD] - face[CHIN]))


def _distance(landmarks: np.ndarray, first: int, second: int) -> np.ndarray:
    return np.linalg.norm(landmarks[:, first] - landmarks[:, second], axis=1)
