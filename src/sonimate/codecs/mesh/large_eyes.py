"""Eyes larger than the face mesh believes, as drawn and 3D characters have them: their true outline.

The mesh was fitted on people. In a face whose eyes are twice as high its contour runs through the iris, and
lids laid along it would cover the eye in part. Such an eye shows by its white, which goes on beyond the
contour: as light as skin but of far weaker colour. People's eyes do not, and stay as the mesh has them.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.eye_frame import EyeFrame, read_eye
from sonimate.codecs.mesh.raster import sample_at
from sonimate.face.regions import CHEEKS, LEFT_EYE, LEFT_IRIS, RIGHT_EYE, RIGHT_IRIS

EYES = ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS))

CELL = 1 / 40
"""Of the grid on which an eye is looked at, in eye widths of the mesh, as all lengths here."""
ALONG, ACROSS = (-1.0, 2.0), (-1.2, 1.2)
"""Its reach."""
_CORNER = np.array([ALONG[0], ACROSS[0]])
MIN_TINT = 0.2
"""Skin whose colour is weaker than this, over its lightness, is not told from white: grey pictures, statues,
pale faces."""
WHITE_TINT, WHITE_LIGHT = 0.5, 0.7
"""White of an eye has at most this share of the skin's colour, and at least this share of its lightness."""
MIN_WHITE = 0.035
"""Area of white beyond the contour, of the area within, from which on an eye is larger than its contour. Both
eyes have that in two of 35 portraits, 3D characters: 0.8 and 0.7, 0.06 and 0.04. Next are 0.02 and 0.01."""
MOST_AREA = 1.4
"""What is larger is no eye but a lens of glasses, or a light wall."""
UNLIKE_SKIN, UNLIKE_LIGHT = 0.5, 0.35
"""Iris differs in colour by more than this share of the skin's, and is at least this light, over the skin."""
MOST_IRIS = 2.0
"""The outline with iris has at most this many times the area of the outline of the white."""
EDGE_CELLS = 5
"""The outline lies half of this outside what was found: colours mix at the edge."""
FADES = 2.5
"""The skin around moves along up to this many times as far as the outline: nothing folds."""


def with_true_eyes(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (478, 3) px of the picture (h, w, 3) whose eyes lie on the eyes' true outlines, where both
    are larger than the mesh's; else the same."""
    skin = _skin(pixels, landmarks)
    if np.linalg.norm(_tint(skin)) < MIN_TINT:
        return landmarks
    moved = landmarks.copy()
    for contour, iris in EYES:
        frame = EyeFrame(landmarks, contour)
        masks = _eye_and_iris(pixels, frame, landmarks[list(contour), :2], skin)
        if masks is None:
            return landmarks
        eye, ball = masks
        moved[:, :2] += _carried(landmarks[:, :2], list(contour), _on_outline(frame, contour, landmarks, eye))
        rows, columns = np.nonzero(ball)
        middle = frame.place(*(_CORNER + CELL * np.array([np.median(columns), np.median(rows)])))
        ring = landmarks[iris : iris + 5, :2] - landmarks[iris, :2]
        radius = np.sqrt(len(rows) / np.pi) * CELL * frame.width
        moved[iris : iris + 5, :2] = middle + ring * radius / np.linalg.norm(ring[1:], axis=1).mean()
    return moved


def _eye_and_iris(
    pixels: np.ndarray, frame: EyeFrame, contour: np.ndarray, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Masks (h, w) uint8 of an eye and of its iris on the grid; None for an eye within `contour` (16, 2) px.
    skin: (3,) its colour in Lab."""
    u, v = np.meshgrid(np.arange(*ALONG, CELL), np.arange(*ACROSS, CELL))
    inside = np.zeros(u.shape, np.uint8)
    cv2.fillPoly(inside, [np.round((frame.local(contour) - _CORNER) / CELL).astype(np.int32)], 1)
    lab = _lab(read_eye(pixels, frame, u, v))
    light, tint, strength = lab[..., 0] / skin[0], _tint(lab), np.linalg.norm(_tint(skin))
    white = (np.linalg.norm(tint, axis=-1) < WHITE_TINT * strength) & (light > WHITE_LIGHT)
    seen = _connected(white, inside)
    if (seen > inside).sum() < MIN_WHITE * inside.sum():
        return None
    unlike = np.linalg.norm(tint - _tint(skin), axis=-1) > UNLIKE_SKIN * strength
    eye, larger = _hull(seen), _hull(_connected(unlike & (light > UNLIKE_LIGHT), inside))
    if larger.sum() <= MOST_IRIS * eye.sum() and not _at_border(larger):
        eye = larger
    ball = cv2.morphologyEx(np.where(white, np.uint8(0), eye), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    eye = cv2.dilate(eye, np.ones((EDGE_CELLS, EDGE_CELLS), np.uint8))
    no_eye = _at_border(eye) or eye.sum() > MOST_AREA / CELL**2 or not ball.any()
    return None if no_eye else (eye, ball)


def _connected(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """`seed` (h, w) uint8 and the parts of `mask` (h, w) bool, without wisps, that touch it."""
    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts = cv2.connectedComponents(np.maximum(solid, seed), connectivity=4)
    return np.isin(parts, np.unique(parts[seed > 0])).astype(np.uint8)


def _hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull (h, w) uint8 of a mask that is not empty."""
    hull = np.zeros_like(mask)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32)), 1)
    return hull


