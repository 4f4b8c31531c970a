"""Which sounds of the tongue's tip are heard? A small network on Whisper's hidden states."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sonimate.models.state_reader import StateReader, StateReaderConfig

TONGUE_SOUNDS = (("l",), ("th", "dh"), ("t", "d", "n"))
"""Phones, by where the tip of the tongue is: at the gums behind the upper teeth, seen from the side of L;
between the teeth; behind the teeth."""


@dataclass(frozen=True, kw_only=True)
class TongueReaderConfig(StateReaderConfig):
    """See StateReaderConfig."""

    width: int = 16
    reach: int = 4


class TongueReader(StateReader):
    """Hidden states (t, l, d), 50 rows a second, of a sound -> logits (t, 4) of no such sound and of each of
    TONGUE_SOUNDS."""

    def __init__(self, config: TongueReaderConfig):
        super().__init__(config, outputs=1 + len(TONGUE_SOUNDS), last_reach=0)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.logits(hidden_states).T
