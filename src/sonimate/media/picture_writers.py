"""Videos as pictures, and the choice of a writer: folders of PNG files, animated GIFs, and all containers."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import av
import av.filter
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sonimate.media.audio import Sound
from sonimate.media.files import replacing, replacing_folder, write_errors
from sonimate.media.video_formats import (
    FOLDER,
    GIF,
    SOUND_NAME,
    SYNTHETIC_METADATA,
    check_format,
    require_writable_video,
    video_suffix,
)
from sonimate.media.video_writer import VideoWriter, require_frame
from sonimate.media.wav import write_wav_blocks

PNG_COMPRESSION = 3
"""Of zlib. Level 6, the default, takes longer than drawing the frame."""
DITHER = "bayer"
"""A fixed pattern: noise that differs from frame to frame would flicker where nothing moves."""

_log = logging.getLogger("sonimate")


class FrameWriter(Protocol):
    """What takes the frames of a video, one by one."""

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, uint8 (height, width, 3), RGBA (height, width, 4) if the video is transparent."""
        ...


def open_video_writer(
    path: str | Path, *, width: int, height: int, fps: float, sound: Sound | None, transparent: bool
) -> AbstractContextManager[FrameWriter]:
    """The writer of the format that `path` names; the arguments are those of `VideoWriter`. Whatever the
    format, the video appears under its name only when the block ends without an exception.

    A folder holds 000001.png and so on, and SOUND_NAME; a GIF has no sound, which a logged warning says.
    Raises OutputNotWritable and OptionOutOfRange.
    """
    check_format(path, fps=fps, transparent=transparent)
    shape = (height, width, 4 if transparent else 3)
    match video_suffix(path):
        case suffix if suffix == FOLDER:
            return _folder_session(require_writable_video(path), shape, sound)
        case suffix if suffix == GIF:
            if sound is not None:
                _log.warning("%s has no sound: a gif holds pictures only.", path)
            return _gif_session(require_writable_video(path), shape, fps)
        case _:
            return VideoWriter(
                path, width=width, height=height, fps=fps, sound=sound, transparent=transparent
            )


class PngFrames:
    """Numbered PNG files of frames of one shape, in a folder."""

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self._folder, self._shape, self._count = folder, shape, 0
        self._texts = PngInfo()
        for key, text in SYNTHETIC_METADATA.items():
            self._texts.add_text(key.capitalize(), text)

    def write(self, pixels: np.ndarray) -> None:
        """As `FrameWriter` says. Raises OutputNotWritable."""
        require_frame(pixels, self._shape)
        self._count += 1
        path = self._folder / f"{self._count:06}.png"
        with write_errors(path):
            Image.fromarray(pixels).save(path, compress_level=PNG_COMPRESSION, pnginfo=self._texts)


@contextmanager
def _folder_session(
    folder: Path, shape: tuple[int, int, int], sound: Sound | None
) -> Generator[PngFrames, None, None]:
    with replacing_folder(folder) as partial:
        yield PngFrames(partial, shape)
        if sound is not None:
            write_wav_blocks(partial / SOUND_NAME, sound.blocks, sound.rate_hz, sound.channels)


class LosslessFrames:
    """Frames of one shape in a file without loss, to be read twice: a GIF's colours depend on all frames."""

    def __init__(self, path: Path, shape: tuple[int, int, int], fps: Fraction) -> None:
        self._path, self._shape, self._count = path, shape, 0
        self._container: Any = av.open(str(path), "w", format="matroska")
        self._stream: Any = self._container.add_stream("ffv1", rate=fps)
        self._stream.height, self._stream.width = shape[:2]
        self._stream.pix_fmt = "bgr0"

    def write(self, pixels: np.ndarray) -> None:
        """As `FrameWriter` says. Raises OutputNotWritable."""
        require_frame(pixels, self._shape)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="bgr0")
        frame.pts, self._count = self._count, self._count + 1
        with write_errors(self._path):
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """End the file; writes nothing if it is closed. Raises OutputNotWritable."""
        if self._container is not None:
            container, self._container = self._container, None
            with write_errors(self._path):
                container.mux(self._stream.encode(None))
                container.close()

    def frames(self) -> Iterator[VideoFrame]:
        """The frames again, after `close`, numbered by their times."""
        with av.open(str(self._path), format="matroska") as container:
            for number, frame in enumerate(container.decode(video=0)):
                frame.pts = number
                yield frame


@contextmanager
def _gif_session(
    path: Path, shape: tuple[int, int, int], fps: float
) -> Generator[LosslessFrames, None, None]:
    rate = Fraction(fps).limit_denominator(1001)
    prefix = f".{os.getpid()}-"
    with (
        replacing(path) as partial,
        TemporaryDirectory(dir=path.parent, prefix=prefix, suffix=".part") as folder,
    ):
        spool = LosslessFrames(Path(folder, "frames.mkv"), shape, rate)
        try:
            yield spool
        finally:
            spool.close()
        with write_errors(path):
            _write_gif(partial, spool, shape, rate)


def _write_gif(file: Path, spool: LosslessFrames, shape: tuple[int, int, int], rate: Fraction) -> None:
    """The frames by one palette of 256 colours, the best for all of them (FFmpeg's palettegen)."""
    ((palette,),) = [list(_filtered(spool.frames(), shape, rate, "palettegen", "stats_mode=full"))]
    with av.open(str(file), "w", format="gif", options={"loop": "0"}) as opened:
        container: Any = opened
        stream = container.add_stream("gif", rate=rate)
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = "pal8"
        options = f"dither={DITHER}:bayer_scale=4:diff_mode=rectangle"
        for frame in _filtered(spool.frames(), shape, rate, "paletteuse", options, palette):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _add_comment(file, SYNTHETIC_METADATA["comment"])


def _filtered(
    frames: Iterator[VideoFrame],
    shape: tuple[int, int, int],
    rate: Fraction,
    name: str,
    options: str,
    palette: VideoFrame | None = None,
) -> Iterator[VideoFrame]:
    """Frames through one filter of FFmpeg, which may take a palette beside them."""
    graph: Any = av.filter.Graph()
    height, width = shape[:2]
    source = graph.add_buffer(width=width, height=height, format="bgr0", time_base=1 / rate)
    step, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(step)
    colours = None
    if palette is not None:
        side = {"width": palette.width, "height": palette.height, "format": palette.format.name}
        colours = graph.add_buffer(**side, time_base=1 / rate)
        colours.link_to(step, 0, 1)
    step.link_to(sink)
    graph.configure()
    if colours is not None:
        colours.push(palette)
        colours.push(None)
    for frame in frames:
        source.push(frame)
        yield from _pulled(sink)
    source.push(None)
    yield from _pulled(sink)


def _pulled(sink: Any) -> Iterator[VideoFrame]:
    """What the filter has ready."""
    with suppress(BlockingIOError, EOFError):
        while True:
            yield sink.pull()


def _add_comment(gif: Path, text: str) -> None:
    """Put a comment of less than 256 bytes before the last byte of a GIF (GIF89a, sections 24 and 27)."""
    data = text.encode("ascii")
    with gif.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x21\xfe" + bytes([len(data)]) + data + b"\x00\x3b")
