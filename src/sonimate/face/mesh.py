"""Faces in images and videos: 478 landmarks each, by MediaPipe's face mesh (Kartynnik et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sonimate.errors import FaceTooSmall, NoFaceFound
from sonimate.face.detect import (
    MIN_OVERLAP,
    TILE_PX,
    TURNS_DEGREES,
    USUAL_LEVELS,
    BundledNetwork,
    Detection,
    FaceDetector,
    Roi,
    finer_levels,
    overlap,
    task_network,
    transform,
)
from sonimate.face.regions import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from sonimate.types import Box, Face

CROP_PX = 256
"""Side of the landmark network's input."""

ROI_SCALE = 1.5
"""Side of the crop over the longer side of the face box, as the network was trained."""

MIN_PRESENCE = 0.5
"""MediaPipe's own threshold on the probability that the crop holds a face."""

MIN_CONFIRMATION = 0.7
"""Lowest score of a second detection, upright and well scaled, of what the mesh takes for a face. The mesh
alone gives a bearded neck a presence of 0.9998. On 17 portraits, also shrunk to a face of 24 px, noisy, dark
or compressed, faces score 0.77 and more, and everything else 0.62 and less, except one blurred sign with
windows like eyes, found only after the real face was painted over."""

SURE_PRESENCE = 0.9999
"""Presence above which tracking needs no second detection (22 of 24 real clips are always above it)."""

CROP_GAIN = 0.25
"""Share of a small move that the crop follows in one frame. From a new crop of the same face the network
reads slightly other landmarks; if the crop followed them fully, a still face would shimmer by 2 px in 300."""

SETTLING_FRAMES = 8
"""Times that the first frame of a track is measured, so that the damped crop starts at rest."""

CROP_LEEWAY = 0.08
"""Move, in sides of the crop, from which the crop follows fully, so that fast heads stay inside."""

MIN_FACE_PX = 48
"""Smallest face that can be animated: its mouth is some 16 pixels wide and its lips 2 pixels thick."""


