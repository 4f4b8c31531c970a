"""What the stages measure: lags, pauses, head angles, tracks, sharpness, cuts, crops."""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from faces import example
from talking_clips import noise_with, syllables, talking_landmarks

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import UnusableClip
from sonimate.face.mesh import landmark_box
from sonimate.face.pose import rotation_matrix
from sonimate.face.tracking import fill_gaps, stack_landmarks
from sonimate.footage import quality
from sonimate.footage.quality import head_angles
from sonimate.footage.shots import shot_bounds
from sonimate.footage.square_crop import square_box
from sonimate.footage.sync import MAX_LAG_FRAMES, read_lag
from sonimate.footage.tracks import count_rivals, face_sharpness, split_tracks
from sonimate.footage.voice_activity import levels, pause_ratio
from sonimate.types import Face


@pytest.mark.parametrize("late", [-11, -3, 0, 2, 11])
def test_the_offset_is_how_late_the_mouth_is(late):
    curve = np.random.default_rng(0).normal(size=120)
    found = read_lag(np.roll(curve, late)[20:100], curve[20:100])
    assert found.lag_ms == pytest.approx(40 * late, abs=8)
    assert abs(late) < MAX_LAG_FRAMES
    assert found.r == pytest.approx(1)


def test_the_lag_depends_neither_on_level_nor_on_scale():
    one, other = np.random.default_rng(1).normal(size=(2, 80))
    found = read_lag(5 * one + 2, 0.1 * other - 4)
    assert found.r == pytest.approx(read_lag(one, other).r)
    assert read_lag(np.ones(80), other).r == 0


def test_speech_pauses_and_music_does_not():
    voice = pause_ratio(levels(noise_with(syllables(100))))
    tone = pause_ratio(levels(np.sin(np.arange(4 * SAMPLE_RATE_HZ) / 5)))
    assert voice > 0.3
    assert tone == 0
    assert pause_ratio(levels(3 * noise_with(syllables(100)))) == pytest.approx(voice, abs=0.02)


def test_levels_are_root_mean_squares_of_20_ms():
    np.testing.assert_allclose(levels(np.repeat([0.5, -0.25], 320)), [0.5, 0.25], atol=1e-5)


def test_head_angles_are_those_the_head_was_turned_by():
    for axis, column in ((1, 0), (0, 1), (2, 2)):
        vectors = np.zeros((3, 3))
        vectors[:, axis] = [-0.5, 0.0, 0.7]
        expected = np.zeros((3, 3))
        expected[:, column] = [-0.5, 0.0, 0.7]
        np.testing.assert_allclose(head_angles(rotation_matrix(vectors)), expected, atol=1e-9)


def face_at(x: float, size: float = 1.0) -> Face:
    landmarks = talking_landmarks(1)[0] * size + [x, 0, 0]
    return Face(landmark_box(landmarks), landmarks.astype(np.float32), 1.0)


def test_a_track_ends_at_long_gaps_and_jumps():
    here, there = face_at(0), face_at(400)
    faces = [None, *[here] * 10, *[None] * 4, *[here] * 10, *[None] * 9, *[here] * 5, *[there] * 7, None]
    assert split_tracks(faces) == [(1, 25), (34, 39), (39, 46)]
    assert split_tracks([None] * 5) == []


def test_rivals_are_other_faces_large_enough_to_speak():
    face = face_at(0)
    assert count_rivals(face, [face, face_at(3)]) == 0
    assert count_rivals(face, [face, face_at(600), face_at(900)]) == 2
    assert count_rivals(face, [face_at(900, size=0.3)]) == 0


def test_sharpness_falls_with_blur_and_not_with_contrast():
    portrait = example("obama")
    sharp = face_sharpness(portrait.pixels, portrait.face)
    dim = face_sharpness((portrait.pixels // 2 + 40).astype(np.uint8), portrait.face)
    blurred = [
        face_sharpness(cv2.GaussianBlur(portrait.pixels, (0, 0), sigma), portrait.face) for sigma in (1, 2, 4)
    ]
    assert dim == pytest.approx(sharp, rel=0.1)
    assert all(before > after for before, after in pairwise([sharp, *blurred]))
    assert blurred[-1] < quality.MIN_SHARPNESS < sharp


def test_gaps_are_filled_along_a_line():
    moving = np.arange(10.0)[:, None, None] * np.ones((1, 478, 3))
    gappy = moving.copy()
    gappy[[0, 3, 4, 9]] = np.nan
    expected = moving.copy()
    expected[0], expected[9] = moving[1], moving[8]
    np.testing.assert_allclose(fill_gaps(gappy), expected)
    assert np.isnan(gappy[3]).all()
    assert fill_gaps(moving) is moving
    assert np.isnan(stack_landmarks([None, face_at(0)])[0]).all()


def shots(*lengths: int) -> Iterator[np.ndarray]:
    """Pictures of random texture that drift, another for each shot."""
    rng = np.random.default_rng(5)
    for length in lengths:
        texture = cv2.resize(rng.integers(0, 255, (12, 20, 3), np.uint8), (400, 240))
        yield from (np.ascontiguousarray(np.roll(texture, index, 1)[:, :320]) for index in range(length))


def test_shots_begin_at_cuts_and_nowhere_else():
    assert shot_bounds(shots(30, 12, 40)) == [0, 30, 42, 82]
    assert shot_bounds(shots(50)) == [0, 50]


def test_noise_in_the_dark_is_no_cut():
    """A nearly black picture whose noise turns from blue to red; as bright as day, that is a cut."""
    rng = np.random.default_rng(6)

    def frames(level: int) -> Iterator[np.ndarray]:
        for index in range(40):
            noise = rng.integers(0, 2, (120, 160, 3), np.uint8)
            noise[..., 2 if index < 20 else 0] += level
            yield noise

    assert shot_bounds(frames(6)) == [0, 40]
    assert shot_bounds(frames(200)) == [0, 20, 40]


def test_the_crop_is_square_and_inside():
    for face in ((100, 50, 200, 190), (0, 0, 90, 120), (250, 100, 320, 240)):
        x0, y0, x1, y1 = square_box(face, width=320, height=240)
        assert x1 - x0 == y1 - y0 > 0
        assert min(x0, y0) >= 0
        assert x1 <= 320
        assert y1 <= 240
    with pytest.raises(UnusableClip):
        square_box((0, 0, 0, 0), width=320, height=240)
