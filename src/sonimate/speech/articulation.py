"""Phones -> seven mouth activations over time, by dominance functions.

Cohen & Massaro, "Modeling coarticulation in synthetic visual speech" (Models and Techniques in Computer
Animation, 1993): phone s pulls the mouth to its target T_s with the dominance

    D_s(t) = alpha_s * exp(-theta * tau_s(t)),      F(t) = sum_s D_s(t) T_s / sum_s D_s(t)

where tau is the distance in time from the phone, with one theta before it (anticipation) and another after
it (carry-over). Here tau counts from the phone's middle part (_CORE of its time) and not from its centre, so
that long vowels hold. Contacts of the lips (p b m, f v) are then imposed on the blend: see `_contacts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sonimate.clock import VIDEO_FPS
from sonimate.face.geometry import smoothstep
from sonimate.speech.effort import OPENNESS_PER_EFFORT
from sonimate.speech.phones import SILENCE, Phone

ACTIVATIONS = ("open", "jaw", "wide", "protrude", "tuck", "press", "upper")
"""`open`: the gap between the inner lips, 0 touching, 1 the widest emphatic "aa", about 0.6 in conversation.
`jaw`: how far it is lowered. `wide`: the corners of the lips, -1 narrowed as in "uw", +1 spread as in "iy".
`protrude`: lips forward. `tuck`: lower lip under the upper teeth. `press`: lips pressed together.
`upper`: upper lip, +1 raised off the teeth, -1 drawn down over them.

The table holds the target of each phone for five of them and the strength of its dominance. `protrude`
follows phonetics and the tables of visible speech (Cohen & Massaro 1993), as depth is tracked badly. The
other columns are fitted to 81 aligned and tracked GRID sentences of 11 people (docs/decisions/0027): least
squares of the curves, with a penalty on each phone's difference from a line through a table of phonetics, so
that phones which GRID lacks follow those that it has. A speaking mouth is narrower than a resting one.
Contacts, `tuck` (f v) and `press` (p b m), are in CONTACTS: one is made or not, so it cannot be blended."""

#           symbols             open  jaw   wide  protr upper | strength of open jaw wide protr upper
_ROWS = """
aa                                .56   .51   .03   .00   .03    1.01  1.00   .61   .60   .61
a                                 .58   .44  -.09   .00  -.08     .94   .90   .59   .60   .52
ae                                .58   .45  -.10   .00   .04    1.00   .99   .68   .60   .69
ah                                .40   .40  -.16   .00   .00     .89   .91   .47   .60   .58
ao                                .40   .41  -.50   .45  -.16    1.01   .96   .82   .80   .60
ax                                .18   .26  -.18   .05  -.14     .50   .50   .30   .30   .40
eh                                .46   .39   .13   .00   .16     .85   .87   .68   .60   .65
er                                .15   .24  -.37   .45  -.08     .80   .80   .80   .80   .50
e                                 .48   .46   .12   .00  -.16     .97  1.20   .71   .60   .69
ih                                .30   .26   .08   .00   .06     .77   .70   .56   .50   .49
iy                                .42   .30   .16   .00   .26     .90   .81   .80   .70   .61
ix                                .15   .22  -.07   .00  -.08     .60   .60   .50   .40   .50
o                                 .20   .31  -.49   .70  -.16    1.00   .90  1.00  1.00   .60
uh                                .15   .16  -.17   .50  -.26     .89   .77   .86   .90   .50
uw                                .15   .14  -.61   .95  -.29    1.01   .83  1.16  1.10   .61
ue                                .15   .15  -.65   .90  -.17    1.00   .80  1.10  1.10   .60
oe                                .15   .26  -.51   .70  -.17    1.00   .90  1.00  1.00   .60
an                                .47   .44  -.23   .20  -.14    1.00  1.00   .60   .60   .50
on                                .18   .32  -.56   .75  -.18    1.00   .90  1.00  1.00   .50
en                                .44   .41  -.01   .00  -.02     .90   .90   .60   .60   .60
p b m                             .00   .13  -.43   .05  -.94     .80   .57   .19   .15   .70
f v pf                            .00   .07  -.05   .00   .17     .97   .77   .25   .40   .80
bh                                .06   .18  -.15   .05  -.18    1.00   .50   .20   .20   .40
w                                 .00   .15  -.87   .90  -.91    1.17   .62  1.18  1.10   .78
wy                                .00   .16  -.65   .85  -.20    1.00   .60  1.10  1.10   .60
th dh                             .10   .10  -.07   .00   .06     .60   .63   .25   .30   .39
t d n                             .17   .20   .00   .00   .00     .47   .67   .15   .20   .24
dx rr                             .15   .20  -.15   .00  -.11     .30   .40   .10   .15   .20
l                                 .27   .19  -.28   .00   .04     .48   .59   .16   .20   .29
s z ts                            .26   .16   .06   .00   .49     .83  1.46   .38   .40   .93
sh zh ch jh                       .19   .14  -.51   .75   .22     .88  1.18   .96  1.00   .81
y                                 .23   .21   .08   .00   .07     .50   .60   .49   .40   .40
ny ly                             .15   .18  -.01   .00  -.05     .45   .60   .30   .30   .30
r                                 .00   .10  -.55   .50  -.29     .84   .66   .83   .70   .42
k g ng gh                         .31   .27  -.16   .00  -.06     .35   .40   .10   .15   .19
hh kh rh q                        .23   .29  -.18   .00  -.14     .20   .25   .10   .10   .15
sil                               .00   .00   .00   .00   .00    1.00  1.00   .50   .70   .80
"""


TARGETS = {
    symbol: np.array(cells[-10:], dtype=np.float32).reshape(2, 5)
    for cells in map(str.split, _ROWS.strip().splitlines())
    for symbol in cells[:-10]
}
"""Phone -> the targets of the five blended activations, and the strengths of their dominance."""

DIPHTHONGS = {"aw": "aa uh", "ay": "a ih", "ey": "e iy", "ow": "o uw", "oy": "ao ih"}
DIPHTHONG_SPLIT = 0.58
"""A diphthong is two vowels, the first of them for this share of its time."""


CONTACTS = {
    "p": (0.62, 0.0, 1.0, 0.0),
    "b": (0.80, 0.0, 0.9, 0.0),
    "m": (1.00, 0.0, 0.7, 0.0),
    "pf": (0.45, 0.2, 0.9, 0.0),
    "f": (0.90, 1.0, 0.0, 0.45),
    "v": (0.90, 0.9, 0.0, 0.50),
}
"""Phones in which the lips touch each other or the teeth. Release: the contact lasts from the phone's start
to this fraction of its time. Tuck and press: how far each goes, in [0, 1]. Gap: the gap between the inner
lips that stays open, as a fraction of the gap without contact."""

_FINE_HZ, _SMOOTHING_SECONDS = 200, 0.012
_CORE = 0.4
_CLOSING_SECONDS, _OPENING_SECONDS = 0.075, 0.065
_LOUDEST_GAIN, _SOFTEST_GAIN = 1.5, 0.5

# Seconds of decay for open, jaw, wide, protrude, upper, fitted with the table: the jaw moves early.
_BEFORE_SECONDS = np.array([0.058, 0.120, 0.063, 0.085, 0.050])
_AFTER_SECONDS = np.array([0.036, 0.045, 0.063, 0.060, 0.037])


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one speaker moves, in one utterance.

    openness: gain of `open` and `jaw`, 0.5 .. 1.7. jaw: gain of `jaw` alone, 0.75 .. 1.3: some talk with
    their lips more than with their jaw. rounding: gain of `wide` and `protrude`, 0.7 .. 1.3.
    crispness: speed of articulation; below 1 the phones blur into each other, 0.7 .. 1.5.
    loudness_slope: how much the level of a vowel moves its opening, gain = 10^(slope * dB / 20), 0 .. 1.
    stress_gain: more opening of stressed vowels, 1 .. 1.3. upper_lip: gain of `upper`, 0.5 .. 1.5.
    anticipation_seconds: opening before the voice, 0.06 .. 0.18. relaxation_seconds: until a silence has
    closed the mouth, 0.15 .. 0.25.
    """

    openness: float = 1.0
    jaw: float = 1.0
    rounding: float = 1.0
    crispness: float = 1.0
    loudness_slope: float = 0.4
    stress_gain: float = 1.1
    upper_lip: float = 1.0
    anticipation_seconds: float = 0.12
    relaxation_seconds: float = 0.2


