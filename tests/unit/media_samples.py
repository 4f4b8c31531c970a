"""Small image, sound and video files with known contents, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer

MILLISECONDS = Fraction(1, 1000)
EXAMPLES = Path(__file__).parents[2] / "examples"


def tone_with_onset(*, seconds: float = 1.5, onset_seconds: float = 0.5, rate_hz: int = 44_100) -> np.ndarray:
    """A 440 Hz tone, float32 (n,), preceded by silence."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * 440 * time) * (time >= onset_seconds)).astype(np.float32)


def onset_seconds(samples: np.ndarray, rate_hz: int) -> float:
    return float(np.argmax(np.abs(samples) > 0.15)) / rate_hz


def encode_sound(
    path: Path, samples: np.ndarray, *, codec: str, rate_hz: int = 44_100, channels: int = 1
) -> Path:
    """Encode float32 (n,), the same in each channel; the container follows from the path's suffix."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=layout)
        if codec == "wmav2":
            stream.bit_rate = 128_000
        planes = np.repeat(samples[None], channels, axis=0)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tags_of(path: Path) -> dict[str, str]:
    """The tags of a container, such as those of SYNTHETIC_METADATA."""
    with av.open(str(path)) as container:
        return dict(container.metadata)


def flat_frame(level: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def encode_video(
    path: Path,
    times_ms: Sequence[int],
    *,
    sound_start_ms: int | None = None,
    frames: Sequence[np.ndarray] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    live: bool = False,
) -> Path:
    """Encode frames (by default flat, of level 20, 30, 40 ...) at their times; a tone if it has a start.

    live: as into a pipe, where nothing can be written afterwards, such as the duration.
    """
    frames = frames or [flat_frame(min(20 + 10 * i, 250)) for i in range(len(times_ms))]
    with av.open(str(path), "w", options={"live": "1"} if live else {}) as container:
        video: Any = container.add_stream(codec, rate=25)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixel_format
        if codec == "libx264":
            video.codec_context.time_base = MILLISECONDS
            video.options = {"crf": "10", "bf": "0"}
        if sound_start_ms is not None:
            sound = container.add_stream("mp2", rate=44_100, layout="mono")
            tone = av.AudioFrame.from_ndarray(tone_with_onset()[None], format="fltp", layout="mono")
            tone.sample_rate, tone.time_base = 44_100, Fraction(1, 44_100)
            tone.pts = sound_start_ms * 441 // 10
            container.mux(sound.encode(tone))
            container.mux(sound.encode(None))
        for time_ms, pixels in zip(times_ms, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.time_base = MILLISECONDS
            frame.pts = time_ms
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def rotate_mp4(path: Path, *, clockwise: int) -> None:
    """Set the display matrix of the first track to a quarter or half turn, as phones do."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    matrix = np.array([cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 14]) * (1 << 16)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    data[start : start + 36] = matrix.astype(">i4").tobytes()
    path.write_bytes(data)


def seconds_of(container: InputContainer) -> float:
    """Duration that a file states."""
    assert container.duration is not None
    return container.duration / av.time_base


def frame_rate(container: InputContainer) -> float:
    """Average frames a second of a file's first video stream."""
    rate = container.streams.video[0].average_rate
    assert rate is not None
    return float(rate)
