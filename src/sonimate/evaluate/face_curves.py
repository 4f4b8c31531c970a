"""Landmarks of a face -> curves of its mouth, eyes and head over time, at 25 fps.

`face_curves` measures in the image: face heights and degrees. `shape_curves` takes the head's pose off first
and scales the face to 18 cm from forehead to chin: millimetres that compare between people and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import fit_pose, relative_motion, to_canonical
from sonimate.face.regions import (
    EYE_CORNER_COUNT,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_IRIS,
    LID_PAIRS,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    MOUTH_CORNER_LEFT,
    MOUTH_CORNER_RIGHT,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_IRIS,
    UPPER_LIP_INNER,
    VERTEX_COUNT,
    face_height,
    mouth_opening,
)

EYES = ((RIGHT_EYE, LID_PAIRS[:2]), (LEFT_EYE, LID_PAIRS[2:]))
"""Contour of each eye, and the pairs of lid points whose distance measures how open it is."""
SCALED_HEIGHT_MM = 180.0
"""Height from forehead to chin to which `shape_curves` scales every face. A grown person's is about that."""


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


@dataclass(frozen=True)
class ShapeCurves:
    """How one face changes over n frames, without the head's pose and seen from the front (lips that touch
    differ in depth by up to 3 mm, and lids too), in mm of a face SCALED_HEIGHT_MM high.

    opening: (n,) gap between the middles of the inner lips. width: (n,) distance of the mouth's corners.
    lips: (n, 40, 2) outer and inner contour, x to the viewer's right, y up. brows: (n,)
    height above the corners of the eyes, mean of both. gaze: (n, 2) centre of the iris against those corners,
    mean of both eyes. eyes: (n,) eye aspect ratio.
    """

    opening: np.ndarray
    width: np.ndarray
    lips: np.ndarray
    brows: np.ndarray
    gaze: np.ndarray
    eyes: np.ndarray

    def __len__(self) -> int:
        return len(self.opening)

    def __getitem__(self, frames: slice | np.ndarray) -> ShapeCurves:
        return ShapeCurves(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})


def shape_curves(landmarks: np.ndarray) -> ShapeCurves:
    """Curves of landmarks (n, 478, 3) px at 25 fps without gaps, tracked or generated.

    The scale is that of the median height over the frames, so that a falling jaw does not shrink its own gap.
    """
    landmarks = landmarks.astype(np.float64)
    vertices = to_canonical(landmarks, fit_pose(landmarks))
    vertices *= SCALED_HEIGHT_MM / np.median(face_height(vertices))
    contours = ((RIGHT_EYE, RIGHT_BROW, RIGHT_IRIS), (LEFT_EYE, LEFT_BROW, LEFT_IRIS))
    brows: list[np.ndarray] = []
    gaze: list[np.ndarray] = []
    for eye, brow, iris in contours:
        middle = vertices[:, [eye[0], eye[EYE_CORNER_COUNT]], :2].mean(1)
        brows.append(vertices[:, brow, 1] - middle[:, 1])
        gaze.append(vertices[:, iris, :2] - middle)
    return ShapeCurves(
        opening=_distance(vertices[..., :2], UPPER_LIP_INNER, LOWER_LIP_INNER),
        width=_distance(vertices[..., :2], MOUTH_CORNER_RIGHT, MOUTH_CORNER_LEFT),
        lips=vertices[:, LIPS_OUTER + LIPS_INNER, :2],
        brows=np.mean(brows, axis=0),
        gaze=np.mean(gaze, axis=0),
        eyes=eye_opening(vertices[..., :2]),
    )


def eye_opening(landmarks: np.ndarray) -> np.ndarray:
    """Eye aspect ratio (Soukupova and Cech 2016), mean of both eyes: (n, 478, d) of any unit -> (n,)."""
    ratios: list[np.ndarray] = []
    for contour, lids in EYES:
        opening = sum(_distance(landmarks, upper, lower) for upper, lower in lids)
        ratios.append(opening / (len(lids) * _distance(landmarks, contour[0], contour[EYE_CORNER_COUNT])))
    return np.mean(ratios, axis=0)


def _distance(landmarks: np.ndarray, first: int, second: int) -> np.ndarray:
    return np.linalg.norm(landmarks[:, first] - landmarks[:, second], axis=1)
