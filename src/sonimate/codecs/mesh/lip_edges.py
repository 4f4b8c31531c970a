"""Lips drawn from several places a pixel, where one place would show steps: along the line where they meet,
and where skin is pressed together or hidden beside them."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.raster import inverse_map, sample_at, window_around
from sonimate.codecs.mesh.refine import FineMesh, contour_matrix
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER

SAMPLES = 2
PRESSED, PRESSED_MORE = 1.15, 1.6
"""The distance of a pixel's samples in the portrait, over that in the frame, from which they begin to be
used, and from which they are all that is seen. One sample a pixel keeps the picture as sharp as it is."""


class LipEdges:
    """Draws the skin of the lips and around them again.

    pixels: uint8 (h, w, 3) of the portrait. mesh: its skin. source: (n, 2) px, the mesh's vertices in it.
    """

    def __init__(self, pixels: np.ndarray, mesh: FineMesh, source: np.ndarray):
        self._pixels = pixels
        self._source = source
        self._triangles = mesh.beside(LIPS_INNER, LIPS_OUTER)

    def draw(self, frame: np.ndarray, moved: np.ndarray, fine: np.ndarray) -> None:
        """Changes a frame (h, w, 3) in place. moved: (478, 3) px, its landmarks. fine: (n, 3) px, the
        vertices of the mesh."""
        height, width = frame.shape[:2]
        curve = contour_matrix(len(LIPS_INNER)) @ moved[list(LIPS_INNER), :2]
        around = np.concatenate([curve, moved[list(LIPS_OUTER), :2]])
        x0, y0, x1, y1 = window_around(around, 2, width, height)
        if x0 == x1 or y0 == y1:
            return
        corner = np.array([x0, y0]) - (1 - 1 / SAMPLES) / 2
        places, covered = inverse_map(
            self._source,
            (fine[:, :2] - corner) * SAMPLES,
            fine[:, 2],
            self._triangles,
            window=(0, 0, (x1 - x0) * SAMPLES, (y1 - y0) * SAMPLES),
        )
        samples = np.dstack([sample_at(self._pixels, places), np.full(covered.shape, 255, np.uint8)])
        samples[~covered] = 0
        mean = cv2.resize(samples.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        share = mean[..., 3:] / 255
        band = np.zeros(share.shape[:2], np.uint8)
        points = np.round((curve - [x0, y0]) * 16).astype(np.int32)
        cv2.polylines(band, [points], True, 255, 1, lineType=cv2.LINE_AA, shift=4)
        pressed = np.where(share[..., 0] == 1, _pressed(places), 0)
        alpha = share * np.maximum(band / np.float32(255), pressed)[..., None]
        below = frame[y0:y1, x0:x1].astype(np.float32)
        mixed = below + (mean[..., :3] / np.maximum(share, 0.01) - below) * alpha
        frame[y0:y1, x0:x1] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _pressed(places: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1]: whether the samples of a pixel, at `places` (2 h, 2 w, 2), lie farther apart in the
    portrait than in the frame."""
    falling = places[1::2, 1::2] - places[::2, ::2]
    rising = places[1::2, ::2] - places[::2, 1::2]
    apart = np.sqrt(np.maximum((falling**2).sum(2), (rising**2).sum(2)) * SAMPLES**2 / 2)
    return np.clip((apart - PRESSED) / (PRESSED_MORE - PRESSED), 0, 1)
