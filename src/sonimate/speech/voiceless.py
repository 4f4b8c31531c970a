"""Sounds without a voice, synthesised: what a mouth must not move to, and what is heard behind speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.speech.instruments import beat, drum, piece
from sonimate.types import Waveform

_QUIETEST_DB, _LOUDEST_DB = -60.0, -8.0
_ROOM_DB = (-75.0, -35.0)
"""Levels of a silent room: from a studio to a street behind the window, with a noisy microphone."""


def _noise(count: int, rng: np.random.Generator, slope: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Noise (count,) within a band, whose power falls with the frequency to the power of 2 * slope: 0 white,
    0.5 pink, 1 brown."""
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(count)) / np.maximum(hz, 20.0) ** slope
    edges = 1 / (1 + (low_hz / np.maximum(hz, 1.0)) ** 8) / (1 + (hz / high_hz) ** 8)
    return np.fft.irfft(spectrum * edges, count)


def noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Steady noise (count,) from white to brown, in half of the cases of a limited band."""
    if rng.random() < 0.5:
        return _noise(count, rng, rng.choice([0.0, 0.5, 1.0, rng.uniform(0, 1.2)]), 20.0, 8000.0)
    low = np.exp(rng.uniform(np.log(30), np.log(4000)))
    return _noise(count, rng, rng.uniform(0, 1), low, min(low * rng.uniform(1.3, 8), 8000.0))


def pulsed_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose loudness rises and falls 1 to 9 times a second, as that of syllables does, regularly or
    not."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    rate = rng.uniform(1, 9)
    if rng.random() < 0.5:
        wave = (1 - np.cos(2 * np.pi * rate * time + rng.uniform(0, 6))) / 2
    else:
        knots = rng.random(int(count / SAMPLE_RATE_HZ * 2 * rate) + 2) ** 2
        wave = np.interp(time * 2 * rate, np.arange(len(knots)), knots)
    floor = rng.uniform(0, 0.3)
    return noise(count, rng) * (floor + (1 - floor) * wave ** rng.uniform(0.5, 3))


def room_tone(count: int, rng: np.random.Generator) -> np.ndarray:
    """What a microphone hears in a silent room: dark noise, hiss, and often the hum of the mains."""
    dark = _noise(count, rng, rng.uniform(0.4, 1.3), rng.uniform(20, 80), rng.uniform(1500, 8000))
    hiss = rng.standard_normal(count) * rng.uniform(0, 0.5)
    tone = dark / (dark.std() + 1e-12) + hiss
    if rng.random() < 0.6:
        time, mains = np.arange(count) / SAMPLE_RATE_HZ, rng.choice([50.0, 60.0])
        for order in (1, 2, 3, 5):
            tone = tone + rng.uniform(0, 0.8 / order) * np.sin(2 * np.pi * order * mains * time)
    return tone


def engine(count: int, rng: np.random.Generator) -> np.ndarray:
    """A motor, fan or siren: harmonics of a tone that wanders slowly, with noise."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    knots = np.cumsum(rng.normal(0, rng.uniform(0, 0.15), int(time[-1]) + 3))
    hz = np.exp(rng.uniform(np.log(25), np.log(600)))
    phase = 2 * np.pi * np.cumsum(hz * np.exp(np.interp(time, np.arange(len(knots)), knots))) / SAMPLE_RATE_HZ
    slope = rng.uniform(0.3, 1.5)
    tone = np.sum([rng.uniform(0.2, 1) / k**slope * np.sin(k * phase) for k in range(1, 9)], axis=0)
    hiss = noise(count, rng)
    return tone + hiss / (hiss.std() + 1e-12) * rng.uniform(0, 1.5)


def knocks(count: int, rng: np.random.Generator) -> np.ndarray:
    """Clicks, steps, keys, knocks: short strokes at irregular times."""
    total = np.zeros(count)
    strokes = [drum(min(3200, count), rng) for _ in range(3)]
    at = 0.0
    while (begin := round(at * SAMPLE_RATE_HZ)) < count:
        stroke = strokes[rng.integers(3)] * rng.uniform(0.1, 1)
        total[begin : begin + len(stroke)] += stroke[: count - begin]
        at += rng.exponential(0.35) + 0.03
    return total


def silence(count: int, rng: np.random.Generator) -> np.ndarray:
    """Digital silence."""
    return np.zeros(count)


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "silence": silence,
    "room": room_tone,
    "noise": noise,
    "pulsed": pulsed_noise,
    "engine": engine,
    "knocks": knocks,
    "drums": beat,
    "music": piece,
}
"""Makers of (count,) samples of any level, by kind."""
_WEIGHTS = {
    "silence": 1,
    "room": 3,
    "noise": 3,
    "pulsed": 3,
    "engine": 1.5,
    "knocks": 1,
    "drums": 1,
    "music": 6,
}
"""How often a kind is drawn, relative to the others."""


def voiceless(rng: np.random.Generator, seconds: float, kinds: Sequence[str] = tuple(KINDS)) -> Waveform:
    """A random sound without a voice, 16 kHz: one of KINDS, or two mixed, from barely audible to loud, in
    half of the cases with fades or steps of its level."""
    count = round(seconds * SAMPLE_RATE_HZ)
    weights = np.array([_WEIGHTS[kind] for kind in kinds])
    total = np.zeros(count)
    for _ in range(1 if rng.random() < 0.75 else 2):
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        bounds = _ROOM_DB if kind == "room" else (_QUIETEST_DB, _LOUDEST_DB)
        total += at_level(KINDS[kind](count, rng), float(rng.uniform(*bounds)))
    if rng.random() < 0.5:
        total *= _level_changes(count, rng)
    return Waveform((total / max(1.0, np.abs(total).max())).astype(np.float32), SAMPLE_RATE_HZ)


def background(rng: np.random.Generator, count: int) -> np.ndarray:
    """Music or noise that may be heard behind a voice, (count,) at 16 kHz, of root mean square 1."""
    kind = str(rng.choice(["music", "music", "noise", "pulsed", "engine", "drums"]))
    return at_level(KINDS[kind](count, rng), 0.0)


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """`samples` scaled to a root mean square of `level_db` dBFS; silence stays silence."""
    return samples * 10 ** (level_db / 20) / (np.sqrt(np.mean(np.square(samples))) + 1e-12)


def _level_changes(count: int, rng: np.random.Generator) -> np.ndarray:
    """Gain (count,) with one to five changes of up to 30 dB or to silence, each over 5 ms to 1 s."""
    changes = int(rng.integers(1, 6))
    times = np.sort(rng.uniform(0, count / SAMPLE_RATE_HZ, changes))
    gains = np.where(rng.random(changes + 1) < 0.3, 0.0, 10 ** (-rng.uniform(0, 30, changes + 1) / 20))
    gain = np.full(count, gains[0])
    for at, low, high in zip(times, gains[:-1], gains[1:], strict=True):
        ramp = (np.arange(count) / SAMPLE_RATE_HZ - at) / rng.uniform(0.005, 1.0)
        gain += (high - low) * np.clip(ramp, 0, 1)
    return np.maximum(gain, 0)
