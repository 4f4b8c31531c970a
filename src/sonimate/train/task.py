"""What the training loop asks of what it trains; and the second, short stage, which both sizes share: audio
and portrait -> motion buckets, with all other networks frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.checkpoints.registry import AUDIO_TO_BUCKET
from sonimate.checkpoints.store import save_network
from sonimate.errors import OptionOutOfRange, TooFewClips
from sonimate.models.audio_networks import BUCKET_UNIT, AudioToBucket
from sonimate.train.config import TrainConfig

BUCKETS = AUDIO_TO_BUCKET.name
UNSEEN_STEPS = 1_000_000
"""Validation adds this to the number of a step, and so draws windows that training does not."""


class Task(Protocol):
    """Networks to train, their data, and how to validate and save them.

    networks: a module whose forward takes a batch and returns the loss of each of its rows (b,).
    """

    @property
    def networks(self) -> nn.Module: ...

    def batch(self, step: int, rows: range, /) -> Any:
        """Some rows of the batch of a step: a dataclass of tensors and of `names`, those of the samples. It
        depends on the configured seed, the step and the rows alone. Runs in a worker thread, beside the other
        methods."""
        ...

    def validate(self, networks: Any, step: int) -> dict[str, float]:
        """Figures to log, computed by averaged networks that nothing else uses meanwhile."""
        ...

    def save(self, networks: Any, folder: Path) -> None:
        """Write what a pipeline loads."""
        ...


def on_device(batch: Any, device: torch.device) -> Any:
    """The batch with its tensors on a device."""
    moved = {}
    for spec in fields(batch):
        value = getattr(batch, spec.name)
        if isinstance(value, Tensor):
            moved[spec.name] = value.to(device)
        elif is_dataclass(value):
            moved[spec.name] = on_device(value, device)
    return replace(batch, **moved)


class Spoken(Protocol):
    @property
    def speaker(self) -> str: ...


S = TypeVar("S", bound=Spoken)


def split_speakers(samples: Sequence[S], held_out: Sequence[str]) -> tuple[list[S], list[S]]:
    """Samples to train on, and those of the held-out speakers, which validation uses.

    Raises OptionOutOfRange: no sample has such a speaker. TooFewClips: no sample is left to train on.
    """
    speakers = sorted({sample.speaker for sample in samples})
    unknown = [name for name in held_out if name not in speakers]
    if unknown:
        raise OptionOutOfRange(
            f"held_out: no speaker is named {', '.join(map(repr, unknown))}; the data has "
            f"{', '.join(speakers)}."
        )
    if samples and set(held_out) == set(speakers):
        raise TooFewClips(
            f"held_out names all {len(speakers)} speakers. Hold out fewer, or prepare footage of more people."
        )
    return (
        [sample for sample in samples if sample.speaker not in held_out],
        [sample for sample in samples if sample.speaker in held_out],
    )


def window_chances(lengths: Iterable[int], frames: int) -> np.ndarray:
    """Chances (n,) of drawing samples of these lengths, proportional to their numbers of windows of
    `frames`."""
    windows = np.array([length - frames + 1 for length in lengths], float)
    return windows / windows.sum()


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
        """Predicted minus labelled buckets (b, f, 2)."""
        return self.network.project(batch.features, batch.image) - batch.buckets[:, None]


class BucketTask:
    """Fits `audio_to_bucket` to the labels of windows like those that the UNet is trained on; see Task."""

    def __init__(self, network: AudioToBucket, batches: Callable[[int, range], BucketBatch], rows: int):
        """batches: returns rows of a step's batch. rows: how many windows validation uses."""
        self.networks, self.batch, self._rows = BucketLoss(network), batches, rows

    @torch.no_grad()
    def validate(self, networks: BucketLoss, step: int) -> dict[str, float]:
        """Mean absolute error, in buckets, of windows that no step has seen."""
        device = next(networks.parameters()).device
        batch = on_device(self.batch(step + UNSEEN_STEPS, range(self._rows)), device)
        return {"bucket_error": networks.error(batch).abs().mean().item()}

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
