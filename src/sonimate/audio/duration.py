"""How many frames, latents and windows a sound needs."""

from __future__ import annotations

import math

import numpy as np

from sonimate.audio.windows import frame_count
from sonimate.clock import LATENT_FPS, SAMPLE_RATE_HZ, VIDEO_FPS


def video_frames(sample_count: int, fps: float, *, as_reference: bool) -> int:
    """Frames of a video at `fps` that lasts as long as so many samples at 16 kHz.

    as_reference: the reference implementation's count, up to 0.12 s less: one frame for each whole latent and
    the frames between them (NOTES 1.1, 5.2).
    """
    if not as_reference:
        return round(sample_count / SAMPLE_RATE_HZ * fps)
    return round((frame_count(sample_count, LATENT_FPS) - 1) * fps / LATENT_FPS) + 1


def latents_shown(sample_count: int, *, as_reference: bool) -> int:
    """Latents at 12.5 a second that the video of so many samples at 16 kHz shows, at either frame rate."""
    return math.ceil(
        video_frames(sample_count, VIDEO_FPS, as_reference=as_reference) * LATENT_FPS / VIDEO_FPS
    )


def window_count(sample_count: int, fps: float, window_frames: int) -> int:
    """Windows that the UNet computes in each step, never more than the reference implementation.

    Whole frames of sound decide. An unfinished last frame uses the silence that fills the last window; where
    whole frames fill all windows, it does not get a window of its own: see `hold_last` in the pipeline.
    """
    return max(math.ceil(frame_count(sample_count, fps) / window_frames), 1)


def pad_to_windows(samples: np.ndarray, fps: float, window_frames: int) -> np.ndarray:
    """A 16 kHz sound with silence at its end, until it fills `window_count` windows.

    A window that is not full takes as long as a full one, and would wrap around to the first frames.
    """
    filled = window_count(len(samples), fps, window_frames) * window_frames * round(SAMPLE_RATE_HZ / fps)
    return np.pad(samples, (0, max(filled - len(samples), 0)))
