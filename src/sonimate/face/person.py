"""Where the person of a portrait is: MediaPipe's selfie segmentation, on a square around the face."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np

from sonimate.face.detect import BundledNetwork, Roi
from sonimate.face.regions import CHIN, FOREHEAD, face_height

PERSON_FILE = Path(str(files("sonimate"))) / "bundled" / "person" / "selfie_segmentation.tflite"
PERSON_PX = 256
"""Side of the network's input."""
PERSON_CROP_HEIGHTS = 3.2
"""Side of the square in face heights: so, hair and hats came out right on six portraits, also paintings."""


def person_roi(landmarks: np.ndarray) -> Roi:
    """The upright square, PERSON_CROP_HEIGHTS wide, about the face of landmarks (478, 3) px."""
    x, y = (landmarks[FOREHEAD, :2] + landmarks[CHIN, :2]).astype(np.float64) / 2
    side = PERSON_CROP_HEIGHTS * float(face_height(landmarks[None].astype(np.float64))[0])
    return Roi(float(x), float(y), side, 0.0)


class PersonMask:
    """Finds the person in a picture. Not safe to share between threads."""

    def __init__(self, num_threads: int = 1) -> None:
        self._network = BundledNetwork(PERSON_FILE.read_bytes(), ["activation_10"], num_threads)

    def __call__(self, pixels: np.ndarray, roi: Roi) -> np.ndarray:
        """The probability that a place of the square `roi` of a picture, uint8 RGB (h, w, 3), shows the
        person: float32 (PERSON_PX, PERSON_PX) in [0, 1]."""
        (probability,) = self._network(roi.crop(pixels, PERSON_PX).astype(np.float32) / 255)
        return probability[0, ..., 0]
