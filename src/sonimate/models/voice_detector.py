"""Is there a voice? A small network on Whisper's hidden states."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sonimate.models.state_reader import StateReader, StateReaderConfig


@dataclass(frozen=True, kw_only=True)
class VoiceDetectorConfig(StateReaderConfig):
    """See StateReaderConfig."""


class VoiceDetector(StateReader):
    """Hidden states (t, l, d), 50 rows a second, of a sound -> logits (t,) of a voice: speech, whisper or
    song."""

    def __init__(self, config: VoiceDetectorConfig):
        super().__init__(config, outputs=1, last_reach=config.reach)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.logits(hidden_states)[0]
