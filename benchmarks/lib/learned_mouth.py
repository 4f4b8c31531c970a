"""The inside of a mouth by a small network: candidate (c) of docs/decisions/0021.

It sees the portrait's mouth and the opening in a square of the plane of the teeth, and paints that square. It
is trained with an L1 loss, one on gradients, and a network that tells painted squares from real ones: L1
alone ends in a grey blur.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.mouth_frames import MouthFrames
from sonimate.codecs.mesh.mouth import TEETH_DEPTH_CM
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask, sample_at
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import CHEEKS, LIPS_INNER, LOWER_LIP_INNER, UPPER_LIP_INNER

SIDE_PX, PIXEL_CM = 64, 0.1
"""GRID's mouths, the training material, have pixels of about this size."""
UP_PX = 22
"""Rows of the square above the line of the closed lips."""
WIDTH = 24
BATCH, LEARNING_RATE = 16, 4e-4
GRADIENTS, ADVERSARY = 2.0, 0.1
"""Weights of the losses on gradients and from the adversary, beside L1."""
INPUTS = 10
"""Mask of the opening, the portrait's square, place across and below the upper lip, share of the way down the
opening, and the colour of the cheeks."""


class MouthNet(nn.Module):
    """Inputs (n, INPUTS, 64, 64) -> colours (n, 3, 64, 64) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (WIDTH, 2 * WIDTH, 3 * WIDTH, 3 * WIDTH)
        self.first = _convolution(INPUTS, sizes[0])
        self.down = nn.ModuleList(_convolution(a, b, 2) for a, b in pairwise(sizes))
        self.up = nn.ModuleList(
            _convolution(a + b, b) for a, b in zip(sizes[:0:-1], sizes[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(sizes[0], 3, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        levels = [self.first(inputs)]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        state = levels.pop()
        for layer in self.up:
            state = F.interpolate(state, scale_factor=2, mode="bilinear", align_corners=False)
            state = layer(torch.cat([state, levels.pop()], 1))
        return torch.sigmoid(self.last(state))


class Adversary(nn.Module):
    """Inputs and colours of squares -> a map of how real each part looks."""

    def __init__(self) -> None:
        super().__init__()
        layers = [_convolution(INPUTS + 3, 32), _convolution(32, 48, 2), _convolution(48, 64, 2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1))

    def forward(self, inputs: Tensor, colours: Tensor) -> Tensor:
        return self.layers(torch.cat([inputs, colours], 1))


def _convolution(a: int, b: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(4, b), nn.LeakyReLU(0.2))


class LearnedMouth:
    """Paints the opening between the lips of one portrait; used as MouthInterior is."""

    net: MouthNet

    def __init__(self, pixels: np.ndarray, landmarks: np.ndarray, vertices: np.ndarray, plane: FacePlane):
        self._middle = vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], :2].mean(0)
        self._portrait = square(pixels, plane, self._middle)
        columns, rows = np.round(landmarks[list(CHEEKS), :2]).astype(int).T
        self._skin = np.median(pixels[rows, columns], axis=0)

    def inputs(self, plane: FacePlane, vertices: np.ndarray, curve: np.ndarray) -> np.ndarray:
        """(INPUTS, 64, 64) float32. curve: (n, 2) px, the edge of the opening in the frame."""
        x, y = np.linalg.inv(plane.linear) @ (curve - plane.offset).T
        columns = (x - self._middle[0]) / PIXEL_CM + SIDE_PX / 2 - 0.5
        mask = polygon_mask(
            np.column_stack([columns, UP_PX - 0.5 - (y - self._middle[1]) / PIXEL_CM]),
            (0, 0, SIDE_PX, SIDE_PX),
        )
        upper, lower = vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 1] - self._middle[1]
        across, height = _places()
        down = (upper - height) / 2
        share = (upper - height) / max(upper - lower, 0.1)
        planes = [mask, across / 3, down, np.clip(share, -1, 2)]
        skin = np.broadcast_to(self._skin / 255, (SIDE_PX, SIDE_PX, 3))
        return np.dstack([*planes, self._portrait / 255, skin]).transpose(2, 0, 1).astype(np.float32)

    @torch.no_grad()
    def paint(
        self, plane: FacePlane, vertices: np.ndarray, coverage: np.ndarray, window: tuple[int, int, int, int]
    ) -> np.ndarray:
        """As MouthInterior.paint."""
        x0, y0, _, _ = window
        contour, _ = cv2.findContours(
            (coverage > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        curve = max(contour, key=len)[:, 0] + [x0, y0] if contour else np.zeros((3, 2))
        inputs = torch.from_numpy(self.inputs(plane, vertices, curve.astype(np.float64)))[None]
        painted = np.ascontiguousarray(self.net(inputs)[0].numpy().transpose(1, 2, 0) * 255)
        x, y = plane.to_canonical(window)
        places = [
            (x - self._middle[0]) / PIXEL_CM + SIDE_PX / 2 - 0.5,
            UP_PX - 0.5 - (y - self._middle[1]) / PIXEL_CM,
        ]
        return sample_at(painted, np.dstack(np.broadcast_arrays(*places)).astype(np.float32))


def square(pixels: np.ndarray, plane: FacePlane, middle: np.ndarray) -> np.ndarray:
    """The square (64, 64, 3) of a picture around `middle` (2,) cm in the plane of the teeth."""
    across, height = _places()
    places = plane.from_canonical(*np.broadcast_arrays(across + middle[0], height + middle[1]))
    return sample_at(pixels, places.astype(np.float32), cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)


def _places() -> tuple[np.ndarray, np.ndarray]:
    """Centimetres (64, 64) to the right of and above the middle of the closed lips."""
    count = np.arange(SIDE_PX)
    return np.meshgrid((count + 0.5 - SIDE_PX / 2) * PIXEL_CM, (UP_PX - count - 0.5) * PIXEL_CM)


def training_squares(case: MouthFrames) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Inputs of the network, and what a frame shows there, for the frames of a clip."""
    pixels, landmarks = case.portrait
    pose = fit_pose(landmarks[None])
    vertices = to_canonical(landmarks[None], pose)[0]
    depth = vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 2].mean() - TEETH_DEPTH_CM
    mouth = LearnedMouth(pixels, landmarks, vertices, FacePlane.at(pose, depth))
    for frame, place in case.opened:
        turned = fit_pose(place[None])
        plane = FacePlane.at(turned, depth)
        curve = contour_matrix(len(LIPS_INNER)) @ place[list(LIPS_INNER), :2]
        yield (
            mouth.inputs(plane, to_canonical(place[None], turned)[0], curve),
            square(frame, plane, mouth._middle).transpose(2, 0, 1).astype(np.float32) / 255,
        )


