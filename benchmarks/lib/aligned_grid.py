"""Clips of the GRID corpus whose words are known from their names: phones, and the mouth at every frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.features.face_gestures import measure_face
from sonimate.footage.shards import read_shards
from sonimate.speech.phones import SILENCE, Phone, phone_loudness_db
from sonimate.speech.recordings import Aligner
from sonimate.types import Waveform

_NAME = re.compile(r"([blps][bgrw][abiw][a-z][z1-9][anps])$")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {"a": "ay", "z": "zed"},
    dict(
        zip(
            "z123456789",
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
            strict=True,
        )
    ),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
"""Command, colour, preposition, letter (as itself where it is not listed), digit, adverb."""
_REST_SECONDS = 0.15


@dataclass(frozen=True)
class AlignedClip:
    """One sentence. mouth: (n, 5) cm at 25 fps, the first five measures of face_gestures against those of the
    silences. landmarks: (n, 478, 3) px."""

    name: str
    speaker: str
    phones: list[Phone]
    loudness_db: np.ndarray
    mouth: np.ndarray
    landmarks: np.ndarray


def sentence_of(name: str) -> str | None:
    """The sentence that a file name of GRID spells, None for other names."""
    found = _NAME.search(name)
    if found is None:
        return None
    return " ".join(words.get(letter, letter) for words, letter in zip(_WORDS, found[1], strict=True))


def aligned_clips(shards: Path) -> Iterator[AlignedClip]:
    """The clips of a folder of `sonimate prepare` that can be aligned with their sentence."""
    aligner = Aligner()
    for clip in read_shards(shards):
        name = Path(clip.record["source"]).stem
        sentence = sentence_of(name)
        if sentence is None:
            continue
        sound = Waveform(clip.sound(), SAMPLE_RATE_HZ)
        try:
            phones = aligner.align(sound, sentence, "en")
        except UnusableClip:
            continue
        landmarks = clip.landmarks().astype(np.float64)
        measures = measure_face(to_canonical(landmarks, fit_pose(landmarks)))[:, :5]
        yield AlignedClip(
            name,
            clip.record["speaker"],
            phones,
            phone_loudness_db(phones, sound),
            measures - np.median(measures[_at_rest(phones, measures[:, 0])], axis=0),
            landmarks,
        )


def _at_rest(phones: list[Phone], gap: np.ndarray) -> np.ndarray:
    """Frames (n,) inside silences, or the fifth with the smallest gap where there are hardly any."""
    times, silent = np.arange(len(gap)) / VIDEO_FPS, np.zeros(len(gap), bool)
    for phone in phones:
        if phone.symbol == SILENCE:
            silent |= (times >= phone.start_seconds + _REST_SECONDS) & (
                times <= phone.end_seconds - _REST_SECONDS
            )
    return silent if silent.sum() >= 5 else gap <= np.quantile(gap, 0.2)
