"""Preconditioning (Karras et al. 2022, section 5; NOTES 4.4), the same for training and for sampling.

Noisy latents are x = x0 + sigma * noise, where the clean latents x0 have about unit variance. The network
sees x / sqrt(sigma^2 + 1) and the timestep ln(sigma) / 4, and predicts
v = (noise - sigma * x0) / sqrt(sigma^2 + 1).
sigma > 0 is one noise level, or a tensor of them that broadcasts with the latents.
"""

from __future__ import annotations

import math
from typing import overload

from torch import Tensor

Sigma = float | Tensor


def add_noise(clean: Tensor, noise: Tensor, sigma: Sigma) -> Tensor:
    """Latents at noise level `sigma`; `noise` is standard normal."""
    return clean + sigma * noise


def network_input(noisy: Tensor, sigma: Sigma) -> Tensor:
    """Noisy latents scaled to unit variance."""
    return noisy / _total_std(sigma)


@overload
def timestep_of(sigma: float) -> float: ...
@overload
def timestep_of(sigma: Tensor) -> Tensor: ...
def timestep_of(sigma: Sigma) -> Sigma:
    """The network's timestep, ln(sigma) / 4."""
    return 0.25 * (sigma.log() if isinstance(sigma, Tensor) else math.log(sigma))


def velocity_target(clean: Tensor, noise: Tensor, sigma: Sigma) -> Tensor:
    """The v that a perfect network predicts. The squared error in v is the squared error in the clean latents
    times (1 + sigma^2) / sigma^2."""
    return (noise - sigma * clean) / _total_std(sigma)


def denoised(noisy: Tensor, velocity: Tensor, sigma: Sigma) -> Tensor:
    """The clean latents x0 that follow from the predicted `velocity`."""
    return noisy / (sigma**2 + 1) - velocity * (sigma / _total_std(sigma))


def _total_std(sigma: Sigma) -> Sigma:
    """Standard deviation of noisy latents whose clean latents have unit variance."""
    variance = sigma**2 + 1
    return variance.sqrt() if isinstance(variance, Tensor) else math.sqrt(variance)
