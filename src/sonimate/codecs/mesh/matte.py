"""The person of a portrait as a soft mask at the portrait's own resolution, and what is behind them."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.raster import sample_at
from sonimate.face.detect import Roi
from sonimate.face.person import PERSON_PX, PersonMask
from sonimate.face.regions import VERTEX_COUNT

WORK_PX = 512
"""Masks and fills are computed at most this large, and then applied to the pixels of any resolution."""
GUIDE_RADIUS = 1 / 60
"""Radius of the guided filter, as a share of the square that the network saw: four of its pixels."""
GUIDE_EPSILON = 3e-4
"""Variance of colours, of 1, below which the filter only smooths."""
SURE_RANGE = (0.12, 0.55)
"""Filtered probabilities up to the first are background, from the second on person: ears are whole, and no
halo goes far."""
MIN_FACE_COVERAGE = 0.8
"""The mask is trusted if it holds this share of the face: the network either sees a person or does not."""
HOLE_MARGIN, PLAIN_MARGIN = 1 / 300, 1 / 100
"""Shares of the square. The background is filled in up to the first beyond the mask. Where it is plain, up to
the second: there one would see hair that the mask lacks, and what differs from the filling moves with the
person."""
MIRRORED = 0.03
"""Of the square: over this depth behind the person the mirrored background passes into a smooth one. Farther
in, mirrors of different sides meet in shards."""
PLAIN_DEVIATION = 12.0
"""A background is plain if its colours deviate by less than this much, of 255, from their mean around."""


def person_window(roi: Roi, width: int, height: int) -> tuple[int, int, int, int]:
    """The part (x0, y0, x1, y1) of the picture that an upright square holds."""
    half = roi.size / 2
    x0, y0 = max(int(np.ceil(roi.x - half)), 0), max(int(np.ceil(roi.y - half)), 0)
    return x0, y0, min(int(roi.x + half), width), min(int(roi.y + half), height)


def person_matte(
    pixels: np.ndarray, landmarks: np.ndarray, roi: Roi, window: tuple[int, int, int, int]
) -> np.ndarray | None:
    """Share float32 (h, w) in [0, 1] of each pixel of `window` that shows the person of a picture, uint8 RGB;
    None where the network does not see them. landmarks: (478, 3) px of the face, as maps count them."""
    seen = matte_in_square(pixels, landmarks, roi, window)
    if seen is None:
        return None
    matte, face = seen
    low, high = SURE_RANGE
    matte = np.clip((matte - low) / (high - low), 0, 1)
    matte = np.maximum(matte, face)
    x0, y0, x1, y1 = window
    _, islands = cv2.connectedComponents((matte > 0).astype(np.uint8))
    middle = np.round(landmarks[:VERTEX_COUNT, :2].mean(0) - [x0, y0]).astype(int)
    column, row = np.clip(middle, 0, [x1 - x0 - 1, y1 - y0 - 1])
    matte[islands != islands[row, column]] = 0
    return matte


def matte_in_square(
    pixels: np.ndarray, landmarks: np.ndarray, roi: Roi, window: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The network's mask of `window` as it follows the picture's edges, float32 (h, w), and the face's own
    area, 0 or 1; None where the network does not see the face. Arguments: as of `person_matte`."""
    x0, y0, x1, y1 = window
    if x0 >= x1 or y0 >= y1:
        return None
    probability = PersonMask()(pixels, roi)
    side = len(probability)
    small = working_size(x1 - x0, y1 - y0)
    step = np.array([x1 - x0, y1 - y0]) / small
    places = (_places(small) + 0.5) * step + [x0, y0]
    places = (places - [roi.x - roi.size / 2, roi.y - roi.size / 2]) * side / roi.size - 0.5
    coarse = sample_at(probability, places.astype(np.float32), cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    face = (landmarks[:VERTEX_COUNT, :2] - [x0, y0]) / step
    inside = np.zeros(coarse.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(face).astype(np.int32)), 1)
    if not inside.any() or coarse[inside > 0].mean() < MIN_FACE_COVERAGE:
        return None
    picture = pixels[y0:y1, x0:x1]
    radius = max(round(GUIDE_RADIUS * roi.size / float(step[0])), 1)
    matte = _along_edges(picture, coarse, radius)
    return matte, cv2.resize(inside, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def matte_of_part(pixels: np.ndarray) -> np.ndarray:
    """The network's mask of a whole picture uint8 (h, w, 3), which it sees stretched to a square, as it
    follows the picture's edges: float32 (h, w)."""
    height, width = pixels.shape[:2]
    square = cv2.resize(pixels, (PERSON_PX, PERSON_PX), interpolation=cv2.INTER_AREA)
    probability = PersonMask()(square, Roi(PERSON_PX / 2, PERSON_PX / 2, PERSON_PX, 0.0))
    small = working_size(width, height)
    coarse = cv2.resize(probability, small, interpolation=cv2.INTER_LINEAR)
    return _along_edges(pixels, coarse, max(round(GUIDE_RADIUS * max(small)), 1))


def working_size(width: int, height: int, longest: int = WORK_PX) -> tuple[int, int]:
    """The size (w, h), at most `longest`, at which masks of a picture of this size are computed."""
    scale = min(1.0, longest / max(width, height))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _along_edges(picture: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """A coarse mask float32 at the size of `picture` uint8 (h, w, 3), following its edges within `radius`
    coarse px: a guided filter (He, Sun and Tang 2010) on its colours, whose coefficients are computed
    coarsely and used at full size (He and Sun 2015)."""
    guide = cv2.resize(picture, mask.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return apply_fit(picture, ColourFit(guide, radius, GUIDE_EPSILON)(mask))


class ColourFit:
    """Masks as linear functions of the colours within `radius` of each place of `guide`, float (h, w, 3) of
    1, whose slopes a variance `epsilon` of colours keeps small."""

    def __init__(self, guide: np.ndarray, radius: int, epsilon: float):
        self._guide = guide
        self._side = 2 * radius + 1
        self._colour = colour = self._mean(guide)
        first, second = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
        products = guide[..., first] * guide[..., second]
        spread = (
            np.dstack([self._mean(products[..., :3]), self._mean(products[..., 3:])])
            - colour[..., first] * colour[..., second]
        )
        rr, rg, rb, gg, gb, bb = np.moveaxis(spread, 2, 0)
        rr, gg, bb = rr + epsilon, gg + epsilon, bb + epsilon
        self._adjugate = (
            (gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg),
            (rb * gb - rg * bb, rr * bb - rb * rb, rg * rb - rr * gb),
            (rg * gb - rb * gg, rg * rb - rr * gb, rr * gg - rg * rg),
        )
        self._determinant = rr * self._adjugate[0][0] + rg * self._adjugate[0][1] + rb * self._adjugate[0][2]

    def __call__(self, mask: np.ndarray) -> np.ndarray:
        """Coefficients (h, w, 4): the mask (h, w) near each place is their first three times the colours
        plus the fourth."""
        share = self._mean(mask)
        with_mask = self._mean(self._guide * mask[..., None]) - self._colour * share[..., None]
        r, g, b = np.moveaxis(with_mask, 2, 0)
        slopes = np.dstack(
            [(row[0] * r + row[1] * g + row[2] * b) / self._determinant for row in self._adjugate]
        )
        return self._mean(np.dstack([slopes, share - (slopes * self._colour).sum(2)]))

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (self._side, self._side), borderType=cv2.BORDER_REFLECT)


def apply_fit(picture: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The mask (h, w) at the size of `picture`, uint8 (h, w, 3), by the coefficients of a `ColourFit`."""
    size = picture.shape[1::-1]
    mask = cv2.resize(coefficients[..., 3], size, interpolation=cv2.INTER_LINEAR)
    for channel in range(3):
        slope = cv2.resize(coefficients[..., channel], size, interpolation=cv2.INTER_LINEAR)
        mask += slope * (picture[..., channel] / np.float32(255))
    return mask


def background_plate(picture: np.ndarray, matte: np.ndarray, roi_px: float) -> np.ndarray:
    """The picture, uint8 (h, w, 3), without the person: what is behind their outline is the picture beside
    it, mirrored; farther in, where mirrored places are the person again, a smooth continuation.

    matte: (h, w) share of the person. roi_px: side of the square that the network saw.
    """
    size = picture.shape[1::-1]
    person = (matte > 0).astype(np.uint8)
    margin = cv2.dilate(person, disc(PLAIN_MARGIN * roi_px))
    if margin.all():
        return picture.copy()
    scale = min(1.0, WORK_PX / max(size))
    small = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
    colours = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    filled = smooth_fill(np.dstack([colours, (colours**2).sum(2)]), _all_zero(margin, small))
    smooth = filled[..., :3]
    plain = filled[..., 3] - (smooth**2).sum(2) < PLAIN_DEVIATION**2
    hole = cv2.dilate(person, disc(HOLE_MARGIN * roi_px))
    hole |= margin & cv2.resize(plain.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    beside, known = _mirrored(picture, _all_zero(hole, small) > 0, MIRRORED * roi_px * scale)
    smooth = cv2.resize(smooth, size)
    plate = smooth + known * (beside - smooth)
    return np.where(hole[..., None] > 0, np.clip(plate + 0.5, 0, 255).astype(np.uint8), picture)


def _mirrored(picture: np.ndarray, known: np.ndarray, fades_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Where `known` (bool, coarse) is false, the picture mirrored at the nearest known place: float32
    (h, w, 3); and weights (h, w, 1), 1 where mirrored places are known and 0 where they are not, falling over
    `fades_px` coarse px."""
    size, small = picture.shape[1::-1], known.shape[::-1]
    depth, labels = cv2.distanceTransformWithLabels(
        1 - known.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = labels.astype(np.int32)
    rows, columns = np.nonzero(known)
    nearest = np.zeros((labels.max() + 1, 2), np.float32)
    nearest[labels[rows, columns]] = np.column_stack([columns, rows])
    here = _places(small)
    shift = cv2.GaussianBlur(2 * (nearest[labels] - here), (0, 0), 4.0)
    found = sample_at(known.astype(np.uint8), here + shift, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
    found = cv2.erode(found, np.ones((3, 3))) * np.exp(-np.square(depth / fades_px))
    weight = cv2.GaussianBlur(found.astype(np.float32), (0, 0), 2.0)
    places = _places(size) + cv2.resize(shift * (np.array(size) / small).astype(np.float32), size)
    return sample_at(picture, places, cv2.INTER_LINEAR).astype(np.float32), cv2.resize(weight, size)[
        ..., None
    ]


def _places(size: tuple[int, ...]) -> np.ndarray:
    """x and y (h, w, 2) float32 of each pixel of a picture of `size` (w, h)."""
    return np.dstack(np.meshgrid(*(np.arange(length, dtype=np.float32) for length in size)))


def _all_zero(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Of a smaller picture of `size` (w, h), float32: 1 where nothing of `mask` lies in a pixel, else 0."""
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return (share == 0).astype(np.float32)


def disc(radius: float) -> np.ndarray:
    """The kernel of cv2's morphology for a disc of this radius in px, at least 1."""
    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def smooth_fill(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours (h, w, c) where `known` (h, w) is 1; elsewhere the average of known ones around, from ever
    coarser copies of the picture."""
    if min(known.shape) <= 2 or known.min() > 0:
        total = max(float(known.sum()), 1e-6)
        mean = (colours * known[..., None]).sum((0, 1)) / total
        return colours * known[..., None] + mean * (1 - known[..., None])
    half = (max(known.shape[1] // 2, 1), max(known.shape[0] // 2, 1))
    weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(colours * known[..., None], half, interpolation=cv2.INTER_AREA)
    coarser = smooth_fill(mean / np.maximum(weight, 1e-6)[..., None], np.minimum(4 * weight, 1))
    below = cv2.resize(coarser, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return colours * known[..., None] + below * (1 - known[..., None])
