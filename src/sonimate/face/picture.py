"""The picture to animate: a still one, or the frame of a video that shows a face best."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import numpy as np

from sonimate.errors import NoFaceFound, OptionOutOfRange, UnreadableImage, UnreadableVideo
from sonimate.face.framing import find_faces
from sonimate.face.mesh import FaceMesh, face_size
from sonimate.face.visibility import CLOSED_EYES, visibility
from sonimate.media.image import animated_frames, read_image
from sonimate.media.video import read_frames
from sonimate.types import Portrait

SEARCHED_FPS, SEARCHED_SECONDS = 4.0, 10.0
"""Frames of a video that are looked at: a blink or a wide open mouth is over in half a second."""
FINE_FPS = 100.0
"""Clock on which the frame at a given time is found."""

_log = logging.getLogger("sonimate")


def read_picture(path: str | Path, mesh: FaceMesh, frame_seconds: float | None = None) -> np.ndarray:
    """A picture file, or a frame of a video or of an animated picture, uint8 (h, w, 3).

    frame_seconds: the time of the frame; None: the first one, of four a second over ten seconds, with a face
    whose mouth is visible and whose eyes are open, else the one that lacks least. A logged warning says which
    frame was taken.
    Raises the errors of `read_image`, NoFaceFound where no searched frame has a face, and OptionOutOfRange
    for a time beyond the end, or with a still picture.
    """
    moving = _moving(path, FINE_FPS if frame_seconds is not None else SEARCHED_FPS)
    if moving is None:
        if frame_seconds is not None:
            raise OptionOutOfRange(f"{path} is a still picture: leave out --frame.")
        return read_image(path)
    if frame_seconds is not None:
        return _frame_at(path, moving, frame_seconds)
    found: list[tuple[int, float, np.ndarray]] = []
    for seconds, pixels in takewhile(lambda frame: frame[0] < SEARCHED_SECONDS, moving):
        missing = _missing(pixels, mesh)
        if missing is not None and (not found or missing < found[0][0]):
            found = [(missing, seconds, pixels)]
        if missing == 0:
            break
    if not found:
        raise NoFaceFound(
            f"{path} shows no face in its first {SEARCHED_SECONDS:g} s. Give a picture, or the time of a "
            "frame with a face: --frame SECONDS."
        )
    _, seconds, pixels = found[0]
    _log.warning(
        "%s is a video: the portrait is its frame at %.2f s. --frame SECONDS takes another.", path, seconds
    )
    return pixels


def _moving(path: str | Path, fps: float) -> Iterator[tuple[float, np.ndarray]] | None:
    """Times in seconds and frames of a video or animated picture; None for a still picture. Raises the errors
    of `read_image` for what is neither."""
    try:
        animated = animated_frames(path)
    except UnreadableImage:
        frames = read_frames(path, fps=fps)
        first = None
        with suppress(UnreadableVideo):
            first = next(frames, None)
        if first is None:
            read_image(path)  # says what is wrong with it
            raise
        return _timed(first, frames, fps)
    return iter(animated) if animated is not None else None


def _timed(first: np.ndarray, others: Iterable[np.ndarray], fps: float) -> Iterator[tuple[float, np.ndarray]]:
    yield 0.0, first
    for index, pixels in enumerate(others, 1):
        yield index / fps, pixels


def _frame_at(path: str | Path, moving: Iterator[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """The last frame that begins at `seconds` or before."""
    shown: tuple[float, np.ndarray] | None = None
    for frame in moving:
        if frame[0] > seconds + 1e-6:
            assert shown is not None
            return shown[1]
        shown = frame
    end = shown[0] if shown else 0.0
    if shown is None or seconds > end + 1 / SEARCHED_FPS:
        raise OptionOutOfRange(f"{path} ends at {end:.2f} s: --frame {seconds:g} lies beyond.")
    return shown[1]


def _missing(pixels: np.ndarray, mesh: FaceMesh) -> int | None:
    """How much a frame lacks of what an animation needs, 0: nothing; None: it has no face."""
    faces = find_faces(pixels, mesh)
    if not faces:
        return None
    seen = visibility(Portrait(pixels, max(faces, key=face_size)))
    return (
        8 * seen.mouth.hidden
        + 4 * seen.mouth.partly_hidden
        + 2 * (seen.eyes_closed > CLOSED_EYES)
        + 2 * seen.mouth.blurred
        + seen.mouth_wide_open
    )
