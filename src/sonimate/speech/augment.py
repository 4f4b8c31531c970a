"""Changes of the sound: some keep the phone times (room, microphone, noise, level), one scales them."""

from __future__ import annotations

import numpy as np
import soxr
from scipy.signal import fftconvolve

from sonimate.speech.phones import Phone, Speech
from sonimate.speech.voiceless import background
from sonimate.types import Waveform

_ROOM_CHANCE, _EQUALISER_CHANCE, _BAND_CHANCE, _CLEAN_CHANCE = 0.4, 0.7, 0.25, 0.2
_BACKGROUND_CHANCE, _BACKGROUND_DB = 0.25, (5.0, 25.0)
"""Music or noise behind the voice, and how far below it."""


def change_speaker(waveform: Waveform, phones: list[Phone], factor: float) -> Speech:
    """Play `factor` times as fast: pitch and formants rise, as in a smaller speaker; times shrink with it."""
    samples = soxr.resample(waveform.samples, waveform.rate_hz * factor, waveform.rate_hz)
    scaled = [phone.at(phone.start_seconds / factor, phone.end_seconds / factor) for phone in phones]
    return Waveform(samples.astype(np.float32), waveform.rate_hz), scaled


def degrade(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """A random recording of the same sound: equaliser, room, something in the background, noise at
    10 .. 40 dB, band limits, level."""
    samples = waveform.samples.astype(np.float64)
    if rng.random() < _EQUALISER_CHANCE:
        samples = _equalise(samples, waveform.rate_hz, rng)
    if rng.random() < _ROOM_CHANCE:
        samples = _reverberate(samples, waveform.rate_hz, rng)
    if rng.random() < _BACKGROUND_CHANCE:
        loudness = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(*_BACKGROUND_DB) / 20)
        samples = samples + loudness * background(rng, len(samples))
    if rng.random() > _CLEAN_CHANCE:
        samples = samples + _noise(samples, waveform.rate_hz, rng)
    if rng.random() < _BAND_CHANCE:
        samples = _limit_band(samples, waveform.rate_hz, rng)
    peak = 10 ** (-rng.uniform(1.0, 18.0) / 20)
    return Waveform((samples * peak / (np.abs(samples).max() + 1e-9)).astype(np.float32), waveform.rate_hz)


def _frequencies(count: int, rate_hz: int) -> np.ndarray:
    return np.fft.rfftfreq(count, 1 / rate_hz)


def _equalise(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random response of about 4 dB standard deviation over eight bands of equal ratio."""
    octaves = np.log2(np.maximum(_frequencies(len(samples), rate_hz), 30.0))
    knots = np.linspace(np.log2(30.0), np.log2(rate_hz / 2), 8)
    gain = 10 ** (np.interp(octaves, knots, rng.normal(0, 4.0, 8)) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def _limit_band(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A telephone, or a narrow-band recorder."""
    low, high = (300.0, 3400.0) if rng.random() < 0.4 else (rng.uniform(40, 150), rng.uniform(3800, 7500))
    frequencies = np.maximum(_frequencies(len(samples), rate_hz), 1.0)
    gain = 1 / np.sqrt(1 + (low / frequencies) ** 6) / np.sqrt(1 + (frequencies / high) ** 16)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def _reverberate(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Direct sound at time 0 and a tail of exponentially decaying noise, 0 .. 12 dB below it in energy."""
    decay_seconds = rng.uniform(0.12, 0.6)
    times = np.arange(int(decay_seconds * rate_hz)) / rate_hz
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_seconds)
    tail[: int(0.004 * rate_hz)] = 0
    tail *= 10 ** (-rng.uniform(0, 12) / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    return fftconvolve(samples, tail)[: len(samples)]


def _noise(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary noise with a random spectral slope, white to brown, at a random 10 .. 40 dB below speech."""
    slope = rng.uniform(0.0, 1.0)
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    spectrum /= np.maximum(_frequencies(len(samples), rate_hz), 50.0) ** slope
    noise = np.fft.irfft(spectrum, len(samples))
    loud = np.sqrt(np.mean(samples**2))
    return noise / np.sqrt(np.mean(noise**2)) * loud * 10 ** (-rng.uniform(10, 40) / 20)
