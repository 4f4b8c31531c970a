"""Slow changes of a talking face that its sound does not tell: smiles, one raised corner, cheeks, squinting.

Synthetic faces get them at random, so that the model learns that a mouth of one opening has many shapes.
None of them opens the mouth, lowers the chin or moves lids, brows and gaze: other gestures do that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sonimate.clock import VIDEO_FPS
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.face import regions
from sonimate.face.canonical import canonical_vertices
from sonimate.features.face_gestures import MEASURES, FaceGestures, measure_face

FOUND = 8
"""Components taken from real clips: what the measures of face_gestures leave unexplained, in slow motion."""
FOUND_SECONDS = 0.2
FOUND_GAIN = 2.0
"""GRID's clips of 3 s hold still; people in conversation change more."""
WIDE_CM, LIFT_CM, CORNER_CM, ROLL_CM = 0.35, 0.2, 0.26, 0.12
"""Standard deviations: each corner out and up in a smile; one corner alone; both lips rolled in or out.
With them, the lips of synthetic clips vary in almost as many ways as real ones (docs/decisions/0027)."""
SECONDS = (0.35, 1.2)
"""Standard deviation of the Gaussian that smooths white noise into a component's path."""
LIVELINESS = 0.4
"""Standard deviation, in natural logarithms, of each component's size between utterances."""
KEPT = ("width", "protrusion", "upper")
"""Measures that slow expressions may change."""


@dataclass(frozen=True)
class SlowExpressions:
    """components: (m, k) expression coefficients at one standard deviation."""

    components: np.ndarray

    def draw(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Coefficients (frames, k) at 25 fps of a face that changes at random, about zero."""
        count = len(self.components)
        sizes = np.exp(rng.normal(0, LIVELINESS, count))
        paths = [size * _smooth_noise(frames, rng.uniform(*SECONDS), rng) for size in sizes]
        return np.stack(paths, axis=1) @ self.components


def _smooth_noise(frames: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary Gaussian noise (frames,) of unit variance."""
    sigma = seconds * VIDEO_FPS
    margin = int(4 * sigma) + 1
    noise = gaussian_filter1d(rng.standard_normal(frames + 2 * margin), sigma)
    return noise[margin : margin + frames] * np.sqrt(2 * np.sqrt(np.pi) * sigma)


def fit_slow_expressions(
    codec: MeshCodec, gestures: FaceGestures, expressions: list[np.ndarray]
) -> SlowExpressions:
    """From the pose-normalised vertices (n, 478, 3) cm of clips, one array a clip, and their gestures."""
    rest = []
    for vertices in expressions:
        measures = measure_face(vertices)
        left = codec.project(vertices - vertices.mean(0)) - (measures - measures.mean(0)) @ gestures.per_cm
        rest.append(gaussian_filter1d(left, FOUND_SECONDS * VIDEO_FPS, axis=0, mode="nearest"))
    together = np.concatenate(rest)
    _, sizes, rows = np.linalg.svd(together, full_matrices=False)
    found = FOUND_GAIN * rows[:FOUND] * sizes[:FOUND, None] / np.sqrt(len(together))
    components = np.concatenate([found, codec.project(_drawn())])
    changed = measure_face(canonical_vertices() + codec.displacement(components))
    changed -= measure_face(canonical_vertices()[None])
    changed[:, [MEASURES.index(name) for name in KEPT]] = 0
    return SlowExpressions(components - changed @ gestures.per_cm)


def _drawn() -> np.ndarray:
    """Changes (4, 478, 3) cm of vertices: smile, right corner up, left corner up, lips rolled out."""
    x, y, _ = canonical_vertices().T
    lips = list(regions.LIPS_OUTER + regions.LIPS_INNER)
    side = x[lips] / np.abs(x[lips]).max()
    smile, right, left, roll = np.zeros((4, regions.LANDMARK_COUNT, 3))
    smile[lips, 0] = WIDE_CM * side
    smile[lips, 1] = LIFT_CM * np.abs(side) ** 1.5
    for corner, where in ((right, -side), (left, side)):
        corner[lips, 1] = CORNER_CM * np.clip(where, 0, 1) ** 1.5
        corner[lips, 0] = 0.7 * CORNER_CM * side * np.clip(where, 0, 1)
    outer = list(regions.UPPER_VERMILION + regions.LOWER_VERMILION)
    middle = y[[regions.UPPER_LIP_INNER, regions.LOWER_LIP_INNER]].mean()
    roll[outer, 1] = ROLL_CM * np.sign(y[outer] - middle)
    roll[outer, 2] = ROLL_CM
    return np.stack([smile, right, left, roll])
