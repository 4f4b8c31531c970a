"""Moments picked from curves, and contact sheets of their frames."""

from __future__ import annotations

import numpy as np
from moved_faces import landmarks_of, still_face

from lib.moments import contact_sheet, crop_head, pick_moments
from sonimate.evaluate.face_curves import face_curves
from sonimate.face.regions import LID_PAIRS, LOWER_LIP_INNER, UPPER_LIP_INNER
from sonimate.types import Face


def test_moments_are_found_with_open_eyes():
    vertices, rotation, translation = still_face()
    opening_cm = np.zeros(60)
    opening_cm[10], opening_cm[20], opening_cm[30] = 1.5, 3.0, 4.0
    vertices[:, LOWER_LIP_INNER] = vertices[:, UPPER_LIP_INNER] - (0.2 + opening_cm)[:, None] * [0, 1, 0]
    vertices[5, LOWER_LIP_INNER] = vertices[5, UPPER_LIP_INNER]
    rotation[50, 1] = 0.3
    for upper, lower in LID_PAIRS:
        vertices[30, upper] = vertices[30, lower]
    moments = pick_moments(face_curves(landmarks_of(vertices, rotation, translation)))
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
