"""Aligned phrases of human speech, cut at pauses and kept in one file a language."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.speech.phones import SILENCE, Phone
from sonimate.types import Waveform

RATE_HZ = 16000
_PHRASE_PAUSE_SECONDS = 0.3
_MARGIN_SECONDS = 0.06
_LONGEST_SECONDS, _SHORTEST_SECONDS = 8.5, 0.25


@dataclass(frozen=True)
class Phrase:
    """A stretch of speech without long pauses: its sound, contiguous phones from 0, and where it is from."""

    waveform: Waveform
    phones: list[Phone]
    speaker: str
    language: str
    text: str


def cut(waveform: Waveform, phones: list[Phone]) -> list[tuple[Waveform, list[Phone]]]:
    """Split at silences of at least 0.3 s, keeping 60 ms of each on both sides."""
    pieces = []
    group: list[Phone] = []
    for phone in [*phones, Phone(SILENCE, waveform.seconds, waveform.seconds + 1)]:
        if phone.symbol != SILENCE or (group and phone.seconds < _PHRASE_PAUSE_SECONDS):
            group.append(phone)
        elif group:
            spoken = group[: -1 if group[-1].symbol == SILENCE else None]
            if _SHORTEST_SECONDS <= spoken[-1].end_seconds - spoken[0].start_seconds <= _LONGEST_SECONDS:
                pieces.append(_piece(waveform, spoken))
            group = []
    return pieces


def _piece(waveform: Waveform, spoken: list[Phone]) -> tuple[Waveform, list[Phone]]:
    begin = max(0, round((spoken[0].start_seconds - _MARGIN_SECONDS) * waveform.rate_hz))
    end = min(len(waveform.samples), round((spoken[-1].end_seconds + _MARGIN_SECONDS) * waveform.rate_hz))
    sound = Waveform(waveform.samples[begin:end], waveform.rate_hz)
    offset = begin / waveform.rate_hz
    return sound, move(spoken, -offset)


def move(phones: list[Phone], seconds: float) -> list[Phone]:
    """The phones, later by `seconds`."""
    return [Phone(p.symbol, p.start_seconds + seconds, p.end_seconds + seconds, p.stressed) for p in phones]


def save_pool(phrases: list[Phrase], rejects: Counter[str], path: Path) -> None:
    """Write phrases, and how many recordings were rejected for which reason, to an npz file."""
    pcm = [(np.clip(phrase.waveform.samples, -1, 1) * 32767).astype(np.int16) for phrase in phrases]
    labels = [
        {
            "speaker": phrase.speaker,
            "language": phrase.language,
            "text": phrase.text,
            "phones": [[p.symbol, p.start_seconds, p.end_seconds, p.stressed] for p in phrase.phones],
        }
        for phrase in phrases
    ]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        samples=np.concatenate([*pcm, np.zeros(0, np.int16)]),
        lengths=np.array([len(sound) for sound in pcm], dtype=np.int64),
        labels=np.array(json.dumps(labels)),
        rejects=np.array(json.dumps(rejects)),
    )
    part.replace(path)


def load_pool(path: Path) -> tuple[list[Phrase], dict[str, int]]:
    """The phrases of a file of `save_pool`, and how many recordings were rejected for which reason."""
    with np.load(path) as file:
        sounds = np.split(file["samples"], np.cumsum(file["lengths"])[:-1])
        labels, rejects = json.loads(str(file["labels"])), json.loads(str(file["rejects"]))
    phrases = [
        Phrase(
            Waveform(sound.astype(np.float32) / 32768.0, RATE_HZ),
            [Phone(*phone) for phone in label["phones"]],
            label["speaker"],
            label["language"],
            label["text"],
        )
        for sound, label in zip(sounds, labels, strict=False)
    ]
    return phrases, rejects
