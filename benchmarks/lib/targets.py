"""The targets of all benchmarks, each with its reason, and measurements checked against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from lib.report import Check
from sonimate.evaluate.controls import CONTROLS, ControlScore
from sonimate.evaluate.life import LifeScore
from sonimate.evaluate.statistics import rank_correlation

MIN_LIP_R = 0.50
"""Mean correlation with the real mouth. A random sample of all movements that fit a voice has r equal to the
variance that the voice explains; a ridge regression on the same audio features explains about 0.3 on unseen
speakers. Guidance raises r and makes samples less varied."""
MAX_LAG_MS = 80.0
"""Median distance of the best lag from zero: two frames. Viewers notice sound that leads by 45 ms or
trails by 125 ms (ITU-R BT.1359)."""
AMPLITUDE_RATIO = (0.6, 1.5)
"""Generated over real standard deviation of mouth opening: neither mumbling nor shouting."""
MAX_SHUFFLED_R = 0.10
"""With another clip's sound, mouths correlate only by chance and because recordings begin and end in silence:
two real mouths, paired in the same way, by 0.08; those of two clips of the GRID corpus by 0.30."""
MIN_FOOTAGE_SECONDS = 60.0
"""Some twenty clips of three seconds: with fewer, a single speaker decides the mean."""

BLINKS_PER_MINUTE = (5.0, 30.0)
"""Adults blink 26 times a minute in conversation, 17 at rest, 4.5 when reading (Bentivoglio et al. 1997)."""
MIN_HEAD_DEGREES = 0.5
"""Standard deviation of head rotation. The stillest real clips, of speakers asked to sit still, have 0.54."""
MAX_DRIFT_DEGREES = 8.0
MAX_DRIFT_HEIGHTS = 0.10
"""Mean pose of the last five seconds against the first five: real clips of 10 s and more show up to 7.4
degrees and 0.07 face heights. The drift of a head that leaves its place keeps growing."""
MAX_ACCELERATION_RATIO = 1.5
"""Median landmark acceleration over that of real clips. Jitter is acceleration without movement."""
MAX_SILENT_OPENING = 0.02
"""Mean mouth opening, in face heights, from half a second after the speech. Tracking measures closed lips as
0.001 to 0.006; medians of talking mouths are 0.034 to 0.087."""

MIN_HEAD_MOTION_GAIN = 1.5
"""Head movement at --head-motion 64, divided by that at 16."""
MIN_CONTROL_GAIN = 1.1
"""Amplitude at a high value of a control, divided by that at a low one. A smaller change is invisible."""
MIN_CONTROL_RANK = 0.8
"""Rank correlation of amplitude and control. Of six values, only neighbours may change places."""
MAX_CONTROL_R_CHANGE = 0.10
"""Change of lip correlation when another control changes."""

MAX_MEAN_IDENTITY_DISTANCE = 0.35
MAX_WORST_IDENTITY_DISTANCE = 0.5
"""Distance of dlib's face descriptors, which were trained so that 0.6 separates people. The example portraits
are 0.54 to 0.94 apart; each is 0.13 to 0.20 from its mirror image."""

MAX_REALTIME_FACTOR = 1.0
MAX_PEAK_MEMORY_MB = 2000.0
MAX_DECODER_MS = 25.0
"""On 2 cores, 512 x 512 px, 10 s of speech, the whole command."""


def lip_checks(summary: dict[str, float]) -> list[Check]:
    """The summary against its targets."""
    low, high = AMPLITUDE_RATIO
    return [
        Check("mean r", summary["mean r"], low=MIN_LIP_R),
        Check("median |lag| in ms", summary["median |lag_ms|"], high=MAX_LAG_MS),
        Check("mean amplitude ratio", summary["mean amplitude"], low=low, high=high),
        Check("mean r, shuffled sound", summary["mean shuffled_r"], high=MAX_SHUFFLED_R),
        Check("seconds of footage", summary["footage seconds"], low=MIN_FOOTAGE_SECONDS),
    ]


def life_checks(tracked: LifeScore, real: float) -> list[Check]:
    """A face tracked in an output video against the targets. real: acceleration of real clips."""
    low, high = BLINKS_PER_MINUTE
    name = tracked.source
    return [
        Check(f"{name}, blinks a minute", tracked.blinks_per_minute, low=low, high=high),
        Check(f"{name}, head rotation in degrees", tracked.head_degrees, low=MIN_HEAD_DEGREES),
        Check(f"{name}, drift in degrees", tracked.drift_degrees, high=MAX_DRIFT_DEGREES),
        Check(f"{name}, drift in face heights", tracked.drift_heights, high=MAX_DRIFT_HEIGHTS),
        Check(
            f"{name}, acceleration over that of real clips",
            tracked.acceleration / real,
            high=MAX_ACCELERATION_RATIO,
        ),
        Check(f"{name}, mouth opening in silence", tracked.silent_opening, high=MAX_SILENT_OPENING),
    ]


def control_checks(scores: Sequence[ControlScore]) -> list[Check]:
    """The scores of all controls against the targets."""
    by_control = {name: [score for score in scores if score.control == name] for name in CONTROLS}
    checks = []
    head = {score.value: score for score in sorted(by_control["head_motion"], key=lambda score: score.value)}
    if {16.0, 64.0} <= set(head):
        low, high = head[16.0], head[64.0]
        name = "r_default" if math.isnan(high.r_real) else "r_real"
        change = abs(getattr(high, name) - getattr(low, name))
        checks = [
            Check(
                "head movement at --head-motion 64 over 16",
                high.head_degrees / low.head_degrees,
                low=MIN_HEAD_MOTION_GAIN,
            ),
            Check(f"change of {name} from 16 to 64", change, high=MAX_CONTROL_R_CHANGE),
        ]
    if {64.0, 128.0} <= set(head):
        gain = head[128.0].head_degrees / head[64.0].head_degrees
        checks.append(Check("head movement at --head-motion 128 over 64", gain, low=MIN_CONTROL_GAIN))
    if len(head) > 1:
        degrees = [score.head_degrees for score in head.values()]
        growth = min(later - earlier for earlier, later in pairwise(degrees))
        name = "least growth of head rotation between two values of --head-motion, degrees"
        checks.append(Check(name, growth, low=0.0))
    for control, quantity in (("expression", "expression"), ("audio_guidance", "mouth")):
        series = [getattr(score, quantity) for score in by_control[control]]
        if len(series) > 1:
            values = [score.value for score in by_control[control]]
            gain, order = series[-1] / series[0], rank_correlation(values, series)
            checks += [
                Check(f"{quantity}, last over first {control}", gain, low=MIN_CONTROL_GAIN),
                Check(f"ranks of {quantity} and {control}", order, low=MIN_CONTROL_RANK),
            ]
    return checks
