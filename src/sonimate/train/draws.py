"""Random numbers of a training step: noise, noise levels, and which conditions are dropped."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sonimate.diffusion.denoiser import Draws
from sonimate.train.config import TrainConfig


def draw(config: TrainConfig, step: int, rows: range, shape: tuple[int, ...]) -> Draws:
    """Random numbers for some rows of the batch of a step; `shape` (f, c, h, w) of the latents.

    Every row has its own generator on the CPU, so a row gets the same numbers on every device and however
    many processes share the batch.
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
    """A CPU generator whose seed depends on every number of `key`."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


def sample_sigmas(count: int, *, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Noise levels (count,), log-normal: ln(sigma) has `mean` and `std`."""
    return torch.exp(mean + std * torch.randn(count, generator=generator))
