"""Sound and video files opened for reading: known formats only, and nothing but the named file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from sonimate.errors import SonimateError, UnreadableAudio, UnreadableVideo
from sonimate.media.files import not_readable, require_file

log = logging.getLogger(__name__)

SOUND_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,au,caf,dsf,dts,eac3,flac,g722,gsm,loas,mp3,mpc,mpc8,nistsphere,ogg,sln,"
    "sox,tak,truehd,tta,voc,w64,wav,wv"
)
VIDEO_FORMATS = "asf,avi,dv,flv,gif,ivf,m4v,matroska,mov,mpeg,mpegts,mpegvideo,mxf,nut,rm,wtv,yuv4mpegpipe"
"""FFmpeg's names of the formats that are read; wma and wmv are asf, mp4, m4a and 3gp are mov, webm is
matroska, opus is ogg. Left out are playlists and descriptions of streams, which open other files or network
addresses (concat, hls, dash, sdp), capture devices, text and still pictures."""


_TAG_OPTIONS: Any = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
"""As PyAV 19 always does: before it, tags of another encoding than UTF-8 are errors."""


class SafeSeeks(FileIO):
    """A file for FFmpeg, which seeks before the start of damaged files: it gets an error code, as from files
    that it opens itself. Of a second exception PyAV prints "PyAV library exception being dropped"."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """The new position, or FFmpeg's error code."""
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):
            return -errno.EIO


@contextmanager
def open_container(
    path: str | Path, *, unreadable: type[SonimateError], format: str | None = None
) -> Generator[InputContainer, None, None]:
    """Open a sound or video file of SOUND_FORMATS or VIDEO_FORMATS.

    format: FFmpeg's name of it, for files without a header. Raises FileMissing; every failure to decode the
    file becomes `unreadable`, naming the file, also while the container is in use.
    """
    file = require_file(path)
    # FFmpeg gets an open file, and no protocol by which to open another one.
    options = {"format_whitelist": f"{SOUND_FORMATS},{VIDEO_FORMATS}", "protocol_whitelist": "none"}
    try:
        with (
            SafeSeeks(file, "rb") as opened,
            av.open(opened, "r", format=format, options=options, **_TAG_OPTIONS) as container,
        ):
            yield container
    except PermissionError as error:
        raise not_readable(path) from error
    except ArgumentError as error:
        raise unreadable(
            f"{path} is not a sound or video file of a known format. Give one such as wav, mp3, m4a or mp4."
        ) from error
    except (FFmpegError, OSError) as error:
        raise unreadable(
            f"{path} cannot be decoded ({error.strerror or error}). Check that it plays, or convert it to a "
            "common format such as wav, mp3 or mp4."
        ) from error


def is_sound(path: str | Path) -> bool:
    """Whether the file holds sound and no moving picture. Raises FileMissing and FileNotReadable."""
    try:
        with open_container(path, unreadable=UnreadableAudio) as container:
            moving = [x for x in container.streams.video if not x.disposition & Disposition.attached_pic]
            return bool(container.streams.audio) and not moving
    except UnreadableAudio:
        return False


def decoded(container: InputContainer, stream: AudioStream | VideoStream, path: str | Path) -> Iterator[Any]:
    """The AudioFrames or VideoFrames of a stream. Damaged packets are skipped, as players do, and counted in
    one logged warning."""
    damaged = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except InvalidDataError:
            damaged += 1
    if damaged:
        log.warning("%s: %d damaged packets of %s were skipped", path, damaged, stream.type)


def stated_tags(part: InputContainer | Stream) -> dict[str, str]:
    """The metadata of a file or a stream. Tags of old files are often in GBK or Latin-1: what is not UTF-8
    becomes U+FFFD, so that every text can be printed."""
    return {_printable(key): _printable(text) for key, text in part.metadata.items()}


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def file_account(path: str | Path) -> dict[str, Any]:
    """What a media file states: `format`, `seconds`, `streams` (a line each), `metadata`, and `synthetic`,
    whether its metadata says that it is. Raises FileMissing, FileNotReadable, UnreadableVideo."""
    with open_container(path, unreadable=UnreadableVideo) as container:
        streams = [_stream_text(stream) for stream in container.streams]
        metadata = {
            key: text for part in (container, *container.streams) for key, text in stated_tags(part).items()
        }
        seconds = (container.duration or 0) / av.time_base
        names = container.format.name
    synthetic = metadata.get("synthetic_media", metadata.get("SYNTHETIC_MEDIA", "")) == "true"
    return {
        "format": names,
        "seconds": seconds,
        "streams": streams,
        "metadata": metadata,
        "synthetic": synthetic,
    }


def _stream_text(stream: Any) -> str:
    """A stream in a few words."""
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown codec"
    if isinstance(stream, VideoStream):
        rate = float(stream.average_rate or 0)
        return f"picture: {codec}, {stream.width} x {stream.height} px, {rate:g} fps, {stream.pix_fmt}"
    if isinstance(stream, AudioStream):
        return f"sound: {codec}, {stream.rate} Hz, {stream.channels} channels"
    return f"{stream.type}: {codec}"
