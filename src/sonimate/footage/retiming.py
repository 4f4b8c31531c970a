"""Each clip's sound is moved to its mouth, by the clip's own lag or by the median lag of its collection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME
from sonimate.footage.sample import rounded
from sonimate.footage.sync import MIN_R, STAGE, OpeningPredictor, Reading, lag_text, read_lag
from sonimate.media.wav import read_wav
from sonimate.types import Waveform

if TYPE_CHECKING:
    from sonimate.evaluate.lips import Clip

MIN_CERTAIN_CLIPS = 3
"""The median lag of a collection is taken from this many certain clips on: of two it would be their mean, and
the mean of two clips with different faults suits neither."""
OWN, MEDIAN, KEPT = "own lag", "median lag of its source", "kept as it was"
UNSURE = "own lag, uncertain"
UNCERTAIN = "lag uncertain, and its source has no lag that fits"


@dataclass(frozen=True)
class Retiming:
    """by: OWN, MEDIAN, UNSURE or KEPT. delay_ms: how much later the sound is played; negative: earlier."""

    by: str
    delay_ms: float


def collection_medians(readings: Sequence[Reading], collections: Sequence[str]) -> dict[str, float]:
    """The median lag, ms, of the certain clips of each collection that has MIN_CERTAIN_CLIPS of them."""
    lags: dict[str, list[float]] = defaultdict(list)
    for reading, collection in zip(readings, collections, strict=True):
        if reading.is_certain:
            lags[collection].append(reading.lag_ms)
    return {name: float(np.median(found)) for name, found in lags.items() if len(found) >= MIN_CERTAIN_CLIPS}


def choose_retimings(readings: Sequence[Reading], collections: Sequence[str]) -> list[Retiming | None]:
    """What to do with each clip: its own lag if it is certain, else the median lag of its collection if the
    mouth follows the sound there too, else None."""
    medians = collection_medians(readings, collections)
    chosen: list[Retiming | None] = []
    for reading, collection in zip(readings, collections, strict=True):
        median = medians.get(collection)
        if reading.is_certain:
            chosen.append(Retiming(OWN, reading.lag_ms))
        elif median is not None and reading.r_at(median) >= MIN_R:
            chosen.append(Retiming(MEDIAN, median))
        else:
            chosen.append(None)
    return chosen


def retime(
    records: Sequence[dict[str, Any]], collections: Mapping[str, str], *, move: bool = True
) -> list[dict[str, Any]]:
    """The records of all samples with the collection of each, and with what is done to the sounds of those
    that no stage has rejected; those whose lag stays unknown are rejected.

    collections: file name -> collection. move: False keeps all sounds as they were.
    """
    known: list[dict[str, Any]] = [
        record | {"collection": collections[record["source"]]} for record in records
    ]
    read = [record for record in known if STAGE in record]
    chosen = choose_retimings(*_stored(read))
    for record, retiming in zip(read, chosen, strict=True):
        if record["rejection"]:
            continue
        retiming = retiming if move else Retiming(KEPT, 0.0)
        if retiming is None:
            record["rejection"] = {"stage": STAGE, "reason": UNCERTAIN, "detail": lag_text(record[STAGE])}
        else:
            record[STAGE] = record[STAGE] | rounded({"by": retiming.by, "delay_ms": retiming.delay_ms})
    return known


def medians_of(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """`collection_medians` of the samples that have been read, rounded as in records."""
    return rounded(collection_medians(*_stored([record for record in records if STAGE in record])))


def _stored(records: Sequence[dict[str, Any]]) -> tuple[list[Reading], list[str]]:
    """The readings that records hold, and their collections."""
    names = [field.name for field in fields(Reading)]
    readings = [Reading(**{name: record[STAGE][name] for name in names}) for record in records]
    return readings, [record["collection"] for record in records]


def retime_clips(
    clips: Sequence[Clip], collections: Mapping[str, str], predict: OpeningPredictor
) -> list[Clip]:
    """Real clips to compare generated ones with, re-timed as `retime` does, before anything is generated.

    Where `retime` would reject a clip whose mouth follows its sound, its own lag is taken and called UNSURE:
    an error of it lowers the figures of all models alike; without such clips whole sources would be missing.
    A clip whose mouth does not follow its sound keeps it and says so in `retimed_by`; it can prove nothing.
    collections: clip name -> collection. predict: such as `MouthReader.load()`.
    """
    readings = [read_lag(clip.curves.mouth, predict(clip.waveform.samples)) for clip in clips]
    chosen = choose_retimings(readings, [collections[clip.name] for clip in clips])
    moved: list[Clip] = []
    for clip, reading, found in zip(clips, readings, chosen, strict=True):
        own = Retiming(UNSURE, reading.lag_ms) if reading.follows else Retiming(KEPT, 0.0)
        retiming = found or own
        samples = delayed(clip.waveform.samples, retiming.delay_ms)
        sound = Waveform(samples, clip.waveform.rate_hz)
        moved.append(replace(clip, waveform=sound, delay_ms=retiming.delay_ms, retimed_by=retiming.by))
    return moved


def retimed_sound(path: Path, record: Mapping[str, Any]) -> Waveform:
    """The sound of a re-timed clip, cut out of the wav file `path` that holds as many samples more before it
    as after it."""
    samples = read_wav(path).samples
    count = record["frames"] * SAMPLES_PER_VIDEO_FRAME
    first = (len(samples) - count) // 2 - delay_samples(record[STAGE]["delay_ms"])
    return Waveform(samples[first : first + count], SAMPLE_RATE_HZ)


def delayed(samples: np.ndarray, delay_ms: float) -> np.ndarray:
    """A sound (n,) at 16 kHz played later (negative: earlier), of the same length; silence where it has
    nothing."""
    delay = delay_samples(delay_ms)
    moved = np.zeros_like(samples)
    moved[max(delay, 0) : len(samples) + min(delay, 0)] = samples[
        max(-delay, 0) : len(samples) - max(delay, 0)
    ]
    return moved


def delay_samples(delay_ms: float) -> int:
    """A delay at 16 kHz, to the nearest sample."""
    return round(delay_ms * SAMPLE_RATE_HZ / 1000)