def train_mouth_net(cases: Iterable[MouthFrames], minutes: float) -> MouthNet:
    """Train on the frames of `cases` for so many minutes of one core, speakers in equal parts."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    speakers: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for case in cases:
        speakers[case.speaker] += training_squares(case)
    squares = list(speakers.values())
    net, adversary = MouthNet(), Adversary()
    painter = torch.optim.AdamW(net.parameters(), LEARNING_RATE, betas=(0.5, 0.99))
    judge = torch.optim.AdamW(adversary.parameters(), LEARNING_RATE, betas=(0.5, 0.99))
    start, step = time.process_time(), 0
    while time.process_time() - start < 60 * minutes:
        chosen = [squares[i][rng.integers(len(squares[i]))] for i in rng.integers(len(squares), size=BATCH)]
        inputs, real = (torch.from_numpy(np.array(part)) for part in zip(*chosen, strict=True))
        light = torch.from_numpy(rng.uniform(0.6, 1.2, (BATCH, 1, 1, 1)).astype(np.float32))
        inputs[:, 4:] *= light
        real = (real * light).clamp(max=1)
        if rng.random() < 0.5:
            inputs, real = inputs.flip(3), real.flip(3)
            inputs[:, 1] *= -1
        mask = inputs[:, :1]
        painted = real + (net(inputs) - real) * mask
        strength = ADVERSARY * min(step / 500, 1)
        found = adversary(inputs, painted.detach()), adversary(inputs, real)
        loss = F.relu(1 + found[0]).mean() + F.relu(1 - found[1]).mean()
        _step(judge, loss)
        difference = (painted - real) * mask
        across, down = difference.diff(dim=3).abs(), difference.diff(dim=2).abs()
        area = mask.sum() * 3
        loss = difference.abs().sum() / area + GRADIENTS * (across.sum() + down.sum()) / area
        _step(painter, loss - strength * adversary(inputs, painted).mean())
        if step % 100 == 0:
            print(f"step {step}, {time.process_time() - start:.0f} s, {loss.item():.4f}", flush=True)
        step += 1
    return net.eval()


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def load_mouth_net(path: Path) -> MouthNet:
    """A network that benchmarks/mouth_interior.py --train has written."""
    net = MouthNet()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()
