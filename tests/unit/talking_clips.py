"""A made-up clip of a talking head: sound with syllables, and landmarks whose mouth moves with them."""

import numpy as np
from faces import canonical_landmarks, poses

from sonimate.face.pose import Pose

FRAMES = 75
MOVING = (14, 87, 317, 178, 402)


def noise_with(envelope: np.ndarray) -> np.ndarray:
    """Noise whose loudness follows an envelope (n,) at 25 values a second: float32 samples at 16 kHz."""
    loudness = np.interp(np.arange(len(envelope) * 640) / 640, np.arange(len(envelope)), envelope)
    return (0.2 * loudness * np.random.default_rng(0).normal(size=len(loudness))).astype(np.float32)


def syllables(frames: int = FRAMES, *, rate_hz: float = 4.0, seed: int = 3) -> np.ndarray:
    """Bursts of changing strength, each followed by a pause: (frames,) in [0, 1]."""
    knots = np.arange(0, frames + 6, 6)
    strength = np.interp(np.arange(frames), knots, np.random.default_rng(seed).random(len(knots)))
    return strength * np.clip(np.sin(2 * np.pi * rate_hz * np.arange(frames) / 25), 0, None)


def talking_landmarks(frames: int = FRAMES) -> np.ndarray:
    """A head that nods a little while its lower lip moves up and down."""
    wave = np.sin(np.arange(frames) / 12)[:, None]
    still = poses(1, np.random.default_rng(1), turn=0.05)
    sway = wave * np.array([[3.0, 2.0, 0]]) + [200, 200, 0]
    pose = Pose(np.repeat(still.scale, frames), np.repeat(still.rotation, frames, 0), sway * [1, -1, 1])
    lower = np.isin(np.arange(478), MOVING)[:, None] * np.array([0.0, -1.0, 0.0])
    return canonical_landmarks(pose, syllables(frames)[:, None, None] * lower).astype(np.float32)
