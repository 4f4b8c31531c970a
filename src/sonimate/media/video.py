"""Video files to frames, streamed: upright uint8 RGB on a clock that starts with the sound."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.error import InvalidDataError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from sonimate.errors import UnreadableVideo
from sonimate.media.audio import first_sound_time
from sonimate.media.files import open_container
from sonimate.types import FrameStream

log = logging.getLogger(__name__)
Item = TypeVar("Item")

AVCOL_SPC_UNSPECIFIED = 2
HD_HEIGHT_PX = 720
"""From this height on, untagged video is BT.709 by convention, below it BT.601."""

TIE_SECONDS = 1e-3
"""A tick this close to halfway between two frames takes the later one: rounding must not repeat frames."""

EXACT_CHROMA = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Conversion between RGB and YUV without shortcuts: no tint, and no loss of fine colour."""


@dataclass(frozen=True)
class VideoInfo:
    """A video file's picture: upright `width` and `height` in px, mean `fps`, `seconds` of its picture.

    start_seconds: when the first frame is shown, relative to the first sound sample (0 if there is no sound).
    """

    width: int
    height: int
    fps: float
    seconds: float
    start_seconds: float
    has_sound: bool


def read_video(path: str | Path, *, fps: float | None = 25.0) -> tuple[VideoInfo, FrameStream]:
    """What a video file holds, and its frames as in `read_frames`. Raises FileMissing and UnreadableVideo."""
    with open_container(path, unreadable=UnreadableVideo) as container:
        stream = _video_stream(container, path)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        first = next(_timed_frames(container, stream, path), None)
        if first is None:
            raise UnreadableVideo(f"{path} holds no video frames. Check that it plays.")
        time, frame = first
        duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        if duration is None:
            duration = (container.duration or 0) / av.time_base
    with open_container(path, unreadable=UnreadableVideo) as container:
        sound_start = first_sound_time(container)
    sideways = frame.rotation % 180 == 90
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    start = 0.0 if sound_start is None else time - sound_start
    info = VideoInfo(width, height, rate, float(duration), start, sound_start is not None)
    return info, read_frames(path, fps=fps)


def read_frames(path: str | Path, *, fps: float | None = 25.0) -> FrameStream:
    """Stream a video's frames, uint8 RGB (h, w, 3), upright.

    Frame i is the picture nearest to i / fps seconds after the first sample that `read_audio` returns
    (after the first frame, if there is no sound), whatever the file's own rate, gaps and offsets. A picture
    that starts after the sound is held still until then; one that starts earlier is cut.
    `fps=None` gives every frame as stored, without timing.
    Raises FileMissing and UnreadableVideo when first advanced.
    """
    with open_container(path, unreadable=UnreadableVideo) as container:
        origin = first_sound_time(container)
    with open_container(path, unreadable=UnreadableVideo) as container:
        stream = _video_stream(container, path)
        timed = _timed_frames(container, stream, path)
        if fps is None:
            yield from (_upright_rgb(frame) for _, frame in timed)
            return
        last_seconds = 1 / float(stream.average_rate or stream.guessed_rate or fps)
        current, pixels = None, np.empty(0, np.uint8)
        for frame in at_constant_rate(timed, fps=fps, origin=origin, last_seconds=last_seconds):
            if frame is not current:
                current, pixels = frame, _upright_rgb(frame)
            yield pixels


def at_constant_rate(
    timed: Iterable[tuple[float, Item]], *, fps: float, origin: float | None, last_seconds: float
) -> Iterator[Item]:
    """Pick, from (time, item) pairs in time order, the item nearest to each tick origin + i / fps.

    Ticks run from the origin (None: the first item's time) to `last_seconds` after the last item's time,
    that span being rounded to whole ticks.
    """
    tick, previous = 0, None
    for time, item in timed:
        origin = time if origin is None else origin
        if previous is not None:
            halfway = (previous[0] + time) / 2
            while origin + tick / fps < halfway - TIE_SECONDS:
                yield previous[1]
                tick += 1
        previous = (time, item)
    if previous is not None and origin is not None:
        end = previous[0] + last_seconds - 0.5 / fps
        while origin + tick / fps < end - TIE_SECONDS:
            yield previous[1]
            tick += 1


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise UnreadableVideo(f"{path} has no moving picture in it. Give a video file such as mp4.")


def _timed_frames(
    container: InputContainer, stream: VideoStream, path: str | Path
) -> Iterator[tuple[float, VideoFrame]]:
    """Decode (seconds on the container's clock, frame), times increasing; damaged packets are passed over."""
    step = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    damaged, last = 0, None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except InvalidDataError:
            damaged += 1
            continue
        for frame in frames:
            expected = 0.0 if last is None else last + step
            time = expected if frame.pts is None else frame.time
            if last is None or time > last:
                yield time, frame
                last = time
    if damaged:
        log.warning("%s: %d damaged packets of video were skipped", path, damaged)


def _upright_rgb(frame: VideoFrame) -> np.ndarray:
    untagged_hd = frame.colorspace == AVCOL_SPC_UNSPECIFIED and frame.height >= HD_HEIGHT_PX
    pixels = frame.to_ndarray(
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if untagged_hd else None,
        interpolation=EXACT_CHROMA,
    )
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The container's own tags, such as those of SYNTHETIC_METADATA. Raises FileMissing, UnreadableVideo."""
    with open_container(path, unreadable=UnreadableVideo) as container:
        return dict(container.metadata)
