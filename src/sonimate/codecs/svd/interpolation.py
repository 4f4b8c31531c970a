"""Twice the frame rate: a frame between every two (NOTES 5), by RIFE or, without its weights, by flow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor

from sonimate.models.rife import IFNet

Middle = Callable[[Tensor, Tensor], Tensor]
"""Two frames (3, h, w), float32 in [0, 1] -> the frame between them, on the device of the first."""

UNSEEN_CHANGE = 2 / 255
"""A change of a pixel by up to this much from one frame to the next is invisible."""

FLOW_SIDE_PX = 16
"""Two patches of 8 px, the smallest side for optical flow: OpenCV 5.0 crashed on wide frames below it."""

_log = logging.getLogger("sonimate")


def double_rate(frames: Iterable[Tensor], middle: Middle) -> Iterator[Tensor]:
    """n frames -> 2n: each frame, then the one between it and the next; the last frame twice.

    The video keeps its length; the reference's 2n - 1 frames (NOTES 5.2) are one frame shorter.
    Frames are read when they are needed, and two are in memory at a time.
    """
    previous = None
    for frame in frames:
        if previous is not None:
            yield middle(previous, frame)
        yield frame
        previous = frame
    if previous is not None:
        yield previous


class RifeMiddle:
    """The frame between two by a trained network, on the network's device.

    Where its output is not finite, which would be drawn black, `FlowMiddle` makes the frame.
    """

    name = "RIFE"

    def __init__(self, network: IFNet) -> None:
        self.network = network
        self._flow = FlowMiddle("RIFE's output is not finite")

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """As `Middle`."""
        device = next(self.network.parameters()).device
        found = self.network.motion(first[None].to(device), second[None].to(device))
        # With a broken flow the frame is finite, but of one colour.
        if not all(part.isfinite().all() for part in found):
            return self._flow(first, second)
        return found[0][0].clamp(0, 1).to(first.device)


class FlowMiddle:
    """The frame between two by optical flow, on the CPU: both are warped halfway, and averaged.

    Pixels that no motion reaches stay as they are. Where one frame hides what the other shows, they blend.
    reason: why RIFE is not used, for the warning that comes with the first frame; None for no warning.
    """

    name = "optical flow (DIS)"

    def __init__(self, reason: str | None = "The model has no RIFE weights") -> None:
        self._reason = reason

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """As `Middle`."""
        if self._reason is not None:
            _log.warning("%s: frames are interpolated by optical flow, which blurs lips.", self._reason)
            self._reason = None
        start, end = (np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy()) for frame in (first, second))
        half = _halfway_motion(start, end) / 2
        # Bilinear sampling would blur every second frame.
        middle = (_sample(start, -half, cv2.INTER_CUBIC) + _sample(end, half, cv2.INTER_CUBIC)) / 2
        return torch.from_numpy(middle).clamp(0, 1).permute(2, 0, 1).to(first.device)


def _halfway_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Motion (h, w, 2) in px between two frames (h, w, 3), for each pixel of the frame halfway: the mean of
    the flow forward and the reversed flow backward; zero where nothing changes."""
    start, end = _gray(first), _gray(second)
    # The flow is given where motion starts; a pixel of the frame halfway started half a flow away.
    forward, backward = (
        _sample(flow, -flow / 2, cv2.INTER_LINEAR) for flow in (_flow(start, end), _flow(end, start))
    )
    motion = ((forward - backward) / 2)[: first.shape[0], : first.shape[1]]
    changed = (np.abs(second - first).max(axis=-1) > UNSEEN_CHANGE).astype(np.uint8)
    reach_px = 1 + int(np.ceil(np.abs(motion).max() / 2))
    return motion * cv2.dilate(changed, np.ones((2 * reach_px + 1,) * 2, np.uint8))[..., None]


def _flow(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Motion (h, w, 2) in px of each pixel of `start`, by dense inverse search (arXiv 1603.03590)."""
    guess = np.zeros((*start.shape, 2), np.float32)
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(start, end, guess)


def _gray(frame: np.ndarray) -> np.ndarray:
    """uint8 (h, w), extended to the right and below to at least FLOW_SIDE_PX."""
    gray = np.rint(255 * cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)).astype(np.uint8)
    missing = [max(FLOW_SIDE_PX - side, 0) for side in gray.shape]
    return cv2.copyMakeBorder(gray, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)


def _sample(image: np.ndarray, offset: np.ndarray, interpolation: int) -> np.ndarray:
    """The image (h, w, c) sampled at each pixel plus its offset (h, w, 2) in px; edges are repeated."""
    height, width = image.shape[:2]
    x = offset[..., 0] + np.arange(width, dtype=np.float32)
    y = offset[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
