"""Noise levels of the sampler and its Euler step (Karras et al. 2022; NOTES 4.4, 4.5)."""

from __future__ import annotations

from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.precondition import denoised
from sonimate.errors import OptionOutOfRange


def karras_sigmas(steps: int, *, sigma_max: float, sigma_min: float, rho: float) -> list[float]:
    """steps + 1 noise levels from sigma_max to sigma_min, then 0; equally spaced in sigma^(1 / rho)."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + (low - high) * step / max(steps - 1, 1)) ** rho for step in range(steps)] + [0.0]


def sampling_sigmas(options: SamplingOptions) -> list[float]:
    """The noise levels that `options` visits: all, or with strength < 1 the last share of them (NOTES 4.5).

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


def euler_step(noisy: Tensor, velocity: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """Latents at `next_sigma`, on the straight line to the clean latents, which it reaches at 0.

    Computed from the clean latents: from `noisy` it would subtract two numbers of the size of sigma, and
    lose the digits of the small difference.
    """
    clean = denoised(noisy, velocity, sigma)
    return clean + (noisy - clean) * (next_sigma / sigma)
