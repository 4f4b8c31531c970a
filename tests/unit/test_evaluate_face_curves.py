"""Curves of landmarks whose motion is known, from the canonical face moved in an image."""

from __future__ import annotations

import numpy as np
import pytest
from moved_faces import landmarks_of, still_face

from sonimate.evaluate.face_curves import SCALED_HEIGHT_MM, face_curves, shape_curves
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import (
    CHIN,
    LEFT_BROW,
    LEFT_IRIS,
    LID_PAIRS,
    LOWER_LIP_INNER,
    MOUTH_CORNER_LEFT,
    MOUTH_CORNER_RIGHT,
    RIGHT_BROW,
    RIGHT_IRIS,
    UPPER_LIP_INNER,
    face_height,
)

FACE_HEIGHT_CM = float(face_height(canonical_vertices()[None])[0])


def test_head_motion_comes_out_in_degrees_and_face_heights():
    vertices, rotation, translation = still_face()
    rotation[:, 1] = np.radians(np.linspace(0, 20, 60))
    translation[:, 0] = np.linspace(0, FACE_HEIGHT_CM, 60)
    curves = face_curves(landmarks_of(vertices, rotation, translation))
    assert curves.rotation[-1] == pytest.approx([0, 20, 0], abs=1e-3)
    assert np.abs(curves.translation[-1]) == pytest.approx([1, 0], abs=1e-3)


def test_mouth_is_a_share_of_the_face_height_whatever_the_head_does():
    vertices, rotation, translation = still_face()
    opening_cm = np.linspace(0, 3, 60)
    vertices[:, LOWER_LIP_INNER] = vertices[:, UPPER_LIP_INNER] - opening_cm[:, None] * [0, 1, 0]
    rotation[:] = np.radians(np.random.default_rng(0).normal(size=(60, 3)) * 10)
    curves = face_curves(landmarks_of(vertices, rotation, translation))
    assert curves.mouth == pytest.approx(opening_cm / FACE_HEIGHT_CM, abs=1e-6)


def test_eyes_close_to_zero_and_do_not_see_the_head_turn():
    vertices, rotation, translation = still_face()
    rotation[:, 1] = np.radians(np.linspace(-25, 25, 60))
    for upper, lower in LID_PAIRS:
        vertices[30, upper] = vertices[30, lower]
    eyes = face_curves(landmarks_of(vertices, rotation, translation)).eyes
    assert eyes[30] == pytest.approx(0, abs=1e-6)
    assert np.delete(eyes, 30) == pytest.approx(eyes[0], rel=1e-6)
    assert 0.2 < eyes[0] < 0.6


def test_points_do_not_depend_on_resolution():
    vertices, rotation, translation = still_face()
    translation[:, 1] = np.random.default_rng(0).normal(size=60)
    landmarks = landmarks_of(vertices, rotation, translation)
    small, large = face_curves(landmarks), face_curves(3 * landmarks)
    assert np.ptp(small.points - large.points, axis=0).max() < 1e-9
    assert large.face_height_px == pytest.approx(3 * small.face_height_px)


def test_slices_cut_every_curve():
    curves = face_curves(landmarks_of(*still_face()))[10:35]
    assert len(curves) == len(curves.eyes) == len(curves.points) == len(curves.translation) == 25


def test_shapes_are_mm_of_a_face_18_cm_high_whatever_the_head_and_the_camera_do():
    """Mouth, brows and eyes move by known amounts; the head turns and the picture is three times as large."""
    vertices, rotation, translation = still_face()
    time = np.arange(60)
    opening, wider, raised, aside = (
        amount * (1 + np.sin(time / period)) for amount, period in ((0.8, 3), (0.3, 4), (0.2, 7), (0.1, 5))
    )
    vertices[:, LOWER_LIP_INNER] = vertices[:, UPPER_LIP_INNER] - opening[:, None] * [0, 1, 0]
    vertices[:, MOUTH_CORNER_LEFT, 0] += wider
    vertices[:, [RIGHT_BROW, LEFT_BROW], 1] += raised[:, None]
    vertices[:, [RIGHT_IRIS, LEFT_IRIS], 0] += aside[:, None]
    rotation[:] = np.radians(np.random.default_rng(0).normal(size=(60, 3)) * 10)
    width = vertices[:, MOUTH_CORNER_LEFT] - vertices[:, MOUTH_CORNER_RIGHT]
    shapes = shape_curves(3 * landmarks_of(vertices, rotation, translation))
    mm = SCALED_HEIGHT_MM / FACE_HEIGHT_CM
    assert shapes.opening == pytest.approx(mm * opening, abs=1e-6)
    assert shapes.width == pytest.approx(mm * np.linalg.norm(width[:, :2], axis=1), abs=1e-6)
    assert np.ptp(shapes.brows - mm * raised) < 1e-6
    assert np.ptp(shapes.gaze[:, 0] - mm * aside) < 1e-6
    assert np.ptp(shapes.gaze[:, 1]) < 1e-6
    assert shapes.lips.shape == (60, 40, 2)
    assert len(shapes[10:35]) == len(shapes[10:35].lips) == 25


def test_a_small_face_that_opens_as_far_for_its_size_has_the_same_opening():
    vertices, rotation, translation = still_face()
    vertices[20:30, LOWER_LIP_INNER, 1] -= 1
    child = shape_curves(landmarks_of(0.7 * vertices, rotation, translation))
    grown = shape_curves(landmarks_of(vertices, rotation, translation))
    assert child.opening == pytest.approx(grown.opening, abs=1e-6)


def test_a_jaw_that_falls_does_not_shrink_its_own_gap():
    vertices, rotation, translation = still_face()
    gap = np.where(np.arange(60) < 20, 2.0, 0.0)
    vertices[:, LOWER_LIP_INNER] = vertices[:, UPPER_LIP_INNER] - gap[:, None] * [0, 1, 0]
    vertices[:, CHIN, 1] -= gap
    opening = shape_curves(landmarks_of(vertices, rotation, translation)).opening
    assert opening == pytest.approx(gap * SCALED_HEIGHT_MM / FACE_HEIGHT_CM, abs=1e-6)


def test_lips_that_touch_at_different_depths_are_closed():
    vertices, rotation, translation = still_face()
    vertices[:, LOWER_LIP_INNER] = vertices[:, UPPER_LIP_INNER] + [0, 0, 0.4]
    rotation[:, 0] = np.radians(np.linspace(-15, 15, 60))
    assert shape_curves(landmarks_of(vertices, rotation, translation)).opening == pytest.approx(0, abs=1e-6)
