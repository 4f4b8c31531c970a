"""The joint sampler: all windows of a video are denoised together, one step at a time (paper alg. 1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.guidance import Step, denoising_steps
from sonimate.diffusion.plan import step_plan
from sonimate.diffusion.predict import Caches, UNet, guided_velocity, mean_over_windows, mean_velocity
from sonimate.diffusion.schedule import euler_step, sampling_sigmas
from sonimate.types import Conditions, Plan

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
    `progress` is called once a step; with reuse, once a block of `options.reuse` steps. The windows of step s
    are those of plan s // reuse: they move from block to block.
    """
    sigmas = sampling_sigmas(options)
    steps = denoising_steps(options, sigmas)
    latents = initial_latents(noise, sigmas[0], options.initial_temperature, initial_mean)
    for first in range(0, len(steps), options.reuse):
        block = steps[first : first + options.reuse]
        plan = step_plan(options, len(noise), first // options.reuse)
        latents = _denoise(unet, latents, conditions, plan, block, options)
        progress(first + len(block), len(steps))
    return latents


def _denoise(
    unet: UNet,
    latents: Tensor,
    conditions: Conditions,
    plan: Plan,
    block: list[Step],
    options: SamplingOptions,
) -> Tensor:
    """Latents after the steps of `block`, in windows that do not move meanwhile.

    One step is done for all windows at once. With reuse each batch of windows goes through all steps before
    the next, so that one cache is alive however long the video is; then frames are averaged (NOTES 4.8).
    """
    if options.reuse == 1:
        ((sigma, next_sigma, weights),) = block
        velocity = mean_velocity(unet, latents, conditions, plan, sigma, weights, options)
        return euler_step(latents, velocity, sigma, next_sigma)

    def denoised_windows(index: Tensor) -> Tensor:
        noisy = latents[index]
        caches: Caches = {}
        for sigma, next_sigma, weights in block:
            velocity = guided_velocity(unet, noisy, conditions, index, sigma, weights, options, caches)
            noisy = euler_step(noisy, velocity, sigma, next_sigma)
        return noisy

    return mean_over_windows(denoised_windows, latents, plan, options.windows_per_batch)


def initial_latents(noise: Tensor, sigma: float, temperature: float, mean: Tensor | float) -> Tensor:
    """The noised start (NOTES 4.2): mean + temperature * sigma * noise."""
    return mean + temperature * sigma * noise.float()
