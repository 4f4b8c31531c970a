"""The motion-frames baseline (paper table 4): window after window, each continuing the one before.

Its first frames are the last ones of the finished window. A network that has no input for motion frames is
held to them by replacement (Song et al. 2021, inpainting): at every step they are the finished latents with
noise of that step's level.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.sampling.joint import Progress, ignore_progress, initial_latents, step_weights
from sonimate.sampling.predict import UNet, mean_velocity
from sonimate.sampling.schedule import euler_step, sampling_sigmas
from sonimate.sampling.windows import overlapping_windows
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
    weights = step_weights(options, steps=len(sigmas) - 1)
    latents = initial_latents(noise, sigmas[0], options.initial_temperature, initial_mean)
    finished = 0
    for order, window in enumerate(plan):
        known = range(window[0], finished)
        clean = latents[known.start : known.stop].clone()
        for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
            latents[known.start : known.stop] = clean + sigma * noise[known.start : known.stop]
            velocity = mean_velocity(unet, latents, conditions, [window], sigma, weights[step], options)
            latents[window] = euler_step(latents[window], velocity[window], sigma, next_sigma)
            progress(order * len(weights) + step + 1, len(plan) * len(weights))
        latents[known.start : known.stop] = clean
        finished = window[-1] + 1
    return latents
