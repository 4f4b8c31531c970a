"""Moments of an animation that show its quality, found in its motion, and their frames side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.generation import GeneratedMotion
from sonimate.types import Face

HEAD_REACH = 0.9
"""Half the side of the crop around a head, in lengths of the face box's longer side: hair and chin are
inside."""
GAP_PX = 8
CAPTION_PX = 24


def pick_moments(curves: FaceCurves) -> dict[str, int]:
    """Frame indices of: closed, half open and wide open mouth (eyes open), blink, head turned farthest."""
    awake = curves.eyes > 0.75 * np.median(curves.eyes)
    mouth = np.where(awake, curves.mouth, np.nan)
    half = (np.nanmin(mouth) + np.nanmax(mouth)) / 2
    turned = np.linalg.norm(curves.rotation, axis=1)
    return {
        "closed": int(np.nanargmin(mouth)),
        "half open": int(np.nanargmin(np.abs(mouth - half))),
        "wide open": int(np.nanargmax(mouth)),
        "blink": int(curves.eyes.argmin()),
        "head turned": int(np.where(awake, turned, -1.0).argmax()),
    }


def draw_moments(codec: MeshCodec, generated: GeneratedMotion, frames: Sequence[int]) -> list[np.ndarray]:
    """The given frames, uint8 (h, w, 3) at full resolution."""
    return list(codec.render(generated.motion[list(frames)], generated.warp))


def crop_head(pixels: np.ndarray, face: Face) -> np.ndarray:
    """The square around a face and its hair, cut at the picture's borders: a view of uint8 (h, w, 3)."""
    x0, y0, x1, y1 = face.box
    reach = HEAD_REACH * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 - 0.1 * reach
    top, left = max(int(y - reach), 0), max(int(x - reach), 0)
    return pixels[top : int(y + reach), left : int(x + reach)]


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> np.ndarray:
    """Pictures uint8 (h, w, 3) in columns on white under their captions, nothing scaled."""
    widths = [max(cell.shape[1] for cell in column) for column in zip(*rows, strict=True)]
    heights = [max(cell.shape[0] for cell in row) for row in rows]
    lefts = GAP_PX + np.cumsum([0, *(width + GAP_PX for width in widths)])
    tops = CAPTION_PX + GAP_PX + np.cumsum([0, *(height + GAP_PX for height in heights)])
    sheet = Image.new("RGB", (int(lefts[-1]), int(tops[-1])), "white")
    pen = ImageDraw.Draw(sheet)
    for column, caption in enumerate(captions):
        pen.text((int(lefts[column]), GAP_PX), caption, fill="black", font_size=16)
        for row in range(len(rows)):
            sheet.paste(Image.fromarray(rows[row][column]), (int(lefts[column]), int(tops[row])))
    return np.array(sheet)
