"""Human recordings whose words are known -> phone times -> a pool of phrases.

The recordings are packages of Debian: asterisk-core-sounds-LANGUAGE-g722 with asterisk-core-sounds-LANGUAGE
for the texts (en, es, fr, it, ru; CC-BY-SA 3.0, five speakers), and pocketsphinx-testdata (LibriVox and card
names). pocketsphinx aligns them with their transcripts. Its English acoustic model also serves the other
languages: the phones of each word come from espeak-ng, are renamed to their nearest English neighbours for
the search, and get their own names back afterwards. What matters for lips (closures, lip-teeth contact,
rounding, vowel or not) stays.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder

from sonimate.errors import RecordingsMissing, UnusableClip
from sonimate.media.container import open_container
from sonimate.media.wav import to_pcm16
from sonimate.speech.espeak import pronounce
from sonimate.speech.phones import (
    HOP_SECONDS,
    SILENCE,
    TO_SPHINX,
    Phone,
    from_sphinx,
    level_db,
    mark_stress,
    phone_loudness_db,
    split_silences,
)
from sonimate.speech.utterances import Phrase, cut, save_pool
from sonimate.speech.voices import at_speech_rate
from sonimate.types import Waveform

_FRAME_SECONDS = 0.01
_PADDINGS_SECONDS = (0.25, 0.1, 0.6)
_LONGEST_PHONE_SECONDS = 0.7
_QUIET_VOWEL_DB = -22.0
_UNSPOKEN = re.compile(r"\[.*?\]|\(.*?\)|<.*?>")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
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


def decode(recording: Recording) -> Waveform:
    """Decode to mono 16 kHz float32. G.722 files carry no header, so their name's ending decides.

    Raises UnusableClip for an empty file.
    """
    format = "g722" if recording.path.suffix == ".g722" else None
    with open_container(recording.path, unreadable=UnusableClip, format=format) as container:
        stream = container.streams.audio[0]
        chunks = [frame.to_ndarray() for frame in container.decode(stream)]
        rate_hz = stream.rate
    if not chunks:
        raise UnusableClip("file holds no sound")
    samples = np.concatenate(chunks, axis=1)[0]
    if samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / np.iinfo(samples.dtype).max
    return at_speech_rate(Waveform(samples, rate_hz))


def packaged(
    languages: Iterable[str], *, sounds: Path, documents: Path, testdata: Path
) -> dict[str, list[Recording]]:
    """All recordings, by language. Raises RecordingsMissing when those of a package are not there."""
    found = {language: asterisk(sounds, documents, language) for language in languages}
    lacking = [f"asterisk-core-sounds-{language}" for language, some in found.items() if not some]
    missing = [f"{package} {package}-g722" for package in lacking]
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
    for listing in (root / "librivox" / "transcription", root / "cards" / "cards.transcription"):
        for line in listing.read_text(encoding="utf-8").splitlines() if listing.exists() else ():
            match = re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line)
            if match and (path := listing.parent / f"{match[2]}.wav").exists():
                found.append(Recording(path, match[1].strip(), "en", listing.parent.name))
    return found


class Aligner:
    """Aligns recordings one after another. Each one adapts the model a little, so their order matters."""

    def __init__(self) -> None:
        self._decoder = Decoder(lm=None, loglevel="FATAL")
        self._symbols: dict[str, list[str]] = {}

    def align(self, waveform: Waveform, transcript: str, language: str) -> list[Phone]:
        """Contiguous phones of a 16 kHz recording in which exactly `transcript` is spoken, stress marked.

        Several paddings are tried, since a search often fails with one and not with another.
        Raises UnusableClip, whose message is the reason, when no alignment can be trusted.
        """
        names = list(filter(None, (self._entry(word, language) for word in spoken_words(transcript))))
        if not names:
            raise UnusableClip("transcript has no pronounceable word")
        reason = UnusableClip("words not found in the sound")
        for padding in _PADDINGS_SECONDS:
            try:
                found = self._search(" ".join(names), waveform, padding)
                phones = mark_stress(split_silences(found, waveform), waveform)
                check_alignment(phones, waveform)
                return phones
            except RuntimeError:
                continue
            except UnusableClip as error:
                reason = error
        raise reason

    def _entry(self, word: str, language: str) -> str | None:
        """The dictionary entry of a word, added when it is new; None for a word without sound."""
        if language == "en" and self._decoder.lookup_word(word):
            return word
        name = f"{language}_{word}"
        if name not in self._symbols:
            symbols = [symbol for symbol in pronounce(word, language) if TO_SPHINX[symbol]]
            if not symbols:
                return None
            names = (name for symbol in symbols for name in TO_SPHINX[symbol])
            self._decoder.add_word(name, " ".join(names), True)
            self._symbols[name] = symbols
        return name

    def _search(self, words: str, waveform: Waveform, padding_seconds: float) -> list[Phone]:
        """Phones by a search for the words, then for the phones in them. Raises RuntimeError if it fails."""
        pcm = _padded_pcm(waveform, padding_seconds)
        self._decoder.set_align_text(words)
        self._decode(pcm)
        self._decoder.set_alignment()
        self._decode(pcm)
        shifted = [
            phone.at(
                max(phone.start_seconds - padding_seconds, 0.0),
                min(phone.end_seconds - padding_seconds, waveform.seconds),
            )
            for phone in self._phones()
        ]
        return [phone for phone in shifted if phone.seconds > 0]

    def _decode(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        self._decoder.end_utt()

    def _phones(self) -> list[Phone]:
        """Phones of the finished search; words that `_entry` added get their own symbols back."""
        found = []
        for word in self._decoder.get_alignment() or ():
            pieces = [(piece.name, piece.start, piece.start + piece.duration) for piece in word]
            at = 0
            for symbol in self._symbols.get(word.name) or [from_sphinx(name) for name, _, _ in pieces]:
                first, at = at, at + len(TO_SPHINX[symbol])
                start, end = pieces[first][1], pieces[at - 1][2]
                found.append(Phone(symbol, start * _FRAME_SECONDS, end * _FRAME_SECONDS))
        return found


def spoken_words(transcript: str) -> list[str]:
    """Lower-case words of a transcript.

    Raises UnusableClip for a stage direction ("[ascending tones]") in place of words.
    """
    if _UNSPOKEN.search(transcript):
        raise UnusableClip("transcript holds a stage direction")
    words = [word.replace("’", "'") for word in _WORD.findall(transcript.lower())]
    if not words:
        raise UnusableClip("transcript is empty")
    return words


def _padded_pcm(waveform: Waveform, padding_seconds: float) -> bytes:
    """int16 bytes with faint noise before and after: the aligner fails on speech that begins at time 0."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 1e-4, (2, round(padding_seconds * waveform.rate_hz)))
    samples = np.concatenate([margins[0], waveform.samples, margins[1]])
    return to_pcm16(samples).astype("<i2").tobytes()


