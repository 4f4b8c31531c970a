"""The motion-frames baseline (paper table 4): window after window, each continuing the one before.

Its first frames are the last ones of the finished window. A network that has no input for motion frames is
held to them by replacement (Song et al. 2021, inpainting): at every step they are the finished latents with
noise of that step's level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.guidance import denoising_steps
from sonimate.diffusion.joint import Progress, ignore_progress, initial_latents
from sonimate.diffusion.plan import overlapping_windows
from sonimate.diffusion.predict import Caches, UNet, guided_velocity
from sonimate.diffusion.schedule import euler_step, sampling_sigmas
from sonimate.types import Conditions


@torch.no_grad()
def sample_sequential(
    unet: UNet,
    conditions: Conditions,
    noise: Tensor,
    options: SamplingOptions,
    *,
    initial_mean: Tensor | float = 0.0,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Latents (n, c, h, w); arguments as in `sample_joint`. `progress` counts the steps of all windows."""
    plan = overlapping_windows(len(noise), window_frames=options.window_frames, overlap=options.overlap)
    sigmas = sampling_sigmas(options)
    steps = denoising_steps(options, sigmas)
    latents = initial_latents(noise, sigmas[0], options.initial_temperature, initial_mean)
    finished = 0
    caches: Caches | None = None
    for order, window in enumerate(plan):
        index = torch.tensor([window], device=latents.device)
        known = slice(window[0], finished)
        clean = latents[known].clone()
        for step, (sigma, next_sigma, weights) in enumerate(steps):
            latents[known] = clean + sigma * noise[known]
            if options.reuse > 1 and step % options.reuse == 0:
                caches = {}
            noisy = latents[index]
            velocity = guided_velocity(unet, noisy, conditions, index, sigma, weights, options, caches)
            latents[window] = euler_step(noisy, velocity, sigma, next_sigma)[0]
            progress(order * len(steps) + step + 1, len(plan) * len(steps))
        latents[known] = clean
        finished = window[-1] + 1
    return latents
