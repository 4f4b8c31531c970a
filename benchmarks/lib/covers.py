"""Pictures in which something is wrong with the face: covers before the mouth, and worse pictures of it."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from sonimate.face.mesh import face_size
from sonimate.face.regions import CHEEKS, CHIN, FOREHEAD, LIPS_OUTER
from sonimate.types import Portrait

COVERS = ("hand", "cup", "red cup", "scarf", "finger", "patch")
"""All of one colour with grain, but for the patch: a piece of the picture's own lower edge. The finger leaves
most of the mouth free."""
DEGRADED = ("blur 1 %", "blur 2 %", "dark", "50 px", "jpeg 10", "noise 20")
"""The blur is a Gaussian of this share of the face's size."""


def covered(portrait: Portrait, cover: str, rng: np.random.Generator) -> np.ndarray:
    """The picture, uint8 (h, w, 3), with one of COVERS before the mouth."""
    pixels, points, size = portrait.pixels, portrait.face.landmarks[:, :2], face_size(portrait.face)
    height, width = pixels.shape[:2]
    x, y = points[list(LIPS_OUTER)].mean(0)
    skin = pixels[tuple(np.clip(points[CHEEKS[2]][::-1].astype(int), 0, [height - 1, width - 1]))]
    across, down, colour, move = {
        "hand": (0.3, 0.17, skin * 0.9, 0.0),
        "cup": (0.22, 0.22, (230, 230, 225), 0.1),
        "red cup": (0.22, 0.22, (170, 30, 40), 0.1),
        "scarf": (2.0, 0.4, (60, 70, 120), 0.27),
        "finger": (0.05, 0.3, skin * 0.95, 0.1),
        "patch": (0.25, 0.2, (0, 0, 0), 0.0),
    }[cover]
    up = points[FOREHEAD] - points[CHIN]
    turn = float(np.degrees(np.arctan2(up[0], -up[1])))
    centre = (round(x), round(y + move * size))
    mask = np.zeros((height, width), np.uint8)
    axes = (round(across * size), round(down * size))
    cv2.ellipse(mask, centre, axes, turn + 6 * (cover == "finger"), 0, 360, 255, -1)
    if cover == "patch":
        left, top = max(0, width - round(1.2 * size)), max(0, height - round(0.6 * size))
        layer = np.roll(pixels, (centre[1] - (top + height) // 2, centre[0] - (left + width) // 2), (0, 1))
    else:
        grain = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), max(1.0, size / 60))
        layer = np.asarray(colour, float) + 5 * (grain / grain.std())[..., None]
    share = cv2.GaussianBlur(mask / 255.0, (0, 0), max(0.7, size / 200))[..., None]
    return np.clip(pixels * (1 - share) + layer * share, 0, 255).astype(np.uint8)


def degraded(portrait: Portrait, kind: str, rng: np.random.Generator) -> np.ndarray:
    """The picture, uint8 (h, w, 3), as one of DEGRADED."""
    pixels, size = portrait.pixels, face_size(portrait.face)
    if kind.startswith("blur"):
        return cv2.GaussianBlur(pixels, (0, 0), size * int(kind.split()[1]) / 100)
    if kind == "dark":
        return (pixels * 0.25).astype(np.uint8)
    if kind.startswith("noise"):
        return np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    scale = (50 if kind == "50 px" else 120) / size
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if kind == "50 px":
        return small
    file = io.BytesIO()
    Image.fromarray(small).save(file, "jpeg", quality=10)
    return np.array(Image.open(file))
