"""The upper lid's skin, which a portrait with open eyes does not show, painted where a lid comes down.

Stretched down over the eye, the few pixels of skin and the lashes above an open eye become a dark smear. So
the eye, with its lashes and lids, is taken out of the picture once: the skin around it continues over the
hole. A lid that comes down uncovers this picture of a shut eye, which stays where it is. The lash line goes
down with the lid's edge and keeps its own width and colour.
"""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.eye_frame import EyeFrame, lid_fold, read_eye
from sonimate.codecs.mesh.eyes import UPPER_ALONE
from sonimate.codecs.mesh.matte import smooth_fill
from sonimate.codecs.mesh.motion import smooth
from sonimate.codecs.mesh.raster import sample_at, window_around
from sonimate.face.geometry import smoothstep

COLUMNS = 48
PLACES = np.linspace(0, 1, COLUMNS)
"""Along the eye, from corner to corner, where lashes are read."""
SMOOTH_COLUMNS = 4.0
"""Standard deviation of the Gaussian that smooths colours along the eye."""
CELL = 1 / 48
"""Of the picture of the shut eye, in eye widths, as all lengths here."""
ALONG, ACROSS = (-0.6, 1.6), (-0.9, 0.9)
"""Its reach."""
BESIDE, BELOW, ABOVE = 0.12, 0.08, 0.2
"""The hole reaches this far beyond the corners, below the lower lid, and above the upper lid or to the fold,
if that is nearer (tall drawn eyes have none): lashes and their shadows are inside."""
INNER, ABOVE_INNER = 0.3, 0.3
"""Over this share of the eye up to its inner corner, which has no lashes, ABOVE shrinks to this share."""
SOFT = 0.05
"""Standard deviation of the hole's soft edge."""
SMOOTH_SKIN = 0.05
"""Single hairs and wrinkles at the hole's edge do not continue into it: standard deviation of the blur."""
SHADED, ABOVE_LASHES = 0.04, 0.08
"""Inside the hole, skin that lies farther above the upper lid than the second continues with this weight:
deep eyes lie in the shade of their brows."""
SHADE = (0.15, 0.35)
"""Its light over that of the skin below the eye: what is darker than the first is painted black."""
DARK_ABOVE = (0.55, 0.85)
"""Light beside and above the eye over that of the skin below it. What is darker than the first is a brow,
hair or the rim of glasses, and does not continue into the hole; what is lighter than the second does."""
RIM_CELLS, RIM_DARKER, RIM_LENGTH, RIM_ABOVE = 9, 0.3, 1.6, 0.04
"""A rim of glasses is a line of at most so many cells, darker than what lies beside it by the second (of the
skin's light below the eye), longer than the third, and so far above the upper lid. It lies before the lid and
stays."""
GRAIN = 0.03
"""Largest detail of the lid's skin, as a share of its brightness."""
BULGE = 0.15
"""The lid lies on a ball: its middle is lighter by this share."""
LASH_BAND = np.linspace(-0.06, 0.05, 8)
"""Distances from the open upper lid's edge among which the darkest is the lashes' colour."""
LASH_WIDTH, LASH_OPACITY = 0.045, 0.95
"""Of the lash line: half its width."""
LASH_PIXELS = 0.8
"""Smallest half width, in px: a thinner line is drawn as wide as this and paler, or it would break into
dots."""
LASH_SHARE = 0.15
"""The half width is at most this share of the open eye's height: in narrow eyes lashes are thin."""
LASH_SHADOW, LASH_SHADOW_WIDTH = 0.25, 0.08
"""Lashes and their shadow on the skin below them."""
OVERLAP = 0.10
"""The shut lid reaches this far over the lower lid's edge: found edges are a pixel off, and lashes hang."""
RISEN = (0.05, 0.15)
"""Where the lower lid rises by more than the first, as in tall drawn eyes, the picture of the shut eye also
shows below it."""
FADES_IN = (0.08, 0.4)
"""Closure from which on the painted skin is seen, and where nothing else is."""
TAPER = 0.12
"""Over this distance from a corner lashes become thin."""


