"""Pictures in which something is wrong with the face: covers before the mouth, and worse pictures of it."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from sonimate.face.mesh import face_size
from sonimate.face.regions import CHEEKS, CHIN, FOREHEAD, LIPS_OUTER
from sonimate.types import Portrait

BLOBS = ("hand", "cup", "red cup", "scarf", "finger", "patch")
"""Ellipses of one colour with grain, but for the patch: a piece of the picture's own lower edge. The finger
leaves most of the mouth free."""
CLOTHS = ("mask", "white mask", "pink mask", "shawl")
"""From nose to chin, with folds along the mouth."""
COVERS = (*BLOBS, *CLOTHS, "fingers", "steep fingers", "microphone")
"""Fingers lie side by side, across the mouth or down it; the microphone has a mesh over it."""
DEGRADED = ("blur 1 %", "blur 2 %", "dark", "50 px", "jpeg 10", "noise 20")
"""The blur is a Gaussian of this share of the face's size."""
CLOTH_TOP, CLOTH_BOTTOM = (132, 50, 196, 197, 419, 280, 361), (172, 150, 176, 152, 400, 379, 397)
"""Landmarks along the upper and lower edge of a mask, from side to side."""


def covered(portrait: Portrait, cover: str, rng: np.random.Generator) -> np.ndarray:
    """The picture, uint8 (h, w, 3), with one of COVERS before the mouth."""
    if cover in BLOBS:
        layer, share = _blob(portrait, cover, rng)
    elif cover in CLOTHS:
        layer, share = _cloth(portrait, cover, rng)
    elif cover == "microphone":
        layer, share = _microphone(portrait)
    else:
        layer, share = _fingers(portrait, 75 if cover == "steep fingers" else -20, rng)
    softness = max(0.7, face_size(portrait.face) / 200)
    share = cv2.GaussianBlur(share.astype(np.float64), (0, 0), softness)[..., None]
    return np.clip(portrait.pixels * (1 - share) + layer * share, 0, 255).astype(np.uint8)


