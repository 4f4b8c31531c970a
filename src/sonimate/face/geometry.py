"""Boxes around a face as the released model expects them (NOTES 2.3-2.5), (x0, y0, x1, y1) in pixels; and
the smooth step of all soft edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sonimate.types import Box

PixelBox = tuple[int, int, int, int]
MaskBox = float | Box
"""The box that the full model takes for the face: the landmarks' own box scaled by a number, or this box."""

SIZE_UNIT_PX = 64
"""The VAE shrinks each side by 8, and the UNet by 8 again."""

MASK_AREA = 1.1
"""The face mask is wider and higher than the face by this factor."""


def rounded_size(width: int, height: int, image_size: int) -> tuple[int, int]:
    """Width and height, scaled to a shorter side of about `image_size` and rounded to multiples of 64 px,
    halves to even, so that the aspect ratio may change a little (NOTES 2.1)."""
    scale = image_size / min(width, height)
    columns, rows = round(width * scale / SIZE_UNIT_PX), round(height * scale / SIZE_UNIT_PX)
    return columns * SIZE_UNIT_PX, rows * SIZE_UNIT_PX


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, and 3 x^2 - 2 x^3 between: no corner at either end."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def scaled_box(box: Box, scale: float) -> Box:
    """`box` scaled about its centre, not clipped."""
    x0, y0, x1, y1 = box
    margin_x, margin_y = (scale - 1) / 2 * (x1 - x0), (scale - 1) / 2 * (y1 - y0)
    return x0 - margin_x, y0 - margin_y, x1 + margin_x, y1 + margin_y


def moved_box(box: Box, crop: PixelBox, *, width: int, height: int) -> Box:
    """`box` of an image as it lies in the image (height, width) that `crop` of its own image is scaled to."""
    left, top, right, bottom = crop
    scale_x, scale_y = width / (right - left), height / (bottom - top)
    x0, y0, x1, y1 = box
    return (x0 - left) * scale_x, (y0 - top) * scale_y, (x1 - left) * scale_x, (y1 - top) * scale_y


def face_mask_box(box: Box, *, width: int, height: int, area: float = MASK_AREA) -> PixelBox:
    """The rectangle of an image (height, width) in which the sound acts: `box` scaled by `area`, clipped.

    Halves are floored before and after adding them to the centre, as in the reference: weights were
    trained on masks rounded so.
    """
    x0, y0, x1, y1 = box
    half_width, half_height = (x1 - x0) * area // 2, (y1 - y0) * area // 2
    centre_x, centre_y = (x1 + x0) // 2, (y1 + y0) // 2
    return (
        int(max(centre_x - half_width, 0)),
        int(max(centre_y - half_height, 0)),
        int(min(centre_x + half_width, width)),
        int(min(centre_y + half_height, height)),
    )


def expanded_box(box: Box, *, expand_ratio: float, width: int, height: int) -> Box:
    """`box` with each side moved out by `expand_ratio` of its size, clipped to the image (height, width)."""
    x0, y0, x1, y1 = box
    margin_x, margin_y = expand_ratio * (x1 - x0), expand_ratio * (y1 - y0)
    return max(x0 - margin_x, 0), max(y0 - margin_y, 0), min(x1 + margin_x, width), min(y1 + margin_y, height)


def process_bbox(box: Box, *, expand_ratio: float, width: int, height: int) -> PixelBox:
    """The square crop around a face: `expanded_box`, then made square.

    The square has the shorter side of the expanded box. Along the longer side it lies as close to the face's
    centre as the expanded box allows.
    """
    x0, y0, x1, y1 = box
    left, top, right, bottom = expanded_box(box, expand_ratio=expand_ratio, width=width, height=height)
    side = min(right - left, bottom - top)
    square_x0 = _centred((x0 + x1) / 2, side, left, right)
    square_y0 = _centred((y0 + y1) / 2, side, top, bottom)
    return round(square_x0), round(square_y0), round(square_x0 + side), round(square_y0 + side)


def _centred(centre: float, length: float, low: float, high: float) -> float:
    """Start of a stretch of `length` as near to `centre` as fits into [low, high]."""
    free, middle = (high - low - length) / 2, (low + high) / 2
    return middle + min(max(centre - middle, -free), free) - length / 2


def reference_face_choice(boxes: Sequence[Box]) -> Box:
    """The face that the reference implementation takes, for comparison; sonimate itself takes the largest.

    The reference never updates its maximum, so that the last box larger than the first one wins (NOTES 2.5).
    `boxes` come by descending score and contain at least one.
    """
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
    larger = [box for box, area in zip(boxes, areas, strict=True) if area > areas[0]]
    return [boxes[0], *larger][-1]
