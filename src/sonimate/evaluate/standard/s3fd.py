"""Boxes of faces by S3FD (Zhang et al. 2017), the detector with which SyncNet's crops are defined.

Names of the tensors are those of the published file; syncnet-python finds the same boxes with equal tensors.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.evaluate.standard.standard_files import S3FD, StandardFile, find_standard
from sonimate.evaluate.standard.weights import filled, published_tensors
from sonimate.face.detect import overlap

MEAN_RGB = (123.0, 117.0, 104.0)
VGG_CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of VGG16's convolutions; 0 is a pool."""
SOURCES = ((16, "L2Norm3_3"), (23, "L2Norm4_3"), (30, "L2Norm5_3"))
"""Layers of VGG before which boxes are read, and the module that scales what is read."""
STEPS = (4, 8, 16, 32, 64, 128)
"""Pixels between the anchors of each of the six levels; an anchor is four steps wide."""
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
SCALE = 0.25
"""Of the picture, before detection, as in SyncNet's pipeline."""
CONFIDENCE = 0.9
OVERLAPS = (0.3, 0.1)
"""Boxes that overlap a surer one by more than this are dropped: once by S3FD's value, once by SyncNet's."""


class _Scaled(nn.Module):
    """Channels of unit length, each times a factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight[:, None, None] * x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


class FaceBoxNetwork(nn.Module):
    """Picture (1, 3, h, w), RGB less MEAN_RGB -> probabilities (n,) and boxes (n, 4) in pixels."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for place, out in enumerate(VGG_CHANNELS):
            if out:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
            else:
                layers.append(nn.MaxPool2d(2, ceil_mode=place == 9))
        layers += [
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(),
        ]
        self.vgg = nn.ModuleList(layers)
        self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3 = _Scaled(256), _Scaled(512), _Scaled(512)
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(1024, 256, 1),
                nn.Conv2d(256, 512, 3, 2, 1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, 2, 1),
            ]
        )
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList([nn.Conv2d(width, 4, 3, padding=1) for width in widths])
        self.conf = nn.ModuleList(
            [nn.Conv2d(width, 2 if level else 4, 3, padding=1) for level, width in enumerate(widths)]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        levels = self._levels(x)
        parts = [self._boxes(level, features) for level, features in enumerate(levels)]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _levels(self, x: Tensor) -> list[Tensor]:
        levels: list[Tensor] = []
        start = 0
        for stop, name in SOURCES:
            for layer in self.vgg[start:stop]:
                x = layer(x)
            levels.append(self.get_submodule(name)(x))
            start = stop
        for layer in self.vgg[start:]:
            x = layer(x)
        levels.append(x)
        for place, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if place % 2:
                levels.append(x)
        return levels

    def _boxes(self, level: int, features: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.conf[level](features)[0]
        if level == 0:  # three kinds of background, against the small boxes' false alarms
            scores = torch.stack([scores[:3].amax(0), scores[3]])
        moves = self.loc[level](features)[0].flatten(1).T
        height, width = features.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        anchors = (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * STEPS[level]
        side = 4 * STEPS[level]
        centres = anchors + moves[:, :2] * CENTRE_VARIANCE * side
        sizes = side * torch.exp(moves[:, 2:] * SIZE_VARIANCE)
        low = centres - sizes / 2
        return scores.softmax(0)[1].flatten(), torch.cat([low, low + sizes], 1)


class FaceBoxes:
    """Faces of frames. Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint."""

    def __init__(self, folder: Path | None = None, *, file: StandardFile = S3FD) -> None:
        path = find_standard(file, folder)
        self._network = filled(FaceBoxNetwork(), published_tensors(path), path)

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) in pixels of a frame uint8 RGB (h, w, 3), the surest first."""
        small = cv2.resize(frame, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR)
        x = torch.as_tensor(small.astype(np.float32) - np.array(MEAN_RGB, np.float32)).permute(2, 0, 1)[None]
        probabilities, boxes = (part.numpy() for part in self._network(x))
        scale = np.array(frame.shape[1::-1] * 2) / np.array(small.shape[1::-1] * 2)
        order = np.argsort(-probabilities)
        sure = order[probabilities[order] > CONFIDENCE]
        found = boxes[sure] * scale
        for limit in OVERLAPS:
            found = _surest(found, limit)
        return found


def _surest(boxes: np.ndarray, limit: float) -> np.ndarray:
    """Of boxes (n, 4), the surest first: those that overlap no kept one by more than `limit`."""
    kept: list[np.ndarray] = []
    while len(boxes):
        kept.append(boxes[0])
        boxes = boxes[1:][overlap(boxes[0], boxes[1:]) <= limit]
    return np.array(kept).reshape(-1, 4)
