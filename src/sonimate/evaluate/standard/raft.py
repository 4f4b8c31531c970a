"""Dynamic degree by VBench's rule (Huang et al. 2024), from optical flow by RAFT (Teed and Deng 2020).

Names of the tensors are those of the published file.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.errors import UnusableClip
from sonimate.evaluate.standard.standard_files import RAFT_THINGS, StandardFile, find_standard
from sonimate.evaluate.standard.weights import filled, published_tensors

ITERATIONS = 20
LEVELS, RADIUS = 4, 4
"""Of the pyramid of similarities, and of the window read from each level."""
HIDDEN = 128
RATE_HZ = 8
"""VBench compares frames an eighth of a second apart."""
FASTEST_SHARE = 0.05
"""A pair of frames counts as fast as the mean of the fastest 5 % of its pixels."""
THRESHOLD_PX, THRESHOLD_SIDE_PX = 6.0, 256
"""A pair moves above 6 px, where the shorter side has 256 px."""
MOVING_PAIRS = 4 / 16
"""Pairs that must move, as a share of the frames compared."""
LEAST_PAIRS = 2
"""Below, the rule asks for no pair that moves, and even a still picture would be dynamic."""
LEAST_PX = 128
"""The coarsest of the pyramid's levels then has two places a side."""

Norm = Literal["instance", "batch"]


def _norm(kind: Norm, channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.BatchNorm2d(channels)


class _Block(nn.Module):
    def __init__(self, channels: int, out: int, kind: Norm, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.norm1, self.norm2 = _norm(kind, out), _norm(kind, out)
        self.downsample = nn.Identity()
        if stride > 1:  # the published file holds this norm under both names
            self.norm3 = _norm(kind, out)
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride), self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.downsample(x) + y)


class _Encoder(nn.Module):
    """Pictures (n, 3, h, w) -> (n, 256, h / 8, w / 8)."""

    def __init__(self, kind: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.norm1 = _norm(kind, 64)
        self.layer1 = nn.Sequential(_Block(64, 64, kind, 1), _Block(64, 64, kind, 1))
        self.layer2 = nn.Sequential(_Block(64, 96, kind, 2), _Block(96, 96, kind, 1))
        self.layer3 = nn.Sequential(_Block(96, 128, kind, 2), _Block(128, 128, kind, 1))
        self.conv2 = nn.Conv2d(128, 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class _MotionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, HIDDEN - 2, 3, padding=1)

    def forward(self, flow: Tensor, similar: Tensor) -> Tensor:
        similar = F.relu(self.convc2(F.relu(self.convc1(similar))))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([similar, moved], 1))), flow], 1)


class _GatedUnit(nn.Module):
    """A gated recurrent unit whose convolutions run along rows, then along columns."""

    def __init__(self) -> None:
        super().__init__()
        for suffix, kernel, padding in (("1", (1, 5), (0, 2)), ("2", (5, 1), (2, 0))):
            for gate in "zrq":
                self.add_module(f"conv{gate}{suffix}", nn.Conv2d(3 * HIDDEN, HIDDEN, kernel, padding=padding))

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        for suffix in "12":
            both = torch.cat([state, x], 1)
            keep = torch.sigmoid(self.get_submodule(f"convz{suffix}")(both))
            reset = torch.sigmoid(self.get_submodule(f"convr{suffix}")(both))
            new = torch.tanh(self.get_submodule(f"convq{suffix}")(torch.cat([reset * state, x], 1)))
            state = (1 - keep) * state + keep * new
        return state


class _FlowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))


