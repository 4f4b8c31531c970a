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
"""Two frames (3, h, w), float32 in [0, 1] -> the one between, of the same kind and on the first's device."""

UNSEEN_CHANGE = 2 / 255
"""No one sees a pixel change by this much in one frame."""

FLOW_SIDE_PX = 16
"""Two of the flow's 8 px patches: on wide frames lower than this, OpenCV 5.0 crashed."""

_log = logging.getLogger("sonimate")


def double_rate(frames: Iterable[Tensor], middle: Middle) -> Iterator[Tensor]:
    """n frames -> 2n: each as it is, then the one between it and the next; the last is shown twice.

    So a video lasts as long as before, where the reference's 2n - 1 frames (NOTES 5.2) end one earlier.
    Reads no frame before it is due and holds two at a time.
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

    Where that computes infinities or no numbers, which would be shown as black, it is `FlowMiddle`'s.
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
        if not all(part.isfinite().all() for part in found):  # the frame alone may be finite, but one colour
            return self._flow(first, second)
        return found.frame[0].clamp(0, 1).to(first.device)


class FlowMiddle:
    """Both frames follow the optical flow between them halfway, on the CPU, and are averaged there.

    Pixels farther from any change than motion reaches stay as they are. What one frame hides is blended.
    reason: why it stands in for RIFE, a warning with the first frame.
    """

    name = "optical flow (DIS)"

    def __init__(self, reason: str = "The model has no RIFE weights") -> None:
        self._reason: str | None = reason

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """As `Middle`."""
        if self._reason is not None:
            _log.warning("%s: frames between two are made by optical flow, which blends lips.", self._reason)
            self._reason = None
        start, end = (np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy()) for frame in (first, second))
        half = _motion(start, end) / 2
        # Cubic: bilinear sampling would blur every second frame.
        middle = (_sample(start, -half, cv2.INTER_CUBIC) + _sample(end, half, cv2.INTER_CUBIC)) / 2
        return torch.from_numpy(middle).clamp(0, 1).permute(2, 0, 1).to(first.device)


def _motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Motion (h, w, 2) in px, from the first to the second of two frames (h, w, 3), of what each pixel shows
    halfway: the mean of what both directions of time say; zero where nothing changes."""
    start, end = _gray(first), _gray(second)
    # What is here halfway set out half its motion away, and that place, not this one, knows its motion.
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
    """uint8, continued to the right and below if too small for the flow."""
    gray = np.rint(255 * cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)).astype(np.uint8)
    missing = [max(FLOW_SIDE_PX - side, 0) for side in gray.shape]
    return cv2.copyMakeBorder(gray, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)


def _sample(image: np.ndarray, offset: np.ndarray, interpolation: int) -> np.ndarray:
    """The image (h, w, c) at each pixel plus its offset (h, w, 2) in px; edges held."""
    height, width = image.shape[:2]
    x = offset[..., 0] + np.arange(width, dtype=np.float32)
    y = offset[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
