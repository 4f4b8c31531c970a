"""F-SIM: the cosine of two faces' vectors by ArcFace (Deng et al. 2019), in the form that InsightFace
publishes.

The five points of its alignment come from the bundled face mesh, where InsightFace takes its own detector's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from sonimate.evaluate.standard.standard_files import ARCFACE, StandardFile, find_standard
from sonimate.evaluate.standard.weights import filled, published_tensors
from sonimate.face.regions import LEFT_IRIS, MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT, NOSE_TIP, RIGHT_IRIS

FIVE_POINTS = (RIGHT_IRIS, LEFT_IRIS, NOSE_TIP, MOUTH_CORNER_RIGHT, MOUTH_CORNER_LEFT)
"""Eye, eye, nose, corner and corner of the mouth, from left to right in the picture."""
CROP_PX = 112
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Places of the five points in the crop, as ArcFace was trained."""


class _Residual(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + self.downsample(x)


class FaceVectorNetwork(nn.Module):
    """Aligned faces (n, 3, 112, 112) in [-1, 1] -> (n, 512). blocks: (3, 4, 14, 3) for 50 layers,
    (3, 13, 30, 3) for 100."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        width = 64
        for level, count in enumerate(blocks):
            out = 64 << level
            rest = [_Residual(out, out, 1) for _ in range(count - 1)]
            self.add_module(f"layer{level + 1}", nn.Sequential(_Residual(width, out, 2), *rest))
            width = out
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)
        self._levels = len(blocks)

    def forward(self, faces: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(faces)))
        for level in range(self._levels):
            x = self.get_submodule(f"layer{level + 1}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


def blocks_of(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """How many blocks each of the four levels of a published file has."""
    names = {tuple(name.split(".")[:2]) for name in tensors}
    return tuple(sum(name[0] == f"layer{level}" for name in names) for level in range(1, 5))


class FaceVectors:
    """Vectors of faces. Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint."""

    def __init__(self, folder: Path | None = None, *, file: StandardFile = ARCFACE) -> None:
        path = find_standard(file, folder)
        tensors = published_tensors(path)
        self._network = filled(FaceVectorNetwork(blocks_of(tensors)), tensors, path)

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Vector (512,) of unit length. frame: uint8 RGB (h, w, 3); landmarks: (478, 2 or 3) in its pixels.
        F-SIM of two faces is the product of their vectors."""
        face = aligned_face(frame, landmarks[list(FIVE_POINTS), :2])
        x = torch.as_tensor(face.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        return nn.functional.normalize(self._network(x))[0].numpy()


def aligned_face(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face turned, scaled and moved so that its five points (5, 2) lie nearest TEMPLATE: (112, 112,
    3)."""
    target = np.array(TEMPLATE)
    start, end = points - points.mean(0), target - target.mean(0)
    along, across = (start * end).sum(), (start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum()
    turn = np.array([[along, -across], [across, along]]) / np.square(start).sum()
    shift = target.mean(0) - turn @ points.mean(0)
    return cv2.warpAffine(frame, np.column_stack([turn, shift]), (CROP_PX, CROP_PX))
