"""Sounds without a voice, 16 kHz, to find out whether a mouth stays closed; and speech with long pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.media.audio import read_audio
from sonimate.types import Waveform

CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (-3, 0, 4))
"""Half tones above A3: major on I, IV and V, minor on VI."""
MELODY = (0, 2, 4, 5, 7, 9, 7, 5, 4, 4, 2, 0, 7, 12, 9, 7)
PHRASE_LEVEL = 0.05
"""A phrase begins and ends where its 20 ms level passes this share of its loudest."""


def dbfs(samples: np.ndarray, level: float) -> np.ndarray:
    """`samples` (n,) scaled to a root mean square of `level` dBFS."""
    return (samples * 10 ** (level / 20) / np.sqrt(np.square(samples).mean())).astype(np.float32)


def white(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE_HZ))


def room(seconds: float) -> np.ndarray:
    """Noise whose power falls with the square of the frequency above 60 Hz, with mains hum."""
    spectrum = np.fft.rfft(white(seconds))
    hz = np.fft.rfftfreq(round(seconds * SAMPLE_RATE_HZ), 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum / np.maximum(hz, 60), round(seconds * SAMPLE_RATE_HZ))
    time = np.arange(len(noise)) / SAMPLE_RATE_HZ
    hum = np.sin(2 * np.pi * 50 * time) + 0.5 * np.sin(2 * np.pi * 100 * time)
    return noise / noise.std() + 0.3 * hum


def modulated(seconds: float) -> np.ndarray:
    """White noise whose loudness rises and falls four times a second, as that of syllables does."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return white(seconds) * (1 - np.cos(2 * np.pi * 4 * time)) / 2


def note(half_tones: float, seconds: float, decay_seconds: float) -> np.ndarray:
    """A string: eight harmonics of a tone above A3, the higher the weaker and the sooner gone."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    hz = 220 * 2 ** (half_tones / 12)
    tone = sum(
        np.sin(2 * np.pi * k * hz * time) / k**1.5 * np.exp(-time * k / decay_seconds) for k in range(1, 9)
    )
    return tone * np.minimum(1, time / 0.01) * np.minimum(1, (seconds - time) / 0.02)


def chords(seconds: float) -> np.ndarray:
    """Sustained chords of three notes, a second each."""
    bars = [
        sum(note(tone, 1.0, 5.0) for tone in CHORDS[bar % len(CHORDS)]) for bar in range(int(seconds) + 1)
    ]
    return np.concatenate(bars)[: round(seconds * SAMPLE_RATE_HZ)]


def melody(seconds: float) -> np.ndarray:
    """A plucked instrument: four notes a second over soft chords."""
    plucked = [note(12 + MELODY[step % len(MELODY)], 0.25, 0.2) for step in range(4 * (int(seconds) + 1))]
    return np.concatenate(plucked)[: round(seconds * SAMPLE_RATE_HZ)] + 0.3 * chords(seconds)


def voiceless(seconds: float) -> dict[str, Waveform]:
    """Sounds without a voice by their names; those of instruments are called `chords` and `melody`."""
    made: dict[str, tuple[Callable[[float], np.ndarray], float]] = {
        "room tone at -61 dBFS": (room, -61),
        "room tone at -45 dBFS": (room, -45),
        "white noise at -61 dBFS": (white, -61),
        "white noise at -40 dBFS": (white, -40),
        "white noise at -25 dBFS": (white, -25),
        "modulated noise at -61 dBFS": (modulated, -61),
        "modulated noise at -30 dBFS": (modulated, -30),
        "chords": (chords, -20),
        "melody": (melody, -20),
    }
    silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    sounds = {"digital silence": silence} | {
        name: dbfs(make(seconds), level) for name, (make, level) in made.items()
    }
    return {name: Waveform(samples, SAMPLE_RATE_HZ) for name, samples in sounds.items()}


def music_from(paths: Sequence[Path], seconds: float) -> dict[str, Waveform]:
    """`seconds` from a third of each file on, 16 kHz, by the files' names. Raises the errors of
    `read_audio`."""
    pieces = {}
    for path in paths:
        samples = read_audio(path).samples
        begin = len(samples) // 3
        piece = samples[begin : begin + round(seconds * SAMPLE_RATE_HZ)]
        pieces[path.stem] = Waveform(piece, SAMPLE_RATE_HZ)
    return pieces


def speech_with_pauses(
    paths: Sequence[Path], *, phrase_seconds: float = 2.0, pause_seconds: float = 1.0
) -> tuple[Waveform, list[tuple[float, float]]]:
    """The beginnings of recordings, trimmed to their sound, each followed by digital silence: the sound, and
    start and end of every pause in s. Raises the errors of `read_audio`."""
    parts: list[np.ndarray] = []
    pauses: list[tuple[float, float]] = []
    at = 0
    for path in paths:
        samples = trimmed(read_audio(path).samples)
        phrase = trimmed(samples[: round(phrase_seconds * SAMPLE_RATE_HZ)])
        silence = np.zeros(round(pause_seconds * SAMPLE_RATE_HZ), np.float32)
        parts += [phrase, silence]
        pauses.append(
            (
                (at + len(phrase)) / SAMPLE_RATE_HZ,
                (at + len(phrase) + len(silence)) / SAMPLE_RATE_HZ,
            )
        )
        at += len(phrase) + len(silence)
    return Waveform(np.concatenate(parts).astype(np.float32), SAMPLE_RATE_HZ), pauses


def trimmed(samples: np.ndarray, hop: int = 320) -> np.ndarray:
    """A recording (n,) from its first to its last 20 ms louder than PHRASE_LEVEL of the loudest."""
    blocks = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = np.sqrt(np.square(blocks.astype(np.float64)).mean(1))
    loud = np.flatnonzero(level > PHRASE_LEVEL * level.max())
    return samples[loud[0] * hop : (loud[-1] + 1) * hop]
