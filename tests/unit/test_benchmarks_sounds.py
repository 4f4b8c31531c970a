"""Sounds without a voice have the level they name; pauses in speech are where they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lib.sounds import speech_with_pauses, voiceless

SPEECH = sorted((Path(__file__).parents[2] / "examples/speech").glob("*.wav"))


def test_sounds_have_their_length_and_level():
    for name, sound in voiceless(2.5).items():
        assert sound.seconds == 2.5, name
        assert np.abs(sound.samples).max() <= 1, name
        if "dBFS" in name:
            level = 20 * np.log10(np.sqrt(np.square(sound.samples.astype(np.float64)).mean()))
            assert f"at {level:.0f} dBFS" in name
    assert not voiceless(1.0)["digital silence"].samples.any()


def test_modulated_noise_has_the_rhythm_of_syllables():
    sound = voiceless(4.0)["modulated noise at -30 dBFS"].samples.astype(np.float64)
    envelope = np.sqrt(np.square(sound.reshape(-1, 320)).mean(1))
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    assert np.fft.rfftfreq(len(envelope), 0.02)[spectrum.argmax()] == pytest.approx(4)


def test_pauses_are_silent_and_phrases_are_not():
    sound, pauses = speech_with_pauses(SPEECH)
    assert len(pauses) == len(SPEECH)
    before = 0.0
    for start, end in pauses:
        first, last = round(start * 16_000), round(end * 16_000)
        assert not sound.samples[first:last].any()
        assert end - start == pytest.approx(1)
        assert 1 < start - before <= 2
        assert np.abs(sound.samples[first - 320 : first]).max() > 1e-3
        before = end
    assert before == pytest.approx(sound.seconds)
