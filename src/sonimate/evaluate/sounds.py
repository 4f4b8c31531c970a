"""Test sounds: speech of a wanted length, and the two controls that no longer belong to the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import OptionOutOfRange
from sonimate.media.audio import read_audio
from sonimate.types import Waveform


def compose_speech(paths: Sequence[Path], seconds: float, *, then_silent_seconds: float = 0.0) -> Waveform:
    """Recordings one after the other, again from the first when they end, cut at `seconds`; then silence.

    16 kHz. Raises the errors of `read_audio`.
    """
    speech = np.concatenate([read_audio(path).samples for path in paths])
    silence = np.zeros(round(then_silent_seconds * SAMPLE_RATE_HZ), np.float32)
    return Waveform(
        np.concatenate([fit_length(speech, round(seconds * SAMPLE_RATE_HZ)), silence]), SAMPLE_RATE_HZ
    )


def fit_length(samples: np.ndarray, count: int) -> np.ndarray:
    """Samples (n,) trimmed to, or repeated until, (count,)."""
    return np.resize(samples, count)


def half_turn(samples: np.ndarray) -> np.ndarray:
    """The same sound shifted circularly by half its length: same voice, same words, wrong time."""
    return np.roll(samples, len(samples) // 2)


def partners(speakers: Sequence[str]) -> list[int]:
    """For each clip, the clip whose sound it gets in the shuffled control: half the list further on, or
    the next after that by another speaker.

    Half the list, since neighbours often come from one corpus and pause at the same times. Raises
    OptionOutOfRange when all clips are by one speaker.
    """
    if len(set(speakers)) < 2:
        raise OptionOutOfRange("Shuffled sound needs clips of at least two speakers; give more clips.")
    count = len(speakers)
    return [
        next(
            other
            for step in range(count)
            if speakers[other := (index + count // 2 + step) % count] != speaker
        )
        for index, speaker in enumerate(speakers)
    ]
