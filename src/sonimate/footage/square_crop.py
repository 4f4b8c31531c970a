"""Seventh stage: cut the head out of the frames, at one size, and the sound that goes with it."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.face.geometry import Box, PixelBox, process_bbox
from sonimate.face.mesh import landmark_box
from sonimate.footage.sample import Sample, each
from sonimate.footage.sources import ForwardReader
from sonimate.media.video import EXACT_CHROMA, H264_OPTIONS

STAGE = "crop"
EXPAND_RATIO = 0.5
"""The square reaches this share of the joint face box beyond it, as portraits are cut (NOTES 2.4)."""


def crop(samples: Iterator[Sample], *, size_px: int) -> Iterator[Sample]:
    """Tracks -> the same with KEY.mp4 (size_px square, 25 fps) and KEY.wav (16 kHz mono, as long), and the
    landmarks moved into the crop.

    One box serves the whole clip, so that the head moves in it as it did before the camera.
    """
    return each(STAGE, partial(_crop, size_px=size_px, reader=ForwardReader()), samples)


def _crop(sample: Sample, *, size_px: int, reader: ForwardReader) -> Iterator[Sample]:
    landmarks = sample.landmarks()
    video = sample.facts["probe"]
    joint = landmark_box(landmarks.reshape(-1, 3))
    inside = np.clip(joint, 0, [video["width"], video["height"]] * 2)
    box = square_box(tuple(inside.tolist()), width=video["width"], height=video["height"])
    frames = reader.read(sample.source, sample.start, sample.count)
    write_mp4(sample.path(".mp4"), (cut_out(frame, box, size_px) for frame in frames), size_px)
    sample.path(".wav").write_bytes(wav_bytes(sample.sound()))
    scale = size_px / (box[2] - box[0])
    np.save(sample.path(".landmarks.npy"), ((landmarks - [box[0], box[1], 0]) * scale).astype(np.float32))
    yield sample.knowing(STAGE, box=list(box), size_px=size_px, scale=scale)


def square_box(face: Box, *, width: int, height: int) -> PixelBox:
    """The square to cut out around a joint face box: that of NOTES 2.4, rounded to be exactly square.

    Raises UnusableClip when no pixel is left.
    """
    x0, y0, x1, y1 = process_bbox(face, expand_ratio=EXPAND_RATIO, width=width, height=height)
    side = min(x1 - x0, y1 - y0)
    if side < 1:
        raise UnusableClip("The face lies outside the picture. Leave this clip out.")
    return x0, y0, x0 + side, y0 + side


def cut_out(frame: np.ndarray, box: PixelBox, size_px: int) -> np.ndarray:
    """The square `box` of a frame, uint8 (size_px, size_px, 3)."""
    x0, y0, x1, y1 = box
    part = frame[y0:y1, x0:x1]
    method = cv2.INTER_AREA if x1 - x0 > size_px else cv2.INTER_CUBIC
    return cv2.resize(part, (size_px, size_px), interpolation=method)


SAME_BYTES = {"x264-params": "cpu-independent=1"}
"""Without this, x264's fast lookahead rounds differently from processor to processor, and from run to run:
40 encodings of ten small frames gave five different files."""


def write_mp4(path: Path, frames: Iterable[np.ndarray], size_px: int) -> None:
    """Encode frames so that the same frames give the same bytes: one thread, no dates, no version strings,
    no arithmetic of the processor's own."""
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(VIDEO_FPS), options=H264_OPTIONS | SAME_BYTES)
        stream.width = stream.height = size_px
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.thread_count = 1
        codec.flags |= Flags.bitexact
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for index, pixels in enumerate(frames):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=EXACT_CHROMA,
            )
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def wav_bytes(samples: np.ndarray) -> bytes:
    """A 16-bit mono wav file of float32 samples (n,) at SAMPLE_RATE_HZ."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return buffer.getvalue()
