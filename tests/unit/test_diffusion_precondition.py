"""Preconditioning: the same functions for training, with tensors of noise levels, and for sampling."""

import math

import pytest
import torch
from torch.testing import assert_close
from train_samples import CONFIG, DATA

from sonimate.diffusion.precondition import (
    add_noise,
    denoised,
    network_input,
    timestep_of,
    velocity_target,
)
from sonimate.diffusion.schedule import karras_sigmas
from sonimate.train.compact_task import CompactTask

SIGMAS = karras_sigmas(8, sigma_max=700, sigma_min=0.002, rho=7)[:-1]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_tensor_of_noise_levels_gives_each_row_what_its_float_gives():
    clean, noise, velocity = random(3, len(SIGMAS), 2, 4)
    levels = torch.tensor(SIGMAS, dtype=torch.float64)
    sigma = levels[:, None, None]
    noisy = add_noise(clean, noise, sigma)
    assert_close(timestep_of(levels), torch.tensor([timestep_of(s) for s in SIGMAS], dtype=torch.float64))
    for row, level in enumerate(SIGMAS):
        assert_close(noisy[row], add_noise(clean[row], noise[row], level))
        assert_close(network_input(noisy, sigma)[row], network_input(noisy[row], level))
        assert_close(
            velocity_target(clean, noise, sigma)[row], velocity_target(clean[row], noise[row], level)
        )
        assert_close(denoised(noisy, velocity, sigma)[row], denoised(noisy[row], velocity[row], level))


def test_the_network_input_has_unit_variance_at_every_noise_level():
    clean, noise = random(2, 20_000)
    for sigma in SIGMAS:
        assert network_input(add_noise(clean, noise, sigma), sigma).std().item() == pytest.approx(1, abs=0.02)
    assert timestep_of(math.exp(2.0)) == pytest.approx(0.5)


def test_training_shows_the_network_what_the_sampler_does():
    """Noisy latents and timestep of a training batch, seen at the UNet, by the sampler's functions."""
    task = CompactTask(CONFIG, DATA)
    batch = task.batch(0, range(3))
    seen = []
    task.networks.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    task.networks(batch)
    ((sample, timestep, *_),) = seen
    for row, sigma in enumerate(batch.draws.sigma.tolist()):
        noisy = add_noise(batch.latents[row], batch.draws.noise[row], sigma)
        assert_close(sample[row, :, : noisy.shape[1]], network_input(noisy, sigma))
        assert timestep[row].item() == pytest.approx(timestep_of(sigma), abs=1e-6)


@pytest.mark.parametrize("sigma", [0.002, 0.5, 1.0, 30.0])
def test_the_sampler_recovers_the_clean_latents_from_the_target(sigma):
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2, 3, 4, 5, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    velocity = velocity_target(clean, noise, torch.tensor(sigma, dtype=torch.float64))
    torch.testing.assert_close(denoised(clean + sigma * noise, velocity, sigma), clean)


def test_the_velocity_error_is_the_weighted_error_of_the_clean_latents():
    clean, wrong, noise = torch.randn(3, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sigma = torch.tensor(2.0, dtype=torch.float64)
    noisy = clean + sigma * noise
    error = velocity_target(clean, noise, sigma) - velocity_target(wrong, (noisy - wrong) / sigma, sigma)
    torch.testing.assert_close(error**2, (clean - wrong) ** 2 * (1 + sigma**2) / sigma**2)
