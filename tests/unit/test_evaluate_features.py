"""Curves of landmarks whose motion is known, from the canonical face moved in an image."""

from __future__ import annotations

import numpy as np
import pytest

from sonimate.evaluate.face_curves import EYES, canonical_face_height_cm, measure_face
from sonimate.evaluate.moments import contact_sheet, crop_head, pick_moments
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, rotation_matrix, to_image
from sonimate.types import Face

PX_PER_CM = 12.0


def landmarks_of(vertices: np.ndarray, rotation: np.ndarray, translation_cm: np.ndarray) -> np.ndarray:
    """Landmarks (n, 478, 3) of canonical vertices (n, 478, 3) turned by (n, 3) rad and moved by (n, 2) cm."""
    count = len(vertices)
    translation = np.concatenate([PX_PER_CM * translation_cm, np.zeros((count, 1))], axis=1)
    return to_image(vertices, Pose(np.full(count, PX_PER_CM), rotation_matrix(rotation), translation))


@pytest.fixture
def still() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = 60
    return np.repeat(canonical_vertices()[None], count, axis=0), np.zeros((count, 3)), np.zeros((count, 2))


def test_head_motion_comes_out_in_degrees_and_face_heights(still):
    vertices, rotation, translation = still
    rotation[:, 1] = np.radians(np.linspace(0, 20, 60))
    translation[:, 0] = np.linspace(0, canonical_face_height_cm(), 60)
    curves = measure_face(landmarks_of(vertices, rotation, translation))
    assert curves.rotation[-1] == pytest.approx([0, 20, 0], abs=1e-3)
    assert np.abs(curves.translation[-1]) == pytest.approx([1, 0], abs=1e-3)


def test_mouth_is_a_share_of_the_face_height_whatever_the_head_does(still):
    vertices, rotation, translation = still
    opening_cm = np.linspace(0, 3, 60)
    vertices[:, 14] = vertices[:, 13] - opening_cm[:, None] * [0, 1, 0]
    rotation[:] = np.radians(np.random.default_rng(0).normal(size=(60, 3)) * 10)
    curves = measure_face(landmarks_of(vertices, rotation, translation))
    assert curves.mouth == pytest.approx(opening_cm / canonical_face_height_cm(), abs=1e-6)


def test_eyes_close_to_zero_and_do_not_see_the_head_turn(still):
    vertices, rotation, translation = still
    rotation[:, 1] = np.radians(np.linspace(-25, 25, 60))
    for _, upper_1, upper_2, _, lower_2, lower_1 in EYES:
        vertices[30, [upper_1, upper_2]] = vertices[30, [lower_1, lower_2]]
    eyes = measure_face(landmarks_of(vertices, rotation, translation)).eyes
    assert eyes[30] == pytest.approx(0, abs=1e-6)
    assert np.delete(eyes, 30) == pytest.approx(eyes[0], rel=1e-6)
    assert 0.2 < eyes[0] < 0.6


def test_points_do_not_depend_on_resolution(still):
    vertices, rotation, translation = still
    translation[:, 1] = np.random.default_rng(0).normal(size=60)
    landmarks = landmarks_of(vertices, rotation, translation)
    small, large = measure_face(landmarks), measure_face(3 * landmarks)
    assert np.ptp(small.points - large.points, axis=0).max() < 1e-9
    assert large.face_height_px == pytest.approx(3 * small.face_height_px)


def test_slices_cut_every_curve(still):
    curves = measure_face(landmarks_of(*still))[10:35]
    assert len(curves) == len(curves.eyes) == len(curves.points) == len(curves.translation) == 25


def test_moments_are_found_with_open_eyes(still):
    vertices, rotation, translation = still
    opening_cm = np.zeros(60)
    opening_cm[10], opening_cm[20], opening_cm[30] = 1.5, 3.0, 4.0
    vertices[:, 14] = vertices[:, 13] - (0.2 + opening_cm)[:, None] * [0, 1, 0]
    vertices[5, 14] = vertices[5, 13]
    rotation[50, 1] = 0.3
    for _, upper_1, upper_2, _, lower_2, lower_1 in EYES:
        vertices[30, [upper_1, upper_2]] = vertices[30, [lower_1, lower_2]]
    moments = pick_moments(measure_face(landmarks_of(vertices, rotation, translation)))
    assert moments == {"closed": 5, "half open": 10, "wide open": 20, "blink": 30, "head turned": 50}


def test_a_crop_keeps_pixels_and_stays_inside_the_picture():
    pixels = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    crop = crop_head(pixels, Face((140.0, 80.0, 180.0, 130.0), np.zeros((478, 3), np.float32), 1.0))
    assert np.shares_memory(crop, pixels)
    assert 60 < crop.shape[0] < 200
    edge = crop_head(pixels, Face((0.0, 0.0, 60.0, 90.0), np.zeros((478, 3), np.float32), 1.0))
    assert np.array_equal(edge[0, 0], pixels[0, 0])


def test_a_contact_sheet_shows_every_cell_unscaled():
    cells = [[np.full((40, 30, 3), 10 * row + column, np.uint8) for column in range(3)] for row in range(2)]
    sheet = contact_sheet(cells, ["a", "b", "c"])
    for row in range(2):
        for column in range(3):
            assert (sheet == 10 * row + column).all(axis=2).sum() >= 40 * 30
