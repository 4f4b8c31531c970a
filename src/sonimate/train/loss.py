"""The diffusion loss (Karras et al. 2022, with v-prediction; NOTES 4.4)."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_sigmas(count: int, *, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Noise levels (count,), log-normal: ln(sigma) has `mean` and `std`."""
    return torch.exp(mean + std * torch.randn(count, generator=generator))


def velocity_target(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """v = (noise - sigma * x0) / sqrt(sigma^2 + 1); sigma broadcasts. The squared error in v is the error in
    the denoised latents weighted by (1 + sigma^2) / sigma^2."""
    return (noise - sigma * clean) / (sigma**2 + 1).sqrt()
