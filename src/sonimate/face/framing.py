"""Which part of a picture a video shows: the face is found in the whole picture, then cut out and shrunk.

Everything that a user gives or reads is in pixels of the file's picture, upright as it is shown.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sonimate.configs import MAX_SIZE_PX
from sonimate.errors import FaceTooSmall
from sonimate.face.crop import Canvas, crop_box, move_face, person_box, reference_crop, share_among
from sonimate.face.geometry import MaskBox, PixelBox, moved_box, scaled_box
from sonimate.face.mesh import MIN_FACE_PX, FaceMesh, face_size, select_face
from sonimate.media.image import even_size, resize_longer_side
from sonimate.types import Box, Face, Portrait

SEARCH_PX = 32_000
"""Longest side in which faces are searched: OpenCV's warps take pictures of at most 32,766 px a side."""

_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class Choice:
    """What the video shall show of a picture.

    face: which one, counted from the left, 1 first; face_box: the one overlapping this box; default the
    largest. size: limit of the longer side of what moves, px; None, for the full model, leaves the sides as
    they are, odd ones too. crop: only the face and its surroundings: `crop_box`, or for the full model
    `reference_crop`. paste_back: the moving part is shown within the whole picture. mask_box: full model
    only; the box for the face mask and the crop, in place of the landmarks' box: a number scales that one
    about its centre, four numbers are a box. Boxes are in pixels of the file's picture.
    """

    face: int | None = None
    face_box: Box | None = None
    size: int | None = None
    crop: bool = False
    paste_back: bool = False
    mask_box: MaskBox | None = None


@dataclass(frozen=True)
class Framed:
    """portrait: what moves. face: the chosen one in the file's picture, px. canvas: with paste_back, the
    picture into which frames are pasted."""

    portrait: Portrait
    face: Face
    canvas: Canvas | None


def find_faces(pixels: np.ndarray, mesh: FaceMesh, *, every_size: bool = False) -> list[Face]:
    """`FaceMesh.find` in a picture uint8 (h, w, 3) of any size."""
    height, width = pixels.shape[:2]
    searched = resize_longer_side(pixels, SEARCH_PX)
    found = mesh.find(searched, every_size=every_size)
    if searched is pixels:
        return found
    whole = (0, 0, searched.shape[1], searched.shape[0])
    return [move_face(face, whole, width=width, height=height) for face in found]


def frame_face(
    picture: np.ndarray, choice: Choice, *, name: str, mesh: FaceMesh, alpha: np.ndarray | None = None
) -> Framed:
    """The chosen face of a file's picture uint8 (h, w, 3), and the part of the picture that the video shows.

    The video's frame gets even sides. Where the whole picture at `choice.size` would show the face smaller
    than MIN_FACE_PX, the compact model's picture is cropped, with a logged warning. name: the file's, for
    messages. alpha: uint8 (h, w), how opaque the picture is: it becomes the portrait's share.
    Raises NoFaceFound, FaceTooSmall.
    """
    _require_room(picture, name)
    height, width = picture.shape[:2]
    # A number or a box may mean a face that is small beside the largest one.
    is_chosen = choice.face is not None or choice.face_box is not None
    faces = find_faces(picture, mesh, every_size=is_chosen)
    chosen = select_face(faces, index=choice.face, box=choice.face_box)
    face, mask_box = chosen, _mask_box(choice, chosen)
    if choice.paste_back:
        shrunk = resize_longer_side(picture, MAX_SIZE_PX)
        face, mask_box = _moved(face, mask_box, (0, 0, width, height), shrunk)
        picture = np.ascontiguousarray(even_size(shrunk))
        height, width = picture.shape[:2]
    box = _shown(choice, face, mask_box, width, height)
    portrait = _cut(picture, box, face, mask_box, choice.size, name)
    if choice.paste_back:
        return Framed(portrait, chosen, Canvas(picture, box))
    if choice.size is not None:
        share = alpha if alpha is None else even_size(_part(alpha, box, choice.size))
        portrait = replace(portrait, pixels=np.ascontiguousarray(even_size(portrait.pixels)), share=share)
    return Framed(portrait, chosen, None)


