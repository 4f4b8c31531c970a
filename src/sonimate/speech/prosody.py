"""Melody and rhythm of speech, measured in the sound: pitch, phrases, and how much each vowel stands out."""

from __future__ import annotations

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.speech.phones import SILENCE, Phone, phone_loudness_db
from sonimate.types import Waveform

PITCH_HZ = (70.0, 400.0)
QUIET_DB = -60.0
"""Below a full-scale sound: softer is silence."""
PHRASE_PAUSE_SECONDS = 0.15
"""The shortest silence between two phrases."""
_HOP_SECONDS, _WINDOW_SECONDS, _VOICED = 0.01, 0.04, 0.5
_LONG_LAG_COST = 0.25
"""Share taken off the correlation at the longest lag, as a sound also repeats after every two periods."""
_VOWELS_AROUND = 3


def pitch_semitones(waveform: Waveform) -> np.ndarray:
    """Pitch every 10 ms in semitones above 70 Hz, NaN without voice: (n,).

    The lag of the largest autocorrelation of 40 ms windows, where it is at least half of the energy.
    """
    hop, size = (round(seconds * waveform.rate_hz) for seconds in (_HOP_SECONDS, _WINDOW_SECONDS))
    padded = np.pad(waveform.samples.astype(np.float64), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(waveform.samples) : hop]
    frames = (frames - frames.mean(1, keepdims=True)) * np.hanning(size)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * size)) ** 2)[:, :size]
    shortest, longest = (round(waveform.rate_hz / hz) for hz in reversed(PITCH_HZ))
    overlap = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2 * size)) ** 2)[:size]
    found = correlation[:, shortest : longest + 1] / overlap[shortest : longest + 1] * overlap[0]
    lags = shortest + (found * np.linspace(1, 1 - _LONG_LAG_COST, found.shape[1])).argmax(1)
    voiced = found.max(1) > _VOICED * np.maximum(correlation[:, 0], 1e-9)
    return np.where(voiced, 12 * np.log2(waveform.rate_hz / lags / PITCH_HZ[0]), np.nan)


def prosody_curves(waveform: Waveform, frames: int) -> dict[str, np.ndarray]:
    """ "energy" (dB, at least QUIET_DB) and "pitch" (semitones above 70 Hz, without voice between its
    neighbours; 0 where there is no voice at all) of a sound at 25 fps: (frames,) each."""
    size = round(waveform.rate_hz / VIDEO_FPS)
    samples = np.resize(np.pad(waveform.samples, (0, size * frames)), size * frames).astype(np.float64)
    power = np.square(samples.reshape(frames, size)).mean(1)
    energy = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), QUIET_DB)
    pitch = pitch_semitones(waveform)
    voiced = np.flatnonzero(np.isfinite(pitch))
    times = (np.arange(frames) + 0.5) / VIDEO_FPS
    known = np.interp(times, voiced * _HOP_SECONDS, pitch[voiced]) if len(voiced) else np.zeros(frames)
    return {"energy": energy, "pitch": known}


def accents(phones: list[Phone], waveform: Waveform) -> np.ndarray:
    """How much each vowel stands out of those around it by loudness, length and pitch, in [0, 1]; 0 for other
    phones: (len(phones),). About a third of the vowels are above 0.2."""
    found = np.zeros(len(phones))
    vowels = [k for k, phone in enumerate(phones) if phone.is_vowel]
    if len(vowels) < 2:
        return found
    seconds = np.array([phones[k].seconds for k in vowels])
    strength = phone_loudness_db(phones, waveform)[vowels] / 3 + 1.5 * np.log2(seconds / np.median(seconds))
    strength += _vowel_pitch([phones[k] for k in vowels], waveform) / 2
    for place, k in enumerate(vowels):
        around = strength[max(0, place - _VOWELS_AROUND) : place + _VOWELS_AROUND + 1]
        found[k] = np.clip((strength[place] - around.mean()) / 3, 0, 1)
    return found


def _vowel_pitch(vowels: list[Phone], waveform: Waveform) -> np.ndarray:
    """Highest pitch of each vowel in semitones, the median of all where it has none: (len(vowels),)."""
    pitch = pitch_semitones(waveform)
    highest = np.full(len(vowels), np.nan)
    for k, vowel in enumerate(vowels):
        inside = pitch[round(vowel.start_seconds / _HOP_SECONDS) : round(vowel.end_seconds / _HOP_SECONDS)]
        if np.isfinite(inside).any():
            highest[k] = np.nanpercentile(inside, 80)
    return np.nan_to_num(highest, nan=np.nanmedian(highest) if np.isfinite(highest).any() else 0.0)


def phrases(phones: list[Phone]) -> list[tuple[float, float]]:
    """(start, end) seconds of the stretches of speech between silences of at least 0.15 s."""
    found: list[tuple[float, float]] = []
    start = None
    for phone in phones:
        if phone.symbol == SILENCE and phone.seconds >= PHRASE_PAUSE_SECONDS:
            if start is not None:
                found.append((start, phone.start_seconds))
            start = None
        elif start is None:
            start = phone.start_seconds
    if start is not None:
        found.append((start, phones[-1].end_seconds))
    return found
