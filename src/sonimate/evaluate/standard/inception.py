"""Inception features of frames for FID: Inception v3 (Szegedy et al. 2016) as TensorFlow published it in
2015.

That network differs from the paper's: average pools leave padding out, and the last block takes a maximum.
Names of the tensors are those of the published file; torch-fidelity gives the same features from equal
tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.evaluate.standard.standard_files import INCEPTION, StandardFile, find_standard
from sonimate.evaluate.standard.weights import filled, published_tensors

INPUT_PX = 299
BATCH = 16
"""Frames at a time: some 300 MB of activations."""

Kernel = int | tuple[int, int]
Step = tuple[tuple[str, int, Kernel], ...]
"""Convolutions beside each other, whose outputs are joined: suffix of the name, output channels, kernel."""
Chain = tuple[Step, ...]
Pool = Literal["average", "max"]


class _Convolution(nn.Module):
    def __init__(
        self, channels: int, out: int, kernel: Kernel, *, stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if same else (0, 0)
        self.conv = nn.Conv2d(channels, out, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Chains of convolutions beside each other and a pool, joined. pooled: channels after the pool; 0: the
    block halves the picture, and its pool has no convolution."""

    def __init__(self, channels: int, chains: tuple[Chain, ...], pool: Pool, pooled: int) -> None:
        super().__init__()
        self._pool = pool
        self._halves = pooled == 0
        self._chains = [[[name for name, _, _ in step] for step in chain] for chain in chains]
        for chain in chains:
            width = channels
            for place, step in enumerate(chain):
                last = self._halves and place == len(chain) - 1
                for name, out, kernel in step:
                    part = _Convolution(width, out, kernel, stride=2 if last else 1, same=not last)
                    self.add_module(name, part)
                width = sum(out for _, out, _ in step)
        if pooled:
            self.branch_pool = _Convolution(channels, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for chain in self._chains:
            y = x
            for names in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            outputs.append(y)
        if self._halves:
            return torch.cat([*outputs, F.max_pool2d(x, 3, 2)], 1)
        if self._pool == "average":
            pooled = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        else:
            pooled = F.max_pool2d(x, 3, 1, 1)
        return torch.cat([*outputs, self.branch_pool(pooled)], 1)


def _one(name: str, out: int, kernel: Kernel) -> Step:
    return ((f"branch{name}", out, kernel),)


def _three(name: str, first: int, out: int) -> Chain:
    return (_one(f"{name}_1", first, 1), _one(f"{name}_2", out, 3), _one(f"{name}_3", out, 3))


def _block_a(channels: int, pooled: int) -> _Mixed:
    fives = (_one("5x5_1", 48, 1), _one("5x5_2", 64, 5))
    return _Mixed(channels, ((_one("1x1", 64, 1),), fives, _three("3x3dbl", 64, 96)), "average", pooled)


def _block_b(channels: int) -> _Mixed:
    return _Mixed(channels, ((_one("3x3", 384, 3),), _three("3x3dbl", 64, 96)), "max", 0)


def _block_c(channels: int, inner: int) -> _Mixed:
    row, column = (1, 7), (7, 1)
    sevens = (_one("7x7_1", inner, 1), _one("7x7_2", inner, row), _one("7x7_3", 192, column))
    kernels = (1, column, row, column, row)
    double = tuple(
        _one(f"7x7dbl_{place}", 192 if place == 5 else inner, kernel)
        for place, kernel in enumerate(kernels, 1)
    )
    return _Mixed(channels, ((_one("1x1", 192, 1),), sevens, double), "average", 192)


def _block_d(channels: int) -> _Mixed:
    threes = (_one("3x3_1", 192, 1), _one("3x3_2", 320, 3))
    sevens = tuple(
        _one(f"7x7x3_{place}", 192, kernel) for place, kernel in enumerate((1, (1, 7), (7, 1), 3), 1)
    )
    return _Mixed(channels, (threes, sevens), "max", 0)


def _block_e(channels: int, pool: Pool) -> _Mixed:
    def fork(name: str) -> Step:
        return (f"branch{name}a", 384, (1, 3)), (f"branch{name}b", 384, (3, 1))

    threes = (_one("3x3_1", 384, 1), fork("3x3_2"))
    double = (_one("3x3dbl_1", 448, 1), _one("3x3dbl_2", 384, 3), fork("3x3dbl_3"))
    return _Mixed(channels, ((_one("1x1", 320, 1),), threes, double), pool, 192)


class InceptionV3(nn.Module):
    """Frames (n, 3, 299, 299) in [-1, 1] -> features (n, 2048). `fc` serves only to take the whole file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, 3, stride=2, same=False)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, 3, same=False)
        self.Mixed_5b = _block_a(192, 32)
        self.Mixed_5c = _block_a(256, 64)
        self.Mixed_5d = _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b = _block_c(768, 128)
        self.Mixed_6c = _block_c(768, 160)
        self.Mixed_6d = _block_c(768, 160)
        self.Mixed_6e = _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b = _block_e(1280, "average")
        self.Mixed_7c = _block_e(2048, "max")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(frames)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))


class InceptionFeatures:
    """Frames of a clip -> features for FID, by pytorch-fid's own scaling: bilinear, without smoothing.

    Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint.
    """

    def __init__(self, folder: Path | None = None, *, file: StandardFile = INCEPTION) -> None:
        path = find_standard(file, folder)
        self._network = filled(InceptionV3(), published_tensors(path), path)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Features (n, 2048), float32, of frames uint8 RGB (n, h, w, 3)."""
        return np.concatenate([self._network(batch).numpy() for batch in _batches(frames)])


def _batches(frames: np.ndarray) -> Iterator[Tensor]:
    for start in range(0, len(frames), BATCH):
        batch = torch.as_tensor(np.ascontiguousarray(frames[start : start + BATCH])).permute(0, 3, 1, 2)
        sized = F.interpolate(batch.float() / 255, (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)
        yield 2 * sized - 1
