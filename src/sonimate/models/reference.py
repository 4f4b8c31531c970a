"""The compact model's image branch: reference latents -> one token, in CLIP's place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class ReferenceEncoderConfig:
    """latent_size: channels x height x width of the reference latents. output_dim: width of the token.
    noise: standard deviation of noise on the latents in training, against memorising identities."""

    latent_size: int
    hidden_dim: int = 128
    output_dim: int = 64
    dropout: float = 0.1
    noise: float = 0.2


class ReferenceEncoder(nn.Module):
    """Two linear layers over the flattened reference latents."""

    def __init__(self, config: ReferenceEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.proj1 = nn.Linear(config.latent_size, config.hidden_dim)
        self.proj2 = nn.Linear(config.hidden_dim, config.output_dim)

    def forward(self, latents: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 1, output_dim)."""
        flat = latents.flatten(1)
        if self.training:
            flat = flat + self.config.noise * torch.randn_like(flat)
        hidden = F.dropout(F.silu(self.proj1(flat)), self.config.dropout, self.training)
        return self.proj2(hidden)[:, None]
