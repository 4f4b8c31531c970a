"""Comparing two curves over time: how well they agree, and at which delay. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sonimate.clock import VIDEO_FPS

MAX_LAG_FRAMES = 8
"""Delays searched by default, either way: 320 ms. Speech has a syllable every 200 to 250 ms; at longer delays
one syllable would match the next."""
CONSTANT = 1e-9
"""A curve is constant when its standard deviation is at most this share of its largest absolute value."""


@dataclass(frozen=True)
class Lag:
    """The delay at which two curves agree best.

    frames: positive when the first curve is late; between whole frames it is the top of the parabola through
    the best correlation and its neighbours. r: the correlation at the best whole frame, in [-1, 1].
    confidence: r minus the median of the correlations over all delays searched, as SyncNet defines it (Chung
    and Zisserman 2016).
    """

    frames: float
    r: float
    confidence: float

    @property
    def milliseconds(self) -> float:
        """The delay of curves at 25 fps."""
        return 1000 * self.frames / VIDEO_FPS


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r, in [-1, 1], of two curves (n,), (m,) over the frames that both have.

    0 where one of them is constant or fewer than two frames are left.
    """
    count = min(len(a), len(b))
    a, b = a[:count].astype(np.float64), b[:count].astype(np.float64)
    if count < 2 or any(curve.std() <= CONSTANT * np.abs(curve).max() for curve in (a, b)):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def best_lag(generated: np.ndarray, real: np.ndarray, max_frames: int = MAX_LAG_FRAMES) -> Lag:
    """The delay, of at most `max_frames` either way, at which the curves (n,), (m,) correlate most.

    Of equal correlations the shorter delay wins. Raises ValueError if the curves have fewer than two frames
    in common.
    """
    return best_of(correlations_by_delay(generated, real, max_frames))


def best_of(r: Mapping[int, float]) -> Lag:
    """The best of the agreements found at some delays, in frames. Of equal ones the shorter delay wins."""
    best = max(r, key=lambda late: (r[late], -abs(late)))
    return Lag(best + _top(r, best), r[best], r[best] - float(np.median(list(r.values()))))


def correlations_by_delay(generated: np.ndarray, real: np.ndarray, max_frames: int) -> dict[int, float]:
    """The correlation of two curves (n,), (m,) at every delay of at most `max_frames` either way, by frames
    that `generated` is late.

    Each delay is judged on the frames that overlap, at least two. Raises ValueError if the curves have fewer
    than two frames in common.
    """
    count = min(len(generated), len(real))
    if count < 2:
        raise ValueError(f"{count} frames in common; a delay needs at least 2.")
    generated, real = generated[:count], real[:count]
    reach = min(max_frames, count - 2)
    return {
        late: correlation(generated[max(late, 0) : count + min(late, 0)], real[max(-late, 0) :])
        for late in range(-reach, reach + 1)
    }


def _top(r: Mapping[int, float], best: int) -> float:
    """Where the parabola through the correlations around `best` has its top: [-0.5, 0.5] frames from it, and
    0 at the ends of the range."""
    before, after = r.get(best - 1), r.get(best + 1)
    if before is None or after is None or (bend := before - 2 * r[best] + after) >= 0:
        return 0.0
    return 0.5 * (before - after) / bend


def amplitude_ratio(generated: np.ndarray, real: np.ndarray) -> float:
    """Standard deviation of `generated` over that of `real`, over the frames that both have."""
    count = min(len(generated), len(real))
    return float(generated[:count].std() / real[:count].std())


def moved_earlier(curve: np.ndarray, milliseconds: float) -> np.ndarray:
    """A curve (n,) at 25 fps moved earlier; its end is continued by its mirror image.

    Fractions of a frame are exact for every frequency (Fourier), so that moving changes no amplitude; linear
    interpolation would take a fifth off 5 Hz.
    """
    count, frames = len(curve), milliseconds * VIDEO_FPS / 1000
    mirrored = np.concatenate([curve, curve[::-1]])
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(2 * count) * frames)
    return np.fft.irfft(np.fft.rfft(mirrored) * turn, 2 * count)[:count]
