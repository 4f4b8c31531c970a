"""From noise to latents: preconditioning, noise levels, guidance, windows, sampler, training loss."""

from sonimate.diffusion.guidance import UNet
from sonimate.diffusion.sampler import StepProgress, sample_latents

__all__ = ["StepProgress", "UNet", "sample_latents"]
