"""What a metric is: detector -> statistic -> score. `metric_table.py` lists the modules that define metrics.

* A `Detector` looks at one video and returns small named arrays (`Features`). It is slow, so its features are
  kept on disk by the content of the video, the view (frame rate, crop, size, seconds), and its name and
  version.
* A `ClipMetric` scores one clip, beside the real clip that it is paired with.
* A `SetMetric` scores all clips of a folder at once, such as a Fréchet distance: it turns each clip into a
  statistic that merges with others, so that nothing but sums is kept of a clip.

To add metrics, write a module with a tuple METRICS and name it in `metric_table.MODULES`:

    LANDMARKS = Detector(name="landmarks", version="1", load=load_tracker, reading=lip_shapes)
    METRICS = (ClipMetric(name="lip-r", detector=LANDMARKS, better="higher", score=opening_correlation),)

`load` returns the function that sees a `SeenClip`; each process loads one, at its first clip that is not in
the cache. `require` is called once before: it looks for files and packages, loads nothing, and raises a
SonimateError (NetworkFileMissing, ExtraMissing), which becomes the reason why the metric is absent. What it
returns joins `version`: the hashes of the files of networks, else nothing.
A detector that changes its features must change `version`. It goes to other processes, so its functions are
named ones of a module, or `partial` of these.
A clip that cannot be measured raises one of UNUSABLE; it is then named in the report and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np

from sonimate.errors import (
    AudioTooShort,
    FaceTooSmall,
    FileNotReadable,
    NoFaceFound,
    UnreadableAudio,
    UnreadableVideo,
    UnusableClip,
)
from sonimate.evaluate.viewing import SeenClip

Features = Mapping[str, np.ndarray]
"""Small arrays of one video, by name: what the cache keeps."""
Detect = Callable[[SeenClip], Features]
Better = Literal["higher", "lower", "closer to real"]

UNUSABLE = (
    AudioTooShort,
    FaceTooSmall,
    FileNotReadable,
    NoFaceFound,
    UnreadableAudio,
    UnreadableVideo,
    UnusableClip,
)
"""Errors that belong to one clip: it is skipped, the others go on."""


def nothing_required() -> str:
    """`Detector.require` of what every installation has."""
    return ""


def as_stored(features: Features) -> Features:
    """`Detector.reading` where metrics use the arrays themselves."""
    return features


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Sees one video at a time.

    reading: turns the stored features into what the metrics of this detector take, such as a dataclass with
    curves; called once for each clip, whatever the number of metrics. load, require: see above.
    """

    name: str
    version: str
    load: Callable[[], Detect]
    require: Callable[[], str] = nothing_required
    reading: Callable[[Features], Any] = as_stored

    def required(self) -> Detector:
        """This detector with the version of the files that it will load. Raises what `require` raises."""
        return replace(self, version=f"{self.version} {self.require()}".strip())


class Statistic(Protocol):
    """What is kept of clips: that of many is that of its parts, merged in any order."""

    def merged(self, other: Self, /) -> Self: ...


@dataclass(frozen=True, kw_only=True)
class ClipMetric:
    """score(generated, real): of the readings of one clip and of the real clip; NaN where it has no value, as
    the depth of blinks without a blink. The score of a folder is the mean over its clips.

    title: its head in tables. unit: "" for a pure number. source: the definition, in a few words.
    """

    name: str
    detector: Detector
    better: Better
    score: Callable[[Any, Any], float]
    title: str = ""
    unit: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class SetMetric:
    """statistic(reading): of one clip. score(generated, real): of the merged statistics of both folders."""

    name: str
    detector: Detector
    better: Better
    statistic: Callable[[Any], Statistic]
    score: Callable[[Any, Any], float]
    title: str = ""
    unit: str = ""
    source: str = ""


Metric = ClipMetric | SetMetric
