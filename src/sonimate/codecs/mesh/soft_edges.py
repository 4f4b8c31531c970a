"""How much of each pixel at a person's edge is theirs, hair by hair."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from sonimate.codecs.mesh.matte import ColourFit, apply_fit, disc, working_size

EDGE_PX = 768
"""Edges are solved at most this large, and then applied to the pixels of any resolution."""
OUTER, INNER = 1 / 40, 1 / 30
"""Width, as shares of the head's square, of the band outside and inside of the mask's edge that is solved."""
COLOUR_EPSILON = 1e-6
"""Variance of colours, of 1, below which two colours are one: noise is no hair."""
SURE_TRUST = 10.0
"""Weight of the mask against the colours beyond the band."""
MASK_TRUST, TRUST_RANGE = 0.05, (0.001, 1.0)
"""In the band it is the first over how far the colours of both sides differ, squared, in their deviations,
and in this range. Where a motley background looks like the person, ears and foreheads would get holes; where
a plain one does not, hair is what the colours say."""
NEARBY = 1 / 10
"""Radius, as a share of the head's square, within which colours of both sides are compared."""
NOISE = 1e-4
"""Least variance of colours, of 1."""
SOLVED_RANGE = (0.15, 0.97)
"""Solved shares up to the first are nothing: a thin fog is a halo. From the second on they are all."""
STEPS, CLOSE = 60, 1e-3
"""Most steps of the solution, and how small its error becomes relative to the first, which ends it: then no
share changes by a level of 255 any more in its mean."""


def soften_edges(pixels: np.ndarray, matte: np.ndarray, head_px: float) -> np.ndarray:
    """Shares float32 (h, w) in [0, 1] of the person in a picture uint8 (h, w, 3), of whom `matte` (h, w) is a
    mask with edges that are nearly right. head_px: side of the head's square.

    Within a band about the edge each pixel is a mixture of two colours, of which those nearby are mixtures
    too (Levin 2008, closed-form matting), and near the mask.
    """
    height, width = matte.shape
    small = working_size(width, height, EDGE_PX)
    head_px *= small[0] / width
    mask = cv2.resize(matte, small, interpolation=cv2.INTER_AREA).astype(np.float64)
    inside = (mask > 0.5).astype(np.uint8)
    person, beside = cv2.erode(inside, disc(INNER * head_px)), cv2.dilate(inside, disc(OUTER * head_px))
    mask = np.where(person > 0, 1.0, np.where(beside > 0, mask, 0.0))
    guide = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA) / 255
    in_band = MASK_TRUST / _apart(guide, person, 1 - beside, NEARBY * head_px)
    trust = np.where(person == beside, SURE_TRUST, np.clip(in_band, *TRUST_RANGE))
    fit = ColourFit(guide, 1, COLOUR_EPSILON)

    def pulled(share: np.ndarray) -> np.ndarray:
        coefficients = fit(share)
        by_colour = (coefficients[..., :3] * guide).sum(2) + coefficients[..., 3]
        return share - by_colour + trust * share

    low, high = SOLVED_RANGE
    share = apply_fit(pixels, fit(_solve(pulled, trust * mask, mask, 1 + trust)))
    return np.clip((share - low) / (high - low), 0, 1).astype(np.float32)


def _apart(guide: np.ndarray, person: np.ndarray, behind: np.ndarray, radius: float) -> np.ndarray:
    """How far the colours float (h, w, 3) of both sides, 1 where `person` and `behind` are, lie apart around
    each place: the squared distance of their means over the sum of their variances."""
    side = 2 * round(radius) + 1
    with_square = np.dstack([guide, (guide**2).sum(2)])
    means, variances = [], []
    for which in (person, behind):
        total = cv2.blur(which.astype(np.float64), (side, side))[..., None]
        mean = cv2.blur(with_square * which[..., None], (side, side)) / np.maximum(total, 1e-6)
        means.append(mean[..., :3])
        variances.append(np.maximum(mean[..., 3] - (mean[..., :3] ** 2).sum(2), 0))
    distance = ((means[0] - means[1]) ** 2).sum(2)
    return np.maximum(distance / (variances[0] + variances[1] + NOISE), 1e-6)


def _solve(
    multiply: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, start: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """x with multiply(x) = wanted, by conjugate gradients from `start`. scale: about the diagonal of the
    matrix, which is symmetric and positive."""
    x = start
    error = wanted - multiply(x)
    way = scaled = error / scale
    size = first = float((error * scaled).sum())
    for _ in range(STEPS):
        if size <= CLOSE**2 * first:
            break
        change = multiply(way)
        step = size / float((way * change).sum())
        x, error = x + step * way, error - step * change
        scaled = error / scale
        before, size = size, float((error * scaled).sum())
        way = scaled + size / before * way
    return x
