"""One recording at several vocal efforts, and the table that sets models side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from face_report import figures, side_by_side
from lib.report import Check
from lib.vocal_effort import EFFORTS, efforts, tilted, whispered
from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.media.audio import read_audio
from sonimate.types import Waveform

SPEECH = Path(__file__).parents[2] / "examples/speech/ljspeech_LJ001-0001.wav"


def periodicity(samples: np.ndarray) -> float:
    """The largest correlation of a sound with itself 4 to 10 ms later."""
    lags = range(64, 160)
    return max(float(np.corrcoef(samples[lag:], samples[:-lag])[0, 1]) for lag in lags)


def test_a_whisper_has_no_voice_and_keeps_the_words():
    """A buzz of 125 Hz through a resonance at 1 kHz, on and off twice a second."""
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    buzz = (np.arange(SAMPLE_RATE_HZ) % 128 == 0).astype(float)
    ring = np.exp(-300 * time) * np.sin(2 * np.pi * 1000 * time)
    voice = np.convolve(buzz, ring)[:SAMPLE_RATE_HZ] * (time % 0.5 < 0.25)
    whisper = whispered(voice)
    assert periodicity(voice[:4000]) > 0.9
    assert periodicity(whisper[:4000]) < 0.6
    spectrum = np.abs(np.fft.rfft(whisper))
    assert np.fft.rfftfreq(SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ)[spectrum.argmax()] == pytest.approx(
        1000, abs=150
    )
    assert np.abs(whisper[4600:7400]).max() < 0.05 * np.abs(whisper).max()


def test_a_tilt_raises_the_high_frequencies():
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for hz, gain_db in ((250, 0), (1000, 6), (2000, 12), (6000, 18)):
        tone = np.sin(2 * np.pi * hz * time)
        assert 20 * np.log10(tilted(tone, 6.0).std() / tone.std()) == pytest.approx(gain_db, abs=0.1)


def test_efforts_have_their_levels_and_the_length_of_what_was_spoken():
    spoken = Waveform(read_audio(SPEECH).samples[:SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    made = efforts(spoken)
    assert list(made) == list(EFFORTS)
    for name, sound in made.items():
        assert len(sound.samples) == SAMPLE_RATE_HZ
        level = 20 * np.log10(np.sqrt(np.square(sound.samples.astype(float)).mean()))
        assert level == pytest.approx(EFFORTS[name], abs=1.0), name


def test_models_stand_side_by_side_and_what_misses_is_marked():
    def report(r: float) -> dict:
        checks = [Check("opening r", r, low=0.72).as_json()]
        return {"checks": checks, "summary": {"web (3 clips), opening_r": "0.6 (0.5 to 0.7)", "pc1": "0.8"}}

    rows = side_by_side(
        {
            "old": figures("held_out", report(0.65)) | figures("life", report(0.8)),
            "new": figures("held_out", report(0.75)),
        }
    )
    assert rows == [
        {
            "figure": "held_out: opening r",
            "target": "at least 0.72",
            "old": "0.650 (missed)",
            "new": "0.750",
        },
        {
            "figure": "held_out: web (3 clips), opening_r",
            "target": "",
            "old": "0.6 (0.5 to 0.7)",
            "new": "0.6 (0.5 to 0.7)",
        },
        {"figure": "life: opening r", "target": "at least 0.72", "old": "0.800", "new": ""},
    ]
