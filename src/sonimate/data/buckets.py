"""Motion-bucket labels (paper eq. 3-4): how much a head moves and a face deforms over a clip, from 0 to 128.

Both labels are linear in a standard deviation, so doubling a movement doubles its bucket. The unit of
movement is the face's own height, which makes them independent of resolution.
"""

from __future__ import annotations

import numpy as np

from sonimate.configs import MAX_BUCKET

HEAD_UNIT = 0.25 / MAX_BUCKET
"""Standard deviation of the face box, in face heights, per step of m_t; at 128 it wanders by a quarter."""
EXPRESSION_UNIT = 0.03 / MAX_BUCKET
"""Standard deviation of the landmarks in the face, in face heights, per step of m_e; 128 is twice what the
liveliest of the talking clips seen shows, most of which measure 30 to 50."""


def motion_buckets(landmarks: np.ndarray, expression: np.ndarray, face_height_cm: float) -> np.ndarray:
    """Labels (m_t, m_e) of one clip; values above MAX_BUCKET mean that the clip should be dropped.

    landmarks: (n, v, 3) px. expression: (n, v, 3) cm, pose-normalised vertices (relative to any fixed face).
    m_t: standard deviation over time of the face box's centre and size. m_e: that of the landmarks relative
    to the face; each the root mean square over coordinates. A still face gives (0, 0).
    """
    low, high = landmarks[:, :, :2].min(1), landmarks[:, :, :2].max(1)
    box = np.concatenate([(low + high) / 2, high - low], axis=1)
    height = np.median(np.linalg.norm(landmarks[:, 10] - landmarks[:, 152], axis=1))
    head = np.sqrt(box.var(0)[:2].sum() + box.var(0)[2:].mean()) / height
    face = np.sqrt(expression.var(0).sum(1).mean()) / face_height_cm
    return np.array([head / HEAD_UNIT, face / EXPRESSION_UNIT])
