"""The diffusion loss (Karras et al. 2022, with v-prediction; NOTES 4.4) and the chances that it draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sonimate.train.config import TrainConfig


@dataclass(frozen=True)
class Draws:
    """Chance, by row of a batch. noise (b, f, c, h, w); sigma (b,); drop_audio, drop_image (b,) bool."""

    noise: Tensor
    sigma: Tensor
    drop_audio: Tensor
    drop_image: Tensor


def draw(config: TrainConfig, step: int, rows: range, shape: tuple[int, ...]) -> Draws:
    """Chance of some rows of the batch of a step; `shape` (f, c, h, w) of latents.

    Every row has a generator of its own, on the CPU: a row means the same on every device, however many
    processes share the batch.
    """
    generators = [row_generator(config.seed, step, row) for row in rows]
    sigma = [
        sample_sigmas(1, mean=config.sigma_mean, std=config.sigma_std, generator=generator)
        for generator in generators
    ]
    chance = torch.cat([torch.rand(1, generator=generator) for generator in generators])
    both = chance < config.drop_both
    audio = both | (chance < config.drop_both + config.drop_audio)
    image = both | (chance > 1 - config.drop_image)
    noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
    return Draws(noise, torch.cat(sigma), audio, image)


def row_generator(*key: int) -> torch.Generator:
    """A CPU generator that depends on all numbers of `key` alike."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


def sample_sigmas(count: int, *, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Noise levels (count,), log-normal: ln(sigma) has `mean` and `std`."""
    return torch.exp(mean + std * torch.randn(count, generator=generator))


def velocity_target(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """v = (noise - sigma * x0) / sqrt(sigma^2 + 1); sigma broadcasts. The squared error in v is the error in
    the denoised latents weighted by (1 + sigma^2) / sigma^2."""
    return (noise - sigma * clean) / (sigma**2 + 1).sqrt()
