"""The denoising network: a spatio-temporal UNet conditioned on the portrait and the voice.

The layout and parameter names are those of Stable Video Diffusion's UNet with Sonic's audio adapters, so
that released weights load strictly; small configurations of the same class make the compact model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.errors import InvalidCheckpoint
from sonimate.models.attention import Context, GroupNorm, TemporalLayer
from sonimate.models.blocks import ATTENDS, DownBlock, Level, MidBlock, UpBlock
from sonimate.models.embeddings import TimestepEmbedding, sinusoidal_embedding

TIME_IDS = 3
"""Scalars given beside the timestep: frames per second, head motion bucket, expression motion bucket."""

TEMPORAL_AUDIO, MOTION_CONTROLLER = "temporal_audio", "motion_controller"
"""Parts that a UNet may be trained without (table 3 of the paper)."""

FIXED_BUCKET = 64.0
"""Both motion buckets of a UNet without motion controller: the middle of their range."""

_DESCRIPTIVE_KEYS = {"sample_size", "num_frames"}
_SUFFIX = "SpatioTemporal"


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Shape of a UNet; the defaults are the full model. Tuples go from the highest resolution to the lowest.

    Block types are "DownBlock" or "CrossAttnDownBlock" (with audio attention), and, from the lowest
    resolution up, "UpBlock" or "CrossAttnUpBlock"; diffusers' suffix "SpatioTemporal" is accepted.
    norm_num_groups must divide every channel count.
    without: parts that the network was trained without, TEMPORAL_AUDIO (no audio in temporal attention) or
    MOTION_CONTROLLER (both motion buckets are always FIXED_BUCKET).
    audio_guidance: guidance by the voice, learnt by distillation (Meng et al. 2023); 1 is none.
    """

    in_channels: int = 8
    out_channels: int = 4
    down_block_types: tuple[str, ...] = (
        *("CrossAttnDownBlockSpatioTemporal",) * 3,
        "DownBlockSpatioTemporal",
    )
    up_block_types: tuple[str, ...] = ("UpBlockSpatioTemporal", *("CrossAttnUpBlockSpatioTemporal",) * 3)
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    num_attention_heads: tuple[int, ...] = (5, 10, 20, 20)
    layers_per_block: int = 2
    transformer_layers_per_block: int = 1
    cross_attention_dim: int = 1024
    addition_time_embed_dim: int = 256
    projection_class_embeddings_input_dim: int = 768
    norm_num_groups: int = 32
    without: tuple[str, ...] = ()
    audio_guidance: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if unknown := set(self.without) - {TEMPORAL_AUDIO, MOTION_CONTROLLER}:
            raise InvalidCheckpoint(
                f"UNet config: without = {sorted(unknown)}; "
                f"it may hold {TEMPORAL_AUDIO!r}, {MOTION_CONTROLLER!r}."
            )
        levels = len(self.block_out_channels)
        for name in ("down_block_types", "up_block_types", "num_attention_heads"):
            if (entries := len(getattr(self, name))) != levels:
                raise InvalidCheckpoint(
                    f"UNet config: {name} has {entries} entries but block_out_channels has {levels}. "
                    "Give one entry per level."
                )
        for types, base in ((self.down_block_types, "DownBlock"), (self.up_block_types, "UpBlock")):
            for name in types:
                if name.removesuffix(_SUFFIX) not in (base, ATTENDS + base):
                    raise InvalidCheckpoint(
                        f"UNet config: unknown block type {name!r}. Use {base!r} or 'CrossAttn{base}'."
                    )
        expected, found = TIME_IDS * self.addition_time_embed_dim, self.projection_class_embeddings_input_dim
        if found != expected:
            raise InvalidCheckpoint(
                f"UNet config: projection_class_embeddings_input_dim must be {TIME_IDS} x "
                f"addition_time_embed_dim = {expected}, not {found}."
            )

    @property
    def time_dim(self) -> int:
        """Width of the time embedding."""
        return 4 * self.block_out_channels[0]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UNetConfig:
        """Read a saved config.json. Keys that describe rather than shape the network are ignored."""
        known = {k: v for k, v in values.items() if not k.startswith("_") and k not in _DESCRIPTIVE_KEYS}
        if unknown := known.keys() - cls.__dataclass_fields__.keys():
            raise InvalidCheckpoint(
                f"UNet config.json has unknown settings: {', '.join(sorted(unknown))}. "
                "Was it written by another program or version?"
            )
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values that `from_dict` reads back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass
class DeepFeatures:
    """Input features of the last up level, kept from one call for the next (DeepCache, Ma et al. 2023).

    features: (b*f, channels of the second level, h, w), or None until a call fills it. Valid only for calls
    with the same windows and branches.
    """

    features: Tensor | None = None


