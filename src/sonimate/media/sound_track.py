"""The sound track of a file: which one is taken, and how long the file says that it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sonimate.errors import OptionOutOfRange, UnreadableAudio
from sonimate.media.container import stated_tags

STATED_BY_THE_TRACK = ("aiff", "au", "flac", "mov")
"""FFmpeg's names (their beginnings) of formats whose tracks state their length exactly."""
STATED_BY_THE_FILE = ("flv", "matroska")
"""And of those whose files do; the length is that of the sound if there is no picture."""
MP3_COUNTS = (b"Xing", b"Info", b"VBRI")
"""Marks of a count of frames in an mp3. Without it, FFmpeg guesses the length from the first bit rate."""
MP3_HEADER_BYTES = 4096
UNKNOWN_BYTES = 0x7FFF0000
"""From this size on, a wav states what programs write that do not know its length, as into a pipe."""


def sound_track(container: InputContainer, path: str | Path, track: int | None = None) -> AudioStream:
    """A file's sound track by number, from 1; None: the first that the file marks as default and that can be
    decoded, else the first that can. Raises UnreadableAudio, OptionOutOfRange."""
    streams = container.streams.audio
    if not streams:
        raise UnreadableAudio(
            f"{path} has no sound in it. Give a recording (wav, mp3, flac, ogg, m4a) or a video with sound."
        )
    if track is not None and not 1 <= track <= len(streams):
        raise OptionOutOfRange(f"{path} has no sound track {track}. Choose one from 1 to {len(streams)}.")
    allowed = streams if track is None else [streams[track - 1]]
    readable = [stream for stream in allowed if is_decodable(stream)]
    if not readable:
        raise UnreadableAudio(
            f"The sound in {path} is stored in a way that is not known here. Convert it to wav, mp3 or m4a."
        )
    return next((stream for stream in readable if stream.disposition & Disposition.default), readable[0])


def track_account(container: InputContainer, path: str | Path, taken: AudioStream) -> str:
    """A sentence that says which of several sound tracks is taken."""
    names: list[str] = []
    for number, stream in enumerate(container.streams.audio, 1):
        tags = stated_tags(stream)
        known = " ".join(tags[key] for key in ("language", "title") if tags.get(key))
        names.append(f"{number}{f' ({known})' if known else ''}")
    number = container.streams.audio.index(taken) + 1
    why = "marked as default" if taken.disposition & Disposition.default else "the first"
    return (
        f"{path} has the sound tracks {', '.join(names)}; track {number}, {why}, is taken. "
        "--track chooses another."
    )


def stated_seconds(path: str | Path, container: InputContainer, stream: AudioStream) -> float | None:
    """How long the file says that a track lasts at least, in s; None where it does not say so exactly.

    Two frames of the codec are left out: encoders count what they add at the ends, and decoders drop it.
    """
    name, codec = container.format.name, stream.codec_context
    seconds: float | None = None
    counted = name == "mp3" and _holds_mark(path, MP3_COUNTS)
    if name == "wav":
        seconds = _wav_seconds(path, stream)
    elif counted or name.startswith(STATED_BY_THE_TRACK):
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
    elif name.startswith(STATED_BY_THE_FILE) and not container.streams.video and container.duration:
        seconds = container.duration / av.time_base
    return seconds and seconds - 2 * (codec.frame_size or 0) / codec.sample_rate


def is_decodable(stream: AudioStream | VideoStream) -> bool:
    """Whether FFmpeg has a decoder for a track; a phone's second track may be of a codec that it lacks."""
    return bool(stream.codec_context)  # None without a decoder, whatever its type says


def _holds_mark(path: str | Path, marks: tuple[bytes, ...]) -> bool:
    """Whether an mp3 holds one of the marks in its first frame, which comes after pictures and tags."""
    with Path(path).open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            file.seek(10 + size)
            head = b""
        head += file.read(MP3_HEADER_BYTES)
    return any(mark in head for mark in marks)


def _wav_seconds(path: str | Path, stream: AudioStream) -> float | None:
    """Length by the size that a wav's header states. FFmpeg takes the file's size if that is less."""
    with Path(path).open("rb") as file:
        size = _wav_data_bytes(file)
    codec = stream.codec_context
    if size is None or size >= UNKNOWN_BYTES or not codec.bit_rate or not codec.name.startswith("pcm_"):
        return None
    return 8 * size / codec.bit_rate


def _wav_data_bytes(file: BinaryIO) -> int | None:
    """The stated size of the chunk "data" of an open wav; None if there is no such chunk."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        size = int.from_bytes(header[4:], "little")
        if header[:4] == b"data":
            return size
        file.seek(size + size % 2, 1)
    return None
