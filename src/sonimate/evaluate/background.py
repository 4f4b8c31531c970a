"""How much of a picture moves that should stand still: the background behind an animated person."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from sonimate.face.person import PERSON_CROP_HEIGHTS, PersonMask, person_roi

FLOW_PX = 320
"""Side of the square in which motion is measured; a face is then 100 px high, and 0.1 px is 0.1 % of it."""
PERSON_PROBABILITY = 0.2
"""Pixels that are more likely than this the person's are no background."""
MARGIN_HEIGHTS = 0.08
"""Belt around the person that is left out: optical flow mixes the two sides of an edge."""
STILL_LEVELS = 3
"""Places whose surroundings of 5 px differ from the first frame by at most this much, of 255, have not moved,
whatever the flow: near a person who moves, it also moves what stands still, by up to 2 % of a face."""
MIN_BACKGROUND = 0.02
"""Share of the square that must be background in a frame to be measured."""


def background_shift(frames: Iterable[np.ndarray], landmarks: np.ndarray, percentile: float = 90.0) -> float:
    """The `percentile` of the background's displacement against the first frame, in face heights, over all
    pixels of all `frames` (uint8 RGB (h, w, 3), the first is the portrait). NaN where no background is in
    sight.

    landmarks: (478, 3) px of the first frame's face; the square of `person_roi` around it is measured.
    Background is what is outside the person of the first frame and of the frame itself. Flow: DIS (Kroeger et
    al. 2016).
    """
    roi, find_person = person_roi(landmarks), PersonMask()
    flow_of = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height_px = FLOW_PX / PERSON_CROP_HEIGHTS
    belt_px = 2 * round(MARGIN_HEIGHTS * height_px) + 1
    belt = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (belt_px, belt_px))
    first: tuple[np.ndarray, np.ndarray] | None = None
    shifts: list[np.ndarray] = []
    for frame in frames:
        gray = cv2.cvtColor(roi.crop(frame, FLOW_PX), cv2.COLOR_RGB2GRAY)
        person = cv2.resize(find_person(frame, roi), (FLOW_PX, FLOW_PX)) > PERSON_PROBABILITY
        outside = roi.crop(np.full_like(frame, 255), FLOW_PX)[..., 0] < 255
        excluded = cv2.dilate((person | outside).astype(np.uint8), belt).astype(bool)
        if first is None:
            first = gray, excluded
            continue
        background = ~(first[1] | excluded)
        if background.mean() >= MIN_BACKGROUND:
            flow = flow_of.calc(first[0], gray, np.zeros((FLOW_PX, FLOW_PX, 2), np.float32))
            changed = cv2.dilate(cv2.absdiff(first[0], gray), np.ones((5, 5), np.uint8)) > STILL_LEVELS
            shifts.append(np.linalg.norm(flow, axis=2)[background] * changed[background])
    return float(np.percentile(np.concatenate(shifts), percentile)) / height_px if shifts else float("nan")
