"""The joint sampler: all windows of a video are denoised together, one step at a time (paper alg. 1)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.sampling.guidance import Branch, branch_weights, ramp_values
from sonimate.sampling.predict import UNet, mean_velocity
from sonimate.sampling.schedule import euler_step, sampling_sigmas
from sonimate.sampling.windows import step_plan
from sonimate.types import Conditions

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def ignore_progress(step: int, total: int) -> None:
    """The default: nobody watches."""


@torch.no_grad()
def sample_joint(
    unet: UNet,
    conditions: Conditions,
    noise: Tensor,
    options: SamplingOptions,
    *,
    initial_mean: Tensor | float = 0.0,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Latents (n, c, h, w) of n frames, float32.

    noise: standard normal (n, c, h, w). initial_mean: what the noise is added to, (c, h, w); the full model
    starts from the reference latents in the codec's scale (NOTES 4.2), the compact model from noise alone.
    `progress` is called once a step.
    """
    sigmas = sampling_sigmas(options)
    weights = step_weights(options, steps=len(sigmas) - 1)
    latents = initial_latents(noise, sigmas[0], options.initial_temperature, initial_mean)
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        plan = step_plan(options, len(noise), step)
        velocity = mean_velocity(unet, latents, conditions, plan, sigma, weights[step], options)
        latents = euler_step(latents, velocity, sigma, next_sigma)
        progress(step + 1, len(weights))
    return latents


def initial_latents(noise: Tensor, sigma: float, temperature: float, mean: Tensor | float) -> Tensor:
    """The noised start (NOTES 4.2): mean + temperature * sigma * noise."""
    return mean + temperature * sigma * noise.float()


def step_weights(options: SamplingOptions, steps: int) -> list[dict[Branch, float]]:
    """Branch weights of every denoising step."""
    image = ramp_values(options.image_guidance, steps)
    audio = ramp_values(options.audio_guidance, steps)
    return [branch_weights(*pair) for pair in zip(image, audio, strict=True)]
