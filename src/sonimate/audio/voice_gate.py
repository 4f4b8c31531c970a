"""When a mouth may move: a gate that opens before a voice begins and closes soon after it ends.

It follows the voice and not its loudness: a whisper opens it as far as a shout, and music does not open it.
"""

from __future__ import annotations

import numpy as np

from sonimate.clock import HIDDEN_STATE_HZ

SHORTEST_PAUSE_SECONDS = 0.2
"""Shorter pauses are not taken for such: they may be the closure of a stop."""
SHORTEST_BREAK_SECONDS = 0.06
"""A voice with shorter breaks is one voice, which may last SHORTEST_VOICE_SECONDS."""
SHORTEST_VOICE_SECONDS = 0.16
"""Shorter voices are not taken for such: words are longer, and notes of music deceive for moments only."""
OPENS_BEFORE_SECONDS = 0.12
"""How long before its voice a mouth begins to move, at most (synthetic speech, `sample_style`)."""
CLOSES_AFTER_SECONDS = 0.04
RAMP_SECONDS = 0.1
"""With CLOSES_AFTER_SECONDS, a mouth is closed 140 ms after the voice."""


def voice_gate(logits: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """Logits of a voice (t,), 50 a second -> how far the mouth may move in each of `frames` frames, 0 at rest
    to 1 freely, float32 (frames,)."""
    voices = ~_without_short(logits <= 0, SHORTEST_BREAK_SECONDS)
    voices = _without_short(voices, SHORTEST_VOICE_SECONDS)
    voices = ~_without_short(~voices, SHORTEST_PAUSE_SECONDS)
    edges = np.flatnonzero(np.diff(voices.astype(int), prepend=0, append=0)) / HIDDEN_STATE_HZ
    times = np.arange(frames) / fps
    gate = np.zeros(frames)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        opening = (times - start + OPENS_BEFORE_SECONDS) / RAMP_SECONDS + 1
        closing = (end + CLOSES_AFTER_SECONDS - times) / RAMP_SECONDS + 1
        gate = np.maximum(gate, np.clip(np.minimum(opening, closing), 0, 1))
    return gate.astype(np.float32)


def _without_short(active: np.ndarray, seconds: float) -> np.ndarray:
    """`active` (t,) without its runs of less than `seconds`."""
    edges = np.flatnonzero(np.diff(active.astype(int), prepend=0, append=0))
    kept = np.zeros_like(active)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= seconds * HIDDEN_STATE_HZ:
            kept[start:end] = True
    return kept
