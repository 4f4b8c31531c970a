"""Each metric on a made-up talking head under controlled damage: it rises and falls as it must."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from talking_clips import FRAMES, noise_with, syllables, talking_landmarks

from lib import damages
from lib.damages import Footage, X, Y
from sonimate.evaluate import lip_metrics, own_metrics
from sonimate.evaluate.frechet import FeatureMoments, frechet_distance
from sonimate.evaluate.watching import Watched, Watcher
from sonimate.face.regions import MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT

RNG = np.random.default_rng(0)
METRICS = {metric.name: metric for metric in (*lip_metrics.METRICS, *own_metrics.METRICS)}


@cache
def footage() -> Footage:
    """Its lips open with the syllables, and its mouth's corners move by a rhythm of their own."""
    landmarks = talking_landmarks()
    pull = 4 * syllables(seed=5)
    landmarks[:, MOUTH_CORNER_RIGHT, 0] -= pull
    landmarks[:, MOUTH_CORNER_LEFT, 0] += pull
    none = np.zeros((FRAMES, 1, 1, 3), np.uint8)
    return Footage(none, landmarks.astype(np.float32), noise_with(syllables()), none)


@cache
def watcher() -> Watcher:
    return Watcher.load()


def watch(clip: Footage) -> Watched:
    return watcher().watch_landmarks(clip.landmarks, clip.samples)


def values(name: str, clips: Sequence[Footage]) -> list[float]:
    metric, real = METRICS[name], watch(footage())
    if metric.detector is lip_metrics.LANDMARKS:
        return [metric.score(watch(clip).shapes, real.shapes) for clip in clips]
    return [metric.score(watch(clip), real) for clip in clips]


def test_lip_correlations_are_1_at_first_and_fall_the_later_the_mouth_is():
    late = [damages.play_late(footage(), by, RNG) for by in (0, 1, 2, 3)]
    for name in ("lip-r", "lip-r-width"):
        found = values(name, late)
        assert found[0] == pytest.approx(1)
        assert found == sorted(found, reverse=True)
        assert found[-1] < 0.5


@pytest.mark.parametrize("late", [-5, -2, 3])
def test_the_lag_is_the_delay_of_the_mouth(late: int):
    assert values("lag", [damages.play_late(footage(), late, RNG)])[0] == pytest.approx(40 * late, abs=10)


@pytest.mark.parametrize(("name", "axis"), [("opening-ratio", Y), ("width-ratio", X)])
def test_ratios_follow_how_far_the_lips_move(name: str, axis: int):
    scaled = [damages.scale_lips(footage(), by, axis) for by in (0.5, 1, 2)]
    assert values(name, scaled) == pytest.approx([0.5, 1, 2], rel=0.15)


def test_lip_dimensions_fall_where_only_the_jaw_moves():
    narrow = [damages.scale_lips(footage(), by, X) for by in (0, 0.5, 1)]
    found = values("lip-dimensions", narrow)
    assert found == sorted(found)
    assert found[0] == pytest.approx(1, abs=0.01)
    assert found[-1] > 1.05


def test_cadence_rises_the_more_every_second_frame_is_interpolated():
    wild = damages.tremble(footage(), 0.004, np.random.default_rng(2))
    found = values("cadence", [damages.interpolate(wild, by, RNG) for by in (0, 0.5, 1)])
    assert found[0] == pytest.approx(1, abs=0.25)
    assert found[0] < found[1] < found[2]


def test_jitter_rises_with_noise():
    found = values("jitter", [damages.tremble(footage(), by, RNG) for by in (0, 0.002, 0.004)])
    assert found[0] < found[1] < found[2]


def test_expression_and_head_fall_to_0_as_the_video_freezes():
    for name in ("expression", "head"):
        found = values(name, [damages.freeze(footage(), share, RNG) for share in (0, 0.5, 1)])
        assert found[0] > found[1] > found[2]
        assert found[2] == pytest.approx(0, abs=1e-6)


def test_motion_without_a_voice_is_the_speed_of_the_opening():
    found = values("silent-motion", [damages.move_in_silence(footage(), by, RNG) for by in (0, 0.5, 1)])
    assert found[2] > 10  # all of it without a voice: half of it calm is half of the motion
    assert np.array(found) / found[2] == pytest.approx([0.5, 0.75, 1], abs=0.03)


def test_e_fid_b_is_0_for_the_same_faces_and_grows_as_the_mouth_opens_less():
    real = watch(footage()).blendshapes
    assert real.shape == (FRAMES, 52)
    assert frechet_distance(FeatureMoments.of(real), FeatureMoments.of(real)) == pytest.approx(0, abs=1e-5)
    scaled = [watch(damages.scale_lips(footage(), by, Y)).blendshapes for by in (0.75, 0.5, 0.25)]
    found = [frechet_distance(FeatureMoments.of(scores), FeatureMoments.of(real)) for scores in scaled]
    assert 0 < found[0] < found[1] < found[2]


def test_identity_is_the_mean_distance_from_the_first_real_face():
    people = np.eye(4, 128)
    assert METRICS["ID-dlib"].score(people[[0, 0, 1, 1]], people) == pytest.approx(np.sqrt(2) / 2)


def test_what_was_watched_is_the_same_after_the_cache():
    clip = watch(footage())
    again = Watched.from_features(clip.as_features())
    assert again.sync == clip.sync
    np.testing.assert_array_equal(again.blendshapes, clip.blendshapes)
    short = watch(footage().at(np.arange(20)))
    assert short.sync is None
    assert Watched.from_features(short.as_features()).sync is None
    assert np.isnan(METRICS["Sync-M"].score(short, clip))
