"""The whole full model with random weights: at its true size, or so tiny that a test can run it on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sonimate.diffusion.denoiser import Batch, Denoiser, Draws
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.models.whisper_encoder import WhisperConfig, WhisperEncoder

if TYPE_CHECKING:
    from sonimate.checkpoints.store import Components


@dataclass(frozen=True, kw_only=True)
class Size:
    """Shapes of the networks and of what they compute; the defaults are the full model's.

    clip, vae: settings of transformers' CLIP and of diffusers' autoencoder. side_px: of square frames.
    window_frames: latents that the UNet sees at once. seconds: of the clip. steps: of its sampling.
    repeats: timed calls after the first, of which the median counts. backend: of torch.compile. halves: the
    half-precision types to measure.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    tokens: AudioTokensConfig = field(default_factory=AudioTokensConfig)
    bucket: AudioToBucketConfig = field(default_factory=AudioToBucketConfig)
    whisper: WhisperConfig = field(default_factory=WhisperConfig)
    rife: IFNetConfig = field(default_factory=IFNetConfig)
    clip: Mapping[str, Any] = field(
        default_factory=lambda: {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "projection_dim": 1024,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "patch_size": 14,
            "hidden_act": "gelu",
        }
    )
    vae: Mapping[str, Any] = field(
        default_factory=lambda: {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
    )
    side_px: int = 512
    window_frames: int = 25
    seconds: float = 5.0
    steps: int = 25
    repeats: int = 5
    backend: str = "inductor"
    halves: tuple[str, ...] = ("float16", "bfloat16")

    @property
    def side(self) -> int:
        """Of the latents."""
        return self.side_px // 8


FULL_SIZE = Size()
TINY_SIZE = Size(
    unet=UNetConfig(
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 32),
        num_attention_heads=(1, 1),
        layers_per_block=1,
        cross_attention_dim=32,
    ),
    tokens=AudioTokensConfig(channels=16, intermediate_dim=32, output_dim=32),
    bucket=AudioToBucketConfig(channels=16, intermediate_dim=32, clip_channels=32),
    whisper=WhisperConfig(d_model=16, encoder_attention_heads=2, encoder_ffn_dim=32),
    rife=IFNetConfig(channels=16),
    clip={
        "hidden_size": 32,
        "intermediate_size": 64,
        "projection_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": 32,
    },
    vae={"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1},
    side_px=64,
    window_frames=3,
    seconds=0.4,
    steps=2,
    repeats=1,
    backend="eager",
    halves=("bfloat16",),  # a CPU's float16 is very slow
)


def random_unet(size: Size, device: torch.device, dtype: torch.dtype) -> SpatioTemporalUNet:
    """With a last layer of zeros: the network computes everything and predicts 0, so that latents stay finite
    over any number of steps."""
    with device:
        unet = SpatioTemporalUNet(size.unet)
    for parameter in unet.conv_out.parameters():
        nn.init.zeros_(parameter)
    return unet.to(dtype).eval().requires_grad_(False)


def random_vae(size: Size, device: torch.device, dtype: torch.dtype) -> Any:
    """The autoencoder. Needs diffusers."""
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

    levels = len(size.vae["block_out_channels"])
    with device:
        vae: Any = AutoencoderKLTemporalDecoder(down_block_types=("DownEncoderBlock2D",) * levels, **size.vae)  # pyright: ignore[reportArgumentType]
    # diffusers' AlphaBlender begins on the CPU in spite of the block.
    return vae.to(device, dtype).eval().requires_grad_(False)


def random_components(size: Size, device: torch.device, dtype: torch.dtype) -> Components:
    """A model in the types that `from_pretrained` loads. Needs all packages of the extra `full`."""
    from transformers.models.clip.configuration_clip import CLIPVisionConfig

    from sonimate.audio.whisper import WhisperHiddenStates
    from sonimate.checkpoints.store import Components
    from sonimate.codecs.svd.autoencoder import SVDCodec
    from sonimate.codecs.svd.interpolation import RifeMiddle
    from sonimate.models.clip import ClipImageEncoder

    with device:
        image_encoder: Any = ClipImageEncoder(CLIPVisionConfig(**size.clip))
        rife = IFNet(size.rife).eval()
        tokens, bucket = AudioToTokens(size.tokens), AudioToBucket(size.bucket)
    return Components(
        unet=random_unet(size, device, dtype),
        audio_to_tokens=tokens,
        audio_to_bucket=bucket,
        image_encoder=image_encoder.to(dtype),
        audio_encoder=WhisperHiddenStates(WhisperEncoder(size.whisper)),
        codec=SVDCodec(random_vae(size, device, dtype), middle=RifeMiddle(rife)),
    )


def random_denoiser(size: Size, device: torch.device) -> Denoiser:
    """The networks to train, float32, with gradient checkpointing."""
    with device:
        networks = Denoiser(SpatioTemporalUNet(size.unet), AudioToTokens(size.tokens), nn.Identity())
    networks.unet.enable_gradient_checkpointing()
    return networks.train()


def random_batch(size: Size, device: torch.device) -> Batch:
    """One window of random numbers."""
    frames, side = size.window_frames, size.side
    latent = (size.unet.out_channels, side, side)
    keep = torch.zeros(1, dtype=torch.bool, device=device)
    with device:
        return Batch(
            names=("random",),
            latents=torch.randn(1, frames, *latent),
            reference=torch.randn(1, *latent),
            image=torch.randn(1, 1, size.unet.cross_attention_dim),
            features=torch.randn(1, frames, size.tokens.feature_dim),
            buckets=torch.full((1, 2), 16.0),
            mask=torch.ones(1, 1, side, side),
            draws=Draws(torch.randn(1, frames, *latent), torch.ones(1), keep, keep),
        )
