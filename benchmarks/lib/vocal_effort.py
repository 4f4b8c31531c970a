"""One recording at four vocal efforts: whispered, soft, as spoken, shouted; 16 kHz.

They are made, not recorded: words and their times stay the same, so that mouths differ by the effort alone.
The shout lacks the higher voice and the wider vowels of a real one.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from lib.sounds import dbfs
from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.types import Waveform

FRAME, HOP = 512, 128
"""32 ms and 8 ms: a voice hardly changes within a frame."""
ORDER = 18
"""Of linear prediction: two poles for each formant below 8 kHz, and two for the slope."""
EFFORTS = {"whispered": -45.0, "soft": -40.0, "spoken": -25.0, "shouted": -14.0}
"""Levels in dBFS. At one distance a whisper is some 20 dB below speech; a shout 20 dB above would clip."""
SHOUT_EXPANSION = 0.3
"""Shouting raises vowels more than consonants: a frame's gain is its level to this power."""


def efforts(spoken: Waveform) -> dict[str, Waveform]:
    """`spoken` at each of EFFORTS. What is quiet has less, and what is loud more, of the high frequencies; a
    whisper has no voice, whose power falls with the frequency."""
    samples = spoken.samples.astype(np.float64)
    made = {
        "whispered": tilted(whispered(samples), 6.0),
        "soft": tilted(samples, -3.0),
        "spoken": samples,
        "shouted": tilted(expanded(samples, SHOUT_EXPANSION), 4.0),
    }
    return {
        name: Waveform(np.clip(dbfs(made[name], level), -1, 1), spoken.rate_hz)
        for name, level in EFFORTS.items()
    }


def whispered(samples: np.ndarray, seed: int = 0) -> np.ndarray:
    """A sound (n,) whose voice is replaced by noise: in each frame, noise with the energy of what linear
    prediction does not explain goes through the filter that it found (Makhoul 1975)."""
    noise = np.random.default_rng(seed).normal(size=len(samples) + 2 * FRAME)
    padded = np.pad(samples, FRAME)
    window = np.hanning(FRAME + 1)[:-1]
    out, weight = np.zeros_like(padded), np.full_like(padded, 1e-9)
    for start in range(0, len(padded) - FRAME + 1, HOP):
        frame = window * padded[start : start + FRAME]
        lags = np.correlate(frame, frame, mode="full")[FRAME - 1 : FRAME + ORDER]
        lags[0] = 1.0001 * lags[0] + 1e-9
        error_filter = np.concatenate([[1.0], -solve_toeplitz(lags[:-1], lags[1:])])
        residual = lfilter(error_filter, 1.0, frame)
        source = noise[start : start + FRAME] * np.sqrt(np.square(residual).mean())
        out[start : start + FRAME] += window * lfilter([1.0], error_filter, source)
        weight[start : start + FRAME] += window
    return (out / weight)[FRAME : FRAME + len(samples)]


def tilted(samples: np.ndarray, db_per_octave: float) -> np.ndarray:
    """A sound (n,) whose spectrum rises by so much more from 500 Hz to 4 kHz, and stays at that above."""
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.clip(hz, 500, 4000) / 500)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (db_per_octave * octaves / 20), len(samples))


def expanded(samples: np.ndarray, power: float) -> np.ndarray:
    """A sound (n,) whose louder parts are made louder by their own level, over 50 ms, to a power."""
    window = np.hanning(SAMPLE_RATE_HZ // 20)
    level = np.sqrt(np.convolve(np.square(samples), window / window.sum(), mode="same"))
    return samples * (level / level.max()) ** power
