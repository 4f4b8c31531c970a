"""How videos are looked at: every system's at the same frame rate, crop, size and length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.face.crop import reference_crop
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.types import FrameStream, Waveform

Crop = Literal["none", "centre", "face"]


@dataclass(frozen=True, kw_only=True)
class View:
    """fps: frames a second. crop: "none" the whole picture; "centre" its largest square; "face" a square
    around the largest face of the first frame, the one that the model animates. size_px: to which the longer
    side is scaled; None: as it is. seconds: from the start; None: all."""

    fps: float = VIDEO_FPS
    crop: Crop = "none"
    size_px: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SeenClip:
    """One video of a system, or a real one, looked at in this way. Picture and sound are read again at each
    call, and never held."""

    path: Path
    view: View

    def frames(self) -> FrameStream:
        """uint8 RGB (h, w, 3). Raises UnusableClip where the crop needs a face and the first frame shows
        none, and the errors of `read_frames`."""
        frames = read_frames(self.path, fps=self.view.fps)
        first = next(frames, None)
        if first is None:
            raise UnusableClip(f"{self.path} has no frames. Check that it plays.")
        count = None if self.view.seconds is None else round(self.view.seconds * self.view.fps)
        return islice(self._cut(first, chain([first], frames)), count)

    def _cut(self, first: np.ndarray, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        x0, y0, x1, y1 = self._box(first)
        scale = self.view.size_px / max(x1 - x0, y1 - y0) if self.view.size_px else 1.0
        size = max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        for frame in frames:
            part = frame[y0:y1, x0:x1]
            yield part if size == (x1 - x0, y1 - y0) else cv2.resize(part, size, interpolation=how)

    def _box(self, frame: np.ndarray) -> tuple[int, int, int, int]:
        height, width = frame.shape[:2]
        if self.view.crop == "face":
            faces = FaceMesh(num_threads=1).find(frame)
            if not faces:
                raise UnusableClip(f"The first frame of {self.path} shows no face.")
            return reference_crop(select_face(faces).box, width=width, height=height)
        if self.view.crop == "centre":
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            return left, top, left + side, top + side
        return 0, 0, width, height

    @cached_property
    def sound(self) -> Waveform:
        """Mono at 16 kHz, as long as the frames at most. Raises UnreadableAudio, AudioTooShort."""
        waveform = read_audio(self.path)
        if self.view.seconds is None:
            return waveform
        return Waveform(waveform.samples[: round(self.view.seconds * waveform.rate_hz)], waveform.rate_hz)