class EyeLids:
    """The upper lid of one eye. contour: of the eye, as in `regions`. landmarks: (478, 3) px of the portrait,
    counted from the middles of its pixels."""

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, contour: tuple[int, ...]):
        self._contour = contour
        self._points = list(contour + lid_fold(contour))
        frame = EyeFrame(landmarks, contour)
        edge = frame.edge(PLACES)
        self._height = float((frame.lower(PLACES) - edge).max())
        self._lower = float(frame.lower(PLACES).max())
        lash = read_eye(
            pixels, frame, np.broadcast_to(PLACES, (len(LASH_BAND), COLUMNS)), edge + LASH_BAND[:, None]
        )
        darkest = lash.mean(2).argmin(0)
        self._lash = _smooth_along(lash[darkest, np.arange(COLUMNS)]).astype(np.float32)
        u, v = np.meshgrid(np.arange(*ALONG, CELL), np.arange(*ACROSS, CELL))
        self._shut = self._shut_eye(pixels, frame, u, v)

    def _shut_eye(self, pixels: np.ndarray, frame: EyeFrame, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The shut eye at coordinates u and v (h, w): colours and opacity (h, w, 4) float32 of 255."""
        picture = read_eye(pixels, frame, u, v).astype(np.float32)
        inside = np.clip((u + BESIDE) / (1 + 2 * BESIDE), 0, 1)
        top = frame.edge(inside) - ABOVE * np.clip((1 - inside) / INNER, ABOVE_INNER, 1)
        if self._height < UPPER_ALONE:
            top = np.maximum(frame.fold(inside), top)
        bottom = frame.lower(inside) + BELOW
        hole = (v > top) & (v < bottom) & (inside > 0) & (inside < 1)
        under = np.median(
            picture[(v > bottom) & (v < bottom + 0.2) & (inside > 0.2) & (inside < 0.8)].mean(1)
        )
        light = picture.mean(2) / max(float(under), 1.0)
        low, high = DARK_ABOVE
        known = (~hole * np.where(v < bottom, smoothstep((light - low) / (high - low)), 1.0)).astype(
            np.float32
        )
        over_eye = hole & (v > frame.edge(inside) - RIM_ABOVE) & (u > 0) & (u < 1)
        rim = _long_lines(light, ~over_eye)
        low, high = SHADE
        shaded = hole * (v < frame.edge(inside) - ABOVE_LASHES) * smoothstep((light - low) / (high - low))
        known = np.maximum(known, np.float32(SHADED) * shaded.astype(np.float32)) * (1 - rim)
        sigma = SMOOTH_SKIN / CELL
        weight = cv2.GaussianBlur(known, (0, 0), sigma)
        skin = (
            cv2.GaussianBlur(picture * known[..., None], (0, 0), sigma) / np.maximum(weight, 1e-3)[..., None]
        )
        skin = smooth_fill(skin, known)
        skin = np.where(hole[..., None], cv2.GaussianBlur(skin, (0, 0), sigma), skin)
        middle = np.clip((v - top) / np.maximum(bottom - top, CELL), 0, 1)
        skin = skin * (1 + BULGE * np.sin(np.pi * middle) * np.sin(np.pi * inside))[..., None]
        mirrored = read_eye(pixels, frame, u, 2 * (bottom + 0.02) - v).astype(np.float32)
        grain = mirrored - cv2.GaussianBlur(mirrored, (0, 0), 2)
        limit = GRAIN * skin.mean(2, keepdims=True)
        skin = np.clip(skin + np.clip(grain, -limit, limit), 0, 255)
        skin += cv2.GaussianBlur(rim, (0, 0), 1)[..., None] * (picture - skin)
        opacity = cv2.GaussianBlur(cv2.dilate(hole.astype(np.float32), np.ones((5, 5))), (0, 0), SOFT / CELL)
        return np.dstack([skin, 255 * np.clip(1.6 * opacity - 0.3, 0, 1)]).astype(np.float32)

    def draw(self, frame: np.ndarray, moved: np.ndarray, closure: float) -> None:
        """Paint the lid over uint8 `frame` (h, w, 3). moved: (478, 3) px, landmarks in the frame. closure: 0
        for a lid as open as in the portrait, 1 for a shut one."""
        low, high = FADES_IN
        shown = float(smoothstep(np.array((closure - low) / (high - low))))
        if shown == 0:
            return
        height, width = frame.shape[:2]
        eye = EyeFrame(moved, self._contour)
        points = moved[self._points, :2]
        x0, y0, x1, y1 = window_around(points, 2 + 0.4 * eye.width, width, height)
        if x0 == x1 or y0 == y1:
            return
        along, across = eye.coordinates(x0, y0, x1, y1)
        ends = smoothstep(along / TAPER) * smoothstep((1 - along) / TAPER)
        edge = eye.edge(along) + OVERLAP * closure * np.sin(np.pi * np.clip(along, 0, 1))
        pixel = 1 / eye.width
        places = np.dstack([(along - ALONG[0]) / CELL, (across - ACROSS[0]) / CELL]).astype(np.float32)
        shut = sample_at(self._shut, places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        beyond = across - edge
        low, high = RISEN
        risen = smoothstep((self._lower - np.array(eye.lower(PLACES).max()) - low) / (high - low))
        below_lids = np.clip(0.5 + (across - eye.lower(along)) / pixel, 0, 1)
        cover = np.maximum(np.clip(0.5 - beyond / pixel, 0, 1), risen * below_lids) * shut[..., 3] / 255
        wanted = min(LASH_WIDTH, LASH_SHARE * self._height)
        line = max(wanted, LASH_PIXELS * pixel)
        off = beyond - 0.3 * line
        lashes = LASH_OPACITY * wanted / line * np.exp(-((off / line) ** 2))
        shadow = LASH_SHADOW * np.exp(-np.maximum(off, 0) / LASH_SHADOW_WIDTH) * (off > 0)
        lashes = np.maximum(lashes, shadow) * ends
        lash = sample_at(
            self._lash[None],
            np.dstack([along * (COLUMNS - 1), np.zeros_like(along)]).astype(np.float32),
            cv2.INTER_LINEAR,
            cv2.BORDER_REPLICATE,
        )
        below = frame[y0:y1, x0:x1].astype(np.float32)
        painted = below + (shut[..., :3] - below) * cover[..., None]
        painted += (lash - painted) * lashes[..., None]
        mixed = below + shown * (painted - below)
        frame[y0:y1, x0:x1] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _long_lines(light: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(h, w) float32, 1 on the dark lines of `light` within the mask `where` that are longer than an eye."""
    darker = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((RIM_CELLS, RIM_CELLS), np.uint8)) - light
    lines = ((darker > RIM_DARKER) & where).astype(np.uint8)
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(lines)
    long = np.flatnonzero(boxes[:, cv2.CC_STAT_WIDTH] > RIM_LENGTH / CELL)
    return cv2.dilate(np.isin(parts, long[long > 0]).astype(np.float32), np.ones((3, 3), np.uint8))


def _smooth_along(colours: np.ndarray) -> np.ndarray:
    """Colours (n, 3) that change slowly from one place to the next."""
    return smooth(colours, SMOOTH_COLUMNS)
