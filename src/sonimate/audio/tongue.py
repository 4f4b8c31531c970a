"""Where the tip of the tongue is, over time, from the sounds that are heard."""

from __future__ import annotations

import numpy as np

from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME

PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.6, 1.0], [0.7, 0.0]])
"""The tip up at the upper teeth, and between the teeth: for no such sound and for each of TONGUE_SOUNDS."""
ROWS = (-2, 4)
"""The rows around a frame's first whose largest value counts: a tongue moves before and after its sound."""
SMOOTHING = np.array([0.25, 0.5, 0.25])


def tongue_track(heard: np.ndarray, frames: int) -> np.ndarray:
    """Probabilities (t, 4) of no sound of the tongue's tip and of each of TONGUE_SOUNDS, 50 a second ->
    how far the tip is up at the upper teeth, and between the teeth, 0 to 1, float32 (frames, 2), 25 a second.
    """
    placed = heard @ PLACES
    low, high = ROWS
    first = HIDDEN_STATES_PER_VIDEO_FRAME * np.arange(frames)[:, None]
    around = placed[np.clip(first + np.arange(low, high), 0, len(placed) - 1)].max(1)
    padded = np.pad(around, ((1, 1), (0, 0)), mode="edge")
    smooth = [np.convolve(column, SMOOTHING, mode="valid") for column in padded.T]
    return np.stack(smooth, axis=1).astype(np.float32)
