"""The sampler: noise becomes latents of a whole video, window by window (paper alg. 1 and table 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.guidance import Caches, Step, UNet, denoising_steps, guided_velocity
from sonimate.diffusion.plan import overlapping_windows, step_plan
from sonimate.diffusion.precondition import add_noise
from sonimate.diffusion.schedule import euler_step, sampling_sigmas
from sonimate.types import Conditions, Plan

StepProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@torch.no_grad()
def sample_latents(
    unet: UNet,
    conditions: Conditions,
    noise: Tensor,
    options: SamplingOptions,
    *,
    initial_mean: Tensor | float = 0.0,
    built_in_guidance: float = 1.0,
    progress: StepProgress = lambda step, total: None,
) -> Tensor:
    """Latents (n, c, h, w) of n frames, float32.

    noise: standard normal (n, c, h, w). initial_mean: (c, h, w) or a number, to which the scaled noise is
    added (NOTES 4.2): the full model starts from the reference latents, the compact model from noise alone.
    built_in_guidance: see `denoising_steps`.
    progress: called after each step, or after each block of `options.reuse` steps; with windows
    "motion-frames" the steps of all windows count.

    Windows are denoised together: all of them go through a step (or a block of steps that reuse deep
    features) before the next plan moves them, and a frame in several windows gets the mean.

    Raises:
        OptionOutOfRange: `options.strength` leaves no step.
    """
    sigmas = sampling_sigmas(options)
    steps = denoising_steps(options, sigmas, built_in=built_in_guidance)
    latents = initial_mean + options.initial_temperature * sigmas[0] * noise.float()
    if options.windows == "motion-frames":
        return _sample_sequentially(unet, conditions, noise, latents, steps, options, progress)
    for first in range(0, len(steps), options.reuse):
        block = steps[first : first + options.reuse]
        plan = step_plan(options, len(noise), first // options.reuse)
        latents = _denoise_block(unet, latents, conditions, plan, block, options)
        progress(first + len(block), len(steps))
    return latents


def _denoise_block(
    unet: UNet,
    latents: Tensor,
    conditions: Conditions,
    plan: Plan,
    block: list[Step],
    options: SamplingOptions,
) -> Tensor:
    """Latents after the steps of `block`, with the windows of `plan` in all of them.

    One step: velocities are averaged, and all frames step once; this equals stepping each window and
    averaging (NOTES 4.8), because the Euler step is linear in the velocity. With reuse, each batch of windows
    goes through all steps before the next batch, so that only one cache is in memory at a time.
    """

    if options.reuse == 1:
        ((sigma, next_sigma, weights),) = block

        def velocity_of(index: Tensor) -> Tensor:
            return guided_velocity(unet, latents[index], conditions, index, sigma, weights, options)

        velocity = average_windows(velocity_of, latents, plan, options.windows_per_batch)
        return euler_step(latents, velocity, sigma, next_sigma)

    def denoised_windows(index: Tensor) -> Tensor:
        noisy = latents[index]
        caches: Caches = {}
        for sigma, next_sigma, weights in block:
            velocity = guided_velocity(unet, noisy, conditions, index, sigma, weights, options, caches)
            noisy = euler_step(noisy, velocity, sigma, next_sigma)
        return noisy

    return average_windows(denoised_windows, latents, plan, options.windows_per_batch)


def average_windows(
    compute: Callable[[Tensor], Tensor], latents: Tensor, plan: Plan, windows_per_batch: int
) -> Tensor:
    """`compute` for every window of `plan`; a frame that is in several windows gets the mean.

    compute: frame indices (w, f) -> (w, f, c, h, w). The result has the shape and type of `latents`; frames
    in no window are 0.
    """
    total = torch.zeros_like(latents)
    places = torch.zeros(len(latents), device=latents.device)
    for windows in batches(plan, windows_per_batch):
        index = torch.tensor(windows, device=latents.device)
        total.index_add_(0, index.flatten(), compute(index).flatten(0, 1).to(total))
        places += torch.bincount(index.flatten(), minlength=len(latents))
    return total.div_(places.clamp(min=1)[:, None, None, None])


def batches(plan: Plan, size: int) -> Iterator[Plan]:
    """Neighbouring windows of one length, at most `size` at a time."""
    for _, group in groupby(plan, key=len):
        windows = list(group)
        for start in range(0, len(windows), size):
            yield windows[start : start + size]


def _sample_sequentially(
    unet: UNet,
    conditions: Conditions,
    noise: Tensor,
    latents: Tensor,
    steps: list[Step],
    options: SamplingOptions,
    progress: StepProgress,
) -> Tensor:
    """The motion-frames baseline (paper table 4): one window after the other, each continues the last.

    A window begins with the last frames of the finished one. The network has no input for them, so they are
    replaced at every step by the finished latents with noise of that step's level (Song et al. 2021,
    inpainting). latents: the noisy start; overwritten.
    """
    plan = overlapping_windows(len(noise), window_frames=options.window_frames, overlap=options.overlap)
    finished = 0
    caches: Caches | None = None
    for order, window in enumerate(plan):
        index = torch.tensor([window], device=latents.device)
        known = slice(window[0], finished)
        clean = latents[known].clone()
        for step, (sigma, next_sigma, weights) in enumerate(steps):
            latents[known] = add_noise(clean, noise[known], sigma)
            if options.reuse > 1 and step % options.reuse == 0:
                caches = {}
            noisy = latents[index]
            velocity = guided_velocity(unet, noisy, conditions, index, sigma, weights, options, caches)
            latents[window] = euler_step(noisy, velocity, sigma, next_sigma)[0]
            progress(order * len(steps) + step + 1, len(plan) * len(steps))
        latents[known] = clean
        finished = window[-1] + 1
    return latents
