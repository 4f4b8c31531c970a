"""The person of a picture, and a background that is moved by a known amount behind them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces import example

from sonimate.evaluate.background import background_shift
from sonimate.face.person import PersonMask, person_roi
from sonimate.face.regions import face_height


def portrait() -> tuple[np.ndarray, np.ndarray, float]:
    """Pixels, landmarks and face height in px of an example whose background optical flow can follow."""
    found = example("obama")
    pixels, landmarks = found.pixels.copy(), found.face.landmarks
    noise = np.random.default_rng(0).integers(0, 255, (*pixels.shape[:2], 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 6)
    texture = (texture - texture.mean()) / texture.std() * 40 + 120
    behind = ~person(pixels, landmarks)
    pixels[behind] = np.clip(texture, 0, 255).astype(np.uint8)[behind]
    return pixels, landmarks, float(face_height(landmarks[None])[0])


def person(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The person with a belt around it, bool (h, w); all that the square does not show is left alone."""
    roi = person_roi(landmarks)
    mask = (PersonMask()(pixels, roi) > 0.1).astype(np.uint8)
    mask = cv2.dilate(mask, np.ones((9, 9), np.uint8))
    matrix = roi.to_image(len(mask))
    whole = cv2.warpAffine(mask, matrix, pixels.shape[1::-1], flags=cv2.INTER_NEAREST, borderValue=1)
    return whole.astype(bool)


def with_moved_background(pixels: np.ndarray, landmarks: np.ndarray, shift_px: float) -> np.ndarray:
    matrix = np.array([[1, 0, shift_px], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(pixels, matrix, pixels.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    moved[person(pixels, landmarks)] = pixels[person(pixels, landmarks)]
    return moved


def test_the_mask_finds_the_head_and_not_the_corners_above_it():
    found = example("obama")
    mask = PersonMask()(found.pixels, person_roi(found.face.landmarks))
    middle = len(mask) // 2
    assert mask[middle - 30 : middle + 30, middle - 20 : middle + 20].min() > 0.9
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert 0.1 < (mask > 0.5).mean() < 0.9


def test_a_still_background_does_not_shift_even_if_the_face_changes():
    pixels, landmarks, height = portrait()
    changed = pixels.copy()
    x, y = landmarks[:, :2].mean(0)
    cv2.circle(changed, (round(float(x)), round(float(y))), round(height / 4), (10, 60, 200), -1)
    assert background_shift([pixels, pixels.copy(), changed], landmarks) < 0.005


def test_a_person_who_moves_in_front_of_a_still_background_does_not_count():
    """Where they were, and where they come to be, is no background."""
    pixels, landmarks, height = portrait()
    there = person(pixels, landmarks)
    plate = pixels.copy()
    plate[there] = cv2.flip(pixels, 1)[there]
    for share, limit in ((0.03, 0.002), (0.06, 0.002), (0.1, 0.006)):
        step = round(share * height)
        moved = plate.copy()
        moved[:, step:][there[:, :-step]] = pixels[:, :-step][there[:, :-step]]
        noise = np.random.default_rng(1).integers(-1, 2, pixels.shape)
        moved = np.clip(moved.astype(int) + noise, 0, 255).astype(np.uint8)
        assert background_shift([pixels, moved], landmarks) < limit


def test_the_shift_of_the_background_is_found_in_face_heights():
    pixels, landmarks, height = portrait()
    measured = [
        background_shift([pixels, with_moved_background(pixels, landmarks, share * height)], landmarks)
        for share in (0.01, 0.03, 0.06)
    ]
    assert measured == pytest.approx([0.01, 0.03, 0.06], rel=0.25)


def test_a_picture_without_background_says_so():
    """A close crop of the face leaves nothing beyond the person."""
    pixels, landmarks, _ = portrait()
    low, high = landmarks[:, :2].min(0).astype(int), landmarks[:, :2].max(0).astype(int)
    close = pixels[low[1] : high[1], low[0] : high[0]]
    inside = landmarks - [low[0], low[1], 0]
    assert np.isnan(background_shift([close, close], inside))
