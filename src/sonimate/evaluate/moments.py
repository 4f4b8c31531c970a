"""Telling moments of an animation, found in its motion, and their frames side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from sonimate.codecs.mesh import MeshCodec, Motion
from sonimate.evaluate.features import FaceCurves
from sonimate.evaluate.performance import Performance
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


def draw_moments(codec: MeshCodec, performance: Performance, frames: Sequence[int]) -> list[np.ndarray]:
    """Those frames alone, uint8 (h, w, 3) at full resolution."""
    at, motion = list(frames), performance.motion
    return list(codec.render(Motion(motion.expression[at], motion.head[at]), performance.warp))


def crop_head(pixels: np.ndarray, face: Face) -> np.ndarray:
    """The square around a face, hair included, as far as the picture reaches: a view of uint8 (h, w, 3)."""
    x0, y0, x1, y1 = face.box
    reach = HEAD_REACH * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 - 0.1 * reach
    top, left = max(int(y - reach), 0), max(int(x - reach), 0)
    return pixels[top : int(y + reach), left : int(x + reach)]


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> np.ndarray:
    """Pictures uint8 (h, w, 3), those of a row equal in size, on white under captions, nothing scaled."""
    width = max(sum(cell.shape[1] + GAP_PX for cell in row) for row in rows) + GAP_PX
    height = CAPTION_PX + sum(row[0].shape[0] + GAP_PX for row in rows) + GAP_PX
    sheet = Image.new("RGB", (width, height), "white")
    y = CAPTION_PX + GAP_PX
    for row in rows:
        x = GAP_PX
        for cell in row:
            sheet.paste(Image.fromarray(cell), (x, y))
            x += cell.shape[1] + GAP_PX
        y += row[0].shape[0] + GAP_PX
    pen, x = ImageDraw.Draw(sheet), GAP_PX
    for caption, cell in zip(captions, rows[0], strict=True):
        pen.text((x, GAP_PX), caption, fill="black", font_size=16)
        x += cell.shape[1] + GAP_PX
    return np.array(sheet)
