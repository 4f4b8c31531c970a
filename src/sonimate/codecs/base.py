"""What the sampler and the pipeline ask of a codec: a portrait becomes latents, latents become frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from sonimate.configs import DecodeOptions
from sonimate.types import FrameStream, Portrait


@dataclass(frozen=True, kw_only=True)
class EncodedReference:
    """A portrait as the networks see it.

    latents: (c, h, w), shown to the UNet beside the noisy ones, which have the same shape.
    mask: (H, W) of any size with the latents' aspect ratio, where the voice may act.
    image: what the image encoder sees, without a batch axis.
    initial_mean: what the initial noise is added to, (c, h, w) or a number (NOTES 4.2).
    width, height: px of decoded frames, even.
    context: what the codec needs to decode frames of this portrait; opaque to everyone else.
    """

    latents: Tensor
    mask: Tensor
    image: Tensor
    initial_mean: Tensor | float
    width: int
    height: int
    context: Any = None


class Codec(Protocol):
    """Two implementations: `MeshCodec` (compact) and `SVDCodec` (full).

    output_fps: of the frames that `decode` yields, 25 or 12.5; may be set.
    image_size: px of the shorter side that the codec brings portraits to, which may be set; None if it takes
    them as they are.
    """

    output_fps: float
    image_size: int | None

    @property
    def latent_fps(self) -> float: ...

    @property
    def networks(self) -> Sequence[nn.Module]:
        """What must be on a device before it encodes or decodes there."""
        ...

    @property
    def interpolation(self) -> str | None:
        """How frames between the decoded ones come about, for people; None if there are none."""
        ...

    def encode_reference(self, portrait: Portrait) -> EncodedReference: ...

    def decode(self, latents: Tensor, context: Any, decoding: DecodeOptions | None = None) -> FrameStream:
        """Latents (n, c, h, w) -> uint8 frames (height, width, 3) one by one; holds no whole video.

        decoding: of a codec that couples frames, by default its own.
        """
        ...
