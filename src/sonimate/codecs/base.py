"""What the sampler and the pipeline ask of a codec: a portrait becomes latents, latents become frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sonimate.types import FrameStream, Portrait


@dataclass(frozen=True)
class EncodedReference:
    """latents: (c, h, w) shown to the UNet beside the noisy ones. mask: (h, w) where the voice may act.
    context: what the codec needs to decode frames of this portrait; opaque to everyone else."""

    latents: Tensor
    mask: Tensor
    context: Any


class Codec(Protocol):
    """Two implementations: `MeshCodec` (compact) and `SVDCodec` (full)."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latents."""
        ...

    def encode_reference(self, portrait: Portrait) -> EncodedReference: ...

    def decode(self, latents: Tensor, context: Any) -> FrameStream:
        """Latents (f, c, h, w) -> frames one by one, at the codec's output rate; holds no whole video."""
        ...
