"""Expression coefficients of frames for E-FID: Deep3DFaceRecon (Deng et al. 2019), a ResNet-50 (He et al.
2016, with the stride in its 3 x 3 convolutions) that predicts the coefficients of a face model.

The five points of its alignment come from the bundled face mesh, where the authors take another detector's.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.errors import InvalidCheckpoint, extra_needed
from sonimate.evaluate.standard.arcface import FIVE_POINTS
from sonimate.evaluate.standard.standard_files import (
    FACE_RECONSTRUCTION,
    MEAN_LANDMARKS,
    StandardFile,
    find_standard,
)
from sonimate.evaluate.standard.weights import filled, published_tensors

CROP_PX = 224
FACE_SCALE = 102.0
"""Pixels in the crop for a unit of the mean face."""
HEADS = (80, 64, 80, 3, 27, 2, 1)
"""Coefficients of identity, expression, texture, angles, light, place and depth."""
EXPRESSION = slice(80, 144)
MEAN_POINTS = ((37, 40), (43, 46), (31,), (49,), (55,))
"""Of the mean face's 68 landmarks, counted from 1: those whose means are eye, eye, nose tip, corner,
corner."""


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out = 4 * inner
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if channels != out
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        width = 64
        for level, count in enumerate((3, 4, 6, 3)):
            inner = 64 << level
            rest = [_Bottleneck(4 * inner, inner, 1) for _ in range(count - 1)]
            first = _Bottleneck(width, inner, 2 if level else 1)
            self.add_module(f"layer{level + 1}", nn.Sequential(first, *rest))
            width = 4 * inner

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for level in range(1, 5):
            x = self.get_submodule(f"layer{level}")(x)
        return x.mean((2, 3), keepdim=True)


class ReconstructionNetwork(nn.Module):
    """Aligned faces (n, 3, 224, 224) in [0, 1] -> coefficients (n, 257), in the order of HEADS."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.final_layers = nn.ModuleList([nn.Conv2d(2048, count, 1) for count in HEADS])

    def forward(self, faces: Tensor) -> Tensor:
        features = self.backbone(faces)
        return torch.cat([head(features) for head in self.final_layers], 1).flatten(1)


class ExpressionCoefficients:
    """Expression coefficients. Raises NetworkFileMissing, WrongNetworkFile, InvalidCheckpoint,
    ExtraMissing."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        file: StandardFile = FACE_RECONSTRUCTION,
        mean_landmarks: StandardFile = MEAN_LANDMARKS,
    ) -> None:
        path = find_standard(file, folder)
        tensors = published_tensors(path)
        if "net_recon" not in tensors:
            raise InvalidCheckpoint(f"{path} holds no net_recon. Download it again from {file.published}.")
        self._network = filled(ReconstructionNetwork(), tensors["net_recon"], path)
        self._mean = mean_points(find_standard(mean_landmarks, folder))

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Coefficients (64,). frame: uint8 RGB (h, w, 3); landmarks: (478, 2 or 3) in its pixels. E-FID is
        the Fréchet distance of those of all frames."""
        face = reconstruction_crop(frame, landmarks[list(FIVE_POINTS), :2], self._mean)
        x = torch.as_tensor(face.astype(np.float32) / 255).permute(2, 0, 1)[None]
        return self._network(x)[0, EXPRESSION].numpy()


def mean_points(path: Path) -> np.ndarray:
    """The mean face's eyes, nose tip and corners of the mouth (5, 3), in the order of FIVE_POINTS."""
    with extra_needed("eval"):
        mat = import_module("scipy.io").loadmat(path)
    if np.shape(mat.get("lm")) != (68, 3):
        raise InvalidCheckpoint(f"{path} holds no 68 landmarks. Download it again.")
    landmarks = np.asarray(mat["lm"], dtype=np.float64)
    return np.stack([landmarks[[number - 1 for number in group]].mean(0) for group in MEAN_POINTS])


def reconstruction_crop(frame: np.ndarray, points: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The face (224, 224, 3) at the size and place that the network expects, without turning it.

    Size and place are those of the scaled orthographic projection that moves the mean face (5, 3) nearest to
    the points (5, 2) of the frame.
    """
    height, width = frame.shape[:2]
    upward = np.column_stack([points[:, 0], height - 1 - points[:, 1]])
    projection = np.linalg.lstsq(np.column_stack([mean, np.ones(5)]), upward, rcond=None)[0]
    scale = FACE_SCALE / np.linalg.norm(projection[:3], axis=0).mean()
    size = int(width * scale), int(height * scale)
    centre = np.array([projection[3, 0], height - projection[3, 1]]) * scale
    left, top = (
        int(side / 2 - CROP_PX / 2 + at - whole * scale / 2)
        for side, at, whole in zip(size, centre, (width, height), strict=True)
    )
    picture = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture.crop((left, top, left + CROP_PX, top + CROP_PX)))
