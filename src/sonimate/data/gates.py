"""Quality gates: each gives the reason to reject a clip, or None. Thresholds carry their reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sonimate.data.clips import Clip
from sonimate.face.pose import mouth_opening

MIN_SECONDS = 2.0
"""A training window is two seconds long."""
MAX_LOST_SHARE = 0.02
"""Tracks with gaps come from turned or covered faces, whose landmarks near the gap are wrong too."""
CUT_CHANGE = 25.0
"""Grey levels; the most that moving heads and hands change a whole frame by in footage seen is about 20."""
CUT_JUMP = 0.6
"""Face heights per frame; a head cannot move that fast, a cut to another shot does."""
SILENT_LEVEL = 10 ** (-50 / 20)
"""Below -50 dBFS (90th percentile of 20 ms levels) nothing is said."""
MIN_PAUSES = 0.20
"""Speech is full of short pauses, music is not. Measured: speech 0.23 to 0.50, music 0.05 to 0.18."""
MIN_MOUTH_MOVEMENT = 0.006
"""Standard deviation of mouth opening over face height; talking measures 0.019 to 0.047."""


def too_short(clip: Clip) -> str | None:
    return "too short" if min(clip.seconds, clip.waveform.seconds) < MIN_SECONDS else None


def lost_face(clip: Clip) -> str | None:
    return "face lost" if np.isnan(clip.landmarks[:, 0, 0]).mean() > MAX_LOST_SHARE else None


def scene_cut(clip: Clip) -> str | None:
    seen = ~np.isnan(clip.landmarks[:, 0, 0])
    centre = clip.landmarks[seen, :, :2].mean(1)
    height = np.nanmedian(np.linalg.norm(clip.landmarks[:, 10] - clip.landmarks[:, 152], axis=1))
    jumps = np.linalg.norm(np.diff(centre, axis=0), axis=1) / height
    return "scene cut" if jumps.max() > CUT_JUMP or clip.changes.max() > CUT_CHANGE else None


def still_mouth(clip: Clip) -> str | None:
    opening = mouth_opening(clip.landmarks)
    return "mouth does not move" if np.nanstd(opening) < MIN_MOUTH_MOVEMENT else None


def silent(clip: Clip) -> str | None:
    return "silence" if np.percentile(levels(clip.waveform.samples), 90) < SILENT_LEVEL else None


def music(clip: Clip) -> str | None:
    return "music" if pause_ratio(levels(clip.waveform.samples)) < MIN_PAUSES else None


GATES: tuple[Callable[[Clip], str | None], ...] = (
    too_short,
    lost_face,
    scene_cut,
    still_mouth,
    silent,
    music,
)
SOUND_REASONS = ("silence", "music", "sound does not move with the mouth")
"""Clips rejected for these still show faces that may teach what expressions look like."""


def first_reason(clip: Clip) -> str | None:
    """The first gate's reason to reject a clip, or None when all let it pass."""
    return next((reason for gate in GATES if (reason := gate(clip)) is not None), None)


def levels(samples: np.ndarray, hop: int = 320) -> np.ndarray:
    """Root-mean-square level of every 20 ms of 16 kHz sound."""
    count = len(samples) // hop
    return np.sqrt((samples[: count * hop].reshape(count, hop).astype(np.float64) ** 2).mean(1)) + 1e-6


def pause_ratio(level: np.ndarray, window: int = 50) -> float:
    """Low short-time energy ratio (Lu, Jiang and Zhang 2001): the mean share of 20 ms frames that are less
    than half as loud as their second."""
    starts = range(0, max(len(level) - window, 1), window // 2)
    seconds = [level[start : start + window] for start in starts]
    return float(np.mean([(second < 0.5 * second.mean()).mean() for second in seconds]))


def fill_gaps(landmarks: np.ndarray) -> np.ndarray:
    """Interpolate the few frames without a face linearly; (n, 478, 3) with NaN -> without."""
    lost = np.isnan(landmarks[:, 0, 0])
    if not lost.any():
        return landmarks
    known = np.flatnonzero(~lost)
    flat = landmarks.reshape(len(landmarks), -1)
    filled = flat.copy()
    for index in np.flatnonzero(lost):
        after = np.searchsorted(known, index)
        left, right = known[max(after - 1, 0)], known[min(after, len(known) - 1)]
        share = 0.0 if right == left else (index - left) / (right - left)
        filled[index] = (1 - share) * flat[left] + share * flat[right]
    return filled.reshape(landmarks.shape)


def sync_correlations(
    openings: list[np.ndarray], features: list[np.ndarray], speakers: list[str], *, ridge: float = 100.0
) -> list[float]:
    """How well each clip's mouth follows its sound: the correlation of its opening with a ridge regression on
    audio features that was fitted on the other speakers' clips.

    openings: (n,) per clip at 25 fps. features: (n, d) per clip at 25 fps.
    """
    targets = [(opening - opening.mean()) / (opening.std() + 1e-9) for opening in openings]
    scores = []
    for index, speaker in enumerate(speakers):
        others = [i for i, other in enumerate(speakers) if other != speaker]
        x = np.concatenate([features[i][::2] for i in others])
        y = np.concatenate([targets[i][::2] for i in others])
        mean = x.mean(0)
        kernel = (x - mean) @ (x - mean).T
        weights = (x - mean).T @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), y)
        scores.append(float(np.corrcoef((features[index] - mean) @ weights, targets[index])[0, 1]))
    return scores
