"""Is the portrait alive: does it blink, move without drifting or jitter, and close its mouth when nobody
speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate import thresholds as targets
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.statistics import (
    accelerations,
    blink_frames,
    blinks_per_minute,
    drift,
    median_acceleration,
    spread,
)
from sonimate.evaluate.tables import Check

SETTLING_SECONDS = 0.5
"""Lips take this long to come to rest after the last word."""


@dataclass(frozen=True)
class Life:
    """head_degrees, head_heights: spread of rotation and translation. drift_*: last five seconds against
    the first; slope_*: a minute. acceleration: median over landmarks, face heights per frame squared.
    silent_opening: mean mouth opening in the silence after the speech."""

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


def measure_life(source: str, curves: FaceCurves, speech_seconds: float) -> Life:
    """Life of a face that speaks for `speech_seconds` and then hears silence until its last frame."""
    speaking = curves[: round(speech_seconds * VIDEO_FPS)]
    resting = curves[round((speech_seconds + SETTLING_SECONDS) * VIDEO_FPS) :]
    turned, moved = drift(speaking.rotation), drift(speaking.translation)
    return Life(
        source=source,
        seconds=len(speaking) / VIDEO_FPS,
        blinks=len(blink_frames(speaking.eyes)),
        blinks_per_minute=blinks_per_minute(speaking.eyes),
        head_degrees=spread(speaking.rotation),
        head_heights=spread(speaking.translation),
        drift_degrees=turned.change,
        drift_heights=moved.change,
        slope_degrees=turned.slope_per_minute,
        slope_heights=moved.slope_per_minute,
        acceleration=median_acceleration(speaking.points),
        silent_opening=float(resting.mouth.mean()),
    )


def real_acceleration(clips: Sequence[FaceCurves]) -> float:
    """Median landmark acceleration over every frame of real clips."""
    return float(np.median(np.concatenate([accelerations(clip.points) for clip in clips])))


def life_checks(tracked: Life, real: float) -> list[Check]:
    """The life tracked in the output video against the targets. real: acceleration of real clips."""
    low, high = targets.BLINKS_PER_MINUTE
    name = tracked.source
    return [
        Check(name=f"{name}, blinks a minute", value=tracked.blinks_per_minute, low=low, high=high),
        Check(
            name=f"{name}, head rotation in degrees", value=tracked.head_degrees, low=targets.MIN_HEAD_DEGREES
        ),
        Check(name=f"{name}, drift in degrees", value=tracked.drift_degrees, high=targets.MAX_DRIFT_DEGREES),
        Check(
            name=f"{name}, drift in face heights", value=tracked.drift_heights, high=targets.MAX_DRIFT_HEIGHTS
        ),
        Check(
            name=f"{name}, acceleration over that of real clips",
            value=tracked.acceleration / real,
            high=targets.MAX_ACCELERATION_RATIO,
        ),
        Check(
            name=f"{name}, mouth opening in silence",
            value=tracked.silent_opening,
            high=targets.MAX_SILENT_OPENING,
        ),
    ]
