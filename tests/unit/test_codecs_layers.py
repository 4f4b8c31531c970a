"""A person who moves in front of a background that stands still."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces import NAMES, example, portrait_of

from sonimate.codecs.mesh.layers import PersonLayer
from sonimate.codecs.mesh.matte import background_plate, person_matte, person_window
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.evaluate.background import background_shift
from sonimate.face.person import person_roi
from sonimate.types import Portrait

SIDE, RADIUS = 200, 50
SKY, SKIN = (90, 140, 200), (60, 40, 30)


def disc() -> tuple[np.ndarray, np.ndarray]:
    """A dark disc with a soft edge on a plain background, uint8 (h, w, 3), and its share (h, w)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(columns - SIDE / 2, rows - SIDE / 2)
    share = np.clip((RADIUS - away) / 6 + 0.5, 0, 1).astype(np.float32)
    picture = share[..., None] * np.array(SKIN) + (1 - share[..., None]) * np.array(SKY)
    return np.round(picture).astype(np.uint8), share


def moved_by(x: float, y: float) -> np.ndarray:
    """The flow (h, w, 2) of a whole picture."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.dstack([columns - x, rows - y]).astype(np.float32)


def matte_of(portrait: Portrait) -> np.ndarray:
    """The mask float32 of a whole picture, 0 outside the square."""
    height, width = portrait.pixels.shape[:2]
    landmarks = portrait.face.landmarks - [0.5, 0.5, 0]
    window = person_window(person_roi(landmarks), width, height)
    matte = person_matte(portrait.pixels, landmarks, person_roi(landmarks), window)
    assert matte is not None
    whole = np.zeros((height, width), np.float32)
    whole[window[1] : window[3], window[0] : window[2]] = matte
    return whole


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_holds_the_face_and_leaves_the_upper_corners(name):
    portrait = example(name)
    matte = matte_of(portrait)
    x0, y0, x1, y1 = (round(side) for side in portrait.face.box)
    middle = matte[y0 + (y1 - y0) // 4 : y1 - (y1 - y0) // 4, x0 + (x1 - x0) // 4 : x1 - (x1 - x0) // 4]
    assert middle.min() == 1
    assert matte[:10, :10].max() == 0
    assert matte[:10, -10:].max() == 0


def test_the_mask_grows_with_the_picture():
    """A picture of twice the size has the same mask, with finer edges."""
    small, large = matte_of(example("obama", 256)), matte_of(example("obama", 768))
    shrunk = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - small).mean() < 0.02
    soft = [((mask > 0.02) & (mask < 0.98)).sum() / mask.shape[1] for mask in (small, large)]
    assert soft[1] < 3 * soft[0]


def test_without_a_person_there_is_no_layer():
    """Noise with a face drawn nowhere: the picture is warped as a whole."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    landmarks = example("obama").face.landmarks.copy()
    landmarks[:, :2] -= landmarks[:, :2].min(0) - 50
    portrait = portrait_of(noise, landmarks)
    roi = person_roi(landmarks)
    assert PersonLayer.of(noise, landmarks, roi) is None
    frame = PortraitWarp(portrait).draw(
        PortraitWarp(portrait).resolve(np.zeros((1, 478, 3)), np.array([[0, 0, 0, 0.5, 0, 0]]))
    )
    assert frame.shape == noise.shape


def test_the_plate_continues_the_background_behind_the_person():
    picture, share = disc()
    ramp = np.linspace(0, 50, SIDE)[None, :, None].astype(np.uint8)
    plate = background_plate(np.where(share[..., None] > 0, picture, picture + ramp), share, SIDE)
    expected = np.array(SKY) + ramp.astype(int)
    assert np.abs(plate - expected)[share == 0].max() <= 2
    assert np.abs(plate - expected).mean() < 4
    ring = (share > 0) & (cv2.blur(share, (21, 21)) < 0.7)
    assert np.abs(plate - expected)[ring].mean() < 4


def test_a_layer_at_rest_is_the_picture():
    rng = np.random.default_rng(0)
    picture, share = disc()
    picture = np.clip(picture + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8)
    layer = PersonLayer(picture, share, (0, 0, SIDE, SIDE), SIDE)
    np.testing.assert_array_equal(layer.draw(moved_by(0, 0)), picture)


def test_a_moved_layer_takes_no_halo_along():
    """The disc moves over a background that turns from blue to red: nothing blue comes with its edge."""
    picture, share = disc()
    layer = PersonLayer(picture, share, (0, 0, SIDE, SIDE), SIDE)
    frame = layer.draw(moved_by(12, 0))
    moved = np.roll(share, 12, axis=1)[..., None]
    expected = moved * np.array(SKIN) + (1 - moved) * np.array(SKY)
    assert np.abs(frame - expected).max() <= 4
    assert frame[SIDE // 2, SIDE // 2 - RADIUS : SIDE // 2 - RADIUS + 4] == pytest.approx(
        np.tile(SKY, (4, 1)), abs=4
    )


