"""A small network that hears something in Whisper's hidden states, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class StateReaderConfig:
    """layers, channels: of the hidden states. width: numbers that they are reduced to. reach: rows on both
    sides that a convolution sees."""

    layers: int = 5
    channels: int = 384
    width: int = 8
    reach: int = 8


class StateReader(nn.Module):
    """Hidden states (t, l, d), 50 rows a second, of a sound -> logits (outputs, t)."""

    def __init__(self, config: StateReaderConfig, *, outputs: int, last_reach: int):
        """last_reach: of the second of the two convolutions."""
        super().__init__()
        self.config = config
        size, last_size = 2 * config.reach + 1, 2 * last_reach + 1
        self.reduce = nn.Linear(config.layers * config.channels, config.width)
        self.near = nn.Conv1d(config.width, 2 * config.width, size, padding=config.reach)
        self.decide = nn.Conv1d(2 * config.width, outputs, last_size, padding=last_reach)

    def logits(self, hidden_states: Tensor) -> Tensor:
        rows = self.reduce(hidden_states.flatten(1)).T[None]
        return self.decide(torch.relu(self.near(rows)))[0]
