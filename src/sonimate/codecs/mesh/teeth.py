"""Teeth as a texture: the front teeth of a public-domain portrait, in the plane of the teeth.

The picture has 60 px a cm. It shows the mouth of the official White House portrait of Barack Obama (public
domain); `benchmarks/make_teeth.py` makes it from examples/portraits/obama.jpg. Its alpha ends at the lower
edge of the upper teeth, the incisal edge.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sonimate.codecs.mesh.raster import sample_at

TEXTURE_FILE = Path(str(files("sonimate"))) / "bundled" / "face" / "upper_teeth.png"
PIXELS_PER_CM = 60
HALF_WIDTH_CM = 2.6
INCISAL_MIDDLE_CM = -0.45
TOP_CM, BOTTOM_CM = 0.8, -0.75
"""The texture's sides, from the middle of the donor's closed lips."""
DONOR_SKIN = np.array([218.0, 158.0, 130.0])
"""Colour of the cheeks in the picture that the teeth come from: other portraits' light is measured by it."""


def incisal_edge(x: np.ndarray) -> np.ndarray:
    """Height in cm of the upper teeth's lower edge in the texture, at `x` cm from the middle."""
    return INCISAL_MIDDLE_CM + 0.087 * x**2


@lru_cache(maxsize=1)
def teeth_texture() -> np.ndarray:
    """The bundled texture (93, 312, 4) float32, RGB and alpha in [0, 255]."""
    with Image.open(TEXTURE_FILE) as picture:
        return np.asarray(picture.convert("RGBA"), np.float32)


class Teeth:
    """The teeth as one portrait shows them.

    gain: (3,) factor of their colour. colourful: their saturation, 1 as photographed and 0 for grey.
    softness_cm: standard deviation of the Gaussian that gives them the portrait's sharpness.
    """

    def __init__(self, gain: np.ndarray, colourful: float, softness_cm: float):
        texture = teeth_texture()
        colour, alpha = texture[..., :3], texture[..., 3:] / 255
        grey = colour.mean(2, keepdims=True)
        colour = (grey + colourful * (colour - grey)) * gain
        softness = max(softness_cm * PIXELS_PER_CM, 0.5)
        # Blurred with its alpha multiplied in: what lies below the edge must not bleed into the teeth.
        self._texture = cv2.GaussianBlur(
            np.concatenate([colour * alpha, alpha], axis=2).astype(np.float32),
            (0, 0),
            softness,
            borderType=cv2.BORDER_REPLICATE,
        )

    def at(self, x: np.ndarray, above_edge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours (h, w, 3) times alpha, and alpha (h, w) in [0, 1], at `x` cm from the middle and
        `above_edge` cm above the incisal edge at the middle. Gums continue above."""
        height = above_edge + INCISAL_MIDDLE_CM
        places = np.stack([(x + HALF_WIDTH_CM) * PIXELS_PER_CM, (TOP_CM - height) * PIXELS_PER_CM], axis=-1)
        found = sample_at(
            self._texture,
            places.astype(np.float32),
            interpolation=cv2.INTER_LINEAR,
            border=cv2.BORDER_REPLICATE,
        )
        return found[..., :3], found[..., 3]
