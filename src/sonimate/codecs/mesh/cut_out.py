"""The person of a portrait without a background: how much of each pixel is theirs, and in which colour."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.doubts import settle_doubts
from sonimate.codecs.mesh.matte import disc, matte_in_square, matte_of_part, person_window
from sonimate.codecs.mesh.raster import sample_at
from sonimate.codecs.mesh.soft_edges import soften_edges
from sonimate.face.detect import Roi
from sonimate.face.geometry import PixelBox, smoothstep
from sonimate.face.person import person_roi
from sonimate.face.regions import VERTEX_COUNT

OPAQUE = 255
SHARE_RANGE = (0.25, 0.75)
"""Filtered probabilities up to the first are background, from the second on person. Narrower than the range
of the layer that moves over its own background: what is left of that would be seen here."""
GROWTH = 1.75
"""Each part of the picture in which the body is looked for is so much larger than the last one. In parts 2.5
times as large the network lost heads of statues and drawings."""
FADE = 0.12
"""Share of a part's sides over which its mask passes into that of the next larger part."""
BELT = 1 / 16
"""What is no more than half the person's belongs to them up to this distance from what is, as a share of the
head's square: hair does, smoke and shadows do not."""
OWN_BACKGROUND = 0.5
"""A picture with an alpha channel is cut out already if this share of what is not the person is transparent;
else only its corners are, or its frame."""
FACE_EDGE = 1 / 50
"""The face is the person's but for this edge, as a share of the head's square: beside a turned face, what the
landmarks enclose is background too."""
FAR, NEAR = 1 / 10, 1 / 100
"""Radii, as shares of the head's square, within which colours of person and background are averaged: first
far, so that all soft pixels reach sure ones, then near, so that hair has its own colour."""


def person_share(
    pixels: np.ndarray, landmarks: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray | None:
    """How much of each pixel of a picture uint8 (h, w, 3) is the person's whose face has `landmarks`
    (478, 3) px: uint8 (h, w). None where the network does not see them.

    own: uint8 (h, w), the alpha channel of a picture that has one: it is the answer, unless it is opaque
    beside the person too.
    """
    height, width = pixels.shape[:2]
    landmarks = landmarks - [0.5, 0.5, 0]
    roi = person_roi(landmarks)
    box = person_window(roi, width, height)
    seen = matte_in_square(pixels, landmarks, roi, box)
    if seen is None:
        return own
    head, face = seen
    matte = np.zeros((height, width), np.float32)
    for part in reversed(_parts(roi, width, height)):
        x0, y0, x1, y1 = part
        _join(matte, matte_of_part(np.ascontiguousarray(pixels[y0:y1, x0:x1])), part)
    # Each of two looks, with black beyond the picture's edge and without, takes some background for the head.
    x0, y0, x1, y1 = box
    head = np.minimum(head, matte_of_part(np.ascontiguousarray(pixels[y0:y1, x0:x1])))
    _join(matte, head, box)
    matte = settle_doubts(pixels, matte, landmarks[:VERTEX_COUNT, :2].mean(0), roi.size)
    low, high = SHARE_RANGE
    matte = smoothstep((matte - low) / (high - low)).astype(np.float32)
    middle_of_face = cv2.erode(face, disc(FACE_EDGE * roi.size))
    matte[y0:y1, x0:x1] = np.maximum(matte[y0:y1, x0:x1], middle_of_face)
    matte *= _near_person(matte, landmarks, BELT * roi.size)
    share = np.round(OPAQUE * soften_edges(pixels, matte, roi.size)).astype(np.uint8)
    if own is None:
        return share
    beside = own[share == 0]
    return own if beside.size and (beside < OPAQUE).mean() > OWN_BACKGROUND else np.minimum(own, share)


def _parts(roi: Roi, width: int, height: int) -> list[PixelBox]:
    """Parts of a picture around the head's square, each larger than the last, up to all of it."""
    parts: list[PixelBox] = []
    size = roi.size
    while not parts or parts[-1] != (0, 0, width, height):
        size *= GROWTH
        parts.append(person_window(Roi(roi.x, roi.y, size, 0.0), width, height))
    return parts


def _join(matte: np.ndarray, of_part: np.ndarray, part: PixelBox) -> None:
    """Put the mask of a part into that of the whole picture; they pass into each other at sides of the part
    that lie inside the picture."""
    x0, y0, x1, y1 = part
    height, width = matte.shape
    rows, columns = _fade(y1 - y0, y0 > 0, y1 < height), _fade(x1 - x0, x0 > 0, x1 < width)
    matte[y0:y1, x0:x1] += np.outer(rows, columns) * (of_part - matte[y0:y1, x0:x1])


def _fade(length: int, from_start: bool, to_end: bool) -> np.ndarray:
    middle = np.arange(length, dtype=np.float32) + 0.5
    from_end = length - middle if to_end else np.full(length, length)
    return smoothstep(np.minimum(middle if from_start else length, from_end) / (FADE * length))


def _near_person(matte: np.ndarray, landmarks: np.ndarray, belt_px: float) -> np.ndarray:
    """1 on what is mostly the person of these landmarks, falling to 0 at `belt_px` from it: float32 (h, w).
    Other people are not theirs, unless they touch."""
    height, width = matte.shape
    _, islands = cv2.connectedComponents((matte > 0.5).astype(np.uint8))
    column, row = np.round(landmarks[:VERTEX_COUNT, :2].mean(0)).astype(int)
    own = islands == islands[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    away = cv2.distanceTransform(1 - own.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return 1 - smoothstep(2 * away / belt_px - 1)


def person_colours(pixels: np.ndarray, share: np.ndarray, head_px: float) -> np.ndarray:
    """Colours uint8 (h, w, 3) of the person alone, of whom pixels uint8 (h, w, 3) show `share` uint8 (h, w);
    those around the person continue outward. head_px: side of the head's square.

    From averages of both sides' colours, weighted by their shares (Forte 2021, approximate fast foreground
    colour estimation).
    """
    picture = pixels.astype(np.float32)
    part = share.astype(np.float32)[..., None] / OPAQUE
    person = behind = picture
    for radius in (FAR * head_px, NEAR * head_px):
        side = 2 * max(round(radius), 1) + 1
        size = (side, side)
        person = _mean(person, part, size)
        behind = _mean(behind, 1 - part, size)
        person += part * (picture - part * person - (1 - part) * behind)
    return np.clip(person + 0.5, 0, 255).astype(np.uint8)


def _mean(colours: np.ndarray, weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means of colours (h, w, c) around each place with `weights` (h, w, 1), and their own where none is."""
    total = cv2.blur(weights, size)[..., None]
    return np.where(total > 1e-4, cv2.blur(colours * weights, size) / np.maximum(total, 1e-4), colours)


class CutOut:
    """The person of a picture uint8 (h, w, 3), of which `share` uint8 (h, w) shows them; what moves lies in
    the window of `roi`.

    still: uint8 (h, w, 4), the colours of the person alone and their share, at rest.
    """

    def __init__(self, pixels: np.ndarray, share: np.ndarray, roi: Roi):
        self.window = person_window(roi, pixels.shape[1], pixels.shape[0])
        self.still = np.dstack([person_colours(pixels, share, roi.size), share])

    def draw(self, flow: np.ndarray) -> np.ndarray:
        """The window uint8 (h, w, 4) that comes from `flow` (h, w, 2), px of the picture."""
        return sample_at(self.still, flow, border=cv2.BORDER_REPLICATE)
