"""Music without a voice, synthesised: single notes of many timbres, drums, and pieces made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter, lfiltic

from sonimate.clock import SAMPLE_RATE_HZ

_NYQUIST_HZ = SAMPLE_RATE_HZ / 2
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))
"""Half tones of major, minor, pentatonic and blues scales."""
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 1760.0
_BELL_PARTIALS = np.array([0.5, 1.0, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01, 4.1])
"""Frequencies of a church bell's partials over that of its strike note: hum, prime, tierce, quint, nominal
and above."""


def _time(count: int) -> np.ndarray:
    return np.arange(count) / SAMPLE_RATE_HZ


def _phase(hz: float, count: int, rng: np.random.Generator, vibrato: bool) -> np.ndarray:
    """Radians (count,) of a tone, with a vibrato of up to half a half tone."""
    depth = rng.uniform(0, 0.03) if vibrato and rng.random() < 0.5 else 0.0
    wobble = 1 + depth * np.sin(2 * np.pi * rng.uniform(4, 7) * _time(count) + rng.uniform(0, 2 * np.pi))
    return 2 * np.pi * np.cumsum(hz * wobble) / SAMPLE_RATE_HZ


def _harmonics(
    phase: np.ndarray, hz: float, weights: np.ndarray, decay_per_second: np.ndarray | None = None
) -> np.ndarray:
    """Sum of the harmonics 1, 2, ... that stay below 8 kHz."""
    count = max(1, min(len(weights), int(0.95 * _NYQUIST_HZ / hz)))
    time = _time(len(phase))
    total = np.zeros(len(phase))
    for k in range(1, count + 1):
        tone = weights[k - 1] * np.sin(k * phase)
        total += tone if decay_per_second is None else tone * np.exp(-time * decay_per_second[k - 1])
    return total


def additive(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Up to twelve harmonics with random weights that fall with frequency: reeds, flutes, brass."""
    weights = rng.uniform(0.1, 1, 12) / np.arange(1, 13) ** rng.uniform(0.5, 2.5)
    return _harmonics(_phase(hz, count, rng, True), hz, weights)