class FaceMesh:
    """Finds faces and their landmarks. Not safe to share between threads.

    on_likely_face: called for each detection that the landmark network takes for a face, before the search
    goes on.
    """

    def __init__(self, num_threads: int = 2, on_likely_face: Callable[[], None] | None = None) -> None:
        self._on_likely_face = on_likely_face
        self._detector = FaceDetector(num_threads)
        outputs = ["Identity", "Identity_1"]  # landmarks and the logit of a face's presence
        content = task_network("face_landmarks_detector.tflite")
        self._network = BundledNetwork(content, outputs, num_threads)

    def find(self, pixels: np.ndarray, *, every_size: bool = False) -> list[Face]:
        """All faces of an image, left to right; an empty list if there is none.

        pixels: uint8 RGB (h, w, 3), at most 32,766 px a side. Searches upright faces, then turned ones, then
        ever smaller ones; each step only when the steps before found nothing. every_size: the first step
        searches small faces too, which takes seconds in a large image; else a face below 5 % of the longer
        side may be missed beside a larger one.
        """
        height, width = pixels.shape[:2]
        finer = finer_levels(height, width)
        first = (*USUAL_LEVELS, *finer) if every_size else USUAL_LEVELS
        steps: list[tuple[tuple[int, ...], float]] = [
            (first, 0.0),
            *((USUAL_LEVELS, math.radians(turn)) for turn in TURNS_DEGREES),
        ]
        if not every_size:
            steps += [((level,), 0.0) for level in finer]
        searches = (self._search(pixels, levels, angle) for levels, angle in steps)
        found = next(filter(None, searches), None) or []
        return sorted(found, key=lambda face: face.box[0] + face.box[2])

    def refine(self, pixels: np.ndarray, face: Face) -> Face:
        """The face measured again in `pixels` from a crop centred on its landmarks."""
        return self._measure(pixels, roi_from_landmarks(face.landmarks))

    def track(self, frames: Iterable[np.ndarray], *, start: Face | None = None) -> Iterator[Face | None]:
        """One face through a video: of each frame, uint8 RGB (h, w, 3), the face or None.

        Follows `start` (a face of the first frame), by default the largest; when it is lost, the largest
        found again. Only the crop depends on the frames before: landmarks are not smoothed.
        """
        roi = None
        for frame in frames:
            face = None if roi is None else self._measure(frame, roi)
            if face is None or (face.presence < SURE_PRESENCE and not self._is_confirmed(frame, face)):
                found = [start] if start else self._search(frame, USUAL_LEVELS)
                start, roi = None, None
                face = self._settle(frame, max(found, key=face_size)) if found else None
            if face is not None:
                roi = follow(roi, roi_from_landmarks(face.landmarks))
            yield face

    def _settle(self, pixels: np.ndarray, face: Face) -> Face:
        """The face as tracking measures it after some frames of a still video of `pixels`."""
        roi = None
        for _ in range(SETTLING_FRAMES):
            roi = follow(roi, roi_from_landmarks(face.landmarks))
            face = self._measure(pixels, roi)
        return face

    def _search(self, pixels: np.ndarray, levels: Iterable[int], angle: float = 0.0) -> list[Face]:
        """Confirmed faces at some pyramid levels of the image turned by `angle` radians, each once."""
        faces: list[Face] = []
        for level in levels:
            for detection in self._detector.detect(pixels, level, angle):
                if _is_inside_one(detection.box, faces):
                    continue
                face = self._measure(pixels, roi_from_detection(detection))
                if face.presence < MIN_PRESENCE:
                    continue
                if self._on_likely_face:
                    self._on_likely_face()
                face = self._upright(pixels, self.refine(pixels, face))
                if self._is_confirmed(pixels, face) and not _is_inside_one(np.array(face.box), faces):
                    faces.append(face)
        return faces

    def _upright(self, pixels: np.ndarray, face: Face) -> Face:
        """The face refined from its own crop, or from the best of second detections in four turns: the one
        with more presence. BlazeFace often takes an upside-down face for an upright one."""
        faces = [self.refine(pixels, face)]
        again = [found for turn in range(4) for found in self._detect_again(pixels, face, turn * math.pi / 2)]
        if again:
            best = roi_from_detection(max(again, key=lambda found: found.score))
            faces.append(self.refine(pixels, self.refine(pixels, self._measure(pixels, best))))
        return max(faces, key=lambda face: face.presence)

    def _is_confirmed(self, pixels: np.ndarray, face: Face) -> bool:
        return face.presence >= MIN_PRESENCE and bool(self._detect_again(pixels, face))

    def _detect_again(self, pixels: np.ndarray, face: Face, turn: float = 0.0) -> list[Detection]:
        """Detections at the face in a crop of twice its box, with the eyes level plus `turn` radians."""
        near = roi_from_landmarks(face.landmarks)
        wide = replace(near, size=near.size * 2 / ROI_SCALE, angle=near.angle + turn)
        found = self._detector.detect_tile(wide.crop(pixels, TILE_PX))
        sure = [transform(face, wide.to_image(TILE_PX)) for face in found if face.score >= MIN_CONFIRMATION]
        box = np.array([face.box])
        return [detection for detection in sure if overlap(detection.box, box)[0] > MIN_OVERLAP]

    def _measure(self, pixels: np.ndarray, roi: Roi) -> Face:
        crop = roi.crop(pixels, CROP_PX)
        points, logit = self._network(crop.astype(np.float32) / 255)
        points = points.reshape(-1, 3).astype(np.float64)
        presence = 1 / (1 + math.exp(-float(logit.item())))
        matrix = roi.to_image(CROP_PX)
        xy = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        landmarks = np.concatenate([xy, points[:, 2:] * (roi.size / CROP_PX)], axis=1).astype(np.float32)
        return Face(landmark_box(landmarks), landmarks, presence)


def landmark_box(landmarks: np.ndarray) -> Box:
    """Tight box of landmarks (n, 3)."""
    (x0, y0), (x1, y1) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    return float(x0), float(y0), float(x1), float(y1)


