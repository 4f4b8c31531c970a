"""Video files to frames, streamed: upright uint8 RGB on a clock that starts with the sound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from sonimate.clock import VIDEO_FPS
from sonimate.errors import UnreadableVideo
from sonimate.media.container import decoded, open_container
from sonimate.media.sound_track import is_decodable, sound_track
from sonimate.types import FrameStream

Item = TypeVar("Item")

AVCOL_SPC_UNSPECIFIED = 2
HD_HEIGHT_PX = 720
"""From this height on, untagged video is BT.709 by convention, below it BT.601."""

TIE_SECONDS = 1e-3
"""A time this close to halfway between two frames takes the later one: rounding must not repeat frames."""

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


def read_video(path: str | Path, *, fps: float | None = VIDEO_FPS) -> tuple[VideoInfo, FrameStream]:
    """What a video file holds, and its frames as in `read_frames`. Raises FileMissing and UnreadableVideo."""
    with open_container(path, unreadable=UnreadableVideo) as container:
        stream = _video_stream(container, path)
        rate = _frame_rate(stream)
        first = next(_timed_frames(container, stream, path), None)
        if first is None:
            raise UnreadableVideo(f"{path} holds no video frames. Check that it plays.")
        time, frame = first
    sound_start = _sound_start(path)
    sideways = frame.rotation % 180 == 90
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    start = 0.0 if sound_start is None else time - sound_start
    info = VideoInfo(width, height, rate, _picture_seconds(path), start, sound_start is not None)
    return info, read_frames(path, fps=fps)


def read_frames(path: str | Path, *, fps: float | None = VIDEO_FPS) -> FrameStream:
    """Stream a video's frames, uint8 RGB (h, w, 3), upright.

    Frame i is the picture nearest to i / fps seconds after the first sample that `read_audio` returns
    (after the first frame, if there is no sound), whatever the file's own rate, gaps and offsets. A picture
    that starts after the sound is held still until then; one that starts earlier is cut.
    `fps=None` gives every frame as stored, without timing. All frames have the first one's size.
    Raises FileMissing and UnreadableVideo when first advanced.
    """
    origin = _sound_start(path)
    with open_container(path, unreadable=UnreadableVideo) as container:
        stream = _video_stream(container, path)
        timed = _timed_frames(container, stream, path)
        if fps is None:
            yield from _upright_rgb(frame for _, frame in timed)
            return
        last_seconds = 1 / _frame_rate(stream, default=fps)
        yield from _upright_rgb(at_constant_rate(timed, fps=fps, origin=origin, last_seconds=last_seconds))


def at_constant_rate(
    timed: Iterable[tuple[float, Item]], *, fps: float, origin: float | None, last_seconds: float
) -> Iterator[Item]:
    """Pick, from (time, item) pairs in time order, the item nearest to each tick origin + i / fps.

    Ticks run from the origin (None: the first item's time) to `last_seconds` after the last item's time;
    this span is rounded to whole ticks.
    """
    shown: tuple[float, Item] | None = None
    tick, start = 0, origin
    for following in chain(timed, [None]):
        if shown is not None:
            time, item = shown
            start = time if start is None else start
            end = (time + following[0]) / 2 if following else time + last_seconds - 0.5 / fps
            while start + tick / fps < end - TIE_SECONDS:
                yield item
                tick += 1
        shown = following


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise UnreadableVideo(f"{path} has no moving picture in it. Give a video file such as mp4.")
    stream = next(filter(is_decodable, moving), None)
    if stream is None:
        raise UnreadableVideo(
            f"The picture in {path} is stored in a way that is not known here. Convert it to mp4."
        )
    stream.thread_type = "AUTO"
    return stream


def _frame_rate(stream: VideoStream, default: float = VIDEO_FPS) -> float:
    return float(stream.average_rate or stream.guessed_rate or default)


def _sound_start(path: str | Path) -> float | None:
    """Seconds, on the container's clock, at the first sample of `read_audio`; None without sound that can be
    decoded."""
    with open_container(path, unreadable=UnreadableVideo) as container:
        if any(map(is_decodable, container.streams.audio)):
            for frame in decoded(container, sound_track(container, path), path):
                return frame.time or 0.0
    return None


def _picture_seconds(path: str | Path) -> float:
    """How long the picture lasts by the file's header, else by the times of its packets, without decoding."""
    start, end = math.inf, -math.inf
    with open_container(path, unreadable=UnreadableVideo) as container:
        stream = _video_stream(container, path)
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if container.duration:
            return container.duration / av.time_base
        step = 1 / _frame_rate(stream)
        for packet in container.demux(stream):
            if packet.pts is not None:
                time = float(packet.pts * packet.time_base)
                start, end = min(start, time), max(end, time + step)
    return max(end - start, 0.0)


def _timed_frames(
    container: InputContainer, stream: VideoStream, path: str | Path
) -> Iterator[tuple[float, VideoFrame]]:
    """Decode (seconds on the container's clock, frame), with increasing times."""
    step = 1 / _frame_rate(stream)
    last = None
    for frame in decoded(container, stream, path):
        expected = 0.0 if last is None else last + step
        time = expected if frame.pts is None else frame.time
        if last is None or time > last:
            yield time, frame
            last = time


def _upright_rgb(frames: Iterable[VideoFrame]) -> FrameStream:
    """uint8 (h, w, 3) of frames, each scaled to the first one's size; one that repeats is converted once."""
    size, last, pixels = None, None, np.empty(0, np.uint8)
    for frame in frames:
        size = size or (frame.width, frame.height)
        if frame is not last:
            untagged_hd = frame.colorspace == AVCOL_SPC_UNSPECIFIED and frame.height >= HD_HEIGHT_PX
            stored = frame.to_ndarray(
                format="rgb24",
                width=size[0],
                height=size[1],
                src_colorspace=Colorspace.ITU709 if untagged_hd else None,
                interpolation=EXACT_CHROMA,
            )
            last, pixels = frame, np.ascontiguousarray(np.rot90(stored, frame.rotation // 90))
        yield pixels
