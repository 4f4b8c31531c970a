"""The inside of the mouth: the portrait's own pixels if its mouth is open, else teeth and tongue painted in
colours of the portrait.

Everything is drawn in the plane of the front teeth, in canonical centimetres. Upper teeth and the portrait's
own pixels move with the skull, lower teeth and tongue with the jaw. The contour of the lips is the edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask, sample_at, window_around
from sonimate.face.regions import (
    CHEEKS,
    CHIN,
    EYE_CORNER_COUNT,
    FOREHEAD,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    RIGHT_EYE,
    UPPER_LIP_INNER,
)

TEETH_DEPTH_CM = 0.5
"""Distance of the front teeth behind the line where the lips touch."""
OWN_PIXELS_GAP_CM = 0.45
"""Gap of the inner lips above which the portrait's own mouth interior is used."""
TEETH_OVER_LIPS = 1.2
"""Brightness of the mouth's inside over that of the lips above which it is taken for teeth."""
UPPER_EDGE_CM = -0.2
"""Lower edge of the upper teeth, measured up from the line of the closed lips."""
LOWER_EDGE_CM = -0.66
TEETH_SHADE = 0.5
"""Smallest share of the light on the upper teeth, which stand in front of the dark."""
TOOTH_WIDTH_CM = 0.8
ARCH_HALF_WIDTH_CM = 2.1


class MouthInterior:
    """Paints the opening between the lips of one portrait.

    pixels: uint8 (h, w, 3). vertices: (478, 3) the portrait's pose-normalised landmarks in cm.
    plane: the plane of its front teeth.
    """

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, vertices: np.ndarray, plane: FacePlane):
        self._plane = plane
        self._contact = float(vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 1].mean())
        self._middle = float(vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 0].mean())
        self._chin = float(vertices[CHIN, 1])
        gap = vertices[UPPER_LIP_INNER, 1] - vertices[LOWER_LIP_INNER, 1]
        self._cavity, self._teeth, self._tongue = _palette(pixels, landmarks)
        own = gap > OWN_PIXELS_GAP_CM and _shows_teeth(pixels, landmarks)
        self._own = self._own_layer(pixels, landmarks) if own else None

    def _own_layer(self, pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The portrait with an alpha channel: opaque in the mouth, extended under the upper lip by the
        nearest inner pixels, so that the lip can move over the teeth; soft at the portrait's lower lip."""
        height, width = pixels.shape[:2]
        contour = landmarks[list(LIPS_INNER), :2]
        inside = polygon_mask(contour, (0, 0, width, height))
        softness = max(np.ptp(contour[:, 0]) * 0.02, 0.6)
        sure = (inside > 0.99).astype(np.uint8)
        _, labels = cv2.distanceTransformWithLabels(
            1 - sure, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        labels = labels.astype(np.intp)
        nearest = np.zeros((labels.max() + 1, 3), np.float32)
        nearest[labels[sure > 0]] = pixels[sure > 0]
        upward = landmarks[FOREHEAD, :2] - landmarks[CHIN, :2]
        upward *= 0.06
        shift = np.array([[1, 0, upward[0]], [0, 1, upward[1]]])
        raised = [
            cv2.warpAffine(inside, shift * [[1, 0, t], [0, 1, t]], (width, height)) for t in (0.25, 0.5, 1)
        ]
        alpha = np.maximum.reduce([cv2.GaussianBlur(inside, (0, 0), softness) * inside, *raised])
        return np.dstack([nearest[labels], alpha * 255])

    def paint(
        self, plane: FacePlane, vertices: np.ndarray, coverage: np.ndarray, window: tuple[int, int, int, int]
    ) -> np.ndarray:
        """Colours (h, w, 3) float32 in [0, 255] of a window of the frame.

        plane: the teeth's plane in the frame. vertices: (478, 3) cm of the frame. coverage: (h, w), the
        opening.
        """
        across, y = plane.to_canonical(window)
        pixel = plane.pixel_cm
        x = across - self._middle
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

        if self._own is None:
            upper_edge = (
                self._contact + UPPER_EDGE_CM + arch + 0.03 * np.abs(np.cos(np.pi * x / TOOTH_WIDTH_CM))
            )
            upper = _edge(y - upper_edge, 1.5 * pixel + 0.03) * _edge(1.6 - np.abs(x), 1.0)
            teeth = self._tooth_colour(x, depth, 1.0) * (TEETH_SHADE + (1 - TEETH_SHADE) * light)[..., None]
            colour = _mix(colour, teeth, upper)
        else:
            places = self._plane.from_canonical(across, y)
            own = sample_at(self._own, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
            colour = _mix(colour, own[..., :3], own[..., 3] / 255)
        return colour

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


def _shows_teeth(pixels: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether the inside of the portrait's mouth is brighter than its lips."""
    height, width = pixels.shape[:2]
    window = window_around(landmarks[list(LIPS_OUTER), :2], 1, width, height)
    x0, y0, x1, y1 = window
    grey = pixels[y0:y1, x0:x1].mean(axis=2)
    inner = polygon_mask(landmarks[list(LIPS_INNER), :2], window) > 0.9
    lips = (polygon_mask(landmarks[list(LIPS_OUTER), :2], window) > 0.9) & ~inner
    if not inner.any() or not lips.any():
        return False
    return bool(np.percentile(grey[inner], 75) > TEETH_OVER_LIPS * np.median(grey[lips]))


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
