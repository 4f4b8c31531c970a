"""Landmarks of the canonical face, moved as a test wants, and curves of a face that speaks."""

from __future__ import annotations

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, rotation_matrix, to_image

PX_PER_CM = 12.0
FRAMES = 60
SPEECH_SECONDS, SILENT_SECONDS = 20.0, 2.0


def landmarks_of(vertices: np.ndarray, rotation: np.ndarray, translation_cm: np.ndarray) -> np.ndarray:
    """Landmarks (n, 478, 3) of canonical vertices (n, 478, 3) turned by (n, 3) rad and moved by (n, 2) cm."""
    count = len(vertices)
    translation = np.concatenate([PX_PER_CM * translation_cm, np.zeros((count, 1))], axis=1)
    return to_image(vertices, Pose(np.full(count, PX_PER_CM), rotation_matrix(rotation), translation))


def still_face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arguments of `landmarks_of` for a face that does not move, FRAMES frames."""
    vertices = np.repeat(canonical_vertices()[None], FRAMES, axis=0)
    return vertices, np.zeros((FRAMES, 3)), np.zeros((FRAMES, 2))


def living_face() -> FaceCurves:
    """Speaks for 20 s, blinks every 4 s, sways by 2 degrees, then rests with its mouth closed."""
    count = round((SPEECH_SECONDS + SILENT_SECONDS) * VIDEO_FPS)
    speaking = round(SPEECH_SECONDS * VIDEO_FPS)
    rng = np.random.default_rng(0)
    mouth = np.abs(rng.normal(size=count)) * 0.04
    mouth[speaking + 10 :] = 0.003
    eyes = np.full(count, 0.3)
    eyes[50::100] = eyes[51::100] = 0.05
    sway = np.sin(2 * np.pi * np.arange(count)[:, None] / 50)
    return FaceCurves(
        mouth,
        eyes,
        2 * np.sqrt(2) * sway * [1.0, 0.0, 0.0],
        0.01 * sway * [1.0, 1.0],
        1e-3 * rng.normal(size=(count, 468, 2)),
        300.0,
    )
