"""What the stages of data preparation pass on: a stretch of footage and all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sonimate.clock import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import LibraryFailed, OutputNotWritable, SonimateError
from sonimate.footage.clip_id import ClipId

MIN_SECONDS = 2.0
"""The length of a training window."""
RESULTS_VERSION = 5
"""Increase it when a stage gives other results than before: finished files are then done again, and shards of
earlier versions are refused."""
DIGITS = 4
"""Decimals kept in records. Machines add numbers in different orders, which changes only later decimals."""


@dataclass(frozen=True)
class Rejection:
    """Why a sample is left out of training. stage: the one that rejected it. reason: as the report counts it.
    detail: such as the measured value."""

    stage: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A stretch of one footage file: first the whole file, then a shot of it, then one face in the shot.

    name: the file, relative to the footage folder, with forward slashes. source: its path on this machine.
    folder: holds the arrays of this file while it is prepared. start, count: frames at VIDEO_FPS.
    facts: what each stage found, by stage, in values that JSON can hold. rejection: None, or why this sample
    is left out; later stages pass a rejected sample on unchanged, so that the report counts all of them.
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

    def with_facts(self, stage: str, **found: Any) -> Sample:
        """The sample and what a stage found about it."""
        return replace(self, facts={**self.facts, stage: found})

    def rejected(self, stage: str, reason: str, detail: str = "") -> Sample:
        """The sample and the reason why it is left out."""
        return replace(self, rejection=Rejection(stage, reason, detail))

    def path(self, suffix: str) -> Path:
        """The file of this sample with that suffix."""
        return self.folder / f"{self.clip_id.key}{suffix}"

    def landmarks(self) -> np.ndarray:
        """float32 (count, 478, 3), gaps filled: px of the crop once the sample has been cropped, else of the
        source's frames."""
        return np.load(self.path(".landmarks.npy"))

    def sound(self, margin_frames: int = 0) -> np.ndarray:
        """The clip's sound and that of the file around it, float32 at SAMPLE_RATE_HZ: (count + 2 *
        margin_frames) * SAMPLES_PER_VIDEO_FRAME; zeros where the file has none."""
        whole = np.memmap(self.sound_file, np.float32, "r")
        first = (self.start - margin_frames) * SAMPLES_PER_VIDEO_FRAME
        end = (self.start + self.count + margin_frames) * SAMPLES_PER_VIDEO_FRAME
        samples = np.array(whole[max(first, 0) : end])
        missing = max(-first, 0)
        return np.pad(samples, (missing, end - first - missing - len(samples)))

    @property
    def sound_file(self) -> Path:
        """The whole source's sound as raw float32."""
        return self.folder / "sound.f32"

    def record(self) -> dict[str, Any]:
        """All that is known, for JSON, without paths, which differ between machines."""
        return {
            "version": RESULTS_VERSION,
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


Stage = Callable[[Sample], Iterable[Sample]]
"""A step of data preparation: a sample -> the same with facts, the parts of it, or the same rejected."""


def run_stage(name: str, stage: Stage, samples: Iterable[Sample]) -> Iterator[Sample]:
    """Apply a stage to each sample; pass the rejected ones on unchanged.

    A sample is rejected if the stage raises cv2.error or an error that the user can fix in its file, such as
    a torn download. OutputNotWritable (a full disk) ends the run, and so do other exceptions, which are
    defects of this project.
    """
    for sample in samples:
        if sample.rejection is not None:
            yield sample
            continue
        try:
            yield from stage(sample)
        except OutputNotWritable:
            raise
        except (SonimateError, cv2.error) as error:
            known = LibraryFailed(error) if isinstance(error, cv2.error) else error
            reason = known.reason if isinstance(known, LibraryFailed) else type(known).__name__
            yield sample.rejected(name, reason, str(known).replace(str(sample.source), sample.name))
