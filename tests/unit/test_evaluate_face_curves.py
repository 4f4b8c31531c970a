"""Curves of landmarks whose motion is known, from the canonical face moved in an image."""

from __future__ import annotations

import numpy as np
import pytest
from moved_faces import landmarks_of, still_face

from sonimate.evaluate.face_curves import face_curves
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import LID_PAIRS, LOWER_LIP_INNER, UPPER_LIP_INNER, face_height

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
