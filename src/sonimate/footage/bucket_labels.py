"""Stage `buckets`: labels from 0 to 128 for how much a head moves and a face deforms over a clip.

The paper (section 3.2) labels clips by the variance of the face box and by the variance of the landmarks
relative to the face. Both labels here are linear in the standard deviation, so that a movement twice as
large has a bucket twice as large. Movement is measured in face heights, so that labels do not depend on
resolution.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sonimate.codecs.mesh.codec import canonical_expression
from sonimate.configs import MAX_BUCKET
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import face_height
from sonimate.footage.sample import Sample

STAGE = "buckets"
HEAD_UNIT = 0.25 / MAX_BUCKET
"""Standard deviation of the face box, in face heights, per step of m_t: a quarter at 128."""
EXPRESSION_UNIT = 0.03 / MAX_BUCKET
"""Standard deviation of the landmarks in the face, in face heights, per step of m_e. Most talking clips of
the public footage measure 30 to 50, the liveliest one about 64."""
FACE_HEIGHT_CM = 17.7
"""Forehead to chin of the canonical face."""


def label_buckets(sample: Sample) -> Iterator[Sample]:
    """A crop -> the same with `head` (m_t) and `expression` (m_e); rejected if one is above MAX_BUCKET."""
    landmarks = sample.landmarks().astype(np.float64)
    vertices = canonical_expression(to_canonical(landmarks, fit_pose(landmarks)))
    head, expression = bucket_labels(landmarks, vertices).tolist()
    known = sample.with_facts(STAGE, head=head, expression=expression)
    detail = f"head {head:.0f}, expression {expression:.0f}"
    moves_too_much = max(head, expression) > MAX_BUCKET
    yield known.rejected(STAGE, "moves too much", detail) if moves_too_much else known


def bucket_labels(landmarks: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Labels (m_t, m_e) of one clip; values above MAX_BUCKET mean that the clip should be dropped.

    landmarks: (n, v, 3) px. expression: (n, v, 3) cm, pose-normalised vertices (relative to any fixed face).
    With var over the clip's frames, (cx, cy) the centre and (w, h) the sides of the box around the landmarks
    in px, and H the median distance from forehead to chin (`face_height`, with depth) in px:

    m_t = sqrt(var cx + var cy + (var w + var h) / 2) / H / HEAD_UNIT
    m_e = sqrt(mean over vertices of (var x + var y + var z)) / FACE_HEIGHT_CM / EXPRESSION_UNIT

    The variances are those of paper section 3.2; which sides of the box and which vertices enter, the units
    and the square root are choices of this project. A still face has (0, 0), up to rounding errors below
    1e-11.
    """
    low, high = landmarks[:, :, :2].min(1), landmarks[:, :, :2].max(1)
    box = np.concatenate([(low + high) / 2, high - low], axis=1)
    height = np.median(face_height(landmarks))
    head = np.sqrt(box.var(0)[:2].sum() + box.var(0)[2:].mean()) / height
    face = np.sqrt(expression.var(0).sum(1).mean()) / FACE_HEIGHT_CM
    return np.array([head / HEAD_UNIT, face / EXPRESSION_UNIT])
