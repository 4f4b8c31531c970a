"""Human recordings -> phone times -> a pool of phrases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sonimate.errors import UnusableClip
from sonimate.speech.alignment import Aligner
from sonimate.speech.pool import Phrase, cut, save_pool
from sonimate.speech.recordings import Recording, read


def build_pool(recordings: list[Recording], path: Path) -> None:
    """Align the recordings and write their phrases, and the reasons of rejects, to `path` (npz)."""
    aligner = Aligner()
    phrases: list[Phrase] = []
    rejects: Counter[str] = Counter()
    for recording in recordings:
        try:
            waveform = read(recording)
            phones = aligner.align(waveform, recording.transcript, recording.language)
        except UnusableClip as error:
            rejects[str(error)] += 1
            continue
        pieces = cut(waveform, phones)
        rejects["no phrase of 0.25 .. 8.5 s between pauses"] += not pieces
        phrases += [
            Phrase(sound, inside, recording.speaker, recording.language, recording.transcript)
            for sound, inside in pieces
        ]
    save_pool(phrases, +rejects, path)
