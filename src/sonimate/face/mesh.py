"""Faces in images and videos: 478 landmarks each, by MediaPipe's face mesh (Kartynnik et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from sonimate.errors import FaceTooSmall, NoFaceFound
from sonimate.face.detect import (
    MIN_OVERLAP,
    TURNS_DEGREES,
    USUAL_LEVELS,
    Detection,
    FaceDetector,
    Roi,
    load_network,
    overlap,
    pyramid_levels,
)
from sonimate.types import Face

CROP_PX = 256
"""Side of the landmark network's input."""

ROI_SCALE = 1.5
"""Side of the crop over the longer side of the face box, as the network was trained."""

MIN_PRESENCE = 0.5
"""MediaPipe's own threshold on the probability that the crop holds a face."""

MIN_FACE_PX = 48
"""Shortest face that can be animated: its mouth is some 16 pixels wide and its lips 2 pixels thick."""

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
"""Landmarks whose line is level in the crop."""


class FaceMesh:
    """Finds faces and their landmarks. Not safe to share between threads."""

    def __init__(self, num_threads: int = 2) -> None:
        self._detector = FaceDetector(num_threads)
        self._network = load_network("face_landmarks_detector.tflite", num_threads)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {d["name"]: d["index"] for d in self._network.get_output_details()}
        self._points, self._presence = outputs["Identity"], outputs["Identity_1"]

    def find(self, pixels: np.ndarray) -> list[Face]:
        """All faces of an image, left to right; none gives an empty list.

        pixels: uint8 RGB (h, w, 3) of any size. Searches ever finer, then a frame-filling face, then
        turned heads; each only when the steps before found nothing.
        """
        levels = pyramid_levels(*pixels.shape[:2])
        faces = self._search(pixels, range(USUAL_LEVELS))
        steps: list[tuple[int, float]] = [(level, 0.0) for level in range(USUAL_LEVELS, levels)]
        steps += [(-1, 0.0)]
        steps += [(level, math.radians(turn)) for level in range(USUAL_LEVELS) for turn in TURNS_DEGREES]
        for level, angle in steps:
            faces = faces or self._search(pixels, [level], angle)
        return sorted(faces, key=lambda face: face.box[0] + face.box[2])

    def refine(self, pixels: np.ndarray, face: Face) -> Face:
        """The face measured again in `pixels` from a crop centred on its landmarks."""
        return self._measure(pixels, roi_from_landmarks(face.landmarks))

    def track(self, frames: Iterable[np.ndarray], *, start: Face | None = None) -> Iterator[Face | None]:
        """One face through a video: per frame uint8 RGB (h, w, 3) the face, or None where no face is seen.

        Follows `start` (a face of the first frame), by default the largest; when it is lost, the largest
        found again. Only the crop depends on the frame before: landmarks are not smoothed.
        """
        face = start
        for frame in frames:
            seen = self.refine(frame, face) if face else None
            if seen is None or seen.presence < MIN_PRESENCE:
                found = self._search(frame, range(USUAL_LEVELS))
                seen = max(found, key=face_height) if found else None
            face = seen
            yield face

    def _search(self, pixels: np.ndarray, levels: Iterable[int], angle: float = 0.0) -> list[Face]:
        """Faces at some pyramid levels, confirmed by the landmark network, largest first, each once."""
        faces: list[Face] = []
        for level in levels:
            for detection in self._detector.detect(pixels, level, angle):
                face = self._measure(pixels, roi_from_detection(detection))
                if face.presence >= MIN_PRESENCE:
                    face = self.refine(pixels, face)
                if face.presence >= MIN_PRESENCE and not _is_among(face, faces):
                    faces.append(face)
        return faces

    def _measure(self, pixels: np.ndarray, roi: Roi) -> Face:
        crop = roi.crop(pixels, CROP_PX)
        self._network.set_tensor(self._input, crop[None].astype(np.float32) / 255)
        self._network.invoke()
        points = self._network.get_tensor(self._points).reshape(-1, 3).astype(np.float64)
        logit = float(self._network.get_tensor(self._presence).item())
        matrix = roi.to_image(CROP_PX)
        xy = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        landmarks = np.concatenate([xy, points[:, 2:] * (roi.size / CROP_PX)], axis=1).astype(np.float32)
        return Face(box=landmark_box(landmarks), landmarks=landmarks, presence=1 / (1 + math.exp(-logit)))


def landmark_box(landmarks: np.ndarray) -> tuple[float, float, float, float]:
    """Tight box (x0, y0, x1, y1) of landmarks (n, 3)."""
    (x0, y0), (x1, y1) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    return float(x0), float(y0), float(x1), float(y1)


def roi_from_detection(detection: Detection) -> Roi:
    """The crop of a detection: its box about its centre, turned until the eyes are level."""
    x0, y0, x1, y1 = detection.box
    across = detection.keypoints[1] - detection.keypoints[0]
    angle = math.atan2(across[1], across[0])
    return Roi((x0 + x1) / 2, (y0 + y1) / 2, ROI_SCALE * max(x1 - x0, y1 - y0), angle)


def roi_from_landmarks(landmarks: np.ndarray) -> Roi:
    """The crop of landmarks (478, 3): their box along the line of the eyes.

    MediaPipe takes the box along the image's axes; along the eyes it does not grow as the head rolls.
    """
    across = landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]
    angle = math.atan2(across[1], across[0])
    cos, sin = math.cos(angle), math.sin(angle)
    axes = np.array([[cos, -sin], [sin, cos]])
    level = landmarks[:, :2].astype(np.float64) @ axes
    low, high = level.min(0), level.max(0)
    x, y = axes @ ((low + high) / 2)
    return Roi(float(x), float(y), ROI_SCALE * float((high - low).max()), angle)


def face_height(face: Face) -> float:
    """Longer side of the face box in pixels."""
    x0, y0, x1, y1 = face.box
    return max(x1 - x0, y1 - y0)


def select_face(
    faces: Sequence[Face],
    *,
    index: int | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Face:
    """The face to animate, of faces ordered left to right.

    index: 1 is the leftmost. box: (x0, y0, x1, y1) in pixels, the face overlapping it best. Neither: the
    largest. Raises NoFaceFound, or FaceTooSmall when the face is under MIN_FACE_PX.
    """
    if not faces:
        raise NoFaceFound(
            "No face was found in the image. Use a picture where the eyes, nose and mouth of one person are visible."
        )
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
        face = max(faces, key=face_height)
    if face_height(face) < MIN_FACE_PX:
        raise FaceTooSmall(
            f"The face at {_box_text(face.box)} is {face_height(face):.0f} pixels high; at least {MIN_FACE_PX} are "
            "needed. Use a larger original or crop closer to the face."
        )
    return face


def _is_among(face: Face, faces: Sequence[Face]) -> bool:
    """Whether the face repeats one of `faces`, or is the part of one that a fine tile saw."""
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    boxes = np.array([other.box for other in faces]).reshape(-1, 4)
    inside = (boxes[:, :2] < (x, y)).all(1) & (boxes[:, 2:] > (x, y)).all(1)
    return bool((inside | (overlap(np.array(face.box), boxes) > MIN_OVERLAP)).any())


def _box_text(box: Sequence[float]) -> str:
    return ",".join(f"{value:.0f}" for value in box)


def _listing(faces: Sequence[Face]) -> str:
    boxes = "; ".join(f"{number}: {_box_text(face.box)}" for number, face in enumerate(faces, 1))
    return f"Faces found, left to right: {boxes}."
