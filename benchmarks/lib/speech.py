"""Speech of a wanted length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.evaluate.lips import fit_length
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
