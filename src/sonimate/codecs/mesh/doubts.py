"""Where the person mask is in doubt over a wide area, the picture's own colours decide whose it is."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.matte import disc, working_size

SURE = (0.09, 0.95)
"""Probabilities up to the first are background and from the second on person; between them is doubt. From
0.05 on, dark spots of a motley wall joined the face, and a chair the legs."""
WIDE = 1 / 70
"""Radius, as a share of the head's square, of the disc that an area in doubt must hold to be cut by colour:
ordinary edges are in doubt over less. With 1/50, ears that the network half sees stayed so."""
REACH = 1 / 4
"""Colours of both sides are learned up to this far around the area, as a share of the head's square. Those of
the whole picture took a flag for an orange sleeve."""
ROUNDS = 3
"""How often colours are learned and the cut is made anew."""


def settle_doubts(pixels: np.ndarray, matte: np.ndarray, middle: np.ndarray, head_px: float) -> np.ndarray:
    """Person mask float32 (h, w) of a picture uint8 (h, w, 3), in which wide areas in doubt beside the
    background became the person's or not: by colours and edges (Rother 2004, GrabCut), and only what hangs
    together with the face.

    middle: (2,) px of the face. head_px: side of the head's square.
    """
    size, small = matte.shape[::-1], working_size(*matte.shape[::-1])
    scale = small[0] / size[0]
    head_px *= scale
    seen = cv2.resize(matte, small, interpolation=cv2.INTER_AREA)
    doubts = _wide_doubts(seen, head_px)
    if not doubts.any():
        return matte
    picture = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    person = _without_holes(_cut(picture, seen, doubts, round(REACH * head_px)), seen)
    _, islands = cv2.connectedComponents(person)
    column, row = np.clip((scale * middle).astype(int), 0, np.array(small) - 1)
    own = (islands == islands[row, column]).astype(np.float32)
    weight = cv2.resize(cv2.GaussianBlur(doubts.astype(np.float32), (0, 0), 2.0), size)
    return matte + weight * (cv2.resize(cv2.GaussianBlur(own, (0, 0), 1.0), size) - matte)


def _wide_doubts(seen: np.ndarray, head_px: float) -> np.ndarray:
    """1 on wide areas in doubt that touch the background: uint8 (h, w)."""
    doubt = ((seen > SURE[0]) & (seen < SURE[1])).astype(np.uint8)
    radius = WIDE * head_px
    margin = round(radius) + 1
    beyond = np.pad(doubt, margin, mode="edge")
    wide = cv2.morphologyEx(beyond, cv2.MORPH_OPEN, disc(radius))[margin:-margin, margin:-margin]
    wide = np.minimum(cv2.dilate(wide, disc(radius)), doubt)
    _, areas = cv2.connectedComponents(wide)
    beside = cv2.dilate((seen <= SURE[0]).astype(np.uint8), np.ones((3, 3), np.uint8))
    return wide & np.isin(areas, np.unique(areas[beside > 0])).astype(np.uint8)


def _cut(picture: np.ndarray, seen: np.ndarray, doubts: np.ndarray, reach: int) -> np.ndarray:
    """1 on the person, 0 on the background: uint8 (h, w). Each area is cut by itself."""
    person = (seen > 0.5).astype(np.uint8)
    count, areas = cv2.connectedComponents(doubts)
    for area in range(1, count):
        rows, columns = np.nonzero(areas == area)
        part = np.s_[
            max(rows.min() - reach, 0) : rows.max() + reach + 1,
            max(columns.min() - reach, 0) : columns.max() + reach + 1,
        ]
        open_to_colour = areas[part] == area
        sides = np.where(seen[part] > 0.5, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        if sides.min() == sides.max():
            continue
        sides[open_to_colour] += cv2.GC_PR_BGD - cv2.GC_BGD
        cv2.setRNGSeed(0)
        cut = np.ascontiguousarray(picture[part])
        models = np.zeros((2, 1, 65))
        cv2.grabCut(cut, sides, (0, 0, 0, 0), models[0], models[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
        person[part][open_to_colour] = sides[open_to_colour] & 1
    return person


def _without_holes(person: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The person (h, w), without gaps in which the network sees them everywhere, more or less."""
    _, gaps = cv2.connectedComponents(1 - person, connectivity=4)
    return person | (~np.isin(gaps, np.unique(gaps[seen < 0.25]))).astype(np.uint8)
