"""Audio and portrait -> how strongly head and expression should move (paper section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.models.audio_tokens import WindowConfig, WindowNetwork

BUCKET_UNIT = 16.0
"""The network's outputs are in units of 16 buckets, and 0 is bucket 16."""


@dataclass(frozen=True, kw_only=True)
class AudioToBucketConfig(WindowConfig):
    """The defaults are the full model: 1 s of the last layer, and an image embedding of clip_channels."""

    seq_len: int = 50
    blocks: int = 1
    output_dim: int = 1
    context_tokens: int = 2
    clip_channels: int = 1024


class AudioToBucket(WindowNetwork):
    """Three linear layers with SiLU: one second of sound and the portrait's embedding -> motion buckets."""

    def __init__(self, config: AudioToBucketConfig) -> None:
        super().__init__(config)
        self.config = config
        hidden = config.intermediate_dim
        self.proj1 = nn.Linear(config.feature_dim + config.clip_channels, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, config.context_tokens * config.output_dim)

    def forward(self, windows: Tensor, image_embed: Tensor) -> Tensor:
        """windows (b, f, seq_len, blocks, channels), image_embed (b, c) -> buckets (b, f, 2).

        Head then expression, nominally in [0, 128] but neither clamped nor rounded.
        """
        return self.project(self.reduce(windows), image_embed)

    def project(self, features: Tensor, image_embed: Tensor) -> Tensor:
        """Features of `reduce`, (b, f, feature_dim), and image_embed (b, c) -> buckets (b, f, 2)."""
        image = image_embed[:, None].expand(-1, features.shape[1], -1)
        x = self.drop(F.silu(self.proj1(torch.cat([self.perturb(features), image], dim=-1))))
        x = self.drop(F.silu(self.proj2(x)))
        return BUCKET_UNIT * self.proj3(x) + BUCKET_UNIT
