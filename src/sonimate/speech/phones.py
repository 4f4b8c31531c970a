"""Phones: one set of symbols for every voice, the names of each speech engine for them, and what the sound
tells about them (loudness, pauses that the labels missed, stress).

Symbols are lower-case ARPAbet for English, extended for the other languages:

    a e o       open, close-mid front, close-mid back monophthongs (es, fr, it, ru, de)
    ue oe       front rounded [y] [ø oe]          ix      central [ɨ]
    an en on    nasal vowels of French            bh      bilabial approximant [β]: lips near, not closed
    ny ly       palatal nasal and lateral         rr rh   alveolar trill or tap, uvular [ʁ]
    kh gh       velar fricatives [x ç] [ɣ]        wy      labial-palatal glide [ɥ]
    ts pf       affricates                        q       glottal stop
    sil         silence, breath, closed glottis
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sonimate.errors import UnknownPhone
from sonimate.types import Waveform

SILENCE = "sil"

_IPA_OF_VOWELS = """
aa: ɑ ɒ̃ ɑː; a: a ɶ; ae: æ; ah: ʌ ɐ; ao: ɔ ɒ
ax: ə ɚ ɵ; eh: ɛ; er: ɜ ɝ; e: e; ih: ɪ; iy: i
ix: ɨ ᵻ ɯ; o: o ɤ; uh: ʊ; uw: u ʉ; ue: y ʏ; oe: ø œ
an: ɑ̃ ã; on: ɔ̃ õ; en: ɛ̃ œ̃ ẽ
aw: aʊ ɑʊ æʊ; ay: aɪ ɑɪ; ey: eɪ ɛɪ; ow: oʊ əʊ əʉ; oy: ɔɪ oɪ ɔʏ ɔø
"""
_IPA_OF_CONSONANTS = """
p: p; b: b; t: t ʈ; d: d ɖ ð̞; k: k c; g: ɡ g ɟ; q: ʔ
m: m ɱ; n: n ɳ; ny: ɲ; ng: ŋ
bh: β; f: f ɸ; v: v ʋ; th: θ; dh: ð; s: s; z: z; sh: ʃ ɕ ʂ ɬ; zh: ʒ ʐ ʑ
kh: x ç χ; gh: ɣ; rh: ʁ ʀ; hh: h ɦ
ch: tʃ tɕ ʧ; jh: dʒ ʤ dʑ; ts: ts t͡s dz ʦ; pf: pf
dx: ɾ; rr: r; r: ɹ ɻ; l: l ɫ ɭ; ly: ʎ
w: w ʍ; wy: ɥ; y: j ʝ
"""
_IPA_IGNORED = frozenset("ˈˌːˑʲʰˠ̩̯̪̃͡‿-.'|_ \u0329\u032f\u200d;ˀʷ^!ʼ\"")


def _by_ipa(rows: str) -> dict[str, str]:
    entries = (entry.split(":") for entry in rows.strip().replace("\n", ";").split(";"))
    return {name: symbol.strip() for symbol, names in entries for name in names.split()}


IPA = _by_ipa(_IPA_OF_VOWELS) | _by_ipa(_IPA_OF_CONSONANTS)
VOWELS = frozenset(_by_ipa(_IPA_OF_VOWELS).values())
INVENTORY = {SILENCE, *IPA.values()}
REDUCED = {"ax", "ix"}


@dataclass(frozen=True)
class Phone:
    """A stretch of sound: `symbol` of INVENTORY from `start_seconds` to `end_seconds`."""

    symbol: str
    start_seconds: float
    end_seconds: float
    stressed: bool = False

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    @property
    def is_vowel(self) -> bool:
        return self.symbol in VOWELS

    def at(self, start_seconds: float, end_seconds: float) -> Phone:
        """The same phone at another time."""
        return replace(self, start_seconds=start_seconds, end_seconds=end_seconds)


Speech = tuple[Waveform, list[Phone]]
"""A sound and its phones."""

_LONGEST_IPA = max(map(len, IPA))


def from_ipa(text: str) -> list[str]:
    """IPA string -> symbols, longest names first; marks of stress, length and palatalisation are dropped.

    Raises UnknownPhone for a letter that the table lacks.
    """
    symbols = []
    at = 0
    while at < len(text):
        for size in range(_LONGEST_IPA, 0, -1):
            if (name := text[at : at + size]) in IPA:
                symbols.append(IPA[name])
                at += len(name)
                break
        else:
            if text[at] not in _IPA_IGNORED:
                raise UnknownPhone(f"no symbol for IPA {text[at]!r} (U+{ord(text[at]):04X}) of {text!r}")
            at += 1
    return symbols


_RADIO = {"pau": SILENCE, "brth": SILENCE, "h#": SILENCE, "hv": "hh"}
_RADIO |= {"axr": "er", "el": "l", "em": "m", "en": "n", "nx": "n"}


def from_radio(name: str) -> str:
    """Symbol of a phone name of festival's and flite's US English ("radio") phone set."""
    symbol = _RADIO.get(name, name)
    if symbol not in INVENTORY:
        raise UnknownPhone(f"no symbol for radio phone {name!r}")
    return symbol


_SPHINX_NAMES = (
    "aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
)
TO_SPHINX = {symbol: (symbol.upper(),) for symbol in _SPHINX_NAMES.split()} | {
    "sil": ("SIL",), "ax": ("AH",), "a": ("AA",), "e": ("EH",), "o": ("OW",), "ue": ("UW",), "oe": ("ER",),
    "ix": ("IH",), "an": ("AA",), "on": ("AO",), "en": ("AE",), "bh": ("V",), "dx": ("D",), "gh": ("G",),
    "kh": ("HH",), "ly": ("L",), "ny": ("N", "Y"), "pf": ("P", "F"), "q": (), "rh": ("R",), "rr": ("R",),
    "ts": ("T", "S"), "wy": ("W",),
}  # fmt: skip
"""Symbol -> the nearest phones of pocketsphinx's US English acoustic model: none for `q`, some have two."""


