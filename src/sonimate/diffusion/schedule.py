"""Noise levels, preconditioning and the Euler step (Karras et al. 2022; NOTES 4.4, 4.5).

x = x0 + sigma * noise for data x0 of about unit variance. The network sees x / sqrt(sigma^2 + 1) and
predicts v = (noise - sigma * x0) / sqrt(sigma^2 + 1).
"""

from __future__ import annotations

import math

from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.errors import OptionOutOfRange


def karras_sigmas(steps: int, *, sigma_max: float, sigma_min: float, rho: float) -> list[float]:
    """steps + 1 noise levels from sigma_max to sigma_min, then 0; equally spaced in sigma^(1 / rho)."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + (low - high) * step / max(steps - 1, 1)) ** rho for step in range(steps)] + [0.0]


def sampling_sigmas(options: SamplingOptions) -> list[float]:
    """The levels that `options` visits: all of them, or the last share `strength` (NOTES 4.5).

    Raises:
        OptionOutOfRange: `strength` leaves no step.
    """
    steps = int(options.steps * options.strength)
    if steps == 0:
        raise OptionOutOfRange(
            f"strength {options.strength} of {options.steps} steps leaves none; "
            f"raise it to at least {1 / options.steps:.3f}."
        )
    sigmas = karras_sigmas(
        options.steps, sigma_max=options.sigma_max, sigma_min=options.sigma_min, rho=options.rho
    )
    return sigmas[options.steps - steps :]


def timestep_of(sigma: float) -> float:
    """What the UNet is told of the noise level: ln(sigma) / 4."""
    return 0.25 * math.log(sigma)


def network_input(noisy: Tensor, sigma: float) -> Tensor:
    """Noisy latents scaled to unit variance."""
    return noisy / math.sqrt(sigma**2 + 1)


def denoised(noisy: Tensor, velocity: Tensor, sigma: float) -> Tensor:
    """The clean latents x0 that the predicted `velocity` implies."""
    return noisy / (sigma**2 + 1) - velocity * (sigma / math.sqrt(sigma**2 + 1))


def euler_step(noisy: Tensor, velocity: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """Latents at `next_sigma`, on the straight line through x0, which is reached at 0.

    Written from x0, for from `noisy` it would subtract numbers of the size of sigma and round at theirs.
    """
    clean = denoised(noisy, velocity, sigma)
    return clean + (noisy - clean) * (next_sigma / sigma)
