"""Which sounds of the tongue's tip are heard? A small network on Whisper's hidden states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

TONGUE_SOUNDS = (("l",), ("th", "dh"), ("t", "d", "n"))
"""Phones, by where the tip of the tongue is: at the gums behind the upper teeth, seen from the side of L;
between the teeth; behind the teeth."""


@dataclass(frozen=True, kw_only=True)
class TongueReaderConfig:
    """layers, channels: of the hidden states. width: numbers that they are reduced to. reach: rows on both
    sides that a row is read with."""

    layers: int = 5
    channels: int = 384
    width: int = 16
    reach: int = 4


class TongueReader(nn.Module):
    """Hidden states (t, l, d), 50 rows a second, of a sound -> logits (t, 4) of no such sound and of each of
    TONGUE_SOUNDS."""

    def __init__(self, config: TongueReaderConfig):
        super().__init__()
        self.config = config
        self.reduce = nn.Linear(config.layers * config.channels, config.width)
        self.near = nn.Conv1d(config.width, 2 * config.width, 2 * config.reach + 1, padding=config.reach)
        self.decide = nn.Conv1d(2 * config.width, 1 + len(TONGUE_SOUNDS), 1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        rows = self.reduce(hidden_states.flatten(1)).T[None]
        return self.decide(torch.relu(self.near(rows)))[0].T
