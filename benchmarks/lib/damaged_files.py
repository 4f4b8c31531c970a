"""Small files of the formats that users bring, damaged as a seed decides, and what reading them does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

from sonimate.errors import SonimateError
from sonimate.media.audio import read_audio
from sonimate.media.image import read_image
from sonimate.media.video import read_frames

PICTURES = ("png", "jpg", "webp", "gif", "bmp", "tiff", "avif", "jp2")
SOUNDS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "m4a": "aac",
    "flac": "flac",
    "ogg": "libopus",
    "mkv": "aac",
    "aiff": "pcm_s16be",
}
"""Suffix and FFmpeg's encoder."""
VIDEOS = {"mp4": "libx264", "webm": "libvpx-vp9"}
"""The same, of videos without sound."""
SLOWEST_SECONDS = 5.0
BYTES_PER_MB = 1e6
TAGS = {"title": "\N{CJK UNIFIED IDEOGRAPH-4F60}\N{CJK UNIFIED IDEOGRAPH-597D}", "artist": "B\xe9la"}
"""Not ASCII, so that changed bytes are no UTF-8."""


@dataclass(frozen=True)
class Reading:
    """outcome: "read", "refused" (a SonimateError), or the exception that is a defect. memory_mb: of the
    process after it."""

    case: int
    suffix: str
    outcome: str
    seconds: float
    memory_mb: float


def make_samples(folder: Path) -> dict[str, bytes]:
    """By suffix, the bytes of a picture of 96 x 64 px, of 0.6 s of sound, or of 8 frames of a video."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 255, (8, 12, 3), np.uint8)
    picture = Image.fromarray(smooth).resize((96, 64), Image.Resampling.BICUBIC)
    exif = picture.getexif()
    exif[0x010E], exif[0x0112] = "a portrait", 1
    files: dict[str, Path] = {}
    for suffix in PICTURES:
        files[suffix] = folder / f"sample.{suffix}"
        options: dict[str, Any] = {"exif": exif} if suffix in ("png", "jpg", "webp", "tiff", "avif") else {}
        picture.save(files[suffix], **options)
    for suffix, codec in SOUNDS.items():
        files[suffix] = folder / f"sample.{suffix}"
        _write_sound(files[suffix], codec)
    for suffix, codec in VIDEOS.items():
        files[suffix] = folder / f"sample.{suffix}"
        _write_video(files[suffix], codec, np.asarray(picture))
    samples = {suffix: file.read_bytes() for suffix, file in files.items()}
    for file in files.values():
        file.unlink()
    return samples


def try_cases(samples: dict[str, bytes], cases: Iterable[int], folder: Path) -> Iterator[Reading]:
    """Damage one sample for each case number, which is the seed, write it to `folder`, and read it."""
    suffixes = [*PICTURES, *SOUNDS, *VIDEOS]
    process = psutil.Process()
    for case in cases:
        suffix = suffixes[case % len(suffixes)]
        path = folder / f"damaged.{suffix}"
        path.write_bytes(damaged(samples[suffix], np.random.default_rng(case)))
        started = time.perf_counter()
        try:
            read_sample(path)
            outcome = "read"
        except SonimateError:
            outcome = "refused"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        yield Reading(case, suffix, outcome, seconds, process.memory_info().rss / BYTES_PER_MB)


def read_sample(path: Path) -> int:
    """Read a file as what its suffix says. Returns how much it holds: rows, samples or frames."""
    suffix = path.suffix[1:]
    if suffix in PICTURES:
        return len(read_image(path))
    return len(read_audio(path).samples) if suffix in SOUNDS else sum(1 for _ in read_frames(path))


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content cut short, with up to 20 changed bytes, with bytes put in, or with a part moved."""
    kind, data = rng.integers(4), bytearray(content)
    place, other = sorted(map(int, rng.integers(0, len(data), 2)))
    if kind == 0:
        return bytes(data[:other])
    if kind == 1:
        # Half of the changes hit the first 512 bytes, where headers and tags are.
        for _ in range(rng.integers(1, 21)):
            end = min(512, len(data)) if rng.random() < 0.5 else len(data)
            data[rng.integers(end)] = rng.integers(256)
        return bytes(data)
    if kind == 2:
        return bytes(data[:place] + rng.bytes(int(rng.integers(1, 200))) + data[place:])
    return bytes(data[other:] + data[place:other] + data[:place])


def grown_mb(results: list[Reading]) -> float:
    """How much the largest memory of the last fifth is above that of the second fifth, after the first."""
    fifth = max(1, len(results) // 5)
    early, late = results[fifth : 2 * fifth] or results, results[-fifth:]
    return max(r.memory_mb for r in late) - max(r.memory_mb for r in early)


def _write_sound(path: Path, codec: str) -> None:
    rate_hz, rng = 16_000, np.random.default_rng(1)
    samples = (rng.normal(0, 3000, round(0.6 * rate_hz)).clip(-20_000, 20_000)).astype(np.int16)
    with av.open(str(path), "w") as container:
        container.metadata.update(TAGS)
        stream: Any = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate_hz)
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(converted):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def _write_video(path: Path, codec: str, picture: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        container.metadata.update(TAGS)
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width = picture.shape[:2]
        for shift in range(8):
            moved = np.ascontiguousarray(np.roll(picture, 4 * shift, axis=1))
            container.mux(stream.encode(VideoFrame.from_ndarray(moved)))
        container.mux(stream.encode(None))
