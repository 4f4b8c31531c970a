"""The mouth opening that a sound lets expect: a linear reading of Whisper's last hidden states.

`python -m sonimate.data.mouth_reader SHARDS -o FILE` fits it on prepared shards, and prints how the sync gate
judges clips by readers that heard none of their speakers: with their own sound, shifted, and with others'.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.folder import BUNDLED
from sonimate.data.sample import FPS, SAMPLES_PER_FRAME
from sonimate.data.shards import read_shards
from sonimate.data.sync import fault, synchrony
from sonimate.face.pose import mouth_opening

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
        return cls(WhisperHiddenStates.from_folder(ENCODER), load_file(path)["weights"].astype(np.float32))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Sound float32 (n * 640,) at 16 kHz -> expected opening (n,), of no particular mean or scale."""
        return rows_around(self.encoder, samples) @ self.weights


def rows_around(encoder: WhisperHiddenStates, samples: np.ndarray) -> np.ndarray:
    """Sound (n * 640,) -> float32 (n, len(ROWS) * d): the last layer's rows about each frame."""
    hidden = encoder(samples)[:, -1].numpy()
    count = len(samples) // SAMPLES_PER_FRAME
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


def judge_strangers(
    rows: Sequence[np.ndarray], openings: Sequence[np.ndarray], speakers: Sequence[str]
) -> Iterator[tuple[str, bool]]:
    """What sound a clip is judged with, and whether it passes, by a reader fitted without its speaker.

    Pairs with another's sound are as long as the shorter of the two.
    """
    for index, (opening, speaker) in enumerate(zip(openings, speakers, strict=True)):
        others = [i for i, other in enumerate(speakers) if other != speaker]
        weights = fit([rows[i] for i in others], [openings[i] for i in others])
        expected = rows[index] @ weights
        yield "own sound", _passes(opening, expected)
        yield (
            f"own, {SHIFT_FRAMES / FPS:.2f} s late",
            _passes(opening[:-SHIFT_FRAMES], expected[SHIFT_FRAMES:]),
        )
        yield (
            f"own, {SHIFT_FRAMES / FPS:.2f} s early",
            _passes(opening[SHIFT_FRAMES:], expected[:-SHIFT_FRAMES]),
        )
        for other in others:
            count = min(len(opening), len(rows[other]))
            length = "longer" if count > LONG_FRAMES else "shorter"
            kind = f"another's sound, {length} than {LONG_FRAMES / FPS:.0f} s"
            yield kind, _passes(opening[:count], rows[other][:count] @ weights)


def _passes(opening: np.ndarray, expected: np.ndarray) -> bool:
    return fault(synchrony(opening, expected)) is None


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, cross-validate over speakers, write."""
    parser = argparse.ArgumentParser(prog="python -m sonimate.data.mouth_reader", description=__doc__)
    parser.add_argument("shards", type=Path, help="folder that sonimate prepare has written")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    arguments = parser.parse_args(argv)
    encoder = WhisperHiddenStates.from_folder(ENCODER)
    clips = list(read_shards(arguments.shards))
    rows = [rows_around(encoder, clip.sound()) for clip in clips]
    openings = [mouth_opening(clip.landmarks()) for clip in clips]
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for kind, passed in judge_strangers(rows, openings, [clip.record["speaker"] for clip in clips]):
        verdicts[kind].append(passed)
    for kind, passed in sorted(verdicts.items()):
        print(f"{kind}: {sum(passed)} of {len(passed)} pass")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weights": fit(rows, openings).astype(np.float16)}, arguments.output)


if __name__ == "__main__":
    main()