def sample_style(rng: np.random.Generator, *, effort: float = 0.0) -> Style:
    """A random speaker within the ranges of Style, who speaks with an effort of -1 soft .. 1 loud."""
    return Style(
        openness=float(np.exp(rng.normal(0.0, 0.13) + OPENNESS_PER_EFFORT * effort).clip(0.5, 1.7)),
        jaw=float(np.exp(rng.normal(0.0, 0.12)).clip(0.75, 1.3)),
        rounding=float(rng.uniform(0.75, 1.3)),
        crispness=float(np.exp(rng.normal(0.0, 0.15)).clip(0.75, 1.4)),
        loudness_slope=float(rng.uniform(0.2, 0.7)),
        stress_gain=float(rng.uniform(1.05, 1.25)),
        upper_lip=float(rng.uniform(0.6, 1.4)),
        anticipation_seconds=float(rng.uniform(0.09, 0.17)),
        relaxation_seconds=float(rng.uniform(0.15, 0.25)),
    )


def activations(
    phones: list[Phone],
    duration_seconds: float,
    rate_hz: float = VIDEO_FPS,
    *,
    style: Style,
    loudness_db: np.ndarray | None = None,
    targets: Mapping[str, np.ndarray] = TARGETS,
) -> np.ndarray:
    """The mouth at times i / rate_hz: float32 (n, 7) in the order of ACTIVATIONS, n = round(duration * rate).

    phones: contiguous from 0. loudness_db: (len(phones),), level of each relative to the median vowel;
    without it only stress distinguishes equal vowels. targets: a table like TARGETS.
    Ranges: `wide` and `upper` [-1, 1], the others [0, 1].
    """
    frames = round(duration_seconds * rate_hz)
    times = np.arange(int(np.ceil(duration_seconds * _FINE_HZ)) + 1) / _FINE_HZ
    gains = _gains(phones, np.zeros(len(phones)) if loudness_db is None else loudness_db, style)
    blend = _blend(_gestures(phones, gains, style, targets), times, style.crispness)
    blend = gaussian_filter1d(blend, _SMOOTHING_SECONDS * _FINE_HZ, axis=0, mode="nearest")
    frame_times = np.arange(frames) / rate_hz
    opened, jaw, wide, protrude, upper = (np.interp(frame_times, times, column) for column in blend.T)
    gap, tuck, press = _contacts(phones, frame_times, 1.0 / rate_hz)
    columns = (
        np.clip(opened, 0, 1) * gap,
        np.clip(jaw * style.jaw, 0, 1),
        np.clip(wide * style.rounding, -1, 1),
        np.clip(protrude * style.rounding, 0, 1),
        tuck,
        press,
        np.clip(upper * style.upper_lip, -1, 1),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _gains(phones: list[Phone], loudness_db: np.ndarray, style: Style) -> np.ndarray:
    """Factor on the opening of each phone, (len(phones),): its level counts for vowels, style for all."""
    is_vowel = np.array([phone.is_vowel for phone in phones])
    stressed = np.array([phone.stressed for phone in phones])
    level = 10 ** (style.loudness_slope * np.asarray(loudness_db) / 20)
    level = np.clip(level * np.where(stressed, style.stress_gain, 1.0), _SOFTEST_GAIN, _LOUDEST_GAIN)
    return style.openness * np.where(is_vowel, level, 1.0)


def _gestures(
    phones: list[Phone], gains: np.ndarray, style: Style, table: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Starts and ends (s,) of the middle parts of the phones, their targets and strengths (s, 5)."""
    rows = []
    for phone, gain in zip(phones, gains, strict=True):
        for symbol, start, end in _parts(phone):
            targets, strengths = table[symbol]
            if symbol == SILENCE:
                start, end = start + style.relaxation_seconds, end - style.anticipation_seconds
                strengths = strengths * np.clip(1 + (end - start) / style.relaxation_seconds, 0.05, 1)
            else:
                edge = (1 - _CORE) / 2 * (end - start)
                start, end = start + edge, end - edge
            middle = (start + end) / 2
            opening = np.array([gain, gain, 1, 1, 1])
            rows.append((min(start, middle), max(end, middle), targets * opening, strengths))
    return [np.array(column) for column in zip(*rows, strict=True)]


def _parts(phone: Phone) -> list[tuple[str, float, float]]:
    """(symbol, start, end) of a phone, or of the two vowels of a diphthong."""
    if phone.symbol not in DIPHTHONGS:
        return [(phone.symbol, phone.start_seconds, phone.end_seconds)]
    first, second = DIPHTHONGS[phone.symbol].split()
    middle = phone.start_seconds + DIPHTHONG_SPLIT * phone.seconds
    return [(first, phone.start_seconds, middle), (second, middle, phone.end_seconds)]


def _blend(gestures: list[np.ndarray], times: np.ndarray, crispness: float) -> np.ndarray:
    """Mean of the targets of `_gestures` at `times`, weighted by their dominance: (t, 5)."""
    starts, ends, targets, strengths = gestures
    before = np.maximum(starts - times[:, None], 0)
    after = np.maximum(times[:, None] - ends, 0)
    columns = []
    for k in range(targets.shape[1]):
        exponent = -(before / _BEFORE_SECONDS[k] + after / _AFTER_SECONDS[k]) * crispness
        dominance = strengths[:, k] * np.exp(exponent - exponent.max(axis=1, keepdims=True))
        columns.append(dominance @ targets[:, k] / dominance.sum(axis=1))
    return np.stack(columns, axis=1)


def _contacts(
    phones: list[Phone], frame_times: np.ndarray, frame_seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factor on the gap, tuck and press at the frames, (n,) each.

    The lips touch from the phone's start to its release, or for one frame when that is shorter (begun
    early: the eye expects the closure before its sound), and move there and back along a smooth ramp.
    """
    gap = np.ones(len(frame_times))
    tuck, press = np.zeros(len(frame_times)), np.zeros(len(frame_times))
    for phone in phones:
        if phone.symbol not in CONTACTS:
            continue
        release, tucked, pressed, open_gap = CONTACTS[phone.symbol]
        end = phone.start_seconds + release * phone.seconds
        start = min(phone.start_seconds, end - 1.01 * frame_seconds)
        if start < 0:
            start, end = 0.0, max(end, 1.01 * frame_seconds)
        ramp = np.clip((start - frame_times) / _CLOSING_SECONDS, 0, 1)
        ramp += np.clip((frame_times - end) / _OPENING_SECONDS, 0, 1)
        touch = 1 - smoothstep(ramp)
        gap = np.minimum(gap, 1 - (1 - open_gap) * touch)
        tuck = np.maximum(tuck, tucked * touch)
        press = np.maximum(press, pressed * touch)
    return gap, tuck, press
