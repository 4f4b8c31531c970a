"""The second, short stage: audio and portrait -> motion buckets, with everything else frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sonimate.checkpoints.registry import AUDIO_TO_BUCKET
from sonimate.checkpoints.store import save_network
from sonimate.models.motion_bucket import BUCKET_UNIT, AudioToBucket
from sonimate.train.config import TrainConfig

BUCKETS = AUDIO_TO_BUCKET.name


@dataclass(frozen=True)
class BucketBatch:
    """names; features (b, f, d) as AudioToBucket.project takes them; image (b, c); buckets (b, 2)."""

    names: tuple[str, ...]
    features: Tensor
    image: Tensor
    buckets: Tensor


class BucketLoss(nn.Module):
    """`audio_to_bucket` with its loss."""

    def __init__(self, network: AudioToBucket):
        super().__init__()
        self.network = network

    def forward(self, batch: BucketBatch) -> Tensor:
        """Mean squared error of each row (b,), in the network's own unit of 16 buckets."""
        return (self.error(batch) / BUCKET_UNIT).square().flatten(1).mean(1)

    def error(self, batch: BucketBatch) -> Tensor:
        """Buckets (b, f, 2) too many."""
        return self.network.project(batch.features, batch.image) - batch.buckets[:, None]


class BucketTask:
    """Fits `audio_to_bucket` to the labels of the same windows that the UNet saw, see sonimate.train.task."""

    def __init__(self, network: AudioToBucket, batches: Callable[[int, range], BucketBatch], rows: int):
        """batches: rows of a step's batch of windows. rows: how many to judge by."""
        self.networks = BucketLoss(network)
        self._batches, self._rows = batches, rows

    def batch(self, step: int, rows: range) -> BucketBatch:
        return self._batches(step, rows)

    @torch.no_grad()
    def validate(self, networks: BucketLoss, step: int) -> dict[str, float]:
        """Mean absolute error, in buckets, of windows that no step has seen."""
        device = next(networks.parameters()).device
        batch = self._batches(step + 1_000_000, range(self._rows))
        features, image, buckets = (x.to(device) for x in (batch.features, batch.image, batch.buckets))
        moved = replace(batch, features=features, image=image, buckets=buckets)
        return {"bucket_error": networks.error(moved).abs().mean().item()}

    def save(self, networks: BucketLoss, folder: Path) -> None:
        """Put the network into the model beside the stage's own folder."""
        save_network(folder.parent / "model", AUDIO_TO_BUCKET, networks.network, torch.float32)


def bucket_config(config: TrainConfig) -> TrainConfig:
    """The second stage's own settings."""
    return replace(
        config,
        steps=config.bucket_steps,
        batch_size=config.bucket_batch_size,
        accumulation=1,
        learning_rate=config.bucket_rate,
        final_rate=1.0,
        warmup_steps=0,
        weight_decay=0.05,
        validate_every=max(config.bucket_steps, 1),
    )
