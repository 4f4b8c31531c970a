"""One phone inventory for every voice, and the names that each speech engine gives to it.

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

from dataclasses import dataclass

from sonimate.errors import SonimateError

SILENCE = "sil"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOWELS = _names("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw a e o ue oe ix an en on")
CONSONANTS = _names(
    "b bh ch d dh dx f g gh hh jh k kh l ly m n ng ny p pf q r rh rr s sh t th ts v w wy y z zh"
)
INVENTORY = VOWELS | CONSONANTS | {SILENCE}
BILABIALS = _names("p b m pf")
REDUCED = _names("ax ix")


class UnknownPhone(SonimateError):
    """A speech engine named a phone that no map covers; add it to the map in phones.py."""


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


_IPA_ROWS = """
aa: ɑ ɒ̃ ɑː
a: a ɶ
ae: æ
ah: ʌ ɐ
ao: ɔ ɒ
ax: ə ɚ ɵ
eh: ɛ
er: ɜ ɝ
e: e
ih: ɪ
iy: i
ix: ɨ ᵻ ɯ
o: o ɤ
uh: ʊ
uw: u ʉ
ue: y ʏ
oe: ø œ
an: ɑ̃ ã
on: ɔ̃ õ
en: ɛ̃ œ̃ ẽ
aw: aʊ ɑʊ æʊ
ay: aɪ ɑɪ
ey: eɪ ɛɪ
ow: oʊ əʊ əʉ
oy: ɔɪ oɪ ɔʏ ɔø
b: b
bh: β
ch: tʃ tɕ ʧ
d: d ɖ ð̞
dh: ð
dx: ɾ
f: f ɸ
g: ɡ g ɟ
gh: ɣ
hh: h ɦ
jh: dʒ ʤ dʑ
k: k c
kh: x ç χ
l: l ɫ ɭ
ly: ʎ
m: m ɱ
n: n ɳ
ng: ŋ
ny: ɲ
p: p
pf: pf
q: ʔ
r: ɹ ɻ
rr: r
rh: ʁ ʀ
s: s
sh: ʃ ɕ ʂ ɬ
t: t ʈ
th: θ
ts: ts t͡s dz ʦ
v: v ʋ
w: w ʍ
wy: ɥ
y: j ʝ
z: z
zh: ʒ ʐ ʑ
"""
_IPA_IGNORED = frozenset("ˈˌːˑʲʰˠ̩̯̪̃͡‿-.'|_ \u0329\u032f\u200d;ˀʷ^!ʼ\"")


def _table(rows: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in rows.strip().splitlines())
    return {name: symbol for symbol, names in pairs for name in names.split()}


IPA = _table(_IPA_ROWS)
_LONGEST_IPA = max(map(len, IPA))


def from_ipa(text: str) -> list[str]:
    """IPA string -> symbols, longest names first; marks of stress, length and palatalisation are dropped.

    Raises UnknownPhone for a letter that the table lacks.
    """
    symbols = []
    at = 0
    while at < len(text):
        for size in range(_LONGEST_IPA, 0, -1):
            if (name := text[at : at + size]) in IPA and len(name) == size:
                symbols.append(IPA[name])
                at += size
                break
        else:
            if text[at] not in _IPA_IGNORED:
                raise UnknownPhone(f"no symbol for IPA {text[at]!r} (U+{ord(text[at]):04X}) of {text!r}")
            at += 1
    return symbols


_RADIO = {"pau": SILENCE, "brth": SILENCE, "h#": SILENCE, "el": "l", "em": "m", "en": "n", "nx": "n"}
_RADIO |= {"axr": "er", "hv": "hh"}


def from_radio(name: str) -> str:
    """Symbol of a phone name of festival's and flite's US English ("radio") phone set."""
    symbol = _RADIO.get(name, name)
    if symbol not in INVENTORY:
        raise UnknownPhone(f"no symbol for radio phone {name!r}")
    return symbol


_SPHINX_NAMES = _names(
    "aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
)
_TO_SPHINX = {symbol: (symbol.upper(),) for symbol in _SPHINX_NAMES}
_TO_SPHINX |= {
    "sil": ("SIL",), "ax": ("AH",), "a": ("AA",), "e": ("EH",), "o": ("OW",), "ue": ("UW",), "oe": ("ER",),
    "ix": ("IH",), "an": ("AA",), "on": ("AO",), "en": ("AE",), "bh": ("V",), "dx": ("D",), "gh": ("G",),
    "kh": ("HH",), "ly": ("L",), "ny": ("N", "Y"), "pf": ("P", "F"), "q": (), "rh": ("R",), "rr": ("R",),
    "ts": ("T", "S"), "wy": ("W",),
}  # fmt: skip


def to_sphinx(symbol: str) -> tuple[str, ...]:
    """The nearest phones of pocketsphinx's US English acoustic model: none for `q`, two for affricates."""
    return _TO_SPHINX[symbol]


def from_sphinx(name: str) -> str:
    """Symbol of a phone of pocketsphinx's model; its fillers (SIL, +NOISE+, ...) are silence."""
    symbol = name.lower()
    return symbol if symbol in INVENTORY else SILENCE
