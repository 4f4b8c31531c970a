"""Stage `sync`: does the mouth move with this sound, and how late is it?

Offset and confidence are those of SyncNet (Chung and Zisserman 2016), computed without its weights: the
mouth's opening is correlated, over lags, with the opening that `MouthReader` predicts from the sound. Lag 0
is that of the GRID corpus, on which the reader was fitted: there lips part 10 ms before the burst of a /b/.
Limits: a few seconds are little evidence, so that another person's sentence of the same rhythm can pass; and
the opening tells nothing about closed lips. docs/training.md has the rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.curves import Lag, best_lag, correlations_by_delay
from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import Sample

STAGE = "sync"
MAX_LAG_FRAMES = 12
"""Lags searched, either way: half a second."""
MIN_R, MIN_CONFIDENCE = 0.35, 0.2
"""Less than this, and the mouth does not follow the sound. Clips of the GRID corpus, by readers fitted on
other speakers, have at least 0.64 and 0.25."""
MIN_CERTAIN_R, MAX_HALVES_DIFFER_MS = 0.45, 30.0
"""A clip's own lag is trusted from this correlation on, if the lags of its two halves differ no more."""

OpeningPredictor = Callable[[np.ndarray], np.ndarray]
"""Sound float32 (n * 640,) at 16 kHz -> the predicted opening of the mouth (n,), in any unit."""


@dataclass(frozen=True)
class Reading:
    """How late a mouth is against its sound.

    r, confidence: as in `Lag`. lag_ms: positive when the mouth is late. halves_ms: the lags of the first and
    the second half of the clip. r_by_frame: the correlations at lags of -n to n whole frames, n at most
    MAX_LAG_FRAMES.
    """

    r: float
    lag_ms: float
    confidence: float
    halves_ms: list[float]
    r_by_frame: list[float]

    @property
    def follows(self) -> bool:
        """Whether the mouth moves with this sound, at whatever lag."""
        return follows(self.r, self.confidence)

    @property
    def is_certain(self) -> bool:
        """Whether the lag can be trusted: a peak inside the range, high enough, the same in both halves."""
        first, second = self.halves_ms
        inside = max(self.r_by_frame) > max(self.r_by_frame[0], self.r_by_frame[-1])
        agree = abs(first - second) <= MAX_HALVES_DIFFER_MS
        return self.follows and self.r >= MIN_CERTAIN_R and inside and agree

    def r_at(self, lag_ms: float) -> float:
        """The correlation at another lag, along straight lines between whole frames."""
        reach = len(self.r_by_frame) // 2
        return float(np.interp(lag_ms * VIDEO_FPS / 1000, np.arange(-reach, reach + 1), self.r_by_frame))


def read_lag(opening: np.ndarray, predicted: np.ndarray) -> Reading:
    """Read a mouth opening (n,) at 25 fps against the opening (n,) predicted from the sound.

    Raises ValueError for fewer than four frames.
    """
    lag, half = best_lag(opening, predicted, MAX_LAG_FRAMES), len(opening) // 2
    first = best_lag(opening[:half], predicted[:half], MAX_LAG_FRAMES)
    second = best_lag(opening[half:], predicted[half:], MAX_LAG_FRAMES)
    return Reading(
        **lag_record(lag),
        halves_ms=[first.milliseconds, second.milliseconds],
        r_by_frame=list(correlations_by_delay(opening, predicted, MAX_LAG_FRAMES).values()),
    )


def measure_sync(sample: Sample, *, predict: OpeningPredictor) -> Iterator[Sample]:
    """A track -> the same with its `Reading`; the sound of somebody else is rejected. `retiming` moves the
    sounds when all clips have been read."""
    reading = read_lag(mouth_opening(sample.landmarks()), predict(sample.sound()))
    known = sample.with_facts(STAGE, **asdict(reading))
    if reading.follows:
        yield known
    else:
        yield known.rejected(STAGE, "sound does not move with the mouth", lag_text(known.facts[STAGE]))


def follows(r: float, confidence: float) -> bool:
    """Whether a mouth moves with its sound, by the figures of a `Lag`."""
    return r >= MIN_R and confidence >= MIN_CONFIDENCE


def lag_record(lag: Lag) -> dict[str, float]:
    """The lag as records of clips hold it."""
    return {"r": lag.r, "lag_ms": lag.milliseconds, "confidence": lag.confidence}


def lag_text(record: Mapping[str, Any]) -> str:
    """A `lag_record`, or the facts of this stage, in words."""
    text = "r {r:.2f} at {lag_ms:+.0f} ms, confidence {confidence:.2f}".format(**record)
    if "halves_ms" in record:
        text += ", halves {:+.0f} and {:+.0f} ms".format(*record["halves_ms"])
    return text
