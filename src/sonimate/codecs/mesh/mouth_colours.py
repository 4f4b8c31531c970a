"""Colours for the inside of one portrait's mouth: as bright, as warm, as sharp as the picture itself."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sonimate.codecs.mesh.teeth import DONOR_SKIN
from sonimate.face.regions import CHEEKS, LIPS_INNER, LIPS_OUTER

TEETH_BRIGHTNESS = 0.85
"""Teeth in a mouth over those of the donor's wide smile, in the same light."""
TINT = 0.45
"""Teeth have the skin's colour to this power: 0 would be grey, 1 skin. In real clips, clearly seen teeth lie
between 0.15 and 0.6."""
FLESH_TINT = 0.7
"""Share (as an exponent) of the difference to the donor's skin that tongue and cavity follow."""
CAVITY_ABOVE = np.array([0.22, 0.075, 0.07])
CAVITY_BELOW = np.array([0.50, 0.20, 0.19])
TONGUE = np.array([0.72, 0.40, 0.38])
"""Colours beside the donor's skin, in [0, 1]."""
GREY, COLOURFUL = 0.1, 0.3
"""Saturation of lips or skin up to which a picture is grey, and from which it has a photograph's colours."""
SHARPEST_PX = 0.5


@dataclass(frozen=True)
class MouthColours:
    """teeth_gain: (3,) factor of the teeth's texture. cavity_above, cavity_below, tongue, lips: (3,) in
    [0, 255].
    colourful: saturation in [0, 1], 0 for grey pictures. softness_px: standard deviation of the blur of an
    edge in the picture. darkest, brightest: grey values that the face shows.
    """

    teeth_gain: np.ndarray
    cavity_above: np.ndarray
    cavity_below: np.ndarray
    tongue: np.ndarray
    lips: np.ndarray
    colourful: float
    softness_px: float
    darkest: float
    brightest: float

    @classmethod
    def of(cls, pixels: np.ndarray, landmarks: np.ndarray) -> MouthColours:
        """The colours for a portrait, uint8 (h, w, 3), with landmarks (478, 3) px."""
        lips = np.median(_at(pixels, (landmarks[list(LIPS_OUTER)] + landmarks[list(LIPS_INNER)]) / 2), axis=0)
        skin = np.maximum(np.median(_at(pixels, landmarks[list(CHEEKS)]), axis=0), 4)
        face = _face_window(pixels, landmarks)
        grey = face.mean(axis=2)
        darkest, brightest = np.percentile(grey, [1, 98])
        saturation = max(1 - skin.min() / skin.max(), 1 - lips.min() / max(lips.max(), 1))
        colourful = float(np.clip((saturation - GREY) / (COLOURFUL - GREY), 0, 1))
        brightness = float(np.clip(skin.mean() / DONOR_SKIN.mean(), 0.25, 1.15))
        chroma = skin / skin.mean()
        tint = (chroma / (DONOR_SKIN / DONOR_SKIN.mean())) ** (FLESH_TINT * colourful)

        def lit(colour: np.ndarray) -> np.ndarray:
            grey = colour.mean()
            return (255 * brightness * tint * (grey + colourful * (colour - grey))).astype(np.float32)

        return cls(
            teeth_gain=(TEETH_BRIGHTNESS * brightness * chroma ** (TINT * colourful)).astype(np.float32),
            cavity_above=lit(CAVITY_ABOVE),
            cavity_below=lit(CAVITY_BELOW),
            tongue=(lit(TONGUE) + lips) / 2,
            lips=lips,
            colourful=colourful,
            softness_px=edge_softness(grey),
            darkest=float(darkest),
            brightest=float(brightest),
        )

    def within_range(self, colour: np.ndarray) -> np.ndarray:
        """Colours (h, w, 3) no darker and no brighter than the face's own pixels."""
        return np.clip(colour, 0.6 * self.darkest, max(self.brightest, 1))


def edge_softness(grey: np.ndarray) -> float:
    """Blur of a picture (h, w), as the standard deviation in px of a Gaussian: from the energy of its finest
    details over that of details twice as large."""
    grey = grey.astype(np.float32)
    once, twice = cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 2.0)
    fine, coarse = float((grey - once).std()), float((once - twice).std())
    # Fitted to sharp photographs blurred by 0.7 to 2.5 px.
    return float(np.clip(0.345 * (coarse / max(fine, 1e-3)) ** 2.1, SHARPEST_PX, 2.5))


def _at(pixels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (n, 3) at the pixels nearest to `places` (n, 2 or 3) px."""
    height, width = pixels.shape[:2]
    columns, rows = np.clip(np.round(places[:, :2]).astype(int), 0, [width - 1, height - 1]).T
    return pixels[rows, columns].astype(np.float32)


def _face_window(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The part of the picture (h, w, 3) that holds the face."""
    height, width = pixels.shape[:2]
    x0, y0 = np.clip(landmarks[:, :2].min(0).astype(int), 0, [width - 1, height - 1])
    x1, y1 = np.clip(landmarks[:, :2].max(0).astype(int) + 1, [x0 + 1, y0 + 1], [width, height])
    return pixels[y0:y1, x0:x1]
