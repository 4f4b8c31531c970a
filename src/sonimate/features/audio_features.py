"""Audio features: Whisper's hidden states, their reduction by principal components, and windows of them.

A projection learned from minutes of speech, on 10 x 5 x 384 numbers a frame, overfits at once; principal
components of plenty of speech, fitted without labels, do not. (The paper, section 3.1, learns the projection,
from thousands of hours.)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.checkpoints.store import load_audio_encoder
from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME
from sonimate.footage.clip_id import ClipId
from sonimate.footage.mouth_reader import ENCODER
from sonimate.media.files import replacing


class HiddenStates:
    """Whisper's hidden states of sounds, cached in a folder by clip, content and encoder settings."""

    def __init__(self, cache: Path):
        self._encoder = load_audio_encoder(ENCODER)
        self.layers, self.dim = self._encoder.layers, self._encoder.dim
        self._settings_crc = zlib.crc32(repr(self._encoder.encoder.config).encode())
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def __call__(self, clip_id: ClipId, samples: np.ndarray) -> np.ndarray:
        """Samples (n,) at 16 kHz -> hidden states (t, l, d) float32, 50 a second."""
        samples = samples.astype(np.float32)
        path = self._cache / f"{clip_id.key}-{zlib.crc32(samples.tobytes(), self._settings_crc):08x}.npy"
        if not path.exists():
            states = self._encoder(samples).numpy().astype(np.float16)
            with replacing(path) as partial, partial.open("wb") as file:
                np.save(file, states)
        return np.load(path).astype(np.float32)


@dataclass(frozen=True)
class Features:
    """Computes the reduced features of a sound: `token_rows` (t, d) and `bucket_rows` (t, e), 50 a second."""

    states: HiddenStates
    tokens: Reducer
    buckets: Reducer

    def __call__(self, clip_id: ClipId, samples: np.ndarray) -> dict[str, np.ndarray]:
        hidden = self.states(clip_id, samples)
        return {
            "token_rows": self.tokens(hidden.reshape(len(hidden), -1)).astype(np.float16),
            "bucket_rows": self.buckets(hidden[:, -1]).astype(np.float16),
        }


@dataclass(frozen=True)
class Reducer:
    """Affine projection of features: (x - mean) @ components.T. mean: (d,). components: (k, d)."""

    mean: np.ndarray
    components: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(t, d) -> (t, k); the variance of the first component is about 1."""
        return (rows - self.mean) @ self.components.T


class ReducerFit:
    """Fits a `Reducer` to rows of features that are added in turn; memory does not grow with their number."""

    def __init__(self, dim: int):
        self._count = 0
        self._sum = np.zeros(dim)
        self._products = np.zeros((dim, dim))

    def add(self, rows: np.ndarray) -> None:
        """rows: (t, d)."""
        rows = rows.astype(np.float64)
        self._count += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows

    def fit(self, components: int) -> Reducer:
        """The first principal components of the standardised features, all scaled by one factor, which gives
        the first one variance 1."""
        from scipy.linalg import eigh

        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        deviation = np.sqrt(np.diag(covariance)) + 1e-6
        correlation = covariance / np.outer(deviation, deviation)
        size = len(mean)
        values, vectors = eigh(correlation, subset_by_index=(size - components, size - 1))
        rows = vectors[:, ::-1].T / deviation / np.sqrt(values[-1])
        return Reducer(mean.astype(np.float32), rows.astype(np.float32))


def save_reducers(path: Path, tokens: Reducer, buckets: Reducer) -> None:
    """Write the two reducers of a folder of training data. Raises OutputNotWritable."""
    arrays = {f"token_{name}": array for name, array in vars(tokens).items()}
    arrays |= {f"bucket_{name}": array for name, array in vars(buckets).items()}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_reducers(path: Path) -> tuple[Reducer, Reducer]:
    """The token and bucket reducers that `save_reducers` wrote."""
    with np.load(path) as stored:
        tokens, buckets = (
            Reducer(stored[f"{kind}_mean"], stored[f"{kind}_components"]) for kind in ("token", "bucket")
        )
    return tokens, buckets


def cut_windows(
    rows: np.ndarray, frames: np.ndarray, count: int, before: int, silence_row: np.ndarray
) -> np.ndarray:
    """Windows of `count` feature rows (t, d) at 50 Hz, each starting `before` rows before one of the `frames`
    (indices at 25 fps), flattened to (f, count * d).

    Beyond the ends of the sound, rows are `silence_row` (d,), the features of a zero hidden state (NOTES
    1.4).
    """
    at = HIDDEN_STATES_PER_VIDEO_FRAME * frames[:, None] - before + np.arange(count)
    inside = (at >= 0) & (at < len(rows))
    taken = np.where(inside[..., None], rows[np.clip(at, 0, len(rows) - 1)], silence_row)
    return taken.reshape(len(frames), -1)
