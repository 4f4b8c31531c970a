"""Reads and checks the two files that a user gives, without torch, so that errors are reported at once."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sonimate.configs import MAX_SIZE_PX, REFERENCE_SEED, SamplingOptions, require_size
from sonimate.errors import FaceTooSmall, InputsSwapped, OptionOutOfRange, UnreadableAudio, UnreadableImage
from sonimate.face.crop import Canvas, crop_box, move_face, reference_crop
from sonimate.face.geometry import MaskBox, moved_box, scaled_box
from sonimate.face.mesh import MIN_FACE_PX, FaceMesh, select_face
from sonimate.media.audio import is_silent, read_audio
from sonimate.media.container import is_sound
from sonimate.media.image import even_size, is_image, read_image, resize_longer_side
from sonimate.types import Box, Face, Portrait, Waveform

DEFAULT_SIZE_PX = 1024
MASK_SCALES = (0.5, 3.0)

_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class Inputs:
    """What an animation starts from. waveform: 16 kHz. sound_path: the file with the sound for the video.
    canvas: with paste_back, the picture into which `PasteBack` pastes the frames."""

    portrait: Portrait
    waveform: Waveform
    sound_path: Path
    canvas: Canvas | None = None

    @property
    def face_box(self) -> Box:
        """The face's box in the picture that the video shows, px; before the full model's resizing."""
        if self.canvas is None:
            return self.portrait.face.box
        left, top, right, _ = self.canvas.box
        scale = (right - left) / self.portrait.pixels.shape[1]
        x0, y0, x1, y1 = _scaled(self.portrait.face.box, scale)
        return left + x0, top + y0, left + x1, top + y1


def read_inputs(
    portrait: str | Path,
    audio: str | Path,
    *,
    face: int | None = None,
    face_box: Box | None = None,
    size: int | None = DEFAULT_SIZE_PX,
    crop: bool = False,
    paste_back: bool = False,
    mask_box: MaskBox | None = None,
    mesh: FaceMesh | None = None,
) -> Inputs:
    """Read a sound file and a portrait file; the other options are those of `read_portrait`.

    paste_back: the video shows the whole picture at its own size, at most MAX_SIZE_PX, with even sides; the
    portrait, the part that moves, may then have odd sides.
    Raises the errors of `read_audio` and `read_portrait`; a silent sound is only a logged warning.
    """
    try:
        waveform = read_audio(audio)
    except UnreadableAudio as error:
        raise (_swapped(f"{audio} is a picture, not a sound") if is_image(audio) else error) from error
    if is_silent(waveform):
        _log.warning("%s is silent: the head will move, but the mouth will not speak.", audio)
    try:
        found, canvas = _read(portrait, face, face_box, size, crop, paste_back, mask_box, mesh)
    except UnreadableImage as error:
        raise (_swapped(f"{portrait} is a sound, not a picture") if is_sound(portrait) else error) from error
    return Inputs(found, waveform, Path(audio), canvas)


def read_portrait(
    path: str | Path,
    *,
    face: int | None = None,
    face_box: Box | None = None,
    size: int | None = DEFAULT_SIZE_PX,
    crop: bool = False,
    mask_box: MaskBox | None = None,
    mesh: FaceMesh | None = None,
) -> Portrait:
    """Read a picture, bring it to even sides with the longer one at most `size` px, and find its face.

    face: which one, counted from the left, 1 first; face_box: the one overlapping this box of the file's
    picture; default the largest. size: None, for the full model, leaves the sides as they are, odd ones too.
    crop: the picture is first cut to the face's surroundings: `crop_box`, or for the full model
    `reference_crop`. mask_box: full model only; the box for the face mask and the crop, in place of the
    landmarks' box: a number from 0.5 to 3 scales that one about its centre, four numbers are a box in pixels
    of the file's picture. mesh: a `FaceMesh` that is already loaded.
    Raises the errors of `read_image`, NoFaceFound, FaceTooSmall, OptionOutOfRange.
    """
    return _read(path, face, face_box, size, crop, False, mask_box, mesh)[0]


def with_seed(sampling: SamplingOptions, portrait: Portrait, waveform: Waveform) -> SamplingOptions:
    """`sampling` with a seed: its own; else REFERENCE_SEED where as_reference is set; else `derived_seed`."""
    if sampling.seed is not None:
        return sampling
    seed = REFERENCE_SEED if sampling.as_reference else derived_seed(portrait, waveform)
    return replace(sampling, seed=seed)


def derived_seed(portrait: Portrait, waveform: Waveform) -> int:
    """A number in [0, 2**32) from SHA-256 of the portrait's pixels and the sound's samples: equal inputs give
    equal videos, and another portrait or sound another head motion and other blinks."""
    digest = hashlib.sha256(np.ascontiguousarray(portrait.pixels).data)
    digest.update(np.ascontiguousarray(waveform.samples).data)
    return int.from_bytes(digest.digest()[:4], "big")


def _swapped(reason: str) -> InputsSwapped:
    return InputsSwapped(
        f"{reason}. The portrait comes first, then the sound: sonimate animate PORTRAIT AUDIO."
    )


def _read(
    path: str | Path,
    index: int | None,
    face_box: Box | None,
    size: int | None,
    crop: bool,
    paste_back: bool,
    mask_scale_or_box: MaskBox | None,
    mesh: FaceMesh | None,
) -> tuple[Portrait, Canvas | None]:
    """The portrait and, with paste_back, its canvas; what becomes the video's frame has even sides."""
    _check_options(size, mask_scale_or_box)
    picture = read_image(path)
    height, file_width = picture.shape[:2]
    if min(height, file_width) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"{path} is {file_width} x {height} pixels: it has no room for a face of {MIN_FACE_PX} pixels. "
            "Use a larger picture."
        )

    def find(pixels: np.ndarray) -> tuple[Face, Box | None]:
        """The chosen face in the file's picture, scaled to `pixels`, and its mask box."""
        height, width = pixels.shape[:2]
        if min(height, width) < MIN_FACE_PX:
            raise FaceTooSmall(
                f"{path} at {width} x {height} pixels has no room for a face of {MIN_FACE_PX} pixels. "
                "Use a larger picture, or a larger size."
            )
        chosen = None if face_box is None else _scaled(face_box, width / file_width)
        face = select_face((mesh or FaceMesh()).find(pixels), index=index, box=chosen)
        if isinstance(mask_scale_or_box, tuple):
            return face, _scaled(mask_scale_or_box, width / file_width)
        return face, None if mask_scale_or_box is None else scaled_box(face.box, mask_scale_or_box)

    if paste_back:
        picture = np.ascontiguousarray(even_size(resize_longer_side(picture, MAX_SIZE_PX)))
    height, width = picture.shape[:2]
    face, mask_box, box = None, None, (0, 0, width, height)
    if crop:
        face, mask_box = find(picture)
        surroundings = reference_crop if size is None else crop_box
        box = surroundings(mask_box or face.box, width=width, height=height)
    x0, y0, x1, y1 = box
    pixels = picture[y0:y1, x0:x1]
    if size is not None:
        pixels = resize_longer_side(pixels, size)
    height, width = pixels.shape[:2]
    if size is not None and not paste_back:
        pixels = even_size(pixels)
    pixels = np.ascontiguousarray(pixels)
    if face is None:
        face, mask_box = find(pixels)
    else:
        face = select_face([move_face(face, box, width=width, height=height)])
        mask_box = mask_box and moved_box(mask_box, box, width=width, height=height)
    return Portrait(pixels, face, mask_box), Canvas(picture, box) if paste_back else None


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = (side * scale for side in box)
    return x0, y0, x1, y1


def _check_options(size: int | None, mask_box: MaskBox | None) -> None:
    if size is not None:
        require_size(size)
        if mask_box is not None:
            raise OptionOutOfRange(
                "--mask-box is for the full model; the compact one has its own mask. Leave it out."
            )
    low, high = MASK_SCALES
    if isinstance(mask_box, tuple):
        x0, y0, x1, y1 = mask_box
        if not (x0 < x1 and y0 < y1):
            raise OptionOutOfRange(f"mask_box = {mask_box}; give x0, y0, x1, y1 with x0 < x1 and y0 < y1.")
    elif mask_box is not None and not low <= mask_box <= high:
        raise OptionOutOfRange(f"mask_box = {mask_box}; choose a scale from {low} to {high}, or four sides.")
