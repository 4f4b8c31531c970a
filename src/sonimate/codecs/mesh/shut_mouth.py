"""Colours beside the lips of a mouth that the picture shows open, once it is drawn shut.

Landmarks of an open mouth lie inside of the edge of the teeth, and those of a wide open one inside the lower
lip. When the mouth shuts, the rim of teeth stays as a white line, and the red beyond the lip is stretched
over the chin.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.raster import polygon_mask, sample_at, window_around
from sonimate.face.geometry import smoothstep
from sonimate.face.regions import (
    CHIN,
    FOREHEAD,
    LIPS_BETWEEN,
    LIPS_INNER,
    LIPS_OUTER,
    MOUTH_CORNER_LEFT,
    MOUTH_CORNER_RIGHT,
)

RIM_GAP_CM, RED_GAP_CM = (0.2, 0.5), (0.8, 1.6)
"""Gaps of the inner lips in the picture from which a rim of teeth, and red on the chin, begin to be changed,
and from which all is."""
RED_CM = 1.2
"""Red of the lower lip is looked for this far beyond its outline."""
EDGE_CM, LOWER_CM = 0.2, 0.8
"""Width of the soft edges at the lip, and below the corners of the mouth."""
RIM_CM = 0.3
"""Teeth are looked for this far outside of the opening's outline."""
CHIN_SKIN = (199, 200, 201, 208, 211, 421, 428, 431)
LEAST_RED, LEAST_LIGHT = 5.0, 25.0
"""What lips are redder than skin at least, and teeth brighter than lips: units of Lab with 8 bits."""
SHUT = 0.5
"""Share of the picture's gap up to which all is changed."""
AROUND = [*LIPS_OUTER, *CHIN_SKIN, CHIN]


class ShutMouth:
    """pixels: uint8 (h, w, 3) of the portrait. landmarks: (478, 3) px. gap_cm: the largest height of its
    opening. pixel_cm: the size of a pixel."""

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, gap_cm: float, pixel_cm: float):
        self._gap_cm = gap_cm
        self._change = None
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = window_around(landmarks[AROUND, :2], RED_CM / pixel_cm, width, height)
        if gap_cm > RIM_GAP_CM[0] and x0 < x1 and y0 < y1:
            self._corner = np.array([x0, y0], np.float32)
            self._change = _change(pixels[y0:y1, x0:x1], landmarks[:, :2] - [x0, y0], gap_cm, pixel_cm)

    def draw(
        self, frame: np.ndarray, flow: np.ndarray, corner: tuple[int, int], moved: np.ndarray, gap_cm: float
    ) -> None:
        """Changes the skin of a frame (h, w, 3) in place, the more its mouth is shut.

        flow: (n, m, 2) px, places in the portrait that the frame shows from `corner` on. moved: (478, 3) px.
        gap_cm: the largest height of the opening.
        """
        if self._change is None:
            return
        share = smoothstep(np.array((1 - gap_cm / self._gap_cm) / SHUT))
        x0, y0, x1, y1 = window_around(moved[AROUND, :2] - corner, 1, flow.shape[1], flow.shape[0])
        if share == 0 or x0 == x1 or y0 == y1:
            return
        change = sample_at(
            self._change, flow[y0:y1, x0:x1] - self._corner, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT
        )
        shown = frame[corner[1] :, corner[0] :][y0:y1, x0:x1]
        shown[:] = np.clip(shown + share * change + 0.5, 0, 255).astype(np.uint8)


def _change(pixels: np.ndarray, landmarks: np.ndarray, gap_cm: float, pixel_cm: float) -> np.ndarray:
    """(h, w, 3) float32 that turns what is red below the lower lip into skin, and bright rims of lips into
    lips."""
    height, width = pixels.shape[:2]
    outline, opening = (landmarks[list(contour)] for contour in (LIPS_OUTER, LIPS_INNER))
    lips, inside = (polygon_mask(polygon, (0, 0, width, height)) for polygon in (outline, opening))
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    smooth = cv2.GaussianBlur(lab, (0, 0), max(0.1 / pixel_cm, 0.5))
    flesh = (landmarks[list(LIPS_BETWEEN[1])] + outline) / 2
    lip, skin = (np.median(_nearest(smooth, at), axis=0) for at in (flesh, landmarks[list(CHIN_SKIN)]))

    beyond = _distance(lips) * pixel_cm
    red = np.clip((smooth[..., 1] - skin[1]) / max(lip[1] - skin[1], LEAST_RED), 0, 1)
    red *= smoothstep(_below(landmarks, height, width) * pixel_cm / LOWER_CM)
    red *= (1 - lips) * smoothstep(beyond / EDGE_CM) * smoothstep(2 - 2 * beyond / RED_CM)
    red = cv2.GaussianBlur(red, (0, 0), max(0.08 / pixel_cm, 0.5))
    rim = np.clip((lab[..., 0] - lip[0]) / LEAST_LIGHT - 0.2, 0, 1)
    rim *= lips * (1 - inside) * smoothstep(2 - 2 * _distance(inside) * pixel_cm / RIM_CM)
    red, rim = (
        part * smoothstep(np.array((gap_cm - begin) / (end - begin)))
        for part, (begin, end) in ((red, RED_GAP_CM), (rim, RIM_GAP_CM))
    )
    changed = lab + red[..., None] * (skin - smooth) + rim[..., None] * (lip - lab)
    rgb = cv2.cvtColor(np.clip(changed + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return rgb.astype(np.float32) - cv2.cvtColor(lab.astype(np.uint8), cv2.COLOR_LAB2RGB)


def _below(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) px below the line between the corners of the mouth, along the face."""
    up = landmarks[FOREHEAD] - landmarks[CHIN]
    up = up / np.linalg.norm(up)
    middle = landmarks[[MOUTH_CORNER_RIGHT, MOUTH_CORNER_LEFT]].mean(0)
    return (middle[0] - np.arange(width)) * up[0] + (middle[1] - np.arange(height))[:, None] * up[1]


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance (h, w) in px from a mask."""
    return cv2.distanceTransform((mask < 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def _nearest(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    columns, rows = np.clip(np.round(places).astype(int), 0, [width - 1, height - 1]).T
    return picture[rows, columns]
