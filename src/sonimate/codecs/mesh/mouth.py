"""The inside of the mouth: the portrait's own pixels if its mouth is open, else teeth from a texture; below
them tongue, lower teeth and the dark of the mouth, in colours of the portrait.

Everything is drawn in the plane of the front teeth, in canonical centimetres. Upper teeth and the portrait's
own pixels move with the skull, lower teeth and tongue with the jaw. The curve of the lips is the edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.mouth_colours import MouthColours
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask, sample_at, window_around
from sonimate.codecs.mesh.teeth import Teeth
from sonimate.face.geometry import smoothstep
from sonimate.face.regions import (
    CHIN,
    FOREHEAD,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    UPPER_LIP_INNER,
)

TEETH_DEPTH_CM = 0.5
"""Distance of the front teeth behind the line where the lips touch."""
UPPER_SHARE = 0.21
"""Share of an open mouth's gap by which its upper lip moves when it closes (of the bundled `open_mouth`)."""
OWN_PIXELS_GAP_CM = 0.45
"""Gap of the inner lips above which the portrait's own mouth interior is used."""
TEETH_OVER_LIPS = 1.2
"""Brightness of the mouth's inside over that of the lips above which it is taken for teeth."""
UPPER_EDGE_CM = -0.26
"""Incisal edge of the upper teeth, measured up from the line of the closed lips: at rest it is hidden by the
lower lip."""
USUAL_HALF_WIDTH_CM, LEAST_SIZE = 2.3, 0.75
"""Half the width of a mouth whose teeth are as large as the donor's. Those of smaller mouths are smaller in
proportion, down to this factor."""
UPPER_HALF_WIDTH_CM = 2.3
"""The upper teeth have faded into the dark at this distance from the middle."""
LOWER_GAP_CM = 1.0
"""Gap of the lips from which lower teeth begin to show."""
LOWER_EDGE_CM = 0.2
"""The lower teeth show this much above the lower lip."""
LOWER_HALF_WIDTH_CM, LOWER_BEND = 1.5, 0.22
"""They have faded at this distance from the middle; at 1 cm their edge is so much higher than a straight row:
it follows the lip."""
LOWER_BRIGHTNESS = 0.7
TONGUE_FAR, TONGUE_NEAR = 0.55, 1.15
"""Brightness of the tongue at its far end, in the dark of the mouth, and at its front."""
TONGUE_SHARE = 0.6
"""The tongue's top is above the lower lip by this share of the gap."""
TIP_OVER_TEETH_CM = 0.12
"""A tip of the tongue between the teeth covers so much of the upper ones; raised, it ends at their edge."""
TIP_SHARE = 0.45
"""Between the teeth it also covers this share of the opening, however narrow."""
TIP_HALF_WIDTH_CM, TIP_CURVE = 1.3, 0.12
"""The raised tip has faded at this distance from the middle, and falls by so much at 1 cm."""
TIP_SHADE = 0.3
"""Power of the shade of lips and narrow gaps in which a raised tip lies: it is in front."""
AT_REST = np.zeros(2)
"""The tongue's place when its tip is not raised."""
WARM_SHADOW = np.array([0, 0.4, 0.5], np.float32)
"""Shadows are lit by lips and tongue: green and blue fall with this much more of the light's logarithm.
Teeth in narrow gaps and at the corners are then brown, not grey."""
NARROW_LIGHT, NARROW_CM, RANGE_CM = 0.55, 0.7, 0.8
"""Share of the light that a narrow opening lets in, and the middle and range of the gaps over which it rises
to all: in real clips, teeth between hardly parted lips lie in their shade. A smile draws the lips off the
teeth: it counts like a gap larger by what each corner moves outward."""
LIP_BLUR_CM, LIP_BLUR_PX = 0.14, 1.0
"""The lips' colour reaches this far into the opening (standard deviation; at most so many pixels): in real
pictures, mouths of few pixels have little contrast."""
INNER_BLUR = 0.8
"""What is inside is blurred by this share of it."""
LIP_EDGE = 0.8
"""Brightness of the lips where they turn inward."""
SHADE_CM = 0.2
"""The upper lip's shadow."""


