"""Sung voices made from spoken ones: the vocal tract is kept, as linear prediction, and excited by the tones
of a melody."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.types import Waveform

ORDER = 18
"""Of the prediction: two numbers for each kHz, and two."""
HOP, SIZE = 160, 480
"""Samples between frames and in a frame: 10 and 30 ms."""
VOICED = 0.6
"""Correlation of neighbouring samples from which a frame counts as voiced; hisses have less."""
QUIETEST_POWER = 1e-9
HALF_TONES = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def sung(waveform: Waveform, rng: np.random.Generator, stretch: float) -> Waveform:
    """The same words, 16 kHz, on notes of 0.25 to 1.2 s with vibrato, `stretch` times as slow."""
    count = int(len(waveform.samples) * stretch)
    time = np.arange(count) / SAMPLE_RATE_HZ
    base = np.exp(rng.uniform(np.log(110), np.log(330)))
    hz, at = np.zeros(count), 0
    while at < count:
        size = round(rng.uniform(0.25, 1.2) * SAMPLE_RATE_HZ)
        hz[at : at + size] = base * 2 ** (rng.choice(HALF_TONES) / 12)
        at += size
    glide = np.ones(641) / 641
    hz = np.convolve(np.pad(hz, 320, mode="edge"), glide, mode="valid")
    vibrato = 1 + rng.uniform(0.0, 0.03) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time)
    phase = np.cumsum(hz * vibrato) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(SAMPLE_RATE_HZ / hz)
    noise = rng.standard_normal(count)
    return _through_tract(waveform, pulses + 0.05 * noise, noise, stretch)


def _through_tract(waveform: Waveform, tone: np.ndarray, noise: np.ndarray, stretch: float) -> Waveform:
    """An excitation of unit power, `tone` where the voice is voiced and `noise` elsewhere, filtered by the
    tract of a voice that is heard `stretch` times as slow."""
    source = np.pad(waveform.samples.astype(np.float64), SIZE)
    window = np.hanning(SIZE)
    out = np.zeros(len(noise) + SIZE)
    for at in range(0, len(noise) - HOP, HOP):
        centre = int(at / stretch) + SIZE
        frame = source[centre - SIZE // 2 : centre + SIZE // 2] * window
        power = np.correlate(frame, frame, mode="full")[SIZE - 1 : SIZE + ORDER]
        if power[0] < QUIETEST_POWER:
            continue
        power[0] *= 1.0001
        predictor = solve_toeplitz(power[:ORDER], power[1 : ORDER + 1])
        gain = np.sqrt(max(power[0] - predictor @ power[1 : ORDER + 1], 0) / np.sum(window**2))
        begin = max(at - SIZE // 2, 0)
        voiced = power[1] > VOICED * power[0]
        excitation = (tone if voiced else noise)[begin : begin + SIZE]
        piece = lfilter([gain], np.concatenate([[1.0], -predictor]), excitation)
        out[begin : begin + len(piece)] += piece * window[: len(piece)]
    return Waveform((out[: len(noise)] / 1.5).astype(np.float32), SAMPLE_RATE_HZ)
