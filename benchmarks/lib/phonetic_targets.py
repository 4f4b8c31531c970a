"""The table of mouth targets from phonetics, before it was fitted to real clips: what a fit starts from."""

from __future__ import annotations

import numpy as np

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

ROWS = [cells[:-10] for cells in map(str.split, _ROWS.strip().splitlines())]
"""Phones that share a row."""
PHONETIC = {
    symbol: np.array(cells[-10:], dtype=np.float32).reshape(2, 5)
    for cells in map(str.split, _ROWS.strip().splitlines())
    for symbol in cells[:-10]
}
"""As articulation.TARGETS."""
