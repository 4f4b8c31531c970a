"""Fits the voice detector of the compact model on synthetic speech, whose phone times are known (spoken,
whispered and sung, with anything behind it), on sentences of GRID, and on sounds without a voice; then judges
it on other utterances and on what it was not fitted on.

make_voice_detector.py SPEECH --grid CLIPS -o out/voice_detector
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.command import benchmark_parser
from lib.fit_reader import ReaderFit, fit_reader
from lib.report import publish
from lib.revoice import sung
from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import VOICE_DETECTOR
from sonimate.checkpoints.store import load_audio_encoder, save_network
from sonimate.clock import HIDDEN_STATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_HIDDEN_STATE
from sonimate.footage.mouth_reader import ENCODER
from sonimate.media.audio import read_audio
from sonimate.media.wav import from_pcm16
from sonimate.models.voice_detector import VoiceDetector, VoiceDetectorConfig
from sonimate.speech.augment import degrade
from sonimate.speech.effort import whisper
from sonimate.speech.phones import SILENCE, Phone, Speech, level_db
from sonimate.speech.utterances import find_utterances
from sonimate.speech.voiceless import KINDS, at_level, voiceless
from sonimate.types import Waveform

SECONDS = 6.0
EDGE_SECONDS, SHORT_SECONDS = 0.04, 0.15
"""Rows this near to an edge of a voice, and silences this short, have no label."""
VOICE, NONE, UNKNOWN = 1, 0, -1
ROW = SAMPLES_PER_HIDDEN_STATE
LOUD_DB = -25.0
"""In a studio, rows this loud against loud speech are voice."""
HELD_OUT = 0.1
FIT = ReaderFit(steps=1600, weight_decay=1e-3, noise=0.1)
LEVELS_DB = (-55.0, -10.0)

Sound = tuple[str, np.ndarray, np.ndarray]
"""The kind of a sound, its samples (n,) at 16 kHz, and the labels of its rows (t,)."""
Row = tuple[str, np.ndarray, np.ndarray]
"""The kind of a sound, its hidden states (t, l * d) float16, and the labels of its rows (t,)."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("speech", type=Path, help="a folder of `sonimate speech`")
    parser.add_argument("--grid", type=Path, required=True, help="a folder of GRID's clips")
    parser.add_argument("--count", type=int, default=300, help="of sounds with and of sounds without a voice")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "voice_detector")
    arguments = parser.parse_args(argv)
    encoder = load_audio_encoder(ENCODER)
    cache = arguments.out / "voice_detector_rows.npz"
    if cache.exists():
        rows = read_rows(cache)
    else:
        utterances, clips = find_utterances(arguments.speech), sorted(arguments.grid.glob("*.mp*g*"))
        sounds = [*with_voice(utterances, clips, arguments.count), *without_voice(arguments.count)]
        rows = list(hear(encoder, sounds))
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_rows(cache, rows)
    order = np.random.default_rng(0).permutation(len(rows))
    held_out = set(order[: round(HELD_OUT * len(rows))].tolist())
    detector = fit([row for index, row in enumerate(rows) if index not in held_out])
    save_network(arguments.output.parent, VOICE_DETECTOR, detector)
    table = judge(detector, [rows[index] for index in sorted(held_out)])
    for line in table:
        print(line)
    publish("voice_detector", arguments.out, rows=table, summary={}, checks=[])


def with_voice(utterances: list[Path], grid: list[Path], count: int) -> Iterator[Sound]:
    """Kind, samples and labels of utterances, a fifth whispered and a third sung, and of GRID's clips."""
    rng = np.random.default_rng(1)
    for index in rng.permutation(len(utterances))[:count]:
        waveform, phones = read_speech(utterances[index])
        kind = str(rng.choice(["spoken", "whispered", "sung"], p=[0.5, 0.2, 0.3]))
        if kind == "whispered":
            waveform = Waveform(whisper(waveform.samples, rng), SAMPLE_RATE_HZ)
        elif kind == "sung":
            stretch = rng.uniform(1.0, 2.5)
            waveform = sung(waveform, rng, stretch)
            phones = [
                phone.at(phone.start_seconds * stretch, phone.end_seconds * stretch) for phone in phones
            ]
        samples = degrade(waveform, rng).samples
        labels = labels_of(phones, len(samples))
        if rng.random() < 0.5:
            samples = before_something(samples, rng)
        if rng.random() < 0.5:
            samples, labels = interrupted(samples, labels, rng)
        begin = int(rng.uniform(0, max(waveform.seconds - SECONDS, 0)) * HIDDEN_STATE_HZ)
        end = begin + round(SECONDS * HIDDEN_STATE_HZ)
        yield kind, with_level(samples[ROW * begin : ROW * end], rng), labels[begin:end]
    for path in grid:
        sound = read_audio(path)
        yield "grid", with_level(sound.samples, rng), labels_by_level(sound)


def without_voice(count: int) -> Iterator[Sound]:
    """Kind, samples and labels of every kind in turn, and of mixtures; most music is distorted and recorded
    anew."""
    rng = np.random.default_rng(2)
    turns = [*KINDS, "music", "music", "music", "music", "pulsed", "noise", "mixed", "mixed"]
    for index in range(count):
        kind = turns[index % len(turns)]
        sound = voiceless(rng, SECONDS, tuple(KINDS) if kind == "mixed" else (kind,))
        samples = sound.samples
        if kind in ("music", "drums", "mixed") and rng.random() < 0.6:
            driven = np.tanh(samples / (samples.std() + 1e-6) * rng.uniform(0.05, 2)).astype(np.float32)
            samples = with_level(degrade(Waveform(driven, SAMPLE_RATE_HZ), rng).samples, rng)
        yield kind, samples, np.full(round(SECONDS * HIDDEN_STATE_HZ), NONE, np.int8)


