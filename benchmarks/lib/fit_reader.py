"""Fits a small network that hears something in Whisper's hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sonimate.models.state_reader import StateReader

R = TypeVar("R", bound=StateReader)
AT_ONCE = 6
"""Sounds of a step."""


@dataclass(frozen=True, kw_only=True)
class ReaderFit:
    """noise: standard deviation of what is added to standardised hidden states. every: of so many rows one is
    standardised by."""

    steps: int
    weight_decay: float
    noise: float
    every: int = 1
    learning_rate: float = 2e-3


def fit_reader(
    make: Callable[[], R],
    sounds: Sequence[tuple[Tensor, Tensor]],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    how: ReaderFit,
) -> R:
    """sounds: hidden states (t, l * d) float16 and the truth (t,) of each. loss_of: the reader's output and
    the truth of one sound -> its loss."""
    torch.manual_seed(0)
    reader = make()
    everything = torch.cat([hidden for hidden, _ in sounds])[:: how.every].float()
    mean, deviation = everything.mean(0), everything.std(0) + 1e-2
    optimizer = torch.optim.AdamW(reader.parameters(), how.learning_rate, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.learning_rate, how.steps)
    rng = np.random.default_rng(0)
    for _ in range(how.steps):
        loss = torch.zeros(())
        for index in rng.integers(len(sounds), size=AT_ONCE):
            hidden, truth = sounds[index]
            states = (hidden.float() - mean) / deviation
            loss = loss + loss_of(reader(states + how.noise * torch.randn_like(states)), truth) / AT_ONCE
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():  # the standardisation becomes part of the first layer
        reader.reduce.weight /= deviation
        reader.reduce.bias.sub_(reader.reduce.weight @ mean)
    return reader
