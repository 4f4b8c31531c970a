"""Phone times of recorded human speech whose words are known: forced alignment by pocketsphinx.

The English acoustic model also aligns Spanish, French, Italian and Russian: each word's phones come from
espeak-ng and are renamed to their nearest English neighbours for the search, and named back afterwards.
What matters for lips (closures, lip-teeth contact, rounding, vowel or not) survives that detour.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from pocketsphinx import Decoder

from sonimate.errors import UnusableClip
from sonimate.speech.espeak import pronounce
from sonimate.speech.phones import SILENCE, Phone, from_sphinx, to_sphinx
from sonimate.speech.prominence import level_db, mark_stress, phone_loudness_db, split_silences
from sonimate.types import Waveform

_FRAME_SECONDS = 0.01
_PADDINGS_SECONDS = (0.25, 0.1, 0.6)
_LONGEST_PHONE_SECONDS = 0.7
_QUIET_VOWEL_DB = -22.0
_UNSPOKEN = re.compile(r"\[.*?\]|\(.*?\)|<.*?>")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Aligner:
    """Aligns recordings one after another; what it heard before adapts it a little, so order matters."""

    def __init__(self) -> None:
        self._decoder = Decoder(lm=None, loglevel="FATAL")
        self._symbols: dict[str, list[str]] = {}

    def align(self, waveform: Waveform, transcript: str, language: str) -> list[Phone]:
        """Contiguous phones of a 16 kHz recording in which exactly `transcript` is spoken, stress marked.

        Several paddings are tried, since a search often fails with one and not with another.
        Raises UnusableClip, its message the reason, when no trustworthy alignment is found.
        """
        entries = [self._entry(word, language) for word in spoken_words(transcript)]
        names = [name for name in entries if name]
        if not names:
            raise UnusableClip("transcript has no pronounceable word")
        reason = UnusableClip("words not found in the sound")
        for padding in _PADDINGS_SECONDS:
            try:
                found = self._search(" ".join(names), waveform, padding)
                phones = mark_stress(split_silences(found, waveform), waveform)
                check(phones, waveform)
            except RuntimeError:
                continue
            except UnusableClip as error:
                reason = error
                continue
            return phones
        raise reason

    def _entry(self, word: str, language: str) -> str | None:
        """The dictionary entry of a word, taught when new; None when the word has no sound."""
        if language == "en" and self._decoder.lookup_word(word):
            return word
        name = f"{language}_{word}"
        if name not in self._symbols:
            symbols = [symbol for symbol in pronounce(word, language) if to_sphinx(symbol)]
            if not symbols:
                return None
            names = " ".join(name for symbol in symbols for name in to_sphinx(symbol))
            self._decoder.add_word(name, names, True)
            self._symbols[name] = symbols
        return name

    def _search(self, words: str, waveform: Waveform, padding_seconds: float) -> list[Phone]:
        """Phones by a search for the words, then for the phones in them. RuntimeError: there is no path."""
        pcm = _padded_pcm(waveform, padding_seconds)
        self._decoder.set_align_text(words)
        self._hear(pcm)
        self._decoder.set_alignment()
        self._hear(pcm)
        shifted = [
            replace(
                phone,
                start_seconds=max(phone.start_seconds - padding_seconds, 0.0),
                end_seconds=min(phone.end_seconds - padding_seconds, waveform.seconds),
            )
            for phone in self._phones()
        ]
        return [phone for phone in shifted if phone.seconds > 0]

    def _hear(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        self._decoder.end_utt()

    def _phones(self) -> list[Phone]:
        """Phones of the finished search, under the names that the dictionary entries came from."""
        found = []
        for word in self._decoder.get_alignment() or ():
            spans = [(piece.name, piece.start, piece.start + piece.duration) for piece in word]
            if word.name in self._symbols:
                found += _named_back(spans, self._symbols[word.name])
            else:
                found += [Phone(from_sphinx(n), a * _FRAME_SECONDS, b * _FRAME_SECONDS) for n, a, b in spans]
        return found


def _named_back(spans: list[tuple[str, int, int]], symbols: list[str]) -> list[Phone]:
    phones = []
    at = 0
    for symbol in symbols:
        count = len(to_sphinx(symbol))
        start, end = spans[at][1], spans[at + count - 1][2]
        phones.append(Phone(symbol, start * _FRAME_SECONDS, end * _FRAME_SECONDS))
        at += count
    return phones


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
    """int16 bytes with faint noise before and after: the aligner fails on speech that begins at once."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 1e-4, (2, round(padding_seconds * waveform.rate_hz)))
    samples = np.concatenate([margins[0], waveform.samples, margins[1]])
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def check(phones: list[Phone], waveform: Waveform) -> None:
    """Raise UnusableClip, its message the reason, when phone times contradict the sound."""
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
    times = np.arange(len(level)) * 0.005
    silent = np.zeros(len(level), bool)
    for phone in phones:
        if phone.symbol == SILENCE:
            silent |= (times > phone.start_seconds + 0.03) & (times < phone.end_seconds - 0.03)
    if np.sum(silent & (level > -12)) * 0.005 > 0.15:
        raise UnusableClip("speech lies in silence")
