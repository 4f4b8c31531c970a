"""Random numbers of a training step: noise, noise levels, and which conditions are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class DrawSettings(Protocol):
    """The part of a training configuration that `draw` reads; see `sonimate.train.config`."""

    @property
    def seed(self) -> int: ...
    @property
    def sigma_mean(self) -> float: ...
    @property
    def sigma_std(self) -> float: ...
    @property
    def drop_audio(self) -> float: ...
    @property
    def drop_image(self) -> float: ...
    @property
    def drop_both(self) -> float: ...


@dataclass(frozen=True)
class Draws:
    """Of a batch of b rows. noise (b, f, c, h, w); sigma (b,); drop_audio, drop_image (b,) bool."""

    noise: Tensor
    sigma: Tensor
    drop_audio: Tensor
    drop_image: Tensor


def draw(settings: DrawSettings, step: int, rows: range, shape: tuple[int, ...]) -> Draws:
    """Random numbers for some rows of the batch of a step; `shape` (f, c, h, w) of the latents.

    Every row has its own generator on the CPU, so a row gets the same numbers on every device and however
    many processes share the batch.
    """
    generators = [row_generator(settings.seed, step, row) for row in rows]
    sigma = [
        sample_sigmas(1, mean=settings.sigma_mean, std=settings.sigma_std, generator=generator)
        for generator in generators
    ]
    chance = torch.cat([torch.rand(1, generator=generator) for generator in generators])
    both = chance < settings.drop_both
    audio = both | (chance < settings.drop_both + settings.drop_audio)
    image = both | (chance > 1 - settings.drop_image)
    noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
    return Draws(noise, torch.cat(sigma), audio, image)


def row_generator(*key: int) -> torch.Generator:
    """A CPU generator whose seed depends on every number of `key`."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


def sample_sigmas(count: int, *, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Noise levels (count,), log-normal: ln(sigma) has `mean` and `std`."""
    return torch.exp(mean + std * torch.randn(count, generator=generator))
