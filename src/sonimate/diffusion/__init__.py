"""From noise to latents: schedule, guidance, window plans, samplers."""

from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.joint import Progress, ignore_progress, sample_joint
from sonimate.diffusion.predict import UNet
from sonimate.diffusion.sequential import sample_sequential
from sonimate.types import Conditions


def sample(
    unet: UNet,
    conditions: Conditions,
    noise: Tensor,
    options: SamplingOptions,
    *,
    initial_mean: Tensor | float = 0.0,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Latents (n, c, h, w) by the strategy of `options`; arguments as in `sample_joint`."""
    sampler = sample_sequential if options.windows == "motion-frames" else sample_joint
    return sampler(unet, conditions, noise, options, initial_mean=initial_mean, progress=progress)


__all__ = ["Progress", "UNet", "sample", "sample_joint", "sample_sequential"]
