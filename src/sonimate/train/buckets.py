"""The second, short stage: audio and portrait -> motion buckets, with everything else frozen."""

from __future__ import annotations

import torch

from sonimate.train.config import TrainConfig
from sonimate.train.networks import Networks, on_device
from sonimate.train.windows import WindowSampler

SCALE = 16.0
"""Errors are counted in the network's own unit of 16 buckets."""


def train_buckets(networks: Networks, windows: WindowSampler, config: TrainConfig) -> float:
    """Fit `audio_to_bucket` by mean squared error for `config.bucket_steps`; returns the last steps' mean
    absolute error in buckets."""
    network = networks.audio_to_bucket
    device = next(network.parameters()).device
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.05)
    errors = []
    for step in range(config.bucket_steps):
        torch.manual_seed(config.seed + step)
        batch = on_device(windows.batch(config.steps + step), device)
        with torch.no_grad():
            image = networks.image_encoder(batch.reference)[:, 0]
        network.train()
        error = (network.project(batch.bucket_features, image) - batch.buckets[:, None]) / SCALE
        optimiser.zero_grad()
        error.square().mean().backward()
        optimiser.step()
        errors.append(error.abs().mean().item() * SCALE)
    network.eval()
    return sum(errors[-50:]) / len(errors[-50:])
