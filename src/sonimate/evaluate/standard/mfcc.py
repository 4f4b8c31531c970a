"""Cepstral coefficients of speech (Davis and Mermelstein 1980) with the settings that SyncNet was trained
with: those of python_speech_features, which gives the same numbers."""

from __future__ import annotations

import math

import numpy as np

from sonimate.types import Waveform

RATE_HZ = 16000
WINDOW, STEP = 400, 160
"""Samples: 25 ms every 10 ms, without tapering."""
FFT = 512
FILTERS, COEFFICIENTS = 26, 13
EMPHASIS = 0.97
LIFTER = 22
FULL_SCALE = 32768
"""The coefficients are those of 16-bit samples: the first one, the energy, depends on it."""


def mfcc(waveform: Waveform) -> np.ndarray:
    """Coefficients (rows, 13) of a recording at 16 kHz, 100 rows a second; the first one is the log
    energy."""
    if waveform.rate_hz != RATE_HZ:
        raise ValueError(f"{waveform.rate_hz} Hz; resample to {RATE_HZ} Hz first")
    samples = np.round(np.clip(waveform.samples.astype(np.float64) * FULL_SCALE, -FULL_SCALE, FULL_SCALE - 1))
    samples = np.append(samples[:1], samples[1:] - EMPHASIS * samples[:-1])
    count = 1 + max(-(-(len(samples) - WINDOW) // STEP), 0)
    samples = np.pad(samples, (0, (count - 1) * STEP + WINDOW - len(samples)))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP]
    power = np.square(np.abs(np.fft.rfft(windows, FFT))) / FFT
    bands = _positive(power @ _mel_filters().T)
    cepstrum = np.log(bands) @ _cosines().T
    cepstrum *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstrum[:, 0] = np.log(_positive(power.sum(1)))
    return cepstrum


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, np.finfo(float).eps, values)


def _mel_filters() -> np.ndarray:
    """Triangles (26, 257) whose corners lie at equal steps of mel."""
    mel = np.linspace(0, 2595 * math.log10(1 + RATE_HZ / 2 / 700), FILTERS + 2)
    corners = np.floor((FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / RATE_HZ)
    bins = np.arange(FFT // 2 + 1)
    filters = np.zeros((FILTERS, len(bins)))
    for row, (low, middle, high) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        rising, falling = (bins >= low) & (bins < middle), (bins >= middle) & (bins < high)
        filters[row, rising] = (bins[rising] - low) / (middle - low)
        filters[row, falling] = (high - bins[falling]) / (high - middle)
    return filters


def _cosines() -> np.ndarray:
    """The first 13 rows of the orthonormal cosine transform (DCT-II) of 26 bands."""
    angles = np.pi * np.outer(np.arange(COEFFICIENTS), np.arange(FILTERS) + 0.5) / FILTERS
    scale = np.full((COEFFICIENTS, 1), np.sqrt(2 / FILTERS))
    scale[0] = np.sqrt(1 / FILTERS)
    return scale * np.cos(angles)
