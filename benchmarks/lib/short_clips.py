"""Many short videos, made from the example portraits and speech by animating, cutting and encoding again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.command import EXAMPLES
from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

PORTRAITS = ("obama", "astronaut_collins", "vigee_lebrun", "mona_lisa")
SOUND = EXAMPLES / "speech" / "librivox_ss_0890.wav"
STEP_FRAMES = 2
"""Cuts of the same video start this far apart: their bytes, and so their features, differ."""


def make_short_clips(
    folder: Path, count: int, *, frames: int, size_px: int, portraits: int = len(PORTRAITS)
) -> tuple[Path, Path]:
    """Write `count` clips of talking faces to folder/real, and the same encoded once more to folder/results.
    Returns the folders of results and of real clips."""
    real, results = folder / "real", folder / "results"
    real.mkdir(parents=True)
    results.mkdir()
    starts = STEP_FRAMES * np.arange(-(-count // portraits))
    for place, portrait in enumerate(PORTRAITS[:portraits]):
        whole = folder / f"{portrait}.mp4"
        _animate(portrait, whole, seconds=float(starts[-1] + frames) / VIDEO_FPS, size_px=size_px)
        pictures, samples = list(read_frames(whole)), read_audio(whole).samples
        for start, number in zip(starts, range(place, count, portraits), strict=False):
            sound = samples[start * SAMPLES_PER_VIDEO_FRAME :][: frames * SAMPLES_PER_VIDEO_FRAME]
            name = f"clip_{number:03}.mp4"
            _encode(real / name, pictures[start : start + frames], sound)
            _encode(results / name, list(read_frames(real / name))[:frames], sound)
    return results, real


def break_video(path: Path) -> None:
    """Keep the first half of the bytes, which lacks the table of frames at an mp4's end."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _animate(portrait: str, video: Path, *, seconds: float, size_px: int) -> None:
    picture = EXAMPLES / "portraits" / f"{portrait}.jpg"
    command = [sys.executable, "-m", "sonimate", "animate", picture, SOUND, "-o", video]
    options = ["--duration", f"{seconds:g}", "--size", f"{size_px}", "--steps", "2"]
    subprocess.run([*map(str, command), *options], check=True)


def _encode(path: Path, pictures: Sequence[np.ndarray], samples: np.ndarray) -> None:
    height, width = pictures[0].shape[:2]
    sound = Waveform(samples, SAMPLE_RATE_HZ)
    with VideoWriter(path, width=width, height=height, sound=sound, same_bytes=True) as writer:
        for picture in pictures:
            writer.write(picture)
