"""Whisper's hidden states of many sounds, kept on disk, and their reduction for the compact model."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.checkpoints.store import load_audio_encoder
from sonimate.features.reducer import Reducer
from sonimate.footage.clip_id import ClipId
from sonimate.footage.mouth_reader import ENCODER
from sonimate.media.files import replacing


class HiddenStates:
    """Whisper hidden states of sounds, kept on disk by clip and content."""

    def __init__(self, cache: Path):
        self._encoder = load_audio_encoder(ENCODER)
        self.layers, self.dim = self._encoder.layers, self._encoder.dim
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def __call__(self, clip_id: ClipId, samples: np.ndarray) -> np.ndarray:
        """(t, layers, d) float32."""
        samples = samples.astype(np.float32)
        path = self._cache / f"{clip_id.key}-{zlib.crc32(samples.tobytes()):08x}.npy"
        if not path.exists():
            states = self._encoder(samples).numpy().astype(np.float16)
            with replacing(path) as partial, partial.open("wb") as file:
                np.save(file, states)
        return np.load(path).astype(np.float32)


@dataclass(frozen=True)
class Features:
    """Reduced token and bucket rows of a sound."""

    states: HiddenStates
    tokens: Reducer
    buckets: Reducer

    def __call__(self, clip_id: ClipId, samples: np.ndarray) -> dict[str, np.ndarray]:
        hidden = self.states(clip_id, samples)
        return {
            "token_rows": self.tokens(hidden.reshape(len(hidden), -1)).astype(np.float16),
            "bucket_rows": self.buckets(hidden[:, -1]).astype(np.float16),
        }