def saw(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """All harmonics, as of bowed strings and synthesisers."""
    return _harmonics(_phase(hz, count, rng, True), hz, 1 / np.arange(1, 25) ** rng.uniform(0.9, 1.3))


def square(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Odd harmonics, as of clarinets."""
    order = np.arange(1, 25)
    return _harmonics(_phase(hz, count, rng, True), hz, (order % 2) / order ** rng.uniform(0.9, 1.3))


def struck(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """A struck string, as of pianos: the higher a harmonic, the sooner it is gone."""
    order = np.arange(1, 13)
    decay = rng.uniform(0.5, 4.0) * order ** rng.uniform(0.5, 1.2)
    return _harmonics(_phase(hz, count, rng, False), hz, 1 / order ** rng.uniform(0.8, 2.0), decay)


def plucked(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """A plucked string: a burst of noise in a loop that averages neighbours (Karplus and Strong, 1983)."""
    period = max(round(SAMPLE_RATE_HZ / hz - 0.5), 2)
    loss = rng.uniform(0.97, 0.999) / 2
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1.0, -loss, -loss
    state = lfiltic([1.0], feedback, rng.uniform(-1, 1, period + 1))
    return np.asarray(lfilter([1.0], feedback, np.zeros(count), zi=state)[0])


def organ(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pipes at octaves and fifths, with steady loudness."""
    phase = _phase(hz, count, rng, False)
    stops = [ratio for ratio in (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8) if ratio * hz < 0.95 * _NYQUIST_HZ]
    return np.sum([rng.uniform(0, 1) * np.sin(ratio * phase) for ratio in stops], axis=0)


def bell(hz: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Partials that are no harmonics, and ring."""
    ratios = _BELL_PARTIALS * rng.normal(1, 0.02, len(_BELL_PARTIALS))
    ratios = ratios[ratios * hz < 0.95 * _NYQUIST_HZ]
    decay = rng.uniform(0.5, 3) * ratios
    tones = rng.uniform(0.2, 1, (len(ratios), 1)) * np.sin(np.outer(2 * np.pi * hz * ratios, _time(count)))
    return np.sum(tones * np.exp(-np.outer(decay, _time(count))), axis=0)


TIMBRES: dict[str, Callable[[float, int, np.random.Generator], np.ndarray]] = {
    "additive": additive,
    "saw": saw,
    "square": square,
    "struck": struck,
    "plucked": plucked,
    "organ": organ,
    "bell": bell,
}


def drum(count: int, rng: np.random.Generator) -> np.ndarray:
    """One stroke (count,): a falling low tone, a burst of noise, or both."""
    time = _time(count)
    low, high = rng.uniform(40, 120), rng.uniform(0, 150)
    tone = np.sin(2 * np.pi * np.cumsum(low + high * np.exp(-30 * time)) / SAMPLE_RATE_HZ)
    noise = (
        np.diff(rng.standard_normal(count), prepend=0.0) if rng.random() < 0.5 else rng.standard_normal(count)
    )
    balance = rng.choice([0.0, 0.3, 1.0])
    return (1 - balance) * tone * np.exp(-time * rng.uniform(6, 30)) + balance * noise * np.exp(
        -time * rng.uniform(10, 80)
    )


def beat(count: int, rng: np.random.Generator) -> np.ndarray:
    """A repeated pattern of eight steps with one to three drums."""
    step = round(rng.uniform(0.1, 0.3) * SAMPLE_RATE_HZ)
    total = np.zeros(count)
    for _ in range(rng.integers(1, 4)):
        stroke = drum(min(round(0.4 * SAMPLE_RATE_HZ), count), rng) * rng.uniform(0.3, 1)
        pattern = rng.random(8) < rng.uniform(0.15, 0.7)
        for at in range(0, count, step):
            if pattern[at // step % 8]:
                total[at : at + len(stroke)] += stroke[: count - at]
    return total


def piece(count: int, rng: np.random.Generator, timbres: tuple[str, ...] = tuple(TIMBRES)) -> np.ndarray:
    """Music (count,) of one to three parts of `timbres`: chords, melodies or broken chords in one scale, at
    times with drums."""
    base_hz, scale = rng.uniform(_LOWEST_HZ, 2 * _LOWEST_HZ), _SCALES[rng.integers(len(_SCALES))]
    bar = rng.uniform(0.8, 2.5)
    chords = rng.integers(len(scale), size=int(count / SAMPLE_RATE_HZ / bar) + 2)
    total = np.zeros(count)
    for _ in range(rng.integers(1, 4)):
        part = _part(count, rng, str(rng.choice(timbres)), base_hz, scale, bar, chords)
        total += part * rng.uniform(0.3, 1) / (np.abs(part).max() + 1e-9)
    if rng.random() < 0.3:
        drums = beat(count, rng)
        total += drums * rng.uniform(0.2, 1) / (np.abs(drums).max() + 1e-9)
    return total


def _part(
    count: int,
    rng: np.random.Generator,
    timbre: str,
    base_hz: float,
    scale: tuple[int, ...],
    bar_seconds: float,
    chords: np.ndarray,
) -> np.ndarray:
    """One instrument (count,): held chords, a melody, or a broken chord."""
    style = rng.choice(["chords", "melody", "broken"])
    per_bar = 1 if style == "chords" else int(rng.choice([2, 3, 4, 6, 8]))
    octave = int(rng.integers(0, 4))
    attack, overlap = rng.uniform(0.003, 0.12), rng.uniform(0.8, 1.5)
    size = max(round(bar_seconds / per_bar * SAMPLE_RATE_HZ), 400)
    degree, total = 0, np.zeros(count)
    for number, at in enumerate(range(0, count, size)):
        chord = int(chords[min(number // per_bar, len(chords) - 1)])
        if style == "melody":
            degree += int(rng.integers(-2, 3))
            degrees = [degree % 12] if rng.random() > 0.1 else []
        elif style == "broken":
            degrees = [chord + 2 * (number % 3)]
        else:
            degrees = [chord, chord + 2, chord + 4]
        for each in degrees:
            half_tones = scale[each % len(scale)] + 12 * (each // len(scale) + octave)
            hz = min(base_hz * 2 ** (half_tones / 12), _HIGHEST_HZ)
            note = TIMBRES[timbre](hz, min(round(size * overlap), count - at), rng)
            total[at : at + len(note)] += note * _envelope(len(note), attack) * rng.uniform(0.5, 1)
    return total


def _envelope(count: int, attack_seconds: float) -> np.ndarray:
    """Loudness (count,) of a note: a rise, and a fall over its last tenth."""
    time = _time(count)
    rise = np.minimum(time / attack_seconds, 1)
    return rise * np.minimum((count - np.arange(count)) / (0.1 * count), 1)
