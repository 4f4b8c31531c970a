"""Places and colours around one eye, in the eye's own coordinates."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.motion import upper_and_lower
from sonimate.codecs.mesh.raster import sample_at
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.face.regions import LEFT_LID_FOLD, RIGHT_EYE, RIGHT_LID_FOLD


def lid_fold(contour: tuple[int, ...]) -> tuple[int, ...]:
    """The skin fold above the upper lid of an eye, one of RIGHT_EYE and LEFT_EYE."""
    return RIGHT_LID_FOLD if contour is RIGHT_EYE else LEFT_LID_FOLD


class EyeFrame:
    """Coordinates of one eye: `along` from its outer (0) to its inner corner (1), `across` downward, both in
    eye widths."""

    def __init__(self, landmarks: np.ndarray, contour: tuple[int, ...]):
        half = len(contour) // 2
        outer, inner = landmarks[contour[0], :2], landmarks[contour[half], :2]
        self.width = float(max(np.linalg.norm(inner - outer), 1.0))
        self._origin, self._axis = outer, (inner - outer) / self.width
        down = np.array([-self._axis[1], self._axis[0]])
        self._down = down if self._axis[0] > 0 else -down
        smooth = contour_matrix(len(contour))
        curve = self.local(smooth @ landmarks[list(contour), :2])
        middle = len(curve) // 2
        _, lower = upper_and_lower(contour)
        ring = [contour[0], *lid_fold(contour), contour[half], *lower[::-1]]
        self._curves = {
            "edge": _as_function(curve[: middle + 1]),
            "lower": _as_function(np.roll(curve[::-1], 1, axis=0)[: middle + 1]),
            "fold": _as_function(self.local(smooth @ landmarks[ring, :2])[: middle + 1]),
        }

    def local(self, points: np.ndarray) -> np.ndarray:
        """`along` and `across` (..., 2) of pixels (..., 2)."""
        away = (points - self._origin) / self.width
        return np.stack([away @ self._axis, away @ self._down], axis=-1)

    def coordinates(self, x0: int, y0: int, x1: int, y1: int) -> tuple[np.ndarray, np.ndarray]:
        """`along` and `across` (h, w) of the pixels of a window."""
        x = (np.arange(x0, x1) - self._origin[0]) / self.width
        y = ((np.arange(y0, y1) - self._origin[1]) / self.width)[:, None]
        return self._axis[0] * x + self._axis[1] * y, self._down[0] * x + self._down[1] * y

    def place(self, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of coordinates."""
        return self._origin + self.width * (along[..., None] * self._axis + across[..., None] * self._down)

    def edge(self, along: np.ndarray) -> np.ndarray:
        """`across` of the upper lid's edge."""
        return np.interp(along, *self._curves["edge"])

    def lower(self, along: np.ndarray) -> np.ndarray:
        return np.interp(along, *self._curves["lower"])

    def fold(self, along: np.ndarray) -> np.ndarray:
        return np.interp(along, *self._curves["fold"])


def _as_function(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) from the outer to the inner corner as increasing `along` and their `across`."""
    return np.maximum.accumulate(curve[:, 0]), curve[:, 1]


def read_eye(pixels: np.ndarray, frame: EyeFrame, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) at coordinates (h, w)."""
    places = frame.place(along, across).astype(np.float32)
    return sample_at(pixels, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE).astype(np.float64)