def _at_border(mask: np.ndarray) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _on_outline(
    frame: EyeFrame, contour: tuple[int, ...], landmarks: np.ndarray, eye: np.ndarray
) -> np.ndarray:
    """Contour points (16, 2) px on the outline of the mask `eye`, as far along it as along the mesh's."""
    columns = np.flatnonzero(eye.any(0))
    share = np.clip(frame.local(landmarks[list(contour), :2])[:, 0], 0, 1)
    at = columns[0] + share * (columns[-1] - columns[0])
    top, bottom = eye[:, columns].argmax(0), len(eye) - 1 - eye[::-1, columns].argmax(0)
    upper, lower = (np.interp(at, columns, side) for side in (top, bottom))
    half = len(contour) // 2
    across = np.where(np.arange(len(contour)) < half, upper, lower)
    across[[0, half]] = (upper + lower)[[0, half]] / 2
    return frame.place(*(_CORNER[:, None] + CELL * np.stack([at, across])))


def _carried(points: np.ndarray, contour: list[int], wanted: np.ndarray) -> np.ndarray:
    """How far points (n, 2) px move when the contour's move to `wanted` (16, 2): the skin beside an eye goes
    along with the part of the contour in its direction, and ever less farther away."""
    away = points - points[contour].mean(0)
    angle, radius = np.arctan2(away[:, 1], away[:, 0]), np.linalg.norm(away, axis=1)
    ways = wanted - points[contour]

    def toward(values: np.ndarray) -> np.ndarray:
        return np.interp(angle, angle[contour], values, period=2 * np.pi)

    way = np.stack([toward(ways[:, 0]), toward(ways[:, 1])], axis=1)
    beyond = np.maximum(radius - toward(radius[contour]), 0)
    share = np.clip(1 - beyond / max(FADES * float(np.linalg.norm(ways, axis=1).max()), 1e-6), 0, 1)
    return share[:, None] * way


def _skin(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Colour (3,) of the cheeks in Lab."""
    spot = sample_at(
        pixels, landmarks[None, list(CHEEKS), :2].astype(np.float32), cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    )
    return np.median(_lab(spot)[0], axis=0)


def _lab(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _tint(lab: np.ndarray) -> np.ndarray:
    """Colour (..., 2) over lightness: the same in light and shade."""
    return lab[..., 1:] / np.maximum(lab[..., :1], 5)
