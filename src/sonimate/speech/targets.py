"""Lip and jaw targets of every phone, in the order of ACTIVATIONS[:5], and how strongly each is defended.

`open` is the inner-lip gap (0 touching, 1 the widest emphatic "aa", about .6 in conversation), `jaw` its
lowering, `wide` the lip corners (-1 fully narrowed as in "uw", +1 spread as in "iy"), `protrude` lips
forward, `upper` the upper lip raised off the teeth. Heights and roundings follow phonetics and the tables of
visible speech (Cohen & Massaro 1993). `open` of consonants and front vowels and `jaw` were then moved about
half-way to the medians of eleven tracked GRID sentences: lips part for "t s k iy" while the jaw stays up.
The contacts `tuck` (f v) and `press` (p b m) are in CONTACTS, since a contact is made or not, never blended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimate.speech.phones import INVENTORY

ACTIVATIONS = ("open", "jaw", "wide", "protrude", "tuck", "press", "upper")

#           symbols             open  jaw   wide  protr upper | strength of open jaw wide protr upper
_ROWS = """
aa                              .64   .52   .00   .00   .10     1.0  1.0   .6   .6   .6
a                               .66   .52   .15   .00   .12     1.0  1.0   .6   .6   .6
ae                              .62   .46   .35   .00   .20     1.0  1.0   .7   .6   .7
ah                              .48   .36   .05   .00   .10      .9   .9   .5   .6   .6
ao                              .50   .45  -.40   .45   .05     1.0  1.0   .8   .8   .6
ax                              .32   .20   .00   .05   .08      .5   .5   .3   .3   .4
eh                              .54   .36   .35   .00   .20      .9   .9   .7   .6   .7
er                              .30   .18  -.35   .45   .12      .8   .8   .8   .8   .5
e                               .46   .24   .50   .00   .18      .9   .9   .8   .6   .7
ih                              .36   .18   .35   .00   .16      .8   .7   .6   .5   .6
iy                              .40   .12   .90   .00   .25      .9   .8  1.0   .7   .7
ix                              .28   .15   .20   .00   .12      .6   .6   .5   .4   .5
o                               .34   .28  -.65   .70   .05     1.0   .9  1.0  1.0   .6
uh                              .28   .18  -.50   .50   .06      .9   .8   .9   .9   .5
uw                              .18   .07 -1.00   .95   .04     1.0   .8  1.1  1.1   .6
ue                              .18   .06  -.85   .90   .06     1.0   .8  1.1  1.1   .6
oe                              .28   .20  -.60   .70   .06     1.0   .9  1.0  1.0   .6
an                              .54   .44  -.10   .20   .08     1.0  1.0   .6   .6   .5
on                              .32   .28  -.70   .75   .05     1.0   .9  1.0  1.0   .5
en                              .52   .40   .30   .00   .16      .9   .9   .6   .6   .6
p b m                           .02   .06   .00   .05   .00      .8   .5   .15  .15  .4
f v pf                          .10   .06   .10   .00   .15     1.0   .7   .25  .4   .8
bh                              .08   .10   .05   .05   .05     1.0   .5   .2   .2   .4
w                               .10   .10 -1.00   .90   .02     1.0   .6  1.1  1.1   .6
wy                              .12   .08  -.85   .85   .04     1.0   .6  1.1  1.1   .6
th dh                           .30   .08   .10   .00   .12      .6   .6   .25  .3   .4
t d n                           .28   .08   .10   .00   .12      .55  .7   .15  .2   .3
dx rr                           .30   .13   .05   .00   .10      .3   .4   .1   .15  .2
l                               .32   .12   .10   .00   .10      .45  .5   .15  .2   .3
s z ts                          .30   .00   .25   .00   .30      .8  1.2   .4   .4   .9
sh zh ch jh                     .28   .02  -.45   .75   .22      .9  1.2   .9  1.0   .8
y                               .34   .12   .50   .00   .18      .5   .6   .5   .4   .4
ny ly                           .30   .10   .30   .00   .14      .45  .6   .3   .3   .3
r                               .24   .12  -.45   .50   .08      .7   .6   .7   .7   .4
k g ng gh                       .36   .18   .05   .00   .10      .35  .4   .1   .15  .2
hh kh rh q                      .36   .24   .00   .00   .08      .2   .25  .1   .1   .15
sil                             .00   .00   .00   .00   .00     1.0  1.0   .5   .7   .8
"""


@dataclass(frozen=True)
class Target:
    """Where the five blended activations go, and the dominance with which they do: float32 (5,) each."""

    values: np.ndarray
    strengths: np.ndarray


def _targets() -> dict[str, Target]:
    table = {}
    for row in _ROWS.strip().splitlines():
        cells = row.split()
        symbols, numbers = cells[:-10], np.array(cells[-10:], dtype=np.float32)
        table |= {symbol: Target(numbers[:5], numbers[5:]) for symbol in symbols}
    return table


TARGETS = _targets()

DIPHTHONGS = {
    "aw": ("aa", "uh"),
    "ay": ("a", "ih"),
    "ey": ("e", "iy"),
    "ow": ("o", "uw"),
    "oy": ("ao", "ih"),
}
"""A diphthong is two vowels: the first for DIPHTHONG_SPLIT of its time."""
DIPHTHONG_SPLIT = 0.58


@dataclass(frozen=True)
class Contact:
    """A contact of the lips within a phone, from its start to `release` (a fraction of its time).

    tuck, press: how far each goes, in [0, 1]. gap: the inner-lip gap left, as a fraction of the free one.
    """

    release: float
    tuck: float
    press: float
    gap: float


CONTACTS = {
    "p": Contact(0.62, 0.0, 1.0, 0.0),
    "b": Contact(0.80, 0.0, 0.9, 0.0),
    "m": Contact(1.00, 0.0, 0.7, 0.0),
    "pf": Contact(0.45, 0.2, 0.9, 0.0),
    "f": Contact(0.90, 1.0, 0.0, 0.45),
    "v": Contact(0.90, 0.9, 0.0, 0.50),
}

if missing := INVENTORY - TARGETS.keys() - DIPHTHONGS.keys():
    raise AssertionError(f"phones without a target: {sorted(missing)}")