def check_alignment(phones: list[Phone], waveform: Waveform) -> None:
    """Raises UnusableClip, whose message is the reason, when phone times contradict the sound."""
    spoken = [phone for phone in phones if phone.symbol != SILENCE]
    if not any(phone.is_vowel for phone in spoken):
        raise UnusableClip("no vowel found")
    seconds = np.array([phone.seconds for phone in spoken])
    if seconds.max() > _LONGEST_PHONE_SECONDS:
        raise UnusableClip("a phone lasts too long")
    if np.mean(seconds < 0.035) > 0.45:
        raise UnusableClip("too many phones crowded together")
    loudness = phone_loudness_db(phones, waveform)
    vowels = [db for db, phone in zip(loudness, phones, strict=True) if phone.is_vowel]
    if np.mean(np.array(vowels) < _QUIET_VOWEL_DB) > 0.1:
        raise UnusableClip("vowels lie in silence")
    level = level_db(waveform)
    times = np.arange(len(level)) * HOP_SECONDS
    silent = np.zeros(len(level), bool)
    for phone in phones:
        if phone.symbol == SILENCE:
            silent |= (times > phone.start_seconds + 0.03) & (times < phone.end_seconds - 0.03)
    if np.sum(silent & (level > -12)) * HOP_SECONDS > 0.15:
        raise UnusableClip("speech lies in silence")


def build_pool(recordings: list[Recording], path: Path) -> None:
    """Align the recordings and write their phrases, and the reasons of rejects, to `path` (npz)."""
    aligner = Aligner()
    phrases: list[Phrase] = []
    rejects: Counter[str] = Counter()
    for recording in recordings:
        try:
            waveform = decode(recording)
            phones = aligner.align(waveform, recording.transcript, recording.language)
        except UnusableClip as error:
            rejects[str(error)] += 1
            continue
        pieces = cut(waveform, phones)
        rejects["no phrase of 0.25 .. 8.5 s between pauses"] += not pieces
        facts = recording.speaker, recording.language, recording.transcript
        phrases += [Phrase(sound, inside, *facts) for sound, inside in pieces]
    save_pool(phrases, +rejects, path)
