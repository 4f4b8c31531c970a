"""Metrics of the lips that need no network file: do they open and widen as the real ones do?"""

from __future__ import annotations

import numpy as np

from sonimate.errors import UnusableClip
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.face_curves import ShapeCurves, shape_curves
from sonimate.evaluate.metric import ClipMetric, Detect, Detector, Features
from sonimate.evaluate.statistics import cadence
from sonimate.evaluate.viewing import SeenClip
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import fill_gaps, stack_landmarks


def load_tracker() -> Detect:
    """Sees the landmarks of the largest face: "landmarks" float32 (n, 478, 3), px."""
    mesh = FaceMesh(num_threads=1)

    def see(clip: SeenClip) -> Features:
        faces = list(mesh.track(clip.frames()))
        if not any(faces):
            raise UnusableClip(f"No frame of {clip.path} shows a face. Choose another clip.")
        return {"landmarks": fill_gaps(stack_landmarks(faces))}

    return see


def lip_shapes(features: Features) -> ShapeCurves:
    """Curves in mm of a face 18 cm high."""
    return shape_curves(np.asarray(features["landmarks"]))


LANDMARKS = Detector(name="landmarks", version="1", load=load_tracker, reading=lip_shapes)


def opening_correlation(generated: ShapeCurves, real: ShapeCurves) -> float:
    """Pearson's r of generated and real mouth opening."""
    return correlation(generated.opening, real.opening)


def width_correlation(generated: ShapeCurves, real: ShapeCurves) -> float:
    """Pearson's r of generated and real mouth width."""
    return correlation(generated.width, real.width)


def lip_cadence(generated: ShapeCurves, _: ShapeCurves) -> float:
    """`cadence` of the generated lips: 1 for real motion."""
    return cadence(generated.lips)


METRICS = (
    ClipMetric(
        name="lip-r",
        detector=LANDMARKS,
        better="higher",
        score=opening_correlation,
        source="correlation of the mouth opening with the real one",
    ),
    ClipMetric(
        name="lip-r-width",
        detector=LANDMARKS,
        better="higher",
        score=width_correlation,
        source="correlation of the mouth width with the real one",
    ),
    ClipMetric(
        name="cadence",
        detector=LANDMARKS,
        better="closer to real",
        score=lip_cadence,
        source="acceleration of the lips at even frames over that at odd ones",
    ),
)
