"""Mouth activations, blinks, brows and gaze -> expressions of the mesh, estimated from tracked clips.

A linear regression of expression coefficients on a few measures of the face, fitted to real clips, predicts
how the whole face moves when, for example, the lips open by a centimetre. Synthetic speech sets the measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimate.codecs.mesh.codec import MeshCodec, canonical_expression
from sonimate.face import regions
from sonimate.face.canonical import canonical_vertices

MEASURES = ("gap", "chin", "width", "protrusion", "upper", "lids", "brows", "gaze_x", "gaze_y")
LIP_MIDDLES = (
    regions.UPPER_LIP_OUTER,
    regions.LOWER_LIP_OUTER,
    regions.UPPER_LIP_INNER,
    regions.LOWER_LIP_INNER,
)
RIDGE = 5.0
"""Penalty on the squared coefficients of the regression."""
LIP_RANGES_CM = {"gap": 2.8, "chin": -2.1, "width": 1.1, "protrusion": 0.2, "upper": 0.45}
"""Change of a measure at activation 1 of open, jaw, wide, protrude and upper. With these, synthetic speech
varies as much in each of them as real clips do (docs/decisions/0027)."""
UPPER_PER_GAP, PROTRUSION_PER_GAP = 0.12, -0.14
"""How much the upper lip rises, and how much the lips recede, with the gap between them: the lower lip swings
back with the jaw. Slopes over GRID clips."""
BROW_CM = 0.8
LIDS_PER_GAZE_Y = 1.06
"""Lids follow the gaze: change of their opening per centimetre that the iris moves up. Slope over GRID."""
PRESS_CM, TUCK_CM = 0.14, 0.30


def measure_face(vertices: np.ndarray) -> np.ndarray:
    """Pose-normalised vertices (n, 478, 3) cm -> measures (n, 9) cm, in the order of MEASURES."""
    y = vertices[..., 1]
    right_upper, right_lower = y[:, regions.RIGHT_UPPER_LID], y[:, regions.RIGHT_LOWER_LID]
    lids = (right_upper - right_lower + y[:, regions.LEFT_UPPER_LID] - y[:, regions.LEFT_LOWER_LID]) / 2
    brows = (y[:, regions.RIGHT_BROW] + y[:, regions.LEFT_BROW]) / 2
    eyes = (vertices[:, regions.RIGHT_EYE].mean(1) + vertices[:, regions.LEFT_EYE].mean(1)) / 2
    gaze = (vertices[:, regions.RIGHT_IRIS] + vertices[:, regions.LEFT_IRIS]) / 2 - eyes
    return np.column_stack(
        [
            y[:, regions.UPPER_LIP_INNER] - y[:, regions.LOWER_LIP_INNER],
            y[:, regions.CHIN],
            vertices[:, regions.MOUTH_CORNER_LEFT, 0] - vertices[:, regions.MOUTH_CORNER_RIGHT, 0],
            vertices[:, LIP_MIDDLES, 2].mean(1),
            y[:, regions.UPPER_LIP_INNER],
            lids,
            brows,
            gaze[:, :2],
        ]
    )


def mouth_measures(mouth: np.ndarray) -> np.ndarray:
    """Change (n, 5) cm of the first five MEASURES that mouth activations (n, 7) ask for."""
    opened, jaw, wide, protrude, _, _, upper = mouth.T
    gap = LIP_RANGES_CM["gap"] * opened
    return np.column_stack(
        [
            gap,
            LIP_RANGES_CM["chin"] * jaw,
            LIP_RANGES_CM["width"] * wide,
            LIP_RANGES_CM["protrusion"] * protrude + PROTRUSION_PER_GAP * gap,
            LIP_RANGES_CM["upper"] * upper + UPPER_PER_GAP * gap,
        ]
    )


@dataclass(frozen=True)
class FaceGestures:
    """per_cm: (9, k) expression coefficients that change each measure alone by a centimetre. press, tuck:
    (k,) the lips pressed together, the lower lip under the upper teeth. neutrals: (people, k) faces at rest,
    closed mouth, open eyes. lid_gap: (people,) their lid openings in cm."""

    per_cm: np.ndarray
    press: np.ndarray
    tuck: np.ndarray
    neutrals: np.ndarray
    lid_gap: np.ndarray

    def expression(
        self, mouth: np.ndarray, blink: np.ndarray, brow: np.ndarray, gaze: np.ndarray, lid_gap: float
    ) -> np.ndarray:
        """Coefficients (n, k), relative to a neutral face: mouth (n, 7) activations (open, jaw, wide,
        protrude, tuck, press, upper), blink and brow (n,) in [0, 1], gaze (n, 2) cm."""
        _, _, _, _, tuck, press, _ = mouth.T
        measures = np.zeros((len(mouth), len(MEASURES)))
        measures[:, :5] = mouth_measures(mouth)
        measures[:, 5] = -lid_gap * blink + LIDS_PER_GAZE_Y * gaze[:, 1] * (1 - blink)
        measures[:, 6] = BROW_CM * brow
        measures[:, 7:] = gaze
        return measures @ self.per_cm + np.outer(press, self.press) + np.outer(tuck, self.tuck)


def fit_gestures(codec: MeshCodec, expressions: list[np.ndarray]) -> FaceGestures:
    """Fit on the pose-normalised vertices (n, 478, 3) cm of clips, one array a clip."""
    measures = [measure_face(vertices) for vertices in expressions]
    x = np.concatenate([m - m.mean(0) for m in measures])
    y = np.concatenate([codec.project(v - v.mean(0)) for v in expressions])
    per_cm = _exact(codec, np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))
    neutrals, lid_gaps = [], []
    for vertices, measured in zip(expressions, measures, strict=True):
        open_eyes = measured[:, 5] >= np.median(measured[:, 5])
        closed = measured[:, 0] <= np.quantile(measured[open_eyes, 0], 0.1)
        rest = vertices[open_eyes & closed].mean(0)
        at_rest = codec.project(canonical_expression(rest[None]))[0]
        neutrals.append(at_rest - max(measure_face(rest[None])[0, 0], 0) * per_cm[0])
        lid_gaps.append(np.median(measured[open_eyes, 5]))
    return FaceGestures(
        per_cm,
        codec.project(_press()[None])[0],
        codec.project(_tuck()[None])[0],
        np.array(neutrals),
        np.array(lid_gaps),
    )


def _exact(codec: MeshCodec, per_cm: np.ndarray) -> np.ndarray:
    """Mix the rows of a regression (9, k) so that a change asked of the measures is the change that the
    vertices show: the ridge and the codec's basis take up to a fifth of small movements otherwise."""
    rest = canonical_vertices()
    shown = measure_face(rest + codec.displacement(per_cm)) - measure_face(rest[None])
    return np.linalg.solve(shown, per_cm)


def _press() -> np.ndarray:
    """Change (478, 3) cm of vertices when the lips press together: the red of both lips rolls inward."""
    change = np.zeros((regions.LANDMARK_COUNT, 3))
    change[list(regions.UPPER_VERMILION), 1] = -PRESS_CM
    change[list(regions.LOWER_VERMILION), 1] = PRESS_CM
    change[list(regions.UPPER_VERMILION + regions.LOWER_VERMILION), 2] = -PRESS_CM
    return change


def _tuck() -> np.ndarray:
    """Change (478, 3) cm of vertices when the lower lip goes up and inward, to the upper teeth."""
    change = np.zeros((regions.LANDMARK_COUNT, 3))
    change[list(regions.LOWER_VERMILION), 1] = TUCK_CM
    change[list(regions.LOWER_LIP_INNER_EDGE), 1] = TUCK_CM / 2
    change[list(regions.LOWER_VERMILION + regions.LOWER_LIP_INNER_EDGE), 2] = -TUCK_CM / 2
    return change