def _blob(portrait: Portrait, cover: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn, (h, w, 3), and where, 0 to 1 (h, w)."""
    pixels, points, size = portrait.pixels, portrait.face.landmarks[:, :2], face_size(portrait.face)
    height, width = pixels.shape[:2]
    x, y = _mouth(portrait)
    skin = _skin(portrait)
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
    mask = np.zeros((height, width))
    axes = (round(across * size), round(down * size))
    cv2.ellipse(mask, centre, axes, turn + 6 * (cover == "finger"), 0, 360, 1.0, -1)
    if cover == "patch":
        left, top = max(0, width - round(1.2 * size)), max(0, height - round(0.6 * size))
        shift = (centre[1] - (top + height) // 2, centre[0] - (left + width) // 2)
        return np.roll(pixels, shift, (0, 1)), mask
    return np.asarray(colour, float) + 5 * _grain(portrait, 60, rng), mask


def _cloth(portrait: Portrait, cover: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As `_blob`: cloth with folds, each a dark line with a light one below."""
    colour, folds, depth, grain = {
        "mask": ((150, 190, 215), (0.37, 0.52, 0.7), 56, 3),
        "white mask": ((225, 225, 222), (0.35, 0.5, 0.65), 36, 3),
        "pink mask": ((225, 170, 170), (0.33, 0.45, 0.57), 36, 3),
        "shawl": ((120, 60, 50), (0.2, 0.38, 0.5, 0.72, 0.9), 44, 7),
    }[cover]
    points, size = portrait.face.landmarks[:, :2], face_size(portrait.face)
    down = (points[CHIN] - points[FOREHEAD]) / np.linalg.norm(points[CHIN] - points[FOREHEAD])
    top = _edge(points[list(CLOTH_TOP)])
    bottom = _edge(points[list(CLOTH_BOTTOM)]) + 0.04 * size * down
    mask = np.zeros(portrait.pixels.shape[:2])
    cv2.fillPoly(mask, [np.round(np.concatenate([top, bottom[::-1]])).astype(np.int32)], 1.0)
    layer = np.asarray(colour, float) + grain * _grain(portrait, 200, rng)
    thickness = max(1, round(size / 110))
    for fold in folds:
        line = top * (1 - fold) + bottom * fold
        for shift, strength in ((0.0, -depth), (1.6 * thickness, 0.35 * depth)):
            drawn = np.zeros_like(mask)
            cv2.polylines(drawn, [np.round(line + shift * down).astype(np.int32)], False, 1.0, thickness)
            layer += strength * drawn[..., None]
    return layer, mask


def _fingers(portrait: Portrait, degrees: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As `_blob`: four fingers of the face's skin side by side, darker at their sides."""
    size = face_size(portrait.face)
    along, across = _turned(portrait, degrees)
    width = 0.085 * size
    number = np.clip(np.floor(across / width), -2, 1)
    from_middle = np.abs(across / width - number - 0.5) * 2
    layer = _skin(portrait) * (1 - 0.45 * np.clip(from_middle, 0, 1) ** 3)[..., None]
    tips = (0.03 * np.abs(number + 0.5) - 0.33) * size
    return layer + 3 * _grain(portrait, 100, rng), (np.abs(across) < 2 * width) & (along > tips)


def _microphone(portrait: Portrait) -> tuple[np.ndarray, np.ndarray]:
    """As `_blob`: a grey ball with a mesh over it, before the lips, and its handle."""
    size = face_size(portrait.face)
    across, down = _turned(portrait, 0)
    down = down - 0.05 * size
    ball, cell = np.hypot(across, down) / (0.19 * size), max(2.0, size / 45)
    mesh = np.sin((across + down) * np.pi / cell) * np.sin((across - down) * np.pi / cell)
    light = np.exp(-((across + 0.07 * size) ** 2 + (down + 0.08 * size) ** 2) / (0.05 * size) ** 2)
    grey = 60 + 60 * np.sqrt(np.clip(1 - ball**2, 0, 1)) + 35 * mesh + 70 * light
    grey = np.where(ball < 1, grey, 35.0)
    handle = (np.abs(across) < 0.09 * size) & (down > 0)
    return np.repeat(grey[..., None], 3, axis=2), (ball < 1) | handle


def _mouth(portrait: Portrait) -> np.ndarray:
    """Its middle (2,), px."""
    return portrait.face.landmarks[list(LIPS_OUTER), :2].mean(0)


def _skin(portrait: Portrait) -> np.ndarray:
    """A cheek's colour (3,)."""
    height, width = portrait.pixels.shape[:2]
    x, y = portrait.face.landmarks[CHEEKS[2], :2].astype(int)
    return portrait.pixels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(float)


def _grain(portrait: Portrait, fineness: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (h, w, 1) of standard deviation 1, in grains of the face's size / fineness."""
    noise = rng.normal(size=portrait.pixels.shape[:2])
    noise = cv2.GaussianBlur(noise, (0, 0), max(1.0, face_size(portrait.face) / fineness))
    return (noise / noise.std())[..., None]


def _edge(points: np.ndarray) -> np.ndarray:
    """A smooth line (41, 2) along points (n, 2)."""
    places = np.linspace(0, len(points) - 1, 41)
    line = np.stack([np.interp(places, np.arange(len(points)), axis) for axis in points.T], 1)
    return cv2.blur(line, (1, 7), borderType=cv2.BORDER_REPLICATE)


def _turned(portrait: Portrait, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (h, w) of the pixels from the middle of the mouth, px, along a direction and across it."""
    x, y = _mouth(portrait)
    height, width = portrait.pixels.shape[:2]
    right, down = np.arange(width) - x, np.arange(height)[:, None] - y
    angle = np.radians(degrees)
    return right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)


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
