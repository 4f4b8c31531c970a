"""Sixth stage: does the mouth move with this sound, and when?

SyncNet's questions (Chung and Zisserman 2016), offset and confidence, asked without its weights: the mouth's
opening is compared over lags with the opening that `MouthReader` expects from the sound. Limits: a few
seconds are little evidence, so that another person's sentence of the same rhythm can pass; and the opening
alone does not see what lips do while closed. The data card has the rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import Sample, each

STAGE = "sync"
MAX_LAG_FRAMES = 12
"""Lags searched, either way: half a second."""
MIN_R, MIN_CONFIDENCE = 0.35, 0.2
"""Talking clips judged by a reader fitted on other speakers score at least 0.38 and 0.31."""
MAX_OFFSET_FRAMES = 3
"""120 ms: lips start before their sound, and people notice nothing below (ITU-R BT.1359)."""

Expectation = Callable[[np.ndarray], np.ndarray]
"""Sound float32 (n * 640,) at 16 kHz -> the mouth opening (n,) that it lets expect, in any unit."""


@dataclass(frozen=True)
class Synchrony:
    """r: the largest correlation over lags. offset_frames: its lag, positive when the mouth is late.
    confidence: how far it stands out, as in SyncNet: above the median over lags."""

    r: float
    offset_frames: int
    confidence: float


def gate_sync(samples: Iterator[Sample], *, expect: Expectation) -> Iterator[Sample]:
    """Tracks -> the same with their synchrony; rejects sound of another origin and shifted sound."""
    return each(STAGE, partial(_gate, expect=expect), samples)


def _gate(sample: Sample, *, expect: Expectation) -> Iterator[Sample]:
    found = synchrony(mouth_opening(sample.landmarks()), expect(sample.sound()))
    known = sample.knowing(STAGE, **asdict(found))
    told = f"r {found.r:.2f} at {found.offset_frames:+d} frames, confidence {found.confidence:.2f}"
    reason = fault(found)
    yield known if reason is None else known.rejected(STAGE, reason, told)


def fault(found: Synchrony) -> str | None:
    """The reason to reject, or None."""
    if found.r < MIN_R or found.confidence < MIN_CONFIDENCE:
        return "sound does not move with the mouth"
    return "sound and mouth at different times" if abs(found.offset_frames) > MAX_OFFSET_FRAMES else None


def synchrony(opening: np.ndarray, expected: np.ndarray) -> Synchrony:
    """Compare two curves (n,) at 25 fps, n > 2 * MAX_LAG_FRAMES."""
    lags = range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1)
    r = np.array([_correlation(*_at_lag(opening, expected, lag)) for lag in lags])
    best = int(r.argmax())
    return Synchrony(float(r[best]), lags[best], float(r[best] - np.median(r)))


def _at_lag(late: np.ndarray, early: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of two curves (n,) that meet when the first comes `lag` frames after the second."""
    count = len(late)
    return late[max(0, lag) : count + min(0, lag)], early[max(0, -lag) : count - max(0, lag)]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0 else 0.0