def read_speech(path: Path) -> Speech:
    """An utterance of `sonimate speech`."""
    with np.load(path) as file:
        sound = Waveform(from_pcm16(file["samples"]), SAMPLE_RATE_HZ)
        labels = zip(file["phone_symbols"], file["phone_starts"], file["phone_ends"], strict=True)
        return sound, [Phone(str(symbol), float(start), float(end)) for symbol, start, end in labels]


def labels_of(phones: list[Phone], count: int) -> np.ndarray:
    """Labels (t,) of the rows of `count` samples."""
    times = (np.arange(count // ROW) + 0.5) / HIDDEN_STATE_HZ
    labels = np.full(len(times), NONE, np.int8)
    for phone in phones:
        inside = (times >= phone.start_seconds) & (times < phone.end_seconds)
        if phone.symbol != SILENCE:
            labels[inside] = VOICE
        elif phone.seconds < SHORT_SECONDS:
            labels[inside] = UNKNOWN
    return without_edges(labels)


def labels_by_level(sound: Waveform) -> np.ndarray:
    """Labels (t,) of a studio's recording: loud rows are voice. Quiet ones have no label: they may be the
    soft end of a word."""
    loud = level_db(sound)[2::4][: len(sound.samples) // ROW] > LOUD_DB
    return np.where(loud, VOICE, UNKNOWN).astype(np.int8)


def without_edges(labels: np.ndarray) -> np.ndarray:
    near = round(EDGE_SECONDS * HIDDEN_STATE_HZ)
    cleared = labels.copy()
    for edge in np.flatnonzero(np.diff(labels)) + 1:
        cleared[max(edge - near, 0) : edge + near] = UNKNOWN
    return cleared


def before_something(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A voice with any sound without one behind it, 0 to 25 dB below it."""
    other = voiceless(rng, len(samples) / SAMPLE_RATE_HZ).samples[: len(samples)]
    loudness = 20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9)
    return samples + at_level(other, loudness - rng.uniform(0, 25))


def interrupted(
    samples: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A voice that is cut off by digital silence for 0.3 to 1.2 s, one to three times."""
    samples, labels = samples.copy(), labels.copy()
    for _ in range(rng.integers(1, 4)):
        begin = int(rng.integers(len(labels)))
        end = begin + round(rng.uniform(0.3, 1.2) * HIDDEN_STATE_HZ)
        samples[ROW * begin : ROW * end] = 0
        labels[begin:end] = NONE
        labels[max(begin - 1, 0) : begin + 2] = UNKNOWN
        labels[end - 2 : end + 1] = UNKNOWN
    return samples, labels


def with_level(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    samples = at_level(samples, rng.uniform(*LEVELS_DB))
    return (samples / max(np.abs(samples).max(), 1.0)).astype(np.float32)


def hear(encoder: WhisperHiddenStates, sounds: list[Sound]) -> Iterator[Row]:
    """The rows of every sound, heard in a row of one to four random ones: so each comes at many places of a
    recording, and near others."""
    rng = np.random.default_rng(3)
    order = rng.permutation(len(sounds)).tolist()
    while order:
        group = [sounds[order.pop()] for _ in range(min(rng.integers(1, 5), len(order)))]
        hidden = encoder(np.concatenate([samples[: ROW * len(labels)] for _, samples, labels in group]))
        ends = np.cumsum([len(labels) for _, _, labels in group])[:-1]
        for (kind, _, labels), part in zip(group, np.split(hidden.flatten(1).numpy(), ends), strict=True):
            yield kind, part.astype(np.float16), labels


def write_rows(path: Path, rows: list[Row]) -> None:
    np.savez(
        path,
        kinds=np.array([kind for kind, _, _ in rows]),
        counts=np.array([len(labels) for _, _, labels in rows]),
        hidden=np.concatenate([hidden for _, hidden, _ in rows]),
        labels=np.concatenate([labels for _, _, labels in rows]),
    )


def read_rows(path: Path) -> list[Row]:
    with np.load(path) as file:
        ends = np.cumsum(file["counts"])[:-1]
        hidden, labels = np.split(file["hidden"], ends), np.split(file["labels"], ends)
        return list(zip(file["kinds"].tolist(), hidden, labels, strict=True))


def fit(rows: list[Row]) -> VoiceDetector:
    """Logistic regression with a small hidden layer, on all labelled rows of random sounds at a time; sounds
    with and without a voice weigh the same."""

    def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
        known = labels != UNKNOWN
        return F.binary_cross_entropy_with_logits(logits[known], labels[known].float())

    sounds = [(torch.from_numpy(hidden), torch.from_numpy(labels)) for _, hidden, labels in rows]
    return fit_reader(lambda: VoiceDetector(VoiceDetectorConfig()), sounds, loss_of, FIT)


@torch.no_grad()
def judge(detector: VoiceDetector, rows: list[Row]) -> list[dict]:
    """By kind: rows with and without a voice, and the share of each that is found to be voice."""
    table = []
    for kind in sorted({kind for kind, _, _ in rows}):
        found, truth = [], []
        for hidden, labels in ((hidden, labels) for name, hidden, labels in rows if name == kind):
            found.append(detector(torch.from_numpy(hidden.astype(np.float32))).numpy() > 0)
            truth.append(labels)
        heard, labels = np.concatenate(found), np.concatenate(truth)
        line: dict = {"kind": kind, "sounds": len(found)}
        for name, label in (("voice", VOICE), ("none", NONE)):
            rows_of = labels == label
            line[f"rows of {name}"] = int(rows_of.sum())
            line[f"of {name}, heard as voice"] = float(heard[rows_of].mean()) if rows_of.any() else None
        table.append(line)
    return table


if __name__ == "__main__":
    main()
