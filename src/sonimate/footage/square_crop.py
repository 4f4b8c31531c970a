"""Stage `crop`: one square around the head, cut out of all frames, with its sound. Stage `face_box`: the box
of the face in it, from which the mask M of paper eq. 1 is made."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import UnusableClip
from sonimate.face.geometry import PixelBox, process_bbox
from sonimate.face.mesh import landmark_box
from sonimate.footage.sample import Sample
from sonimate.footage.sources import ForwardReader
from sonimate.footage.sync import MAX_LAG_FRAMES
from sonimate.media.video_writer import VideoWriter
from sonimate.media.wav import write_wav
from sonimate.types import Box, Waveform

STAGE, FACE_BOX = "crop", "face_box"
RAW_SOUND = ".raw.wav"
MARGIN_FRAMES = MAX_LAG_FRAMES + 1
"""So much sound is kept before and after the clip, to re-time it by lags of up to MAX_LAG_FRAMES."""
EXPAND_RATIO = 0.5
"""How far the square extends beyond the joint face box, as a share of that box (NOTES 2.4)."""


def crop(sample: Sample, *, size_px: int, reader: ForwardReader) -> Iterator[Sample]:
    """A track -> the same with KEY.mp4 (size_px square, 25 fps), KEY.raw.wav (16 kHz mono: the sound of these
    frames and of MARGIN_FRAMES before and after them) and landmarks in px of the crop.

    The box is the same in all frames, so that the head moves in the crop as it did before the camera.
    """
    landmarks = sample.landmarks()
    video = sample.facts["probe"]
    joint = landmark_box(landmarks.reshape(-1, 3))
    inside = np.clip(joint, 0, [video["width"], video["height"]] * 2)
    box = square_box(tuple(inside.tolist()), width=video["width"], height=video["height"])
    frames = reader.read(sample.source, sample.start, sample.count)
    with VideoWriter(sample.path(".mp4"), width=size_px, height=size_px, same_bytes=True) as writer:
        for frame in frames:
            writer.write(cut_out(frame, box, size_px))
    write_wav(sample.path(RAW_SOUND), Waveform(sample.sound(MARGIN_FRAMES), SAMPLE_RATE_HZ))
    scale = size_px / (box[2] - box[0])
    np.save(sample.path(".landmarks.npy"), ((landmarks - [box[0], box[1], 0]) * scale).astype(np.float32))
    yield sample.with_facts(STAGE, box=list(box), size_px=size_px, scale=scale)


def add_face_box(sample: Sample) -> Iterator[Sample]:
    """A crop -> the same with the smallest box [x0, y0, x1, y1], px of the crop, that holds the face in every
    frame of the clip."""
    yield sample.with_facts(FACE_BOX, box=list(landmark_box(sample.landmarks().reshape(-1, 3))))


def square_box(face: Box, *, width: int, height: int) -> PixelBox:
    """The square to cut out around a joint face box: that of NOTES 2.4, rounded to be exactly square.

    Raises UnusableClip when the face lies outside the picture.
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
