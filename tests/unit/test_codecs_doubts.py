"""Wide areas that the person mask leaves in doubt are settled by the picture's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sonimate.codecs.mesh.doubts import settle_doubts

HEAD_PX = 150.0
MIDDLE = np.array([100.0, 60.0])


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A picture (400, 200, 3) of a person in red with a dark skirt before a grey sky, and where they are."""
    person = np.zeros((400, 200), np.uint8)
    cv2.ellipse(person, (100, 60), (35, 45), 0, 0, 360, 1, -1)
    cv2.rectangle(person, (60, 90), (140, 399), 1, -1)
    picture = np.full((400, 200, 3), (150, 160, 180), np.uint8)
    picture[person > 0] = (150, 40, 40)
    picture[250:][person[250:] > 0] = (30, 30, 50)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), person


def mask_of(person: np.ndarray, doubts: tuple[slice, slice], value: float) -> np.ndarray:
    mask = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.0)
    mask[doubts] = value
    return mask


@pytest.mark.parametrize(
    ("doubts", "value"),
    [
        (np.s_[200:260, 141:190], 0.7),  # sky beside a sleeve that the network took for person
        (np.s_[300:400, 62:140], 0.3),  # a skirt that it did not
        (np.s_[280:360, 100:180], 0.5),  # some of both
    ],
)
def test_colours_settle_whose_a_wide_area_is(doubts: tuple[slice, slice], value: float) -> None:
    picture, person = scene()
    mask = mask_of(person, doubts, value)
    settled = settle_doubts(picture, mask, MIDDLE, HEAD_PX)
    wrong = np.abs(settled - person)[doubts] > 0.5
    assert (np.abs(mask - person)[doubts] >= 0.5).mean() > 0.2
    assert wrong.mean() < 0.04


def test_what_does_not_hang_together_with_the_face_is_background() -> None:
    """Cloth of the person's colour beside them, before it a gap of sky."""
    picture, person = scene()
    picture[150:240, 160:200] = picture[150:240, 80:120]
    settled = settle_doubts(picture, mask_of(person, np.s_[150:240, 142:200], 0.6), MIDDLE, HEAD_PX)
    assert settled[155:235, 165:].max() < 0.1


def test_an_ordinary_edge_and_an_unsure_spot_inside_the_person_stay_as_they_are() -> None:
    picture, person = scene()
    mask = mask_of(person, np.s_[150:190, 85:115], 0.6)
    np.testing.assert_array_equal(settle_doubts(picture, mask, MIDDLE, HEAD_PX), mask)


def test_a_gap_in_which_the_person_is_seen_stays_closed() -> None:
    """A bright clasp on a dark skirt, inside an area in doubt."""
    picture, person = scene()
    picture[320:335, 95:110] = (150, 160, 180)
    mask = mask_of(person, np.s_[280:380, 80:160], 0.6)
    settled = settle_doubts(picture, mask, MIDDLE, HEAD_PX)
    assert settled[322:333, 97:108].min() > 0.9


def test_a_mask_that_sees_no_background_stays_as_it_is() -> None:
    picture, _ = scene()
    mask = np.full(picture.shape[:2], 0.6, np.float32)
    np.testing.assert_array_equal(settle_doubts(picture, mask, MIDDLE, HEAD_PX), mask)
