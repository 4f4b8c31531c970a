"""Stage `sync`: does the mouth move with this sound, and at the same time?

Offset and confidence are those of SyncNet (Chung and Zisserman 2016), computed without its weights: the
mouth's opening is correlated, over lags, with the opening that `MouthReader` predicts from the sound. Limits:
a few seconds are little evidence, so that another person's sentence of the same rhythm can pass; and the
opening tells nothing about closed lips. docs/training.md has the rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from sonimate.evaluate.curves import Lag, best_lag
from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import Sample

STAGE = "sync"
MAX_LAG_FRAMES = 12
"""Lags searched, either way: half a second."""
MIN_R, MIN_CONFIDENCE = 0.35, 0.2
"""Talking clips of the public footage, by a reader fitted on other speakers, have at least 0.38 and 0.31."""
MAX_OFFSET_FRAMES = 3
"""120 ms: lips begin to move before their sound, and people do not notice smaller offsets (ITU-R BT.1359)."""

OpeningPredictor = Callable[[np.ndarray], np.ndarray]
"""Sound float32 (n * 640,) at 16 kHz -> the predicted opening of the mouth (n,), in any unit."""


def gate_sync(sample: Sample, *, predict: OpeningPredictor) -> Iterator[Sample]:
    """A track -> the same with its lag; the sound of somebody else and shifted sound are rejected."""
    lag = mouth_lag(mouth_opening(sample.landmarks()), predict(sample.sound()))
    known, reason = sample.with_facts(STAGE, **lag_record(lag)), sync_fault(lag)
    yield known if reason is None else known.rejected(STAGE, reason, lag_text(lag_record(lag)))


def sync_fault(lag: Lag) -> str | None:
    """The reason to reject a clip with this lag, or None."""
    if lag.r < MIN_R or lag.confidence < MIN_CONFIDENCE:
        return "sound does not move with the mouth"
    return "sound and mouth at different times" if abs(lag.frames) > MAX_OFFSET_FRAMES else None


def mouth_lag(opening: np.ndarray, predicted: np.ndarray) -> Lag:
    """The lag of a mouth opening (n,) at 25 fps behind the opening (n,) predicted from the sound; positive
    when the mouth is late."""
    return best_lag(opening, predicted, MAX_LAG_FRAMES)


def lag_record(lag: Lag) -> dict[str, float]:
    """The lag as records of clips hold it."""
    return {"r": lag.r, "offset_frames": lag.frames, "confidence": lag.confidence}


def lag_text(record: Mapping[str, Any]) -> str:
    """A `lag_record` in words."""
    return "r {r:.2f} at {offset_frames:+d} frames, confidence {confidence:.2f}".format(**record)
