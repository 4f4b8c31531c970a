"""Does a portrait look alive: does it blink, does its head move without drift or jitter, does its mouth close
in silence?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.statistics import (
    accelerations,
    blink_frames,
    blinks_per_minute,
    drift,
    median_acceleration,
    spread,
)

SETTLING_SECONDS = 0.5
"""Time that the lips have to close after the last word; it does not count as silence."""


@dataclass(frozen=True)
class LifeScore:
    """One face that speaks and then is silent.

    head_degrees, head_heights: spread of the head's rotation and translation. drift_*: how far its mean pose
    in the last five seconds is from the first five. slope_*: its drift a minute. acceleration: median over
    landmarks, face heights per frame squared. silent_opening: mean mouth opening in the silence.
    """

    source: str
    seconds: float
    blinks: int
    blinks_per_minute: float
    head_degrees: float
    head_heights: float
    drift_degrees: float
    drift_heights: float
    slope_degrees: float
    slope_heights: float
    acceleration: float
    silent_opening: float


def measure_life(source: str, curves: FaceCurves, speech_seconds: float) -> LifeScore:
    """Score a face that speaks for `speech_seconds` and is then silent until its last frame."""
    speaking = curves[: round(speech_seconds * VIDEO_FPS)]
    resting = curves[round((speech_seconds + SETTLING_SECONDS) * VIDEO_FPS) :]
    drift_degrees, slope_degrees = drift(speaking.rotation)
    drift_heights, slope_heights = drift(speaking.translation)
    return LifeScore(
        source=source,
        seconds=len(speaking) / VIDEO_FPS,
        blinks=len(blink_frames(speaking.eyes)),
        blinks_per_minute=blinks_per_minute(speaking.eyes),
        head_degrees=spread(speaking.rotation),
        head_heights=spread(speaking.translation),
        drift_degrees=drift_degrees,
        drift_heights=drift_heights,
        slope_degrees=slope_degrees,
        slope_heights=slope_heights,
        acceleration=median_acceleration(speaking.points),
        silent_opening=float(resting.mouth.mean()),
    )


def real_acceleration(clips: Sequence[FaceCurves]) -> float:
    """Median landmark acceleration over every frame of real clips."""
    return float(np.median(np.concatenate([accelerations(clip.points) for clip in clips])))
