"""Boxes around a face as the released model expects them (NOTES 2.3-2.5), (x0, y0, x1, y1) in pixels."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]
PixelBox = tuple[int, int, int, int]

MASK_AREA = 1.1
"""The face mask is wider and higher than the face by this factor."""


def face_mask_box(box: Box, *, width: int, height: int, area: float = MASK_AREA) -> PixelBox:
    """The rectangle of an image (height, width) in which the voice acts: `box` scaled by `area`, clipped.

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


def process_bbox(box: Box, *, expand_ratio: float, width: int, height: int) -> PixelBox:
    """The square crop around a face: each side moved out by `expand_ratio` of the size, then made square.

    The square has the shorter side of the expanded and clipped box. Along the longer one it moves toward
    the face's centre as far as the expanded box allows.
    """
    x0, y0, x1, y1 = box
    margin_x, margin_y = expand_ratio * (x1 - x0), expand_ratio * (y1 - y0)
    left, right = max(x0 - margin_x, 0), min(x1 + margin_x, width)
    top, bottom = max(y0 - margin_y, 0), min(y1 + margin_y, height)
    side = min(right - left, bottom - top)
    square_x0 = _centred((x0 + x1) / 2, side, left, right)
    square_y0 = _centred((y0 + y1) / 2, side, top, bottom)
    return (
        round(square_x0),
        round(square_y0),
        round(square_x0 + side),
        round(square_y0 + side),
    )


def _centred(centre: float, length: float, low: float, high: float) -> float:
    """Start of a stretch of `length` as near to `centre` as fits into [low, high]."""
    slack = (high - low - length) / 2
    middle = (low + high) / 2
    return middle + min(max(centre - middle, -slack), slack) - length / 2


def reference_face_choice(boxes: Sequence[Box]) -> Box:
    """The face that the reference implementation takes, for parity; sonimate itself takes the largest.

    It never updates the running maximum, so that the last box larger than the first one wins (NOTES 2.5).
    `boxes` come by descending score and are not empty.
    """
    first, *others = boxes
    return next((box for box in reversed(others) if _area(box) > _area(first)), first)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
