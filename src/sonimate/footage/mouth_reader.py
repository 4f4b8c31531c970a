"""The mouth opening predicted from a sound: linear in Whisper's last hidden states, fitted on GRID.

`sonimate footage mouth-reader` fits it on prepared shards, and judges every clip by readers that were fitted
without its speaker: with its own sound, with that shifted, and with the sounds of others.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_audio_encoder
from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import TooFewClips
from sonimate.evaluate.curves import Lag, best_lag
from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import rounded
from sonimate.footage.shards import ShardClip
from sonimate.footage.sync import MAX_LAG_FRAMES, follows, lag_record
from sonimate.media.files import replacing

READER = BUNDLED / "mouth_reader" / "model.safetensors"
ENCODER = BUNDLED / "compact" / "audio_encoder"
ROWS = range(-5, 7)
"""The hidden states (one for 20 ms) that are read for a frame: 0.1 s before its time to 0.14 s after."""
RIDGE = 1e4
"""Of the values tried, the one that predicts held-out clips best."""

SHIFT_FRAMES, LONG_FRAMES = 8, 100
"""For trials: a shift that must be measured (0.32 s), and the length from which a clip is long (4 s)."""
OWN = "own sound"


@dataclass(frozen=True)
class MouthReader:
    """weights: (len(ROWS) * d,), applied to the hidden rows around each frame."""

    encoder: WhisperHiddenStates
    weights: np.ndarray

    @classmethod
    def load(cls) -> MouthReader:
        """The bundled reader."""
        return cls(reader_encoder(), load_file(READER)["weights"].astype(np.float32))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Sound float32 (n * 640,) at 16 kHz -> predicted opening (n,), in any unit and around any mean."""
        return rows_around(self.encoder, samples) @ self.weights


def reader_encoder() -> WhisperHiddenStates:
    """Whisper as the bundled reader was fitted to it: sounds are padded to 30 s.

    At the sound's own length, as in the compact model, r of clips of 2 s is up to 0.02 lower, and the limits
    of the sync stage would no longer be those that were measured.
    """
    return WhisperHiddenStates(load_audio_encoder(ENCODER).encoder, own_length=False)


def rows_around(encoder: WhisperHiddenStates, samples: np.ndarray) -> np.ndarray:
    """Sound (n * 640,) -> float32 (n, len(ROWS) * d): the last layer's hidden states around each frame."""
    hidden = encoder(samples)[:, -1].numpy()
    count = len(samples) // SAMPLES_PER_VIDEO_FRAME
    at = HIDDEN_STATES_PER_VIDEO_FRAME * np.arange(count)[:, None] + np.array(ROWS)
    return hidden[np.clip(at, 0, len(hidden) - 1)].reshape(count, -1)


def fit(rows: Sequence[np.ndarray], openings: Sequence[np.ndarray]) -> np.ndarray:
    """Ridge regression of standardised openings (n,) on standardised rows (n, d): weights (d,) for the rows
    without standardisation."""
    x = np.concatenate(rows).astype(np.float64)
    y = np.concatenate([(opening - opening.mean()) / opening.std() for opening in openings])
    deviation = x.std(0) + 1e-3
    x = (x - x.mean(0)) / deviation
    solved = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return (solved / deviation).astype(np.float32)


@dataclass(frozen=True)
class Trial:
    """A clip, by index, judged with some sound by a reader that was fitted without its speaker."""

    clip: int
    sound: str
    lag: Lag

    @property
    def passes(self) -> bool:
        return follows(self.lag.r, self.lag.confidence)


def cross_validate(
    rows: Sequence[np.ndarray], openings: Sequence[np.ndarray], speakers: Sequence[str]
) -> Iterator[Trial]:
    """Trials of every clip with its own sound, with that shifted, and with the sounds of other speakers, cut
    to the shorter of the two."""
    for speaker in dict.fromkeys(speakers):
        others = [i for i, other in enumerate(speakers) if other != speaker]
        weights = fit([rows[i] for i in others], [openings[i] for i in others])
        for index in (i for i, other in enumerate(speakers) if other == speaker):
            opening, predicted = openings[index], rows[index] @ weights
            late = best_lag(opening[:-SHIFT_FRAMES], predicted[SHIFT_FRAMES:], MAX_LAG_FRAMES)
            early = best_lag(opening[SHIFT_FRAMES:], predicted[:-SHIFT_FRAMES], MAX_LAG_FRAMES)
            yield Trial(index, OWN, best_lag(opening, predicted, MAX_LAG_FRAMES))
            yield Trial(index, f"own, {SHIFT_FRAMES / VIDEO_FPS:.2f} s late", late)
            yield Trial(index, f"own, {SHIFT_FRAMES / VIDEO_FPS:.2f} s early", early)
            for other in others:
                count = min(len(opening), len(rows[other]))
                length = "longer" if count > LONG_FRAMES else "shorter"
                kind = f"another's sound, {length} than {LONG_FRAMES / VIDEO_FPS:.0f} s"
                others_lag = best_lag(opening[:count], rows[other][:count] @ weights, MAX_LAG_FRAMES)
                yield Trial(index, kind, others_lag)


def fit_and_judge(clips: Sequence[ShardClip]) -> tuple[np.ndarray, list[Trial]]:
    """The weights of a reader fitted on all clips, and trials of readers each fitted without one speaker.

    Raises TooFewClips.
    """
    speakers = [clip.record["speaker"] for clip in clips]
    if len(set(speakers)) < 2:
        raise TooFewClips(
            f"{len(clips)} clips of {len(set(speakers))} speakers: a clip is judged by a reader fitted on "
            "other speakers. Prepare footage of more speakers."
        )
    encoder = reader_encoder()
    rows = [rows_around(encoder, clip.sound()) for clip in clips]
    openings = [mouth_opening(clip.landmarks()) for clip in clips]
    return fit(rows, openings), list(cross_validate(rows, openings, speakers))


def own_sound_table(clips: Sequence[ShardClip], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The trial of each clip with its own sound, in the clips' order."""
    own = {trial.clip: trial for trial in trials if trial.sound == OWN}
    facts = ("source", "start_seconds", "speaker")
    return [
        {fact: clip.record[fact] for fact in facts}
        | rounded(lag_record(own[index].lag))
        | {"passes": own[index].passes}
        for index, clip in enumerate(clips)
    ]


def summaries(clips: Sequence[ShardClip], trials: Sequence[Trial]) -> dict[str, str]:
    """How the trials went, in words: the own sounds of each speaker's clips, and each kind of sound."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.sound == OWN:
            groups[f"speaker {clips[trial.clip].record['speaker']}, {OWN}"].append(trial)
        groups[trial.sound].append(trial)
    return {name: _summary(group) for name, group in sorted(groups.items())}


def _summary(trials: Sequence[Trial]) -> str:
    r, lags = np.array([(trial.lag.r, trial.lag.milliseconds) for trial in trials]).T
    passed = sum(trial.passes for trial in trials)
    return f"{passed} of {len(trials)} pass, r {r.mean():.2f}, lag {lags.mean():+.0f} +- {lags.std():.0f} ms"


def write_reader(weights: np.ndarray, table: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the weights to `path` and the table of `own_sound_table` beside it, as json.

    Raises OutputNotWritable.
    """
    with replacing(path) as partial:
        save_file({"weights": weights.astype(np.float16)}, partial)
    with replacing(path.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
