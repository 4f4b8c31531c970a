"""Teeth and tongue drawn by formulas, without a picture of teeth: the candidate that textured teeth replaced.

benchmarks/mouth_interior.py compares both.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.plane import FacePlane
from sonimate.face.regions import (
    CHEEKS,
    CHIN,
    EYE_CORNER_COUNT,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    RIGHT_EYE,
    UPPER_LIP_INNER,
)

UPPER_EDGE_CM = -0.2
"""Lower edge of the upper teeth, measured up from the line of the closed lips."""
LOWER_EDGE_CM = -0.66
TEETH_SHADE = 0.5
"""Smallest share of the light on the upper teeth, which stand in front of the dark."""
TOOTH_WIDTH_CM = 0.8
ARCH_HALF_WIDTH_CM = 2.1


class ParametricMouth:
    """Paints the opening between the lips of one portrait; used as MouthInterior is."""

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, vertices: np.ndarray, plane: FacePlane):
        self._contact = float(vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 1].mean())
        self._middle = float(vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 0].mean())
        self._chin = float(vertices[CHIN, 1])
        self._cavity, self._teeth, self._tongue = _palette(pixels, landmarks)

    def paint(
        self, plane: FacePlane, vertices: np.ndarray, coverage: np.ndarray, window: tuple[int, int, int, int]
    ) -> np.ndarray:
        """As MouthInterior.paint."""
        x, y = plane.to_canonical(window)
        pixel = plane.pixel_cm
        x = x - self._middle
        arch = 0.10 * (x / ARCH_HALF_WIDTH_CM) ** 2
        jaw = float(vertices[CHIN, 1]) - self._chin
        depth = np.clip(1 - np.abs(x) / ARCH_HALF_WIDTH_CM, 0, 1) ** 0.5
        colour = np.empty((*x.shape, 3), np.float32)
        colour[:] = self._cavity

        light = _light(coverage)
        tongue_top = self._contact - 0.5 + 0.8 * jaw - 0.12 * x**2
        tongue = _edge(tongue_top - y, 0.5) * _edge(1.5 - np.abs(x), 0.6)
        colour = _mix(
            colour, self._tongue * (0.5 + 0.5 * _edge(tongue_top - y - 0.3, 0.8))[..., None], tongue
        )

        lower_edge = self._contact + LOWER_EDGE_CM + 0.95 * jaw + 1.6 * arch
        lower = _edge(lower_edge - y, 1.5 * pixel + 0.04) * _edge(1.3 - np.abs(x), 0.8)
        colour = _mix(colour, self._tooth_colour(x, depth, 0.6), lower * 0.75)
        colour = colour * light[..., None]

        upper_edge = self._contact + UPPER_EDGE_CM + arch + 0.03 * np.abs(np.cos(np.pi * x / TOOTH_WIDTH_CM))
        upper = _edge(y - upper_edge, 1.5 * pixel + 0.03) * _edge(1.6 - np.abs(x), 1.0)
        teeth = self._tooth_colour(x, depth, 1.0) * (TEETH_SHADE + (1 - TEETH_SHADE) * light)[..., None]
        return _mix(colour, teeth, upper)

    def _tooth_colour(self, x: np.ndarray, depth: np.ndarray, light: float) -> np.ndarray:
        """Brighter in the middle, darker toward the corners, faint lines between teeth."""
        between = np.exp(-((np.mod(x / TOOTH_WIDTH_CM + 0.5, 1) - 0.5) ** 2) / 0.002)
        return self._teeth * (light * (0.45 + 0.55 * depth) * (1 - 0.08 * between))[..., None]


def _light(coverage: np.ndarray) -> np.ndarray:
    """Share of the light on each pixel of the opening: less near the lips, least below the upper lip."""
    softness = max(0.12 * np.sqrt(coverage.sum()), 0.8)
    light = cv2.GaussianBlur(coverage, (0, 0), softness)
    from_above = np.roll(light, max(int(softness * 0.7), 1), axis=0)
    return np.clip(0.35 + 0.75 * light * from_above, 0, 1)


def _palette(pixels: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (3,) of cavity, teeth and tongue: from the portrait's lips, skin and eye whites, so that
    paintings and black-and-white photographs keep their own range."""

    def sample(points: np.ndarray) -> np.ndarray:
        x = np.clip(np.round(points[:, 0]).astype(int), 0, pixels.shape[1] - 1)
        y = np.clip(np.round(points[:, 1]).astype(int), 0, pixels.shape[0] - 1)
        return pixels[y, x].astype(np.float32)

    lips = np.median(sample((landmarks[list(LIPS_OUTER), :2] + landmarks[list(LIPS_INNER), :2]) / 2), axis=0)
    cheeks = np.median(sample(landmarks[list(CHEEKS), :2]), axis=0)
    steps = np.linspace(0.1, 0.9, 24)[:, None]
    corner, inner = landmarks[RIGHT_EYE[0], :2], landmarks[RIGHT_EYE[EYE_CORNER_COUNT], :2]
    eye = sample(corner + steps * (inner - corner))
    white = eye[eye.mean(1) >= np.percentile(eye.mean(1), 75)].mean(0)
    x0, y0 = np.clip(landmarks[:, :2].min(0), 0, None).astype(int)
    x1, y1 = landmarks[:, :2].max(0).astype(int) + 1
    bright = max(np.percentile(pixels[y0:y1, x0:x1].max(axis=2), 96), white.max())
    tint = 0.6 + 0.4 * cheeks / max(cheeks.max(), 1)
    colourful = 1 - lips.min() / max(lips.max(), 1)
    red = np.array([1.0, 1 - 0.75 * colourful, 1 - 0.75 * colourful])
    return 0.45 * lips.mean() * red, np.clip(0.92 * bright * tint, 0, 238), lips * red**0.4


def _edge(distance: np.ndarray, width: float) -> np.ndarray:
    """A soft step: 0 at -width/2, 1 at +width/2."""
    x = np.clip(distance / width + 0.5, 0, 1)
    return x * x * (3 - 2 * x)


def _mix(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return below + (above - below) * alpha[..., None].astype(np.float32)
