"""What a viewer sees in a portrait that speaks: how far and how smoothly its mouth opens, blinks, brows,
gaze, and whether the background stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sonimate.evaluate.background import background_shift
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.face_curves import shape_curves
from sonimate.evaluate.generation import GeneratedMotion
from sonimate.evaluate.held_out import upper_face
from sonimate.evaluate.statistics import band_amplitude, blink_depth, blinks_per_minute, cadence
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import fill_gaps, stack_landmarks


@dataclass(frozen=True)
class PortraitScore:
    """One portrait that speaks.

    All of the motion as drawn; background, tracked and tracked_* of the frames, in which the face is found
    again, and NaN without frames. p95_mm, max_mm: mouth opening of a face 18 cm high; over_22: share of
    frames over 22 mm. cadence: as `statistics.cadence` of the lips; the motion is what is judged, since a
    tracker's noise, the same in all frames, hides half of a kink at every second one. band_share: amplitude
    of the opening at 4 to 6 Hz over its whole standard deviation. lids: opening of the lids at the deepest
    point of a blink over the open level, NaN without a blink. brows_mm, gaze_mm: as in `upper_face`.
    background: p90 of its shift, face heights. tracked: share of frames in which a face was found.
    """

    portrait: str
    p95_mm: float
    max_mm: float
    over_22: float
    tracked_p95_mm: float
    cadence: float
    tracked_cadence: float
    band_share: float
    lids: float
    tracked_lids: float
    blinks_per_minute: float
    brows_mm: float
    gaze_mm: float
    background: float
    tracked: float


TOO_WIDE_MM = 22.0
"""Opening that ordinary speech does not reach: p95 of real clips is 17 mm."""
FLOW_EVERY = 5
"""Optical flow of every fifth frame is enough to find a background that moves."""


def measure_portrait(
    name: str, generated: GeneratedMotion, frames: Sequence[np.ndarray] = ()
) -> PortraitScore:
    """Score a motion and the frames, uint8 RGB (h, w, 3), that were drawn from it, if any."""
    shapes = generated.shapes
    faces = list(FaceMesh(num_threads=1).track(frames))
    found = sum(face is not None for face in faces) / len(faces) if faces else float("nan")
    tracked = shape_curves(fill_gaps(stack_landmarks(faces))) if found > 0 else None
    brows_mm, gaze_mm = upper_face(shapes)
    return PortraitScore(
        portrait=name,
        p95_mm=float(np.percentile(shapes.opening, 95)),
        max_mm=float(shapes.opening.max()),
        over_22=float((shapes.opening > TOO_WIDE_MM).mean()),
        tracked_p95_mm=float(np.percentile(tracked.opening, 95)) if tracked else float("nan"),
        cadence=cadence(shapes.lips),
        tracked_cadence=cadence(tracked.lips) if tracked else float("nan"),
        band_share=band_amplitude(shapes.opening, 4, 6) / float(shapes.opening.std()),
        lids=blink_depth(shapes.eyes),
        tracked_lids=blink_depth(tracked.eyes) if tracked else float("nan"),
        blinks_per_minute=blinks_per_minute(shapes.eyes),
        brows_mm=brows_mm,
        gaze_mm=gaze_mm,
        background=background_shift(frames[::FLOW_EVERY], generated.drawn.landmarks[0]),
        tracked=found,
    )


def yaw_correlations(yaws: Sequence[np.ndarray]) -> list[float]:
    """Correlation of the yaw curves (n,) of every two portraits that were given one sound."""
    return [correlation(first, second) for first, second in combinations(yaws, 2)]
