"""The full model's codec: Stable Video Diffusion's autoencoder, decoding in chunks without visible seams."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.clock import LATENT_FPS
from sonimate.codecs.base import EncodedReference
from sonimate.codecs.svd.interpolation import Middle, RifeMiddle, double_rate
from sonimate.codecs.svd.preparation import (
    box_mask,
    clip_input,
    resize_to_multiple_of_64,
    signed_image,
    unit_mask,
)
from sonimate.configs import DEFAULT_IMAGE_SIZE_PX, MAX_BUCKET, SEAMLESS_DECODE, DecodeOptions, require_size
from sonimate.errors import NonFiniteOutput
from sonimate.types import FrameStream, Portrait

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

ENCODE_FRAMES = 8
"""Frames encoded in one call. The encoder treats each frame alone, so only memory depends on this."""

_log = logging.getLogger("sonimate")


class SVDCodec:
    """Latents (n, 4, h / 8, w / 8) at `latent_fps`, scaled to unit variance.

    vae: computes on its own device and in its own type. If it overflows in half precision, a copy in float32
    computes the rest of the call; the codec itself never changes.
    middle: makes the frame between two, for videos of twice `latent_fps`.
    decoding: the default of `decode`.
    """

    latent_fps: float = LATENT_FPS
    head_buckets: tuple[float, float] = (0.0, MAX_BUCKET)
    expression_buckets: tuple[float, float] = (0.0, MAX_BUCKET)

    def __init__(
        self,
        vae: AutoencoderKLTemporalDecoder,
        *,
        middle: Middle,
        decoding: DecodeOptions = SEAMLESS_DECODE,
    ):
        self.vae = vae
        self.middle = middle
        self.decoding = decoding
        self._scaling: float = vae.config["scaling_factor"]

    @property
    def networks(self) -> Sequence[nn.Module]:
        return [self.vae, self.middle.network] if isinstance(self.middle, RifeMiddle) else [self.vae]

    def interpolation(self, fps: float) -> str | None:
        """As in `Codec`."""
        return self.middle.name if fps > self.latent_fps else None

    def rest_mouth(self, latents: Tensor, gate: np.ndarray) -> Tensor:
        """The latents as they are: they are pictures, in which no mouth can be told from a face."""
        return latents

    def with_tongue(self, latents: Tensor, tongue: np.ndarray) -> Tensor:
        """The latents as they are: in pictures the tongue is part of the face."""
        return latents

    def enlarge_head(self, latents: Tensor, bucket: float) -> Tensor:
        """The latents as they are: the UNet follows every head bucket."""
        return latents

    def encode_reference(self, portrait: Portrait, *, size: int | None = None) -> EncodedReference:
        """The networks' inputs for a portrait (NOTES 2.1-2.3, 4.1), float32 on the CPU.

        The portrait is resized, and so is the mask, which is drawn around the face on the original picture.
        size: px of the shorter side, before both are rounded to multiples of 64 (NOTES 2.1); by default 512.
        latents: mean of the posterior, unscaled. Raises OptionOutOfRange, NonFiniteOutput.
        """
        height, width = portrait.pixels.shape[:2]
        mask = box_mask(portrait.mask_box or portrait.face.box, width=width, height=height)
        size = require_size(size or DEFAULT_IMAGE_SIZE_PX)
        pixels, mask = (resize_to_multiple_of_64(x, size) for x in (portrait.pixels, mask))
        (mean,) = self._computed(_posterior_mean, [signed_image(pixels)[None]])
        latents = mean[0]
        return EncodedReference(
            latents=latents,
            mask=unit_mask(mask),
            image=clip_input(pixels),
            initial_mean=self._scaling * latents,
            width=pixels.shape[1],
            height=pixels.shape[0],
        )

    def encode(self, frames: Tensor | Sequence[np.ndarray]) -> Tensor:
        """Frames, (n, 3, h, w) in [-1, 1] or uint8 (h, w, 3) each, sides multiples of 8 -> latents
        (n, 4, h / 8, w / 8), float32 on the CPU. Raises NonFiniteOutput."""
        starts = range(0, len(frames), ENCODE_FRAMES)
        chunks = (_signed(frames[start : start + ENCODE_FRAMES]) for start in starts)
        return self._scaling * torch.cat(list(self._computed(_posterior_mean, chunks)))

    @torch.no_grad()
    def decode(
        self, latents: Tensor, context: object = None, decoding: DecodeOptions | None = None
    ) -> FrameStream:
        """Latents -> uint8 frames (h, w, 3) at `decoding.fps`, one by one, truncated (NOTES 5.2, 5.3).

        Raises what `decode_latents` raises.
        """
        decoding = decoding or self.decoding
        frames = self.decode_latents(latents, decoding)
        if decoding.fps > self.latent_fps:
            frames = double_rate(frames, self.middle)
        for frame in frames:
            yield (frame * 255).to(torch.uint8).permute(1, 2, 0).numpy()

    def decode_latents(self, latents: Tensor, decoding: DecodeOptions | None = None) -> Iterator[Tensor]:
        """Latents -> frames (3, h, w) in [0, 1] at `latent_fps`, one by one, float32 on the CPU.

        decoding: by default the codec's own.

        Raises NonFiniteOutput: latents, or frames even in float32, are not finite.
        """
        if not latents.isfinite().all():
            raise NonFiniteOutput("The latents are not finite. Sample in float32, or with less guidance.")
        chunks = list(chunk_plan(len(latents), decoding or self.decoding))
        unscaled = (latents[chunk.start : chunk.stop].float() / self._scaling for chunk in chunks)
        for chunk, decoded in zip(chunks, self._computed(_decoded, unscaled), strict=True):
            yield from (decoded[chunk.keep] / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def _computed(
        self, compute: Callable[[AutoencoderKLTemporalDecoder, Tensor], Tensor], inputs: Iterable[Tensor]
    ) -> Iterator[Tensor]:
        """`compute` of the autoencoder and each input, float32 on the CPU.

        After an overflow, a copy in float32 computes this input and the following ones, which would overflow
        too. The copy has 0.4 GB, little beside the activations, and goes when the iteration ends.
        """
        vae = self.vae
        for x in inputs:
            y = compute(vae, x.to(vae.device, vae.dtype))
            if vae.dtype != torch.float32 and not y.isfinite().all():
                _log.warning(
                    "The autoencoder overflowed in %s and continues in float32, which takes more time and "
                    "memory.",
                    str(vae.dtype).removeprefix("torch."),
                )
                vae = deepcopy(vae).float()
                y = compute(vae, x.to(vae.device))
            if not y.isfinite().all():
                raise NonFiniteOutput(
                    "The autoencoder's output is not finite even in float32. Check its weights: convert or "
                    "copy the model again."
                )
            yield y.float().cpu()


def _posterior_mean(vae: AutoencoderKLTemporalDecoder, images: Tensor) -> Tensor:
    return vae.encode(images, return_dict=False)[0].mean


def _decoded(vae: AutoencoderKLTemporalDecoder, latents: Tensor) -> Tensor:
    return vae.decode(latents, len(latents), return_dict=False)[0]


class Chunk(NamedTuple):
    """Frames start to stop are decoded together; `keep`, a slice of them, is shown."""

    start: int
    stop: int
    keep: slice


def chunk_plan(frame_count: int, options: DecodeOptions) -> Iterator[Chunk]:
    """Chunks that show every frame once, in order; neighbours switch in the middle of their overlap."""
    start, shown = 0, 0
    while shown < frame_count:
        stop = min(start + options.chunk_frames, frame_count)
        end = stop if stop == frame_count else stop - options.overlap_frames // 2
        yield Chunk(start, stop, slice(shown - start, end - start))
        start, shown = stop - options.overlap_frames, end


def _signed(frames: Tensor | Sequence[np.ndarray]) -> Tensor:
    return frames if isinstance(frames, Tensor) else torch.stack([signed_image(frame) for frame in frames])
