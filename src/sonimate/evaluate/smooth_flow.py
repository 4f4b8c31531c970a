"""smooth-flow: does every second frame lie where motion between its neighbours puts it?

The idea of VBench's motion smoothness (Huang et al. 2024), with dense optical flow in the place of AMT; its
values do not compare with it. A frozen video is perfectly smooth: it stands beside the measures of motion.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch

from sonimate.codecs.svd.interpolation import FlowMiddle

SIDE_PX = 256
"""Longer side at which frames are compared."""


def smooth_flow(frames: Iterable[np.ndarray]) -> float:
    """1 minus the mean difference, in [0, 1], of every second frame, uint8 RGB (h, w, 3), from one that is
    made from its two neighbours. Holds three frames at a time. NaN for fewer than three."""
    middle = FlowMiddle(None)
    before: torch.Tensor | None = None
    between: torch.Tensor | None = None
    differences: list[float] = []
    for index, frame in enumerate(frames):
        small = _small(frame)
        if index % 2:
            between = small
            continue
        if before is not None and between is not None:
            differences.append(float((middle(before, small) - between).abs().mean()))
        before = small
    return 1 - float(np.mean(differences)) if differences else float("nan")


def _small(frame: np.ndarray) -> torch.Tensor:
    """float32 (3, h, w) in [0, 1], the longer side SIDE_PX at most."""
    scale = min(SIDE_PX / max(frame.shape[:2]), 1.0)
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    resized = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return torch.as_tensor(resized.astype(np.float32) / 255).permute(2, 0, 1)