class _Update(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.gru, self.flow_head = _MotionEncoder(), _GatedUnit(), _FlowHead()
        self.mask = nn.Sequential(nn.Conv2d(HIDDEN, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 64 * 9, 1))


class RaftNetwork(nn.Module):
    """Pictures (n, 3, h, w) in [-1, 1], sides divisible by 8 and at least LEAST_PX -> flow (n, 2, h, w) in
    pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet, self.cnet, self.update_block = _Encoder("instance"), _Encoder("batch"), _Update()

    def forward(self, first: Tensor, second: Tensor, iterations: int = ITERATIONS) -> Tensor:
        pyramid = _similarities(self.fnet(first), self.fnet(second))
        state, context = self.cnet(first).split(HIDDEN, 1)
        state, context = torch.tanh(state), F.relu(context)
        start = _grid(state)
        places = start
        for _ in range(iterations):
            motion = self.update_block.encoder(places - start, _lookup(pyramid, places))
            state = self.update_block.gru(state, torch.cat([context, motion], 1))
            places = places + self.update_block.flow_head(state)
        return _upsampled(places - start, 0.25 * self.update_block.mask(state))


def _grid(like: Tensor) -> Tensor:
    """x and y of every place of (n, c, h, w): (n, 2, h, w)."""
    count, _, height, width = like.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).to(like).expand(count, 2, height, width)


def _similarities(first: Tensor, second: Tensor) -> list[Tensor]:
    """Products of all pairs of places, the second picture's averaged over 1, 2, 4 and 8 places."""
    count, channels, height, width = first.shape
    products = first.flatten(2).transpose(1, 2) @ second.flatten(2) / channels**0.5
    levels = [products.reshape(count * height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def _lookup(pyramid: list[Tensor], places: Tensor) -> Tensor:
    """Similarities in a window around each place, (n, levels * 81, h, w), column after column of the
    window."""
    count, _, height, width = places.shape
    steps = torch.arange(-RADIUS, RADIUS + 1).to(places)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
    centres = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    read: list[Tensor] = []
    for level, similar in enumerate(pyramid):
        ends = torch.tensor(similar.shape[:1:-1]).to(places) - 1
        at = 2 * (centres / 2**level + window) / ends - 1
        read.append(F.grid_sample(similar, at, align_corners=True).reshape(count, height, width, -1))
    return torch.cat(read, -1).permute(0, 3, 1, 2)


def _upsampled(flow: Tensor, mask: Tensor) -> Tensor:
    """Eight times the size: each pixel a mean of nine neighbours, with weights from the network."""
    count, _, height, width = flow.shape
    weights = mask.view(count, 1, 9, 8, 8, height, width).softmax(2)
    near = F.unfold(8 * flow, 3, padding=1).view(count, 2, 9, 1, 1, height, width)
    return (weights * near).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(count, 2, 8 * height, 8 * width)


class RaftFlow:
    """Optical flow. Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint."""

    def __init__(self, folder: Path | None = None, *, file: StandardFile = RAFT_THINGS) -> None:
        path = find_standard(file, folder)
        tensors = {name.removeprefix("module."): tensor for name, tensor in published_tensors(path).items()}
        self._network = filled(RaftNetwork(), tensors, path)

    @torch.inference_mode()
    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Flow (h, w, 2) in pixels between frames uint8 RGB (h, w, 3) of at least 128 px."""
        height, width = first.shape[:2]
        rows, columns = -height % 8, -width % 8
        pads = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        pair = [torch.as_tensor(frame).permute(2, 0, 1)[None] / 127.5 - 1 for frame in (first, second)]
        flow = self._network(*(F.pad(picture, pads, mode="replicate") for picture in pair))[0]
        return flow[:, pads[2] : pads[2] + height, pads[0] : pads[0] + width].permute(1, 2, 0).numpy()

    def pair_speeds(self, frames: Iterable[np.ndarray], fps: float) -> list[float]:
        """`pair_speed` of frames an eighth of a second apart, two of which are held at a time.

        Raises UnusableClip for too few or too small frames.
        """
        compared = islice(frames, 0, None, max(round(fps / RATE_HZ), 1))
        speeds = [pair_speed(self(*_large_enough(pair))) for pair in pairwise(compared)]
        if len(speeds) < LEAST_PAIRS:
            raise UnusableClip(f"dynamic degree needs {(LEAST_PAIRS + 1) / RATE_HZ} s. Choose a longer clip.")
        return speeds


def _large_enough(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    height, width = pair[0].shape[:2]
    if min(height, width) < LEAST_PX:
        raise UnusableClip(f"dynamic degree needs {LEAST_PX} px; the frames have {width} x {height}.")
    return pair


def pair_speed(flow: np.ndarray) -> float:
    """Mean length of the fastest 5 % of a flow (h, w, 2)."""
    lengths = np.sort(np.linalg.norm(flow, axis=-1).ravel())[::-1]
    return float(lengths[: int(len(lengths) * FASTEST_SHARE)].mean())


def is_dynamic(speeds: Iterable[float], height: int, width: int) -> bool:
    """VBench's rule for one video; the dynamic degree of many is the share that is dynamic."""
    listed = list(speeds)
    threshold = THRESHOLD_PX * min(height, width) / THRESHOLD_SIDE_PX
    return sum(speed > threshold for speed in listed) >= round(MOVING_PAIRS * (len(listed) + 1))
