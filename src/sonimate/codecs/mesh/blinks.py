"""Blinks: a random process with a seed, added to the motion that the network generates.

A voice says little about when its speaker blinks, and eyes are closed in three of a hundred latent frames, so
a model trained on minutes of footage learns to keep the eyes open. The time between blinks here is random.
Each blink then moves to the moment nearby when the mouth is most closed, since people blink in pauses.
"""

from __future__ import annotations

import numpy as np

PER_MINUTE = 16.0
"""Blinks; people blink 4.5 times when reading, 17 at rest, 26 in conversation (Bentivoglio et al. 1997)."""
SPREAD = 0.45
"""Standard deviation of the logarithm of the time between blinks."""
SHORTEST_SECONDS = 1.0
SEARCH_SECONDS = 0.5
"""A blink moves by at most this much."""
CLOSING_SECONDS, SHUT_SECONDS, OPENING_SECONDS = 0.09, 0.05, 0.17


def blink_curve(mouth_opening: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """Lid closure (n,) in [0, 1] for n frames, from the mouth's opening (n,) in any unit."""
    count = len(mouth_opening)
    times = np.arange(count) / fps
    reach = round(SEARCH_SECONDS * fps)
    closure = np.zeros(count)
    at = rng.uniform(0.3, 1.0) * 60 / PER_MINUTE
    while at < count / fps:
        middle = int(at * fps)
        around = np.arange(max(middle - reach, 0), min(middle + reach + 1, count))
        start = times[around[np.argmin(mouth_opening[around])]] - CLOSING_SECONDS
        closure = np.maximum(closure, _profile(times - start))
        at = max(at, start) + max(60 / PER_MINUTE * np.exp(SPREAD * rng.normal()), SHORTEST_SECONDS)
    return closure


def _profile(since: np.ndarray) -> np.ndarray:
    """Closure at times `since` the lid began to fall, in seconds: a fast fall, a slower rise."""
    falling = np.clip(since / CLOSING_SECONDS, 0, 1)
    rising = np.clip((since - CLOSING_SECONDS - SHUT_SECONDS) / OPENING_SECONDS, 0, 1)
    return 0.5 * (1 - np.cos(np.pi * falling)) * 0.5 * (1 + np.cos(np.pi * rising))
