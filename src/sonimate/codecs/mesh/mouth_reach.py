"""How far a mouth of generated motion opens and closes, as coefficients of the codec's basis."""

from __future__ import annotations

import numpy as np

from sonimate.codecs.mesh.motion import PRESSED_CM
from sonimate.face.regions import (
    LOWER_LIP_INNER,
    MOUTH_CORNER_LEFT,
    MOUTH_CORNER_RIGHT,
    UPPER_LIP_INNER,
    face_height,
)

EASY_OPENING, WIDEST_OPENING = 0.065, 0.11
"""Gaps of the inner lips, in face heights (12 and 20 mm of a face 18 cm high). Above the first the mouth
opens ever less than the network asks, and never beyond the second: real speech reaches 17 mm in one frame of
twenty."""


class MouthReach:
    """basis: (k, 478, 3) orthonormal components, cm. open_mouth: (k,) coefficients of a wide open mouth.
    lower_face: (k, k), from coefficients (n, k) to those of their lower part. gap_of: (k,) cm by which each
    component parts the inner lips."""

    def __init__(self, basis: np.ndarray, open_mouth: np.ndarray, lower_face: np.ndarray):
        self.gap_of = basis[:, UPPER_LIP_INNER, 1] - basis[:, LOWER_LIP_INNER, 1]
        self._opening = open_mouth / float(open_mouth @ self.gap_of)
        width_of = basis[:, MOUTH_CORNER_LEFT, 0] - basis[:, MOUTH_CORNER_RIGHT, 0]
        widening = self.without_gap(width_of)
        widening /= float(widening @ width_of)
        self._lower_but_width = lower_face - np.outer(lower_face @ width_of, widening)

    def opening(self, gap_cm: np.ndarray | float) -> np.ndarray:
        """Coefficients (n, k) or (k,) that part the lips by gaps (n,) or one gap, as a jaw that drops."""
        return np.multiply.outer(gap_cm, self._opening)

    def closing(self, vertices: np.ndarray) -> np.ndarray:
        """Coefficients (k,) that close the mouth of pose-normalised vertices (478, 3). An open mouth of the
        portrait is closed first, so that silence shows every portrait with a closed mouth."""
        return self.opening(-max(_gap(vertices), 0.0))

    def without_gap(self, coefficients: np.ndarray) -> np.ndarray:
        """The nearest coefficients (k,) that do not part the lips."""
        return coefficients - (coefficients @ self.gap_of) / (self.gap_of @ self.gap_of) * self.gap_of

    def gap(self, expression: np.ndarray, vertices: np.ndarray) -> np.ndarray:
        """Inner-lip gap (n,) cm of a face, vertices (478, 3), with expressions (n, k) on it. Negative where
        the lips would cross."""
        return _gap(vertices) + expression @ self.gap_of

    def within(self, expression: np.ndarray, vertices: np.ndarray) -> np.ndarray:
        """Coefficients (n, k) whose mouth opens no farther than WIDEST_OPENING of the face of `vertices`, and
        whose lips cross by no more than PRESSED_CM.

        Lips that would cross bring the whole lower face, but for the width of the mouth, that much nearer to
        the closed mouth: jaws hardly move while lips are shut.
        """
        gap = self.gap(expression, vertices)
        easy, widest = np.array([EASY_OPENING, WIDEST_OPENING]) * face_height(vertices[None])[0]
        above = np.maximum(gap - easy, 0) / (widest - easy)
        too_far = (above - np.tanh(above)) * (widest - easy)
        crossing = np.maximum(-gap / PRESSED_CM, 1e-6)
        resting = (1 - np.tanh(crossing) / crossing)[:, None]
        moved = (expression - self.closing(vertices)) @ self._lower_but_width
        return expression - self.opening(too_far) - resting * moved


def _gap(vertices: np.ndarray) -> float:
    return float(vertices[UPPER_LIP_INNER, 1] - vertices[LOWER_LIP_INNER, 1])
