"""Classifier-free guidance by portrait and voice (NOTES 4.6): up to three predictions, one weighted sum."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sonimate.configs import Ramp, SamplingOptions, ends_of
from sonimate.diffusion.precondition import network_input, timestep_of
from sonimate.models.unet import DeepFeatures
from sonimate.types import Conditions


class Branch(NamedTuple):
    """The conditions that the UNet gets in one guidance branch, instead of zeros or null tokens."""

    image: bool
    audio: bool


NULL = Branch(image=False, audio=False)
IMAGE = Branch(image=True, audio=False)
AUDIO = Branch(image=True, audio=True)


class UNet(Protocol):
    """Any network that predicts the velocity (b, f, c, h, w) of windows; see SpatioTemporalUNet.forward.

    `cache` is passed only where SamplingOptions.reuse is above 1.
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


Caches = dict[tuple[Branch, ...], DeepFeatures]
"""Deep features of one batch of windows, by the branches of a UNet call."""


def branch_weights(image_guidance: float, audio_guidance: float) -> dict[Branch, float]:
    """The branches whose weight is not zero; the weights sum to 1.

    v = v_null + r_i (v_image - v_null) + r_a (v_audio - v_image), with the terms of each branch collected.
    Without guidance, r_i = r_a = 1, only the audio branch remains; r_a = 0 needs no audio branch.
    """
    weights = {NULL: 1 - image_guidance, IMAGE: image_guidance - audio_guidance, AUDIO: audio_guidance}
    return {branch: weight for branch, weight in weights.items() if weight != 0}


def ramp_values(ramp: Ramp, steps: int) -> list[float]:
    """`ramp` at each of `steps` denoising steps, linear from its first to its last value."""
    first, last = ends_of(ramp)
    return [first + (last - first) * step / max(steps - 1, 1) for step in range(steps)]


class Step(NamedTuple):
    """One denoising step: the noise levels before and after it, and the weights of the branches."""

    sigma: float
    next_sigma: float
    weights: dict[Branch, float]


def denoising_steps(options: SamplingOptions, sigmas: list[float], *, built_in: float = 1.0) -> list[Step]:
    """The steps from each of `sigmas` to the next; guided only within `options.guidance_interval`.

    built_in: the audio guidance with which the network itself was distilled to predict, v_guided = v_image +
    built_in (v_audio - v_image). Any other guidance r_a, and none, r_a = 1, is then v_image + r_a / built_in
    (v_guided - v_image).
    """
    steps = len(sigmas) - 1
    ramps = zip(
        ramp_values(options.image_guidance, steps), ramp_values(options.audio_guidance, steps), strict=True
    )
    low, high = options.guidance_interval or (0.0, math.inf)
    stages = zip(pairwise(sigmas), ramps, strict=True)
    guided = ((sigmas, guidance if low <= sigmas[0] <= high else (1.0, 1.0)) for sigmas, guidance in stages)
    return [
        Step(sigma, next_sigma, branch_weights(image, audio / built_in))
        for (sigma, next_sigma), (image, audio) in guided
    ]


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
    """Guided velocity (w, f, c, h, w) of windows, float32.

    latents: (w, f, c, h, w) at noise level `sigma`. index: (w, f), the frames of each window, by which
    `conditions` are taken. caches: deep features to use; missing ones are computed and added.
    """
    noisy = network_input(latents, sigma)
    parts = [_branch_inputs(noisy, conditions, index, branch) for branch in weights]
    time_ids = added_time_ids(conditions, index)
    timestep = torch.tensor(timestep_of(sigma), device=latents.device)  # torch.compile recompiles for floats
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
    if not branch.image:
        image_embeds, reference = torch.zeros_like(image_embeds), torch.zeros_like(reference)
    tokens = conditions.audio_tokens if branch.audio else conditions.null_audio_tokens
    sample = torch.cat([noisy.to(reference), reference], dim=2)
    return sample, image_embeds, tokens[index]


def added_time_ids(conditions: Conditions, index: Tensor) -> Tensor:
    """(w, 3): frames per second, and the windows' mean motion buckets (NOTES 3.8)."""
    buckets = conditions.motion_buckets[index].mean(dim=1)
    return torch.cat([buckets.new_full((len(index), 1), conditions.fps), buckets], dim=1)
