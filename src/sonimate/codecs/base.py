"""The interface of a codec: a portrait becomes latents, latents become frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from sonimate.configs import DecodeOptions
from sonimate.types import FrameStream, Portrait


@dataclass(frozen=True, kw_only=True)
class EncodedReference:
    """A portrait as the networks see it.

    latents: (c, h, w), given to the UNet beside the noisy latents, which have the same shape.
    mask: (H, W) of any size with the latents' aspect ratio: the region that audio attention may change.
    image: input of the image encoder, without a batch axis.
    initial_mean: mean of the initial noise, (c, h, w) or a number (NOTES 4.2). noise_scale: factor on that
        noise, beside the temperature, (c, 1, 1) or a number.
    width, height: px of decoded frames, even.
    context: what this codec needs to decode frames of this portrait; other modules only pass it on.
    """

    latents: Tensor
    mask: Tensor
    image: Tensor
    initial_mean: Tensor | float
    width: int
    height: int
    context: Any = None
    noise_scale: Tensor | float = 1.0


class BucketRanges(Protocol):
    """Which motion buckets the UNet of a codec follows."""

    @property
    def head_buckets(self) -> tuple[float, float]:
        """Smallest and largest head bucket. `enlarge_head` serves larger requests."""
        ...

    @property
    def expression_buckets(self) -> tuple[float, float]:
        """Smallest and largest expression bucket."""
        ...


class Codec(BucketRanges, Protocol):
    """Two implementations: `MeshCodec` (compact) and `SVDCodec` (full). Calls change nothing in a codec."""

    @property
    def latent_fps(self) -> float: ...

    @property
    def networks(self) -> Sequence[nn.Module]:
        """The networks to move to a device before the codec encodes or decodes there."""
        ...

    def interpolation(self, fps: float) -> str | None:
        """Name of the method that makes frames between the decoded ones at `fps`; None if it makes none."""
        ...

    def encode_reference(self, portrait: Portrait, *, size: int | None = None) -> EncodedReference:
        """size: px of the shorter side that the full model scales the portrait to, by default 512. The
        compact model animates a portrait at its own size and ignores it."""
        ...

    def rest_mouth(self, latents: Tensor, gate: np.ndarray) -> Tensor:
        """Latents whose mouth moves as far as `gate` allows, 25 values a second, from 0 (at rest) to 1
        (unchanged)."""
        ...

    def with_tongue(self, latents: Tensor, tongue: np.ndarray) -> Tensor:
        """Latents that also hold how far the tip of the tongue is up at the upper teeth, and between the
        teeth: (n, 2) from 0 to 1, 25 a second."""
        ...

    def enlarge_head(self, latents: Tensor, bucket: float) -> Tensor:
        """Latents made at the largest of `head_buckets` -> latents whose head moves as a larger `bucket`
        asks."""
        ...

    def decode(self, latents: Tensor, context: Any, decoding: DecodeOptions | None = None) -> FrameStream:
        """Latents (n, c, h, w) -> uint8 frames (height, width, 3) at `decoding.fps`, one by one; never holds
        a whole video. decoding: by default the codec's own."""
        ...
