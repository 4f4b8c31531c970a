"""How many frames, latents and windows a sound fills."""

from __future__ import annotations

import math

import numpy as np

from sonimate.audio.windows import frame_count
from sonimate.clock import LATENT_FPS, SAMPLE_RATE_HZ
from sonimate.types import Waveform


def pad_to_windows(samples: np.ndarray, fps: float, window_frames: int) -> np.ndarray:
    """Continue a 16 kHz sound by silence until it fills whole windows: windows that wrap around would
    otherwise show its end and its start as neighbours, for no saving."""
    whole = window_count(len(samples), fps, window_frames) * window_frames * round(SAMPLE_RATE_HZ / fps)
    return np.pad(samples, (0, whole - len(samples)))


def video_frames(waveform: Waveform, fps: float, *, as_reference: bool) -> int:
    """Frames at `fps` that last as long as the 16 kHz `waveform`; as the reference implementation counts,
    those of whole latents and between them, up to 0.12 s less (NOTES 1.1, 5.2)."""
    if not as_reference:
        return round(waveform.seconds * fps)
    return round((frame_count(len(waveform.samples), LATENT_FPS) - 1) * fps / LATENT_FPS) + 1


def window_count(sample_count: int, fps: float, window_frames: int) -> int:
    """Windows of `window_frames` at `fps` that `sample_count` > 0 samples at 16 kHz begin to fill."""
    return math.ceil(sample_count / (window_frames * round(SAMPLE_RATE_HZ / fps)))
