"""Guidance by portrait and voice (NOTES 4.6), as weights of the UNet's predictions in three branches."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from sonimate.configs import Ramp, SamplingOptions, ends_of


class Branch(NamedTuple):
    """What the UNet is given in one branch."""

    sees_image: bool
    hears_audio: bool


NULL = Branch(sees_image=False, hears_audio=False)
IMAGE = Branch(sees_image=True, hears_audio=False)
AUDIO = Branch(sees_image=True, hears_audio=True)


def branch_weights(image_guidance: float, audio_guidance: float) -> dict[Branch, float]:
    """The branches that matter and their weights, which sum to 1.

    v = v_null + r_i (v_image - v_null) + r_a (v_audio - v_image), with the terms of each branch gathered.
    Without guidance, r_i = r_a = 1, only the audio branch is left; r_a = 0 leaves it out.
    """
    weights = {NULL: 1 - image_guidance, IMAGE: image_guidance - audio_guidance, AUDIO: audio_guidance}
    return {branch: weight for branch, weight in weights.items() if weight != 0}


def ramp_values(ramp: Ramp, steps: int) -> list[float]:
    """`ramp` at each of `steps` denoising steps, linear from its first to its last value."""
    first, last = ends_of(ramp)
    return [first + (last - first) * step / max(steps - 1, 1) for step in range(steps)]


def remaining_guidance(options: SamplingOptions, built_in: float) -> SamplingOptions:
    """What is left of `options.audio_guidance` for a network whose prediction with sound has `built_in` of it
    already: v_image + r_a (v_audio - v_image) = v_image + r_a / built_in (v_guided - v_image)."""
    first, last = ends_of(options.audio_guidance)
    return replace(options, audio_guidance=(first / built_in, last / built_in))


class Step(NamedTuple):
    """One denoising step: the noise levels before and after it, and the weights of the branches."""

    sigma: float
    next_sigma: float
    weights: dict[Branch, float]


def denoising_steps(options: SamplingOptions, sigmas: list[float]) -> list[Step]:
    """The steps from each of `sigmas` to the next, guided where `options.guidance_interval` holds them."""
    steps = len(sigmas) - 1
    ramps = zip(
        ramp_values(options.image_guidance, steps), ramp_values(options.audio_guidance, steps), strict=True
    )
    low, high = options.guidance_interval or (0.0, math.inf)
    return [
        Step(sigma, next_sigma, branch_weights(*guidance if low <= sigma <= high else (1.0, 1.0)))
        for (sigma, next_sigma), guidance in zip(pairwise(sigmas), ramps, strict=True)
    ]
