"""Does a face stay the same person's: distances of dlib's face descriptors (He et al. 2016, trained by King
2017). Needs the extra `eval`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from itertools import islice, tee
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sonimate.errors import UnusableClip, extra_needed
from sonimate.face.mesh import FaceMesh
from sonimate.types import Face

LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"
DESCRIPTOR_FILE = "dlib_face_recognition_resnet_model_v1.dat"
SURROUNDINGS = 2.0
"""Side of the crop in which dlib looks for the face, divided by the longer side of the face box."""
EVERY = 5
"""Every fifth frame is enough to know who it is."""
CROP_PX = 320
"""Side of the scaled crop. A face then has 160 px, twice the smallest that dlib's detector finds."""


class FaceIdentity:
    """Face descriptors. Raises ExtraMissing when dlib or its models are not installed."""

    def __init__(self) -> None:
        folder = models_folder()
        with extra_needed("eval"):
            self._dlib: Any = import_module("dlib")
        self._detect = self._dlib.get_frontal_face_detector()
        self._points = self._dlib.shape_predictor(str(folder / LANDMARKS_FILE))
        self._network = self._dlib.face_recognition_model_v1(str(folder / DESCRIPTOR_FILE))

    def __call__(self, pixels: np.ndarray, face: Face) -> np.ndarray:
        """Descriptor (128,) of the face that lies near `face` in pixels, uint8 RGB (h, w, 3).

        Where dlib's own detector finds no face (paintings, turned heads), the box of `face` is used.
        """
        x0, y0, x1, y1 = face.box
        half = SURROUNDINGS * max(x1 - x0, y1 - y0) / 2
        centre = (x0 + x1) / 2, (y0 + y1) / 2
        scale = CROP_PX / (2 * half)
        shift = np.array(
            [[scale, 0, CROP_PX / 2 - scale * centre[0]], [0, scale, CROP_PX / 2 - scale * centre[1]]]
        )
        size = (CROP_PX, CROP_PX)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        crop = cv2.warpAffine(pixels, shift, size, flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
        corners = np.array(face.box).reshape(2, 2) @ shift[:, :2].T + shift[:, 2]
        own = self._dlib.rectangle(*(round(value) for value in corners.ravel()))
        middle = self._dlib.point(CROP_PX // 2, CROP_PX // 2)
        box = next((found for found in self._detect(crop) if found.contains(middle)), own)
        return np.array(self._network.compute_face_descriptor(crop, self._points(crop, box)))

    def of_video(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Descriptors (m, 128) of the largest face of every EVERY-th of `frames`, uint8 RGB (h, w, 3).

        Raises UnusableClip where none shows a face.
        """
        kept, seen = tee(islice(frames, 0, None, EVERY))
        faces = FaceMesh(num_threads=1).track(seen)
        found = [self(frame, face) for face, frame in zip(faces, kept, strict=True) if face is not None]
        if not found:
            raise UnusableClip("No frame shows a face. Choose another clip.")
        return np.stack(found)


def models_folder() -> Path:
    """Folder of the files of face-recognition-models, whose own import would warn.

    Raises ExtraMissing when it is not installed.
    """
    spec = find_spec("face_recognition_models")
    with extra_needed("eval"):
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(name="face_recognition_models")
    return Path(spec.submodule_search_locations[0]) / "models"
