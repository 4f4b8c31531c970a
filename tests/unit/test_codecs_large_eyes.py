"""Eyes larger than the face mesh believes, as drawn characters have them: found, and covered by a blink."""

import numpy as np
import pytest
from faces import NAMES, example

from sonimate.codecs.mesh.large_eyes import with_true_eyes
from sonimate.codecs.mesh.motion import EyeMotion, upper_and_lower
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.regions import LEFT_EYE, LEFT_IRIS, RIGHT_EYE, RIGHT_IRIS
from sonimate.types import Portrait

EYES = ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS))
WHITE, BROWN = (225, 222, 220), (90, 50, 20)


def cartoon(name: str) -> tuple[Portrait, dict[int, tuple[np.ndarray, np.ndarray, float]]]:
    """A photograph with the eyes of a drawn character, twice as high as its landmarks say: their centre and
    half axes (2,) px and their iris' radius, by the iris' landmark."""
    photograph = example(name, 512)
    pixels, eyes = photograph.pixels.copy(), {}
    for contour, iris in EYES:
        points = photograph.face.landmarks[list(contour), :2]
        width = float(np.ptp(points[:, 0]))
        centre = points.mean(0) + np.array([0, 0.2 * width])
        axes, radius = np.array([0.6, 0.45]) * width, 0.25 * width
        for colour, size in ((WHITE, axes), (BROWN, [radius, radius])):
            mask = np.hypot(*((np.indices(pixels.shape[:2])[::-1].T - centre) / size).T) < 1
            pixels[mask] = colour
        eyes[iris] = centre, axes, radius
    return Portrait(pixels, photograph.face), eyes


@pytest.mark.parametrize("name", NAMES)
def test_eyes_of_people_stay_as_the_mesh_has_them(name):
    portrait = example(name, 512)
    landmarks = portrait.face.landmarks.astype(float)
    assert with_true_eyes(portrait.pixels, landmarks) is landmarks


@pytest.mark.parametrize("name", NAMES)
def test_large_eyes_are_found_and_the_rest_of_the_face_stays(name):
    portrait, eyes = cartoon(name)
    landmarks = portrait.face.landmarks.astype(float)
    found = with_true_eyes(portrait.pixels, landmarks)
    for contour, iris in EYES:
        centre, axes, radius = eyes[iris]
        away = (found[list(contour), :2] - centre) / axes
        outside = np.hypot(*away.T) - 1
        assert outside.min() > -0.1
        assert outside.max() < 0.4
        assert np.hypot(*(found[iris, :2] - centre)) < 0.2 * radius
        ring = np.hypot(*(found[iris + 1 : iris + 5, :2] - found[iris, :2]).T)
        np.testing.assert_allclose(ring.mean(), radius, rtol=0.15)
    mouth_and_chin = [13, 14, 61, 291, 152]
    np.testing.assert_array_equal(found[mouth_and_chin], landmarks[mouth_and_chin])
    np.testing.assert_array_equal(found[:, 2], landmarks[:, 2])


def test_one_large_eye_is_a_mark_on_the_face():
    portrait, _ = cartoon("obama")
    pixels = portrait.pixels.copy()
    x = round(portrait.face.landmarks[4, 0])
    pixels[:, x:] = example("obama", 512).pixels[:, x:]
    landmarks = portrait.face.landmarks.astype(float)
    assert with_true_eyes(pixels, landmarks) is landmarks


@pytest.mark.parametrize("name", ["mona_lisa", "obama", "vigee_lebrun"])
def test_a_blink_covers_all_of_a_large_eye(name):
    portrait, eyes = cartoon(name)
    warp = PortraitWarp(portrait)
    still, head = np.zeros((1, 478, 3)), np.zeros((1, 6))
    shut = warp.draw(warp.resolve(still, head, EyeMotion(np.ones(1), np.zeros((1, 2)))))
    open_ = warp.draw(warp.resolve(still, head, EyeMotion(np.zeros(1), np.zeros((1, 2)))))
    for centre, axes, _ in eyes.values():
        inside = np.hypot(*((np.indices(shut.shape[:2])[::-1].T - centre) / axes).T) < 1.1
        white = [np.abs(frame[inside].astype(int) - WHITE).max(1) < 40 for frame in (open_, shut)]
        assert white[0].mean() > 0.3
        assert white[1].mean() < 0.01


def test_the_lower_lid_of_a_tall_eye_rises():
    portrait, _ = cartoon("obama")
    warp = PortraitWarp(portrait)
    motion = warp.resolve(np.zeros((1, 478, 3)), np.zeros((1, 6)), EyeMotion(np.ones(1), np.zeros((1, 2))))
    for contour, _ in EYES:
        upper, lower = upper_and_lower(contour)
        assert np.abs(motion.vertices[0, upper] - motion.vertices[0, lower]).max() < 1e-9
        assert (motion.vertices[0, lower, 1] - warp.vertices[lower, 1]).max() > 0.2
