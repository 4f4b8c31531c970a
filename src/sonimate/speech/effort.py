"""Vocal effort: whispered, soft and loud speech made from ordinary speech.

Effort is heard in the spectrum as much as in the level: a loud voice has more energy above 500 Hz for the
same energy below, a soft voice less, and a whisper has noise in place of its tone (Traunmuller & Eriksson,
JASA 107, 2000). Recordings keep the spectrum whatever their level: it tells how wide the mouth opens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sonimate.types import Waveform

WHISPER_SHARE = 0.06
WHISPER_EFFORT = -0.7
EFFORT_SPREAD, WANDER_SPREAD, WANDER_SECONDS = 0.45, 0.2, 1.2
"""Standard deviations of effort between utterances, and of its slow changes within one."""
DB_PER_OCTAVE, DB_PER_EFFORT, FLAT_BELOW_HZ, FLAT_ABOVE_HZ = 6.0, 9.0, 500.0, 4000.0
"""Change of the slope of the spectrum between the two frequencies, and of the level, at effort 1."""
OPENNESS_PER_EFFORT = 0.4
"""Natural logarithm of how much wider the mouth opens at effort 1: from 0.67 at -1 to 1.49 at 1."""
_WHISPER_TILT = 0.6
"""A whisper has no glottal slope: its spectrum falls less, as at this effort."""
_FRAME, _HOP, _ORDER = 400, 200, 18
"""25 ms windows, and the order of linear prediction, at 16 kHz."""


@dataclass(frozen=True)
class Effort:
    """mean: -1 soft, 0 ordinary, 1 loud. whispered: without tone."""

    mean: float
    whispered: bool


def draw_effort(rng: np.random.Generator) -> Effort:
    """That of a random utterance."""
    if rng.random() < WHISPER_SHARE:
        return Effort(WHISPER_EFFORT, whispered=True)
    return Effort(float(np.clip(rng.normal(0, EFFORT_SPREAD), -1, 1)), whispered=False)


def with_effort(waveform: Waveform, effort: Effort, rng: np.random.Generator) -> Waveform:
    """The same words, 16 kHz, at the same times, spoken with an effort that changes slowly around its mean.

    Level and slope of the spectrum change together; whoever measures the loudness of phones sees the changes.
    """
    samples = waveform.samples.astype(np.float64)
    seconds = np.arange(len(samples)) / waveform.rate_hz
    wander = WANDER_SPREAD * _wander(waveform.seconds, seconds, rng)
    if effort.whispered:
        samples = whisper(samples, rng)
    tilt = (_WHISPER_TILT if effort.whispered else effort.mean) + wander
    level = 10 ** (DB_PER_EFFORT * (effort.mean + wander) / 20)
    return Waveform((_tilted(samples, tilt, waveform.rate_hz) * level).astype(np.float32), waveform.rate_hz)


def _wander(duration: float, seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance at `seconds`."""
    rate, margin = 50, 4.0
    sigma = WANDER_SECONDS * rate
    noise = gaussian_filter1d(rng.standard_normal(round((duration + 2 * margin) * rate) + 2), sigma)
    return np.interp(
        seconds + margin, np.arange(len(noise)) / rate, noise * np.sqrt(2 * np.sqrt(np.pi) * sigma)
    )


def _tilted(samples: np.ndarray, effort: np.ndarray, rate_hz: int) -> np.ndarray:
    """Samples (n,) whose spectrum falls less where effort (n,) is above 0 and more where it is below.

    Three fixed filters without phase, faded into each other: between them the gain changes smoothly.
    """
    hz = np.clip(np.fft.rfftfreq(len(samples), 1 / rate_hz), FLAT_BELOW_HZ, FLAT_ABOVE_HZ)
    spectrum, octaves = np.fft.rfft(samples), np.log2(hz / FLAT_BELOW_HZ)
    anchors = np.array([-1.5, 0.0, 1.5])
    mixed = np.zeros(len(samples))
    for k, anchor in enumerate(anchors):
        share = np.interp(effort, anchors, np.eye(len(anchors))[k])
        gain = 10 ** (DB_PER_OCTAVE * anchor * octaves / 20)
        mixed += share * np.fft.irfft(spectrum * gain, len(samples))
    return mixed


def whisper(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,) at 16 kHz with noise in place of the voice's source: linear prediction finds the filter of
    the mouth in windows of 25 ms, and white noise of the same energy passes it."""
    padded = np.pad(samples, _FRAME)
    window = np.hanning(_FRAME + 1)[:-1]
    starts = np.arange(0, len(padded) - _FRAME, _HOP)
    frames = padded[starts[:, None] + np.arange(_FRAME)] * window
    filters, energy = _linear_prediction(frames)
    size = 2 * _FRAME
    noise = np.fft.rfft(rng.standard_normal(frames.shape) * window, size)
    heard = noise / np.fft.rfft(filters, size) * np.sqrt(energy / np.sum(window**2))[:, None]
    made = np.fft.irfft(heard, size)
    whispered = np.zeros(len(padded) + size)
    for start, frame in zip(starts, made, strict=True):
        whispered[start : start + size] += frame
    return whispered[_FRAME : _FRAME + len(samples)]


def _linear_prediction(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levinson-Durbin recursion for all frames (f, n) at once: filters (f, order + 1) whose first coefficient
    is 1, and the energies (f,) of what they leave of the frames."""
    spectrum = np.abs(np.fft.rfft(frames, 2 * frames.shape[1])) ** 2
    correlation = np.fft.irfft(spectrum)[:, : _ORDER + 1]
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-9
    filters = np.zeros((len(frames), _ORDER + 1))
    filters[:, 0] = 1
    energy = correlation[:, 0].copy()
    for order in range(1, _ORDER + 1):
        reflection = -(filters[:, :order] * correlation[:, order:0:-1]).sum(1) / energy
        filters[:, 1 : order + 1] += reflection[:, None] * filters[:, order - 1 :: -1][:, :order]
        energy = energy * (1 - reflection**2)
    return filters, energy
