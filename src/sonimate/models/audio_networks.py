"""Whisper hidden states of a window -> a frame's audio tokens or motion buckets (paper sections 3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """Shape of a network over windows of hidden states.

    seq_len steps (50 per second) of `blocks` Whisper layers with `channels` features each.
    reduced_dim: project each step's blocks * channels features to this many first (None: do not).
    dropout, feature_noise: applied in training only, to the reduced features and (dropout) after hidden
        activations; the noise is Gaussian with this standard deviation.
    """

    seq_len: int
    blocks: int
    channels: int = 384
    intermediate_dim: int = 1024
    output_dim: int
    context_tokens: int
    reduced_dim: int | None = None
    dropout: float = 0.0
    feature_noise: float = 0.0

    @property
    def step_dim(self) -> int:
        return self.blocks * self.channels

    @property
    def feature_dim(self) -> int:
        """Features of a whole window, as they enter the first linear layer."""
        return self.seq_len * (self.step_dim if self.reduced_dim is None else self.reduced_dim)


@dataclass(frozen=True, kw_only=True)
class AudioTokensConfig(WindowConfig):
    """The defaults are the full model: 0.2 s of five layers -> 32 tokens of 1024."""

    seq_len: int = 10
    blocks: int = 5
    output_dim: int = 1024
    context_tokens: int = 32


class WindowNetwork(nn.Module):
    """Base of the audio networks: an optional fixed affine reduction (PCA) of each step's features."""

    reducer_mean: Tensor
    reducer_components: Tensor

    def __init__(self, config: WindowConfig) -> None:
        super().__init__()
        if config.reduced_dim is not None:
            self.register_buffer("reducer_mean", torch.zeros(config.step_dim))
            self.register_buffer("reducer_components", torch.zeros(config.reduced_dim, config.step_dim))
        self.reduced = config.reduced_dim is not None
        self.dropout = config.dropout
        self.feature_noise = config.feature_noise

    def reduce(self, windows: Tensor) -> Tensor:
        """(..., seq_len, blocks, channels) -> (..., feature_dim), fixed: may be computed once and stored."""
        steps = windows.flatten(-2)
        if self.reduced:
            steps = (steps - self.reducer_mean) @ self.reducer_components.T
        return steps.flatten(-2)

    def perturb(self, features: Tensor) -> Tensor:
        """Features with noise and dropout, in training only."""
        if self.training and self.feature_noise:
            features = features + self.feature_noise * torch.randn_like(features)
        return self.drop(features)

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class AudioToTokens(WindowNetwork):
    """Three linear layers with ReLU, then LayerNorm: one window of hidden states -> k tokens of width c."""

    def __init__(self, config: AudioTokensConfig) -> None:
        super().__init__(config)
        self.config = config
        hidden = config.intermediate_dim
        self.proj1 = nn.Linear(config.feature_dim, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, config.context_tokens * config.output_dim)
        self.norm = nn.LayerNorm(config.output_dim)

    def forward(self, windows: Tensor) -> Tensor:
        """(..., seq_len, blocks, channels) -> (..., k, c)."""
        return self.project(self.reduce(windows))

    def project(self, features: Tensor) -> Tensor:
        """Features of `reduce`, (..., feature_dim) -> (..., k, c)."""
        x = self.drop(F.relu(self.proj1(self.perturb(features))))
        return self._tokens(self.drop(F.relu(self.proj2(x))))

    def null_tokens(self) -> Tensor:
        """(k, c): the tokens of an all-zero (reduced) window, which stand for "no audio" in guidance.

        No dropout, not even in training: the tokens do not depend on data that could be memorised.
        """
        return self._tokens(F.relu(self.proj2(F.relu(self.proj1.bias))))

    def _tokens(self, hidden: Tensor) -> Tensor:
        return self.norm(
            self.proj3(hidden).unflatten(-1, (self.config.context_tokens, self.config.output_dim))
        )


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
