"""Sync-M: do lips and sound belong together, judged by a small network of this project and without a real
video to compare with. Its numbers are not those of SyncNet (Sync-C, Sync-D), whose weights it does not need.

It sees landmarks and no pixels, so neither the picture nor the person matters; the sound as the bundled
Whisper encoder hears it. `benchmarks/make_sync_network.py` trains it and judges it on other speakers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import AUDIO_ENCODER, BUNDLED, SYNC_NETWORK
from sonimate.checkpoints.store import load_audio_encoder, load_network
from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import AudioTooShort
from sonimate.evaluate.curves import Lag, best_of
from sonimate.evaluate.face_curves import ShapeCurves
from sonimate.models.sync_network import REACH_FRAMES, SyncNetwork

MAX_DELAY_FRAMES = 15
"""Delays searched either way, as SyncNet does: 0.6 s."""
LEAST_OVERLAP_FRAMES = 10
"""Embeddings that lips and sound must share at every delay."""
MIN_FRAMES = 2 * REACH_FRAMES + MAX_DELAY_FRAMES + LEAST_OVERLAP_FRAMES
"""1.8 s."""
LEAST_MOTION_MM = 0.5
"""Spread of the lips below which they are not scaled up: it would be the tracker's noise."""


@dataclass(frozen=True)
class SyncReading:
    """similarity: mean cosine of lips and sound, in [-1, 1], by frames that the lips are late (negative:
    early); at 0 both are as they play."""

    similarity: dict[int, float]

    @property
    def lag(self) -> Lag:
        """Where they agree best, as SyncNet finds it; its `confidence` does not fall with a delay."""
        return best_of(self.similarity)

    @property
    def agreement(self) -> float:
        """Sync-M: the similarity as they play minus the median over all delays. A delay or a sound of someone
        else brings it to 0 or below."""
        return self.similarity[0] - float(np.median(list(self.similarity.values())))

    @property
    def distance(self) -> float:
        """Sync-M-D: 1 minus the similarity as they play."""
        return 1 - self.similarity[0]


@dataclass(frozen=True)
class SyncJudge:
    """Reads how well lips and sound agree."""

    network: SyncNetwork
    encoder: WhisperHiddenStates

    @classmethod
    def load(cls) -> SyncJudge:
        """The bundled network and encoder."""
        encoder = load_audio_encoder(BUNDLED / "compact" / AUDIO_ENCODER.name)
        return cls(load_network(BUNDLED, SYNC_NETWORK).eval(), encoder)

    def __call__(self, shapes: ShapeCurves, samples: np.ndarray) -> SyncReading:
        """shapes: of n frames. samples: the sound (m,) at 16 kHz that starts with them. The shorter of both
        is read. Raises AudioTooShort below MIN_FRAMES."""
        count = min(len(shapes), len(samples) // SAMPLES_PER_VIDEO_FRAME)
        if count < MIN_FRAMES:
            raise AudioTooShort(
                f"{count / VIDEO_FPS:.1f} s of video with sound; Sync-M needs {MIN_FRAMES / VIDEO_FPS:g} s."
            )
        hidden = hear_frames(self.encoder, samples[: count * SAMPLES_PER_VIDEO_FRAME])
        return read_sync(self.network, lip_motion(shapes.lips[:count]), hidden)


def hear_frames(encoder: WhisperHiddenStates, samples: np.ndarray) -> np.ndarray:
    """The last hidden states (2 * n, channels) of a sound (n * 640,) at 16 kHz."""
    count = len(samples) // SAMPLES_PER_VIDEO_FRAME
    return encoder(samples)[: HIDDEN_STATES_PER_VIDEO_FRAME * count, -1].numpy()


def lip_motion(lips: np.ndarray) -> np.ndarray:
    """What the network sees of lips (n, 40, 2) mm: their difference from their mean over time, scaled to
    spread 1; float32 (n, 80). So neither the shape of a mouth nor how far it moves matters."""
    moves = lips - lips.mean(0)
    spread_mm = max(float(np.sqrt(np.square(moves).sum(2).mean())), LEAST_MOTION_MM)
    return (moves / spread_mm).reshape(len(lips), -1).astype(np.float32)


@torch.no_grad()
def read_sync(network: SyncNetwork, lips: np.ndarray, hidden: np.ndarray) -> SyncReading:
    """lips: (n, 80) of `lip_motion`. hidden: (2 * n, channels) of `hear_frames`. At each delay, the mean over
    the frames that both have."""
    seen = network.embed_lips(torch.as_tensor(lips)[None])[0]
    heard = network.embed_sound(torch.as_tensor(hidden.astype(np.float32))[None])[0]
    cosines = (seen @ heard.T).numpy()
    delays = range(-MAX_DELAY_FRAMES, MAX_DELAY_FRAMES + 1)
    return SyncReading({late: float(np.diagonal(cosines, -late).mean()) for late in delays})
