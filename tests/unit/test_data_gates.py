"""Quality gates: each rejects the clip that only it can fault, and sound that fits its mouth scores high."""

from dataclasses import replace

import numpy as np
import pytest
from faces import canonical_landmarks, poses

from sonimate.data.clips import Clip
from sonimate.data.gates import GATES, fill_gaps, first_reason, levels, pause_ratio, sync_correlations
from sonimate.face.pose import Pose
from sonimate.types import Waveform

FRAMES = 75
RATE_HZ = 16_000


def noise_with(envelope: np.ndarray) -> np.ndarray:
    """Noise whose loudness follows an envelope (n,) at 25 values a second: float32 samples at 16 kHz."""
    loudness = np.interp(np.arange(len(envelope) * 640) / 640, np.arange(len(envelope)), envelope)
    return (0.2 * loudness * np.random.default_rng(0).normal(size=len(loudness))).astype(np.float32)


def syllables(frames: int) -> np.ndarray:
    """Four bursts a second, each followed by a pause: (frames,) in [0, 1]."""
    return np.clip(np.sin(2 * np.pi * 4 * np.arange(frames) / 25), 0, None)


def talking(frames: int = FRAMES) -> Clip:
    """A head that nods a little while its lower lip moves up and down, with syllables for a voice."""
    wave = np.sin(np.arange(frames) / 12)[:, None]
    pose = replace(poses(1, np.random.default_rng(1), turn=0.05), translation=np.zeros((1, 3)))
    pose = Pose(
        np.repeat(pose.scale, frames), np.repeat(pose.rotation, frames, 0), wave * np.array([[3.0, 2.0, 0]])
    )
    lower = np.isin(np.arange(478), (14, 87, 317, 178, 402))[:, None] * np.array([0.0, -1.0, 0.0])
    landmarks = canonical_landmarks(pose, syllables(frames)[:, None, None] * lower).astype(np.float32)
    sound = noise_with(syllables(frames))
    return Clip("clip.mp4", "someone", landmarks, np.full(frames, 2.0), Waveform(sound, RATE_HZ))


def jumping(clip: Clip) -> Clip:
    landmarks = clip.landmarks.copy()
    landmarks[40:, :, 0] += 150
    return replace(clip, landmarks=landmarks)


def jumping_out_of_sight(clip: Clip) -> Clip:
    landmarks = jumping(clip).landmarks.copy()
    landmarks[40] = np.nan
    return replace(clip, landmarks=landmarks)


def flashing(clip: Clip) -> Clip:
    changes = clip.changes.copy()
    changes[30] = 60.0
    return replace(clip, changes=changes)


def blinking_out(clip: Clip) -> Clip:
    landmarks = clip.landmarks.copy()
    landmarks[[5, 20, 33]] = np.nan
    return replace(clip, landmarks=landmarks)


def mute_mouth(clip: Clip) -> Clip:
    landmarks = clip.landmarks.copy()
    landmarks[:, [14, 87, 317, 178, 402]] = landmarks[:, [13, 82, 312, 81, 311]]
    return replace(clip, landmarks=landmarks)


def with_sound(clip: Clip, samples: np.ndarray) -> Clip:
    return replace(clip, waveform=Waveform(samples.astype(np.float32), RATE_HZ))


FAULTS = {
    "too short": lambda clip: replace(clip, landmarks=clip.landmarks[:40], changes=clip.changes[:40]),
    "face lost": blinking_out,
    "scene cut": jumping,
    "mouth does not move": mute_mouth,
    "silence": lambda clip: with_sound(clip, clip.waveform.samples * 0.001),
    "music": lambda clip: with_sound(clip, noise_with(np.ones(FRAMES))),
}


def test_a_talking_clip_passes():
    assert first_reason(talking()) is None


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_found_by_its_own_gate_alone(reason):
    faulty = FAULTS[reason](talking())
    assert [found for gate in GATES if (found := gate(faulty))] == [reason]
    assert first_reason(faulty) == reason


@pytest.mark.parametrize("fault", [flashing, jumping_out_of_sight])
def test_cuts_show_in_the_picture_or_behind_a_lost_frame(fault):
    assert first_reason(fault(talking())) == "scene cut"


def test_short_sound_counts_as_a_short_clip():
    clip = talking()
    assert first_reason(with_sound(clip, clip.waveform.samples[:RATE_HZ])) == "too short"


def test_speech_pauses_and_music_does_not():
    speech = pause_ratio(levels(noise_with(syllables(100))))
    tone = pause_ratio(levels(np.sin(np.arange(4 * RATE_HZ) / 5)))
    assert speech > 0.3
    assert tone == 0
    louder = pause_ratio(levels(3 * noise_with(syllables(100))))
    assert louder == pytest.approx(speech, abs=0.02)


def test_levels_are_root_mean_squares_of_20_ms():
    level = levels(np.repeat([0.5, -0.25], 320))
    np.testing.assert_allclose(level, [0.5, 0.25], atol=1e-5)


def test_gaps_are_filled_along_a_line():
    moving = np.arange(10.0)[:, None, None] * np.ones((1, 478, 3))
    gappy = moving.copy()
    gappy[[0, 3, 4, 9]] = np.nan
    expected = moving.copy()
    expected[0], expected[9] = moving[1], moving[8]
    np.testing.assert_allclose(fill_gaps(gappy), expected)
    assert np.isnan(gappy[3]).all()
    assert fill_gaps(moving) is moving


def test_synchrony_tells_the_right_sound_from_a_shuffled_one():
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(1, 20))
    openings = [np.convolve(rng.normal(size=120), np.ones(5) / 5, "same") for _ in range(6)]
    features = [opening[:, None] @ mixing + 0.1 * rng.normal(size=(120, 20)) for opening in openings]
    speakers = ["a", "a", "b", "b", "c", "d"]
    assert min(sync_correlations(openings, features, speakers)) > 0.9
    shuffled = [*features[:-1], rng.permutation(features[-1])]
    scores = sync_correlations(openings, shuffled, speakers)
    assert min(scores[:-1]) > 0.9
    assert abs(scores[-1]) < 0.3


def test_synchrony_is_judged_by_other_speakers_only():
    """A speaker whose mouth does the opposite of everyone's is out of sync, however many clips show it."""
    rng = np.random.default_rng(3)
    openings = [rng.normal(size=100) for _ in range(8)]
    features = [(opening if i < 2 else -opening)[:, None] for i, opening in enumerate(openings)]
    scores = sync_correlations(openings, features, ["a"] * 2 + ["b"] * 6, ridge=1.0)
    np.testing.assert_allclose(scores, -1)
