"""A voice and a portrait's embedding become what the UNet is conditioned on (NOTES 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sonimate.audio.windows import bucket_windows, token_windows
from sonimate.errors import AudioTooShort
from sonimate.models.audio_tokens import AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket

FRAMES_AT_ONCE = 256
"""Windows overlap: all of a long recording at once would hold every hidden state up to 25 times."""


@dataclass(frozen=True)
class AudioConditions:
    """audio_tokens, null_audio_tokens: (n, k, c). motion_buckets: (n, 2), head then expression."""

    audio_tokens: Tensor
    null_audio_tokens: Tensor
    motion_buckets: Tensor


@torch.no_grad()
def audio_conditions(
    hidden_states: Tensor,
    image_embed: Tensor,
    audio_to_tokens: AudioToTokens,
    audio_to_bucket: AudioToBucket,
    fps: float,
) -> AudioConditions:
    """Tokens and motion buckets of every frame that the sound fills (NOTES 1.4-1.6).

    hidden_states: (t, l, d) at 50 Hz. image_embed: (c,), of the portrait.

    Raises:
        AudioTooShort: the sound fills no frame.
    """
    tokens_of_windows = token_windows(hidden_states, fps).split(FRAMES_AT_ONCE)
    buckets_of_windows = bucket_windows(hidden_states, fps).split(FRAMES_AT_ONCE)
    if not len(tokens_of_windows[0]):
        seconds = len(hidden_states) / 50
        raise AudioTooShort(f"{seconds:.2f} s of sound fill no frame; give a recording of at least 0.2 s.")
    tokens = torch.cat([audio_to_tokens(windows) for windows in tokens_of_windows])
    buckets = torch.cat([audio_to_bucket(w[None], image_embed[None])[0] for w in buckets_of_windows])
    return AudioConditions(tokens, audio_to_tokens.null_tokens().expand_as(tokens), buckets)