class SpatioTemporalUNet(nn.Module):
    """Predicts v from noisy latents, the reference, the portrait's embedding and the audio tokens."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, time_dim = config.block_out_channels, config.time_dim
        levels = range(len(channels))
        self.conv_in = nn.Conv2d(config.in_channels, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], time_dim, time_dim)
        self.add_embedding = TimestepEmbedding(
            config.projection_class_embeddings_input_dim, time_dim, time_dim
        )
        self.down_blocks = nn.ModuleList(DownBlock(config, level) for level in levels)
        self.up_blocks = nn.ModuleList(UpBlock(config, level) for level in reversed(levels))
        self.mid_block = MidBlock(config)
        self.conv_norm_out = GroupNorm(config.norm_num_groups, channels[0], eps=1e-5)
        self.conv_out = nn.Conv2d(channels[0], config.out_channels, 3, padding=1)
        if TEMPORAL_AUDIO in config.without:
            for module in self.modules():
                if isinstance(module, TemporalLayer):
                    module.disable_audio()

    def enable_gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory in training: recompute each resnet and transformer in the backward pass."""
        for module in self.modules():
            if isinstance(module, Level):
                module.checkpointing = enabled

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        image_embeds: Tensor,
        audio_tokens: Tensor,
        added_time_ids: Tensor,
        mask: Tensor | None = None,
        cache: DeepFeatures | None = None,
    ) -> Tensor:
        """One window of f frames, or a batch of them.

        sample: (b, f, in_channels, h, w), noisy latents scaled to unit variance, then the reference latents.
            h and w are multiples of 2^(levels - 1).
        timestep: scalar or (b,), ln(sigma) / 4.
        image_embeds: (b, f, 1, c). audio_tokens: (b, f, k, c).
        added_time_ids: (b, 3), frames per second, head and expression motion buckets in [0, 128].
        mask: (1 or b, 1, H, W) of any size and the latents' aspect ratio, 1 on the face; None is everywhere.
        cache: filled by this call if empty. If filled, its features replace all levels but the one of the
            highest resolution: most of the time is saved, and the result is not exact.
        Returns v, (b, f, out_channels, h, w).
        """
        batch, frames = sample.shape[:2]
        if image_embeds.shape[:3] != (batch, frames, 1):
            raise ValueError(
                f"image_embeds is {tuple(image_embeds.shape)}, expected ({batch}, {frames}, 1, c)"
            )
        time = self.embed_time(timestep, added_time_ids, sample).repeat_interleave(frames, dim=0)
        context = Context(image_embeds, audio_tokens, mask)

        x = self.conv_in(sample.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        skips = [x]
        x = self.down_blocks[0](x, skips, time, context)
        cache = cache or DeepFeatures()
        if cache.features is None:
            cache.features = self._deep_features(x, skips, time, context)
        del skips[self.config.layers_per_block + 1 :]  # the level below's, which a filled cache leaves there
        x = self.up_blocks[-1](cache.features, skips, time, context)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return x.unflatten(0, (batch, frames))

    def _deep_features(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Context) -> Tensor:
        """All levels below the highest resolution; removes their skip connections from `skips`."""
        for block in self.down_blocks[1:]:
            x = block(x, skips, time, context)
        x = self.mid_block(x, time, context)
        for block in self.up_blocks[:-1]:
            x = block(x, skips, time, context)
        return x

    def embed_time(self, timestep: Tensor | float, added_time_ids: Tensor, sample: Tensor) -> Tensor:
        """(b, time_dim): timestep plus frame rate and motion buckets, after the SiLU common to all blocks."""
        dtype = sample.dtype
        if MOTION_CONTROLLER in self.config.without:
            fixed = torch.full_like(added_time_ids[:, 1:], FIXED_BUCKET)
            added_time_ids = torch.cat([added_time_ids[:, :1], fixed], dim=1)
        timesteps = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        steps = sinusoidal_embedding(timesteps, self.config.block_out_channels[0])
        ids = sinusoidal_embedding(added_time_ids.flatten(), self.config.addition_time_embed_dim)
        ids = ids.view(len(sample), -1)
        return F.silu(self.time_embedding(steps.to(dtype)) + self.add_embedding(ids.to(dtype)))
