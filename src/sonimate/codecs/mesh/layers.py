"""The person of a portrait as a layer that moves in front of a background that stands still."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from sonimate.codecs.mesh.matte import background_plate, person_matte, person_window
from sonimate.codecs.mesh.raster import sample_at
from sonimate.face.detect import Roi

OPAQUE = 255
STEP = 4
"""Where the moved person is, is first looked for at every fourth pixel."""
Window = tuple[int, int, int, int]


class PersonLayer:
    """The person inside `window` (x0, y0, x1, y1) of a picture, cut out, and what is behind them.

    Colours are multiplied by the share of the person, so that they hold nothing of the old background, and
    person over background gives the picture's own pixels back.
    """

    def __init__(self, picture: np.ndarray, matte: np.ndarray, window: Window, roi_px: float):
        """picture: uint8 (h, w, 3), the part in `window`; matte: float32 (h, w), share of the person."""
        self.window = window
        self._plate = background_plate(picture, matte, roi_px)
        share = np.round(matte * OPAQUE).astype(np.uint8)
        soft = share < OPAQUE
        colour, behind = picture[soft].astype(np.int32), self._plate[soft].astype(np.int32)
        # A colour that no mixture with the background can give needs a larger share of the person.
        brighter = OPAQUE * (colour - behind) / np.maximum(OPAQUE - behind, 1)
        darker = OPAQUE * (behind - colour) / np.maximum(behind, 1)
        needed = np.ceil(np.maximum(brighter, darker).max(1)).astype(np.uint8)
        share[soft] = np.maximum(share[soft], needed)
        self._cut_out = np.dstack([picture, share])
        self._cut_out[soft, :3] = picture[soft] - np.minimum(
            picture[soft], _dimmed(self._plate[soft], share[soft])
        )
        near = np.ones((4 * STEP + 1, 4 * STEP + 1), np.uint8)
        self._nearby = cv2.dilate(share, near)

    @classmethod
    def of(cls, pixels: np.ndarray, landmarks: np.ndarray, roi: Roi) -> PersonLayer | None:
        """The person whose face has `landmarks` (478, 3) px, as far as `roi` shows them; None if they cannot
        be told from the background."""
        window = person_window(roi, pixels.shape[1], pixels.shape[0])
        matte = person_matte(pixels, landmarks, roi, window)
        x0, y0, x1, y1 = window
        return None if matte is None else cls(pixels[y0:y1, x0:x1], matte, window, roi.size)

    def draw(self, flow: np.ndarray) -> np.ndarray:
        """The window uint8 (h, w, 3) whose person comes from `flow` (h, w, 2), px of the picture."""
        frame = self._plate.copy()
        corner: Any = (*self.window[:2], 0, 0)  # cv2's type stubs know no scalars
        flow = cv2.subtract(flow, corner)
        coarse = np.ascontiguousarray(flow[::STEP, ::STEP])
        # Beyond the picture's edge its last pixels continue: mirrored, a second head would come into sight.
        shown = sample_at(self._nearby, coarse, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE) > 0
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        if len(rows) == 0:
            return frame
        part = np.s_[STEP * rows[0] : STEP * (rows[-1] + 1), STEP * columns[0] : STEP * (columns[-1] + 1)]
        moved = sample_at(self._cut_out, flow[part], border=cv2.BORDER_REPLICATE)
        share, plate = np.ascontiguousarray(moved[..., 3]), frame[part]
        colour = cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB)
        edge = np.nonzero(share - np.uint8(1) < OPAQUE - 1)
        # Cubic sampling overshoots at edges; a colour above the share would be brighter than the person is.
        person = np.minimum(colour[edge], share[edge][:, None])
        colour[edge] = person + _dimmed(plate[edge], share[edge])
        cv2.copyTo(colour, share, plate)
        return frame


def _dimmed(behind: np.ndarray, share: np.ndarray) -> np.ndarray:
    """What is left of a background's colours (n, 3) uint8 behind a person who covers `share` (n,) of 255."""
    product = (OPAQUE - share)[:, None].astype(np.uint16) * behind + np.uint16(128)
    return ((product + (product >> 8)) >> 8).astype(np.uint8)
