"""Do head and brows follow the melody and the loudness of speech over phrases and stresses, at time scales
that a mouth does not have?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.curves import correlations_by_delay
from sonimate.evaluate.face_curves import FaceCurves, ShapeCurves

SCALES_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""From a stressed syllable to a phrase."""
MIN_SCALES = 2
"""A clip shorter than this many times a scale says nothing about it."""


def upper_motion(curves: FaceCurves, shapes: ShapeCurves) -> dict[str, np.ndarray]:
    """What may follow the voice, by name, each (n,): speed of the head's rotation, degrees/s, and height of
    the brows, mm."""
    turning = np.gradient(curves.rotation, axis=0) * VIDEO_FPS
    return {"head": np.linalg.norm(turning, axis=1), "brows": shapes.brows}


def following(motion: np.ndarray, sound: np.ndarray, seconds: float) -> float:
    """How well a curve of motion (n,) follows one of the sound (m,), both at 25 fps, at one time scale:
    [0, 1]. NaN for curves shorter than MIN_SCALES scales.

    Both are limited to periods around `seconds`. Then the largest |r| within a quarter of the scale, either
    way: gestures lead or trail stresses, and a nod may go up or down. Unrelated curves do not reach 0, so
    compare with the sound of another clip.
    """
    count = min(len(motion), len(sound))
    if count < MIN_SCALES * seconds * VIDEO_FPS:
        return float("nan")
    reach = max(1, round(seconds * VIDEO_FPS / 4))
    moving, voice = (in_band(curve[:count], seconds) for curve in (motion, sound))
    return max(abs(r) for r in correlations_by_delay(moving, voice, reach).values())


def all_following(
    motion: Mapping[str, np.ndarray], sound: Mapping[str, np.ndarray]
) -> dict[tuple[str, str, float], float]:
    """`following` of every curve of motion and of sound at every scale."""
    return {
        (part, voice, scale): following(motion[part], sound[voice], scale)
        for part in motion
        for voice in sound
        for scale in SCALES_SECONDS
    }


def in_band(curve: np.ndarray, seconds: float) -> np.ndarray:
    """A curve (n,) at 25 fps smoothed over half of `seconds`, less the same smoothed over twice as much."""
    return _smoothed(curve, seconds / 2) - _smoothed(curve, 2 * seconds)


def _smoothed(curve: np.ndarray, seconds: float) -> np.ndarray:
    half = round(seconds * VIDEO_FPS / 2)
    window = np.hanning(2 * half + 3)[1:-1]
    mirrored = np.pad(curve.astype(np.float64), half, mode="symmetric")
    return np.convolve(mirrored, window / window.sum(), mode="valid")
