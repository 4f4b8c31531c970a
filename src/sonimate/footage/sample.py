"""What flows through the stages of data preparation: a stretch of footage and all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sonimate.clock import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import LibraryFailed, SonimateError
from sonimate.footage.clip_id import ClipId

MIN_SECONDS = 2.0
"""A training window is two seconds long."""
DIGITS = 4
"""Decimals kept in records, so that they do not depend on how a machine orders its sums."""


@dataclass(frozen=True)
class Rejection:
    """Why a sample is not to be trained on: `stage` that found it, `reason` to count, `detail` to read."""

    stage: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A stretch of one footage file: first the whole file, then a shot of it, then one face in the shot.

    name: the file, relative to the footage folder, with forward slashes. source: where it is.
    folder: where arrays of this file are kept while it is prepared; they are loaded when asked for.
    start, count: frames at VIDEO_FPS. facts: what each stage found, by stage; plain values that JSON
    can hold.
    A rejected sample flows on untouched, so that every one of them is counted at the end.
    """

    name: str
    source: Path
    speaker: str
    folder: Path
    start: int = 0
    count: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    rejection: Rejection | None = None

    @property
    def clip_id(self) -> ClipId:
        return ClipId(self.name, self.start)

    @property
    def seconds(self) -> float:
        return self.count / VIDEO_FPS

    def knowing(self, stage: str, **found: Any) -> Sample:
        """The sample with what a stage found about it."""
        return replace(self, facts={**self.facts, stage: found})

    def rejected(self, stage: str, reason: str, detail: str = "") -> Sample:
        """The sample with the reason not to use it."""
        return replace(self, rejection=Rejection(stage, reason, detail))

    def path(self, suffix: str) -> Path:
        """Where this sample's array or medium of that suffix is."""
        return self.folder / f"{self.clip_id.key}{suffix}"

    def landmarks(self) -> np.ndarray:
        """float32 (count, 478, 3), gaps filled: px of the crop once the sample has been cropped, else of the
        source's frames."""
        return np.load(self.path(".landmarks.npy"))

    def sound(self) -> np.ndarray:
        """float32 (count * SAMPLES_PER_VIDEO_FRAME,) at SAMPLE_RATE_HZ; silent after the end of the file's
        sound."""
        whole = np.memmap(self.sound_file, np.float32, "r")
        first = self.start * SAMPLES_PER_VIDEO_FRAME
        heard = np.array(whole[first : first + self.count * SAMPLES_PER_VIDEO_FRAME])
        return np.pad(heard, (0, self.count * SAMPLES_PER_VIDEO_FRAME - len(heard)))

    @property
    def sound_file(self) -> Path:
        """The whole source's sound as raw float32."""
        return self.folder / "sound.f32"

    def record(self) -> dict[str, Any]:
        """All that is known, for JSON; paths and other things that differ between machines are left out."""
        return {
            "clip": str(self.clip_id),
            "source": self.name,
            "speaker": self.speaker,
            "start_seconds": self.start / VIDEO_FPS,
            "end_seconds": (self.start + self.count) / VIDEO_FPS,
            "frames": self.count,
            "fps": VIDEO_FPS,
            **rounded(self.facts),
            "rejection": None if self.rejection is None else vars(self.rejection),
        }


def rounded(value: Any) -> Any:
    """The same mappings and lists, floats at DIGITS decimals."""
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


Stage = Callable[[Iterator[Sample]], Iterator[Sample]]


def each(
    stage: str, work: Callable[[Sample], Iterable[Sample]], samples: Iterator[Sample]
) -> Iterator[Sample]:
    """Let `work` turn every sample that is still wanted into none, one or more; pass on the rejected ones.

    What the user could fix in one file, such as a torn download, or what a library cannot take of its
    pictures, rejects its sample and stops nothing. Other exceptions are faults of ours and stop everything.
    """
    for sample in samples:
        if sample.rejection is not None:
            yield sample
            continue
        try:
            yield from work(sample)
        except (SonimateError, cv2.error) as error:
            told = LibraryFailed(error) if isinstance(error, cv2.error) else error
            reason = told.reason if isinstance(told, LibraryFailed) else type(told).__name__
            yield sample.rejected(stage, reason, str(told).replace(str(sample.source), sample.name))
