"""Motion that follows a voice is told from motion that does not, at its own time scale."""

import numpy as np
import pytest

from sonimate.evaluate.prosody_following import SCALES_SECONDS, following, in_band
from sonimate.speech.prosody import prosody_curves
from sonimate.types import Waveform


def wandering(seconds: float, seed: int) -> np.ndarray:
    """A minute of a curve around one period."""
    return in_band(np.random.default_rng(seed).normal(size=1500), seconds)


@pytest.mark.parametrize("scale", SCALES_SECONDS)
def test_motion_that_follows_late_and_downwards_still_follows(scale: float):
    voice = wandering(scale, 0)
    late = -np.roll(voice, round(scale * 25 / 8))
    chance = np.mean([following(wandering(scale, seed), voice, scale) for seed in range(1, 9)])
    assert following(late, voice, scale) > 0.95
    assert chance < 0.5


def test_only_the_scale_at_which_it_follows_shows_it():
    slow, fast = wandering(4.0, 1), wandering(0.5, 2)
    motion = slow / slow.std() + wandering(0.5, 3) / wandering(0.5, 3).std()
    sound = slow / slow.std() + fast / fast.std()
    assert following(motion, sound, 4.0) > 0.9
    assert following(motion, sound, 0.5) < 0.4


def test_a_short_clip_says_nothing_about_long_phrases():
    assert np.isnan(following(np.arange(75.0), np.arange(75.0), 4.0))


def test_pitch_and_loudness_of_a_tone_that_rises_and_grows():
    time = np.arange(32_000) / 16_000
    tone = 0.2 * (time + 0.1) * np.sin(2 * np.pi * np.cumsum(100 * 2 ** (time / 2)) / 16_000)
    curves = prosody_curves(Waveform(tone.astype(np.float32), 16_000), 50)
    assert len(curves["energy"]) == len(curves["pitch"]) == 50
    rise = np.polyfit(np.arange(50) / 25, curves["pitch"], 1)[0]
    assert rise == pytest.approx(6, abs=0.5)
    assert (np.diff(curves["energy"][::5]) > 0).all()
    assert set(prosody_curves(Waveform(np.zeros(8000, np.float32), 16_000), 12)["energy"]) == {-60.0}
