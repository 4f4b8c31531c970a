"""Frames and sound to a video file, streamed: the one video encoder of the project."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from sonimate.media.audio import Sound
from sonimate.media.files import replacing, write_errors
from sonimate.media.video import EXACT_CHROMA
from sonimate.media.video_formats import (
    CONTAINERS,
    SYNTHETIC_METADATA,
    check_format,
    require_writable_video,
    video_suffix,
)
from sonimate.types import Waveform

FALLBACK_RATE_HZ = 48_000

SAME_BYTES = {"x264-params": "cpu-independent=1"}
"""Without this, x264's fast lookahead rounds differently from processor to processor, and from run to run:
40 encodings of ten small frames gave five different files."""


class VideoWriter:
    """Write frames and sound to a file of one of CONTAINERS, in one pass, as a context manager.

    The file appears under its name only when the block ends without an exception; until then a hidden
    file beside it holds the data, and any exception, Ctrl-C included, removes it.

    width, height: of the frames in px, even. fps: frames a second. sound: written as long as it lasts,
    starting with the first frame; the frames should last as long.
    transparent: frames are RGBA, their colours not multiplied by alpha.
    same_bytes: for mp4 clips that are cut from real footage. The same frames give the same bytes on every
    machine: one thread, the same arithmetic on every processor, no dates, no version strings; and no
    SYNTHETIC_METADATA, since nothing in the clip is generated.
    Raises OutputNotWritable: no such folder, no permission, disk full, or a name of another format.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: float = 25.0,
        sound: Sound | Waveform | None = None,
        transparent: bool = False,
        same_bytes: bool = False,
    ) -> None:
        if width % 2 or height % 2:
            raise ValueError(f"H.264 needs even sides, not {width} x {height}: see image.even_size")
        self._path = require_writable_video(path)
        check_format(path, fps=fps, transparent=transparent)
        self._format = CONTAINERS[video_suffix(path)]
        self._encoder = self._format.transparent if transparent else self._format.video
        self._shape = (height, width, 4 if transparent else 3)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._sound = Sound.from_waveform(sound) if isinstance(sound, Waveform) else sound
        self._same_bytes = same_bytes
        self._frames_written, self._samples_written = 0, 0

    def __enter__(self) -> Self:
        self._session = self._write_session()
        self._session.__enter__()
        return self

    def __exit__(self, *raised: Any) -> bool | None:
        return self._session.__exit__(*raised)

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, uint8 RGB (height, width, 3), or RGBA (height, width, 4) if it is transparent."""
        require_frame(pixels, self._shape)
        given = "rgba" if self._shape[2] == 4 else "rgb24"
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=given).reformat(
            format=self._video.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT_CHROMA,
        )
        frame.pts = self._frames_written
        self._mux(self._video.encode(frame))
        self._frames_written += 1
        self._write_sound(until_seconds=self._frames_written / self._fps)

    @contextmanager
    def _write_session(self) -> Generator[None, None, None]:
        options = {"fflags": "+bitexact"} if self._same_bytes else dict(self._format.options)
        with replacing(self._path) as partial:
            with write_errors(self._path):
                self._container: Any = av.open(str(partial), "w", format=self._format.muxer, options=options)
            try:
                self._add_streams()
                yield
                self._mux(self._video.encode(None))
                self._write_sound(until_seconds=math.inf)
                if self._sound is not None:
                    self._mux(self._audio.encode(None))
                with write_errors(self._path):
                    self._container.close()
            except BaseException:
                # Delete the file first: closing then fails at once and moves no long video for faststart.
                partial.unlink(missing_ok=True)
                with suppress(FFmpegError, OSError):
                    self._container.close()
                raise

    def _add_streams(self) -> None:
        if not self._same_bytes:
            self._container.metadata.update(SYNTHETIC_METADATA)
        assert self._encoder is not None
        options = {**self._encoder.options, **(SAME_BYTES if self._same_bytes else {})}
        self._video: Any = self._container.add_stream(self._encoder.name, rate=self._fps, options=options)
        self._video.height, self._video.width = self._shape[:2]
        self._video.pix_fmt = self._encoder.pixels
        codec = self._video.codec_context
        if self._same_bytes:
            codec.thread_count = 1
            codec.flags |= Flags.bitexact
        codec.time_base = 1 / self._fps
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        if self._sound is None:
            return
        encoder = self._format.sound
        if self._sound.rate_hz not in encoder.rates_hz:
            self._sound = self._sound.at_rate(FALLBACK_RATE_HZ)
        rate_hz, channels = self._sound.rate_hz, self._sound.channels
        self._layout = "mono" if channels == 1 else "stereo"
        self._audio: Any = self._container.add_stream(encoder.name, rate=rate_hz, layout=self._layout)
        if self._same_bytes:
            self._audio.codec_context.flags |= Flags.bitexact
        self._audio.bit_rate = channels * min(encoder.max_bit_rate, encoder.bits_per_sample * rate_hz)

    def _write_sound(self, *, until_seconds: float | Fraction) -> None:
        if self._sound is None:
            return
        while self._samples_written < until_seconds * self._sound.rate_hz:
            block = next(self._sound.blocks, None)
            if block is None:
                return
            planes = np.ascontiguousarray(block.T, np.float32)
            frame = AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts = self._sound.rate_hz, self._samples_written
            self._samples_written += len(block)
            self._mux(self._audio.encode(frame))

    def _mux(self, packets: Any) -> None:
        with write_errors(self._path):
            self._container.mux(packets)


def require_frame(pixels: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless `pixels` are uint8 of this shape."""
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(f"expected uint8 {shape}, got {pixels.dtype} {pixels.shape}")