def test_no_person_is_brighter_at_the_edge_than_a_white_one():
    """Cubic sampling overshoots in a fine pattern: a share of 1 of 255 must not bring a colour of 11."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    share = (np.hypot(columns - SIDE / 2, rows - SIDE / 2) < RADIUS).astype(np.float32)
    pattern = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3))
    drawn = []
    for person in (pattern, np.full_like(pattern, 255)):
        picture = np.where(share[..., None] > 0, person, np.array(SKY)).astype(np.uint8)
        drawn.append(PersonLayer(picture, share, (0, 0, SIDE, SIDE), SIDE))
    for x in (0.2, 0.36, 0.5, 0.8):
        patterned, white = (layer.draw(moved_by(x, 0.6 * x)).astype(int) for layer in drawn)
        assert (patterned - white).max() <= 1


def test_no_second_person_comes_into_sight_at_the_pictures_edge():
    """The disc nearly touches the upper edge and moves down by more than its distance from it."""
    picture, share = disc()
    top = SIDE // 2 - RADIUS - 6
    layer = PersonLayer(picture[top:], share[top:], (0, 0, SIDE, SIDE - top), SIDE)
    frame = layer.draw(moved_by(0, 30)[: SIDE - top])
    assert np.abs(frame[:20].astype(int) - SKY).max() <= 4


def test_a_layer_knows_where_its_window_lies():
    picture, share = disc()
    layer = PersonLayer(picture, share, (30, 70, 30 + SIDE, 70 + SIDE), SIDE)
    flow = moved_by(0, 0) + np.array([30, 70], np.float32)
    np.testing.assert_array_equal(layer.draw(flow), picture)


@pytest.mark.parametrize("name", ["astronaut_collins", "vigee_lebrun"])
def test_the_background_stands_still_behind_a_moving_head(name):
    portrait = example(name)
    warp = PortraitWarp(portrait)
    heads = np.array([[0.05, 0.1, 0.03, 0.9, 0.2, 0], [-0.05, -0.1, -0.03, -0.9, -0.3, 0]])
    frames = [portrait.pixels]
    for head in heads:
        frames.append(warp.draw(warp.resolve(np.zeros((1, 478, 3)), head[None])))
    assert background_shift(frames, portrait.face.landmarks) < 0.003
    for frame in frames[1:]:
        assert np.abs(frame.astype(int) - portrait.pixels).mean() > 2


def test_the_hair_moves_as_far_as_the_face():
    """A mark high on the head moves like one between the eyes."""
    portrait = example("astronaut_collins", 512)
    landmarks = portrait.face.landmarks
    up = landmarks[10, :2] - landmarks[152, :2]
    pixels = portrait.pixels.copy()
    marks = [landmarks[168, :2], landmarks[10, :2] + 0.15 * up]
    for mark, colour in zip(marks, ((255, 0, 255), (0, 255, 0)), strict=True):
        cv2.circle(pixels, np.round(mark).astype(int).tolist(), 3, colour, -1)
    warp = PortraitWarp(Portrait(pixels, portrait.face))
    frame = warp.draw(warp.resolve(np.zeros((1, 478, 3)), np.array([[0, 0, 0, 0.6, 0, 0]])))
    shifts = []
    for colour in ((255, 0, 255), (0, 255, 0)):
        columns = [
            np.nonzero(np.abs(image.astype(int) - colour).max(2) < 70)[1].mean() for image in (pixels, frame)
        ]
        shifts.append(columns[1] - columns[0])
    assert shifts[0] > 3
    assert shifts[1] == pytest.approx(shifts[0], rel=0.1)


def test_deep_behind_the_person_the_background_is_smooth():
    """Stripes go on a little way behind the person; in its middle no mirrors meet in shards."""
    _, share = disc()
    stripes = np.where(np.arange(SIDE) // 4 % 2, 200, 60).astype(np.uint8)
    picture = np.tile(stripes[:, None, None], (1, SIDE, 3))
    plate = background_plate(picture, share, SIDE).astype(int)
    middle = plate[SIDE // 2 - 20 : SIDE // 2 + 20, SIDE // 2 - 20 : SIDE // 2 + 20]
    assert np.abs(np.diff(middle, axis=0)).max() < 12
    beside = plate[SIDE // 2 - 20 : SIDE // 2 + 20, SIDE // 2 + RADIUS]
    assert np.ptp(beside) > 60
