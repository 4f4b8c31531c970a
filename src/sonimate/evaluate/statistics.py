"""Curves of a face at 25 fps -> numbers: blinks, drift, spread, jitter, variety of shapes, cadence, bands,
closing in pauses, and means over groups of clips with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.curves import CONSTANT

OPEN_LEVEL_FRAMES = 75
"""The open level is measured over three seconds around each frame, so that it falls while eyes look down."""
CLOSING, OPENING = 0.55, 0.75
"""Shares of the open level below which a blink starts and above which it has ended."""
MAX_BLINK_FRAMES = 15
"""0.6 s. Blinks last 0.1 to 0.4 s; eyes closed for longer do not count."""
OPEN_MM = 3.0
"""Gap of the inner lips above which a mouth counts as open, on a face scaled to 18 cm. Trackers read up to
1 mm between closed lips."""
PREPARING_SECONDS = 0.2
"""Mouths open before the sound of the next word, by about this much."""
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


def effective_dimensions(shapes: np.ndarray) -> float:
    """How many independent ways shapes (n, ...) change over time: the participation ratio of the variances of
    their principal components, (sum v)^2 / sum v^2. 1 when all change along one line, 0 when nothing does."""
    variances = component_variances(shapes)
    return float(variances.sum() ** 2 / np.square(variances).sum()) if variances.any() else 0.0


def component_shares(shapes: np.ndarray, count: int = 2) -> tuple[float, ...]:
    """Shares of the variance of shapes (n, ...) in their first `count` principal components, in [0, 1]."""
    variances = component_variances(shapes)
    return tuple((variances[:count] / max(variances.sum(), np.finfo(float).tiny)).tolist())


def component_variances(shapes: np.ndarray) -> np.ndarray:
    """Variances of the principal components of shapes (n, ...), largest first, in their unit squared; 0 where
    a standard deviation is at most CONSTANT of the largest absolute value."""
    flat = shapes.reshape(len(shapes), -1)
    deviations = np.linalg.svd(flat - flat.mean(0), compute_uv=False) / np.sqrt(len(flat))
    return np.where(deviations > CONSTANT * np.abs(flat).max(), deviations, 0) ** 2


def cadence(points: np.ndarray) -> float:
    """Median acceleration of points (n, v, 2) at every second frame from the third (2, 4, ...) over that at
    the frames between (1, 3, ...): 1 for real motion, more where curves bend at the knots of a spline of half
    the frame rate that starts at frame 0, less where they bend between them. NaN where the frames between
    have no acceleration."""
    length = accelerations(points)
    between = float(np.median(length[0::2]))
    return float(np.median(length[1::2])) / between if between else float("nan")


def band_amplitude(curve: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Standard deviation of a curve (n,) within a band of frequencies, in its unit. A Hann window keeps the
    ends, where the curve does not continue, from leaking into the band."""
    window = np.hanning(len(curve))
    spectrum = np.abs(np.fft.rfft((curve - curve.mean()) * window)) ** 2
    hz = np.fft.rfftfreq(len(curve), 1 / VIDEO_FPS)
    inside = (hz >= low_hz) & (hz <= high_hz)
    return float(np.sqrt(2 * spectrum[inside].sum() / (len(curve) * np.square(window).sum())))


def open_share(opening_mm: np.ndarray) -> float:
    """Share of frames of a mouth opening (n,) in which it is over OPEN_MM."""
    return float((opening_mm > OPEN_MM).mean())


def closing_seconds(opening_mm: np.ndarray, pauses: Sequence[tuple[float, float]]) -> list[float]:
    """For each pause (start, end in s) of the sound: the time from its start until the mouth (n,) is at most
    OPEN_MM open and stays so until PREPARING_SECONDS before its end. The whole pause where it stays open."""
    seconds: list[float] = []
    for start, end in pauses:
        first, last = round(start * VIDEO_FPS), round((end - PREPARING_SECONDS) * VIDEO_FPS)
        still_open = np.flatnonzero(opening_mm[first:last] > OPEN_MM)
        late = int(still_open[-1]) + 1 if len(still_open) else 0
        seconds.append(end - start if late >= last - first else late / VIDEO_FPS)
    return seconds


def blink_depth(eyes: np.ndarray) -> float:
    """How open the lids of an eye-opening curve (n,) still are at the deepest point of a blink, as a share of
    the open level: median over the blinks, NaN without any."""
    frames = blink_frames(eyes)
    return float(np.median((eyes / open_level(eyes))[frames])) if frames else float("nan")


def open_eyes(eyes: np.ndarray) -> np.ndarray:
    """Frames (n,), bool, outside blinks: an iris behind lids has no place that could be measured."""
    return eyes > OPENING * open_level(eyes)


def group_mean(groups: Mapping[str, Sequence[float]]) -> float:
    """Mean over groups of the mean within each, so that a group of many clips counts no more than another."""
    return float(np.mean([np.mean(values) for values in groups.values()]))


def group_interval(
    groups: Mapping[str, Sequence[float]], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of `group_mean`: clips are drawn anew, with replacement, within each group."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(values, dtype=np.float64) for values in groups.values()]
    means = [rng.choice(values, (draws, len(values))).mean(1) for values in arrays]
    low, high = np.percentile(np.mean(means, axis=0), [2.5, 97.5])
    return float(low), float(high)
