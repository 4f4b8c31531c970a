"""Pitch and accents of tones, and the gestures that follow them."""

import numpy as np
import pytest

from sonimate.speech.gestures import brows, head_motion
from sonimate.speech.phones import Phone
from sonimate.speech.prosody import accents, phrases, pitch_semitones
from sonimate.types import Waveform

RATE_HZ = 16_000


def tone(hz: np.ndarray | float, seconds: float, gain: np.ndarray | float = 0.2) -> Waveform:
    """A voice of ten harmonics."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, round(seconds * RATE_HZ))) / RATE_HZ
    sound = np.sum([np.sin(k * phase) / k for k in range(1, 11)], axis=0)
    return Waveform((gain * sound).astype(np.float32), RATE_HZ)


@pytest.mark.parametrize("hz", [90.0, 140.0, 220.0, 350.0])
def test_pitch_is_that_of_the_tone(hz):
    found = pitch_semitones(tone(hz, 1.0))[10:-10]
    np.testing.assert_allclose(found, 12 * np.log2(hz / 70), atol=0.4)


def test_noise_and_silence_have_no_pitch():
    rng = np.random.default_rng(0)
    noise = pitch_semitones(Waveform(rng.normal(0, 0.1, RATE_HZ).astype(np.float32), RATE_HZ))
    assert np.isnan(noise).mean() > 0.95
    assert np.isnan(pitch_semitones(Waveform(np.zeros(RATE_HZ, np.float32), RATE_HZ))).all()


def syllables(count: int) -> list[Phone]:
    """Quarter-second syllables after half a second of silence, all stressed."""
    phones = [Phone("sil", 0.0, 0.5)]
    for k in range(count):
        at = 0.5 + 0.25 * k
        phones += [Phone("n", at, at + 0.1), Phone("aa", at + 0.1, at + 0.25, True)]
    end = phones[-1].end_seconds
    return [*phones, Phone("sil", end, end + 0.5)]


@pytest.mark.parametrize(("higher", "louder"), [(1.4, 1.0), (1.0, 2.5)])
def test_the_vowel_that_is_higher_or_louder_has_the_accent(higher, louder):
    phones = syllables(9)
    seconds = phones[-1].end_seconds
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    chosen = (times >= phones[10].start_seconds) & (times < phones[10].end_seconds)
    sound = tone(np.where(chosen, 120.0 * higher, 120.0), seconds, np.where(chosen, 0.1 * louder, 0.1))
    found = accents(phones, sound)
    assert int(found.argmax()) == 10
    assert found[10] > 0.4
    assert np.delete(found, 10).max() < 0.2
    assert found.max() <= 1


def test_phrases_lie_between_pauses():
    phones = [Phone("sil", 0.0, 0.4), Phone("aa", 0.4, 0.6), Phone("sil", 0.6, 0.65), Phone("aa", 0.65, 1.0)]
    assert phrases(phones) == [(0.4, 1.0)]
    assert phrases([*phones, Phone("sil", 1.0, 1.5), Phone("n", 1.5, 1.7)]) == [(0.4, 1.0), (1.5, 1.7)]


def test_brows_and_nods_meet_the_accent():
    phones = syllables(9)
    seconds, strength = phones[-1].end_seconds, np.zeros(len(phones))
    strength[10] = 1.0
    frames = slice(*(round(25 * (phones[10].start_seconds + shift)) for shift in (-0.1, 0.3)))
    raised, pitch = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        raised.append(brows(phones, seconds, rng, amplitude=1.0, accents=strength))
        pitch.append(head_motion(phones, seconds, rng, amplitude=1.0, accents=strength)[:, 0])
    raise_there, elsewhere = np.mean(raised, 0)[frames].mean(), np.mean(raised, 0)[:25].mean()
    assert raise_there > 3 * elsewhere
    assert np.mean(pitch, 0)[frames].max() > 0.02


def test_the_chin_sinks_through_a_phrase():
    phones = [Phone("sil", 0.0, 1.0), Phone("aa", 1.0, 4.0), Phone("sil", 4.0, 5.0)]
    pitch = np.mean(
        [head_motion(phones, 5.0, np.random.default_rng(s), amplitude=1.0)[:, 0] for s in range(120)], axis=0
    )
    assert pitch[85:95].mean() > pitch[30:40].mean() + 0.005
