"""Lips stay as sharp as the picture at rest, and show no steps where their skin is pressed together."""

from __future__ import annotations

import cv2
import numpy as np
from faces import canonical_landmarks, example

from sonimate.codecs.mesh.lip_edges import LipEdges
from sonimate.codecs.mesh.refine import OPENINGS, FineMesh
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.canonical import canonical_face
from sonimate.face.pose import Pose, rotation_matrix
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER, VERTEX_COUNT

STILL = np.zeros((1, 6))


def between_contours(landmarks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: the lips, without a pixel at their edges."""
    lips = np.zeros(shape[:2], np.uint8)
    for contour, value in ((LIPS_OUTER, 1), (LIPS_INNER, 0)):
        cv2.fillPoly(lips, [np.round(landmarks[list(contour), :2]).astype(np.int32)], value)
    return cv2.erode(lips, np.ones((3, 3), np.uint8)) > 0


def test_at_rest_lips_stay_as_sharp_as_the_picture() -> None:
    portrait = example("vigee_lebrun", 768)
    warp = PortraitWarp(portrait)
    frame = warp.draw(warp.resolve(np.zeros((1, 478, 3)), STILL))
    deep = between_contours(portrait.face.landmarks - 0.5, frame.shape)
    assert deep.sum() > 30
    np.testing.assert_array_equal(frame[deep], portrait.pixels[deep])


def test_pressed_lips_are_the_mean_of_several_places() -> None:
    """Stripes of 3 px on lips pressed to half their height have 1.5 px: one place a pixel would show all
    their contrast in wrong places, two by two show a grey with little."""
    pose = Pose(np.array([14.0]), rotation_matrix(np.zeros((1, 3))), np.array([[150.0, -150.0, 0]]))
    landmarks = canonical_landmarks(pose)[0]
    triangles = canonical_face().triangles
    opening = np.any([np.isin(triangles, contour).all(1) for contour in OPENINGS], axis=0)
    mesh = FineMesh.of(triangles[~opening])
    stripes = 127.5 + 127.5 * np.sin(np.arange(300) * 2 * np.pi / 3)
    pixels = np.broadcast_to(np.round(stripes)[:, None, None], (300, 300, 3)).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels)
    lips = LipEdges(pixels, mesh, mesh.vertices(landmarks[:VERTEX_COUNT], lips_strip_px=0)[:, :2])
    middle = landmarks[list(LIPS_OUTER), 1].mean()
    moved = landmarks.copy()
    moved[:, 1] = middle + (landmarks[:, 1] - middle) / 2
    frame = np.zeros_like(pixels)
    lips.draw(frame, moved, mesh.vertices(moved[:VERTEX_COUNT]))
    deep = between_contours(moved, frame.shape)
    assert deep.sum() > 100
    drawn = frame[deep][:, 0].astype(float)
    assert (drawn > 0).mean() > 0.95
    assert abs(drawn.mean() - 127.5) < 15
    assert drawn.std() < 0.65 * stripes.std()
