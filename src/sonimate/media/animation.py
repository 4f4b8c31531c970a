"""An animation: frames that can be drawn, and saved as a video in any format that is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.media.mix import OpenSound
from sonimate.media.picture_writers import open_video_writer
from sonimate.prefetch import prefetched
from sonimate.types import Progress, no_progress


@dataclass(frozen=True)
class Animation:
    """A portrait whose motion is generated: its frames can be drawn more than once.

    width, height: px, even. frame_count: at `fps`. seed: of the motion and the blinks. sound:
    opens what `save` puts into the video. interpolation: what makes frames between latents, or None.
    transparent: frames have an alpha channel.
    """

    width: int
    height: int
    frame_count: int
    fps: float
    seed: int
    sound: OpenSound
    interpolation: str | None
    draw: Callable[[], Iterator[np.ndarray]]
    transparent: bool = False

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 frames (height, width, 3), or RGBA (height, width, 4) if transparent, drawn one by one."""
        return islice(self.draw(), self.frame_count)

    def save(self, path: str | Path, progress: Progress = no_progress) -> Path:
        """Write a video with the sound, in place of any file of that name, in the format of the name (see
        `open_video_writer`); a thread draws the next frames while one is encoded. Nothing is left behind when
        it fails. Raises OutputNotWritable, OptionOutOfRange."""
        sound, frames = self.sound(), self.frames()
        shown: dict[str, Any] = {"width": self.width, "height": self.height, "fps": self.fps}
        with (
            open_video_writer(path, **shown, sound=sound, transparent=self.transparent) as writer,
            prefetched(lambda _: next(frames), range(self.frame_count)) as drawn,
        ):
            for index, frame in enumerate(drawn):
                progress("draw", index, self.frame_count)
                writer.write(frame)
        progress("draw", self.frame_count, self.frame_count)
        return Path(path)
