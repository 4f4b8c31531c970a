"""Landmarks of one face over a whole video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.face.mesh import FaceMesh
from sonimate.face.regions import LANDMARK_COUNT
from sonimate.media.video import read_frames
from sonimate.types import Face


def video_landmarks(path: Path, mesh: FaceMesh) -> np.ndarray:
    """The largest face of a whole video at VIDEO_FPS: float32 (n, 478, 3) px, gaps filled along a line.

    Raises UnusableClip when no frame shows one, and the errors of `read_frames`.
    """
    faces = list(mesh.track(read_frames(path, fps=VIDEO_FPS)))
    if not any(faces):
        raise UnusableClip(f"No frame of {path} shows a face. Choose another clip.")
    return fill_gaps(stack_landmarks(faces))


def stack_landmarks(faces: Sequence[Face | None]) -> np.ndarray:
    """float32 (n, 478, 3) px, NaN in frames without a face."""
    missing = np.full((LANDMARK_COUNT, 3), np.nan, np.float32)
    return np.stack([missing if face is None else face.landmarks for face in faces]).astype(np.float32)


def fill_gaps(landmarks: np.ndarray) -> np.ndarray:
    """Interpolate frames without a face linearly: (n, 478, 3), NaN in these -> without NaN. Before the first
    and after the last face the nearest one is held. Without gaps the array itself comes back."""
    lost = np.isnan(landmarks[:, 0, 0])
    if not lost.any():
        return landmarks
    known = np.flatnonzero(~lost)
    flat = landmarks.reshape(len(landmarks), -1)
    filled = flat.copy()
    for index in np.flatnonzero(lost):
        after = np.searchsorted(known, index)
        left, right = known[max(after - 1, 0)], known[min(after, len(known) - 1)]
        share = 0.0 if right == left else (index - left) / (right - left)
        filled[index] = (1 - share) * flat[left] + share * flat[right]
    return filled.reshape(landmarks.shape)
