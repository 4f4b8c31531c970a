"""The upper lid's skin, which a portrait with open eyes does not show, painted where a lid comes down.

Stretched down over the eye, the few pixels of skin and the lashes above an open eye become a dark smear.
Painted is a smooth surface instead, with the colours, the grain and the light of the skin around the eye. The
lash line goes down with the lid's edge and keeps its own width and colour.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.motion import smooth, upper_and_lower
from sonimate.codecs.mesh.raster import sample_at, window_around
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.face.regions import LEFT_LID_FOLD, RIGHT_EYE, RIGHT_LID_FOLD

COLUMNS = 48
"""Places along the eye, from corner to corner, at which skin and lashes are read."""
SMOOTH_COLUMNS = 4.0
"""Standard deviation of the Gaussian that smooths colours along the eye."""
ROWS = 24
"""Of the lid's texture, from the fold to the lid's edge."""
ABOVE = np.linspace(0.0, 0.12, 6)
"""Distances above the fold, in eye widths, where the skin's colour is read."""
BELOW = np.linspace(0.16, 0.34, 6)
"""Distances below the lower lid, in eye widths."""
LASH_BAND = np.linspace(-0.06, 0.05, 8)
"""Distances from the open upper lid's edge, in eye widths, among which the darkest is the lashes' colour."""
DARKEST_LID, CLEAN_LID = 0.8, 0.95
"""Brightness of the skin above the fold over that of the skin below the eye. What is darker than the first is
a brow or the rim of glasses: the lid is not so dark. From the second on the hue is its own, below the first
that of the skin below the eye."""
LIT = 0.4
"""Share of the skin below the eye in the colour of the lid's edge: it faces the light more than the fold."""
GRAIN = 0.05
"""Largest detail of the lid's skin, as a share of its brightness."""
BULGE, EDGE_SHADE = 0.05, 0.10
"""The lid lies on a ball: its middle is lighter, its lower edge darker, as shares of the skin's colour."""
LASH_WIDTH, LASH_OPACITY = 0.045, 0.8
"""Of the lash line: half its width in eye widths; at least half a pixel."""
LASH_SHARE = 0.15
"""The half width is at most this share of the open eye's height: in narrow eyes lashes are thin."""
LASH_SHADOW, LASH_SHADOW_WIDTH = 0.25, 0.08
"""Lashes and their shadow on the skin below them."""
OVERLAP = 0.05
"""The shut lid reaches this far over the lower lid's edge, in eye widths: found edges are a pixel off."""
FADES_IN = (0.08, 0.4)
"""Closure from which on the painted skin is seen, and where nothing else is."""
CORNER = 0.06
"""The lid reaches this far beyond the eye's corners, in eye widths."""
OUTER_TAPER, INNER_TAPER = 0.22, 0.22
"""Over this distance from a corner the lid narrows, in eye widths."""
TOP_FADE = 0.5
"""Share of the way from fold to edge over which the painted skin fades in."""


