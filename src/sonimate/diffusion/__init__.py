"""From noise to latents: preconditioning, noise levels, guidance, windows, sampler, training loss."""

from sonimate.diffusion.guidance import UNet
from sonimate.diffusion.sampler import Progress, sample_latents

__all__ = ["Progress", "UNet", "sample_latents"]
