"""Curves of a face at 25 fps -> numbers: blinks, drift, spread, jitter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.curves import correlation

OPEN_LEVEL_FRAMES = 75
"""The open level is measured over three seconds around each frame, so that it falls while eyes look down."""
CLOSING, OPENING = 0.55, 0.75
"""Shares of the open level below which a blink starts and above which it has ended."""
MAX_BLINK_FRAMES = 15
"""0.6 s. Blinks last 0.1 to 0.4 s; eyes closed for longer do not count."""
DRIFT_FRAMES = 125
"""Frames at the start and at the end that `drift` compares: five seconds."""


def blink_frames(eyes: np.ndarray) -> list[int]:
    """The most closed frame of every blink in an eye-opening curve (n,)."""
    level = eyes / open_level(eyes)
    blinks: list[int] = []
    start: int | None = None
    for frame, value in enumerate(level):
        if start is None and value < CLOSING:
            start = frame
        elif start is not None and value > OPENING:
            if frame - start <= MAX_BLINK_FRAMES:
                blinks.append(start + int(level[start:frame].argmin()))
            start = None
    return blinks


def open_level(eyes: np.ndarray) -> np.ndarray:
    """How open the eyes of an eye-opening curve (n,) are between blinks: its running 80th percentile (n,)."""
    half = OPEN_LEVEL_FRAMES // 2
    return np.array([np.percentile(eyes[max(i - half, 0) : i + half + 1], 80) for i in range(len(eyes))])


def blinks_per_minute(eyes: np.ndarray) -> float:
    """Blinks a minute of an eye-opening curve (n,)."""
    return 60 * VIDEO_FPS * len(blink_frames(eyes)) / len(eyes)


def spread(values: np.ndarray) -> float:
    """Root of the summed variances over time of (n, d): how much something moves, in its own unit."""
    return float(np.sqrt(values.var(0).sum()))


def drift(values: np.ndarray) -> tuple[float, float]:
    """Of a curve (n, d): the distance of the mean of its last five seconds from that of its first five (of
    its halves under ten seconds), and the length of its least-squares slope a minute."""
    span = min(DRIFT_FRAMES, len(values) // 2)
    change = values[-span:].mean(0) - values[:span].mean(0)
    minutes = np.arange(len(values)) / VIDEO_FPS / 60
    centred = minutes - minutes.mean()
    slope = centred @ values / (centred @ centred)
    return float(np.linalg.norm(change)), float(np.linalg.norm(slope))


def accelerations(points: np.ndarray) -> np.ndarray:
    """Length of the second difference of points (n, v, 2): (n - 2, v), per frame squared."""
    return np.linalg.norm(np.diff(points, n=2, axis=0), axis=2)


def median_acceleration(points: np.ndarray) -> float:
    """Median over frames and points of `accelerations`."""
    return float(np.median(accelerations(points)))


def deformation(points: np.ndarray) -> float:
    """Root mean square over points (n, v, d) of their spread over time."""
    return float(np.sqrt(points.var(0).sum(-1).mean()))


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's rank correlation, in [-1, 1], of as many values each, all different."""
    first, second = (np.argsort(np.argsort(values)) for values in (a, b))
    return correlation(first, second)
