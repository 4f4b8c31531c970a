"""Piecewise-affine inverse warps: triangles drawn in depth order give every target pixel its source."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

SUBPIXEL_BITS = 4
SLIVER_PX = 0.5
"""Triangles lower than this are not drawn: they contain no pixel centre, and rounding makes their maps
useless."""

_NO_SECOND_MAP: Any = None
"""cv2's type stubs require an array here, but with an empty one OpenCV 5.0 samples at wrong places."""


def inverse_map(
    source: np.ndarray,
    target: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    *,
    window: tuple[int, int, int, int],
    step: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a window of the target image comes from.

    source, target: (v, 2) px positions of the vertices in the two images. depth: (v,), larger is
    farther; nearer triangles cover farther ones. triangles: (t, 3). window: (x0, y0, x1, y1) of the
    target. step: evaluate every step-th pixel only.
    Returns (map, covered): map (h, w, 2) float32 px, covered (h, w) bool, false outside all triangles.
    """
    x0, y0, x1, y1 = window
    width, height = -(-(x1 - x0) // step), -(-(y1 - y0) // step)
    triangles = triangles[np.argsort(-depth[triangles].mean(1), kind="stable")]
    corner = np.array([x0, y0]) + (step - 1) / 2
    local = (target - corner) / step
    triangles = triangles[_altitudes(local[triangles]) > SLIVER_PX]
    corners = np.round(local[triangles] * (1 << SUBPIXEL_BITS)).astype(np.int32)
    owner = np.full((height, width), len(triangles), np.int32)
    for index, polygon in enumerate(corners):
        cv2.fillConvexPoly(owner, polygon, index, cv2.LINE_8, SUBPIXEL_BITS)
    affine = np.vstack([_affine(local[triangles], source[triangles]), np.zeros((1, 6), np.float32)])
    a, b, c, d, e, f = (np.take(numbers, owner, mode="clip") for numbers in affine.T.copy())
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    sampled = np.empty((height, width, 2), np.float32)
    sampled[..., 0] = a * x + b * y + c
    sampled[..., 1] = d * x + e * y + f
    return sampled, owner < len(triangles)


def _altitudes(corners: np.ndarray) -> np.ndarray:
    """Smallest altitude (t,) of triangles (t, 3, 2)."""
    edges = np.roll(corners, -1, axis=1) - corners
    doubled_area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    return doubled_area / np.maximum(np.linalg.norm(edges, axis=2).max(1), 1e-9)


def _affine(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Per triangle the six numbers (a, b, c, d, e, f) of source = (a x + b y + c, d x + e y + f).
    target, source: (t, 3, 2)."""
    (ux, vx), (uy, vy) = (target[:, 1:] - target[:, :1]).T
    along_u, along_v = (source[:, 1:] - source[:, :1]).swapaxes(0, 1)
    doubled_area = (ux * vy - uy * vx)[:, None]
    per_x = (along_u * vy[:, None] - along_v * uy[:, None]) / doubled_area
    per_y = (along_v * ux[:, None] - along_u * vx[:, None]) / doubled_area
    offset = source[:, 0] - per_x * target[:, 0, :1] - per_y * target[:, 0, 1:]
    return np.stack([per_x, per_y, offset], axis=2).reshape(-1, 6).astype(np.float32)


def sample_at(
    image: np.ndarray,
    places: np.ndarray,
    interpolation: int = cv2.INTER_CUBIC,
    border: int = cv2.BORDER_REFLECT_101,
) -> np.ndarray:
    """Colours (h, w, c) of an image at `places` (h, w, 2) float32 px; beyond its edge as cv2's `border`."""
    return cv2.remap(image, places, _NO_SECOND_MAP, interpolation, borderMode=border)


def polygon_mask(polygon: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """Anti-aliased coverage (h, w) float32 in [0, 1] of a polygon (n, 2) px in a window; it fades
    as the polygon narrows to a line."""
    x0, y0, x1, y1 = window
    oversample = 4
    mask = np.zeros(((y1 - y0) * oversample, (x1 - x0) * oversample), np.uint8)
    local = (polygon - [x0, y0] + 0.5) * oversample - 0.5
    points = np.round(local * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    coverage = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    # cv2 fills the outline too: a line would cover a quarter of its pixels.
    x, y = (polygon - polygon[0]).T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return coverage * min(1.0, 2 * area / max(float(coverage.sum()), 1e-6))


def window_around(points: np.ndarray, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """The integer window (x0, y0, x1, y1) of an image that holds `points` (n, 2) and a margin in px; it may
    be empty (x0 == x1 or y0 == y1) when the points lie outside."""
    low = np.floor(points.min(0) - margin).astype(int)
    high = np.ceil(points.max(0) + margin).astype(int) + 1
    x0, y0 = int(np.clip(low[0], 0, width)), int(np.clip(low[1], 0, height))
    return x0, y0, int(np.clip(high[0], x0, width)), int(np.clip(high[1], y0, height))
