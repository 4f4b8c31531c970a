"""One guided prediction: windows and branches gathered into UNet calls, and weighed into one velocity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from sonimate.configs import SamplingOptions
from sonimate.diffusion.guidance import Branch
from sonimate.diffusion.schedule import network_input, timestep_of
from sonimate.models.unet import DeepFeatures
from sonimate.types import Conditions, Plan

Caches = dict[tuple[Branch, ...], DeepFeatures]
"""Deep features of one batch of windows, by the branches of a UNet call."""


class UNet(Protocol):
    """Any network that predicts the velocity (b, f, c, h, w) of windows; see SpatioTemporalUNet.forward.

    `cache` is given only where SamplingOptions.reuse is above 1.
    """

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        image_embeds: Tensor,
        audio_tokens: Tensor,
        added_time_ids: Tensor,
        mask: Tensor | None = None,
        cache: DeepFeatures | None = None,
    ) -> Tensor: ...


def mean_velocity(
    unet: UNet,
    latents: Tensor,
    conditions: Conditions,
    plan: Plan,
    sigma: float,
    weights: dict[Branch, float],
    options: SamplingOptions,
) -> Tensor:
    """Velocity of every frame (n, c, h, w), averaged over its places in the windows of `plan`.

    latents: (n, c, h, w) at noise level `sigma`. Frames in no window get 0. Averaging predictions and then
    stepping equals stepping and then averaging, as NOTES 4.8 does: the Euler step is linear in them.
    """

    def predict(index: Tensor) -> Tensor:
        return guided_velocity(unet, latents[index], conditions, index, sigma, weights, options)

    return mean_over_windows(predict, latents, plan, options.windows_per_batch)


def mean_over_windows(
    of_windows: Callable[[Tensor], Tensor], latents: Tensor, plan: Plan, windows_per_batch: int
) -> Tensor:
    """What `of_windows` makes of frame indices (w, f), a (w, f, c, h, w), averaged over each frame's places.

    The result has the shape and type of `latents`, with 0 for frames in no window.
    """
    total = torch.zeros_like(latents)
    places = torch.zeros(len(latents), device=latents.device)
    for windows in batches(plan, windows_per_batch):
        index = torch.tensor(windows, device=latents.device)
        total.index_add_(0, index.flatten(), of_windows(index).flatten(0, 1).to(total))
        places += torch.bincount(index.flatten(), minlength=len(latents))
    return total / places.clamp(min=1)[:, None, None, None]


def batches(plan: Plan, size: int) -> Iterator[Plan]:
    """Neighbouring windows of one length, at most `size` at a time."""
    for _, group in groupby(plan, key=len):
        windows = list(group)
        for start in range(0, len(windows), size):
            yield windows[start : start + size]


def guided_velocity(
    unet: UNet,
    latents: Tensor,
    conditions: Conditions,
    index: Tensor,
    sigma: float,
    weights: dict[Branch, float],
    options: SamplingOptions,
    caches: Caches | None = None,
) -> Tensor:
    """Velocity (w, f, c, h, w) of the windows of frame indices `index` (w, f), whose `latents` are given.

    caches: deep features to use, and to fill where they are missing.
    """
    noisy = network_input(latents, sigma)
    parts = [_branch_inputs(noisy, conditions, index, branch) for branch in weights]
    time_ids = added_time_ids(conditions, index, options.dynamic_scale)
    timestep = torch.tensor(timestep_of(sigma), device=latents.device)  # torch.compile takes floats for code
    mask = conditions.mask[None, None]

    def predict(branches: tuple[Branch, ...], *inputs: Tensor) -> Tensor:
        sample, image_embeds, audio_tokens = inputs
        cached = {} if caches is None else {"cache": caches.setdefault(branches, DeepFeatures())}
        ids = time_ids.repeat(len(branches), 1)
        return unet(sample, timestep, image_embeds, audio_tokens, ids, mask, **cached).float()

    if options.batch_branches:
        branches = predict(tuple(weights), *map(torch.cat, zip(*parts, strict=True))).chunk(len(parts))
    else:
        branches = (predict((branch,), *part) for branch, part in zip(weights, parts, strict=True))
    return sum(
        (weight * branch for weight, branch in zip(weights.values(), branches, strict=True)),
        start=torch.zeros((), device=latents.device),
    )


def _branch_inputs(
    noisy: Tensor, conditions: Conditions, index: Tensor, branch: Branch
) -> tuple[Tensor, Tensor, Tensor]:
    """sample, image_embeds and audio_tokens of one branch (NOTES 4.6), in the conditions' float type."""
    image_embeds = conditions.image_embeds[index]
    reference = conditions.reference_latents.expand(*noisy.shape[:2], -1, -1, -1)
    if not branch.sees_image:
        image_embeds, reference = torch.zeros_like(image_embeds), torch.zeros_like(reference)
    tokens = conditions.audio_tokens if branch.hears_audio else conditions.null_audio_tokens
    sample = torch.cat([noisy.to(reference), reference], dim=2)
    return sample, image_embeds, tokens[index]


def added_time_ids(conditions: Conditions, index: Tensor, dynamic_scale: float) -> Tensor:
    """(w, 3): frames per second, and the windows' mean motion buckets times beta (NOTES 3.8, 4.9)."""
    buckets = conditions.motion_buckets[index].mean(dim=1) * dynamic_scale
    return torch.cat([buckets.new_full((len(index), 1), conditions.fps), buckets], dim=1)
