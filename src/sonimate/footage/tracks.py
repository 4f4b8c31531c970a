"""Stage `tracks`: the largest face of each shot, followed frame by frame and measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import tee

import cv2
import numpy as np

from sonimate.face.mesh import FaceMesh, face_size
from sonimate.face.regions import face_height
from sonimate.face.tracking import fill_gaps, stack_landmarks
from sonimate.footage.sample import Sample
from sonimate.footage.sources import ForwardReader
from sonimate.types import Face

STAGE = "tracks"
MAX_GAP_FRAMES = 5
"""A track ends when the face is not seen for longer (0.2 s): the next face may be of another person."""
MAX_JUMP = 0.6
"""Face heights per frame; no head moves that fast, so a larger jump is another face."""
LOOK_EVERY_FRAMES = 25
"""The whole picture is searched for other people once a second."""
SHARPNESS_EVERY_FRAMES = 5
RIVAL_SIZE = 0.5
"""Another face counts as a possible speaker from this share of the followed face's size."""
SHARPNESS_PX = 128


View = tuple[Face | None, float | None, int | None]
"""The face of a frame, or None; its sharpness (see `face_sharpness`) and the number of rivals (see
`count_rivals`), or None in frames in which they were not measured."""


def track_faces(sample: Sample, *, mesh: FaceMesh, reader: ForwardReader) -> Iterator[Sample]:
    """A shot -> the stretches in which one face, the largest, is seen without a break.

    Writes each stretch's landmarks; gaps of up to MAX_GAP_FRAMES are filled along a line and counted.
    A shot without a face is rejected.
    """
    views = list(view_frames(reader.read(sample.source, sample.start, sample.count), mesh))
    found = split_tracks([face for face, _, _ in views])
    if not found:
        yield sample.rejected(STAGE, "no face")
    for first, end in found:
        track = replace(sample, start=sample.start + first, count=end - first)
        yield _measured(track, views[first:end])


def _measured(track: Sample, views: list[View]) -> Sample:
    faces = [face for face, _, _ in views]
    landmarks = stack_landmarks(faces)
    np.save(track.path(".landmarks.npy"), fill_gaps(landmarks))
    sharpness = [value for _, value, _ in views if value is not None]
    looks = [rivals > 0 for _, _, rivals in views if rivals is not None]
    return track.with_facts(
        STAGE,
        face_height_px=float(np.nanmedian(face_height(landmarks))),
        lost_share=float(np.mean([face is None for face in faces])),
        median_presence=float(np.median([face.presence if face else 0.0 for face in faces])),
        sharpness=float(np.median(sharpness)) if sharpness else 0.0,
        rival_share=float(np.mean(looks)) if looks else 0.0,
    )


def view_frames(frames: Iterable[np.ndarray], mesh: FaceMesh) -> Iterator[View]:
    """Follow the largest face through uint8 RGB frames (h, w, 3)."""
    frames, followed = tee(frames)
    for index, (frame, face) in enumerate(zip(frames, mesh.track(followed), strict=True)):
        sharpness, rivals = None, None
        if face is not None and index % SHARPNESS_EVERY_FRAMES == 0:
            sharpness = face_sharpness(frame, face)
        if face is not None and index % LOOK_EVERY_FRAMES == 0:
            rivals = count_rivals(face, mesh.find(frame))
        yield face, sharpness, rivals


def split_tracks(faces: list[Face | None]) -> list[tuple[int, int]]:
    """Stretches (first, end) of one face each: broken by gaps over MAX_GAP_FRAMES and jumps over MAX_JUMP."""
    tracks: list[tuple[int, int]] = []
    last: Face | None = None
    for index, face in enumerate(faces):
        if face is None:
            continue
        if last is None or index - tracks[-1][1] > MAX_GAP_FRAMES or _jump(last, face) > MAX_JUMP:
            tracks.append((index, index))
        tracks[-1] = (tracks[-1][0], index + 1)
        last = face
    return tracks


def _jump(before: Face, after: Face) -> float:
    """How far the face moved, in its own heights."""
    move = after.landmarks[:, :2].mean(0) - before.landmarks[:, :2].mean(0)
    return float(np.linalg.norm(move) / face_height(before.landmarks[None])[0])


def count_rivals(face: Face, found: list[Face]) -> int:
    """How many of the faces found in a frame are other people than `face`, and large enough to speak."""
    x0, y0, x1, y1 = face.box
    others = [
        other
        for other in found
        if not (x0 < (other.box[0] + other.box[2]) / 2 < x1 and y0 < (other.box[1] + other.box[3]) / 2 < y1)
    ]
    return sum(face_size(other) >= RIVAL_SIZE * face_size(face) for other in others)


def face_sharpness(pixels: np.ndarray, face: Face) -> float:
    """How much detail the face shows at SHARPNESS_PX: standard deviation of its Laplacian over that of its
    grey levels. Neither contrast nor resolution beyond SHARPNESS_PX raise it; blur lowers it."""
    x0, y0, x1, y1 = (max(0, round(side)) for side in face.box)
    part = cv2.cvtColor(pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)], cv2.COLOR_RGB2GRAY)
    shrinks = part.shape[0] * part.shape[1] > SHARPNESS_PX**2
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    grey = cv2.resize(part, (SHARPNESS_PX, SHARPNESS_PX), interpolation=method).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() / (grey.std() + 1e-6))