class EyeLids:
    """The upper lid of one eye. contour: of the eye, as in `regions`. landmarks: (478, 3) px of the portrait,
    counted from the middles of its pixels."""

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, contour: tuple[int, ...]):
        self._contour = contour
        self._fold = RIGHT_LID_FOLD if contour is RIGHT_EYE else LEFT_LID_FOLD
        frame = _EyeFrame(landmarks, contour, self._fold)
        along = np.linspace(0, 1, COLUMNS)
        edge, fold, lower = frame.edge(along), frame.fold(along), frame.lower(along)
        self._height = float((lower - edge).max())
        above = _read(pixels, frame, along, fold[None] - ABOVE[:, None])
        below = _read(pixels, frame, along, lower[None] + BELOW[:, None])
        under = _smooth_along(np.median(below, axis=0))
        over = _smooth_along(np.median(above, axis=0))
        light = over.mean(1, keepdims=True) / np.maximum(under.mean(1, keepdims=True), 1)
        clean = _ramp((light - DARKEST_LID) / (CLEAN_LID - DARKEST_LID))
        over = _smooth_along(clean * over + (1 - clean) * under * np.maximum(light, DARKEST_LID))
        down = np.linspace(0, 1, ROWS)[:, None, None]
        colour = over + LIT * down * (under - over)
        shade = 1 + BULGE * np.sin(np.pi * down) - EDGE_SHADE * down**3
        grain = below - cv2.GaussianBlur(below, (0, 0), 2)
        grain = cv2.resize(grain.astype(np.float32), (COLUMNS, ROWS))
        limit = GRAIN * colour.mean(2, keepdims=True)
        self._skin = np.clip(colour * shade + np.clip(grain, -limit, limit), 0, 255).astype(np.float32)
        lash = _read(pixels, frame, along, edge[None] + LASH_BAND[:, None])
        darkest = lash.mean(2).argmin(0)
        self._lash = _smooth_along(lash[darkest, np.arange(COLUMNS)]).astype(np.float32)

    def draw(self, frame: np.ndarray, moved: np.ndarray, closure: float) -> None:
        """Paint the lid over uint8 `frame` (h, w, 3). moved: (478, 3) px, landmarks in the frame. closure: 0
        for a lid as open as in the portrait, 1 for a shut one."""
        low, high = FADES_IN
        shown = float(_ramp(np.array((closure - low) / (high - low))))
        if shown == 0:
            return
        height, width = frame.shape[:2]
        eye = _EyeFrame(moved, self._contour, self._fold)
        points = moved[list(self._contour + self._fold), :2]
        x0, y0, x1, y1 = window_around(points, 2 + 2 * OVERLAP * eye.width, width, height)
        if x0 == x1 or y0 == y1:
            return
        along, across = eye.coordinates(x0, y0, x1, y1)
        edge, fold = eye.edge(along), eye.fold(along)
        pixel = 1 / eye.width
        ends = _ramp((along + CORNER) / OUTER_TAPER) * _ramp((1 + CORNER - along) / INNER_TAPER)
        fold = edge + ends * (fold - edge)
        down = (across - fold) / np.maximum(edge - fold, pixel)
        places = np.dstack([along * (COLUMNS - 1), np.clip(down, 0, 1) * (ROWS - 1)]).astype(np.float32)
        skin = sample_at(self._skin, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        beyond = across - edge
        reach = OVERLAP * closure * ends
        cover = np.clip((reach - beyond) / pixel + 0.5, 0, 1) * _ramp(down / TOP_FADE) * _ramp(4 * ends)
        line = max(min(LASH_WIDTH, LASH_SHARE * self._height), 0.6 * pixel)
        off = beyond - 0.3 * line
        lashes = LASH_OPACITY * np.exp(-((off / line) ** 2))
        shadow = LASH_SHADOW * np.exp(-np.maximum(off, 0) / LASH_SHADOW_WIDTH) * (off > 0)
        lashes = np.maximum(lashes, shadow) * ends
        lash = sample_at(
            self._lash[None],
            np.dstack([along * (COLUMNS - 1), np.zeros_like(along)]).astype(np.float32),
            cv2.INTER_LINEAR,
            cv2.BORDER_REPLICATE,
        )
        below = frame[y0:y1, x0:x1].astype(np.float32)
        painted = below + (skin - below) * cover[..., None]
        painted += (lash - painted) * lashes[..., None]
        mixed = below + shown * (painted - below)
        frame[y0:y1, x0:x1] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


class _EyeFrame:
    """Coordinates of one eye: `along` from its outer (0) to its inner corner (1), `across` downward, both in
    eye widths."""

    def __init__(self, landmarks: np.ndarray, contour: tuple[int, ...], fold: tuple[int, ...]):
        half = len(contour) // 2
        outer, inner = landmarks[contour[0], :2], landmarks[contour[half], :2]
        self.width = float(max(np.linalg.norm(inner - outer), 1.0))
        self._origin, self._axis = outer, (inner - outer) / self.width
        down = np.array([-self._axis[1], self._axis[0]])
        self._down = down if self._axis[0] > 0 else -down
        smooth = contour_matrix(len(contour))
        curve = self._local(smooth @ landmarks[list(contour), :2])
        middle = len(curve) // 2
        _, lower = upper_and_lower(contour)
        ring = [contour[0], *fold, contour[half], *lower[::-1]]
        self._curves = {
            "edge": _as_function(curve[: middle + 1]),
            "lower": _as_function(np.roll(curve[::-1], 1, axis=0)[: middle + 1]),
            "fold": _as_function(self._local(smooth @ landmarks[ring, :2])[: middle + 1]),
        }

    def _local(self, points: np.ndarray) -> np.ndarray:
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


def _read(pixels: np.ndarray, frame: _EyeFrame, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Colours (m, n, 3) at coordinates along (n,) and across (m, n)."""
    places = frame.place(np.broadcast_to(along, across.shape), across).astype(np.float32)
    return sample_at(pixels, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE).astype(np.float64)


def _smooth_along(colours: np.ndarray) -> np.ndarray:
    """Colours (n, 3) that change slowly from one place to the next."""
    return smooth(colours, SMOOTH_COLUMNS)


def _ramp(values: np.ndarray) -> np.ndarray:
    """A smooth step from 0 at 0 to 1 at 1."""
    inside = np.clip(values, 0, 1)
    return inside * inside * (3 - 2 * inside)