class MouthInterior:
    """Paints the opening between the lips of one portrait.

    pixels: uint8 (h, w, 3). vertices: (478, 3) the portrait's pose-normalised landmarks in cm.
    plane: the plane of its front teeth.
    """

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, vertices: np.ndarray, plane: FacePlane):
        self._plane = plane
        upper_lip, lower_lip = vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 1]
        self._contact = float(upper_lip - UPPER_SHARE * max(upper_lip - lower_lip, 0))
        self._middle = float(vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 0].mean())
        self._half_width = _half_width(vertices)
        gap = vertices[UPPER_LIP_INNER, 1] - vertices[LOWER_LIP_INNER, 1]
        self._colours = MouthColours.of(pixels, landmarks)
        self._teeth_size = float(np.clip(self._half_width / USUAL_HALF_WIDTH_CM, LEAST_SIZE, 1))
        softness_cm = self._colours.softness_px * plane.pixel_cm / self._teeth_size
        self._teeth = Teeth(self._colours.teeth_gain, self._colours.colourful, softness_cm)
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
        self,
        plane: FacePlane,
        vertices: np.ndarray,
        coverage: np.ndarray,
        window: tuple[int, int, int, int],
        tongue_tip: np.ndarray = AT_REST,
    ) -> np.ndarray:
        """Colours (h, w, 3) float32 in [0, 255] of a window of the frame.

        plane: the teeth's plane in the frame. vertices: (478, 3) cm of the frame. coverage: (h, w), the
        opening. tongue_tip: (2,), see Motion.
        """
        across, y = plane.to_canonical(window)
        x = across - self._middle
        upper_lip, lower_lip = float(vertices[UPPER_LIP_INNER, 1]), float(vertices[LOWER_LIP_INNER, 1])
        gap = max(upper_lip - lower_lip, 0.05)
        soft = self._colours.softness_px * plane.pixel_cm
        half_width = _half_width(vertices)
        colours = self._colours

        down = np.clip((upper_lip - y) / max(gap, 0.3), 0, 1)[..., None]
        colour = colours.cavity_above + (colours.cavity_below - colours.cavity_above) * down
        tongue_top = lower_lip + TONGUE_SHARE * gap - 0.2 * x**2
        tongue = _edge(tongue_top - y, 0.35 + soft) * _edge(1.7 - np.abs(x), 0.8)
        lit = TONGUE_FAR + (TONGUE_NEAR - TONGUE_FAR) * _edge(tongue_top - y - 0.3, 0.8)
        colour = _mix(colour, colours.tongue * lit[..., None], 0.9 * tongue)

        up, between = (float(share) for share in tongue_tip)
        size = self._teeth_size
        edge = self._contact + UPPER_EDGE_CM * size
        over_teeth = max(edge + TIP_OVER_TEETH_CM, lower_lip + TIP_SHARE * gap)
        tip_top = edge + between * (over_teeth - edge) - TIP_CURVE * x**2
        tip = _edge(tip_top - y, 0.12 + soft) * _edge(TIP_HALF_WIDTH_CM - np.abs(x), 0.8)
        colour = _mix(colour, colours.tongue, up * tip)

        shown = float(_edge(np.array(gap - LOWER_GAP_CM - 0.15), 0.3))
        if shown > 0:
            lower_edge = lower_lip + LOWER_EDGE_CM * size + LOWER_BEND * x**2
            teeth, alpha = self._teeth.at(1.12 * x / size, 1.1 * (lower_edge - y) / size)
            alpha_side = shown * _edge(LOWER_HALF_WIDTH_CM * size - np.abs(x), 0.9)[..., None]
            colour = _over(colour, LOWER_BRIGHTNESS * teeth, alpha, alpha_side)
        if self._own is None:
            teeth, alpha = self._teeth.at(x / size, (y - edge) / size)
            alpha_side = _edge(min(UPPER_HALF_WIDTH_CM, 0.95 * half_width) - np.abs(x), 0.5)[..., None]
            colour = _over(colour, teeth, alpha, alpha_side)
        light = self._light_inside(x, gap, half_width, coverage, plane.pixel_cm)
        tip_colour = colours.within_range(colours.tongue * light**TIP_SHADE)
        colour = _mix(colour * light, tip_colour, up * TIP_SHADE * tip)
        colour = colours.within_range(colour)
        blur = min(LIP_BLUR_CM / plane.pixel_cm, LIP_BLUR_PX)
        colour = cv2.GaussianBlur(colour.astype(np.float32), (0, 0), INNER_BLUR * blur)
        within = cv2.GaussianBlur(coverage, (0, 0), float(np.hypot(colours.softness_px, blur)))
        colour = _mix(LIP_EDGE * colours.lips, colour, within)
        if self._own is not None:
            places = self._plane.from_canonical(across, y)
            own = sample_at(self._own, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
            return _mix(colour, own[..., :3], own[..., 3] / 255)
        return _mix(colour, tip_colour, between * tip * within)

    def _light_inside(
        self, x: np.ndarray, gap: float, half_width: float, coverage: np.ndarray, pixel_cm: float
    ) -> np.ndarray:
        """Share (h, w, 3) of the light on each pixel of the opening, x (h, w) cm beside the middle: less in
        its corners, below the upper lip and in narrow gaps; what is shaded is lit by lips."""
        corner = 0.45 + 0.55 * _edge(0.6 - np.abs(x) / half_width, 0.8)
        light = (_light(coverage, SHADE_CM / pixel_cm) * corner)[..., None]
        lit_gap = gap + max(half_width - self._half_width, 0)
        light = light * (NARROW_LIGHT + (1 - NARROW_LIGHT) * _edge(np.array(lit_gap - NARROW_CM), RANGE_CM))
        return light ** (1 + self._colours.colourful * WARM_SHADOW)


def _half_width(vertices: np.ndarray) -> float:
    """Half the width of the inner lips in cm, of vertices (478, 3)."""
    return max(float(vertices[LIPS_INNER[10], 0] - vertices[LIPS_INNER[0], 0]) / 2, 0.5)


def _light(coverage: np.ndarray, shade_px: float) -> np.ndarray:
    """Share of the light on each pixel of the opening: least below the upper lip."""
    shift = np.array([[1, 0, 0], [0, 1, 0.8 * shade_px]])
    lowered = cv2.warpAffine(coverage, shift, coverage.shape[::-1])
    from_above = cv2.GaussianBlur(lowered, (0, 0), max(shade_px, 0.8))
    return 0.45 + 0.55 * _edge(1.4 * from_above - 0.5, 1.0)


def _shows_teeth(pixels: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether the inside of the portrait's mouth is brighter than its lips."""
    height, width = pixels.shape[:2]
    window = window_around(landmarks[list(LIPS_OUTER), :2], 1, width, height)
    x0, y0, x1, y1 = window
    if x0 == x1 or y0 == y1:
        return False
    grey = pixels[y0:y1, x0:x1].mean(axis=2)
    inner = polygon_mask(landmarks[list(LIPS_INNER), :2], window) > 0.9
    lips = (polygon_mask(landmarks[list(LIPS_OUTER), :2], window) > 0.9) & ~inner
    if not inner.any() or not lips.any():
        return False
    return bool(np.percentile(grey[inner], 75) > TEETH_OVER_LIPS * np.median(grey[lips]))


def _edge(distance: np.ndarray, width: float) -> np.ndarray:
    """A soft step: 0 at -width/2, 1 at +width/2."""
    return smoothstep(distance / width + 0.5)


def _mix(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return below + (above - below) * alpha[..., None].astype(np.float32)


def _over(below: np.ndarray, premultiplied: np.ndarray, alpha: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Colours over others: premultiplied by their alpha (h, w), and shown in part. share: (h, w, 1)."""
    return below * (1 - alpha[..., None] * share) + premultiplied * share
