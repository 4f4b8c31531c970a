"""Speech of a wanted length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.media.audio import read_audio
from sonimate.types import Waveform


def compose_speech(paths: Sequence[Path], seconds: float, *, then_silent_seconds: float = 0.0) -> Waveform:
    """Recordings one after the other, again from the first when they end, cut at `seconds`; then silence.

    16 kHz. Raises the errors of `read_audio`.
    """
    speech = np.concatenate([read_audio(path).samples for path in paths])
    speech = np.resize(speech, round(seconds * SAMPLE_RATE_HZ))
    return Waveform(np.pad(speech, (0, round(then_silent_seconds * SAMPLE_RATE_HZ))), SAMPLE_RATE_HZ)
