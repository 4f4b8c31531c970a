"""The mouth opening that a sound lets expect: a linear reading of Whisper's last hidden states.

`python -m sonimate.footage.mouth_reader SHARDS -o FILE` fits it on prepared shards and prints how the sync
gate judges clips by readers that heard none of their speakers: with their own sound, shifted,
and with others'. What it finds of each clip with its own sound is also written beside FILE, as json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_audio_encoder
from sonimate.clock import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import SonimateError, TooFewClips
from sonimate.evaluate.curves import Lag
from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import rounded
from sonimate.footage.shards import ShardClip, read_shards
from sonimate.footage.sync import fault, lag_record, mouth_lag
from sonimate.media.files import replacing, write_errors

READER = BUNDLED / "mouth_reader" / "model.safetensors"
ENCODER = BUNDLED / "compact" / "audio_encoder"
ROWS = range(-5, 7)
"""Hidden rows (20 ms) around a frame's time that are read: 0.1 s before to 0.14 s after."""
ROWS_PER_FRAME = 2
RIDGE = 1e4
"""As large as leaves held-out clips best explained."""

SHIFT_FRAMES, LONG_FRAMES = 8, 100
"""Of the trials that `main` reports: a shift that must be noticed; from where on a clip is long."""


@dataclass(frozen=True)
class MouthReader:
    """weights: (len(ROWS) * d,), applied to the hidden rows around each frame."""

    encoder: WhisperHiddenStates
    weights: np.ndarray

    @classmethod
    def load(cls, path: Path = READER) -> MouthReader:
        """The bundled reader, or one that `main` wrote."""
        return cls(load_audio_encoder(ENCODER), load_file(path)["weights"].astype(np.float32))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Sound float32 (n * 640,) at 16 kHz -> expected opening (n,), of no particular mean or scale."""
        return rows_around(self.encoder, samples) @ self.weights


def rows_around(encoder: WhisperHiddenStates, samples: np.ndarray) -> np.ndarray:
    """Sound (n * 640,) -> float32 (n, len(ROWS) * d): the last layer's rows about each frame."""
    hidden = encoder(samples)[:, -1].numpy()
    count = len(samples) // SAMPLES_PER_VIDEO_FRAME
    at = ROWS_PER_FRAME * np.arange(count)[:, None] + np.array(ROWS)
    return hidden[np.clip(at, 0, len(hidden) - 1)].reshape(count, -1)


def fit(rows: Sequence[np.ndarray], openings: Sequence[np.ndarray]) -> np.ndarray:
    """Ridge regression of standardised openings (n,) on standardised rows (n, d), as weights (d,) for rows
    as they are."""
    x = np.concatenate(rows).astype(np.float64)
    y = np.concatenate([(opening - opening.mean()) / opening.std() for opening in openings])
    deviation = x.std(0) + 1e-3
    x = (x - x.mean(0)) / deviation
    solved = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return (solved / deviation).astype(np.float32)


@dataclass(frozen=True)
class Trial:
    """A clip, by index, judged with some sound by a reader that heard none of its speaker."""

    clip: int
    sound: str
    lag: Lag

    @property
    def passes(self) -> bool:
        return fault(self.lag) is None


OWN = "own sound"


def judge_strangers(
    rows: Sequence[np.ndarray], openings: Sequence[np.ndarray], speakers: Sequence[str]
) -> Iterator[Trial]:
    """Every clip with its own sound, with that shifted, and with others'.

    Pairs with another's sound are as long as the shorter of the two.
    """
    for speaker in dict.fromkeys(speakers):
        others = [i for i, other in enumerate(speakers) if other != speaker]
        weights = fit([rows[i] for i in others], [openings[i] for i in others])
        for index in (i for i, other in enumerate(speakers) if other == speaker):
            opening, expected = openings[index], rows[index] @ weights
            late = mouth_lag(opening[:-SHIFT_FRAMES], expected[SHIFT_FRAMES:])
            early = mouth_lag(opening[SHIFT_FRAMES:], expected[:-SHIFT_FRAMES])
            yield Trial(index, OWN, mouth_lag(opening, expected))
            yield Trial(index, f"own, {SHIFT_FRAMES / VIDEO_FPS:.2f} s late", late)
            yield Trial(index, f"own, {SHIFT_FRAMES / VIDEO_FPS:.2f} s early", early)
            for other in others:
                count = min(len(opening), len(rows[other]))
                length = "longer" if count > LONG_FRAMES else "shorter"
                kind = f"another's sound, {length} than {LONG_FRAMES / VIDEO_FPS:.0f} s"
                yield Trial(index, kind, mouth_lag(opening[:count], rows[other][:count] @ weights))


def fit_and_judge(clips: Sequence[ShardClip]) -> tuple[np.ndarray, list[Trial]]:
    """The weights of a reader of all clips, and the trials of readers of all speakers but one.

    Raises TooFewClips.
    """
    speakers = [clip.record["speaker"] for clip in clips]
    if len(set(speakers)) < 2:
        raise TooFewClips(
            f"{len(clips)} clips of {len(set(speakers))} speakers: judging one needs another. Prepare more "
            "footage."
        )
    encoder = load_audio_encoder(ENCODER)
    rows = [rows_around(encoder, clip.sound()) for clip in clips]
    openings = [mouth_opening(clip.landmarks()) for clip in clips]
    return fit(rows, openings), list(judge_strangers(rows, openings, speakers))


def own_sound_table(clips: Sequence[ShardClip], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """What was found of each clip with its own sound, in the clips' order."""
    own = {trial.clip: trial for trial in trials if trial.sound == OWN}
    return [
        {
            "source": clip.record["source"],
            "start_seconds": clip.record["start_seconds"],
            "speaker": clip.record["speaker"],
            **rounded(lag_record(own[index].lag)),
            "passes": own[index].passes,
        }
        for index, clip in enumerate(clips)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, cross-validate over speakers, write; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sonimate.footage.mouth_reader", description=__doc__)
    parser.add_argument("shards", type=Path, help="folder that sonimate prepare has written")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    arguments = parser.parse_args(argv)
    try:
        _run(arguments.shards, arguments.output)
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(shards: Path, output: Path) -> None:
    with write_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    clips = list(read_shards(shards))
    weights, trials = fit_and_judge(clips)
    table = own_sound_table(clips, trials)
    for row in table:
        verdict = "passes" if row["passes"] else "FAILS"
        print(
            f"{row['source']} from {row['start_seconds']:.2f} s: r {row['r']:.2f} at "
            f"{row['offset_frames']:+d} frames, confidence {row['confidence']:.2f}, {verdict}"
        )
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for trial in trials:
        verdicts[trial.sound].append(trial.passes)
    for kind, passed in sorted(verdicts.items()):
        print(f"{kind}: {sum(passed)} of {len(passed)} pass")
    with replacing(output) as partial:
        save_file({"weights": weights.astype(np.float16)}, partial)
    with replacing(output.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