def frame_speakers(
    picture: np.ndarray, numbers: Sequence[int], choice: Choice, *, name: str, mesh: FaceMesh
) -> list[Framed]:
    """Several faces of one picture, all to be pasted into it, each with its own share of the pixels.

    numbers: of the faces, counted from the left, 1 first. choice: its size, and whether the picture keeps its
    own size, at most MAX_SIZE_PX: with paste_back, and for the full model. All faces of MIN_FACE_PX and more
    have their share, so that those who do not speak stay as they are.
    Raises NoFaceFound, FaceTooSmall.
    """
    _require_room(picture, name)
    height, width = picture.shape[:2]
    found = find_faces(picture, mesh, every_size=True)
    speaking = [select_face(found, index=number) for number in numbers]
    limit = choice.size if choice.size and not choice.paste_back else MAX_SIZE_PX
    shrunk = resize_longer_side(picture, limit)
    canvas = np.ascontiguousarray(even_size(shrunk))
    whole = (0, 0, width, height)
    silent = [face for face in found if all(face is not one for one in speaking)]
    others = [_moved(face, None, whole, shrunk)[0] for face in silent if face_size(face) >= MIN_FACE_PX]
    height, width = canvas.shape[:2]
    framed: list[Framed] = []
    least_size = max(_least_size(chosen, whole) for chosen in speaking)
    for chosen in speaking:
        face, _ = _moved(chosen, None, whole, shrunk)
        _require_size(face, name, least_size)
        if choice.size is None:
            box = reference_crop(face.box, width=width, height=height)
        else:
            box = person_box(face, width=width, height=height)
        share = share_among(face.box, [other.box for other in others], box)
        portrait = _cut(canvas, box, face, None, choice.size, name)
        framed.append(Framed(portrait, chosen, Canvas(canvas, box, share)))
        others.append(face)
    return framed


def _cut(
    picture: np.ndarray, box: PixelBox, face: Face, mask_box: Box | None, size: int | None, name: str
) -> Portrait:
    """The part of a picture in `box`, shrunk to a longer side of `size` px. Raises FaceTooSmall."""
    pixels = _part(picture, box, size)
    moved, mask_box = _moved(face, mask_box, box, pixels)
    _require_size(moved, name, _least_size(face, box))
    return Portrait(np.ascontiguousarray(pixels), moved, mask_box)


def _part(picture: np.ndarray, box: PixelBox, size: int | None) -> np.ndarray:
    x0, y0, x1, y1 = box
    part = picture[y0:y1, x0:x1]
    return part if size is None else resize_longer_side(part, size)


def _require_room(picture: np.ndarray, name: str) -> None:
    height, width = picture.shape[:2]
    if min(height, width) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"{name} is {width} x {height} pixels: it has no room for a face of {MIN_FACE_PX} pixels. "
            "Use a larger picture."
        )


def _require_size(face: Face, name: str, least_size: int) -> None:
    """Raises FaceTooSmall, naming the --size that a face of this size in the video would need."""
    if face_size(face) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"The face in {name} would be {face_size(face):.0f} pixels high in the video, but at least "
            f"{MIN_FACE_PX} are needed. Use a larger size: --size {least_size} or more."
        )


def _shown(choice: Choice, face: Face, mask_box: Box | None, width: int, height: int) -> PixelBox:
    """The part of a picture (height, width) that moves."""
    whole = (0, 0, width, height)
    if choice.size is None:
        return reference_crop(mask_box or face.box, width=width, height=height) if choice.crop else whole
    crop = crop_box(face.box, width=width, height=height)
    if choice.crop:
        return crop
    face_px = face_size(face) * min(1, choice.size / max(width, height))
    if face_px >= MIN_FACE_PX or face_size(face) < MIN_FACE_PX:
        return whole
    x0, y0, x1, y1 = crop
    advice = "" if choice.paste_back else " --paste-back shows the whole picture;"
    _log.warning(
        "In the whole picture at --size %d the face would be only %.0f pixels high. So only its surroundings "
        "are animated, %d x %d pixels of the picture.%s --size %d animates all of it.",
        *(choice.size, face_px, x1 - x0, y1 - y0, advice, _least_size(face, whole)),
    )
    return crop


def _least_size(face: Face, box: PixelBox) -> int:
    """The longer side to which `box` of the face's picture may be shrunk with a face of MIN_FACE_PX."""
    x0, y0, x1, y1 = box
    return math.ceil(max(x1 - x0, y1 - y0) * MIN_FACE_PX / face_size(face) / 10) * 10


def _mask_box(choice: Choice, face: Face) -> Box | None:
    if choice.mask_box is None or isinstance(choice.mask_box, tuple):
        return choice.mask_box
    return scaled_box(face.box, choice.mask_box)


def _moved(face: Face, mask_box: Box | None, box: PixelBox, target: np.ndarray) -> tuple[Face, Box | None]:
    """Both as they lie in the picture `target` (h, w, 3) that `box` of their own is scaled to."""
    height, width = target.shape[:2]
    moved = move_face(face, box, width=width, height=height)
    return moved, mask_box and moved_box(mask_box, box, width=width, height=height)