def from_sphinx(name: str) -> str:
    """Symbol of a phone of pocketsphinx's model; its fillers (SIL, +NOISE+, ...) are silence."""
    symbol = name.lower()
    return symbol if symbol in INVENTORY else SILENCE


HOP_SECONDS = 0.005
_WINDOW_SECONDS = 0.02
_PAUSE_SECONDS, _PAUSE_DB = 0.13, -32.0
_SHORTEST_PHONE_SECONDS = 0.04


def level_db(waveform: Waveform) -> np.ndarray:
    """Energy in 20 ms windows every 5 ms, dB relative to loud speech (the 95th percentile): (n,)."""
    hop, size = (round(seconds * waveform.rate_hz) for seconds in (HOP_SECONDS, _WINDOW_SECONDS))
    power = np.concatenate([[0.0], np.cumsum(np.square(waveform.samples, dtype=np.float64))])
    centres = np.arange(0, len(waveform.samples), hop)
    left = np.clip(centres - size // 2, 0, len(waveform.samples))
    right = np.clip(centres + size // 2, 0, len(waveform.samples))
    decibels = 10 * np.log10((power[right] - power[left]) / np.maximum(right - left, 1) + 1e-12)
    return decibels - np.percentile(decibels, 95)


def _middle(phone: Phone) -> slice:
    """The hops of the middle 60 % of a phone, at least one: without the transitions to its neighbours."""
    start = round((phone.start_seconds + 0.2 * phone.seconds) / HOP_SECONDS)
    return slice(start, max(start + 1, round((phone.end_seconds - 0.2 * phone.seconds) / HOP_SECONDS)))


def phone_loudness_db(phones: list[Phone], waveform: Waveform) -> np.ndarray:
    """Loudest level within each phone, dB relative to the median vowel of the recording: (len(phones),)."""
    level = level_db(waveform)
    peaks = np.array([level[_middle(phone)].max(initial=-80.0) for phone in phones])
    vowels = [peak for peak, phone in zip(peaks, phones, strict=True) if phone.is_vowel]
    return peaks - (np.median(vowels) if vowels else 0.0)


def mark_stress(phones: list[Phone], waveform: Waveform) -> list[Phone]:
    """Set `stressed` on full vowels that are louder and longer than those around them.

    Measured in the sound instead of read from a dictionary, so that it works for every voice and language.
    Prominence = loudness / 3 dB + 1.5 log2(duration / median); a vowel is stressed when its prominence is
    above the mean of the seven nearest vowels.
    """
    loudness = phone_loudness_db(phones, waveform)
    index = [i for i, phone in enumerate(phones) if phone.is_vowel]
    if not index:
        return phones
    seconds = np.array([phones[i].seconds for i in index])
    prominence = loudness[index] / 3.0 + 1.5 * np.log2(seconds / np.median(seconds))
    marked = list(phones)
    for k, i in enumerate(index):
        around = prominence[max(0, k - 3) : k + 4]
        stressed = phones[i].symbol not in REDUCED and prominence[k] >= around.mean()
        marked[i] = replace(phones[i], stressed=bool(stressed))
    return marked


def split_silences(phones: list[Phone], waveform: Waveform) -> list[Phone]:
    """Cut out of the phones every pause (0.13 s below -32 dB) that the labels put inside them.

    Synthesizers and aligners both count a pause as part of the phone before it. Closures of stops are
    shorter than 0.13 s.
    """
    quiet = level_db(waveform) < _PAUSE_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    pauses = [
        (start * HOP_SECONDS, min(end * HOP_SECONDS, waveform.seconds))
        for start, end in edges.reshape(-1, 2)
        if (end - start) * HOP_SECONDS >= _PAUSE_SECONDS
    ]
    kept = [_outside(phone, pauses) for phone in phones if phone.symbol != SILENCE]
    return fill_silences(kept, waveform.seconds)


def _outside(phone: Phone, pauses: list[tuple[float, float]]) -> Phone:
    """The longest part of `phone` outside the pauses; if less than 40 ms remain, its last 40 ms.

    The second case is a stop that begins a phrase: its closure is silent too.
    """
    parts = [(phone.start_seconds, phone.end_seconds)]
    for start, end in pauses:
        parts = [
            part
            for left, right in parts
            for part in ((left, min(right, start)), (max(left, end), right))
            if part[1] > part[0]
        ]
    left, right = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
    if right - left < _SHORTEST_PHONE_SECONDS:
        left, right = max(phone.start_seconds, phone.end_seconds - _SHORTEST_PHONE_SECONDS), phone.end_seconds
    return phone.at(left, right)


def fill_silences(phones: list[Phone], seconds: float) -> list[Phone]:
    """Contiguous phones from 0 to `seconds`: silence in every gap."""
    filled: list[Phone] = []
    at = 0.0
    for phone in phones:
        if phone.start_seconds > at + 1e-6:
            filled.append(Phone(SILENCE, at, phone.start_seconds))
        filled.append(phone)
        at = phone.end_seconds
    return [*filled, Phone(SILENCE, at, seconds)] if seconds > at + 1e-6 else filled
