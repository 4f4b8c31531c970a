"""The part of a picture around a face: cut out for the animation, and pasted back into the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from sonimate.face.geometry import PixelBox, expanded_box, process_bbox, smoothstep
from sonimate.face.mesh import landmark_box
from sonimate.face.person import person_roi
from sonimate.types import Box, Face, FrameStream

REFERENCE_RATIO = 0.5
"""The crop reaches this share of the face's width and height beyond it (NOTES 2.4)."""

WIDER_RATIOS = (0.6, 0.75, 1.0)
"""Tried one after another until the face has room."""

ROOM = 0.15
"""Share of the crop's side that must be free around the face: a head that moves near the border would move
the border too."""

FEATHER = 0.1
"""Share of the crop's side over which frames fade into the picture."""

BORDER = 0.2
"""Difference of distances, in face sizes, over which one person's pixels pass into another's: a tenth of a
face. A wider border shows both movements at once, a narrower one as a line."""


@dataclass(frozen=True)
class Canvas:
    """The picture into which frames are pasted. pixels: uint8 (h, w, 3), the whole picture, with even sides.
    box: the part that the frames show, px. share: float32 (box's h, w), how much of each pixel is theirs;
    None: all."""

    pixels: np.ndarray
    box: PixelBox
    share: np.ndarray | None = None


def crop_box(face: Box, *, width: int, height: int) -> PixelBox:
    """The compact model's crop of an image (height, width) around a face box: `reference_crop`, unless the
    face is narrow or at the image's edge.

    Around such a face the square grows until it leaves ROOM; where the image is too narrow for that, the
    expanded box replaces the square.
    """
    for ratio in (REFERENCE_RATIO, *WIDER_RATIOS):
        square = process_bbox(face, expand_ratio=ratio, width=width, height=height)
        if all(_has_room(face[axis::2], square[axis::2], end) for axis, end in enumerate((width, height))):
            return square
    x0, y0, x1, y1 = expanded_box(face, expand_ratio=REFERENCE_RATIO, width=width, height=height)
    return round(x0), round(y0), round(x1), round(y1)


def reference_crop(face: Box, *, width: int, height: int) -> PixelBox:
    """The full model's crop: the released weights were trained on exactly this square (NOTES 2.4)."""
    return process_bbox(face, expand_ratio=REFERENCE_RATIO, width=width, height=height)


def move_face(face: Face, box: PixelBox, *, width: int, height: int) -> Face:
    """The face as it lies in the image (height, width) that `box` of its own image is scaled to."""
    x0, y0, x1, y1 = box
    scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
    moved = (face.landmarks - [x0, y0, 0]) * [scale_x, scale_y, (scale_x + scale_y) / 2]
    return Face(landmark_box(moved), moved.astype(np.float32), face.presence)


class PasteBack:
    """Pastes frames into a still picture: `map(PasteBack(canvas), frames)` streams whole pictures.

    At sides of the box that lie inside the picture the frame fades into the picture along a cosine, and
    elsewhere as the canvas's share says. Pixels outside the box do not change.
    """

    def __init__(self, canvas: Canvas):
        self._canvas = canvas
        x0, y0, x1, y1 = canvas.box
        height, width = canvas.pixels.shape[:2]
        rows = _fade(y1 - y0, from_start=y0 > 0, to_end=y1 < height)
        columns = _fade(x1 - x0, from_start=x0 > 0, to_end=x1 < width)
        self._weight = np.outer(rows, columns)
        if canvas.share is not None:
            self._weight *= canvas.share
        self._rest = 1 - self._weight
        self._fades = bool(self._rest.any())

    def __call__(self, frame: np.ndarray, picture: np.ndarray | None = None) -> np.ndarray:
        """uint8 frame (any h, any w, 3) -> a new uint8 array of the canvas's shape. picture: of the same
        shape, into which the frame is pasted in place of the canvas's own."""
        height, width = self._weight.shape
        if frame.shape[:2] != (height, width):
            shrinks = frame.shape[0] * frame.shape[1] > height * width
            method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            frame = cv2.resize(frame, (width, height), interpolation=method)
        x0, y0, x1, y1 = self._canvas.box
        whole = (self._canvas.pixels if picture is None else picture).copy()
        if self._fades:
            frame = cv2.blendLinear(frame, whole[y0:y1, x0:x1], self._weight, self._rest)
        whole[y0:y1, x0:x1] = frame
        return whole


def pasted(canvases: Sequence[Canvas], streams: Sequence[FrameStream]) -> FrameStream:
    """Pictures in which several parts move: frames of each stream, pasted one after another."""
    pastes = [PasteBack(canvas) for canvas in canvases]
    for frames in zip(*streams, strict=False):
        picture = None
        for paste, frame in zip(pastes, frames, strict=True):
            picture = paste(frame, picture)
        yield cast(np.ndarray, picture)


def person_box(face: Face, *, width: int, height: int) -> PixelBox:
    """The part of an image (height, width) that moves with a face: the square of `person_roi`, and so much
    around it that `PasteBack` fades frames outside that square, where nothing moves."""
    roi = person_roi(face.landmarks)
    half = roi.size / 2 / (1 - 2 * FEATHER)
    x0, y0 = max(math.floor(roi.x - half), 0), max(math.floor(roi.y - half), 0)
    return x0, y0, min(math.ceil(roi.x + half), width), min(math.ceil(roi.y + half), height)


def share_among(face: Box, others: Sequence[Box], box: PixelBox) -> np.ndarray:
    """How much of each pixel of `box` belongs to a face, float32 (h, w): 1 where it is nearer than `others`,
    0 where one of those is, with a soft BORDER between. Large faces reach farther: distances from a face are
    counted in its own size."""
    own = _distances(face, box)
    share = np.ones(own.shape, np.float32)
    for other in others:
        share = np.minimum(share, smoothstep((_distances(other, box) - own) / BORDER + 0.5))
    return share.astype(np.float32)


def _distances(face: Box, box: PixelBox) -> np.ndarray:
    """Distance of the pixels of `box` from a face's middle, in sizes of the face."""
    (x0, y0, x1, y1), (left, top, right, bottom) = face, box
    across = np.arange(left, right) + 0.5 - (x0 + x1) / 2
    down = np.arange(top, bottom) + 0.5 - (y0 + y1) / 2
    return np.hypot(across, down[:, None]) / max(x1 - x0, y1 - y0)


def _has_room(face: Sequence[float], crop: Sequence[int], image_end: int) -> bool:
    """Whether a crop leaves ROOM beside a face along one axis; at the edge of the image none is needed."""
    start, end = crop
    room = ROOM * (end - start)
    return (start == 0 or start + room <= face[0]) and (end == image_end or face[1] <= end - room)


def _fade(length: int, *, from_start: bool, to_end: bool) -> np.ndarray:
    """float32 (length,): 0 at the ends that fade, a cosine up to 1 over FEATHER of the length."""
    middle = np.arange(length) + 0.5
    from_left = middle if from_start else length
    from_right = length - middle if to_end else length
    share = np.minimum(np.minimum(from_left, from_right) / (FEATHER * length), np.ones(length))
    return (0.5 - 0.5 * np.cos(np.pi * share)).astype(np.float32)
