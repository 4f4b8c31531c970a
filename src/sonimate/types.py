"""Data types that several packages share: plain, frozen, without torch where possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Plan = list[list[int]]
"""Windows of one denoising step: each is a list of frame indices (paper alg. 1)."""

Progress = Callable[[str, int, int], None]
"""Called during a long run with (stage, steps done, steps in all)."""


def no_progress(stage: str, done: int, total: int) -> None:
    """The default of functions that report their progress: does nothing."""


def part_of(progress: Progress, place: int, parts: int) -> Progress:
    """The progress of one of several equal parts that follow one another, as a callback for that part."""
    return lambda stage, done, total: progress(stage, place * total + done, parts * total)


FrameStream = Iterator[np.ndarray]
"""Frames one by one, each uint8 RGB (h, w, 3), or RGBA (h, w, 4) of a person without a background."""


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Waveform:
    """Mono sound: `samples` float32 (n,) in [-1, 1] at `rate_hz`."""

    samples: np.ndarray
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class Face:
    """One face found in an image.

    box: the tight box of the landmarks.
    landmarks: float32 (478, 3); x, y in image pixels, z in pixels of the same scale (smaller is nearer); 0 to
        467 the face mesh, 468 to 477 the irises.
    presence: confidence in [0, 1] that a face is there.
    """

    box: Box
    landmarks: np.ndarray
    presence: float


@dataclass(frozen=True)
class Portrait:
    """The image to animate: `pixels` uint8 RGB (h, w, 3) and the face in it.

    mask_box: around which the full model draws its face mask; None: the face's own box.
    share: uint8 (h, w), of each pixel the part that is the person's, where the compact model shall draw them
        without what is behind them.
    """

    pixels: np.ndarray
    face: Face
    mask_box: Box | None = None
    share: np.ndarray | None = None


@dataclass(frozen=True)
class Conditions:
    """All inputs that control the UNet, per generated frame (n frames at `fps`).

    image_embeds: (n, 1, c). audio_tokens, null_audio_tokens: (n, k, c).
    motion_buckets: (n, 2), head then expression, nominally in [0, 128], the dynamic scale included.
    reference_latents: (c, h, w). mask: (h, w), the face mask on the latent grid or in pixels.
    """

    image_embeds: Tensor
    audio_tokens: Tensor
    null_audio_tokens: Tensor
    motion_buckets: Tensor
    reference_latents: Tensor
    mask: Tensor
    fps: float
