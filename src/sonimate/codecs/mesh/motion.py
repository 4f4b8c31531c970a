"""The motion of a portrait: coefficients and head path over time, and the face that is drawn from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sonimate.face.geometry import smoothstep
from sonimate.face.pose import Pose, to_image
from sonimate.face.regions import (
    LEFT_EYE,
    LIPS_BETWEEN,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_EYE,
)

WIDEST_LIDS = 1.08
"""Lids open at most this many times as far as in the portrait: behind them there are no pixels to show."""
PRESSED_CM = 0.1
"""Lips and lids that would cross by up to this much are laid together point by point. If they only shared a
height, slits would stay open between them."""
SEALED_CM = 0.15
"""While the middles of the lips are less than this apart, the lips beside them come as near to each other. A
smile of the portrait, shut, left slits of up to 2 mm there, in which teeth showed as a line. Slits that the
portrait has beside a shut middle stay."""
LIPS_FOLLOW = ((LIPS_BETWEEN[0], 0.93), (LIPS_BETWEEN[1], 0.87), (LIPS_OUTER, 0.8))
"""Where lips would cross, their edges are moved apart, and the contours around them by this share of it: a
pressed lip keeps most of its height."""

SINC_REACH, KAISER_BETA = 12, 5.0
"""Frames to each side, and the window's shape: passes motion up to 11.5 Hz of frames at 25 fps."""


@dataclass(frozen=True)
class EyeMotion:
    """What eyes do over n frames.

    closure: (n,) of the lids, 0 as the expression has them, 1 shut. gaze: (n, 2) cm, shift of the irises in
    the face, x to the viewer's right, y up.
    """

    closure: np.ndarray
    gaze: np.ndarray

    def __getitem__(self, frames: slice | list[int]) -> EyeMotion:
        return EyeMotion(self.closure[frames], self.gaze[frames])


@dataclass(frozen=True)
class Motion:
    """Motion of n frames as the networks ask for it.

    expression: (n, k) coefficients of the codec's basis, cm. head: (n, 6) as in `relative_motion`. eyes: what
    they do beyond the expression, None: nothing. tongue: (n, 2), how far its tip is up at the upper teeth,
    and between the teeth, 0 to 1; None: it lies still.
    """

    expression: np.ndarray
    head: np.ndarray
    eyes: EyeMotion | None = None
    tongue: np.ndarray | None = None

    def __getitem__(self, frames: slice | list[int]) -> Motion:
        tongue = None if self.tongue is None else self.tongue[frames]
        return Motion(self.expression[frames], self.head[frames], self.eyes and self.eyes[frames], tongue)


@dataclass(frozen=True)
class DrawnMotion:
    """Motion of n frames as the warp draws it on one portrait: lips and lids never cross, and the head stays
    within the room that the picture has.

    vertices: (n, 478, 3) pose-normalised landmarks, canonical cm. pose: of the n frames. tongue: as in
    Motion.
    """

    vertices: np.ndarray
    pose: Pose
    tongue: np.ndarray | None = None

    @property
    def landmarks(self) -> np.ndarray:
        """(n, 478, 3) px."""
        return to_image(self.vertices, self.pose)


def uncrossed(vertices: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Pose-normalised vertices (n, 478, 3) cm whose lips and lids touch where they would have crossed, and
    whose lids open at most WIDEST_LIDS times as far as those of the portrait, `rest` (478, 3)."""
    vertices = vertices.copy()
    for contour, upper_lip_yields in ((LIPS_INNER, 0.5), (RIGHT_EYE, 1.0), (LEFT_EYE, 1.0)):
        upper, lower = upper_and_lower(contour)
        if contour is not LIPS_INNER:
            widest = WIDEST_LIDS * np.maximum(rest[upper, 1] - rest[lower, 1], 0)
            vertices[:, upper, 1] = np.minimum(vertices[:, upper, 1], vertices[:, lower, 1] + widest)
        between = vertices[:, lower] - vertices[:, upper]
        crossing = np.maximum(between[..., 1], 0)
        if contour is LIPS_INNER:
            middle = [len(upper) // 2]
            own, parted = rest[upper, 1] - rest[lower, 1], np.maximum(-between[..., 1], 0)
            slits = parted - parted[:, middle] - np.maximum(own - own[middle], 0)
            crossing -= np.maximum(slits, 0) * (1 - smoothstep(parted[:, middle] / SEALED_CM))
        between[..., 1] = crossing
        if contour is LIPS_INNER:
            for follower, share in LIPS_FOLLOW:
                above, below = upper_and_lower(follower)
                vertices[:, above, 1] += share * upper_lip_yields * between[..., 1]
                vertices[:, below, 1] -= share * (1 - upper_lip_yields) * between[..., 1]
        between[..., [0, 2]] *= np.clip(between[..., 1:2] / PRESSED_CM, 0, 1)
        vertices[:, upper] += upper_lip_yields * between
        vertices[:, lower] -= (1 - upper_lip_yields) * between
    return vertices


def upper_and_lower(contour: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of an opening's upper edge and those below them, without its two corners."""
    half = len(contour) // 2
    return np.array(contour[1:half]), np.array(contour[:half:-1])


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing over time of (n, d), sigma in frames; the first and last value continue outside."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def resampled_count(count: int, fps: float, shown_fps: float) -> int:
    """Frames at `shown_fps` that `count` frames at `fps` become: as many as cover a sound that these cover.
    Where the rate is not reduced to a whole part, one is spare: both counts are rounded."""
    step = fps / shown_fps
    return -(-count // round(step)) if step.is_integer() else math.ceil(count / step) + 1


def resampled(values: np.ndarray, fps: float, shown_fps: float) -> np.ndarray:
    """(n, d) at `fps` -> the same motion at `shown_fps`; the last value is held.

    Band-limited: a sinc under a Kaiser window, so that frames on the old grid move no more sharply than
    those between. Cubic splines flatten 6 Hz to 0.73 between frames of 25 fps, which shows as a cadence.
    """
    step = fps / shown_fps
    if step.is_integer():
        return values[:: round(step)]
    wanted = np.minimum(step * np.arange(resampled_count(len(values), fps, shown_fps)), len(values) - 1)
    padded = np.pad(values, ((SINC_REACH, SINC_REACH), (0, 0)), mode="reflect", reflect_type="odd")
    first = np.floor(wanted).astype(int)
    taps = np.arange(1 - SINC_REACH, SINC_REACH + 1)
    distance = (wanted - first)[:, None] - taps
    window = np.i0(KAISER_BETA * np.sqrt(np.maximum(1 - (distance / SINC_REACH) ** 2, 0)))
    weights = np.sinc(distance) * window
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("nt,ntc->nc", weights, padded[first[:, None] + taps + SINC_REACH])
