"""Face detection: MediaPipe's short-range BlazeFace (Bazarevsky et al. 2019), at several scales and turns.

Image coordinates are continuous: pixel (0, 0) covers [0, 1) x [0, 1), so resizing multiplies them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingTypeStubs]

from sonimate.face.canonical import TASK_FILE

TILE_PX = 128
"""Side of the detector's input."""

ANCHOR_LAYERS = ((8, 2), (16, 6))
"""(stride in input pixels, anchors per cell): 16 x 16 x 2 + 8 x 8 x 6 = 896 anchors."""

SCORE_CLIP = 100.0
"""Logits are clipped to this before the sigmoid, as in MediaPipe, so that exp cannot overflow."""

MIN_SCORE = 0.35
"""Lowest score of a candidate. Below MediaPipe's 0.5, because `FaceMesh` confirms each candidate twice."""

MIN_OVERLAP = 0.3
"""Two detections with a larger intersection over union than this are one face, as in MediaPipe."""

USUAL_LEVELS = (-1, 0, 1, 2)
"""Pyramid levels that are always searched: the image with a margin, whole, in halves and in quarters (at most
60 tiles), which finds any face taller than about 5 % of the longer side. Finer levels are searched only when
these find no face."""

FINEST_LEVEL = 5
"""At most 4,000 tiles, some 5 s: a 48 px face in an image of 8,000 px."""

TURNS_DEGREES = (45.0, -45.0, 90.0, -90.0, 180.0)
"""Turns tried when nothing is found upright; BlazeFace itself tolerates about 30 degrees."""

DELEGATE_LINE = b"INFO: Created TensorFlow Lite"
"""LiteRT prints it at the first network of a process, and means that nothing is wrong."""


