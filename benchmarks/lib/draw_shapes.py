"""Draws mouths on a portrait with whatever version of the package is on the path, however old.

draw_shapes.py TASK.npz FRAMES.npy
"""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.types import Face, Portrait

UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14


def draw(task: Path) -> np.ndarray:
    """Frames (s, h, w, 3) uint8, one for each shape.

    task: an npz of pixels (h, w, 3), landmarks (478, 3) px and box (4,) of a portrait; shapes (s, 478, 3) cm,
    displacements of its closed mouth; tongues (s, 2), see Motion, which early versions ignore; opening
    (478, 3) cm, a displacement that opens it.
    """
    with np.load(task) as file:
        portrait = Portrait(file["pixels"], Face(tuple(file["box"].tolist()), file["landmarks"], 1.0))
        shapes, tongues, opening = file["shapes"], file["tongues"], file["opening"]
    warp = _warp(portrait)
    per_opening = opening[UPPER_LIP_INNER, 1] - opening[LOWER_LIP_INNER, 1]
    gap = max(warp.vertices[UPPER_LIP_INNER, 1] - warp.vertices[LOWER_LIP_INNER, 1], 0.0)
    still = np.zeros(6)
    frames = []
    for shape, tongue in zip(shapes - gap / per_opening * opening, tongues, strict=True):
        if hasattr(warp, "resolve"):
            known = {"tongue": tongue[None]} if "tongue" in signature(warp.resolve).parameters else {}
            frames.append(warp.draw(warp.resolve(shape[None], still[None], **known)))
        else:
            frames.append(warp.render(shape, still))
    return np.array(frames)


def _warp(portrait: Portrait) -> Any:
    try:
        from sonimate.codecs.mesh.warp import PortraitWarp
    except ImportError:  # before the codecs had packages of their own
        PortraitWarp = import_module("sonimate.codecs.warp").PortraitWarp
    return PortraitWarp(portrait)


if __name__ == "__main__":
    np.save(sys.argv[2], draw(Path(sys.argv[1])))
