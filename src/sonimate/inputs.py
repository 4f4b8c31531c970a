"""The two files that a user gives, read and checked. Loads no torch, so that bad ones are refused at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.errors import FaceTooSmall, OptionOutOfRange
from sonimate.face.mesh import MIN_FACE_PX, FaceMesh, select_face
from sonimate.media.audio import is_silent, read_audio
from sonimate.media.image import even_size, read_image, resize_longer_side
from sonimate.types import Portrait, Waveform

DEFAULT_SIZE_PX = 1024
MIN_SIZE_PX, MAX_SIZE_PX = 64, 8192

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px."""

_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class Inputs:
    """What an animation starts from. waveform: 16 kHz. sound_path: whose sound the video will carry."""

    portrait: Portrait
    waveform: Waveform
    sound_path: Path


def read_inputs(
    portrait: str | Path,
    audio: str | Path,
    *,
    face: int | None = None,
    face_box: Box | None = None,
    size: int = DEFAULT_SIZE_PX,
    mesh: FaceMesh | None = None,
) -> Inputs:
    """Read a sound file and a portrait file; the options are those of `read_portrait`.

    Raises the errors of `read_audio` and `read_portrait`; a silent sound is only a logged warning.
    """
    waveform = read_audio(audio)
    if is_silent(waveform):
        _log.warning("%s is silent: the portrait will live but not speak.", audio)
    found = read_portrait(portrait, face=face, face_box=face_box, size=size, mesh=mesh)
    return Inputs(found, waveform, Path(audio))


def read_portrait(
    path: str | Path,
    *,
    face: int | None = None,
    face_box: Box | None = None,
    size: int = DEFAULT_SIZE_PX,
    mesh: FaceMesh | None = None,
) -> Portrait:
    """Read a picture, bring it to even sides with the longer one at most `size` px, and find its face.

    face: which one, counted from the left, 1 first; face_box: the one overlapping this box of the file's
    picture; default the largest. mesh: one that is already loaded.
    Raises the errors of `read_image`, NoFaceFound, FaceTooSmall, OptionOutOfRange.
    """
    if not MIN_SIZE_PX <= size <= MAX_SIZE_PX:
        raise OptionOutOfRange(f"size = {size}; choose a longer side from {MIN_SIZE_PX} to {MAX_SIZE_PX} px.")
    pixels = read_image(path)
    original_width = pixels.shape[1]
    pixels = np.ascontiguousarray(even_size(resize_longer_side(pixels, size)))
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"{path} at {width} x {height} pixels has no room for a face of {MIN_FACE_PX} pixels. "
            "Use a larger picture, or a larger size."
        )
    box = None
    if face_box is not None:
        x0, y0, x1, y1 = (side * width / original_width for side in face_box)
        box = (x0, y0, x1, y1)
    faces = (mesh or FaceMesh()).find(pixels)
    return Portrait(pixels, select_face(faces, index=face, box=box))