def roi_from_detection(detection: Detection) -> Roi:
    """The crop of a detection: its box about its centre, turned until the eyes are level."""
    x0, y0, x1, y1 = detection.box
    across, down = detection.keypoints[1] - detection.keypoints[0]
    return Roi((x0 + x1) / 2, (y0 + y1) / 2, ROI_SCALE * max(x1 - x0, y1 - y0), math.atan2(down, across))


def roi_from_landmarks(landmarks: np.ndarray) -> Roi:
    """The crop of landmarks (478, 3): their box along the line of the eyes.

    MediaPipe takes the box along the image's axes; along the eyes the box does not grow when the head rolls.
    """
    across, down, _ = landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]
    angle = math.atan2(down, across)
    cos, sin = math.cos(angle), math.sin(angle)
    axes = np.array([[cos, -sin], [sin, cos]])
    level = landmarks[:, :2].astype(np.float64) @ axes
    low, high = level.min(0), level.max(0)
    x, y = axes @ ((low + high) / 2)
    return Roi(float(x), float(y), ROI_SCALE * float((high - low).max()), angle)


def follow(roi: Roi | None, target: Roi) -> Roi:
    """The next crop: `target`, approached from `roi` by CROP_GAIN for small moves, fully for large ones."""
    if roi is None:
        return target
    turn = math.remainder(target.angle - roi.angle, math.tau)
    move = math.hypot(target.x - roi.x, target.y - roi.y) + abs(target.size - roi.size)
    gain = min(1.0, max(CROP_GAIN, (move / roi.size + abs(turn)) / CROP_LEEWAY))
    x, y = roi.x + gain * (target.x - roi.x), roi.y + gain * (target.y - roi.y)
    return Roi(x, y, roi.size + gain * (target.size - roi.size), roi.angle + gain * turn)


def face_size(face: Face) -> float:
    """Longer side of the face box in pixels."""
    x0, y0, x1, y1 = face.box
    return max(x1 - x0, y1 - y0)


def require_faces(faces: Sequence[Face]) -> Sequence[Face]:
    """The faces. Raises NoFaceFound if there are none."""
    if not faces:
        raise NoFaceFound(
            "No face was found in the image. Use a picture that shows a person's eyes, nose and mouth."
        )
    return faces


def select_face(faces: Sequence[Face], *, index: int | None = None, box: Box | None = None) -> Face:
    """The face to animate, of faces ordered left to right.

    index: 1 is the leftmost. box: the face that overlaps it most. Neither: the largest.
    Raises NoFaceFound, or FaceTooSmall when the face is under MIN_FACE_PX.
    """
    require_faces(faces)
    if box is not None:
        overlaps = overlap(np.asarray(box, float), np.array([face.box for face in faces]))
        if overlaps.max() <= 0:
            raise NoFaceFound(f"No face overlaps the box {_box_text(box)}. {_listing(faces)}")
        face = faces[int(overlaps.argmax())]
    elif index is not None:
        if not 1 <= index <= len(faces):
            raise NoFaceFound(f"There is no face number {index}. {_listing(faces)}")
        face = faces[index - 1]
    else:
        face = max(faces, key=face_size)
    if face_size(face) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"The face at {_box_text(face.box)} is {face_size(face):.0f} pixels high, but at least "
            f"{MIN_FACE_PX} are needed. Use a larger picture, or choose a larger face."
        )
    return face


def _is_inside_one(box: np.ndarray, faces: Sequence[Face]) -> bool:
    """Whether the middle of `box` lies in a known face: then it is the same face, or a part of it."""
    middle = (box[:2] + box[2:]) / 2
    boxes = np.array([face.box for face in faces]).reshape(-1, 4)
    return bool(((boxes[:, :2] < middle) & (boxes[:, 2:] > middle)).all(1).any())


def _box_text(box: Sequence[float]) -> str:
    return ",".join(f"{value:.0f}" for value in box)


def _listing(faces: Sequence[Face]) -> str:
    boxes = "; ".join(f"{number}: {_box_text(face.box)}" for number, face in enumerate(faces, 1))
    return f"Faces found, left to right: {boxes}."
