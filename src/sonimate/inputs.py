"""Reads and checks the two files that a user gives, without torch, so that errors are reported at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.codecs.mesh.cut_out import person_share
from sonimate.configs import KEEP, REFERENCE_SEED, SamplingOptions, require_size
from sonimate.errors import (
    InputsSwapped,
    NoPersonFound,
    OptionOutOfRange,
    UnreadableAudio,
    UnreadableImage,
)
from sonimate.face.crop import Canvas
from sonimate.face.framing import Choice, Framed, frame_face, frame_speakers
from sonimate.face.geometry import MaskBox
from sonimate.face.mesh import FaceMesh
from sonimate.face.picture import read_picture
from sonimate.face.visibility import require_visible
from sonimate.media.audio import WHOLE_SOUND, SoundChoice, is_silent, read_audio, sound_seconds
from sonimate.media.backdrop import Backdrop, read_backdrop
from sonimate.media.container import is_sound
from sonimate.media.image import is_image, read_alpha
from sonimate.types import Box, Portrait, Waveform

DEFAULT_SIZE_PX = 1024
MASK_SCALES = (0.5, 3.0)
SEED_SECONDS = 30.0
"""Of a sound, what decides the seed: a forecast reads no more."""
SEED_SAMPLES = round(SEED_SECONDS * SAMPLE_RATE_HZ)

_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class Inputs:
    """What an animation starts from. waveform: 16 kHz; for a forecast, the beginning of a long sound.
    sample_count: of the whole sound at 16 kHz. sound_path, sound_choice: the sound for the video. face_box:
    the face's box in pixels of the file's picture. canvas: with paste_back, and for one of several speakers,
    the picture into which `PasteBack` pastes the frames. number: of a speaker's face, from the left.
    backdrop: what is shown behind the person, in place of what the picture shows there."""

    portrait: Portrait
    waveform: Waveform
    sample_count: int
    sound_path: Path
    face_box: Box
    sound_choice: SoundChoice = WHOLE_SOUND
    canvas: Canvas | None = None
    number: int | None = None
    backdrop: Backdrop | None = None


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
    force: bool = False,
    mesh: FaceMesh | None = None,
    sound_choice: SoundChoice = WHOLE_SOUND,
    frame_seconds: float | None = None,
    background: str = KEEP,
    forecast: bool = False,
) -> Inputs:
    """Read a sound file and a portrait file; the other options are those of `read_portrait`.

    frame_seconds: of a video as portrait, the time of the frame to animate, as in `read_picture`.

    forecast: of a long sound, decode only what decides the seed; the length is then known within 0.1 s.

    paste_back: the video shows the whole picture at its own size, at most MAX_SIZE_PX, with even sides; the
    portrait, the part that moves, may then have odd sides.
    force: take a portrait whose mouth is covered. What else looks wrong in it, and a silent sound, are only
    logged warnings.
    background: compact model, without paste_back; as in `read_backdrop`. A picture that is cut out already,
    with an alpha channel, stays so.
    Raises the errors of `read_audio`, `read_portrait` and `read_backdrop`, MouthNotVisible, NoPersonFound.
    """
    if background != KEEP and (size is None or paste_back):
        raise OptionOutOfRange(
            f"--background does not go with {'--paste-back' if paste_back else 'the full model'}. Leave one "
            "of them out."
        )
    backdrop = read_backdrop(background)
    waveform, sample_count = _hear(audio, sound_choice, forecast=forecast)
    choice = Choice(face, face_box, size, crop, paste_back, mask_box)
    framed = _frame(portrait, choice, mesh, frame_seconds, with_alpha=backdrop is not None)
    require_visible(framed.portrait, name=str(portrait), force=force)
    shown = framed.portrait if backdrop is None else _without_background(framed.portrait, str(portrait))
    sound: dict[str, Any] = {"sound_path": Path(audio), "sound_choice": sound_choice}
    shared: dict[str, Any] = {"face_box": framed.face.box, "canvas": framed.canvas, "backdrop": backdrop}
    return Inputs(shown, waveform, sample_count, **sound, **shared)


def _without_background(portrait: Portrait, name: str) -> Portrait:
    """The portrait with the share of the person; its own one is the picture's alpha channel. Raises
    NoPersonFound."""
    share = person_share(portrait.pixels, portrait.face.landmarks, portrait.share)
    if share is None:
        raise NoPersonFound(
            f"The person in {name} cannot be told from the background. Give a picture that is cut out "
            "already, such as a PNG with a transparent background, or leave out --background."
        )
    return replace(portrait, share=share)


def read_conversation(
    picture: str | Path,
    sounds: Mapping[int, str | Path],
    *,
    size: int | None = DEFAULT_SIZE_PX,
    paste_back: bool = False,
    force: bool = False,
    mesh: FaceMesh | None = None,
    sound_choice: SoundChoice = WHOLE_SOUND,
    frame_seconds: float | None = None,
    forecast: bool = False,
) -> list[Inputs]:
    """Read a picture and a sound for each of several faces in it, which will speak in one video.

    sounds: by the number of a face, counted from the left, 1 first. All sounds begin with the video, which
    lasts as long as the longest; silence follows the others. Each of the returned inputs has that length.
    size, paste_back: the video shows the whole picture, at most `size` px, or with paste_back at its own
    size. force, sound_choice, frame_seconds, forecast: as in `read_inputs`.
    Raises the errors of `read_inputs`, and OptionOutOfRange for no sound.
    """
    _check_options(size, None)
    if not sounds:
        raise OptionOutOfRange("There is no speaker. Give a sound for at least one face.")
    numbers = sorted(sounds)
    heard = [_hear(sounds[number], sound_choice, forecast=forecast) for number in numbers]
    longest = max(count for _, count in heard)
    decoded = min(longest, SEED_SAMPLES) if forecast else longest
    mesh = mesh or FaceMesh()
    pixels = _picture(picture, mesh, frame_seconds)
    choice = Choice(size=size, paste_back=paste_back)
    framed = frame_speakers(pixels, numbers, choice, name=str(picture), mesh=mesh)
    speakers: list[Inputs] = []
    for number, one, (waveform, _) in zip(numbers, framed, heard, strict=True):
        require_visible(one.portrait, name=f"{picture} (face {number})", force=force)
        samples = np.pad(waveform.samples, (0, max(decoded - len(waveform.samples), 0)))
        speakers.append(
            Inputs(
                one.portrait,
                Waveform(samples, waveform.rate_hz),
                longest,
                Path(sounds[number]),
                one.face.box,
                sound_choice,
                one.canvas,
                number,
            )
        )
    return speakers


def _hear(audio: str | Path, choice: SoundChoice, *, forecast: bool) -> tuple[Waveform, int]:
    """The chosen sound at 16 kHz and the number of its samples; for a forecast, only SEED_SECONDS of it.
    Raises the errors of `read_audio`, and InputsSwapped for a picture."""
    try:
        return _heard(audio, choice, forecast=forecast)
    except UnreadableAudio as error:
        raise (_swapped(f"{audio} is a picture, not a sound") if is_image(audio) else error) from error


def _heard(audio: str | Path, choice: SoundChoice, *, forecast: bool) -> tuple[Waveform, int]:
    seconds = sound_seconds(audio, choice) if forecast else 0.0
    if seconds > SEED_SECONDS:
        beginning = read_audio(audio, choice=replace(choice, duration_seconds=SEED_SECONDS))
        return beginning, round(seconds * SAMPLE_RATE_HZ)
    waveform = read_audio(audio, choice=choice)
    if is_silent(waveform):
        _log.warning("%s is silent: the head will move, but the mouth will not speak.", audio)
    return waveform, len(waveform.samples)


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
    """Read a picture, or the best frame of a video, find its face, and bring it to even sides with the longer
    one at most `size` px.

    The options are those of `Choice`; mask_box as a number is from 0.5 to 3. A picture in which the face
    would become too small is cropped (`frame_face`). mesh: a `FaceMesh` that is already loaded.
    Raises the errors of `read_image`, NoFaceFound, FaceTooSmall, OptionOutOfRange.
    """
    return _frame(path, Choice(face, face_box, size, crop, False, mask_box), mesh).portrait


def with_seed(sampling: SamplingOptions, portrait: Portrait, waveform: Waveform) -> SamplingOptions:
    """`sampling` with a seed: its own; else REFERENCE_SEED where as_reference is set; else `derived_seed`."""
    if sampling.seed is not None:
        return sampling
    seed = REFERENCE_SEED if sampling.as_reference else derived_seed(portrait, waveform)
    return replace(sampling, seed=seed)


def derived_seed(portrait: Portrait, waveform: Waveform) -> int:
    """A number in [0, 2**32) from SHA-256 of the portrait's pixels and the sound's first SEED_SECONDS: equal
    inputs give equal videos, and another portrait or sound another head motion and other blinks."""
    digest = hashlib.sha256(np.ascontiguousarray(portrait.pixels).data)
    first = waveform.samples[:SEED_SAMPLES]
    digest.update(np.ascontiguousarray(first).data)
    return int.from_bytes(digest.digest()[:4], "big")


def _swapped(reason: str) -> InputsSwapped:
    return InputsSwapped(
        f"{reason}. The portrait comes first, then the sound: sonimate animate PORTRAIT AUDIO."
    )


def _frame(
    path: str | Path,
    choice: Choice,
    mesh: FaceMesh | None,
    frame_seconds: float | None = None,
    *,
    with_alpha: bool = False,
) -> Framed:
    _check_options(choice.size, choice.mask_box)
    mesh = mesh or FaceMesh()
    picture = _picture(path, mesh, frame_seconds)
    alpha = read_alpha(path) if with_alpha and is_image(path) else None
    return frame_face(picture, choice, name=str(path), mesh=mesh, alpha=alpha)


def _picture(path: str | Path, mesh: FaceMesh, frame_seconds: float | None) -> np.ndarray:
    """`read_picture`. Raises InputsSwapped for a sound."""
    try:
        return read_picture(path, mesh, frame_seconds)
    except UnreadableImage as error:
        raise (_swapped(f"{path} is a sound, not a picture") if is_sound(path) else error) from error


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
