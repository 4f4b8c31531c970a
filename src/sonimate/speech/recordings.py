"""Human recordings with transcripts that Linux distributions package: where they are and what is said.

Debian: asterisk-core-sounds-{en,es,fr,it,ru}-g722 with asterisk-core-sounds-{en,es,fr,it,ru} for the texts
(CC-BY-SA 3.0, five speakers), and pocketsphinx-testdata (LibriVox and card names).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr

from sonimate.errors import RecordingsMissing, UnusableClip
from sonimate.types import Waveform

RATE_HZ = 16000
ASTERISK_FOLDERS = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}


@dataclass(frozen=True)
class Recording:
    """A sound file in which `speaker` says `transcript`."""

    path: Path
    transcript: str
    language: str
    speaker: str


def read(recording: Recording) -> Waveform:
    """Decode to mono 16 kHz float32. G.722 files carry no header, so their name's ending decides.

    Raises UnusableClip for an empty file.
    """
    is_g722 = recording.path.suffix == ".g722"
    with av.open(str(recording.path), format="g722" if is_g722 else None) as container:
        stream = container.streams.audio[0]
        chunks = [frame.to_ndarray() for frame in container.decode(stream)]
        rate_hz = stream.rate
    if not chunks:
        raise UnusableClip("file holds no sound")
    samples = np.concatenate(chunks, axis=1)[0]
    if samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / np.iinfo(samples.dtype).max
    samples = soxr.resample(samples, rate_hz, RATE_HZ) if rate_hz != RATE_HZ else samples
    return Waveform(samples.astype(np.float32), RATE_HZ)


def packaged(
    languages: Iterable[str], *, sounds: Path, documents: Path, testdata: Path
) -> dict[str, list[Recording]]:
    """All recordings, by language. Raises RecordingsMissing when those of a package are not there."""
    found = {language: asterisk(sounds, documents, language) for language in languages}
    missing = [
        f"asterisk-core-sounds-{language}{part}"
        for language, recordings in found.items()
        if not recordings
        for part in ("", "-g722")
    ]
    if "en" in found:
        tests = pocketsphinx_tests(testdata)
        missing += [] if tests else ["pocketsphinx-testdata"]
        found["en"] += tests
    if missing:
        raise RecordingsMissing(
            f"Recordings of human speech are missing below {sounds}, {documents} and {testdata}. Install "
            f"these packages of Debian: {' '.join(missing)}. Their texts lie in {documents}, which slim "
            "images leave out."
        )
    return found


def asterisk(sounds: Path, documents: Path, language: str) -> list[Recording]:
    """Prompts of one language in a stable order; empty when the package is not installed.

    sounds: usually /usr/share/asterisk/sounds. documents: usually /usr/share/doc.
    """
    listing = documents / f"asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz"
    folder = sounds / ASTERISK_FOLDERS[language]
    if not listing.exists() or not folder.exists():
        return []
    found = []
    for line in gzip.decompress(listing.read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, transcript = line.partition(":")
        path = folder / f"{name.strip()}.g722"
        if colon and not line.startswith(";") and path.exists():
            found.append(Recording(path, transcript.strip(), language, folder.name))
    return found


def pocketsphinx_tests(root: Path) -> list[Recording]:
    """LibriVox and card-game sentences of pocketsphinx's test data; empty when not installed."""
    found = []
    for name in ("librivox/transcription", "cards/cards.transcription"):
        listing = root / name
        lines = listing.read_text().splitlines() if listing.exists() else []
        for line in lines:
            match = re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line)
            path = listing.parent / f"{match.group(2)}.wav" if match else listing
            if match and path.suffix == ".wav" and path.exists():
                found.append(Recording(path, match.group(1).strip(), "en", listing.parent.name))
    return found
