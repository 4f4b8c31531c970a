"""Landmarks of a face -> curves of its mouth, eyes and head over time. Units: face heights and degrees, at
25 fps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import fit_pose, relative_motion
from sonimate.face.regions import (
    EYE_CORNER_COUNT,
    LEFT_EYE,
    LID_PAIRS,
    RIGHT_EYE,
    VERTEX_COUNT,
    face_height,
    mouth_opening,
)

EYES = ((RIGHT_EYE, LID_PAIRS[:2]), (LEFT_EYE, LID_PAIRS[2:]))
"""Contour of each eye, and the pairs of lid points whose distance measures how open it is."""


@dataclass(frozen=True)
class FaceCurves:
    """One face over n frames.

    mouth: (n,) inner-lip gap in face heights. eyes: (n,) eye aspect ratio, about 0.3 when open. rotation:
    (n, 3) rotation vector against the first frame, degrees. translation: (n, 2) against the first frame, face
    heights. points: (n, 468, 2) mesh landmarks, face heights. face_height_px: median over the frames.
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


def face_curves(landmarks: np.ndarray) -> FaceCurves:
    """Curves of landmarks (n, 478, 3) px at 25 fps without gaps, tracked or generated."""
    landmarks = landmarks.astype(np.float64)
    pose = fit_pose(landmarks)
    head = relative_motion(pose, pose[:1])
    height_px = float(np.median(face_height(landmarks)))
    return FaceCurves(
        mouth=mouth_opening(landmarks),
        eyes=eye_opening(landmarks),
        rotation=np.degrees(head[:, :3]),
        translation=head[:, 3:5] / face_height(canonical_vertices()[None]),
        points=landmarks[:, :VERTEX_COUNT, :2] / height_px,
        face_height_px=height_px,
    )


def eye_opening(landmarks: np.ndarray) -> np.ndarray:
    """Eye aspect ratio (Soukupova and Cech 2016), mean of both eyes: (n, 478, 3) px -> (n,)."""
    ratios: list[np.ndarray] = []
    for contour, lids in EYES:
        opening = sum(_distance(landmarks, upper, lower) for upper, lower in lids)
        ratios.append(opening / (len(lids) * _distance(landmarks, contour[0], contour[EYE_CORNER_COUNT])))
    return np.mean(ratios, axis=0)


def _distance(landmarks: np.ndarray, first: int, second: int) -> np.ndarray:
    return np.linalg.norm(landmarks[:, first] - landmarks[:, second], axis=1)