@dataclass(frozen=True)
class Roi:
    """A square to crop: centre `x`, `y` and side `size` in image pixels, turned by `angle` radians
    (clockwise as seen, from the image's x axis to the line of the eyes)."""

    x: float
    y: float
    size: float
    angle: float

    def to_image(self, side: int) -> np.ndarray:
        """Affine matrix (2, 3) from crop coordinates in [0, side] to image coordinates."""
        scale = self.size / side
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        x, y = self.x - side / 2 * (cos - sin), self.y - side / 2 * (sin + cos)
        return np.array([[cos, -sin, x], [sin, cos, y]], np.float64)

    def crop(self, pixels: np.ndarray, side: int) -> np.ndarray:
        """Bilinear crop (side, side, 3) of uint8 `pixels`; outside the image is black.

        Shrinking by more than two goes through a larger crop averaged down: plain bilinear sampling
        would skip pixels, and landmarks would shimmer with the grain.
        """
        oversampled = side * max(1, int(self.size / side))
        matrix = self.to_image(oversampled)
        matrix[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(pixels, matrix, (oversampled, oversampled), flags=flags)
        return crop if oversampled == side else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Detection:
    """box: float64 (4,) x0, y0, x1, y1. keypoints: float64 (6, 2): the subject's right and left eye, nose
    tip, mouth, right and left ear. Both in image pixels. score in [0, 1]."""

    box: np.ndarray
    keypoints: np.ndarray
    score: float


@contextmanager
def _without_delegate_line() -> Generator[None, None, None]:
    """Within the block, keep LiteRT's "INFO: Created TensorFlow Lite XNNPACK delegate" from standard error.
    It has no log level for that, so descriptor 2 is a file meanwhile; other lines are written afterwards.
    """
    try:
        kept = os.dup(2)
    except OSError:  # the descriptor is closed
        yield
        return
    try:
        with TemporaryFile() as written:
            os.dup2(written.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                written.seek(0)
                others = [line for line in written if not line.startswith(DELEGATE_LINE)]
                with suppress(OSError):  # full
                    os.write(2, b"".join(others))
    finally:
        os.close(kept)


class BundledNetwork:
    """A LiteRT network, given as the bytes of its file. Not safe to share between threads."""

    def __init__(self, content: bytes, outputs: Sequence[str], num_threads: int) -> None:
        with _without_delegate_line():
            self._network: Any = Interpreter(model_content=content, num_threads=num_threads)
            self._network.allocate_tensors()
        self._input: int = self._network.get_input_details()[0]["index"]
        found = {output["name"]: output["index"] for output in self._network.get_output_details()}
        self._outputs = [found[output] for output in outputs]

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs, float32, for an image float32 (h, w, 3)."""
        self._network.set_tensor(self._input, image[None])
        self._network.invoke()
        return [self._network.get_tensor(output) for output in self._outputs]


def task_network(name: str) -> bytes:
    """A network of the bundled `face_landmarker.task` (MediaPipe, Apache-2.0)."""
    with ZipFile(TASK_FILE) as task:
        return task.read(name)


@cache
def anchor_centres() -> np.ndarray:
    """Anchor centres (896, 2) in input pixels, row by row, stride 8 before stride 16."""
    layers: list[np.ndarray] = []
    for stride, count in ANCHOR_LAYERS:
        axis = (np.arange(TILE_PX // stride) + 0.5) * stride
        x, y = np.meshgrid(axis, axis)
        layers.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(layers)


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) of one box (4,) with boxes (n, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return intersection / (np.prod(box[2:] - box[:2]) + areas - intersection)


def merge(detections: Sequence[Detection]) -> list[Detection]:
    """Weighted non-maximum suppression: each cluster becomes its score-weighted mean, best first."""
    rest = sorted(detections, key=lambda d: -d.score)
    merged: list[Detection] = []
    while rest:
        near = overlap(rest[0].box, np.stack([d.box for d in rest])) > MIN_OVERLAP
        near[0] = True
        cluster = [d for d, is_near in zip(rest, near, strict=True) if is_near]
        weights = np.array([d.score for d in cluster])
        box = np.average([d.box for d in cluster], axis=0, weights=weights)
        keypoints = np.average([d.keypoints for d in cluster], axis=0, weights=weights)
        merged.append(Detection(box, keypoints, cluster[0].score))
        rest = [d for d, is_near in zip(rest, near, strict=True) if not is_near]
    return merged


def transform(detection: Detection, matrix: np.ndarray) -> Detection:
    """The detection mapped by an affine (2, 3); its box stays upright, of the same relative size."""
    low, high, linear = detection.box[:2], detection.box[2:], matrix[:, :2]
    half = (high - low) / 2 * math.sqrt(abs(np.linalg.det(linear)))
    centre = linear @ ((high + low) / 2) + matrix[:, 2]
    keypoints = detection.keypoints @ linear.T + matrix[:, 2]
    return Detection(np.concatenate([centre - half, centre + half]), keypoints, detection.score)


def finer_levels(height: int, width: int) -> range:
    """Levels after the usual, until a detector pixel is at most 1.5 image pixels: a 40 px face has 27."""
    finest = math.ceil(math.log2(max(height, width) / (1.5 * TILE_PX)))
    return range(USUAL_LEVELS[-1] + 1, min(finest, FINEST_LEVEL) + 1)


def tiles(height: int, width: int, level: int, angle: float = 0.0) -> Iterator[Roi]:
    """The squares that the detector reads: half overlapping, over an image turned by `angle` radians.

    At level k a tile is the longer side of the (turned) image over 2**k, so that level 0 is one tile and
    level -1 one with a margin, for faces that fill the frame.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    across = width * abs(cos) + height * abs(sin)
    down = width * abs(sin) + height * abs(cos)
    size = max(across, down) / 2.0**level
    for v in _tile_centres(down, size):
        for u in _tile_centres(across, size):
            yield Roi(width / 2 + cos * u - sin * v, height / 2 + sin * u + cos * v, size, angle)


def _tile_centres(span: float, size: float) -> np.ndarray:
    """Centres, half a tile apart, of the fewest tiles that cover `span`, whose middle is 0."""
    count = 1 + max(0, math.ceil(2 * span / size - 2 - 1e-9))
    return (np.arange(count) - (count - 1) / 2) * size / 2


class FaceDetector:
    """BlazeFace short range. Not safe to share between threads."""

    def __init__(self, num_threads: int = 2) -> None:
        content = task_network("face_detector.tflite")
        self._network = BundledNetwork(content, ["regressors", "classificators"], num_threads)

    def detect_tile(self, tile: np.ndarray) -> list[Detection]:
        """Faces in one uint8 (128, 128, 3) input, in its own pixels, merged, best first."""
        regressors, classificators = self._network(tile.astype(np.float32) / 127.5 - 1)
        logits = classificators[0, :, 0].astype(np.float64)
        scores = 1 / (1 + np.exp(-np.clip(logits, -SCORE_CLIP, SCORE_CLIP)))
        keep = np.flatnonzero(scores >= MIN_SCORE)
        values = regressors[0, keep].reshape(-1, 8, 2).astype(np.float64)
        centres = anchor_centres()[keep]
        middle, half = values[:, 0] + centres, values[:, 1] / 2
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        keypoints = values[:, 2:] + centres[:, None]
        found = zip(boxes, keypoints, scores[keep], strict=True)
        return merge([Detection(box, points, float(score)) for box, points, score in found])

    def detect(self, pixels: np.ndarray, level: int, angle: float = 0.0) -> list[Detection]:
        """Faces in uint8 RGB `pixels` (h, w, 3) at one pyramid level (see `tiles`), merged, best first."""
        height, width = pixels.shape[:2]
        rois = list(tiles(height, width, level, angle))
        factor = min(max(1, int(rois[0].size / TILE_PX)), height, width)
        shrunk = (width // factor, height // factor)
        whole = pixels[: shrunk[1] * factor, : shrunk[0] * factor]
        reduced = whole if factor == 1 else cv2.resize(whole, shrunk, interpolation=cv2.INTER_AREA)
        found: list[Detection] = []
        for roi in rois:
            tile = Roi(roi.x / factor, roi.y / factor, roi.size / factor, angle).crop(reduced, TILE_PX)
            found += [transform(face, roi.to_image(TILE_PX)) for face in self.detect_tile(tile)]
        return merge(found)
