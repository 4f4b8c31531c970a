"""Sounds without a voice have the level they name; pauses in speech are where they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from lib.revoice import sung
from lib.sounds import music_from, speech_with_pauses, voiceless
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

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


def test_music_is_taken_from_a_third_of_a_file_on(tmp_path: Path):
    samples = np.repeat(np.array([0.1, 0.5, 0.2], np.float32), 16_000)
    write_wav(tmp_path / "song.wav", Waveform(samples, 16_000))
    piece = music_from([tmp_path / "song.wav"], 1.0)["song"]
    assert piece.seconds == 1.0
    assert piece.samples.mean() == pytest.approx(0.5, abs=1e-3)


def test_a_sung_voice_keeps_its_pauses_and_has_a_tone():
    """A whispered vowel has none."""
    noise = np.random.default_rng(1).normal(size=32_000)
    vowel = np.asarray(lfilter([0.1], [1.0, -1.6, 0.8], noise)) * np.repeat([0.0, 0.5], 16_000)
    made = sung(Waveform(vowel.astype(np.float32), 16_000), np.random.default_rng(0), 2.0)
    assert made.seconds == 4.0
    quiet, loud = np.split(made.samples, 2)
    assert loud.std() > 20 * quiet[:-800].std()
    assert periodicity(loud[4_000:28_000]) > 0.7 > periodicity(vowel[17_600:]) + 0.3


def periodicity(samples: np.ndarray) -> float:
    """How much a tenth of a second resembles itself 3 to 12 ms later, median over samples (n,)."""
    pieces = [samples[at : at + 1600] for at in range(0, len(samples) - 1599, 1600)]
    return float(
        np.median([max(np.corrcoef(p[lag:], p[:-lag])[0, 1] for lag in range(48, 192)) for p in pieces])
    )
