"""Whispered, soft and loud versions of a buzz: what is heard, and how wide the mouth then opens."""

import numpy as np
import pytest

from sonimate.speech.articulation import activations, sample_style
from sonimate.speech.effort import WHISPER_EFFORT, WHISPER_SHARE, Effort, draw_effort, whisper, with_effort
from sonimate.speech.phones import Phone
from sonimate.types import Waveform

RATE_HZ, SECONDS = 16_000, 3.0
TIMES = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ


def voice() -> np.ndarray:
    """Pulses of 125 Hz through one resonance at 700 Hz."""
    ringing = np.exp(-2 * np.pi * 60 * TIMES[:800]) * np.sin(2 * np.pi * 700 * TIMES[:800])
    pulses = (np.arange(len(TIMES)) % 128 == 0).astype(float)
    return 0.1 * np.convolve(pulses, ringing)[: len(TIMES)]


def spoken(mean: float, *, whispered: bool = False) -> np.ndarray:
    sound = Waveform(voice().astype(np.float32), RATE_HZ)
    return with_effort(sound, Effort(mean, whispered), np.random.default_rng(0)).samples


def band_db(samples: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return 10 * np.log10(power[(hz >= low) & (hz < high)].sum())


def test_a_loud_voice_is_louder_and_its_spectrum_falls_less():
    soft, normal, loud = (spoken(mean) for mean in (-1.0, 0.0, 1.0))
    slopes = [band_db(some, 2000, 4000) - band_db(some, 100, 600) for some in (soft, normal, loud)]
    assert slopes[0] + 8 < slopes[1] < slopes[2] - 8
    levels = [np.square(some).mean() for some in (soft, normal, loud)]
    assert 4 * levels[0] < levels[1] < levels[2] / 4
    assert len(soft) == len(loud) == len(TIMES)


def periodicity(samples: np.ndarray) -> float:
    """Correlation of a sound with itself one pulse later."""
    return float(np.corrcoef(samples[:-128], samples[128:])[0, 1])


def test_a_whisper_has_the_resonance_and_no_tone():
    whispered = whisper(voice(), np.random.default_rng(1))
    assert periodicity(voice()) > 0.95
    assert abs(periodicity(whispered)) < 0.3
    assert band_db(whispered, 550, 850) > band_db(whispered, 1500, 1800) + 10
    assert np.square(whispered).mean() == pytest.approx(np.square(voice()).mean(), rel=0.5)


def test_silence_stays_silent_in_a_whisper():
    samples = voice()
    samples[16_000:32_000] = 0
    whispered = whisper(samples, np.random.default_rng(1))
    assert np.abs(whispered[17_000:31_000]).max() < 1e-3 * np.abs(whispered).max()


def opening(effort: float) -> float:
    """Of a vowel, mean over talkers."""
    phones = [Phone("sil", 0.0, 0.4), Phone("eh", 0.4, 0.6), Phone("sil", 0.6, 1.0)]
    styles = [sample_style(np.random.default_rng(seed), effort=effort) for seed in range(20)]
    return float(np.mean([activations(phones, 1.0, style=style)[:, 0].max() for style in styles]))


def test_the_mouth_opens_wider_with_effort():
    whispered, normal, loud = opening(WHISPER_EFFORT), opening(0.0), opening(1.0)
    assert whispered / normal == pytest.approx(0.75, abs=0.05)
    assert loud / normal == pytest.approx(1.45, abs=0.1)


def test_few_utterances_are_whispered_and_efforts_spread():
    drawn = [draw_effort(np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean([effort.whispered for effort in drawn]) == pytest.approx(WHISPER_SHARE, abs=0.02)
    assert np.std([effort.mean for effort in drawn]) > 0.35
