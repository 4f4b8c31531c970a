"""Fits the compact model's reader of the tongue on synthetic speech, whose phone times are known, and on
aligned sentences of GRID; judges it on utterances and on speakers that it was not fitted on.

make_tongue_reader.py SPEECH --grid CLIPS -o out/tongue_reader
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.aligned_grid import sentence_of
from lib.command import benchmark_parser
from lib.fit_reader import ReaderFit, fit_reader
from lib.report import publish
from make_voice_detector import read_speech
from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import TONGUE_READER
from sonimate.checkpoints.store import load_audio_encoder, save_network
from sonimate.clock import HIDDEN_STATE_HZ
from sonimate.errors import UnusableClip
from sonimate.footage.mouth_reader import ENCODER
from sonimate.footage.sources import find_footage, read_speakers
from sonimate.media.audio import read_audio
from sonimate.models.tongue_reader import TONGUE_SOUNDS, TongueReader, TongueReaderConfig
from sonimate.speech.phones import Phone
from sonimate.speech.recordings import Aligner
from sonimate.speech.utterances import find_utterances

HELD_OUT = 0.1
FIT = ReaderFit(steps=1500, weight_decay=1e-2, noise=0.2, every=7)
WEIGHTS = (1.0, 1.0, 3.0, 1.0)
"""Of errors on other sounds and on each of TONGUE_SOUNDS: TH is rare."""

Sound = tuple[Tensor, Tensor]
"""Hidden states (t, l * d) float16 of a sound, and the class (t,) of each row: 0, or 1 + place in
TONGUE_SOUNDS."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("speech", type=Path, help="a folder of `sonimate speech`")
    parser.add_argument("--grid", type=Path, required=True, help="a folder with GRID's clips")
    parser.add_argument("--count", type=int, default=400, help="of utterances; default 400")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "tongue_reader")
    arguments = parser.parse_args(argv)
    encoder = load_audio_encoder(ENCODER)
    synthetic = hear_utterances(encoder, find_utterances(arguments.speech), arguments.count)
    speakers = hear_grid(encoder, arguments.grid)
    split = round(HELD_OUT * len(synthetic))
    largest = max(speakers, key=lambda name: len(speakers[name]))
    others = [sound for name, sounds in speakers.items() if name != largest for sound in sounds]
    reader = fit([*synthetic[split:], *others])
    rows = [
        *judge("synthetic speech", reader, synthetic[:split]),
        *judge(f"GRID, {largest}", reader, speakers[largest]),
        *judge("GRID, other speakers", fit([*synthetic[split:], *speakers[largest]]), others),
    ]
    publish("tongue_reader", arguments.out, rows=rows)
    save_network(arguments.output.parent, TONGUE_READER, fit([*synthetic, *others, *speakers[largest]]))


def hear_utterances(encoder: WhisperHiddenStates, utterances: Sequence[Path], count: int) -> list[Sound]:
    """Up to `count` random utterances, those without a voice left out."""
    order = np.random.default_rng(0).permutation(len(utterances))[:count]
    spoken = (read_speech(utterances[index]) for index in order)
    return [hear(encoder, sound.samples, phones) for sound, phones in spoken if len(phones) > 1]


def hear_grid(encoder: WhisperHiddenStates, folder: Path) -> dict[str, list[Sound]]:
    """Speaker -> the sentences that can be aligned with their words."""
    aligner, names = Aligner(), read_speakers(folder)
    found: dict[str, list[Sound]] = {}
    for video in find_footage(folder):
        sentence = sentence_of(video.stem)
        if sentence is None:
            continue
        sound = read_audio(video)
        try:
            phones = aligner.align(sound, sentence, "en")
        except UnusableClip as error:
            print(f"left out {video.name}: {error}")
            continue
        found.setdefault(names.get(video.name, video.name), []).append(hear(encoder, sound.samples, phones))
    return found


def hear(encoder: WhisperHiddenStates, samples: np.ndarray, phones: Iterable[Phone]) -> Sound:
    hidden = encoder(samples).flatten(1).half()
    times = (np.arange(len(hidden)) + 0.5) / HIDDEN_STATE_HZ
    classes = np.zeros(len(hidden), np.int64)
    for phone in phones:
        for number, symbols in enumerate(TONGUE_SOUNDS, start=1):
            if phone.symbol in symbols:
                classes[(times >= phone.start_seconds) & (times < phone.end_seconds)] = number
    return hidden, torch.from_numpy(classes)


def fit(sounds: Sequence[Sound]) -> TongueReader:
    """Classes of all rows of a few random sounds at a time, by their cross entropy."""

    def loss_of(logits: Tensor, classes: Tensor) -> Tensor:
        return F.cross_entropy(logits, classes, torch.tensor(WEIGHTS))

    return fit_reader(lambda: TongueReader(TongueReaderConfig()), sounds, loss_of, FIT)


@torch.no_grad()
def judge(name: str, reader: TongueReader, sounds: Sequence[Sound]) -> list[dict[str, object]]:
    """Recall and precision of each class, by rows; a row beside one of its class counts."""
    found = torch.cat([reader(hidden.float()).argmax(1) for hidden, _ in sounds]).numpy()
    truth = torch.cat([classes for _, classes in sounds]).numpy()
    rows = []
    for number, symbols in enumerate(TONGUE_SOUNDS, start=1):
        heard, spoken = found == number, truth == number
        rows.append(
            {
                "speech": name,
                "sounds": " ".join(symbols),
                "rows": int(spoken.sum()),
                "recall": float(_beside(heard)[spoken].mean()),
                "precision": float(_beside(spoken)[heard].mean()),
            }
        )
    return rows


def _beside(rows: np.ndarray) -> np.ndarray:
    return rows | np.roll(rows, 1) | np.roll(rows, -1)


if __name__ == "__main__":
    main()
