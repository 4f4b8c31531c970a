"""Is there a voice? A small network on Whisper's hidden states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class VoiceDetectorConfig:
    """layers, channels: of the hidden states. width: numbers that they are reduced to. reach: rows on both
    sides that either of the two convolutions sees."""

    layers: int = 5
    channels: int = 384
    width: int = 8
    reach: int = 8


class VoiceDetector(nn.Module):
    """Hidden states (t, l, d), 50 rows a second, of a sound -> logits (t,) of a voice: speech, whisper or
    song."""

    def __init__(self, config: VoiceDetectorConfig):
        super().__init__()
        self.config = config
        size = 2 * config.reach + 1
        self.reduce = nn.Linear(config.layers * config.channels, config.width)
        self.near = nn.Conv1d(config.width, 2 * config.width, size, padding=config.reach)
        self.decide = nn.Conv1d(2 * config.width, 1, size, padding=config.reach)

    def forward(self, hidden_states: Tensor) -> Tensor:
        rows = self.reduce(hidden_states.flatten(1)).T[None]
        return self.decide(torch.relu(self.near(rows)))[0, 0]
